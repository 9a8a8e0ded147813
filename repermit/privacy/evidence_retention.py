"""Deleting parts of the evidence when their retention ends; the chain holds without them.

- `trace` (truncated network, browser, openings) is deleted `trace_days` after its entry.
- The click log, which is not evidence, is deleted `trace_days` after its first event.
- `consent`, the proof, is needed as long as the person is mailed, and `evidence_years` longer (EDPB
  05/2020 §§106-107; GDPR art. 17(3)(e): claims). So its term begins with the removal.
- The term of what an import claimed begins when the import is undone.
- Entries `erased` stay: they say nothing about a person, and they account for missing parts.
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

# --- The claims of undone imports, whose proofs have a term of their own. -------------------------


_CLAIMS_KEY = "claims_ended"
_NOBODY = ""
_GONE = "erased"
_RESTORED = "import_undone"


class _Position(NamedTuple):
    """The stored position: the last import that is done, and the entry reached in the next one."""

    undone_at: str = ""
    number: int = 0
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class ImportClaims:
    """A batch of an import's claims: the ids of the parts that hold them, and the new position."""

    parts: Sequence[int]
    position: _Position


def find_next_claims(latest: datetime, chunk: int) -> ImportClaims | None:
    """Return the next claims of imports undone until `latest`; None if there are no more.

    Needs no lock: entries never change, and deleting looks up again which parts are there.
    """
    position = _read_position()
    record = _find_next_file(position, latest)
    if record is None:
        return None
    undone_entries = _read_undone_entries(record, position.seq, chunk)
    if len(undone_entries) == chunk:
        reached = position._replace(seq=undone_entries[-1][0])
    else:
        reached = _Position(format_timestamp(record.undone_at), record.id)
    return ImportClaims(parts=_find_claim_parts(record, undone_entries), position=reached)


def save_position(claims: ImportClaims) -> None:
    """Save the position after these claims, in the caller's transaction."""
    Meta.write(_CLAIMS_KEY, json.dumps(claims.position))


def _read_position() -> _Position:
    return _Position(*json.loads(Meta.read(_CLAIMS_KEY) or "[]"))


def _find_next_file(position: _Position, latest: datetime) -> Any:
    query: Any = (
        Import.select(Import.id, Import.at, Import.undone_at, MailingList.slug)
        .join(MailingList)
        .where(Import.undone_at <= latest)
    )
    if position.number:
        undone_at = parse_timestamp(position.undone_at)
        is_later = (Import.undone_at > undone_at) | (Import.id > position.number)
        query = query.where(Import.undone_at >= undone_at, is_later)
    return query.order_by(Import.undone_at, Import.id).objects().first()


def _read_undone_entries(record: Any, seq: int, chunk: int) -> list[tuple[int, str, str]]:
    """Return number, subject and event of the next entries of an import's undo."""
    query: Any = Evidence.select(Evidence.seq, Evidence.subject, Evidence.event).where(
        Evidence.seq > seq,
        Evidence.at == record.undone_at,
        Evidence.list == record.slug,
        Evidence.subject != _NOBODY,
        Evidence.event.in_((_GONE, _RESTORED)),
    )
    return list(query.order_by(Evidence.seq).limit(chunk).tuples())


