"""The chart of answers a day, as bars in percent of its width and height that a template draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from repermit.reports.statistics import Day

_WHOLE = 100  # percent
_GAP = 0.15
_NOON = time(12)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One day: where its bars stand (the No below, the Yes on it), and what they count.

    `at` is its noon, aware.
    """

    day: Day
    at: datetime
    x: float
    width: float
    yes_height: float
    no_height: float

    @property
    def no_y(self) -> float:
        """Return where the lower bar begins, from above."""
        return round(_WHOLE - self.no_height, 2)

    @property
    def yes_y(self) -> float:
        """Return where the upper bar begins, from above."""
        return round(_WHOLE - self.no_height - self.yes_height, 2)


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A campaign's days; `most` is the highest count of one, `today` where the present day is."""

    columns: tuple[Column, ...]
    most: int
    today: float | None


def draw(days: Sequence[Day], *, now: datetime, zone: ZoneInfo) -> Chart:
    """Return the chart of these days, by the calendar of `zone`."""
    most = max((one.yes + one.no for one in days), default=0)
    step = _WHOLE / max(1, len(days))
    columns = tuple(_column(one, n, step, most, zone) for n, one in enumerate(days))
    date = now.astimezone(zone).date()
    today = next((one.x for one in columns if one.day.day == date), None)
    return Chart(columns=columns, most=most, today=today)


def _column(day: Day, n: int, step: float, most: int, zone: ZoneInfo) -> Column:
    scale = _WHOLE / max(1, most)
    return Column(
        day=day,
        at=datetime.combine(day.day, _NOON, zone),
        x=round(n * step + step * _GAP / 2, 2),
        width=round(step * (1 - _GAP), 2),
        yes_height=round(day.yes * scale, 2),
        no_height=round(day.no * scale, 2),
    )
