"""The page of a campaign: its state, the pending decisions, and the possible actions.

Counts only, no addresses.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, current_app

from repermit.campaigns import add_reminder, enqueue_asks, progress
from repermit.campaigns.lifecycle import MAX_NOTE_LENGTH
from repermit.checks.database import has_bounces
from repermit.clock import count_days
from repermit.contacts import counts as contacts_counts
from repermit.contacts import human_replies
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.evidence import signed_checkpoint
from repermit.expiry.downtime import must_delay_expiry
from repermit.exports.handover_steps import find_pending_handover
from repermit.privacy import erase_removed_contacts
from repermit.reports import statistics
from repermit.reports.statistics import Day, Figures
from repermit.rules.consent import (
    STATE_TEXTS,
    UNSETTLED,
    CampaignState,
    MailState,
)
from repermit.rules.deadlines_and_reminders import TIME_TO_DECIDE_REPLIES, latest_ask
from repermit.sending import in_doubt, queue, server_faults
from repermit.web.admin.page_permissions import for_viewers, in_the_background
from repermit.web.admin.rendering import gettext, ngettext, render_page
from repermit.web.admin.result_text import translate_said
from repermit.web.admin.to_take_off_elsewhere_text import count_to_take_off
from repermit.web.request_context import get_arrival, get_services

# --- The sending speed, measured between two requests of the page. --------------------------------


_MAX_SAMPLE_AGE = timedelta(minutes=2)
_MIN_SAMPLE_INTERVAL = timedelta(seconds=2)


@dataclass(frozen=True)
class _SpeedSample:
    at: datetime
    sent: int


class SendSpeed:
    """Remembers, for each campaign, how many mails were sent at earlier requests."""

    def __init__(self) -> None:
        self._samples: dict[int, list[_SpeedSample]] = {}
        self._lock = threading.Lock()

    def measure(self, campaign: int, *, sent: int, now: datetime) -> float | None:
        """Return the mails sent per second; None at the first request or if none were sent."""
        with self._lock:
            samples = [
                sample
                for sample in self._samples.get(campaign, [])
                if sample.at >= now - _MAX_SAMPLE_AGE
            ]
            if not samples or now - samples[-1].at >= _MIN_SAMPLE_INTERVAL:
                samples.append(_SpeedSample(now, sent))
            self._samples[campaign] = samples
        first = samples[0]
        seconds = (now - first.at).total_seconds()
        return (sent - first.sent) / seconds if seconds and sent > first.sent else None

    def forget(self, campaign: int) -> None:
        """Forget earlier requests, as a pause would count as sending slowly."""
        with self._lock:
            self._samples.pop(campaign, None)


def estimate_time_left(
    count: int,
    *,
    interval: timedelta,
    per_second: float | None,
    put_off: timedelta = timedelta(0),
) -> timedelta | None:
    """Return how long `count` mails take, by the configured rates, otherwise as measured.

    - `put_off`: the time until the last of them that waits for another try is due.
    """
    if interval:
        return max(count * interval, put_off)
    return max(timedelta(seconds=count / per_second), put_off) if per_second else None


# --- The page. ------------------------------------------------------------------------------------


pages = Blueprint("campaign_page", __name__, url_prefix="/admin/lists/<slug>")

_TWO_HOURS, _TWO_DAYS = 120, 48 * 60
_NOTHING_TYPED = dict.fromkeys(("until", "at", "note", "wrong", "days", "reminder_wrong"), "")


@pages.get("/")
@for_viewers
def show(slug: str) -> Response:
    """Show the state of the list's latest campaign."""
    return render_campaign(find_list(slug))


@pages.get("/figures")
@for_viewers
@in_the_background
def show_figures(slug: str) -> Response:
    """Return the part of the page that is reloaded: numbers, notes, decisions and buttons."""
    mailing_list = find_list(slug)
    if latest_campaign(mailing_list) is None:
        abort(404)
    fields = _make_changing_fields(mailing_list)
    return render_page(
        "campaign_page/show.html", notes=(), is_part=True, extending=_NOTHING_TYPED, **fields
    )


