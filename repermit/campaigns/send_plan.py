"""When a campaign's mails leave: the last ask and the reminder, and how long the rates take."""

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
"""When mails leave on a day for which no hour was chosen: nobody wants them in the night."""

# Longer than any deadline, and short enough to be counted on from any moment.
_LONGEST_DURATION = timedelta(days=365_000)
_LAST_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class SendPlan:
    """The moments of a campaign, aware; `reminder_at` is None if nobody is to be reminded.

    `takes` is how long the rates spread a mail to everybody over, beside what others owe.
    """

    starts_at: datetime
    takes: timedelta
    reminder_at: datetime | None
    deadline: datetime

    @property
    def last_ask_at(self) -> datetime:
        """Return when the last ask leaves if nothing holds it up."""
        return self.starts_at + self.takes

    @property
    def last_reminder_at(self) -> datetime | None:
        """Return when the last reminder does, if nobody answers before."""
        return self.reminder_at and self.reminder_at + self.takes


def compute_send_duration(
    mailing_list: MailingList, audience: Audience, *, settings: Settings, include_thin: bool
) -> timedelta:
    """Return how long it takes at the rates from the first ask to the last; none without rates."""
    if not audience.asked:
        return timedelta(0)
    return _compute_duration(
        mailing_list,
        settings,
        lambda: audience.asked,
        lambda: count_askable_by_domain(mailing_list, include_thin=include_thin),
    )


def predict_last_ask(campaign: Campaign, *, settings: Settings, now: datetime) -> datetime:
    """Return when the last ask leaves of a campaign that goes on now, with those not sent yet."""
    return now + _compute_duration(
        campaign.list,
        settings,
        lambda: count_unsent(campaign),
        lambda: count_unsent_by_domain(campaign),
    )


def predict_reminder_duration(campaign: Campaign, *, settings: Settings) -> timedelta:
    """Return how long the reminders take at the rates, if nobody answers before."""
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
    """Return how long it takes at the rates from the first to the last; counts if there are any."""
    server = settings.mail
    takes = timedelta(0)
    if server.interval:
        takes = server.interval * max(0, count_mails_until_last_ask(mailing_list, asks()) - 1)
    if server.domain_interval:
        most = count_mails_at_busiest_domain(mailing_list, asks_by_domain())
        takes = max(takes, server.domain_interval * max(0, most - 1))
    return min(takes, _LONGEST_DURATION)


def compute_reminder_time(deadline: datetime, days: int, zone: ZoneInfo) -> datetime:
    """Return when to remind: so many days before the deadline by the calendar of `zone`.

    At the deadline's own time of day; but in the morning if that is the end of a day, since
    nobody wants mail in the middle of the night.
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
    """Yield what stands against a reminder so soon after the last ask, or so late."""
    if reminder_at < last_ask_at + REST_BEFORE_REMINDER:
        yield LazyText(
            "the reminder would leave on %(reminder)s, and the last ask on %(last)s: people need "
            "a day between the two, so remind them fewer days before the deadline",
            code="reminder_too_soon",
            reminder=to_local_time(reminder_at, settings),
            last=to_local_time(last_ask_at, settings),
        )
    elif last_reminder_at > latest_reminder(deadline, reminder_at):
        yield LazyText(
            "the reminders leave too slowly: at the rates under [mail] the last one would leave "
            "on %(last)s, too late before the deadline, %(deadline)s: remind people more days "
            "before it, or nobody",
            code="reminders_too_slow",
            last=to_local_time(last_reminder_at, settings),
            deadline=to_local_time(deadline, settings),
        )


def to_local_time(moment: datetime, settings: Settings) -> datetime:
    """Return a moment in the organisation's zone, in which it is to be shown."""
    return moment.astimezone(settings.zone)
