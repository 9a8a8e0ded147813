"""Counts that are kept for a moment, and what the pages measure and draw."""

from __future__ import annotations

import time
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from repermit.reports import Day
from repermit.web.admin.drawing import draw
from repermit.web.admin.measuring import Speed, time_left
from repermit.web.admin.remembering import Memory
from tests.building import NOW

SECOND = timedelta(seconds=1)


class Counting:
    """Counts how often it was asked to count."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.times = 0

    def __call__(self) -> dict[str, int]:
        self.times += 1
        return {"few": 1, "others": self.rows - 1}


@pytest.mark.parametrize(("rows", "times"), [(99, 2), (100, 1), (101, 1)])
def test_many_are_counted_once_in_a_while_and_few_always(rows: int, times: int) -> None:
    memory, counting = Memory(many=100, seconds=60), Counting(rows)
    assert memory.recall("a", counting) == memory.recall("a", counting)
    assert counting.times == times


def test_what_was_counted_is_forgotten_and_known_by_what_it_is_about() -> None:
    memory, counting = Memory(many=1, seconds=0.01), Counting(5)
    memory.recall("a", counting)
    memory.recall("b", counting)
    time.sleep(0.02)
    memory.recall("a", counting)
    assert counting.times == 3


def test_a_speed_is_that_of_the_last_minutes() -> None:
    speed = Speed()
    assert speed.per_second(1, sent=0, now=NOW) is None
    assert speed.per_second(1, sent=10, now=NOW + SECOND) == 10
    assert speed.per_second(2, sent=10, now=NOW + SECOND) is None
    assert speed.per_second(1, sent=10, now=NOW + 100 * SECOND) == 0.1
    # By now the first look is long ago, and since the next nothing has left.
    assert speed.per_second(1, sent=10, now=NOW + 200 * SECOND) is None


@pytest.mark.parametrize(
    ("interval", "per_second", "expected"),
    [
        (2 * SECOND, None, 20 * SECOND),
        (2 * SECOND, 100.0, 20 * SECOND),
        (0 * SECOND, 5.0, 2 * SECOND),
        (0 * SECOND, None, None),
    ],
)
def test_the_time_left_follows_the_rates_or_the_speed(
    interval: timedelta, per_second: float | None, expected: timedelta | None
) -> None:
    assert time_left(10, interval=interval, per_second=per_second) == expected


def test_a_chart_fills_its_height_with_the_highest_day() -> None:
    days = [Day(day=date(2026, 3, 1 + n), yes=yes, no=no) for n, (yes, no) in enumerate([(3, 1)])]
    chart = draw(days, now=NOW, zone=ZoneInfo("Europe/Amsterdam"))
    (column,) = chart.columns
    assert (chart.most, chart.today) == (4, None)
    assert (column.no_y, column.no_height) == (150, 50)
    assert (column.yes_y, column.yes_height) == (0, 150)
    assert column.at.isoformat() == "2026-03-01T12:00:00+01:00"


def test_a_chart_without_days_is_empty() -> None:
    chart = draw([], now=NOW, zone=ZoneInfo("Europe/Amsterdam"))
    assert (chart.columns, chart.most) == ((), 0)