def render_campaign(mailing_list: MailingList, *, status: int = 200, **typed: Any) -> Response:
    """Return the page; `typed` has the fields for extending or reminding, and their errors."""
    services = get_services()
    return render_page(
        "campaign_page/show.html",
        status=status,
        is_part=False,
        extending={**_NOTHING_TYPED, **typed},
        retention=services.settings.retention,
        due=list_due_erasures(mailing_list),
        checkpoint=signed_checkpoint.make_signed_checkpoint(services.settings),
        **_make_changing_fields(mailing_list),
    )


def list_due_erasures(mailing_list: MailingList) -> erase_removed_contacts.DueCounts:
    """Return how many contacts wait to be erased, and when."""
    return erase_removed_contacts.count_due(
        mailing_list, settings=get_services().settings, now=get_arrival()
    )


@dataclass(frozen=True, kw_only=True)
class Sending:
    """The progress of sending: mails left, rate, and time left; None if not known."""

    left: int
    per_hour: int | None
    time_left: timedelta | None
    is_limited: bool


def _make_changing_fields(mailing_list: MailingList) -> dict[str, Any]:
    return {
        **_make_figures(mailing_list),
        "still_mailed": progress.count_still_mailed(mailing_list),
        "not_the_person": progress.count_not_the_person(mailing_list),
        "longest_note": MAX_NOTE_LENGTH,
    }


def _make_figures(mailing_list: MailingList) -> dict[str, Any]:
    services, now = get_services(), get_arrival()
    campaign = latest_campaign(mailing_list)
    fields: dict[str, Any] = {"mailing_list": mailing_list, "campaign": campaign}
    if campaign is None:
        return fields
    figures = statistics.read_figures(mailing_list, zone=services.settings.zone, now=now)
    assert figures is not None  # noqa: S101  the list has a campaign
    sending = _measure_sending(campaign, figures)
    resolving = in_doubt.find_resolution(mailing_list)
    return {
        **fields,
        "found": figures,
        "making": enqueue_asks.read_enqueue_progress(campaign),
        "resolving": resolving,
        "doubts": 0 if resolving else in_doubt.count_in_doubt(mailing_list),
        "is_live": CampaignState(campaign.state).is_live,
        "is_over": campaign.deadline <= now,
        "state": describe_state(campaign),
        "is_too_late": _is_pilot_too_late(campaign),
        "first_useful_deadline": now + timedelta(days=campaign.minimum_days),
        "chart": draw_chart(figures.days, now=now, zone=services.settings.zone),
        "sending": sending,
        "time_left": format_wait(sending.time_left),
        "in_words": translate_said,
        "fault": server_faults.read_last_fault()
        if campaign.state == CampaignState.SENDING
        else None,
        "handover": find_pending_handover(mailing_list),
        "count_to_take_off": count_to_take_off,
        "put_off": sum(server_faults.count_policy_refusals(mailing_list).values()),
        "replies": human_replies.count_waiting_replies(mailing_list),
        "replies_until": campaign.deadline + TIME_TO_DECIDE_REPLIES,
        "was_down": must_delay_expiry(campaign, now),
        "promise": _read_promise(campaign),
        "late_reminders": contacts_counts.count_late_reminders(campaign),
        "reads_bounces": services.settings.bounces.protocol != "none" or has_bounces(),
    }


def _read_promise(campaign: Campaign) -> add_reminder.Promise | None:
    """Return whether the asks promise to ask once; None if no reminder can be added anyway."""
    is_live = CampaignState(campaign.state).is_live
    if not is_live or campaign.reminder_at or campaign.deadline <= get_arrival():
        return None
    return add_reminder.read_promise(campaign)


def describe_state(campaign: Campaign) -> str:
    """Return what the campaign does, as the end of a sentence."""
    state = CampaignState(campaign.state)
    is_started = state in {CampaignState.SENDING, CampaignState.OPEN}
    if is_started and campaign.deadline <= get_arrival():
        return gettext("is over")
    return translate_said(STATE_TEXTS[state])


