"""Dates and times in words, in the reader's language and the organisation's zone."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from repermit.i18n.catalogues import load_translations
from repermit.package_files import load_data


def format_local_date(moment: datetime, *, language: str, zone: ZoneInfo) -> str:
    """Return "dinsdag 22 december 2026" for an aware datetime."""
    return _written(
        moment.astimezone(zone), _day_pattern(moment.astimezone(zone), language), language
    )


def format_local_datetime(moment: datetime, *, language: str, zone: ZoneInfo) -> str:
    """Return "dinsdag 22 december 2026, 23:59 uur"; seconds are left out.

    Midnight is the end of the day before, "24:00", as nobody is sure which day "0:00" is.
    """
    local = moment.astimezone(zone)
    ending = _ending_day(local)
    day = _written(ending, _day_pattern(ending, language), language)
    return _join_day_and_time(day, local, language)


def name_zone(zone: ZoneInfo) -> str:
    """Return the name of a time zone as people write it, such as "America/New York"."""
    return zone.key.replace("_", " ")


def format_past_datetime(moment: datetime, *, language: str, zone: ZoneInfo) -> str:
    """Return the time of an event as `format_local_datetime`, or its day if only that is known."""
    is_bare_day = moment.astimezone(zone).time() in _TIMES_OF_BARE_DAYS
    write = format_local_date if is_bare_day else format_local_datetime
    return write(moment, language=language, zone=zone)


# Of a day in a file, of one that was entered with an opt-in, and of one with a reported answer.
_TIMES_OF_BARE_DAYS = (time(), time(12), time.max)


def _join_day_and_time(day: str, local: datetime, language: str) -> str:
    # Translators: Unicode date pattern (CLDR) of a time of day.
    clock = load_translations(language).pgettext("pattern of a time", "HH:mm")
    if local.time() == time():
        clock = clock.replace("H", "k")
    # Translators: {day} is a date in words, {time} a time of day.
    joined = load_translations(language).pgettext("a day and a time", "{day}, {time}")
    return joined.format(day=day, time=_written(_ending_day(local), clock, language))


def format_short_datetime(moment: datetime, *, language: str, zone: ZoneInfo) -> str:
    """Return "dinsdag 22 december, 17:00", without the time if it is the end of a day.

    The year is left out.
    """
    local = moment.astimezone(zone)
    day = _write_day_without_year(local, language)
    return day if _ends_day(local) else _join_day_and_time(day, local, language)


def _ends_day(local: datetime) -> bool:
    # Some admins enter the last minute of a day for its end.
    return local.time() == time() or (local.hour, local.minute) == _LAST_MINUTE


def _write_day_without_year(local: datetime, language: str) -> str:
    catalogue, ending = load_translations(language), _ending_day(local)
    if ending.day == 1:
        # Translators: Unicode date pattern (CLDR) for the first day of a month, without the year.
        pattern = catalogue.pgettext("pattern of a first day without year", "EEEE d MMMM")
    else:
        # Translators: Unicode date pattern (CLDR) of a day without its year.
        pattern = catalogue.pgettext("pattern of a day without year", "EEEE d MMMM")
    return _NUMBER_AND_MONTH.sub(_join_words, _written(ending, pattern, language), count=1)


# A month may also stand before its number, with a comma behind it: "december 27., vasárnap".
_NUMBER_AND_MONTH = re.compile(r"\d[^ ,]* [^ ,]+|[^ ,]+ \d[^ ,]*(?=,)")
_MAX_JOINED_LENGTH = 12  # In letters of twice the size more is wider than a small phone.


def _join_words(found: re.Match[str]) -> str:
    """Join words with no-break spaces, unless they are too long for a line."""
    words = found[0]
    return words.replace(" ", "\N{NO-BREAK SPACE}") if len(words) <= _MAX_JOINED_LENGTH else words


_LAST_MINUTE = (23, 59)


def format_compact_datetime(moment: datetime, *, language: str, zone: ZoneInfo) -> str:
    """Return "22 dec, 17:00", or "22 dec" for the end of a day."""
    local = moment.astimezone(zone)
    # Translators: Unicode date pattern (CLDR) of a day without its year, as short as can be.
    pattern = load_translations(language).pgettext("pattern of a short day", "d MMM")
    day = _written(_ending_day(local), pattern, language)
    return day if _ends_day(local) else _join_day_and_time(day, local, language)


def find_longest_compact_datetime(moment: datetime, *, language: str, zone: ZoneInfo) -> str:
    """Return the longest compact text of a year's months, at the time of day of `moment`."""
    local = moment.astimezone(zone)
    year = (local.replace(month=month, day=28) for month in range(1, 13))
    return max(
        (format_compact_datetime(day, language=language, zone=zone) for day in year), key=len
    )


def format_in_earlier_patterns(
    moment: datetime, *, language: str, zone: ZoneInfo
) -> tuple[str, str]:
    """Return the full and the short datetime in the patterns of earlier versions' mails."""
    local = moment.astimezone(zone)
    whole = format_local_datetime(moment, language=language, zone=zone)
    # An hour stood behind the whole day.
    short = _write_day_without_year(local, language) if _ends_day(local) else whole
    if language not in _EARLIER_PATTERNS:
        return whole, short
    clock = f"{local:%H:%M}" if local.time() != time() else "24:00"
    day, year = _EARLIER_PATTERNS[language]
    earlier = f"{_written(_ending_day(local), day + year, language)}, {clock}"
    return earlier, _written(_ending_day(local), day, language) if _ends_day(local) else earlier


# Of a day without its year, and what the year added. A time stood behind a comma.
_EARLIER_PATTERNS: dict[str, list[str]] = load_data("earlier_date_patterns.toml")


def _ending_day(local: datetime) -> datetime:
    return local - timedelta(days=1) if local.time() == time() else local


def _day_pattern(local: datetime, language: str) -> str:
    catalogue = load_translations(language)
    if local.day == 1:
        # Translators: Unicode date pattern (CLDR) for the first day of a month.
        return catalogue.pgettext("pattern of a first day of a month", "EEEE d MMMM y")
    # Translators: Unicode date pattern (CLDR).
    return catalogue.pgettext("pattern of a day", "EEEE d MMMM y")


def _written(local: datetime, pattern: str, language: str) -> str:
    # Without its zone, which babel would otherwise convert to UTC first. Nor could times be told
    # apart that are one in two zones.
    return _format_naive(local.replace(tzinfo=None), pattern, language)


@lru_cache(maxsize=1024)
def _format_naive(local: datetime, pattern: str, language: str) -> str:
    """Return a local time in words, cached, as pages of a campaign name the same ones."""
    return format_datetime(local, pattern, locale=language)
