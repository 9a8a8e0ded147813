"""What the entries of the record say of where people came to stand, counted.

Nothing here writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from repermit.db.connection import chunks
from repermit.db.models.base import stored
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart

_CHUNK = 500
_EVENTS = ("confirmed", "removed")
_UNDOING = ("import_undone", "sign_up_undone")


class Turn(StrEnum):
    """Where somebody came to stand: `yes`, or the reason for which they were taken off."""

    YES = "yes"
    NO = "no"
    WITHDRAWN = "withdrawn"
    NO_RESPONSE = "no_response"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    REQUEST = "request"


class Key(NamedTuple):
    """What is counted: people of a list's campaign (0: of none) on a day, or now if that is ""."""

    list: str
    campaign: int
    day: str
    what: Turn


@dataclass(frozen=True)
class Taken:
    """A turn of one person, as an entry of the record has it.

    `may_be_undone` says that a file that was taken in said so, or the page of a sign-up: what they
    did may be taken back.
    """

    seq: int
    at: datetime
    list: str
    campaign: int
    subject: str
    what: Turn
    may_be_undone: bool


def head() -> int:
    """Return the number of the newest entry."""
    newest: int = EvidenceHead.get().seq
    return newest


def turns(*, after: int, upto: int, slug: str = "") -> Iterator[Taken]:
    """Yield the turns among these entries, in their order; of one list, or of all.

    What no longer says what it was, since its part has been erased, is left out; so is a sign-up
    that an import brought, which answered nothing here, and what a file or the Yes of a sign-up did
    that was taken back among these.
    """
    own = (Evidence.list == slug,) if slug else ()
    rows = Evidence.select().where(
        Evidence.seq > after, Evidence.seq <= upto, Evidence.event.in_(_EVENTS), *own
    )
    yield from _standing(_read(list(rows.order_by(Evidence.seq))), upto=upto)


def count(after: int, upto: int, zone: ZoneInfo) -> Counter[Key]:
    """Return by how much each count changes through these entries.

    Who turns for the second time in a campaign stands where they did before no more. What a file or
    a sign-up did that was then taken back is as if it had never been.
    """
    changes: Counter[Key] = Counter()
    found, undone = list(turns(after=after, upto=upto)), _taken_back(after, upto)
    stood = _stood({one.subject for one in (*found, *undone) if one.campaign}, upto=after)
    for one in undone:
        changes[Key(one.list, one.campaign, _day(one.at, zone), one.what)] -= 1
        if not one.campaign:
            continue
        person = (one.campaign, one.subject)
        changes[Key(one.list, one.campaign, "", one.what)] -= 1
        before = _stood({one.subject}, upto=one.seq - 1).get(person)
        stood.pop(person, None)
        if before is not None:
            changes[Key(one.list, one.campaign, "", before)] += 1
            stood[person] = before
    for one in found:
        changes[Key(one.list, one.campaign, _day(one.at, zone), one.what)] += 1
        if not one.campaign:
            continue
        person = (one.campaign, one.subject)
        if person in stood:
            changes[Key(one.list, one.campaign, "", stood[person])] -= 1
        changes[Key(one.list, one.campaign, "", one.what)] += 1
        stood[person] = one.what
    return changes


def _stood(subjects: Iterable[str], *, upto: int) -> dict[tuple[int, str], Turn]:
    """Return where these people stood in each campaign after the entry `upto`."""
    stood = {}
    for some in chunks(sorted(subjects), _CHUNK):
        rows = Evidence.select().where(Evidence.subject.in_(some), Evidence.event.in_(_EVENTS))
        before = sorted((row for row in rows if row.seq <= upto), key=lambda row: int(row.seq))
        found = _standing(_read(before), upto=upto)
        stood.update({(one.campaign, one.subject): one.what for one in found})
    return stood


def _standing(found: Iterable[Taken], *, upto: int) -> Iterator[Taken]:
    """Yield turns but for those that were taken back, with what brought them, by `upto`."""
    known = list(found)
    gone = _undone(Evidence.subject.in_(some) for some in chunks(_undoable(known), _CHUNK))
    for one in known:
        seq = gone.get(_whose(one.list, one.subject, stored(one.at)), upto + 1)
        if not one.may_be_undone or seq > upto:
            yield one


