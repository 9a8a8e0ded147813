"""Dates and times in words, in the reader's language and the organisation's zone."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from repermit.i18n.catalogues import translations


def day_in_words(moment: datetime, *, language: str, zone: ZoneInfo) -> str:
    """Return "dinsdag 22 december 2026" for an aware moment."""
    return _written(
        moment.astimezone(zone), _day_pattern(moment.astimezone(zone), language), language
    )


def moment_in_words(moment: datetime, *, language: str, zone: ZoneInfo) -> str:
    """Return "dinsdag 22 december 2026, 23:59 uur"; seconds are left out.

    Midnight is the end of the day before, "24:00", as nobody is sure which day "0:00" is.
    """
    local = moment.astimezone(zone)
    # Translators: Unicode date pattern (CLDR) of a time of day.
    clock = translations(language).pgettext("pattern of a time", "HH:mm")
    if local.time() == time():
        local -= timedelta(days=1)
        clock = clock.replace("H", "k")
    # Translators: {day} is a date in words, {time} a time of day.
    joined = translations(language).pgettext("a day and a time", "{day}, {time}")
    day = _written(local, _day_pattern(local, language), language)
    return joined.format(day=day, time=_written(local, clock, language))


def _day_pattern(local: datetime, language: str) -> str:
    catalogue = translations(language)
    if local.day == 1:
        # Translators: Unicode date pattern (CLDR) for the first day of a month.
        return catalogue.pgettext("pattern of a first day of a month", "EEEE d MMMM y")
    # Translators: Unicode date pattern (CLDR).
    return catalogue.pgettext("pattern of a day", "EEEE d MMMM y")


def _written(local: datetime, pattern: str, language: str) -> str:
    # Without its zone, which babel would otherwise convert to UTC first.
    return format_datetime(local.replace(tzinfo=None), pattern, locale=language)
