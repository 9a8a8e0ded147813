"""Outcomes (a Yes, or the reason of a removal) read from the evidence, and their counts per day."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from peewee import EXCLUDED

from repermit.clock import format_timestamp
from repermit.db.connection import Database, chunks
from repermit.db.models.base import Meta
from repermit.db.models.evidence import Evidence, EvidenceHead
from repermit.db.row_counts import Tally
from repermit.db.work_steps import StepSize
from repermit.evidence import chain
from repermit.evidence.chain_reader import read_consents
from repermit.evidence.entries import Entry
from repermit.evidence.verify import counts as verify_counts
from repermit.settings.definitions import Settings

_BATCH_SIZE = 500
_EVENTS = ("confirmed", "removed")
_UNDOING = ("import_undone", "sign_up_undone")


class Outcome(StrEnum):
    """The outcome of asking a contact: `yes`, or the reason of the removal."""

    YES = "yes"
    NO = "no"
    WITHDRAWN = "withdrawn"
    NO_RESPONSE = "no_response"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    REQUEST = "request"


class CountKey(NamedTuple):
    """The key of a count: list, campaign (0: none), day ("": current outcomes) and outcome."""

    list: str
    campaign: int
    day: str
    what: Outcome


@dataclass(frozen=True)
class OutcomeEntry:
    """The outcome of one person, read from an entry of the evidence.

    `may_be_undone`: it came from an imported file or a sign-up, which may be undone.
    """

    seq: int
    at: datetime
    list: str
    campaign: int
    subject: str
    what: Outcome
    may_be_undone: bool


def read_newest_seq() -> int:
    """Return the number of the newest entry."""
    newest: int = EvidenceHead.get().seq
    return newest


def read_outcomes(*, after: int, upto: int, slug: str = "") -> Iterator[OutcomeEntry]:
    """Yield the outcomes among these entries in order, of one list or of all.

    Left out are entries whose content was erased, sign-ups elsewhere that an import brought, and
    outcomes that were undone by the entry `upto`.
    """
    list_condition = (Evidence.list == slug,) if slug else ()
    rows = Evidence.select().where(
        Evidence.seq > after, Evidence.seq <= upto, Evidence.event.in_(_EVENTS), *list_condition
    )
    yield from _drop_undone(_read_entries(list(rows.order_by(Evidence.seq))), upto=upto)


def count_changes(after: int, upto: int, zone: ZoneInfo) -> Counter[CountKey]:
    """Return by how much each count changes through these entries.

    A second outcome in a campaign replaces the first. Outcomes that were undone by `upto` are not
    counted.
    """
    changes: Counter[CountKey] = Counter()
    outcomes, undone = list(read_outcomes(after=after, upto=upto)), _find_undone(after, upto)
    current_outcomes = _read_current_outcomes(
        {entry.subject for entry in (*outcomes, *undone) if entry.campaign}, upto=after
    )
    for entry in undone:
        changes[CountKey(entry.list, entry.campaign, _format_day(entry.at, zone), entry.what)] -= 1
        if not entry.campaign:
            continue
        person = (entry.campaign, entry.subject)
        changes[CountKey(entry.list, entry.campaign, "", entry.what)] -= 1
        before = _read_current_outcomes({entry.subject}, upto=entry.seq - 1).get(person)
        current_outcomes.pop(person, None)
        if before is not None:
            changes[CountKey(entry.list, entry.campaign, "", before)] += 1
            current_outcomes[person] = before
    for entry in outcomes:
        changes[CountKey(entry.list, entry.campaign, _format_day(entry.at, zone), entry.what)] += 1
        if not entry.campaign:
            continue
        person = (entry.campaign, entry.subject)
        if person in current_outcomes:
            changes[CountKey(entry.list, entry.campaign, "", current_outcomes[person])] -= 1
        changes[CountKey(entry.list, entry.campaign, "", entry.what)] += 1
        current_outcomes[person] = entry.what
    return changes


def _read_current_outcomes(subjects: Iterable[str], *, upto: int) -> dict[tuple[int, str], Outcome]:
    """Return the outcome of these people in each campaign, as of the entry `upto`."""
    current_outcomes = {}
    for batch in chunks(sorted(subjects), _BATCH_SIZE):
        rows = Evidence.select().where(Evidence.subject.in_(batch), Evidence.event.in_(_EVENTS))
        before = sorted((row for row in rows if row.seq <= upto), key=lambda row: int(row.seq))
        outcomes = _drop_undone(_read_entries(before), upto=upto)
        current_outcomes.update({(entry.campaign, entry.subject): entry.what for entry in outcomes})
    return current_outcomes


def _drop_undone(outcomes: Iterable[OutcomeEntry], *, upto: int) -> Iterator[OutcomeEntry]:
    """Yield the outcomes that were not undone by the entry `upto`."""
    outcomes = list(outcomes)
    subjects = sorted({entry.subject for entry in outcomes if entry.may_be_undone})
    undone_at = _map_undone(Evidence.subject.in_(batch) for batch in chunks(subjects, _BATCH_SIZE))
    for entry in outcomes:
        undone_seq = undone_at.get(
            (entry.list, entry.subject, format_timestamp(entry.at)), upto + 1
        )
        if not entry.may_be_undone or undone_seq > upto:
            yield entry


def _find_undone(after: int, upto: int) -> list[OutcomeEntry]:
    """Return the outcomes up to the entry `after` that were undone since then."""
    undone_at = _map_undone(
        [(Evidence.seq > after) & (Evidence.seq <= upto) & (Evidence.subject != "")]
    )
    rows: list[Evidence] = []
    for batch in chunks(sorted({subject for _, subject, _ in undone_at}), _BATCH_SIZE):
        rows_of_subjects = Evidence.select().where(
            Evidence.subject.in_(batch), Evidence.event.in_(_EVENTS)
        )
        rows += [row for row in rows_of_subjects if row.seq <= after]
    return [
        entry
        for entry in _read_entries(sorted(rows, key=lambda row: int(row.seq)))
        if entry.may_be_undone
        and (entry.list, entry.subject, format_timestamp(entry.at)) in undone_at
    ]


def _map_undone(conditions: Iterable[Any]) -> dict[tuple[str, str, str], int]:
    """Return the number of the entry that undid each outcome, by list, subject and time."""
    rows: list[Evidence] = []
    for condition in conditions:
        rows.extend(Evidence.select().where(condition, Evidence.event.in_(_UNDOING)))
    undone_by: dict[tuple[str, str, str], int] = {}
    for batch in chunks(rows, _BATCH_SIZE):
        contents = read_consents(row.seq for row in batch)
        for row in batch:
            content = contents.get(row.seq, {})
            outcome_at = content.get("imported_at") or content.get("confirmed_at", "")
            undone_by[row.list, row.subject, outcome_at] = row.seq
    return undone_by


def _read_entries(rows: Sequence[Evidence]) -> Iterator[OutcomeEntry]:
    for batch in chunks(rows, _BATCH_SIZE):
        contents = read_consents(row.seq for row in batch)
        for row in batch:
            content = contents.get(row.seq, {})
            outcome, may_be_undone = (
                _classify_entry(content),
                "file" in content or "signed_up_at" in content,
            )
            if outcome is not None:
                entry_fields = (row.seq, row.at, row.list, row.campaign, row.subject)
                yield OutcomeEntry(*entry_fields, outcome, may_be_undone)


def _classify_entry(content: dict[str, Any]) -> Outcome | None:
    if "reason" in content:
        return Outcome(content["reason"])
    return Outcome.YES if content.get("answer") == Outcome.YES else None


def _format_day(timestamp: datetime, zone: ZoneInfo) -> str:
    return timestamp.astimezone(zone).date().isoformat()


# --- Updating the stored counts of answers and removals. ------------------------------------------


_TALLIED_KEY = verify_counts.TALLIED_UPTO
_MAX_PER_STEP = 2000
# The largest number of entries that is counted while a page waits.
_MAX_UNTALLIED = 2000


def update_tallies(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Add the entries appended since the last run to the stored counts; return how many.

    Each step is one transaction that also stores the last entry counted, so several processes may
    run it at once and no entry counts twice. A change of the time zone is recorded as evidence.
    """
    tallied_count, size = 0, StepSize(max_rows=_MAX_PER_STEP)
    while not should_stop() and _read_tallied_seq() < read_newest_seq():
        after = _read_tallied_seq()
        upto = min(after + size.rows, read_newest_seq())
        # Without a lock: entries do not change, and counts of another process are detected below.
        changes = count_changes(after, upto, settings.zone)
        with size.step(database):
            if int(Meta.lock(_TALLIED_KEY, default="0")) != after:
                continue
            _add_to_tallies(changes)
            Meta.write(_TALLIED_KEY, str(upto))
            if after == 0:
                _save_zone(after, settings.timezone)
            if changes and (entries := list(_iter_zone_changes(after, settings.timezone, now))):
                chain.append(*entries)
        tallied_count += upto - after
    return tallied_count


