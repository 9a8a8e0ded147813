"""The content of a list file as plain values: parts, columns, rows and proofs."""

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

# Several columns may have one of these fields; of the others, only the first column counts.
REPEATED_FIELDS = frozenset(
    "address status consent active remark opted_out_at cleaned_at complained_at".split()
)


MAX_CELL_LENGTH = 32_767
"""The maximum characters of a cell, as in Excel."""

MAX_COLUMNS = 16_384
"""The maximum cells of a record, as in Excel."""

MAX_RECORD_LENGTH = 1_000_000
"""The maximum characters of a record with its line breaks; that is thirty very long remarks."""


class SignUpProof(NamedTuple):
    """A sign-up by the person, as the file's columns show it.

    - `method`: stable English ("web form (Mailchimp OPTIN_TIME, OPTIN_IP)").
    - `at`: aware UTC.
    - `source`, `ip`: as given; "" if the file has none.
    """

    method: str
    at: datetime | None
    source: str
    ip: str


class Row(NamedTuple):
    """One address of a file, with its data in the file; times are aware UTC.

    - `line`: the 1-based line of the part where the record starts (a spreadsheet's row).
    - `language`: two lower-case letters or "".
    - `opted_out`: "", "unsubscribed", "cleaned", "complained" or, by a remark alone, "remark".
    - `opted_out_at`: since when, if the file says so.
    - `said`: the column and words of the opt-out ("Opmerking: wil geen mail"), or of a possible one
      if `opted_out` is "".
    - `since`: since when the address is on the list.
    - `customer_since`: since when the person is a customer.
    - `problem`: why the row cannot be used; "" if it can.
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
    """A column of a part: its 0-based index, its title ("" if none), and its field."""

    index: int
    title: str
    field: str | None


@dataclass(frozen=True)
class FilePart:
    """A table of a file: the file itself, a CSV of an archive, a sheet of a workbook.

    - `format`: "csv", "xlsx", "ods" or "xls".
    - `encoding`, `delimiter`: "" for a sheet.
    - `holds`: the people in it according to its name: "unsubscribed", "cleaned", "nonsubscribed"
      (never subscribed in Mailchimp) or "".
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
    """The beginning of a table: its columns, and some cells with content of each.

    - `samples`: the cells, each on one line, in the order of the columns' indexes.
    """

    name: str
    columns: tuple[Column, ...]
    samples: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class AmbiguousColumn:
    """A Yes/No column whose question is unknown.

    - `column`: its title, or its number.
    - `no_count`: the number of rows with a No.
    """

    part: FilePart
    column: str
    no_count: int


@dataclass(frozen=True)
class DateNote:
    """A date column with serial numbers or unreadable dates.

    - `column`: its title, or its number.
    - `numbers`, `unread`: the number of cells of each kind.
    - `example`: the first serial number; "" if there is none.
    """

    part: FilePart
    column: str
    numbers: int
    unread: int
    example: str


@dataclass(frozen=True)
class LanguageNote:
    """A column of languages with cells that name no known one.

    - `column`: its title, or its number.
    - `count`: the number of such cells.
    - `example`: the first of them.
    """

    part: FilePart
    column: str
    count: int
    example: str


# A record as (1-based line where it starts, its cells as text).
Record = tuple[int, list[str]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A part before its columns are known.

    - `may_shift`: whether a stray delimiter may move the cells that follow it (not in sheets).
    - `serial_epoch`: day 0 of days that are numbers; None if it is unknown.
    - `records`: yields the records, without blank lines; each call reads the file again. Its
      argument is called with each record that spans several lines, and may raise.
    """

    name: str
    format: str
    encoding: str = ""
    delimiter: str = ""
    first_line: int = 1
    may_shift: bool
    serial_epoch: datetime | None = FROM_1900
    records: Callable[[Callable[[int, list[str]], None] | None], Iterator[Record]]
