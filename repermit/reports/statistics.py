"""The figures of a running campaign: its people in parts that add up, and the answers per day."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from peewee import EXCLUDED

from repermit.contacts import click_log, lookup
from repermit.contacts import counts as contacts_counts
from repermit.contacts.counts import MailGroup
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.lists import MailingList
from repermit.db.row_counts import Tally
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.evidence.verify import counts as verify_counts
from repermit.reports.outcome_counts import CountKey, Outcome, count_changes, read_newest_seq
from repermit.rules.consent import BounceKind, CampaignState, MailKind, MailState
from repermit.settings.definitions import Settings

_OWED = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
_MOST_SHOWN = timedelta(days=400)
"""So many days ahead are drawn, and as many as anybody has answered on."""
_NOS = (Outcome.NO, Outcome.WITHDRAWN, Outcome.COMPLAINT, Outcome.REQUEST, Outcome.BOUNCE)


@dataclass(frozen=True, kw_only=True)
class Day:
    """What came on a day, by the calendar of the organisation's zone."""

    day: date
    yes: int
    no: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The people of a list's latest campaign.

    `asked` is its audience, and the sum of `yes`, `no` (of every kind, or gone), `silent`,
    `waiting` (for their mail), `unasked` (could not be asked, as `select_unasked` has it) and
    `otherwise` (stay by a proof of their own, as far as is known). `held` are those of `silent`
    whose Yes may be a program's, and waits for one press more. `mails` counts asks and reminders by
    state. `days` go from its beginning to the deadline, or to its end. `is_whole` is false while
    the counting is behind.
    """

    campaign: int
    state: CampaignState
    asked: int
    yes: int
    no: int
    silent: int
    held: int
    waiting: int
    unasked: int
    otherwise: int
    mails: Mapping[MailState, int]
    bounces: Mapping[BounceKind, int]
    days: tuple[Day, ...]
    is_whole: bool


def figures(
    mailing_list: MailingList,
    *,
    zone: ZoneInfo,
) -> Figures | None:
    """Return how the list's latest campaign stands; None if there is none."""
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        return None
    counts, is_whole = read_tallies(mailing_list.slug, campaign.id, zone=zone)
    mails = contacts_counts.count_mails(campaign=campaign)
    own = Counter({one: count for one, count in mails.items() if one.kind is MailKind.ASK})
    asks = _by_state(own)
    bounces = dict.fromkeys(BounceKind, 0) | _bounces(own)
    asked = own.total()
    now = {key.what: number for key, number in counts.items() if not key.day}
    yes, no = now.get(Outcome.YES, 0), sum(now.get(what, 0) for what in _NOS)
    # When it closes nothing is owed any more.
    is_closed = campaign.state == CampaignState.CLOSED
    waiting = 0 if is_closed else sum(asks[state] for state in _OWED)
    unasked = lookup.select_unasked(mailing_list).count()
    otherwise = lookup.select_unasked_with_proof(campaign).count() if campaign.include_thin else 0
    # While the counting is behind, somebody may stand in two of the others.
    silent = max(0, asked - yes - no - waiting - unasked - otherwise)
    if is_closed and is_whole:
        # Whoever was silent is taken off by now; the others have come to stand here by a file.
        taken_off = min(silent, now.get(Outcome.NO_RESPONSE, 0))
        silent, otherwise = taken_off, otherwise + silent - taken_off
    return Figures(
        campaign=campaign.id,
        state=CampaignState(campaign.state),
        asked=asked,
        yes=yes,
        no=no,
        silent=silent,
        held=click_log.count_yes_held(mailing_list),
        waiting=waiting,
        unasked=unasked,
        otherwise=otherwise,
        mails=_by_state(mails),
        bounces=bounces,
        days=_days(campaign, counts, zone),
        is_whole=is_whole,
    )


def _by_state(mails: Counter[MailGroup]) -> dict[MailState, int]:
    counts = dict.fromkeys(MailState, 0)
    for one, number in mails.items():
        if one.kind in (MailKind.ASK, MailKind.REMINDER):
            counts[one.state] += number
    return counts


