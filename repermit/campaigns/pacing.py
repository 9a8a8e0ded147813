"""When a campaign's mails leave: the last ask, the reminder, and whether that leaves enough time.

May import consent, models and what lies below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from repermit.campaigns.audience import count_at_largest_domain
from repermit.consent import REST_BEFORE_REMINDER, latest_ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from repermit.campaigns.audience import Audience
    from repermit.config import Settings
    from repermit.models import MailingList

_MORNING = time(9)
_LAST_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The moments of a campaign, aware; `reminder_at` is None if nobody is to be reminded."""

    starts_at: datetime
    last_ask_at: datetime
    reminder_at: datetime | None
    deadline: datetime


def last_ask_at(
    mailing_list: MailingList,
    audience: Audience,
    *,
    settings: Settings,
    starts_at: datetime,
    include_thin: bool,
) -> datetime:
    """Return when the rates let the last ask out if nothing holds it up; `starts_at` if none do."""
    longest = settings.mail.interval * max(0, audience.asked - 1)
    if settings.mail.domain_interval:
        most = count_at_largest_domain(mailing_list, include_thin=include_thin)
        longest = max(longest, settings.mail.domain_interval * max(0, most - 1))
    return starts_at + longest


def reminder_moment(deadline: datetime, days: int, zone: ZoneInfo) -> datetime:
    """Return when to remind: so many days before the deadline by the calendar of `zone`.

    At the deadline's own time of day; but in the morning if that is the end of a day, since
    nobody wants mail in the middle of the night.
    """
    local = deadline.astimezone(zone)
    shortly_before = local - _LAST_MINUTE
    day = shortly_before.date() - timedelta(days=days)
    is_end_of_day = (local + _LAST_MINUTE).date() > shortly_before.date()
    clock = _MORNING if is_end_of_day else local.time()
    return datetime.combine(day, clock, zone).astimezone(UTC)


def about_the_pace(pace: Pace, settings: Settings, *, now: datetime) -> Iterator[str]:
    """Yield what stands against a campaign in its deadline, its rates and its reminder."""
    days = settings.campaign.minimum_days
    latest = latest_ask(pace.deadline, days)
    if pace.deadline <= now:
        yield f"the deadline, {in_zone(pace.deadline, settings)}, has passed"
    elif latest <= pace.starts_at:
        earliest = pace.starts_at + timedelta(days=days)
        yield (
            f"the deadline is too near: people need {days} days to answer (minimum_days under "
            f"[campaign]), so it must be later than {in_zone(earliest, settings)}"
        )
    elif latest < pace.last_ask_at:
        earliest = pace.last_ask_at + timedelta(days=days)
        yield (
            "the mails leave too slowly: at the rates under [mail] the last one leaves on "
            f"{in_zone(pace.last_ask_at, settings)}, and people need {days} days to answer "
            "(minimum_days under [campaign]), so the deadline must be later than "
            f"{in_zone(earliest, settings)}"
        )
    elif pace.reminder_at and pace.reminder_at < pace.last_ask_at + REST_BEFORE_REMINDER:
        yield (
            f"the reminder would leave on {in_zone(pace.reminder_at, settings)}, and the last ask "
            f"on {in_zone(pace.last_ask_at, settings)}: people need a day between the two, so "
            "remind them fewer days before the deadline"
        )


def in_zone(moment: datetime, settings: Settings) -> str:
    """Return a moment in the organisation's zone, such as 2026-12-22 17:00."""
    return f"{moment.astimezone(settings.zone):%Y-%m-%d %H:%M}"
