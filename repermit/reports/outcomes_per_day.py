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

_CHUNK = 500
_EVENTS = ("confirmed", "removed")
_UNDOING = ("import_undone", "sign_up_undone")


class Outcome(StrEnum):
    """What came of asking somebody: `yes`, or the reason of their removal."""

    YES = "yes"
    NO = "no"
    WITHDRAWN = "withdrawn"
    NO_RESPONSE = "no_response"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    REQUEST = "request"


class CountKey(NamedTuple):
    """What is counted: an outcome in a campaign (0: none) on a day, or as of now if that is ""."""

    list: str
    campaign: int
    day: str
    what: Outcome


@dataclass(frozen=True)
class OutcomeEntry:
    """The outcome of one person, as an entry of the evidence has it.

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
    """Yield the outcomes among these entries, in their order; of one list, or of all.

    What no longer says what it was, since its part has been erased, is left out; so is a sign-up
    that an import brought, which answered nothing here, and what a file or the Yes of a sign-up did
    that was taken back among these.
    """
    own = (Evidence.list == slug,) if slug else ()
    rows = Evidence.select().where(
        Evidence.seq > after, Evidence.seq <= upto, Evidence.event.in_(_EVENTS), *own
    )
    yield from _drop_undone(_read_entries(list(rows.order_by(Evidence.seq))), upto=upto)


def count_changes(after: int, upto: int, zone: ZoneInfo) -> Counter[CountKey]:
    """Return by how much each count changes through these entries.

    Who turns for the second time in a campaign stands where they did before no more. What a file or
    a sign-up did that was then taken back is as if it had never been.
    """
    changes: Counter[CountKey] = Counter()
    found, undone = list(read_outcomes(after=after, upto=upto)), _find_undone(after, upto)
    stood = _read_standing({one.subject for one in (*found, *undone) if one.campaign}, upto=after)
    for one in undone:
        changes[CountKey(one.list, one.campaign, _format_day(one.at, zone), one.what)] -= 1
        if not one.campaign:
            continue
        person = (one.campaign, one.subject)
        changes[CountKey(one.list, one.campaign, "", one.what)] -= 1
        before = _read_standing({one.subject}, upto=one.seq - 1).get(person)
        stood.pop(person, None)
        if before is not None:
            changes[CountKey(one.list, one.campaign, "", before)] += 1
            stood[person] = before
    for one in found:
        changes[CountKey(one.list, one.campaign, _format_day(one.at, zone), one.what)] += 1
        if not one.campaign:
            continue
        person = (one.campaign, one.subject)
        if person in stood:
            changes[CountKey(one.list, one.campaign, "", stood[person])] -= 1
        changes[CountKey(one.list, one.campaign, "", one.what)] += 1
        stood[person] = one.what
    return changes


def _read_standing(subjects: Iterable[str], *, upto: int) -> dict[tuple[int, str], Outcome]:
    """Return the outcome of these people in each campaign as of the entry `upto`."""
    stood = {}
    for some in chunks(sorted(subjects), _CHUNK):
        rows = Evidence.select().where(Evidence.subject.in_(some), Evidence.event.in_(_EVENTS))
        before = sorted((row for row in rows if row.seq <= upto), key=lambda row: int(row.seq))
        found = _drop_undone(_read_entries(before), upto=upto)
        stood.update({(one.campaign, one.subject): one.what for one in found})
    return stood


def _drop_undone(found: Iterable[OutcomeEntry], *, upto: int) -> Iterator[OutcomeEntry]:
    """Yield the outcomes that were not undone by the entry `upto`."""
    known = list(found)
    subjects = sorted({one.subject for one in known if one.may_be_undone})
    gone = _map_undone(Evidence.subject.in_(some) for some in chunks(subjects, _CHUNK))
    for one in known:
        seq = gone.get((one.list, one.subject, format_timestamp(one.at)), upto + 1)
        if not one.may_be_undone or seq > upto:
            yield one


def _find_undone(after: int, upto: int) -> list[OutcomeEntry]:
    """Return the outcomes up to the entry `after` that were undone since then."""
    gone = _map_undone([(Evidence.seq > after) & (Evidence.seq <= upto) & (Evidence.subject != "")])
    rows: list[Evidence] = []
    for some in chunks(sorted({subject for _, subject, _ in gone}), _CHUNK):
        own = Evidence.select().where(Evidence.subject.in_(some), Evidence.event.in_(_EVENTS))
        rows += [row for row in own if row.seq <= after]
    return [
        one
        for one in _read_entries(sorted(rows, key=lambda row: int(row.seq)))
        if one.may_be_undone and (one.list, one.subject, format_timestamp(one.at)) in gone
    ]


def _map_undone(wanted: Iterable[Any]) -> dict[tuple[str, str, str], int]:
    """Return the entries that undid an outcome, by its list, subject and moment."""
    rows: list[Evidence] = []
    for some in wanted:
        rows.extend(Evidence.select().where(some, Evidence.event.in_(_UNDOING)))
    found: dict[tuple[str, str, str], int] = {}
    for part in chunks(rows, _CHUNK):
        said = read_consents(row.seq for row in part)
        for row in part:
            told = said.get(row.seq, {})
            at = told.get("imported_at") or told.get("confirmed_at", "")
            found[row.list, row.subject, at] = row.seq
    return found


def _read_entries(rows: Sequence[Evidence]) -> Iterator[OutcomeEntry]:
    for some in chunks(rows, _CHUNK):
        said = read_consents(row.seq for row in some)
        for row in some:
            its = said.get(row.seq, {})
            what, may_be_undone = _classify_entry(its), "file" in its or "signed_up_at" in its
            if what is not None:
                known = (row.seq, row.at, row.list, row.campaign, row.subject)
                yield OutcomeEntry(*known, what, may_be_undone)


def _classify_entry(said: dict[str, Any]) -> Outcome | None:
    if "reason" in said:
        return Outcome(said["reason"])
    return Outcome.YES if said.get("answer") == Outcome.YES else None


def _format_day(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).date().isoformat()


# --- Updating the stored counts of answers and removals. ------------------------------------------


_TALLIED_KEY = verify_counts.TALLIED_UPTO
_MOST_PER_STEP = 2000
# So many entries are counted while somebody waits for a page.
_MAX_UNTALLIED = 2000


def update_tallies(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Count the entries that were appended since; return how many there were.

    A step at a time, each with how far it is in one transaction, so that any number of processes
    may do so at once and no entry counts twice. An entry tells where days begin to be those of
    another time zone.
    """
    counted, size = 0, StepSize(max_rows=_MOST_PER_STEP)
    while not should_stop() and _read_tallied_seq() < read_newest_seq():
        after = _read_tallied_seq()
        upto = min(after + size.rows, read_newest_seq())
        # With nothing locked: entries do not change, and what is counted again is not added.
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
        counted += upto - after
    return counted


