"""Dates and times as exports write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.imports.readers.dates import is_month_first, parse_datetime
from tests.support.list_files import AMSTERDAM


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-04 05:06:07", datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("2024-03-04T05:06:07Z", datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("2024-03-04T05:06:07.123456+02:00", datetime(2024, 3, 4, 3, 6, 7, 123456, tzinfo=UTC)),
        ("2024-03-04 05:06:07.123456789 +0000 UTC", datetime(2024, 3, 4, 5, 6, 7, 123456, UTC)),
        ("2024-03-04 05:06:07 +0200", datetime(2024, 3, 4, 3, 6, 7, tzinfo=UTC)),
        ("2024-03-04 05:06:07 UTC", datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("2024-03-04", datetime(2024, 3, 4, tzinfo=UTC)),
        ("20240304", datetime(2024, 3, 4, tzinfo=UTC)),
        ("1709528767", datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("4-3-2024", datetime(2024, 3, 4, tzinfo=UTC)),
        ("04-03-24", datetime(2024, 3, 4, tzinfo=UTC)),
        ("04.03.2024 05:06", datetime(2024, 3, 4, 5, 6, tzinfo=UTC)),
        ("4/3/2024", datetime(2024, 3, 4, tzinfo=UTC)),
        ("12/31/2024", datetime(2024, 12, 31, tzinfo=UTC)),
        ("31/12/2024, 17:06:07", datetime(2024, 12, 31, 17, 6, 7, tzinfo=UTC)),
        ("4/3/2024 12:05 AM", datetime(2024, 3, 4, 0, 5, tzinfo=UTC)),
        ("4/3/2024 12:05 pm", datetime(2024, 3, 4, 12, 5, tzinfo=UTC)),
        ("4 maart 2024", datetime(2024, 3, 4, tzinfo=UTC)),
        ("4. März 2024 05:06", datetime(2024, 3, 4, 5, 6, tzinfo=UTC)),
        ("4 août 2024", datetime(2024, 8, 4, tzinfo=UTC)),
        ("4 juin 2024", datetime(2024, 6, 4, tzinfo=UTC)),
        ("4 juillet 2024", datetime(2024, 7, 4, tzinfo=UTC)),
        ("4-mrt-2024", datetime(2024, 3, 4, tzinfo=UTC)),
        ("March 4, 2024 5:06 PM", datetime(2024, 3, 4, 17, 6, tzinfo=UTC)),
        ("Oct 4 2024", datetime(2024, 10, 4, tzinfo=UTC)),
    ],
)
def test_a_date_is_read_however_it_is_written(text: str, expected: datetime) -> None:
    found = parse_datetime(f" {text} ", UTC)
    assert found == expected
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0000-00-00 00:00:00",
        "1970-01-01",
        "1989-12-31",
        "31-02-2024",
        "13/13/2024",
        "4 brumaire 2024",
        "brumaire 4, 2024",
        "ja",
        "2024",
        "12:00",
        "4-3/2024",
        "2024-03-04 25:00 UTC",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_datetime(text, UTC) is None


def test_the_first_year_that_counts_is_1990() -> None:
    assert parse_datetime("1990-01-01", UTC) == datetime(1990, 1, 1, tzinfo=UTC)


def test_a_time_without_a_zone_is_that_of_the_writer() -> None:
    assert parse_datetime("2024-07-01 12:00", AMSTERDAM) == datetime(2024, 7, 1, 10, tzinfo=UTC)
    assert parse_datetime("2024-01-01 12:00", AMSTERDAM) == datetime(2024, 1, 1, 11, tzinfo=UTC)
    assert parse_datetime("2024-07-01 12:00Z", AMSTERDAM) == datetime(2024, 7, 1, 12, tzinfo=UTC)


def test_only_slashes_are_read_with_the_month_first() -> None:
    assert parse_datetime("3/4/2024", UTC, month_first=True) == datetime(2024, 3, 4, tzinfo=UTC)
    assert parse_datetime("3-4-2024", UTC, month_first=True) == datetime(2024, 4, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("texts", "is_first"),
    [
        (["3/4/2024", "3/13/2024"], True),
        (["3/4/2024", "13/3/2024"], False),
        (["3/4/2024 2:05 PM"], True),
        (["3/4/2024"], False),
        (["3-13-2024", "", "x"], False),
        ([], False),
    ],
)
def test_a_column_of_american_dates_is_told(texts: list[str], *, is_first: bool) -> None:
    assert is_month_first(texts) is is_first


@given(
    st.datetimes(min_value=datetime(1990, 1, 2), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Amsterdam", "America/New_York"]),
)
def test_a_moment_survives_being_written_with_its_zone(naive: datetime, zone: str) -> None:
    at = naive.replace(tzinfo=ZoneInfo(zone))
    assert parse_datetime(at.isoformat(), UTC) == at


@pytest.mark.exhaustive
@given(st.text())
def test_no_text_at_all_breaks_the_reading(text: str) -> None:
    found = parse_datetime(text, UTC)
    assert found is None or found.tzinfo is UTC
