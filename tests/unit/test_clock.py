"""The clock, the machine's own and the one set by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from repermit.clock import ManualClock, SystemClock, parse_when
from repermit.errors import Refused

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_the_machines_clock_gives_aware_utc_and_goes_on() -> None:
    first = SystemClock().now()
    time.sleep(0.001)
    second = SystemClock().now()
    assert first.tzinfo is UTC
    assert first < second


def test_a_clock_set_by_hand_stands_still() -> None:
    clock = ManualClock(NOON)
    assert clock.now() == NOON
    time.sleep(0.001)
    assert clock.now() == NOON


def test_it_goes_where_it_is_moved() -> None:
    clock = ManualClock(NOON)
    clock.advance(timedelta(microseconds=1))
    assert clock.now() == NOON + timedelta(microseconds=1)
    clock.move_to(NOON - timedelta(days=1))
    assert clock.now() == NOON - timedelta(days=1)


def test_it_shows_utc_wherever_it_was_set() -> None:
    summer = timezone(timedelta(hours=2))
    clock = ManualClock(NOON.astimezone(summer))
    assert (clock.now(), clock.now().tzinfo) == (NOON, UTC)
    clock.move_to((NOON + timedelta(hours=1)).astimezone(summer))
    assert (clock.now(), clock.now().tzinfo) == (NOON + timedelta(hours=1), UTC)


def test_a_ticking_clock_goes_on_from_where_it_was_set() -> None:
    clock = ManualClock(NOON, ticking=True)
    for start in (NOON, NOON + timedelta(days=30)):
        clock.move_to(start)
        time.sleep(0.002)
        assert start + timedelta(milliseconds=2) <= clock.now() < start + timedelta(minutes=1)


def test_a_moment_of_no_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(NOON.replace(tzinfo=None))


AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-22", "2026-12-22T22:59:59.999999+00:00"),
        ("2026-06-22", "2026-06-22T21:59:59.999999+00:00"),
        ("2026-03-29", "2026-03-29T21:59:59.999999+00:00"),
        ("2026-12-22T17:00", "2026-12-22T16:00:00+00:00"),
        ("2026-12-22T17:00:01", "2026-12-22T16:00:01+00:00"),
        ("2026-12-22T17:00Z", "2026-12-22T17:00:00+00:00"),
        ("2026-12-22T17:00:00-05:00", "2026-12-22T22:00:00+00:00"),
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59+00:00"),
        ("2026-03-29T03:00", "2026-03-29T01:00:00+00:00"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00+00:00"),
        ("2026-10-25T03:00", "2026-10-25T02:00:00+00:00"),
    ],
)
def test_a_date_is_read_in_the_organisations_zone(text: str, moment: str) -> None:
    read = parse_when(text, AMSTERDAM)
    assert (read, read.tzinfo) == (datetime.fromisoformat(moment), UTC)


def test_a_day_that_ends_twice_lasts_until_the_second_time() -> None:
    # In Lebanon the clocks go back from midnight to eleven.
    read = parse_when("2026-10-24", ZoneInfo("Asia/Beirut"))
    assert read == datetime(2026, 10, 24, 21, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("2026-03-29T02:00", "does not exist"),
        ("2026-03-29T02:59:59", "does not exist"),
        ("2026-10-25T02:00", "happens twice"),
        ("2026-10-25T02:59:59", "happens twice"),
    ],
)
def test_a_time_that_the_change_of_clocks_takes_or_doubles_is_refused(text: str, how: str) -> None:
    with pytest.raises(Refused, match=rf"this time {how} on that day, .* \({text}\)"):
        parse_when(text, AMSTERDAM)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-13-01",
        "2026-02-29",
        "22-12-2026",
        "20261222",
        "2026-W52-2",
        "2026-12-22 17:00",
        "2026-12-22T17",
        "2026-12-22T17:60",
        "2026-12-22T17:00:00.5",
        "2026-12-22T17:00+25:00",
        "2026-12-22\n",
        "٢٠٢٦-12-22",
    ],
)
def test_what_is_no_date_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(Refused, match="is neither; write 2026-12-22 or 2026-12-22T17:00"):
        parse_when(text, AMSTERDAM)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01",
        "0001-01-01T00:00",
        "1899-12-31",
        "3000-01-01",
        "9999-12-31",
        "9999-12-31T23:59",
        "9999-12-31T23:59-05:00",
    ],
)
def test_a_year_that_nobody_can_mean_is_asked_about(text: str) -> None:
    with pytest.raises(Refused, match=rf"too far away: is its year right\? \('{text}'\)"):
        parse_when(text, AMSTERDAM)


@pytest.mark.parametrize("text", ["1900-01-01", "2999-12-31", "2999-12-31T23:59"])
def test_a_far_year_may_be_meant(text: str) -> None:
    assert parse_when(text, AMSTERDAM).year == int(text[:4])