def read_tallies(slug: str, campaign: int, *, zone: ZoneInfo) -> tuple[Counter[CountKey], bool]:
    """Return the counts of a list's campaign, and whether they are up to this moment.

    What was appended since the last sweep is counted here, unless that is too much.
    """
    after, newest = _read_tallied_seq(), read_newest_seq()
    is_whole = newest - after <= _MAX_UNTALLIED
    own = (Tally.list == slug, Tally.campaign == campaign)
    found = Counter(
        {
            CountKey(row.list, row.campaign, row.day, Outcome(row.what)): row.count
            for row in Tally.select().where(*own)
        }
    )
    if is_whole:
        found.update(
            {
                key: change
                for key, change in count_changes(after, newest, zone).items()
                if (key.list, key.campaign) == (slug, campaign)
            }
        )
    return found, is_whole


def _read_tallied_seq() -> int:
    return int(Meta.read(_TALLIED_KEY) or 0)


def _iter_zone_changes(after: int, zone: str, now: datetime) -> Iterator[Entry]:
    """Keep in which time zone days are counted from here on; yield an entry if it is another."""
    try:
        since, before = verify_counts.tallied_zones()[-1]
    except ValueError:
        # It is not made anew, so that `verify` goes on telling of it.
        return
    if not before:
        _save_zone(since, zone)
    elif before != zone:
        yield _make_zone_entry(before, zone, after=after, now=now)


def _save_zone(after: int, zone: str) -> None:
    Meta.write(verify_counts.TALLIED_IN, json.dumps({"after": after, "zone": zone}))


def _make_zone_entry(before: str, zone: str, *, after: int, now: datetime) -> Entry:
    told = {"keys": ["timezone"], "values": {"timezone": [before, zone]}}
    consent = {**told, verify_counts.TALLIED_AFTER: after}
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
    """An act of an admin; `said` is what its entry keeps, `list` is "" if it is about none."""

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
    contents: dict[int, dict[str, Any]] = {}
    for some in chunks([row.seq for row in rows], _CHUNK):
        contents.update(read_consents(some))
    return tuple(
        AdminAct(
            seq=row.seq,
            at=row.at,
            event=row.event,
            actor=row.actor,
            list=row.list,
            campaign=row.campaign,
            said=contents.get(row.seq, {}),
        )
        for row in rows
    )
