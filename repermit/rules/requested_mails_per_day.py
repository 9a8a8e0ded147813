"""The rule for requested mails: at most three of a kind to an address in 24 hours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

MAX_REQUESTED_MAILS = 3
"""The maximum number of mails of a kind that forms can send to an address in 24 hours."""

_DAY = timedelta(days=1)


def find_next_mail_time(due_times: Iterable[datetime], *, now: datetime) -> datetime:
    """Return when another mail may be sent: `now`, or a day after the third last (invariant 3).

    - `due_times`: of the other mails of its kind, sent and unsent, in any order.
    """
    latest = sorted(due_times)[-MAX_REQUESTED_MAILS:]
    return max(now, latest[0] + _DAY) if len(latest) == MAX_REQUESTED_MAILS else now
