"""The file in which suppressions go from one system to another that has the same fingerprint key.

May import models, addresses, consent and what lies below.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from repermit import addresses, evidence
from repermit.consent import LEFT_ELSEWHERE, Reason
from repermit.errors import Refused
from repermit.evidence import Entry
from repermit.models import Suppression, stored

if TYPE_CHECKING:
    from codecs import StreamWriter
    from collections.abc import Iterable, Iterator, Sequence

    from repermit.config import Settings
    from repermit.models import Database, MailingList

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_REASONS = {*Reason, *LEFT_ELSEWHERE}
_PAGE = 2000
_DELIMITERS = (",", ";", "\t")
"""Ours, and what Excel makes of it in many countries when it saves the file."""


@dataclass(frozen=True, kw_only=True)
class SharedSuppression:
    """One row; `key` tells which fingerprint key made it, without telling the key."""

    key: str
    fingerprint: str
    reason: str
    at: str
    subject: str


_COLUMNS = [one.name for one in fields(SharedSuppression)]


def key_check(key: bytes) -> str:
    """Return what tells one fingerprint key from another: the code of words that no address is."""
    return addresses.fingerprint(key, "which key is this")[:16]


def write_suppressions(
    database: Database,
    mailing_list: MailingList,
    *,
    out: BinaryIO,
    form: str,
    settings: Settings,
    now: datetime,
    actor: str,
) -> int:
    """Write the suppressions of a list and of all lists as "csv" or "json"; return how many.

    As they are read: memory stays flat, and nothing is locked meanwhile. No address stands in it.
    That it was made is recorded, also if the writing ends early after the first row, then with
    `whole` false and the rows that were written.
    """
    written = _Written()
    facts = {"what": "suppressions", "format": form, "tool": "", "with_links": False}
    made = Entry(event="exported", at=now, actor=actor, list=mailing_list.slug)
    text = codecs.getwriter("utf-8")(out)
    rows = written.counting(_shared(mailing_list, key_check(settings.fingerprint_key)))
    try:
        (_write_json if form == "json" else _write_csv)(rows, text)
    except BaseException:
        if written.rows:
            _record(database, made, {**facts, "rows": written.rows, "whole": False})
        raise
    _record(database, made, {**facts, "rows": written.rows})
    return written.rows


@dataclass
class _Written:
    """How many rows have been handed on so far."""

    rows: int = 0

    def counting(self, found: Iterable[SharedSuppression]) -> Iterator[SharedSuppression]:
        for row in found:
            self.rows += 1
            yield row


def _record(database: Database, made: Entry, told: dict[str, Any]) -> None:
    with database.atomic():
        evidence.append(replace(made, consent=told))


def _shared(mailing_list: MailingList, check: str) -> Iterator[SharedSuppression]:
    """Yield the rows of a file, some thousands read at a time."""
    columns = (
        Suppression.id,
        Suppression.fingerprint,
        Suppression.reason,
        Suppression.at,
        Suppression.subject,
    )
    query: Any = Suppression.select(*columns).where(
        (Suppression.list == mailing_list) | Suppression.list.is_null()
    )
    after = 0
    while page := list(query.where(Suppression.id > after).order_by(Suppression.id).limit(_PAGE)):
        for one in page:
            yield SharedSuppression(
                key=check,
                fingerprint=one.fingerprint,
                reason=one.reason,
                at=stored(one.at),
                subject=one.subject,
            )
        after = page[-1].id


def _write_json(rows: Iterable[SharedSuppression], out: StreamWriter) -> None:
    before = "[\n"
    for row in rows:
        out.write(before + json.dumps(asdict(row)))
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def _write_csv(rows: Iterable[SharedSuppression], out: StreamWriter) -> None:
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(vars(row) for row in rows)


def read_shared(text: str, *, settings: Settings) -> list[SharedSuppression] | None:
    """Read such a file; None if it is something else.

    Raises Refused for one that was made under another key, or that is broken.
    """
    rows = _rows(text)
    if rows is None:
        return None
    check = key_check(settings.fingerprint_key)
    found = [_row(number, row) for number, row in enumerate(rows, start=1)]
    if any(row.key != check for row in found):
        raise Refused(
            "these fingerprints were made under another fingerprint_key: they say nothing of any "
            "address here. Only systems that share the key can exchange them; between others, hand "
            "over the addresses themselves"
        )
    return found


def _rows(text: str) -> list[Any] | None:
    """Return the rows of a text that looks like such a file."""
    if text.startswith("[") and '"fingerprint"' in text:
        try:
            rows: list[Any] = json.loads(text)
        except (ValueError, RecursionError):
            raise Refused("this file is cut off or broken: it is no JSON") from None
        return rows
    title = text.partition("\n")[0].strip().replace('"', "")
    for delimiter in _DELIMITERS:
        if {"key", "fingerprint"} <= set(title.split(delimiter)):
            return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    return None


def _row(number: int, row: Any) -> SharedSuppression:
    try:
        found = SharedSuppression(**{name: row[name] for name in _COLUMNS})
        # Only in small letters does it fit the fingerprint that is made of an address later.
        found = replace(found, fingerprint=found.fingerprint.lower())
        if _FINGERPRINT.fullmatch(found.fingerprint) and found.reason in _REASONS:
            stored(datetime.fromisoformat(found.at))
            return found
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise Refused(
        "suppression %(number)s of this file is broken; nothing was taken in", number=str(number)
    )


def of_shared(rows: Sequence[SharedSuppression]) -> Iterator[tuple[str, str, datetime, str]]:
    """Yield fingerprint, reason, moment and subject of each."""
    for row in rows:
        yield row.fingerprint, row.reason, datetime.fromisoformat(row.at), row.subject
