"""Whom the journal names as not to be asked, and the database does not keep from being asked.

Such a suppression was deleted by somebody, or its lifting is missing since the process was killed
before it wrote it. A million lines are read in some seconds, once; what is kept of each suppression
in memory is short.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import JOIN

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.db.connection import chunks, proxy, stream_rows
from repermit.db.models.base import parse_timestamp
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.suppression_journal import Journal
from repermit.errors import JournalRefused
from repermit.rules.consent import OWN_YES

_CHUNK = 500
_REMOVED = "removed"

_SuppressionKey = tuple[str, str]
"""A list's slug, and the fingerprint of an address."""


@dataclass(frozen=True, kw_only=True)
class LostSuppression:
    """A suppression that the journal knows alone; `line` is where, counting from 1."""

    line: int
    list: str
    fingerprint: str
    subject: str
    reason: str
    at: datetime
    has_moved: bool


@dataclass
class _JournalReading:
    """What a journal says of those whom the database does not keep from being asked.

    `found` are the lines, each with the octet where it stands; `offsets` are all of these, and
    `counted` those of transactions that were committed. Journals of earlier versions do not say
    that: what stands before `first_kept` counts.
    """

    found: dict[_SuppressionKey, list[tuple[int, LostSuppression]]]
    lifted: dict[_SuppressionKey, str]
    offsets: list[int]
    counted: set[int]
    first_kept: int | None = None

    def latest(self, whose: _SuppressionKey) -> LostSuppression | None:
        """Return the latest line that counts, None if there is none."""
        counting = [
            one
            for offset, one in self.found[whose]
            if self.first_kept is None or offset < self.first_kept or offset in self.counted
        ]
        return max(counting, key=lambda one: one.at, default=None)


def find_lost_suppressions(
    *, key: bytes, slug: str | None = None, size: int | None = None
) -> list[LostSuppression]:
    """Return whom the journal keeps from being asked on a list, or on all, and the database not.

    - `size`: octets of the journal before the database was read as it is seen here, so that nobody
      who was suppressed since is missed in it; None if it is read as it is now.

    Nobody who has said Yes themselves since, nor whom a file brought that was taken back; nor, of
    an address that its holder has left for another one, whoever has it now. Raises JournalRefused
    if the journal cannot be read; one that is not there, or of another key, says nothing.
    """
    journal: Journal | None = proxy.obj.journal
    if journal is None:
        return []
    size = journal.size() if size is None else size
    reading = _read_journal(journal, _read_suppressed(slug), slug, size)
    list_ids = {row.slug: row.id for row in MailingList.select(MailingList.id, MailingList.slug)}
    undone_imports = _find_undone_imports()
    lost_lines = [
        suppression
        for key_of_line in reading.found
        if (suppression := reading.latest(key_of_line))
        and suppression.list in list_ids
        and reading.lifted.get(key_of_line, "") < format_timestamp(suppression.at)
        and (suppression.list, format_timestamp(suppression.at)) not in undone_imports
    ]
    return sorted(
        _skip_returned(lost_lines, list_ids, key), key=lambda suppression: suppression.line
    )


def _read_suppressed(slug: str | None) -> Mapping[str, set[bytes]]:
    """Return who is suppressed, by list ("" for all): the first halves of their fingerprints."""
    query: Any = Suppression.select(Suppression.fingerprint, MailingList.slug).join(
        MailingList, JOIN.LEFT_OUTER
    )
    if slug is not None:
        query = query.where((MailingList.slug == slug) | Suppression.list.is_null())
    suppressed: dict[str, set[bytes]] = defaultdict(set)
    database = proxy.obj
    for fingerprint, list_slug in (
        stream_rows(query) if database.in_transaction() else database.execute(query)
    ):
        suppressed[list_slug or ""].add(_shorten(fingerprint))
    return suppressed


def _shorten(fingerprint: str) -> bytes:
    return bytes.fromhex(fingerprint[:32])


def _read_journal(
    journal: Journal, held: Mapping[str, set[bytes]], slug: str | None, size: int
) -> _JournalReading:
    reading = _JournalReading({}, {}, [], set())
    for_all = held.get("", set())
    for number, offset, text in _iter_lines(journal):
        # Nearly all of a million lines are about those who are suppressed.
        match = _SUPPRESS_LINE.match(text)
        if match and _is_suppressed(match[1], match[2], held, for_all):
            continue
        if (
            reading.first_kept is not None
            and not reading.offsets
            and text.startswith(_COMMITTED_LINE)
        ):
            continue
        line = _parse_line(text)
        if offset >= size and line.get("do") != "lift":
            continue
        # One that was cut off, or altered, says nothing here.
        with suppress(ValueError, KeyError, TypeError):
            if line.get("do") == "kept":
                _add_committed(reading, line)
            elif line.get("do") in {"suppress", "lift"} and slug in {None, line["list"]}:
                short_fingerprint = _shorten(line["fingerprint"])
                if (
                    short_fingerprint not in held.get(line["list"], ())
                    and short_fingerprint not in for_all
                ):
                    _add_line(reading, line, number, offset)
    return reading


_SUPPRESS_LINE = re.compile(
    rb'{"do":"suppress","at":"[^"]*","list":"([^"\\]*)","fingerprint":"([0-9a-f]{32})'
)
_COMMITTED_LINE = b'{"do":"kept"'


