"""What a list file holds, as plain values: parts, columns, rows and proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from repermit.imports.readers.dates import FROM_1900

FIELDS = (
    "address",
    "name",
    "first_name",
    "middle_name",
    "last_name",
    "language",
    "source",
    "status",
    "consent",
    "active",
    "remark",
    "opted_out_at",
    "cleaned_at",
    "complained_at",
    "consent_at",
    "consent_ip",
    "consent_source",
    "customer",
    "customer_since",
    "since",
)

# Every column that is recognised as one of these counts; of the others, the first one does.
REPEATED_FIELDS = frozenset(
    "address status consent active remark opted_out_at cleaned_at complained_at".split()
)


LONGEST_CELL = 32_767
"""Characters that a cell may have; Excel allows no more either."""

MOST_COLUMNS = 16_384
"""Cells that a record may have; Excel allows no more either."""

LONGEST_RECORD = 1_000_000
"""Characters that a record may have with its line breaks: a long remark in every thirtieth cell."""


class SignUpProof(NamedTuple):
    """A sign-up by the person, as the file's own columns show it.

    `method` is stable English ("web form (Mailchimp OPTIN_TIME, OPTIN_IP)"), `at` is aware UTC,
    `source` and `ip` are as given, "" if the file has none.
    """

    method: str
    at: datetime | None
    source: str
    ip: str


class Row(NamedTuple):
    """One address of a file, with what the file says of it.

    `line` is the 1-based line of its part where its record starts (a spreadsheet's row).
    `language` is two small letters or "". `opted_out` is "", "unsubscribed", "cleaned",
    "complained" or, by a remark alone, "remark"; `opted_out_at` is since when, if the file says so,
    and `said` by which column and words ("Opmerking: wil geen mail"); if nothing is `opted_out`,
    `said` leaves it in doubt.
    `since` is since when it is on the list, `customer_since` since when they buy, which is another.
    `problem` says why the row cannot be used at all, or is "". Moments are aware UTC.
    """

    line: int
    address: str
    name: str = ""
    language: str = ""
    source: str = ""
    opted_out: str = ""
    proof: SignUpProof | None = None
    customer: bool = False
    since: datetime | None = None
    problem: str = ""
    opted_out_at: datetime | None = None
    said: str = ""
    customer_since: datetime | None = None


@dataclass(frozen=True)
class Column:
    """A column of a part: its 0-based index, its title ("" if none), what it is taken for."""

    index: int
    title: str
    field: str | None


@dataclass(frozen=True)
class FilePart:
    """A table of a file: the file itself, a CSV of an archive, a sheet of a workbook.

    `format` is "csv", "xlsx", "ods" or "xls"; `encoding` and `delimiter` are "" for a sheet.
    `holds` is whom it holds by its name, as far as that tells: "unsubscribed", "cleaned",
    "nonsubscribed" (who never subscribed in Mailchimp) or "".
    """

    name: str
    tool: str
    format: str
    encoding: str
    delimiter: str
    columns: tuple[Column, ...]
    has_header: bool
    holds: str = ""


@dataclass(frozen=True)
class FilePreview:
    """How a table looks: its columns, and for each of them its first cells that hold something.

    Cells are text on one line; `samples` are in the order of the columns' indexes.
    """

    name: str
    columns: tuple[Column, ...]
    samples: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class AmbiguousColumn:
    """A column of Yes and No of which it is not known what it answers: how many rows say No.

    `column` is its title, or its number.
    """

    part: FilePart
    column: str
    noes: int


@dataclass(frozen=True)
class DateNote:
    """A column of dates with cells that are plain numbers of days, or that no date is read from.

    `column` is its title, or its number; `example` is the first of the numbers, "" if none.
    """

    part: FilePart
    column: str
    numbers: int
    unread: int
    example: str


# A record is the 1-based line where it starts and its cells as text.
Record = tuple[int, list[str]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A part before its columns are known.

    `records` starts reading anew at each call; blank lines are left out. The function that it
    takes is called with each record that runs over several lines, and may refuse it. `day_0` is
    from when a spreadsheet counts its days, None if it cannot be known. `may_shift` is true where a
    stray delimiter moves the cells that follow it (not in sheets).
    """

    name: str
    format: str
    encoding: str = ""
    delimiter: str = ""
    first_line: int = 1
    may_shift: bool
    day_0: datetime | None = FROM_1900
    records: Callable[[Callable[[int, list[str]], None] | None], Iterator[Record]]
