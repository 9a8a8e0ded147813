"""How a campaign stands: its people in parts that add up, and what came on which day.

May import contacts, evidence, models, consent and what lies below. Nothing here writes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from repermit import contacts
from repermit.consent import BounceKind, CampaignState, Dropped, MailKind, MailState
from repermit.models import latest_campaign
from repermit.reports.tallying import read_tallies
from repermit.reports.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from repermit.contacts import Mails
    from repermit.models import Campaign, MailingList
    from repermit.reports.turns import Key

_OWED = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
_MOST_SHOWN = timedelta(days=400)
"""So many days ahead are drawn, and as many as anybody has answered on."""
_GIVEN_UP = (Dropped.CANCELLED, Dropped.TOO_LATE)
_NOS = (Turn.NO, Turn.WITHDRAWN, Turn.COMPLAINT, Turn.REQUEST)


@dataclass(frozen=True, kw_only=True)
class Day:
    """What came on a day, by the calendar of the organisation's zone."""

    day: date
    yes: int
    no: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The people of a list's latest campaign.

    `asked` is its audience, and the sum of `yes`, `no` (of every kind), `silent`, `waiting` (for
    their mail) and `unasked` (could not be asked). `held` are those of `silent` whose Yes may be a
    program's, and waits for one press more. `mails` counts asks and reminders by state. `days` go
    from its beginning to the deadline, or to its end. `is_whole` is false while the counting is
    behind.
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
    mails = contacts.count_mails(campaign=campaign)
    own = Counter({one: count for one, count in mails.items() if one.kind is MailKind.ASK})
    asks = _by_state(own)
    bounces = dict.fromkeys(BounceKind, 0) | _bounces(own)
    asked = own.total()
    now = {key.what: number for key, number in counts.items() if not key.day}
    yes, no = now.get(Turn.YES, 0), sum(now.get(what, 0) for what in _NOS)
    waiting = sum(asks[state] for state in _OWED)
    unasked = (
        asks[MailState.FAILED]
        + asks[MailState.IN_DOUBT]
        + bounces[BounceKind.HARD]
        + contacts.total(own, _is_given_up)
    )
    # Who answered without having been asked, as by phone, stands in two of the others.
    silent = max(0, asked - yes - no - waiting - unasked)
    if campaign.state == CampaignState.CLOSED:
        # Whoever was asked in time is taken off by now; the others were asked too late to be.
        taken_off = min(silent, now.get(Turn.NO_RESPONSE, 0))
        silent, unasked = taken_off, unasked + silent - taken_off
    return Figures(
        campaign=campaign.id,
        state=CampaignState(campaign.state),
        asked=asked,
        yes=yes,
        no=no,
        silent=silent,
        held=contacts.count_yes_held(mailing_list),
        waiting=waiting,
        unasked=unasked,
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


def _is_given_up(mails: Mails) -> bool:
    """Say whether mails were dropped although nobody had answered."""
    return mails.state is MailState.DROPPED and mails.reason in _GIVEN_UP


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
