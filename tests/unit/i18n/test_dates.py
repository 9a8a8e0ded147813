"""Dates in words: language, zone, midnight and the first of the month."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from repermit.i18n.catalogues import languages
from repermit.i18n.dates import (
    find_longest_compact_datetime,
    format_compact_datetime,
    format_local_date,
    format_local_datetime,
    format_past_datetime,
    format_short_datetime,
)
from tests.support.mail_builders import AMSTERDAM, DEADLINE


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("nl", "dinsdag 22 december 2026, 23:59 uur"),
        ("en", "Tuesday 22 December 2026, 23:59"),
        ("de", "Dienstag, 22. Dezember 2026, 23:59\u00a0Uhr"),
        ("fr", "mardi 22 décembre 2026 à 23\u00a0h\u00a059"),
    ],
)
def test_a_deadline_in_words(language: str, expected: str) -> None:
    assert format_local_datetime(DEADLINE, language=language, zone=AMSTERDAM) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("nl", "vrijdag 1 mei 2026"),
        ("en", "Friday 1 May 2026"),
        ("de", "Freitag, 1. Mai 2026"),
        ("fr", "vendredi 1er mai 2026"),
    ],
)
def test_the_first_of_a_month_in_words(language: str, expected: str) -> None:
    moment = datetime(2026, 4, 30, 22, 30, tzinfo=UTC)
    assert format_local_date(moment, language=language, zone=AMSTERDAM) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 12, 22, 22, 59, 59, tzinfo=UTC), "dinsdag 22 december 2026, 23:59 uur"),
        (datetime(2026, 12, 22, 23, 0, tzinfo=UTC), "dinsdag 22 december 2026, 24:00 uur"),
        (datetime(2026, 12, 22, 23, 0, 0, 1, tzinfo=UTC), "woensdag 23 december 2026, 00:00 uur"),
        (datetime(2026, 12, 23, 11, 5, tzinfo=UTC), "woensdag 23 december 2026, 12:05 uur"),
    ],
)
def test_midnight_is_the_end_of_the_day_before(moment: datetime, expected: str) -> None:
    assert format_local_datetime(moment, language="nl", zone=AMSTERDAM) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2018, 7, 14, 22, 0, tzinfo=UTC), "zondag 15 juli 2018"),
        (datetime(2018, 7, 14, 22, 0, 0, 1, tzinfo=UTC), "zondag 15 juli 2018, 00:00 uur"),
        (datetime(2018, 7, 15, 10, 0, tzinfo=UTC), "zondag 15 juli 2018"),
        (datetime(2018, 7, 15, 10, 0, 1, tzinfo=UTC), "zondag 15 juli 2018, 12:00 uur"),
        (datetime(2018, 7, 15, 21, 59, 59, tzinfo=UTC), "zondag 15 juli 2018, 23:59 uur"),
        (datetime(2018, 7, 15, 21, 59, 59, 999999, tzinfo=UTC), "zondag 15 juli 2018"),
    ],
)
def test_an_event_of_which_only_the_day_is_known_is_told_by_its_day(
    moment: datetime, expected: str
) -> None:
    assert format_past_datetime(moment, language="nl", zone=AMSTERDAM) == expected


def test_midnight_in_french_and_at_the_end_of_a_month() -> None:
    moment = datetime(2026, 5, 1, 22, 0, tzinfo=UTC)
    assert (
        format_local_datetime(moment, language="fr", zone=AMSTERDAM)
        == "vendredi 1er mai 2026 à 24\u00a0h\u00a000"
    )


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "01:59"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "03:00"),
        (datetime(2026, 10, 25, 0, 59, tzinfo=UTC), "02:59"),
        (datetime(2026, 10, 25, 1, 0, tzinfo=UTC), "02:00"),
    ],
)
def test_the_hour_follows_summer_time(moment: datetime, expected: str) -> None:
    assert format_local_datetime(moment, language="en", zone=AMSTERDAM).endswith(f", {expected}")


@pytest.mark.parametrize(
    ("moment", "expected", "short"),
    [
        (datetime(2026, 12, 22, 22, 59, tzinfo=UTC), "dinsdag 22\u00a0december", "22 dec"),
        (datetime(2026, 12, 22, 23, 0, tzinfo=UTC), "dinsdag 22\u00a0december", "22 dec"),
        (
            datetime(2026, 12, 22, 22, 58, tzinfo=UTC),
            "dinsdag 22\u00a0december, 23:58 uur",
            "22 dec, 23:58 uur",
        ),
        (
            datetime(2026, 12, 22, 23, 0, 1, tzinfo=UTC),
            "woensdag 23\u00a0december, 00:00 uur",
            "23 dec, 00:00 uur",
        ),
        (datetime(2026, 5, 1, 22, 0, tzinfo=UTC), "vrijdag 1\u00a0mei", "1 mei"),
    ],
)
def test_a_deadline_that_ends_a_day_is_that_day(
    moment: datetime, expected: str, short: str
) -> None:
    assert format_short_datetime(moment, language="nl", zone=AMSTERDAM) == expected
    assert format_compact_datetime(moment, language="nl", zone=AMSTERDAM) == short


def test_one_moment_is_told_in_the_time_of_each_zone() -> None:
    moment = datetime(2026, 12, 22, 16, tzinfo=UTC)
    told = [
        format_local_datetime(moment.astimezone(zone), language="en", zone=zone)
        for zone in (ZoneInfo("Europe/Amsterdam"), ZoneInfo("America/New_York"))
    ]
    assert told == ["Tuesday 22 December 2026, 17:00", "Tuesday 22 December 2026, 11:00"]


def test_a_first_of_a_month_without_its_year_in_french() -> None:
    moment = datetime(2026, 5, 1, 22, 0, tzinfo=UTC)
    assert format_short_datetime(moment, language="fr", zone=AMSTERDAM) == "vendredi 1er\u00a0mai"


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("cs", "22.\u00a0prosince (úterý)"),
        ("es", "martes 22\u00a0de diciembre"),
        ("hu", "december\u00a022., kedd"),
        ("lt", "gruodžio 22\u00a0d., antradienis"),
        # Together these would be wider than a small phone in letters of twice the size.
        ("el", "Τρίτη 22 Δεκεμβρίου"),
    ],
)
def test_no_line_breaks_between_a_day_and_its_month(language: str, expected: str) -> None:
    assert format_short_datetime(DEADLINE, language=language, zone=AMSTERDAM) == expected


@pytest.mark.parametrize("language", languages())
def test_a_short_day_is_short_and_has_no_year(language: str) -> None:
    assert (
        4 <= len(find_longest_compact_datetime(DEADLINE, language=language, zone=AMSTERDAM)) <= 16
    )
    assert "2026" not in format_short_datetime(DEADLINE, language=language, zone=AMSTERDAM)
