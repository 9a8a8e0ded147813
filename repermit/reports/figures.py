"""How a campaign stands: its people in parts that add up, and what came on which day.

May import evidence, models, consent and what lies below. Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from peewee import SQL, fn

from repermit.consent import BounceKind, CampaignState, Dropped, MailKind, MailState
from repermit.models import Mail, latest_campaign
from repermit.reports.tallying import read_tallies
from repermit.reports.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from repermit.models import Campaign, MailingList
    from repermit.reports.turns import Key

_OWED = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
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
    their mail) and `unasked` (could not be asked). `mails` counts asks and reminders by state.
    `days` go from its beginning to the deadline, or to its end. `is_whole` is false while the
    counting is behind.
    """

    campaign: int
    state: CampaignState
    asked: int
    yes: int
    no: int
    silent: int
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
    mails: Mapping[tuple[str, str], int] | None = None,
) -> Figures | None:
    """Return how the list's latest campaign stands; None if there is none.

    `mails` are its mails as `count_mails` has counted them a moment ago, if it has.
    """
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        return None
    counts, is_whole = read_tallies(mailing_list.slug, campaign.id, zone=zone)
    mails = count_mails(campaign) if mails is None else mails
    asks = {state: number for (kind, state), number in mails.items() if kind == MailKind.ASK}
    bounces = _bounces(campaign)
    asked = sum(asks.values())
    now = {key.what: number for key, number in counts.items() if not key.day}
    yes, no = now.get(Turn.YES, 0), sum(now.get(what, 0) for what in _NOS)
    waiting = sum(asks.get(state, 0) for state in _OWED)
    unasked = (
        asks.get(MailState.FAILED, 0)
        + asks.get(MailState.IN_DOUBT, 0)
        + bounces[BounceKind.HARD]
        + (_given_up(campaign) if asks.get(MailState.DROPPED) else 0)
    )
    return Figures(
        campaign=campaign.id,
        state=CampaignState(campaign.state),
        asked=asked,
        yes=yes,
        no=no,
        # Who answered without having been asked, as by phone, stands in two of the others.
        silent=max(0, asked - yes - no - waiting - unasked),
        waiting=waiting,
        unasked=unasked,
        mails=_by_state(mails),
        bounces=bounces,
        days=_days(campaign, counts, zone),
        is_whole=is_whole,
    )


def count_mails(campaign: Campaign) -> dict[tuple[str, str], int]:
    """Count a campaign's mails by kind and state, read from one index."""
    rows: Any = (
        Mail.select(Mail.kind, Mail.state, fn.COUNT(Mail.id))
        .where(Mail.campaign == campaign)
        .group_by(Mail.kind, Mail.state)
        .tuples()
    )
    return {(kind, state): number for kind, state, number in rows}


def _by_state(mails: Mapping[tuple[str, str], int]) -> dict[MailState, int]:
    counts = dict.fromkeys(MailState, 0)
    for (kind, state), number in mails.items():
        if kind in (MailKind.ASK, MailKind.REMINDER):
            counts[MailState(state)] += number
    return counts


def _bounces(campaign: Campaign) -> dict[BounceKind, int]:
    rows: Any = (
        Mail.select(Mail.kind, Mail.bounce, fn.COUNT(Mail.id))
        # Written out, and without the kind, so that the index for just these mails is used.
        .where(Mail.campaign == campaign, SQL("bounce <> ''"))
        .group_by(Mail.kind, Mail.bounce)
        .tuples()
    )
    asks = {BounceKind(bounce): count for kind, bounce, count in rows if kind == MailKind.ASK}
    return {**dict.fromkeys(BounceKind, 0), **asks}


def _given_up(campaign: Campaign) -> int:
    """Count the asks that were dropped although nobody had answered."""
    given_up = Mail.select().where(
        Mail.campaign == campaign,
        Mail.kind == MailKind.ASK,
        Mail.state == MailState.DROPPED,
        Mail.reason.in_((Dropped.CANCELLED, Dropped.TOO_LATE)),
    )
    return int(given_up.count())


def _days(campaign: Campaign, counts: Mapping[Key, int], zone: ZoneInfo) -> tuple[Day, ...]:
    by_day: dict[str, dict[Turn, int]] = {}
    for key, number in counts.items():
        by_day.setdefault(key.day, {})[key.what] = number
    first, last = _local_day(campaign.starts_at, zone), _local_day(_end(campaign), zone)
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