def read_tallies(slug: str, campaign: int, *, zone: ZoneInfo) -> tuple[Counter[CountKey], bool]:
    """Return the counts of a list's campaign, and whether they are complete.

    Entries appended since the last update are counted here, unless there are too many.
    """
    after, newest = _read_tallied_seq(), read_newest_seq()
    is_complete = newest - after <= _MAX_UNTALLIED
    conditions = (Tally.list == slug, Tally.campaign == campaign)
    counts = Counter(
        {
            CountKey(row.list, row.campaign, row.day, Outcome(row.what)): row.count
            for row in Tally.select().where(*conditions)
        }
    )
    if is_complete:
        counts.update(
            {
                key: change
                for key, change in count_changes(after, newest, zone).items()
                if (key.list, key.campaign) == (slug, campaign)
            }
        )
    return counts, is_complete


def _read_tallied_seq() -> int:
    return int(Meta.read(_TALLIED_KEY) or 0)


def _iter_zone_changes(after: int, zone: str, now: datetime) -> Iterator[Entry]:
    """Store the time zone in which days are counted from now on; yield an entry if it changed."""
    try:
        since, before = verify_counts.read_tallied_zones()[-1]
    except ValueError:
        # Not replaced, so that `verify` keeps reporting it.
        return
    if not before:
        _save_zone(since, zone)
    elif before != zone:
        yield _make_zone_entry(before, zone, after=after, now=now)


