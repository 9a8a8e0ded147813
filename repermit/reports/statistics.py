"""How a campaign stands: its people in parts that add up, and what came on which day.

Nothing here writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from repermit.contacts import counts as contacts_counts
from repermit.contacts import link_openings, lookup
from repermit.contacts.counts import Mails
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.lists import MailingList
from repermit.reports.outcome_counts import Key, Turn
from repermit.reports.tally import read_tallies
from repermit.rules.consent import BounceKind, CampaignState, MailKind, MailState

_OWED = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
_MOST_SHOWN = timedelta(days=400)
"""So many days ahead are drawn, and as many as anybody has answered on."""
_NOS = (Turn.NO, Turn.WITHDRAWN, Turn.COMPLAINT, Turn.REQUEST, Turn.BOUNCE)


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
    `waiting` (for their mail), `unasked` (could not be asked, as `contacts.unasked` has it) and
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
    yes, no = now.get(Turn.YES, 0), sum(now.get(what, 0) for what in _NOS)
    # When it closes nothing is owed any more.
    is_closed = campaign.state == CampaignState.CLOSED
    waiting = 0 if is_closed else sum(asks[state] for state in _OWED)
    unasked = lookup.unasked(mailing_list).count()
    otherwise = lookup.kept_unasked(campaign).count() if campaign.include_thin else 0
    # While the counting is behind, somebody may stand in two of the others.
    silent = max(0, asked - yes - no - waiting - unasked - otherwise)
    if is_closed and is_whole:
        # Whoever was silent is taken off by now; the others have come to stand here by a file.
        taken_off = min(silent, now.get(Turn.NO_RESPONSE, 0))
        silent, otherwise = taken_off, otherwise + silent - taken_off
    return Figures(
        campaign=campaign.id,
        state=CampaignState(campaign.state),
        asked=asked,
        yes=yes,
        no=no,
        silent=silent,
        held=link_openings.count_yes_held(mailing_list),
        waiting=waiting,
        unasked=unasked,
        otherwise=otherwise,
        mails=_by_state(mails),
        bounces=bounces,
        days=_days(campaign, counts, zone),
        is_whole=is_whole,
    )


def _by_state(mails: Counter[Mails]) -> dict[MailState, int]:
    counts = dict.fromkeys(MailState, 0)
    for one, number in mails.items():
        if one.kind in (MailKind.ASK, MailKind.REMINDER):
            counts[one.state] += number
    return counts


def _bounces(asks: Counter[Mails]) -> Counter[BounceKind]:
    counts: Counter[BounceKind] = Counter()
    for one, number in asks.items():
        if one.bounce:
            counts[BounceKind(one.bounce)] += number
    return counts


def _days(campaign: Campaign, counts: Mapping[Key, int], zone: ZoneInfo) -> tuple[Day, ...]:
    by_day: dict[str, dict[Turn, int]] = {}
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


def _on(day: date, counts: Mapping[Turn, int]) -> Day:
    no = counts.get(Turn.NO, 0) + counts.get(Turn.WITHDRAWN, 0)
    return Day(day=day, yes=counts.get(Turn.YES, 0), no=no)


def _local_day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()
