"""Finding suppressions that the journal has and the database lacks.

Somebody has deleted such a suppression from the database, or the process was killed before it wrote
its lift to the journal. A million lines are read in some seconds; memory holds half a fingerprint a
suppression.
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
    """A suppression that only the journal has; `line` is its line number, from 1."""

    line: int
    list: str
    fingerprint: str
    subject: str
    reason: str
    at: datetime
    has_moved: bool


@dataclass
class _JournalScan:
    """The lines of a journal about addresses that the database does not suppress.

    - `lines`: the suppressions by list and fingerprint, each with its offset in octets.
    - `lifted`: until when suppressions are lifted.
    - `offsets`: the offsets of all suppressions in `lines`.
    - `committed`: those of committed transactions.
    - `first_range`: where the first committed range begins. Journals of earlier versions have no
      ranges, so lines before it count as committed.
    """

    lines: dict[_SuppressionKey, list[tuple[int, LostSuppression]]]
    lifted: dict[_SuppressionKey, str]
    offsets: list[int]
    committed: set[int]
    first_range: int | None = None

    def find_latest(self, key: _SuppressionKey) -> LostSuppression | None:
        """Return the latest committed suppression of a list and fingerprint, or None."""
        committed = [
            suppression
            for offset, suppression in self.lines[key]
            if self.first_range is None or offset < self.first_range or offset in self.committed
        ]
        return max(committed, key=lambda suppression: suppression.at, default=None)


def find_lost_suppressions(
    *, key: bytes, slug: str | None = None, size: int | None = None
) -> list[LostSuppression]:
    """Return the suppressions that the journal has and the database lacks, by line number.

    Left out are addresses with a later Yes of their own, addresses from an undone import, and
    addresses that their former holder has left for another one and that are on the list now.

    - `slug`: the list; None for all lists.
    - `size`: the size of the journal before the caller's snapshot of the database began: later
      suppressions are not in that snapshot. None for the size now.
    - Raises JournalRefused if the journal cannot be read; a missing one, or one of another key,
      has no lines.
    """
    journal: Journal | None = proxy.obj.journal
    if journal is None:
        return []
    size = journal.size() if size is None else size
    scan = _read_journal(journal, _read_suppressed(slug), slug, size)
    list_ids = {row.slug: row.id for row in MailingList.select(MailingList.id, MailingList.slug)}
    undone_imports = _find_undone_imports()
    lost_lines = [
        suppression
        for key_of_line in scan.lines
        if (suppression := scan.find_latest(key_of_line))
        and suppression.list in list_ids
        and scan.lifted.get(key_of_line, "") < format_timestamp(suppression.at)
        and (suppression.list, format_timestamp(suppression.at)) not in undone_imports
    ]
    return sorted(_select_lost(lost_lines, list_ids, key), key=lambda suppression: suppression.line)


def _read_suppressed(slug: str | None) -> Mapping[str, set[bytes]]:
    """Return the first halves of the suppressed fingerprints, by list; "" is for all lists."""
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
    journal: Journal, suppressed_by_list: Mapping[str, set[bytes]], slug: str | None, size: int
) -> _JournalScan:
    scan = _JournalScan({}, {}, [], set())
    for_all = suppressed_by_list.get("", set())
    for number, offset, text in _iter_lines(journal):
        # Nearly all of a million lines are about suppressed addresses.
        match = _SUPPRESS_LINE.match(text)
        if match and _is_suppressed(match[1], match[2], suppressed_by_list, for_all):
            continue
        if scan.first_range is not None and not scan.offsets and text.startswith(_COMMITTED_LINE):
            continue
        line = _parse_line(text)
        if offset >= size and line.get("do") != "lift":
            continue
        # A line that was cut off or altered is skipped.
        with suppress(ValueError, KeyError, TypeError):
            if line.get("do") == "kept":
                _add_committed(scan, line)
            elif line.get("do") in {"suppress", "lift"} and slug in {None, line["list"]}:
                short_fingerprint = _shorten(line["fingerprint"])
                if (
                    short_fingerprint not in suppressed_by_list.get(line["list"], ())
                    and short_fingerprint not in for_all
                ):
                    _add_line(scan, line, number, offset)
    return scan


_SUPPRESS_LINE = re.compile(
    rb'{"do":"suppress","at":"[^"]*","list":"([^"\\]*)","fingerprint":"([0-9a-f]{32})'
)
_COMMITTED_LINE = b'{"do":"kept"'


def hash_journal_suppressions(journal: Journal) -> array[int]:
    """Return the hashes of all suppressions in a journal, sorted; see `hash_suppression`."""
    hashes = array("q")
    for _, _, text in _iter_lines(journal):
        match = _HASHED_LINE.match(text)
        if match:
            hashes.append(
                hash_suppression(*(part.decode(errors="replace") for part in match.groups()))
            )
        elif text.startswith(b'{"do":"suppress"'):
            content = _parse_line(text)
            with suppress(KeyError, TypeError):
                hashes.append(hash_suppression(*(content[name] for name in _HASHED_KEYS)))
    return array("q", sorted(hashes))


def hash_suppression(at: str, slug: str, fingerprint: str, reason: str) -> int:
    """Return a 64-bit hash of a suppression, valid in this process only."""
    return hash((at, slug, fingerprint, reason))


_HASHED_KEYS = ("at", "list", "fingerprint", "reason")
# Eight octets a line in memory: there may be a million.
_HASHED_LINE = re.compile(
    rb'{"do":"suppress","at":"([^"\\]*)","list":"([^"\\]*)","fingerprint":"([0-9a-f]{64})"'
    rb',"subject":"[0-9a-f]{32}","reason":"([^"\\]*)"'
)


def _is_suppressed(
    slug: bytes,
    fingerprint_half: bytes,
    suppressed_by_list: Mapping[str, set[bytes]],
    for_all: set[bytes],
) -> bool:
    short_fingerprint = bytes.fromhex(fingerprint_half.decode())
    return (
        short_fingerprint in suppressed_by_list.get(slug.decode(errors="replace"), ())
        or short_fingerprint in for_all
    )


def _iter_lines(journal: Journal) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset and text of each line; none for a missing file or another key."""
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
    """Return a line's object; {} if it is not a complete JSON object."""
    try:
        line: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


