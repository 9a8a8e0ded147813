"""Deleting parts of the evidence when their retention ends; the chain holds without them.

What ends when: `trace` (network in part, browser, openings) `trace_days` after its entry, and
what is kept of openings beside the evidence `trace_days` after its first moment. `consent`, the
proof, is needed as long as the person is mailed, and `evidence_years` longer (EDPB 05/2020
§§106-107; GDPR art. 17(3)(e): claims), so it counts from the removal; whoever is still on a list
keeps theirs. What a file claimed counts from when that file was taken back. An entry `erased`
itself says nothing of a person, and without it what it excuses would be missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from peewee import JOIN, SQL

from repermit.clock import format_timestamp, years_before
from repermit.db.connection import Database, lock_rows, make_id_list, make_value_list
from repermit.db.models.base import Meta, parse_timestamp
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.secure_delete import request_wiping
from repermit.db.work_steps import MAX_ROWS_PER_STEP, StepSize, run_counted_steps
from repermit.evidence import chain
from repermit.evidence.chain_reader import read_consents
from repermit.evidence.entries import Entry
from repermit.rules.consent import Status
from repermit.settings.definitions import Settings

# --- What undone imports claimed, whose proofs have a term of their own. --------------------------


_CLAIMS_KEY = "claims_ended"
_NOBODY = ""
_GONE = "erased"
_RESTORED = "import_undone"


class _Position(NamedTuple):
    """How far this has come: the last file that is done, and the entry reached in the next one."""

    undone_at: str = ""
    number: int = 0
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class ImportClaims:
    """Some claims of a file: the numbers of the parts that hold them, and how far that is."""

    parts: Sequence[int]
    place: _Position


def find_next_claims(latest: datetime, chunk: int) -> ImportClaims | None:
    """Return what a file that was taken back by then claimed of the next people; None: no more.

    Needs no lock: an entry is never changed, and whoever deletes finds out what is still there.
    """
    place = _read_position()
    record = _find_next_file(place, latest)
    if record is None:
        return None
    said = _read_undone_entries(record, place.seq, chunk)
    if len(said) == chunk:
        reached = place._replace(seq=said[-1][0])
    else:
        reached = _Position(format_timestamp(record.undone_at), record.id)
    return ImportClaims(parts=_find_claim_parts(record, said), place=reached)


def save_position(claims: ImportClaims) -> None:
    """Save the position after these claims, in the caller's transaction."""
    Meta.write(_CLAIMS_KEY, json.dumps(claims.place))


def _read_position() -> _Position:
    return _Position(*json.loads(Meta.read(_CLAIMS_KEY) or "[]"))


def _find_next_file(place: _Position, latest: datetime) -> Any:
    query: Any = (
        Import.select(Import.id, Import.at, Import.undone_at, MailingList.slug)
        .join(MailingList)
        .where(Import.undone_at <= latest)
    )
    if place.number:
        moment = parse_timestamp(place.undone_at)
        is_later = (Import.undone_at > moment) | (Import.id > place.number)
        query = query.where(Import.undone_at >= moment, is_later)
    return query.order_by(Import.undone_at, Import.id).objects().first()


def _read_undone_entries(record: Any, seq: int, chunk: int) -> list[tuple[int, str, str]]:
    """Return number, subject and event of the next entries by which a file was taken back."""
    query: Any = Evidence.select(Evidence.seq, Evidence.subject, Evidence.event).where(
        Evidence.seq > seq,
        Evidence.at == record.undone_at,
        Evidence.list == record.slug,
        Evidence.subject != _NOBODY,
        Evidence.event.in_((_GONE, _RESTORED)),
    )
    return list(query.order_by(Evidence.seq).limit(chunk).tuples())


def _find_claim_parts(record: Any, said: Sequence[tuple[int, str, str]]) -> list[int]:
    """Return the parts by which the file claimed something; of whom it brought, all before that.

    Somebody who is known again by an earlier address goes on under the same subject.
    """
    gone = {subject: seq for seq, subject, event in said if event == _GONE}
    rows: Any = (
        EvidencePart.select(EvidencePart.id, Evidence.seq, Evidence.subject, Evidence.at)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject.in_(make_value_list(subject for _, subject, _ in said)),
            Evidence.list == record.slug,
            Evidence.event != _GONE,
            EvidencePart.part == "consent",
        )
        .tuples()
    )
    return [
        number
        for number, seq, subject, at in rows
        if (seq < gone[subject] if subject in gone else at == record.at)
    ]