def _find_claim_parts(record: Any, undone_entries: Sequence[tuple[int, str, str]]) -> list[int]:
    """Return the ids of the parts with an import's claims.

    For a contact that the undo deleted, these are all parts before that. A person who is recognised
    by an earlier address continues under the same subject.
    """
    gone = {subject: seq for seq, subject, event in undone_entries if event == _GONE}
    rows: Any = (
        EvidencePart.select(EvidencePart.id, Evidence.seq, Evidence.subject, Evidence.at)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject.in_(make_value_list(subject for _, subject, _ in undone_entries)),
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


# --- Deleting the parts whose term has ended. -----------------------------------------------------


_KEY = "proofs_ended"
_STATUS_EVENTS = ("confirmed", "customer", "removed", "import_undone", "sign_up_undone")

_OnList = tuple[str, str]
"""A person on one list: the subject, and the list's slug."""


@dataclass(frozen=True, kw_only=True)
class DeletedParts:
    """The number of deleted traces and proofs, and of contacts whose openings were deleted."""

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
    """Delete the parts whose term has ended, in steps of one transaction each.

    Each step appends an entry `erased` per person, which names the deleted parts. Safe to run twice
    at once.
    """

    def run(step: Callable[..., tuple[bool, int]], *arguments: Any) -> int:
        size = StepSize(max_rows=chunk)
        return run_counted_steps(
            database, partial(step, *arguments), should_stop=should_stop, size=size
        )

    latest_trace = now - timedelta(days=settings.retention.trace_days)
    years = settings.retention.evidence_years
    latest_proof = years_before(now, years)
    return DeletedParts(
        traces=run(_delete_traces, latest_trace, now),
        openings=run(_delete_openings, latest_trace),
        proofs=run(_delete_proofs, latest_proof, now, years)
        + _delete_claims(database, now, years, chunk, should_stop),
    )


def add_years(timestamp: datetime, years: int) -> datetime:
    """Return the same time `years` later; 1 March for 29 February (see `years_before`)."""
    try:
        return timestamp.replace(year=timestamp.year + years)
    except ValueError:
        return timestamp.replace(year=timestamp.year + years, month=3, day=1)


def _delete_traces(latest: datetime, now: datetime, chunk: int) -> tuple[bool, int]:
    """Delete the oldest traces that are due; return whether there may be more, and how many.

    The times of entries are in order, apart from seconds, so only the oldest entries are read.
    """
    oldest: Any = (
        EvidencePart.select(EvidencePart.id, Evidence.at)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        # As literal SQL, so that the partial index of these rows is used.
        .where(SQL("part = 'trace'"))
        .order_by(EvidencePart.seq)
        .limit(chunk)
        .tuples()
    )
    ids = [number for number, at in list(oldest) if at <= latest]
    return len(ids) == chunk, _delete_parts(ids, "trace", now) if ids else 0


def _delete_openings(latest: datetime, chunk: int) -> tuple[bool, int]:
    """Delete the oldest rows of openings that are due; returns as `_delete_traces` does.

    They are not evidence, so no entry accounts for them. A Yes that waited for another press is
    deleted, too, and is asked for again.
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
    """Delete the proofs of the next contacts removed until `latest`.

    Returns as `_delete_traces` does. The position is stored, so that each contact is read once.
    """
    position = json.loads(Meta.lock(_KEY, default="[]"))
    removed = _find_removed_later(position, latest, chunk)
    if not removed:
        return False, 0
    reached = json.dumps([format_timestamp(removed[-1][0]), removed[-1][1]])
    Meta.write(_KEY, reached)
    ids = _find_proofs(_find_ended({(subject, slug) for _, _, subject, slug in removed}, latest))
    return len(removed) == chunk, _delete_parts(ids, "consent", now, years=years) if ids else 0


def _find_removed_later(
    position: tuple[str, int] | None, latest: datetime, limit: int
) -> list[tuple[datetime, int, str, str]]:
    """Return the next removed contacts as (time of the removal, id, subject, list's slug)."""
    query: Any = (
        Contact.select(Contact.status_at, Contact.id, Contact.subject, MailingList.slug)
        # An outer join, so that the index of removal times is used first.
        .join(MailingList, JOIN.LEFT_OUTER)
        .where(SQL("status = 'removed'"), Contact.status_at <= latest)
        .order_by(Contact.status_at, Contact.id)
        .tuples()
    )
    if not position:
        return list(query.limit(limit))
    removed_at, number = parse_timestamp(position[0]), position[1]
    # An import may remove thousands at the same time; one query would scan them in each step.
    removed = list(query.where(Contact.status_at == removed_at, Contact.id > number).limit(limit))
    return removed + list(query.where(Contact.status_at > removed_at).limit(limit - len(removed)))


def _delete_claims(
    database: Database,
    now: datetime,
    years: int,
    chunk: int,
    should_stop: Callable[[], bool],
) -> int:
    """Delete the proofs of the claims of imports that were undone long enough ago.

    The claims are looked up before anything is locked, since the record may be long.
    """
    total, latest, size = 0, years_before(now, years), StepSize(max_rows=chunk)
    while not should_stop() and (claims := find_next_claims(latest, size.rows)) is not None:
        with size.step(database):
            if claims.parts:
                total += _delete_parts(claims.parts, "consent", now, years=years)
            save_position(claims)
    return total


def _find_ended(people: Collection[_OnList], latest: datetime) -> set[_OnList]:
    """Return the people whose last status event is a removal until `latest`.

    The others are back on the list, also by the undo of the import that had removed them.
    """
    rows: Any = (
        Evidence.select(Evidence.subject, Evidence.list, Evidence.event, Evidence.at, Evidence.seq)
        .where(
            Evidence.subject.in_(make_value_list(_list_subjects(people))),
            Evidence.event.in_(_STATUS_EVENTS),
        )
        .order_by(Evidence.seq)
        .tuples()
    )
    last = {(subject, slug): (at, seq, event) for subject, slug, event, at, seq in rows}
    removed = {
        person: (at, seq)
        for person, (at, seq, event) in last.items()
        if person in people and event == Status.REMOVED
    }
    original_times = _read_removal_times([seq for at, seq in removed.values() if at > latest])
    return {
        person for person, (at, seq) in removed.items() if original_times.get(seq, at) <= latest
    }


def _list_subjects(people: Iterable[_OnList]) -> set[str]:
    return {subject for subject, _ in people}


def _read_removal_times(seqs: Sequence[int]) -> dict[int, datetime]:
    """Return the original times of removals that were repeated after a restore, by entry."""
    left_at_by_seq = {seq: content.get("left_at") for seq, content in read_consents(seqs).items()}
    return {seq: parse_timestamp(left_at) for seq, left_at in left_at_by_seq.items() if left_at}


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
    """Delete parts of one name; append an entry `erased` per person that names the deleted parts.

    That entry accounts for the missing parts, and is in the person's proof.

    - `term`: the retention in `years` of a proof, by which `verify` checks that it was due.
    """
    is_due = EvidencePart.id.in_(make_id_list(ids))
    locked: Any = lock_rows(
        EvidencePart.select(EvidencePart.seq).where(is_due).order_by(EvidencePart.id)
    )
    # Another sweep, or an erasure, may have been quicker.
    seqs = [seq for (seq,) in locked.tuples()]
    owners: Any = (
        Evidence.select(Evidence.subject, Evidence.list, Evidence.seq)
        .where(Evidence.seq.in_(make_id_list(seqs)))
        .order_by(Evidence.seq)
        .tuples()
    )
    seqs_by_person: dict[_OnList, list[int]] = {}
    for subject, slug, seq in owners:
        seqs_by_person.setdefault((subject, slug), []).append(seq)
    EvidencePart.delete().where(is_due).execute()
    request_wiping()
    chain.append(
        *(
            Entry(
                event="erased",
                at=now,
                actor="job",
                list=slug,
                subject=subject,
                consent={"seqs": own_seqs, "parts": [part], "why": "retention", **term},
            )
            for (subject, slug), own_seqs in seqs_by_person.items()
        )
    )
    return len(seqs)
