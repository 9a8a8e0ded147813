"""Clocks, and reading, computing and formatting times. Only this module reads the system time."""

from __future__ import annotations

import re
import threading
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from repermit.errors import Refused
from repermit.i18n.lazy_text import LazyText


class Clock(Protocol):
    """A source of the present time."""

    def now(self) -> datetime:
        """Return the present time, aware UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present time, aware UTC, to the microsecond."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that is set by hand, for the demonstration and for tests.

    - `ticking`: whether it advances with the machine's clock.
    """

    def __init__(self, start: datetime, *, ticking: bool = False) -> None:
        if start.tzinfo is None:
            message = "a clock needs an aware datetime"
            raise ValueError(message)
        self._lock = threading.Lock()
        self._ticking = ticking
        self._set_at = SystemClock().now()
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the time of this clock, aware UTC."""
        with self._lock:
            if self._ticking:
                return self._now + (SystemClock().now() - self._set_at)
            return self._now

    def move_to(self, moment: datetime) -> None:
        """Set the clock to an aware time."""
        with self._lock:
            self._set_at = SystemClock().now()
            self._now = moment.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        """Move the clock forward."""
        self.move_to(self.now() + by)


def parse_when(text: str, zone: ZoneInfo) -> datetime:
    """Return the time of an argument WHEN of the command line, aware UTC.

    - `YYYY-MM-DD` means the end of that day in `zone`.
    - `YYYY-MM-DDTHH:MM[:SS]` is local unless it has an offset.

    Raises Refused for another text, for an implausible year, and for a local time that happens
    twice or never when the clocks change.
    """
    try:
        parsed = _read_when(text, zone)
    except ValueError:
        raise Refused(
            "give a day, or a day and a time",
            cli=": %(text)s is neither; write 2026-12-22 or 2026-12-22T17:00",
            text=repr(text),
        ) from None
    if parsed.year not in _YEARS:
        raise Refused(
            "that day is too far away: is its year right?", cli=" (%(text)s)", text=repr(text)
        )
    return parsed.astimezone(UTC)


# Years far enough from the ends of datetime (1 and 9999) for calculations; they include old
# consents on paper.
_YEARS = range(1900, 3000)


# Python accepts more of ISO 8601 than is allowed here, such as 20261222.
_WHEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-].+)?)?")


def _read_when(text: str, zone: ZoneInfo) -> datetime:
    match = _WHEN.fullmatch(text)
    if match is None:
        raise ValueError(text)
    if match[1] is None:
        # If the clocks go back at midnight, a day ends twice; the second end counts.
        end = datetime.combine(date.fromisoformat(text), time.max, zone)
        return end.replace(fold=1)
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else _require_unambiguous(parsed.replace(tzinfo=zone), text)


def _require_unambiguous(local_time: datetime, text: str) -> datetime:
    """Raise Refused for a time that a change of the clocks makes ambiguous or skips (PEP 495)."""
    earlier, later = local_time.replace(fold=0), local_time.replace(fold=1)
    if earlier.utcoffset() == later.utcoffset():
        return local_time
    exists = earlier.astimezone(UTC).astimezone(local_time.tzinfo).replace(fold=0) == earlier
    twice = LazyText("this time happens twice on that day")
    never = LazyText("this time does not exist on that day")
    raise Refused(
        "%(what)s, since the clocks change: give another",
        cli=", or its offset such as +02:00 (%(text)s)",
        what=twice if exists else never,
        text=text,
    )


def count_days(start: datetime, end: datetime, zone: ZoneInfo) -> int:
    """Return the number of calendar days from `start` to `end` in `zone`."""
    return (end.astimezone(zone).date() - start.astimezone(zone).date()).days


def years_before(at: datetime, years: int) -> datetime:
    """Return the same time some years earlier; 28 February if that year has no 29 February."""
    try:
        return at.replace(year=at.year - years)
    except ValueError:
        return at.replace(year=at.year - years, day=28)


@lru_cache(maxsize=1000)
def format_timestamp(at: datetime) -> str:
    """Return a time as text of fixed width, in UTC; raises ValueError for a naive one."""
    if at.tzinfo is None:
        message = "a moment without a time zone cannot be stored"
        raise ValueError(message)
    return at.astimezone(UTC).isoformat(timespec="microseconds")
