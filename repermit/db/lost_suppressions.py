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
from repermit.db.connection import chunks, proxy, streamed
from repermit.db.models.base import read_moment, stored
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.suppression_journal import Journal
from repermit.errors import JournalRefused

_CHUNK = 500
_OWN_YES = ("answer", "sign_up")
_OFF = "removed"

_Whose = tuple[str, str]
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
class _Heard:
    """What a journal says of those whom the database does not keep from being asked.

    `found` are the lines, each with the octet where it stands; `offsets` are all of these, and
    `counted` those of transactions that were committed. Journals of earlier versions do not say
    that: what stands before `first_kept` counts.
    """

    found: dict[_Whose, list[tuple[int, LostSuppression]]]
    lifted: dict[_Whose, str]
    offsets: list[int]
    counted: set[int]
    first_kept: int | None = None

    def latest(self, whose: _Whose) -> LostSuppression | None:
        """Return the latest line that counts, None if there is none."""
        counting = [
            one
            for offset, one in self.found[whose]
            if self.first_kept is None or offset < self.first_kept or offset in self.counted
        ]
        return max(counting, key=lambda one: one.at, default=None)


def lost_suppressions(
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
    heard = _hear(journal, _held(slug), slug, size)
    lists = {row.slug: row.id for row in MailingList.select(MailingList.id, MailingList.slug)}
    undone = _taken_back()
    lost = [
        one
        for whose in heard.found
        if (one := heard.latest(whose))
        and one.list in lists
        and heard.lifted.get(whose, "") < stored(one.at)
        and (one.list, stored(one.at)) not in undone
    ]
    return sorted(_without_returned(lost, lists, key), key=lambda one: one.line)


def _held(slug: str | None) -> Mapping[str, set[bytes]]:
    """Return who is suppressed, by list ("" for all): the first halves of their fingerprints."""
    query: Any = Suppression.select(Suppression.fingerprint, MailingList.slug).join(
        MailingList, JOIN.LEFT_OUTER
    )
    if slug is not None:
        query = query.where((MailingList.slug == slug) | Suppression.list.is_null())
    held: dict[str, set[bytes]] = defaultdict(set)
    database = proxy.obj
    for fingerprint, its in (
        streamed(query) if database.in_transaction() else database.execute(query)
    ):
        held[its or ""].add(_short(fingerprint))
    return held


def _short(fingerprint: str) -> bytes:
    return bytes.fromhex(fingerprint[:32])


def _hear(journal: Journal, held: Mapping[str, set[bytes]], slug: str | None, size: int) -> _Heard:
    heard = _Heard({}, {}, [], set())
    for_all = held.get("", set())
    for number, offset, text in _lines(journal):
        # Nearly all of a million lines are about those who are suppressed.
        plain = _PLAIN.match(text)
        if plain and _is_held(plain[1], plain[2], held, for_all):
            continue
        if heard.first_kept is not None and not heard.offsets and text.startswith(_KEPT):
            continue
        line = _read(text)
        if offset >= size and line.get("do") != "lift":
            continue
        # One that was cut off, or altered, says nothing here.
        with suppress(ValueError, KeyError, TypeError):
            if line.get("do") == "kept":
                _note_kept(heard, line)
            elif line.get("do") in {"suppress", "lift"} and slug in {None, line["list"]}:
                short = _short(line["fingerprint"])
                if short not in held.get(line["list"], ()) and short not in for_all:
                    _note(heard, line, number, offset)
    return heard


_PLAIN = re.compile(
    rb'{"do":"suppress","at":"[^"]*","list":"([^"\\]*)","fingerprint":"([0-9a-f]{32})'
)
_KEPT = b'{"do":"kept"'


def noted_suppressions(journal: Journal, size: int) -> array[int]:
    """Return the marks of all suppressions that stand in a journal's first octets, sorted."""
    marks = array("q")
    for _, offset, text in _lines(journal):
        if offset >= size:
            break
        line = _WHOLE.match(text)
        if line:
            marks.append(mark_suppression(*(one.decode(errors="replace") for one in line.groups())))
        elif text.startswith(b'{"do":"suppress"'):
            told = _read(text)
            with suppress(KeyError, TypeError):
                marks.append(mark_suppression(*(told[name] for name in _MARKED)))
    return array("q", sorted(marks))


def mark_suppression(at: str, slug: str, fingerprint: str, reason: str) -> int:
    """Return a number of 64 bits for a suppression, the same in this process alone."""
    return hash((at, slug, fingerprint, reason))


_MARKED = ("at", "list", "fingerprint", "reason")
# In memory each line is eight octets: a million may be there.
_WHOLE = re.compile(
    rb'{"do":"suppress","at":"([^"\\]*)","list":"([^"\\]*)","fingerprint":"([0-9a-f]{64})"'
    rb',"subject":"[0-9a-f]{32}","reason":"([^"\\]*)"'
)


def _is_held(slug: bytes, half: bytes, held: Mapping[str, set[bytes]], for_all: set[bytes]) -> bool:
    short = bytes.fromhex(half.decode())
    return short in held.get(slug.decode(errors="replace"), ()) or short in for_all


def _lines(journal: Journal) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, octet and text of each line."""
    try:
        with journal.path.open("rb") as file:
            first, offset = file.readline(), 0
            if _read(first).get("check") != journal.key_check:
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


def _read(text: bytes) -> dict[str, Any]:
    """Return a line, {} if it is not whole."""
    try:
        line: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


def _note(heard: _Heard, line: Mapping[str, Any], number: int, offset: int) -> None:
    whose = line["list"], line["fingerprint"]
    if line["do"] == "lift":
        heard.lifted[whose] = max(line["until"], heard.lifted.get(whose, ""))
        return
    one = LostSuppression(
        line=number,
        list=line["list"],
        fingerprint=line["fingerprint"],
        subject=line["subject"],
        reason=line["reason"],
        at=read_moment(line["at"]),
        has_moved=line.get("by") == "move",
    )
    heard.offsets.append(offset)
    heard.found.setdefault(whose, []).append((offset, one))


def _note_kept(heard: _Heard, line: Mapping[str, Any]) -> None:
    first, end = line["from"], line["to"]
    if heard.first_kept is None:
        heard.first_kept = first
    place = bisect_left(heard.offsets, first)
    while place < len(heard.offsets) and heard.offsets[place] < end:
        heard.counted.add(heard.offsets[place])
        place += 1


def _taken_back() -> set[_Whose]:
    """Return list and moment of each file that was taken back."""
    query: Any = (
        Import.select(MailingList.slug, Import.at)
        .join(MailingList)
        .where(Import.undone_at.is_null(is_null=False))
    )
    return {(slug, stored(at)) for slug, at in query.tuples()}


def _without_returned(
    lost: Iterable[LostSuppression], lists: Mapping[str, int], key: bytes
) -> Iterator[LostSuppression]:
    """Yield those whose address is on its list by no right of its holder."""
    by_list: dict[str, list[LostSuppression]] = {}
    for one in lost:
        by_list.setdefault(one.list, []).append(one)
    for slug, these in by_list.items():
        there = _contacts(lists[slug], {one.fingerprint for one in these}, key)
        for one in these:
            contact = there.get(one.fingerprint)
            if contact is None or not _is_rightly_there(contact, one):
                yield one


def _contacts(number: int, wanted: set[str], key: bytes) -> dict[str, Contact]:
    """Return the contacts of a list with these fingerprints."""
    query: Any = Contact.select(Contact.id, Contact.address_key).where(
        Contact.list == number, Contact.erased_at.is_null()
    )
    rows = list(query.tuples())
    prints = email_address.fingerprints(key, [address_key for _, address_key in rows])
    found = {
        number: fingerprint
        for (number, _), fingerprint in zip(rows, prints, strict=True)
        if fingerprint in wanted
    }
    contacts: dict[str, Contact] = {}
    for some in chunks(sorted(found), _CHUNK):
        for contact in list(Contact.select().where(Contact.id.in_(list(some)))):
            contacts[found[contact.id]] = contact
    return contacts


def _is_rightly_there(contact: Contact, one: LostSuppression) -> bool:
    has_said_yes = (
        contact.status == "confirmed" and contact.basis in _OWN_YES and contact.status_at > one.at
    )
    return bool(has_said_yes or (one.has_moved and contact.status != _OFF))