def _add_line(scan: _JournalScan, line: Mapping[str, Any], number: int, offset: int) -> None:
    key = line["list"], line["fingerprint"]
    if line["do"] == "lift":
        scan.lifted[key] = max(line["until"], scan.lifted.get(key, ""))
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
    scan.offsets.append(offset)
    scan.lines.setdefault(key, []).append((offset, suppression))


def _add_committed(scan: _JournalScan, line: Mapping[str, Any]) -> None:
    first, end = line["from"], line["to"]
    if scan.first_range is None:
        scan.first_range = first
    index = bisect_left(scan.offsets, first)
    while index < len(scan.offsets) and scan.offsets[index] < end:
        scan.committed.add(scan.offsets[index])
        index += 1


def _find_undone_imports() -> set[_SuppressionKey]:
    """Return the list and time of each undone import."""
    query: Any = (
        Import.select(MailingList.slug, Import.at)
        .join(MailingList)
        .where(Import.undone_at.is_null(is_null=False))
    )
    return {(slug, format_timestamp(at)) for slug, at in query.tuples()}


def _select_lost(
    lost: Iterable[LostSuppression], list_ids: Mapping[str, int], key: bytes
) -> Iterator[LostSuppression]:
    """Yield the suppressions whose address is not on its list by a right of its holder."""
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


def _find_contacts(list_id: int, wanted_fingerprints: set[str], key: bytes) -> dict[str, Contact]:
    """Return the contacts of a list with these fingerprints."""
    query: Any = Contact.select(Contact.id, Contact.address_key).where(
        Contact.list == list_id, Contact.erased_at.is_null()
    )
    rows = list(query.tuples())
    all_fingerprints = email_address.fingerprints(key, [address_key for _, address_key in rows])
    fingerprint_by_id = {
        number: fingerprint
        for (number, _), fingerprint in zip(rows, all_fingerprints, strict=True)
        if fingerprint in wanted_fingerprints
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
