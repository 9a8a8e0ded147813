"""The rules of time: by when an ask and a reminder must leave, and when silence removes somebody.

Pure functions on plain values, as in rules/consent.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from repermit.rules.consent import Status, is_undecided


def latest_ask(deadline: datetime, minimum_days: int) -> datetime:
    """Return the last moment at which a server may accept an ask for it to count."""
    return deadline - timedelta(days=minimum_days)


REST_BEFORE_REMINDER = timedelta(days=1)
"""How long after its ask a contact may be reminded at the earliest."""


TIME_AFTER_REMINDER = timedelta(days=1)
"""How long people have after a reminder at least, or half of what was planned if that is less."""


def latest_reminder(deadline: datetime, reminder_at: datetime | None) -> datetime:
    """Return the last moment at which a reminder that was due at `reminder_at` may leave."""
    planned = deadline - reminder_at if reminder_at else 2 * TIME_AFTER_REMINDER
    return deadline - min(TIME_AFTER_REMINDER, planned / 2)


class Verdict(StrEnum):
    """What the deadline does to a contact of a campaign."""

    WAIT = "wait"
    EXPIRE = "expire"
    UNASKED = "unasked"
    ANSWERED = "answered"


def expiry(
    status: Status,
    *,
    basis: str = "",
    include_thin: bool = False,
    accepted_at: datetime | None,
    deadline: datetime,
    now: datetime,
    minimum_days: int,
) -> Verdict:
    """Decide what becomes of an asked contact at `now`.

    `accepted_at` is when a server took the ask, None if none did or it bounced later. Silence may
    only count against somebody who had the time to speak: the ask must have been accepted
    `minimum_days` or more before the deadline, and the deadline must have passed. Who could not be
    asked keeps what there was before, be it thin.
    """
    if not is_undecided(status, basis, include_thin=include_thin):
        return Verdict.ANSWERED
    if now < deadline:
        return Verdict.WAIT
    if accepted_at is None or accepted_at > latest_ask(deadline, minimum_days):
        return Verdict.UNASKED if status is Status.UNCONFIRMED else Verdict.ANSWERED
    return Verdict.EXPIRE


MAX_PERIOD = timedelta(days=366)
"""How long after the last ask a deadline may be, and how far it may be moved at a time: whoever has
not answered by then will not, and may not be mailed meanwhile. A later one is a slip."""

_DEFAULT_PERIOD = timedelta(days=28)
_TWO_WEEKS = timedelta(days=14)


def suggest_period(minimum_days: int) -> timedelta:
    """Return how far away a deadline is suggested: four weeks, or more if `minimum_days` is long.

    A deadline is at the end of its day, so a day less than a launch takes is the most.
    """
    period = max(_DEFAULT_PERIOD, timedelta(days=minimum_days) + _TWO_WEEKS)
    return min(period, MAX_PERIOD - timedelta(days=1))