def hash_journal_suppressions(journal: Journal) -> array[int]:
    """Return the marks of all suppressions that stand in a journal by now, sorted."""
    marks = array("q")
    for _, _, text in _iter_lines(journal):
        match = _MARKED_LINE.match(text)
        if match:
            marks.append(
                hash_suppression(*(part.decode(errors="replace") for part in match.groups()))
            )
        elif text.startswith(b'{"do":"suppress"'):
            content = _parse_line(text)
            with suppress(KeyError, TypeError):
                marks.append(hash_suppression(*(content[name] for name in _MARKED_KEYS)))
    return array("q", sorted(marks))


def hash_suppression(at: str, slug: str, fingerprint: str, reason: str) -> int:
    """Return a number of 64 bits for a suppression, the same in this process alone."""
    return hash((at, slug, fingerprint, reason))


_MARKED_KEYS = ("at", "list", "fingerprint", "reason")
# In memory each line is eight octets: a million may be there.
_MARKED_LINE = re.compile(
    rb'{"do":"suppress","at":"([^"\\]*)","list":"([^"\\]*)","fingerprint":"([0-9a-f]{64})"'
    rb',"subject":"[0-9a-f]{32}","reason":"([^"\\]*)"'
)


def _is_suppressed(
    slug: bytes, half: bytes, held: Mapping[str, set[bytes]], for_all: set[bytes]
) -> bool:
    short_fingerprint = bytes.fromhex(half.decode())
    return (
        short_fingerprint in held.get(slug.decode(errors="replace"), ())
        or short_fingerprint in for_all
    )


def _iter_lines(journal: Journal) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, octet and text of each line."""
    try:
        with journal.path.open("rb") as file:
            first, offset = file.readline(), 0
            if _parse_line(first).get("check") != journal.key_check:
                return
            offset = len(first)
            for number, text in enumerate(file, 2):
                yield number, offset, text
                offset += len(text)
    except FileNotFoundError:
        return
    except OSError as error:
        raise JournalRefused(
            "the journal of suppressions %(path)s cannot be read (%(reason)s)",
            path=str(journal.path),
            reason=str(error.strerror),
        ) from None


def _parse_line(text: bytes) -> dict[str, Any]:
    """Return a line, {} if it is not whole."""
    try:
        line: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


def _add_line(reading: _JournalReading, line: Mapping[str, Any], number: int, offset: int) -> None:
    key = line["list"], line["fingerprint"]
    if line["do"] == "lift":
        reading.lifted[key] = max(line["until"], reading.lifted.get(key, ""))
        return
    suppression = LostSuppression(
        line=number,
        list=line["list"],
        fingerprint=line["fingerprint"],
        subject=line["subject"],
        reason=line["reason"],
        at=parse_timestamp(line["at"]),
        has_moved=line.get("by") == "move",
    )
    reading.offsets.append(offset)
    reading.found.setdefault(key, []).append((offset, suppression))


def _add_committed(reading: _JournalReading, line: Mapping[str, Any]) -> None:
    first, end = line["from"], line["to"]
    if reading.first_kept is None:
        reading.first_kept = first
    index = bisect_left(reading.offsets, first)
    while index < len(reading.offsets) and reading.offsets[index] < end:
        reading.counted.add(reading.offsets[index])
        index += 1


def _find_undone_imports() -> set[_SuppressionKey]:
    """Return list and moment of each file that was taken back."""
    query: Any = (
        Import.select(MailingList.slug, Import.at)
        .join(MailingList)
        .where(Import.undone_at.is_null(is_null=False))
    )
    return {(slug, format_timestamp(at)) for slug, at in query.tuples()}


def _skip_returned(
    lost: Iterable[LostSuppression], list_ids: Mapping[str, int], key: bytes
) -> Iterator[LostSuppression]:
    """Yield those whose address is on its list by no right of its holder."""
    by_list: dict[str, list[LostSuppression]] = {}
    for suppression in lost:
        by_list.setdefault(suppression.list, []).append(suppression)
    for slug, suppressions in by_list.items():
        contacts = _find_contacts(
            list_ids[slug], {suppression.fingerprint for suppression in suppressions}, key
        )
        for suppression in suppressions:
            contact = contacts.get(suppression.fingerprint)
            if contact is None or not _is_rightly_on_list(contact, suppression):
                yield suppression


def _find_contacts(number: int, wanted: set[str], key: bytes) -> dict[str, Contact]:
    """Return the contacts of a list with these fingerprints."""
    query: Any = Contact.select(Contact.id, Contact.address_key).where(
        Contact.list == number, Contact.erased_at.is_null()
    )
    rows = list(query.tuples())
    all_fingerprints = email_address.fingerprints(key, [address_key for _, address_key in rows])
    fingerprint_by_id = {
        number: fingerprint
        for (number, _), fingerprint in zip(rows, all_fingerprints, strict=True)
        if fingerprint in wanted
    }
    contacts: dict[str, Contact] = {}
    for chunk in chunks(sorted(fingerprint_by_id), _CHUNK):
        for contact in list(Contact.select().where(Contact.id.in_(list(chunk)))):
            contacts[fingerprint_by_id[contact.id]] = contact
    return contacts


def _is_rightly_on_list(contact: Contact, suppression: LostSuppression) -> bool:
    has_said_yes = (
        contact.status == "confirmed"
        and contact.basis in OWN_YES
        and contact.status_at > suppression.at
    )
    return bool(has_said_yes or (suppression.has_moved and contact.status != _REMOVED))
