"""Whether proofs were erased by the retention job alone, and not before their time.

May import clock, models and this room's faults. A proof is the part `consent` of an entry. It ends
so many years after its person was taken off, or after the file that claimed it was taken back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from peewee import JOIN, Value

from repermit.clock import years_before
from repermit.evidence.faults import Fault, How
from repermit.models import Evidence, EvidencePart, Meta, chunks, position, read_moment, streamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

TERMS_TOLD_SINCE = "terms_told_since"
"""The fact under which a database keeps after which entry erasures of proofs tell their term."""

_CHUNK = 500
_JOB = "job"
_OFF = "removed"
_STANDINGS = ("confirmed", "customer", _OFF, "import_undone", "sign_up_undone")
_TAKEN_BACK = ("import_undone", "erased")

_Person = tuple[str, str]
"""The subject of somebody's record, and the list's slug."""


class _Erasure(NamedTuple):
    """An entry `erased` that names proofs: `years` is the term that it tells, None for none."""

    seq: int
    at: datetime
    subject: str
    slug: str
    seqs: Sequence[int]
    years: int | None


@dataclass(frozen=True, kw_only=True)
class _Told:
    """An entry about somebody; `said` is its part `consent` where it took a file back."""

    seq: int
    at: datetime
    event: str
    said: Mapping[str, Any]

    @property
    def takes_back(self) -> bool:
        """Say whether it took a file back that had claimed something of this person."""
        return self.event == "import_undone" or "imported_at" in self.said


def wrongly_erased_proofs() -> Iterator[Fault]:
    """Yield the entries that erased proofs which they may not, or not yet."""
    known = Meta.get_or_none(Meta.key == TERMS_TOLD_SINCE)
    since = int(known.value) if known else 0
    restored = {read_moment(at) for at in _moments_of("restored")}
    erasures: list[_Erasure] = []
    for seq, at, actor, subject, slug, text in list(streamed(_naming_proofs())):
        said = json.loads(text)
        if "consent" not in said.get("parts", ()):
            continue
        if actor != _JOB:
            yield Fault(seq, How.ERASED_WRONGLY, f"by {actor}")
            continue
        years = said.get("years")
        if type(years) is not int and (seq > since or years is not None):
            yield Fault(seq, How.ERASED_WRONGLY, "it tells no term")
            continue
        erasures.append(_Erasure(seq, read_moment(at), subject, slug, said["seqs"], years))
    for some in chunks(erasures, _CHUNK):
        owners = _owners(some)
        told = _told_of(set().union(*owners.values()))
        for erasure in some:
            if not all(
                _is_over(told.get(person, ()), erasure, restored) for person in owners[erasure.seq]
            ):
                yield Fault(erasure.seq, How.ERASED_WRONGLY, "before its time")


def _naming_proofs() -> Any:
    return (
        Evidence.select(
            Evidence.seq,
            Evidence.at,
            Evidence.actor,
            Evidence.subject,
            Evidence.list,
            EvidencePart.json,
        )
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(
            Evidence.event == "erased",
            EvidencePart.part == "consent",
            position(EvidencePart.json, Value('"consent"')) > 0,
        )
        .order_by(Evidence.seq)
    )


def _moments_of(event: str) -> Iterable[Any]:
    rows: Any = Evidence.select(Evidence.at).where(Evidence.event == event).tuples()
    return (at for (at,) in rows)


def _owners(erasures: Sequence[_Erasure]) -> dict[int, set[_Person]]:
    """Return whose proofs each erasure names; earlier versions named those of many at once."""
    owners = {one.seq: {(one.subject, one.slug)} if one.subject else set() for one in erasures}
    for one in erasures:
        if not one.subject:
            for seqs in chunks(one.seqs, _CHUNK):
                rows: Any = Evidence.select(Evidence.subject, Evidence.list).where(
                    Evidence.seq.in_(list(seqs)), Evidence.subject != ""
                )
                owners[one.seq] |= set(rows.tuples())
    return owners


def _told_of(people: Iterable[_Person]) -> dict[_Person, list[_Told]]:
    """Return the entries about these people, oldest first."""
    found: dict[_Person, list[_Told]] = {}
    for some in chunks(sorted({subject for subject, _ in people}), _CHUNK):
        rows: Any = (
            Evidence.select(
                Evidence.subject,
                Evidence.list,
                Evidence.seq,
                Evidence.at,
                Evidence.event,
                EvidencePart.json,
            )
            .join(
                EvidencePart,
                JOIN.LEFT_OUTER,
                on=(EvidencePart.seq == Evidence.seq) & (EvidencePart.part == "consent"),
            )
            .where(Evidence.subject.in_(list(some)))
            .order_by(Evidence.seq)
            .tuples()
        )
        for subject, slug, seq, at, event, text in rows.iterator():
            said = json.loads(text) if text and event in _TAKEN_BACK else {}
            one = _Told(seq=seq, at=at, event=event, said=said)
            found.setdefault((subject, slug), []).append(one)
    return found


def _is_over(told: Iterable[_Told], erasure: _Erasure, restored: Iterable[datetime]) -> bool:
    """Say whether the time of the proofs was over that an erasure names of a person."""
    earlier = [one for one in told if one.seq < erasure.seq]
    standings = [one for one in earlier if one.event in _STANDINGS]
    last = standings[-1] if standings else None
    # Who was taken off anew by restoring had left earlier, as their proof told.
    if last and last.event == _OFF and (last.at in restored or _is_due(last.at, erasure)):
        return True
    named = [one for one in earlier if one.seq in set(erasure.seqs)]
    back = [one for one in earlier if one.takes_back and _is_due(one.at, erasure)]
    return all(any(_claims(one, undone) for undone in back) for one in named)


def _is_due(moment: datetime, erasure: _Erasure) -> bool:
    return erasure.years is None or moment <= years_before(erasure.at, erasure.years)


def _claims(one: _Told, undone: _Told) -> bool:
    """Say whether an entry tells what a file claimed that was taken back by the other one."""
    # What it said itself may have ended since.
    imported_at = "" if undone.event == "erased" else undone.said.get("imported_at", "")
    return one.at == read_moment(imported_at) if imported_at else one.seq <= undone.seq