# --- Deleting the parts whose time is over. -------------------------------------------------------


_KEY = "proofs_ended"
_STANDINGS = ("confirmed", "customer", "removed", "import_undone", "sign_up_undone")

_OnList = tuple[str, str]
"""Somebody on one list: the subject of their record, and the list's slug."""


@dataclass(frozen=True, kw_only=True)
class DeletedParts:
    """How many traces and proofs were deleted, and the openings of how many contacts."""

    traces: int = 0
    proofs: int = 0
    openings: int = 0


def delete_expired_parts(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    chunk: int = MAX_ROWS_PER_STEP,
    should_stop: Callable[[], bool] = lambda: False,
) -> DeletedParts:
    """Delete the parts whose time is over, in steps of a transaction each.

    Each step appends an entry `erased` for each person, which names what it deleted of theirs. Safe
    to run twice at once.
    """

    def take(step: Callable[..., tuple[bool, int]], *known: Any) -> int:
        size = StepSize(max_rows=chunk)
        return run_counted_steps(
            database, partial(step, *known), should_stop=should_stop, size=size
        )

    traced = now - timedelta(days=settings.retention.trace_days)
    years = settings.retention.evidence_years
    proven = years_before(now, years)
    return DeletedParts(
        traces=take(_delete_traces, traced, now),
        openings=take(_delete_openings, traced),
        proofs=take(_delete_proofs, proven, now, years)
        + _delete_claims(database, now, years, chunk, should_stop),
    )


