"""Dates and times as exports write them, read into aware UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

_CLOCK = r"(?:[T,\s]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\.?)?)?"
_NUMBERS = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){_CLOCK}", re.IGNORECASE)
_DAY_NAME_YEAR = re.compile(
    rf"(\d{{1,2}})\.?[\s-]+([^\W\d]+)\.?[\s-]+(\d{{4}}){_CLOCK}", re.IGNORECASE
)
_NAME_DAY_YEAR = re.compile(rf"([^\W\d]+)\.?\s+(\d{{1,2}}),?\s+(\d{{4}}){_CLOCK}", re.IGNORECASE)
_EPOCH = re.compile(r"\d{10}")
_ZONE_NAME = re.compile(r"\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_OFFSET = re.compile(r"\s+([+-]\d{2}:?\d{2})$")

# A day that a spreadsheet shows as the number it keeps, with the time as a fraction: 40271.5.
_SERIAL = re.compile(r"\d{5}(?:[.,]\d+)?")
FROM_1900 = datetime(1899, 12, 30)  # noqa: DTZ001  the writer's clock
"""Day 0 of a workbook (ECMA-376 part 1 §18.17.4.1); from March 1900 on that is so."""
FROM_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
"""Day 0 of one that was begun on an old Mac."""

_EARLIEST_YEAR = 1990
_LATEST_SERIAL_YEAR = 2100
_NOON = 12

# The first three letters tell the months apart in all four languages, but for these.
_LONGER = {"juin": 6, "juil": 7}
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan",
            "feb fev fév",
            "mar maa mrt mär mae",
            "apr avr",
            "mei may mai",
            "jun",
            "jul",
            "aug aou aoû",
            "sep",
            "oct okt",
            "nov",
            "dec dez déc",
        ),
        start=1,
    )
    for name in names.split()
}


def parse_datetime(
    text: str, zone: tzinfo, *, month_first: bool = False, day_0: datetime | None = FROM_1900
) -> datetime | None:
    """Read a date, or a date with a time; aware UTC, or None if it is none.

    `day_0` is from when a spreadsheet counts its days, where one stands as a number;
    None if it cannot be known, and then such a number is no date.

    `zone` is where the writer's clock hung, for times that do not say so themselves.
    `month_first` reads 3/4/2024 as 4 March.
    """
    text = text.strip()
    if not text:
        return None
    try:
        found = _by_number(text, day_0) or _iso(text) or _in_words(text, month_first=month_first)
        if found is None or found.year < _EARLIEST_YEAR:
            return None
        aware = found if found.tzinfo else found.replace(tzinfo=zone)
        return aware if aware.tzinfo is UTC else aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_serial(text: str) -> bool:
    """Say whether a date stands as the number of a day, as spreadsheets keep it."""
    return _by_number(text.strip(), FROM_1900) is not None


def _by_number(text: str, day_0: datetime | None) -> datetime | None:
    if day_0 is None or not _SERIAL.fullmatch(text):
        return None
    found = day_0 + timedelta(days=float(text.replace(",", ".")))
    return found if _EARLIEST_YEAR <= found.year < _LATEST_SERIAL_YEAR else None


def is_month_first(texts: list[str]) -> bool:
    """Say whether a column writes 12/31/2024 or 3/4/2024 2:05 PM, as Americans do."""
    for text in texts:
        match = _NUMBERS.match(text.strip())
        if match and match[2] == "/":
            first, second = int(match[1]), int(match[3])
            if max(first, second) > _NOON:
                return second > _NOON
            if match[8]:
                return True
    return False


def _iso(text: str) -> datetime | None:
    """Read ISO 8601, also as Go ("… +0000 UTC") and SQL write it, or seconds since 1970."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text), UTC)
    bare = _ZONE_NAME.sub("", text)
    bare, is_offset = _OFFSET.subn(r"\1", bare)
    try:
        found = datetime.fromisoformat(bare)
    except ValueError:
        return None
    return found if is_offset else found.replace(tzinfo=UTC)


def _in_words(text: str, *, month_first: bool) -> datetime | None:
    match = _NUMBERS.fullmatch(text)
    if match:
        day, month = int(match[1]), int(match[3])
        # Only slashes are ever written with the month first.
        if (month_first and match[2] == "/") or month > _NOON:
            day, month = month, day
        return _built(match[4], month, day, match.groups()[4:])
    match = _DAY_NAME_YEAR.fullmatch(text)
    if match:
        return _built(match[3], _month(match[2]), int(match[1]), match.groups()[3:])
    match = _NAME_DAY_YEAR.fullmatch(text)
    if match:
        return _built(match[3], _month(match[1]), int(match[2]), match.groups()[3:])
    return None


def _month(name: str) -> int:
    """Return the number of a month, 0 if there is none of that name."""
    name = name.casefold()
    return _LONGER.get(name[:4]) or _MONTHS.get(name[:3], 0)


def _built(year: str, month: int, day: int, clock: tuple[str | None, ...]) -> datetime:
    hour, minute, second = (int(number or 0) for number in clock[:3])
    half = (clock[3] or "")[:1].lower()
    if half:
        hour = hour % _NOON + (_NOON if half == "p" else 0)
    century = 2000 if len(year) == 2 else 0  # noqa: PLR2004
    return datetime(century + int(year), month, day, hour, minute, second)  # noqa: DTZ001
