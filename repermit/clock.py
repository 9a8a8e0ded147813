"""The only place where the time of day is read."""

from __future__ import annotations

import re
import threading
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from repermit.errors import Refused


class Clock(Protocol):
    """Tell the time."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC, to the microsecond."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that is set by hand, for the demo and for tests; it may also tick along.

    `ticking` makes it advance with the machine's clock from wherever it was set.
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
        """Return the moment this clock shows, aware UTC."""
        with self._lock:
            if self._ticking:
                return self._now + (SystemClock().now() - self._set_at)
            return self._now

    def move_to(self, moment: datetime) -> None:
        """Show `moment` (aware) from here on."""
        with self._lock:
            self._set_at = SystemClock().now()
            self._now = moment.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        """Move on by `by`."""
        self.move_to(self.now() + by)


def parse_when(text: str, zone: ZoneInfo) -> datetime:
    """Read WHEN as the command line takes it; return it aware UTC.

    `YYYY-MM-DD` means to the end of that day in `zone`; `YYYY-MM-DDTHH:MM[:SS]` is local unless
    it has an offset. Raises Refused for what is no date, for a year that nobody can mean, and for
    a local time that happens twice or never when the clocks change.
    """
    try:
        moment = _read_when(text, zone)
    except ValueError:
        raise Refused(
            "%(text)s is no date; write 2026-12-22 or 2026-12-22T17:00",
            code="when",
            text=repr(text),
        ) from None
    if moment.year not in _YEARS:
        raise Refused("%(text)s is too far away: is its year right?", code="year", text=repr(text))
    return moment.astimezone(UTC)


# From any of these one can count on, or back, without coming to the end of all days (the years 1 to
# 9999); and who agreed on paper long ago is still within them.
_YEARS = range(1900, 3000)


# Python reads more of ISO 8601 than is meant here, such as 20261222 for the day's beginning.
_WHEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-].+)?)?")


def _read_when(text: str, zone: ZoneInfo) -> datetime:
    written = _WHEN.fullmatch(text)
    if written is None:
        raise ValueError(text)
    if written[1] is None:
        # Where the clocks go back at midnight a day ends twice; the second time is meant.
        end = datetime.combine(date.fromisoformat(text), time.max, zone)
        return end.replace(fold=1)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else _local(moment.replace(tzinfo=zone), text)


def _local(moment: datetime, text: str) -> datetime:
    """Refuse what the change of the clocks makes ambiguous or skips (PEP 495)."""
    earlier, later = moment.replace(fold=0), moment.replace(fold=1)
    if earlier.utcoffset() == later.utcoffset():
        return moment
    exists = earlier.astimezone(UTC).astimezone(moment.tzinfo).replace(fold=0) == earlier
    raise Refused(
        "%(text)s %(how)s, since the clocks change; give it with an offset such as +02:00",
        code="when",
        text=text,
        how="happens twice" if exists else "does not exist",
    )


def count_days(start: datetime, end: datetime, zone: ZoneInfo) -> int:
    """Return how many days `end` is after `start` by the calendar of `zone`."""
    return (end.astimezone(zone).date() - start.astimezone(zone).date()).days


def years_before(moment: datetime, years: int) -> datetime:
    """Return the same moment so many years earlier; of 29 February, the day before."""
    try:
        return moment.replace(year=moment.year - years)
    except ValueError:
        return moment.replace(year=moment.year - years, day=28)


@lru_cache(maxsize=1000)
def format_timestamp(moment: datetime) -> str:
    """Return a moment as text of one width, in UTC; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        message = "a moment without a time zone cannot be stored"
        raise ValueError(message)
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
