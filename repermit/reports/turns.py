"""What the entries of the record say of where people came to stand, counted.

May import evidence, models, consent and what lies below. Nothing here writes.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from repermit.models import Evidence, EvidenceHead, EvidencePart, chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

_CHUNK = 500
_EVENTS = ("confirmed", "removed")


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
    """A turn of one person, as an entry of the record has it."""

    seq: int
    at: datetime
    list: str
    campaign: int
    subject: str
    what: Turn


def head() -> int:
    """Return the number of the newest entry."""
    newest: int = EvidenceHead.get().seq
    return newest


def turns(*, after: int, upto: int, slug: str = "") -> Iterator[Taken]:
    """Yield the turns among these entries, in their order; of one list, or of all.

    What no longer says what it was, since its part has been erased, is left out; so is a sign-up
    that an import brought, which answered nothing here.
    """
    own = (Evidence.list == slug,) if slug else ()
    rows = Evidence.select().where(
        Evidence.seq > after, Evidence.seq <= upto, Evidence.event.in_(_EVENTS), *own
    )
    yield from _read(list(rows.order_by(Evidence.seq)))


def count(after: int, upto: int, zone: ZoneInfo) -> Counter[Key]:
    """Return by how much each count changes through these entries.

    Who turns for the second time in a campaign stands where they did before no more.
    """
    changes: Counter[Key] = Counter()
    found = list(turns(after=after, upto=upto))
    stood = _stood({one.subject for one in found if one.campaign}, upto=after)
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
        stood.update({(one.campaign, one.subject): one.what for one in _read(before)})
    return stood


def _read(rows: Sequence[Evidence]) -> Iterator[Taken]:
    for some in chunks(rows, _CHUNK):
        said = _said([row.seq for row in some])
        for row in some:
            what = _turn(said.get(row.seq, {}))
            if what is not None:
                yield Taken(row.seq, row.at, row.list, row.campaign, row.subject, what)


def _said(seqs: Sequence[int]) -> dict[int, dict[str, Any]]:
    parts = EvidencePart.select().where(EvidencePart.seq.in_(seqs), EvidencePart.part == "consent")
    return {part.seq: json.loads(part.json) for part in parts}


def _turn(said: dict[str, Any]) -> Turn | None:
    if "reason" in said:
        return Turn(said["reason"])
    return Turn.YES if said.get("answer") == Turn.YES else None


def _day(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).date().isoformat()