def format_wait(wait: timedelta | None) -> str:
    """Format a duration in a suitable unit, rounded up; "" for None."""
    if wait is None:
        return ""
    minutes = math.ceil(wait.total_seconds() / 60)
    if minutes < _TWO_HOURS:
        return ngettext("one minute", "%(count)s minutes", minutes)
    if minutes < _TWO_DAYS:
        return ngettext("one hour", "%(count)s hours", math.ceil(minutes / 60))
    return ngettext("one day", "%(count)s days", math.ceil(minutes / 1440))


def format_time_left(deadline: datetime) -> str:
    """Format the time until the deadline in days or hours; "" once it has passed."""
    now = get_arrival()
    if deadline - now < timedelta(minutes=_TWO_DAYS):
        return format_wait(deadline - now) if deadline > now else ""
    days = count_days(now, deadline, get_services().settings.zone)
    return ngettext("one day", "%(count)s days", days)


def _is_pilot_too_late(campaign: Campaign) -> bool:
    """Return whether those who wait for the end of a pilot would have too little time."""
    return bool(campaign.pilot) and get_arrival() > latest_ask(
        campaign.deadline, campaign.minimum_days
    )


def _measure_sending(campaign: Campaign, figures: Figures) -> Sending:
    mail = get_services().settings.mail
    speed: SendSpeed = current_app.extensions.setdefault("repermit_speed", SendSpeed())
    unsent = sum(figures.mails[state] for state in UNSETTLED)
    sent = figures.mails[MailState.SENT]
    now = get_arrival()
    if campaign.state != CampaignState.SENDING:
        speed.forget(campaign.id)
    measured = speed.measure(campaign.id, sent=sent, now=now)
    last_due_at = queue.find_last_due_time(campaign) or now
    return Sending(
        left=unsent,
        per_hour=round(measured * 3600) if measured else None,
        time_left=estimate_time_left(
            unsent, interval=mail.interval, per_second=measured, put_off=last_due_at - now
        ),
        is_limited=bool(mail.interval),
    )


# --- The chart of answers per day. ----------------------------------------------------------------


_WHOLE = 100  # percent
_GAP = 0.15
_NOON = time(12)


@dataclass(frozen=True, kw_only=True)
class ChartColumn:
    """One day of the chart: the geometry of its bars (No below, Yes on top), and their counts.

    - `at`: noon of the day, an aware datetime.
    """

    day: Day
    at: datetime
    x: float
    width: float
    yes_height: float
    no_height: float

    @property
    def no_y(self) -> float:
        """Return the distance of the lower bar from the top."""
        return round(_WHOLE - self.no_height, 2)

    @property
    def yes_y(self) -> float:
        """Return the distance of the upper bar from the top."""
        return round(_WHOLE - self.no_height - self.yes_height, 2)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The chart of a campaign's days.

    - `most`: the highest count of a day.
    - `today`: the position of the present day.
    - `only`: the day with answers, None if there are several or none.
    """

    columns: tuple[ChartColumn, ...]
    most: int
    today: float | None
    only: ChartColumn | None


def draw_chart(days: Sequence[Day], *, now: datetime, zone: ZoneInfo) -> Chart:
    """Return the chart of these days, which are in the time zone `zone`."""
    max_count = max((day.yes + day.no for day in days), default=0)
    step = _WHOLE / max(1, len(days))
    columns = tuple(
        _draw_column(day, index, step, max_count, zone) for index, day in enumerate(days)
    )
    date = now.astimezone(zone).date()
    today = next((day.x for day in columns if day.day.day == date), None)
    answered = [column for column in columns if column.day.yes or column.day.no]
    only = answered[0] if len(answered) == 1 else None
    return Chart(columns=columns, most=max_count, today=today, only=only)


def _draw_column(day: Day, index: int, step: float, max_count: int, zone: ZoneInfo) -> ChartColumn:
    scale = _WHOLE / max(1, max_count)
    return ChartColumn(
        day=day,
        at=datetime.combine(day.day, _NOON, zone),
        x=round(index * step + step * _GAP / 2, 2),
        width=round(step * (1 - _GAP), 2),
        yes_height=round(day.yes * scale, 2),
        no_height=round(day.no * scale, 2),
    )
