"""The schedule of a campaign: its last ask, its reminder, and how long the rate limits take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from repermit.campaigns.audience import (
    Audience,
    count_askable_by_domain,
    count_asks,
    count_asks_by_domain,
    count_mails_at_busiest_domain,
    count_mails_until_last_ask,
    count_unsent,
    count_unsent_by_domain,
)
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.i18n.lazy_text import LazyText
from repermit.rules.deadlines_and_reminders import (
    REST_BEFORE_REMINDER,
    latest_reminder,
)
from repermit.settings.definitions import Settings

MORNING = time(9)
"""The time of day of reminders if no hour was chosen: nobody wants mail at night."""

# Longer than any deadline, and short enough to be added to any date.
_MAX_DURATION = timedelta(days=365_000)
_LAST_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class SendPlan:
    """The schedule of a campaign, in aware times.

    - `send_duration`: how long a mail to the whole audience takes at the configured rates, other
      campaigns' mails included.
    - `reminder_at`: None if nobody is reminded.
    """

    starts_at: datetime
    send_duration: timedelta
    reminder_at: datetime | None
    deadline: datetime

    @property
    def last_ask_at(self) -> datetime:
        """Return when the last ask is sent if nothing delays it."""
        return self.starts_at + self.send_duration

    @property
    def last_reminder_at(self) -> datetime | None:
        """Return when the last reminder is sent if nobody answers before; None without one."""
        return self.reminder_at and self.reminder_at + self.send_duration


def compute_send_duration(
    mailing_list: MailingList, audience: Audience, *, settings: Settings, include_thin: bool
) -> timedelta:
    """Return how long the asks take at the rates, from first to last; zero without rates."""
    if not audience.asked:
        return timedelta(0)
    return _compute_duration(
        mailing_list,
        settings,
        lambda: audience.asked,
        lambda: count_askable_by_domain(mailing_list, include_thin=include_thin),
    )


def predict_last_ask(campaign: Campaign, *, settings: Settings, now: datetime) -> datetime:
    """Return when a campaign's last ask is sent if it resumes now with the unsent ones."""
    return now + _compute_duration(
        campaign.list,
        settings,
        lambda: count_unsent(campaign),
        lambda: count_unsent_by_domain(campaign),
    )


def predict_reminder_duration(campaign: Campaign, *, settings: Settings) -> timedelta:
    """Return how long the reminders take at the rates if nobody answers before."""
    return _compute_duration(
        campaign.list,
        settings,
        lambda: count_asks(campaign),
        lambda: count_asks_by_domain(campaign),
    )


def _compute_duration(
    mailing_list: MailingList,
    settings: Settings,
    asks: Callable[[], int],
    asks_by_domain: Callable[[], Mapping[str, int]],
) -> timedelta:
    """Return how long mails take at the rates, from first to last; counts only with rates."""
    server = settings.mail
    duration = timedelta(0)
    if server.interval:
        duration = server.interval * max(0, count_mails_until_last_ask(mailing_list, asks()) - 1)
    if server.domain_interval:
        mail_count = count_mails_at_busiest_domain(mailing_list, asks_by_domain())
        duration = max(duration, server.domain_interval * max(0, mail_count - 1))
    return min(duration, _MAX_DURATION)


def compute_reminder_time(deadline: datetime, days: int, zone: ZoneInfo) -> datetime:
    """Return when to remind: so many days before the deadline in the calendar of `zone`.

    At the deadline's own time of day, or in the morning if that is the end of a day.
    """
    local = deadline.astimezone(zone)
    shortly_before = local - _LAST_MINUTE
    day = shortly_before.date() - timedelta(days=days)
    is_end_of_day = (local + _LAST_MINUTE).date() > shortly_before.date()
    clock = MORNING if is_end_of_day else local.time()
    return datetime.combine(day, clock, zone).astimezone(UTC)


def check_reminder(
    reminder_at: datetime,
    *,
    last_ask_at: datetime,
    last_reminder_at: datetime,
    deadline: datetime,
    settings: Settings,
) -> Iterator[LazyText]:
    """Yield why a reminder is too soon after the last ask, or too late."""
    if reminder_at < last_ask_at + REST_BEFORE_REMINDER:
        yield LazyText(
            "the reminder would leave on %(reminder)s, and the last mail on %(last)s: people need "
            "a day between the two, so remind them fewer days before the deadline",
            code="reminder_too_soon",
            reminder=to_local_time(reminder_at, settings),
            last=to_local_time(last_ask_at, settings),
        )
    elif last_reminder_at > latest_reminder(deadline, reminder_at):
        yield LazyText(
            "the reminders leave too slowly: the last one would leave on %(last)s, too late "
            "before the deadline, %(deadline)s; remind people more days before it, or nobody",
            code="reminders_too_slow",
            cli=" (the rates stand under [mail])",
            last=to_local_time(last_reminder_at, settings),
            deadline=to_local_time(deadline, settings),
        )


def to_local_time(moment: datetime, settings: Settings) -> datetime:
    """Return a time in the organisation's zone, in which it is shown."""
    return moment.astimezone(settings.zone)
