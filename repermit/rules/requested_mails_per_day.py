"""The rule of mail that somebody asks for: three a day at most to an address, of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

MOST_ON_REQUEST = 3
"""How many mails an address gets in 24 hours at the wish of whoever types it in a form."""

_DAY = timedelta(days=1)


def find_next_mail_time(due_times: Iterable[datetime], *, now: datetime) -> datetime:
    """Return when one more mail may leave: `now`, or a day after the third last (invariant 3).

    `due_times` are those of the other mails of its kind, in any order; of mails still to leave too.
    """
    latest = sorted(due_times)[-MOST_ON_REQUEST:]
    return max(now, latest[0] + _DAY) if len(latest) == MOST_ON_REQUEST else now