def add_years(moment: datetime, years: int) -> datetime:
    """Return the same time `years` later; 1 March for 29 February (see `years_before`)."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)


def _delete_traces(latest: datetime, now: datetime, chunk: int) -> tuple[bool, int]:
    """Delete the oldest traces that are due; return whether there may be more, and how many.

    Entries are in the order of their moments but for seconds, so that the oldest ones tell.
    """
    oldest: Any = (
        EvidencePart.select(EvidencePart.id, Evidence.at)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        # Written out, so that the index for just these is used.
        .where(SQL("part = 'trace'"))
        .order_by(EvidencePart.seq)
        .limit(chunk)
        .tuples()
    )
    found = list(oldest)
    ids = [number for number, at in found if at <= latest]
    return len(ids) == chunk, _delete_parts(ids, "trace", now) if ids else 0


def _delete_openings(latest: datetime, chunk: int) -> tuple[bool, int]:
    """Delete the oldest rows of openings that are due; as _end_traces does.

    Nothing excuses the gap, since they are no part of the evidence. A Yes that waited for a further
    press is forgotten with it, and is asked for anew.
    """
    oldest: Any = (
        Opening.select(Opening.contact)
        .where(Opening.began_at <= latest)
        .order_by(Opening.began_at)
        .limit(chunk)
        .tuples()
    )
    ids = [number for (number,) in oldest]
    if not ids:
        return False, 0
    count = (
        Opening.delete()
        .where(Opening.contact.in_(make_id_list(ids)), Opening.began_at <= latest)
        .execute()
    )
    request_wiping()
    return len(ids) == chunk, int(count)


def _delete_proofs(latest: datetime, now: datetime, years: int, chunk: int) -> tuple[bool, int]:
    """Delete the proofs of the next who were taken off long enough ago; as _end_traces does.

    How far this has come is kept: who was taken off earlier has been seen to.
    """
    upto = json.loads(Meta.lock(_KEY, default="[]"))
    found = _find_removed_later(upto, latest, chunk)
    if not found:
        return False, 0
    reached = json.dumps([format_timestamp(found[-1][0]), found[-1][1]])
    Meta.write(_KEY, reached)
    ids = _find_proofs(_find_ended({(subject, slug) for _, _, subject, slug in found}, latest))
    return len(found) == chunk, _delete_parts(ids, "consent", now, years=years) if ids else 0


def _find_removed_later(
    upto: tuple[str, int] | None, latest: datetime, most: int
) -> list[tuple[datetime, int, str, str]]:
    """Return who was taken off next: the moment, the contact, its subject and its list."""
    query: Any = (
        Contact.select(Contact.status_at, Contact.id, Contact.subject, MailingList.slug)
        # An outer join, so that the index of moments leads.
        .join(MailingList, JOIN.LEFT_OUTER)
        .where(SQL("status = 'removed'"), Contact.status_at <= latest)
        .order_by(Contact.status_at, Contact.id)
        .tuples()
    )
    if not upto:
        return list(query.limit(most))
    moment, number = parse_timestamp(upto[0]), upto[1]
    # A file takes thousands off at one moment, whom one question would look through each time.
    found = list(query.where(Contact.status_at == moment, Contact.id > number).limit(most))
    return found + list(query.where(Contact.status_at > moment).limit(most - len(found)))


def _delete_claims(
    database: Database,
    now: datetime,
    years: int,
    chunk: int,
    should_stop: Callable[[], bool],
) -> int:
    """Delete the proofs of what files claimed that were taken back long enough ago.

    What is due is looked up before anything is locked, since the record may be long.
    """
    total, latest, size = 0, years_before(now, years), StepSize(max_rows=chunk)
    while not should_stop() and (claims := find_next_claims(latest, size.rows)) is not None:
        with size.step(database):
            if claims.parts:
                total += _delete_parts(claims.parts, "consent", now, years=years)
            save_position(claims)
    return total


def _find_ended(people: Collection[_OnList], latest: datetime) -> set[_OnList]:
    """Return who was taken off a list last, and not later than that: some have come back since.

    So has whoever stands on the list again since the file was taken back that had taken them off.
    """
    rows: Any = (
        Evidence.select(Evidence.subject, Evidence.list, Evidence.event, Evidence.at, Evidence.seq)
        .where(
            Evidence.subject.in_(make_value_list(_list_subjects(people))),
            Evidence.event.in_(_STANDINGS),
        )
        .order_by(Evidence.seq)
        .tuples()
    )
    last = {(subject, slug): (at, seq, event) for subject, slug, event, at, seq in rows}
    removed = {
        one: (at, seq)
        for one, (at, seq, event) in last.items()
        if one in people and event == Status.REMOVED
    }
    in_truth = _read_removal_times([seq for at, seq in removed.values() if at > latest])
    return {one for one, (at, seq) in removed.items() if in_truth.get(seq, at) <= latest}


def _list_subjects(people: Iterable[_OnList]) -> set[str]:
    return {subject for subject, _ in people}


def _read_removal_times(seqs: Sequence[int]) -> dict[int, datetime]:
    """Return when those left who were taken off anew as a backup was put back, by entry."""
    said = {seq: content.get("left_at") for seq, content in read_consents(seqs).items()}
    return {seq: parse_timestamp(left_at) for seq, left_at in said.items() if left_at}


def _find_proofs(people: Collection[_OnList]) -> list[int]:
    rows: Any = (
        EvidencePart.select(EvidencePart.id, Evidence.subject, Evidence.list)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject.in_(make_value_list(_list_subjects(people))),
            Evidence.event != "erased",
            EvidencePart.part == "consent",
        )
        .tuples()
    )
    return [number for number, subject, slug in rows if (subject, slug) in people]


def _delete_parts(ids: Sequence[int], part: str, now: datetime, **term: int) -> int:
    """Delete these parts, all of one kind; append for each person the entry that names theirs.

    Each has one of their own, which is what excuses the gap, and stands in their proof. `term` is
    how many `years` a proof was to be kept: by this `verify` tells whether it was due.
    """
    these = EvidencePart.id.in_(make_id_list(ids))
    locked: Any = lock_rows(
        EvidencePart.select(EvidencePart.seq).where(these).order_by(EvidencePart.id)
    )
    # Another sweep, or an erasure, may have been quicker.
    seqs = [seq for (seq,) in locked.tuples()]
    owners: Any = (
        Evidence.select(Evidence.subject, Evidence.list, Evidence.seq)
        .where(Evidence.seq.in_(make_id_list(seqs)))
        .order_by(Evidence.seq)
        .tuples()
    )
    named: dict[tuple[str, str], list[int]] = {}
    for subject, slug, seq in owners:
        named.setdefault((subject, slug), []).append(seq)
    EvidencePart.delete().where(these).execute()
    request_wiping()
    chain.append(
        *(
            Entry(
                event="erased",
                at=now,
                actor="job",
                list=slug,
                subject=subject,
                consent={"seqs": its, "parts": [part], "why": "retention", **term},
            )
            for (subject, slug), its in named.items()
        )
    )
    return len(seqs)
