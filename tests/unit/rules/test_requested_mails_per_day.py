"""How many mails an address gets at the wish of whoever types it: each boundary by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.rules.requested_mails_per_day import find_next_mail_time

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


def find_wait(*ages: timedelta) -> timedelta:
    """Return how long one more mail waits, after earlier ones of these ages."""
    return find_next_mail_time([NOW - age for age in ages], now=NOW) - NOW


@pytest.mark.parametrize(
    ("count", "wait"), [(0, 0 * HOUR), (2, 0 * HOUR), (3, 23 * HOUR), (4, 23 * HOUR)]
)
def test_the_fourth_mail_of_a_day_waits(count: int, wait: timedelta) -> None:
    assert find_wait(*[HOUR] * count) == wait


@pytest.mark.parametrize(
    ("age", "wait"),
    [(DAY - INSTANT, INSTANT), (DAY, timedelta()), (DAY + INSTANT, timedelta())],
)
def test_a_mail_counts_for_a_day(age: timedelta, wait: timedelta) -> None:
    assert find_wait(age, HOUR, HOUR) == wait


def test_the_third_last_says_when_the_next_may_leave_in_whatever_order_they_come() -> None:
    assert find_wait(HOUR, 5 * HOUR, 3 * HOUR, 2 * HOUR, 4 * HOUR) == DAY - 3 * HOUR


def test_a_mail_that_is_still_to_leave_counts() -> None:
    assert find_wait(-2 * HOUR, -HOUR, HOUR) == 23 * HOUR
    assert find_wait(-3 * HOUR, -2 * HOUR, -HOUR) == 25 * HOUR


@given(st.lists(st.integers(0, 72)))
def test_no_day_ever_has_more_than_three(hours: list[int]) -> None:
    sent: list[datetime] = []
    for hour in sorted(hours):
        sent.append(find_next_mail_time(sent, now=NOW + hour * HOUR))
    for at in sent:
        assert sum(at - DAY < other <= at for other in sent) <= 3
