"""Parsing dates and times as exports write them, into aware UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from repermit.imports.readers.column_values import MONTH_NAMES

_CLOCK = r"(?:[T,\s]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\.?)?)?"
_NUMBERS = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){_CLOCK}", re.IGNORECASE)
_DAY_NAME_YEAR = re.compile(
    rf"(\d{{1,2}})\.?[\s-]+([^\W\d]+)\.?[\s-]+(\d{{4}}){_CLOCK}", re.IGNORECASE
)
_NAME_DAY_YEAR = re.compile(rf"([^\W\d]+)\.?\s+(\d{{1,2}}),?\s+(\d{{4}}){_CLOCK}", re.IGNORECASE)
_EPOCH = re.compile(r"\d{10}")
_ZONE_NAME = re.compile(r"\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_OFFSET = re.compile(r"\s+([+-]\d{2}:?\d{2})$")

# A day as the number that a spreadsheet stores, with the time as a fraction: 40271.5.
_SERIAL = re.compile(r"\d{5}(?:[.,]\d+)?")
FROM_1900 = datetime(1899, 12, 30)  # noqa: DTZ001  the writer's clock
"""Day 0 of a workbook (ECMA-376 part 1 §18.17.4.1); right for days from March 1900 on."""
FROM_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
"""Day 0 of a workbook that was created on an old Mac."""

_EARLIEST_YEAR = 1990
_LATEST_SERIAL_YEAR = 2100
_NOON = 12

_MONTHS = {
    name: number for number, names in enumerate(MONTH_NAMES, start=1) for name in names.split()
}


def parse_datetime(
    text: str, zone: tzinfo, *, month_first: bool = False, serial_epoch: datetime | None = FROM_1900
) -> datetime | None:
    """Return a date, or a date with a time, in UTC; None if the text is not one.

    - `zone`: the time zone of times without one.
    - `month_first`: whether 3/4/2024 is 4 March.
    - `serial_epoch`: day 0 of days that are numbers; with None such a number is not a date.
    """
    text = text.strip()
    if not text:
        return None
    try:
        parsed = (
            _parse_serial_number(text, serial_epoch)
            or _parse_iso(text)
            or _parse_day_and_month(text, month_first=month_first)
        )
        if parsed is None or parsed.year < _EARLIEST_YEAR:
            return None
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)
        return aware if aware.tzinfo is UTC else aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_serial(text: str) -> bool:
    """Say whether a date is the number of a day, as spreadsheets store it."""
    return _parse_serial_number(text.strip(), FROM_1900) is not None


def _parse_serial_number(text: str, serial_epoch: datetime | None) -> datetime | None:
    if serial_epoch is None or not _SERIAL.fullmatch(text):
        return None
    parsed = serial_epoch + timedelta(days=float(text.replace(",", ".")))
    return parsed if _EARLIEST_YEAR <= parsed.year < _LATEST_SERIAL_YEAR else None


def is_month_first(texts: list[str]) -> bool:
    """Say whether a column has dates such as 12/31/2024 or 3/4/2024 2:05 PM, as Americans write."""
    for text in texts:
        match = _NUMBERS.match(text.strip())
        if match and match[2] == "/":
            first, second = int(match[1]), int(match[3])
            if max(first, second) > _NOON:
                return second > _NOON
            if match[8]:
                return True
    return False


def _parse_iso(text: str) -> datetime | None:
    """Parse ISO 8601, also in the forms of Go ("… +0000 UTC") and SQL, or seconds since 1970."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text), UTC)
    bare = _ZONE_NAME.sub("", text)
    bare, is_offset = _OFFSET.subn(r"\1", bare)
    try:
        parsed = datetime.fromisoformat(bare)
    except ValueError:
        return None
    return parsed if is_offset else parsed.replace(tzinfo=UTC)


def _parse_day_and_month(text: str, *, month_first: bool) -> datetime | None:
    match = _NUMBERS.fullmatch(text)
    if match:
        day, month = int(match[1]), int(match[3])
        # The month is first only in dates with slashes.
        if (month_first and match[2] == "/") or month > _NOON:
            day, month = month, day
        return _make_date(match[4], month, day, match.groups()[4:])
    match = _DAY_NAME_YEAR.fullmatch(text)
    if match:
        return _make_date(match[3], _find_month(match[2]), int(match[1]), match.groups()[3:])
    match = _NAME_DAY_YEAR.fullmatch(text)
    if match:
        return _make_date(match[3], _find_month(match[1]), int(match[2]), match.groups()[3:])
    return None


def _find_month(name: str) -> int:
    """Return the number of a month by its name; 0 for another word."""
    name = name.casefold()
    return _MONTHS.get(name[:4]) or _MONTHS.get(name[:3], 0)


def _make_date(year: str, month: int, day: int, clock: tuple[str | None, ...]) -> datetime:
    hour, minute, second = (int(number or 0) for number in clock[:3])
    half = (clock[3] or "")[:1].lower()
    if half:
        hour = hour % _NOON + (_NOON if half == "p" else 0)
    century = 2000 if len(year) == 2 else 0  # noqa: PLR2004
    return datetime(century + int(year), month, day, hour, minute, second)  # noqa: DTZ001