def _save_zone(after: int, zone: str) -> None:
    Meta.write(verify_counts.TALLIED_IN, json.dumps({"after": after, "zone": zone}))


def _make_zone_entry(before: str, zone: str, *, after: int, now: datetime) -> Entry:
    content = {"keys": ["timezone"], "values": {"timezone": [before, zone]}}
    consent = {**content, verify_counts.TALLIED_AFTER: after}
    return Entry(event="settings_changed", at=now, actor="job", consent=consent)


def _add_to_tallies(changes: Counter[CountKey]) -> None:
    rows: list[dict[str, Any]] = [
        {**key._asdict(), "count": change} for key, change in sorted(changes.items()) if change
    ]
    if rows:
        Tally.insert_many(rows).on_conflict(
            conflict_target=[Tally.list, Tally.campaign, Tally.day, Tally.what],
            update={Tally.count: Tally.count + EXCLUDED.count},
        ).execute()


# --- The acts of admins, read from the evidence. --------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AdminAct:
    """An act of an admin; `content`: the entry's `consent` part, `list`: "" for no list."""

    seq: int
    at: datetime
    event: str
    actor: str
    list: str
    campaign: int
    content: Mapping[str, Any]


def read_acts(slug: str, events: Sequence[str]) -> tuple[AdminAct, ...]:
    """Return the acts of these kinds about a list ("": about no list), oldest first."""
    # Acts have no subject, so that the index by subject finds them among a million answers.
    rows = list(
        Evidence.select()
        .where(Evidence.subject == "", Evidence.list == slug, Evidence.event.in_(events))
        .order_by(Evidence.seq)
    )
    contents: dict[int, dict[str, Any]] = {}
    for batch in chunks([row.seq for row in rows], _BATCH_SIZE):
        contents.update(read_consents(batch))
    return tuple(
        AdminAct(
            seq=row.seq,
            at=row.at,
            event=row.event,
            actor=row.actor,
            list=row.list,
            campaign=row.campaign,
            content=contents.get(row.seq, {}),
        )
        for row in rows
    )
