"""The rules of time: when asks and reminders must be sent, and when silence removes a contact.

Pure functions on plain values, as in rules/consent.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from repermit.rules.consent import Status, is_undecided


def latest_ask(deadline: datetime, minimum_days: int) -> datetime:
    """Return the latest time at which a server may accept an ask for it to count."""
    return deadline - timedelta(days=minimum_days)


REST_BEFORE_REMINDER = timedelta(days=1)
"""The minimum time between an ask and its reminder."""


TIME_AFTER_REMINDER = timedelta(days=1)
"""The minimum time between a reminder and the deadline, or half of the planned one if less."""


def latest_reminder(deadline: datetime, reminder_at: datetime | None) -> datetime:
    """Return the latest time at which a reminder that was due at `reminder_at` may be sent."""
    planned = deadline - reminder_at if reminder_at else 2 * TIME_AFTER_REMINDER
    return deadline - min(TIME_AFTER_REMINDER, planned / 2)


TIME_TO_DECIDE_REPLIES = timedelta(days=14)
"""The time after a deadline in which a reply by mail, not decided on yet, prevents expiry.

Bounded, since the campaign stays open meanwhile, and nobody removed in it is erased.
"""


class Verdict(StrEnum):
    """The effect of the deadline on a contact of a campaign."""

    WAIT = "wait"
    EXPIRE = "expire"
    UNASKED = "unasked"
    ANSWERED = "answered"


def decide_expiry(
    status: Status,
    *,
    basis: str = "",
    include_thin: bool = False,
    accepted_at: datetime | None,
    deadline: datetime,
    now: datetime,
    minimum_days: int,
    replied_at: datetime | None = None,
) -> Verdict:
    """Decide what the deadline does to an asked contact at `now`.

    - `accepted_at`: when a server accepted the ask; None if none did, or if it bounced later.
    - `replied_at`: when the oldest of its replies by mail arrived that wait for a decision.

    Silence counts only after the deadline, and only if the ask was accepted at least `minimum_days`
    before it. A contact that could not be asked keeps its status, even on a thin proof. Who wrote
    before the deadline was not silent: the decision is waited for, TIME_TO_DECIDE_REPLIES at most.
    """
    if not is_undecided(status, basis, include_thin=include_thin):
        return Verdict.ANSWERED
    if now < deadline:
        return Verdict.WAIT
    if accepted_at is None or accepted_at > latest_ask(deadline, minimum_days):
        return Verdict.UNASKED if status is Status.UNCONFIRMED else Verdict.ANSWERED
    if replied_at and replied_at < deadline and now < deadline + TIME_TO_DECIDE_REPLIES:
        return Verdict.WAIT
    return Verdict.EXPIRE


MAX_PERIOD = timedelta(days=366)
"""The maximum time between the last ask and the deadline, and of one extension.

People who have not answered by then will not, and may not be mailed meanwhile. A later deadline is
probably a typo.
"""

_DEFAULT_PERIOD = timedelta(days=28)
_TWO_WEEKS = timedelta(days=14)


def suggest_period(minimum_days: int) -> timedelta:
    """Return the suggested time to the deadline: four weeks, or more if `minimum_days` is long.

    The deadline is at the end of its day, so it is at most a day less than MAX_PERIOD.
    """
    period = max(_DEFAULT_PERIOD, timedelta(days=minimum_days) + _TWO_WEEKS)
    return min(period, MAX_PERIOD - timedelta(days=1))