def _undoable(found: Iterable[Taken]) -> list[str]:
    return sorted({one.subject for one in found if one.may_be_undone})


def _taken_back(after: int, upto: int) -> list[Taken]:
    """Return the turns up to the entry `after` that were taken back since then."""
    gone = _undone([(Evidence.seq > after) & (Evidence.seq <= upto) & (Evidence.subject != "")])
    rows: list[Evidence] = []
    for some in chunks(sorted({subject for _, subject, _ in gone}), _CHUNK):
        own = Evidence.select().where(Evidence.subject.in_(some), Evidence.event.in_(_EVENTS))
        rows += [row for row in own if row.seq <= after]
    return [
        one
        for one in _read(sorted(rows, key=lambda row: int(row.seq)))
        if one.may_be_undone and _whose(one.list, one.subject, stored(one.at)) in gone
    ]


def _undone(wanted: Iterable[Any]) -> dict[tuple[str, str, str], int]:
    """Return which entries took back what had been done to somebody; see `_whose`."""
    rows: list[Evidence] = []
    for some in wanted:
        rows.extend(Evidence.select().where(some, Evidence.event.in_(_UNDOING)))
    found: dict[tuple[str, str, str], int] = {}
    for part in chunks(rows, _CHUNK):
        said = _said([row.seq for row in part])
        for row in part:
            told = said.get(row.seq, {})
            at = told.get("imported_at") or told.get("confirmed_at", "")
            found[_whose(row.list, row.subject, at)] = row.seq
    return found


def _whose(slug: str, subject: str, at: str) -> tuple[str, str, str]:
    """Return what is the same of a turn that may be taken back and of its being so."""
    return slug, subject, at


def _read(rows: Sequence[Evidence]) -> Iterator[Taken]:
    for some in chunks(rows, _CHUNK):
        said = _said([row.seq for row in some])
        for row in some:
            its = said.get(row.seq, {})
            what, may_be_undone = _turn(its), "file" in its or "signed_up_at" in its
            if what is not None:
                known = (row.seq, row.at, row.list, row.campaign, row.subject)
                yield Taken(*known, what, may_be_undone)


def _said(seqs: Sequence[int]) -> dict[int, dict[str, Any]]:
    parts = EvidencePart.select().where(EvidencePart.seq.in_(seqs), EvidencePart.part == "consent")
    return {part.seq: json.loads(part.json) for part in parts}


def _turn(said: dict[str, Any]) -> Turn | None:
    if "reason" in said:
        return Turn(said["reason"])
    return Turn.YES if said.get("answer") == Turn.YES else None


def _day(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).date().isoformat()


# --- What admins did about a list, read from the evidence. ----------------------------------------


_ACTS_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class AdminAct:
    """An act; `said` is what its entry keeps of it, and `list` "" where it was about none."""

    seq: int
    at: datetime
    event: str
    actor: str
    list: str
    campaign: int
    said: Mapping[str, Any]


def read_acts(
    slug: str, events: Sequence[str], *, since: datetime | None = None
) -> tuple[AdminAct, ...]:
    """Return the acts of these kinds about a list ("": about no list), oldest first."""
    recent = () if since is None else (Evidence.at >= since,)
    # Acts are about nobody, so that the index of subjects finds them among a million answers.
    rows = list(
        Evidence.select()
        .where(Evidence.subject == "", Evidence.list == slug, Evidence.event.in_(events), *recent)
        .order_by(Evidence.seq)
    )
    return _read_acts(rows)


def _read_acts(rows: Sequence[Evidence]) -> tuple[AdminAct, ...]:
    said: dict[int, dict[str, Any]] = {}
    for some in chunks([row.seq for row in rows], _ACTS_CHUNK):
        parts = EvidencePart.select().where(
            EvidencePart.seq.in_(some), EvidencePart.part == "consent"
        )
        said.update({part.seq: json.loads(part.json) for part in parts})
    return tuple(
        AdminAct(
            seq=row.seq,
            at=row.at,
            event=row.event,
            actor=row.actor,
            list=row.list,
            campaign=row.campaign,
            said=said.get(row.seq, {}),
        )
        for row in rows
    )
