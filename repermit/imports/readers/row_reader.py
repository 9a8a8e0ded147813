"""Turning the records of a table with known columns into rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, time, tzinfo
from typing import TYPE_CHECKING

from repermit.i18n.lazy_text import LazyText
from repermit.imports.readers.cells import (
    find_addresses,
    fold_title,
    is_like_address,
    is_plain_address,
    normalize_cell,
)
from repermit.imports.readers.column_values import (
    is_answer,
    is_pending,
    is_somebodys_ip,
    is_web_form,
    parse_language,
    says_no,
    says_yes,
)
from repermit.imports.readers.csv import make_unclosed_error
from repermit.imports.readers.dates import FROM_1900, is_serial, parse_datetime
from repermit.imports.readers.rows import (
    AmbiguousColumn,
    DateNote,
    FilePart,
    LanguageNote,
    Row,
    SignUpProof,
    Table,
)
from repermit.imports.row_opt_outs import OptOut, OptOutColumns

if TYPE_CHECKING:
    from repermit.imports.column_detection import DetectedColumns

# The fields of tables whose rows are read in the fast way.
_PLAIN_FIELDS = frozenset(
    (None, "address", "name", "first_name", "middle_name", "last_name", "language", "remark")
)
DATES = frozenset(
    ("consent_at", "since", "customer_since", "opted_out_at", "cleaned_at", "complained_at")
)
"""The fields that hold a date."""

# Matches most cells of date columns, which need no second look.
_PLAIN_DATE = re.compile(r"\d{4}-\d\d-\d\d|\s*$").match
# Four digits or more, and no word but a month's short name: no 1, and no "550 5.1.1 user unknown".
_LIKE_DATE = re.compile(r"(?!.*[^\W\d_]{4})(?:\D*\d){4}").match
_DATED_MARKS = ("opted_out_at", "cleaned_at", "complained_at")
# Appended to records, so that index -1, which means a missing column, is an empty cell.
_EMPTY = [""]
# The values after a row's language if the file has no other columns.
_NOTHING_MORE = Row(0, "")[4:]


@dataclass(frozen=True, kw_only=True)
class TableContext:
    """The context of all rows of a table.

    - `opted_out`: the opt-out of all rows (Mailchimp's unsubscribed_ and cleaned_ files); "" if
      there is none.
    - `said`: the words that say so.
    - `may_prove`: False if nobody signed up (its nonsubscribed_ file).
    """

    detected: DetectedColumns
    zone: tzinfo
    month_first: bool = False
    serial_epoch: datetime | None = FROM_1900
    opted_out: str = ""
    said: str = ""
    may_prove: bool = True


class TableReader:
    """The rows of one table."""

    def __init__(self, table: Table, part: FilePart, context: TableContext) -> None:
        self.part = part
        self._table = table
        self._context = context
        self._tool = context.detected.tool
        self._zone = self._tool.zone or context.zone
        self._titles = [column.title for column in part.columns]
        self._width = len(part.columns)
        self._addresses = self._list_indexes("address")
        self._statuses = self._list_indexes("status")
        self._marks = OptOutColumns(
            part.columns, context.detected.rest, context.detected.columns_with_harmless_no
        )
        self._mark_dates = [place for field in _DATED_MARKS for place in self._list_indexes(field)]
        self._name = self._place("name")
        self._names = tuple(map(self._place, ("first_name", "middle_name", "last_name")))
        self._language = self._place("language")
        self._source = self._place("source")
        self._customer = self._place("customer")
        self._since = self._place("since")
        self._customer_since = self._place("customer_since")
        self._consent_at = self._place("consent_at")
        self._consent_ip = self._place("consent_ip")
        self._consent_source = self._place("consent_source")
        self._methods: dict[tuple[int, ...], str] = {}

    def _list_indexes(self, field: str) -> tuple[int, ...]:
        return tuple(column.index for column in self.part.columns if column.field == field)

    def _place(self, field: str) -> int:
        return next(iter(self._list_indexes(field)), -1)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in their order; each call reads the file again.

        Raises ListFileError for an unclosed quotation mark.
        """
        first_line = self._context.detected.first_line
        width, at, is_plain_table = self._width, self._addresses[0], self._is_plain()
        language, marks = self._language, self._marks
        new = tuple.__new__
        for line, record in self._table.records(self._refuse_swallowed):
            if is_plain_table and line >= first_line and len(record) == width:
                # Nine of ten rows of a plain list end here; the others take three times as long.
                address = record[at]
                if is_plain_address(address) and not marks.find_in_row(record).said:
                    name = self._name_in(record + _EMPTY)
                    code = parse_language(record[language]) if language >= 0 else ""
                    yield new(Row, (line, address, name, code) + _NOTHING_MORE)  # noqa: RUF005
                    continue
            yield from self._interpret(line, record, is_data=line >= first_line)

    def find_ambiguous_columns(self) -> Iterator[AmbiguousColumn]:
        """Yield the Yes/No columns whose question is unknown."""
        unknown = self._context.detected.unknown
        first_line = self._context.detected.first_line
        answers = dict.fromkeys(unknown, 0)
        no_counts = dict.fromkeys(unknown, 0)
        for line, cells in self._table.records(None) if unknown else ():
            for place in unknown if line >= first_line else ():
                text = cells[place].strip() if place < len(cells) else ""
                if text:
                    answers[place] += 1 if is_answer(text) else -1
                    no_counts[place] += says_no(text) and not text.isdigit()
        for place in unknown:
            # A few cells may have another text.
            if no_counts[place] and answers[place] >= 0:
                title = self._titles[place] or str(place + 1)
                yield AmbiguousColumn(self.part, title, no_counts[place])

    def find_date_notes(self) -> Iterator[DateNote]:
        """Yield the date columns with serial numbers or unreadable dates."""
        places = [column.index for column in self.part.columns if column.field in DATES]
        numbers, unread = dict.fromkeys(places, 0), dict.fromkeys(places, 0)
        examples = dict.fromkeys(places, "")
        for line, cells in self._table.records(None) if places else ():
            for place in places if line >= self._context.detected.first_line else ():
                text = cells[place] if place < len(cells) else ""
                if _PLAIN_DATE(text):
                    continue
                if self._context.serial_epoch and is_serial(text):
                    numbers[place] += 1
                    examples[place] = examples[place] or text.strip()
                elif self._is_unread(place, text):
                    unread[place] += 1
        for place in places:
            if numbers[place] or unread[place]:
                title = self._titles[place] or str(place + 1)
                yield DateNote(self.part, title, numbers[place], unread[place], examples[place])

    def find_language_notes(self) -> Iterator[LanguageNote]:
        """Yield the column of languages if it has cells that name no known one."""
        place, first_line = self._language, self._context.detected.first_line
        count, example = 0, ""
        for line, cells in self._table.records(None) if place >= 0 else ():
            text = normalize_cell(cells[place]) if first_line <= line and place < len(cells) else ""
            if text and not parse_language(text):
                count += 1
                example = example or text
        if count:
            title = self._titles[place] or str(place + 1)
            yield LanguageNote(self.part, title, count, example)

    def _is_unread(self, place: int, text: str) -> bool:
        """Say whether a date is unreadable; in a column of marks, a yes or a reason is allowed."""
        is_mark = place in self._mark_dates
        is_expected = bool(_LIKE_DATE(text)) if is_mark else not is_answer(text)
        return is_expected and self._parse_time(text) is None

    def _is_plain(self) -> bool:
        fields = {column.field for column in self.part.columns}
        return fields <= _PLAIN_FIELDS and len(self._addresses) == 1 and not self._context.opted_out

    def _interpret(self, line: int, record: list[str], *, is_data: bool) -> Iterator[Row]:
        if not any(map(normalize_cell, record)):
            return
        cells = record + _EMPTY * (max(self._width - len(record), 0) + 1)
        problem = self._find_problem(record, cells) if is_data else self._find_problem_above(record)
        if problem:
            yield Row(line, normalize_cell(cells[self._addresses[0]]), problem=problem)
        elif is_data:
            yield from self._iter_rows(line, cells)

    def _find_problem(self, record: Sequence[str], cells: Sequence[str]) -> str:
        if self._table.may_shift and any(map(str.strip, record[self._width :])):
            # It is unknown which value is in which column; one may be "unsubscribed".
            return self._has_other_columns(record)
        if len(record) <= self._addresses[0]:
            return self._has_other_columns(record)
        address = cells[self._addresses[0]]
        if "@" not in address and self._is_title(address):
            return LazyText("this line repeats the header")
        return ""

    def _has_other_columns(self, record: Sequence[str]) -> LazyText:
        return LazyText(
            "this line has %(here)s columns, the header has %(there)s",
            here=str(len(record)),
            there=str(self._width),
        )

    def _is_title(self, cell: str) -> bool:
        title = self._titles[self._addresses[0]]
        return bool(title) and fold_title(cell) == fold_title(title)

    @staticmethod
    def _find_problem_above(record: Sequence[str]) -> str:
        is_lost = any(map(is_like_address, record))
        return LazyText("this line stands above the header") if is_lost else ""

    def _iter_rows(self, line: int, cells: Sequence[str]) -> Iterator[Row]:
        opted_out, quote = self._find_opt_out(cells)
        consented_at = self._parse_time(cells[self._consent_at])
        proof = None if opted_out else self._make_proof(cells, consented_at)
        name = self._name_in(cells)
        language = parse_language(cells[self._language])
        source = normalize_cell(cells[self._source])
        is_customer = says_yes(cells[self._customer])
        since = self._parse_time(cells[self._since]) or consented_at
        opted_out_at = self._find_opt_out_time(cells) if opted_out else None
        for address, name_in_cell in self._find_addresses(cells):
            yield Row(
                line,
                address,
                name or name_in_cell,
                language,
                source,
                opted_out,
                proof,
                is_customer,
                since,
                "",
                opted_out_at,
                quote,
                self._parse_time(cells[self._customer_since]),
            )

    def _find_addresses(self, cells: Sequence[str]) -> list[tuple[str, str]]:
        names: dict[str, str] = {}
        for place in self._addresses:
            for address, name in find_addresses(cells[place]):
                names[address] = names.get(address) or name
        return list(names.items()) or [("", "")]

    def _name_in(self, cells: Sequence[str]) -> str:
        if self._name >= 0 and (name := normalize_cell(cells[self._name])):
            return name
        if self._names == (-1, -1, -1):
            return ""
        first, middle, last = (normalize_cell(cells[place]) for place in self._names)
        # "Voornaam" often holds the whole name.
        if last and first.casefold().endswith(last.casefold()):
            return first
        return " ".join(filter(None, (first, middle, last)))

    def _parse_time(self, text: str) -> datetime | None:
        if not text:
            return None
        context = self._context
        return parse_datetime(
            text, self._zone, month_first=context.month_first, serial_epoch=context.serial_epoch
        )

    def _find_opt_out(self, cells: Sequence[str]) -> OptOut:
        if self._context.opted_out:
            return OptOut(self._context.opted_out, self._context.said)
        return self._marks.find_in_row(cells)

    def _find_opt_out_time(self, cells: Sequence[str]) -> datetime | None:
        """Return the latest time in the columns of marks; a mark may also be a yes."""
        times = (self._parse_time(cells[place]) for place in self._mark_dates)
        return max(map(self._find_latest_time, filter(None, times)), default=None)

    def _find_latest_time(self, marked_at: datetime) -> datetime:
        """Return the end of a day that is known without its time: it may not hide an opt-out."""
        local = marked_at.astimezone(self._zone)
        if local.time() != time() or local.year == MAXYEAR:
            return marked_at
        return datetime.combine(local, time.max, self._zone).astimezone(UTC)

    def _make_proof(
        self, cells: Sequence[str], consented_at: datetime | None
    ) -> SignUpProof | None:
        """Return the proof of the person's sign-up: when, and from where (GDPR art. 7(1))."""
        if consented_at is None or not self._context.may_prove:
            return None
        if any(is_pending(cells[place]) for place in self._statuses):
            return None
        ip = normalize_cell(cells[self._consent_ip])
        source_at = (
            self._consent_source if normalize_cell(cells[self._consent_source]) else self._source
        )
        source = normalize_cell(cells[source_at])
        by_ip = self._tool.ip_proves and is_somebodys_ip(ip)
        by_form = self._tool.form_proves and is_web_form(source)
        if not (by_ip or by_form):
            return None
        shown_by = (self._consent_ip if by_ip else -1, source_at if by_form else -1)
        return SignUpProof(self._describe_method(*shown_by), consented_at, source, ip)

    def _describe_method(self, *shown_by: int) -> str:
        if shown_by not in self._methods:
            places = (self._consent_at, *(place for place in shown_by if place >= 0))
            titles = ", ".join(self._titles[place] or str(place + 1) for place in places)
            self._methods[shown_by] = f"web form ({self._tool.label} {titles})"
        return self._methods[shown_by]

    def _refuse_swallowed(self, line: int, record: Sequence[str]) -> None:
        """Raise ListFileError for a quoted value that contains whole lines of the file.

        A stray quotation mark swallows all lines up to the next one, whose people would be missing.
        """
        for index, cell in enumerate(record):
            for below, text in enumerate(cell.splitlines() if self._width > 1 else ()):
                parts = text.split(self._table.delimiter)
                # The first line of the value begins behind the quotation mark.
                start = 0 if below else index
                place = self._addresses[0] - start
                is_whole = len(parts) == self._width - start and place >= 0
                if is_whole and _is_address_in_quotes_or_bare(parts[place]):
                    raise make_unclosed_error(line)


def _is_address_in_quotes_or_bare(text: str) -> bool:
    return is_plain_address(text.strip(' "')) is not None
