"""Writing and reading files of suppressions, for another system with the same fingerprint key."""

from __future__ import annotations

import codecs
import csv
import json
import re
from codecs import StreamWriter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.db import background_tasks
from repermit.db.connection import Database, RowCounter, iter_pages, read_snapshot
from repermit.db.models.contacts import Suppression
from repermit.db.models.lists import MailingList
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import LEFT_ELSEWHERE, Reason
from repermit.settings.definitions import Settings

SUBJECT = re.compile(r"[0-9a-f]{32}")
"""A subject, as `new_id` makes it."""

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_REASONS = {*Reason, *LEFT_ELSEWHERE}
_PAGE = 2000
_DELIMITERS = (",", ";", "\t")
"""The delimiter that is written, and those with which Excel saves the file in other countries."""

_PIECE = 1 << 16
_MAX_ROW_LENGTH = 1 << 18
_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True, kw_only=True)
class SharedSuppression:
    """One row; `key` is a check value of the fingerprint key that made it."""

    key: str
    fingerprint: str
    reason: str
    at: str
    subject: str


_COLUMNS = [column.name for column in fields(SharedSuppression)]


def make_short_key_check(key: bytes) -> str:
    """Return a value that identifies a fingerprint key without revealing it."""
    return email_address.fingerprint(key, "which key is this")[:16]


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

    They are read from one snapshot, in constant memory, without locks. The file has no addresses.
    The export is recorded; if writing ends early, with `whole` false and the number of rows
    written. Raises Refused while an import into the list is running.
    """
    written, is_whole = RowCounter(), False
    consent: dict[str, Any] = {
        "what": "suppressions",
        "format": form,
        "tool": "",
        "with_links": False,
    }
    entry = Entry(event="exported", at=now, actor=actor, list=mailing_list.slug)
    text = codecs.getwriter("utf-8")(out)
    rows = written.count(_read_rows(mailing_list, make_short_key_check(settings.fingerprint_key)))
    try:
        # Checked in the snapshot, as an import may begin while a slow reader takes the rows.
        with read_snapshot(database):
            background_tasks.require_no_running_import(mailing_list)
            (_write_json if form == "json" else _write_csv)(rows, text)
        is_whole = True
    finally:
        if is_whole or written.rows:
            consent["rows"] = written.rows
            if not is_whole:
                consent["whole"] = False
            with database.atomic():
                chain.append(replace(entry, consent=consent))
    return written.rows


def _read_rows(mailing_list: MailingList, check: str) -> Iterator[SharedSuppression]:
    """Yield the rows of the file, read some thousands at a time."""
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
    for page in iter_pages(query, Suppression.id, size=_PAGE, read_key=attrgetter("id")):
        for row in page:
            yield SharedSuppression(
                key=check,
                fingerprint=row.fingerprint,
                reason=row.reason,
                at=format_timestamp(row.at),
                subject=row.subject,
            )


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


def read_shared(path: Path, *, settings: Settings) -> Iterator[SharedSuppression] | None:
    """Return an iterator over the rows of such a file; None for another file.

    The iterator raises Refused for a file of another key, or a malformed one.
    """
    rows = _open_rows(path)
    return (
        None if rows is None else _check_key(rows, make_short_key_check(settings.fingerprint_key))
    )


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text file; bytes that are not UTF-8 are skipped."""
    with path.open(encoding="utf-8-sig", errors="ignore") as file:
        yield file


def _check_key(rows: Iterator[Any], check: str) -> Iterator[SharedSuppression]:
    for number, row in enumerate(rows, start=1):
        suppression = _check_row(number, row)
        if suppression.key != check:
            raise Refused(
                "these fingerprints were made under another fingerprint_key: they say nothing of "
                "any address here. Only systems that share the key can exchange them; between "
                "others, hand over the addresses themselves"
            )
        yield suppression


def _open_rows(path: Path) -> Iterator[Any] | None:
    """Return the rows of a file that looks like such a file; None for another one."""
    with opened(path) as file:
        beginning = file.read(_PIECE)
    if beginning.startswith("[") and '"fingerprint"' in beginning:
        return _read_json_rows(path)
    title = beginning.partition("\n")[0].strip().replace('"', "")
    for delimiter in _DELIMITERS:
        if {"key", "fingerprint"} <= set(title.split(delimiter)):
            return _read_csv_rows(path, delimiter)
    return None


def _read_csv_rows(path: Path, delimiter: str) -> Iterator[Any]:
    with opened(path) as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        try:
            yield from reader
        except csv.Error:
            raise _make_broken_error(reader.line_num) from None


def _read_json_rows(path: Path) -> Iterator[Any]:
    """Yield the objects of an array, reading the file in pieces."""
    decode = json.JSONDecoder().raw_decode
    with opened(path) as file:
        text, place = file.read(_PIECE), 1
        while True:
            between = _BETWEEN.match(text, place)
            place = between.end() if between else place
            try:
                row, place = decode(text, place)
            except (ValueError, RecursionError):
                if text.startswith("]", place) and not text[place + 1 :].strip():
                    return
                more = file.read(_PIECE)
                text, place = text[place:] + more, 0
                if not more or len(text) > _MAX_ROW_LENGTH:
                    raise _make_json_error() from None
            else:
                if not isinstance(row, dict):
                    raise _make_json_error()
                yield row


def _make_json_error() -> Refused:
    return Refused("this file is cut off or broken: it is no JSON")


def _check_row(number: int, row: Any) -> SharedSuppression:
    try:
        suppression = SharedSuppression(**{name: row[name] for name in _COLUMNS})
        # In lower case, as fingerprints of addresses are compared as text.
        suppression = replace(suppression, fingerprint=suppression.fingerprint.lower())
        is_whole = _FINGERPRINT.fullmatch(suppression.fingerprint) and SUBJECT.fullmatch(
            suppression.subject
        )
        if is_whole and suppression.reason in _REASONS:
            format_timestamp(datetime.fromisoformat(suppression.at))
            return suppression
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        pass
    raise _make_broken_error(number)


def _make_broken_error(number: int) -> Refused:
    return Refused(
        "suppression %(number)s of this file is broken; nothing was taken in", number=str(number)
    )