def _bounces(asks: Counter[MailGroup]) -> Counter[BounceKind]:
    counts: Counter[BounceKind] = Counter()
    for one, number in asks.items():
        if one.bounce:
            counts[BounceKind(one.bounce)] += number
    return counts


def _days(campaign: Campaign, counts: Mapping[CountKey, int], zone: ZoneInfo) -> tuple[Day, ...]:
    by_day: dict[str, dict[Outcome, int]] = {}
    for key, number in counts.items():
        by_day.setdefault(key.day, {})[key.what] = number
    first, last = _local_day(campaign.starts_at, zone), _local_day(_end(campaign), zone)
    counted = max((date.fromisoformat(day) for day in by_day if day), default=first)
    last = min(last, max(first + _MOST_SHOWN, counted))
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return tuple(_on(day, by_day.get(day.isoformat(), {})) for day in days)


def _end(campaign: Campaign) -> datetime:
    is_cancelled = campaign.state == CampaignState.CANCELLED
    ended = campaign.closed_at if is_cancelled and campaign.closed_at else campaign.deadline
    # A deadline at midnight is the end of the day before.
    return max(ended - timedelta(microseconds=1), campaign.starts_at)


def _on(day: date, counts: Mapping[Outcome, int]) -> Day:
    no = counts.get(Outcome.NO, 0) + counts.get(Outcome.WITHDRAWN, 0)
    return Day(day=day, yes=counts.get(Outcome.YES, 0), no=no)


def _local_day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


# --- Updating the stored counts of answers and removals. ------------------------------------------


_KEY = verify_counts.TALLIED_UPTO
_STEP = 2000
# So many entries are counted while somebody waits for a page.
_MOST_MEANWHILE = 2000


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
    counted = 0
    while not should_stop() and _tallied_upto() < read_newest_seq():
        after = _tallied_upto()
        upto = min(after + _STEP, read_newest_seq())
        # With nothing locked: entries do not change, and what is counted again is not added.
        changes = count_changes(after, upto, settings.zone)
        with database.atomic():
            if int(Meta.lock(_KEY, default="0")) != after:
                continue
            _add(changes)
            Meta.write(_KEY, str(upto))
            if after == 0:
                _keep_zone(after, settings.timezone)
            if changes and (entries := list(_zone_changes(after, settings.timezone, now))):
                chain.append(*entries)
        counted += upto - after
    return counted


def read_tallies(slug: str, campaign: int, *, zone: ZoneInfo) -> tuple[Counter[CountKey], bool]:
    """Return the counts of a list's campaign, and whether they are up to this moment.

    What was appended since the last sweep is counted here, unless that is too much.
    """
    after, newest = _tallied_upto(), read_newest_seq()
    is_whole = newest - after <= _MOST_MEANWHILE
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


def _tallied_upto() -> int:
    return int(Meta.read(_KEY) or 0)


def _zone_changes(after: int, zone: str, now: datetime) -> Iterator[Entry]:
    """Keep in which time zone days are counted from here on; yield an entry if it is another."""
    try:
        since, before = verify_counts.tallied_zones()[-1]
    except ValueError:
        # It is not made anew, so that `verify` goes on telling of it.
        return
    if not before:
        _keep_zone(since, zone)
    elif before != zone:
        yield _zone_changed(before, zone, after=after, now=now)


def _keep_zone(after: int, zone: str) -> None:
    Meta.write(verify_counts.TALLIED_IN, json.dumps({"after": after, "zone": zone}))


def _zone_changed(before: str, zone: str, *, after: int, now: datetime) -> Entry:
    told = {"keys": ["timezone"], "values": {"timezone": [before, zone]}}
    consent = {**told, verify_counts.TALLIED_AFTER: after}
    return Entry(event="settings_changed", at=now, actor="job", consent=consent)


def _add(changes: Counter[CountKey]) -> None:
    rows: list[dict[str, Any]] = [
        {**key._asdict(), "count": change} for key, change in sorted(changes.items()) if change
    ]
    if rows:
        Tally.insert_many(rows).on_conflict(
            conflict_target=[Tally.list, Tally.campaign, Tally.day, Tally.what],
            update={Tally.count: Tally.count + EXCLUDED.count},
        ).execute()
