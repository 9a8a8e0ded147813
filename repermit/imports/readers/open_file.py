"""Open a list file: what it is, what its columns are, and its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from zoneinfo import ZoneInfo

from repermit.errors import ListFileError
from repermit.imports.column_detection import DetectedColumns, check_mapping, find_columns
from repermit.imports.readers.cells import normalize_cell
from repermit.imports.readers.container import classify_file_name, tables_of
from repermit.imports.readers.dates import is_month_first
from repermit.imports.readers.row_reader import DATES, TableContext, TableReader
from repermit.imports.readers.rows import (
    AmbiguousColumn,
    Column,
    DateNote,
    FilePart,
    FilePreview,
    Record,
    Row,
    Table,
)

_SAMPLE = 200
_GLIMPSED = 20


@dataclass(frozen=True)
class ListFile:
    """A file that can be read into rows, as often as wanted.

    `digest` is the SHA-256 of the file's bytes, 64 hex digits.
    """

    path: Path
    digest: str
    readings: tuple[TableReader, ...] = field(repr=False)

    @property
    def parts(self) -> tuple[FilePart, ...]:
        """Return the parts in which addresses stand, in the file's order."""
        return tuple(reading.part for reading in self.readings)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all parts, in the file's order.

        Raises ListFileError where the file turns out to be broken further down.
        """
        return chain.from_iterable(reading.rows() for reading in self.readings)

    def rows_of(self, part: FilePart) -> Iterator[Row]:
        """Yield the rows of one of the parts."""
        return chain.from_iterable(
            reading.rows() for reading in self.readings if reading.part is part
        )

    def find_ambiguous_columns(self) -> tuple[AmbiguousColumn, ...]:
        """Return the Yes/No columns whose question is unknown.

        Reads the whole file again if there may be any, as the first No may be anywhere.
        """
        return tuple(chain.from_iterable(map(TableReader.find_ambiguous_columns, self.readings)))

    def date_notes(self) -> tuple[DateNote, ...]:
        """Return the columns of dates in which something is no plain date; reads the file anew."""
        return tuple(chain.from_iterable(map(TableReader.date_notes, self.readings)))


def open_list(path: Path, *, mapping: Mapping[str, str] | None = None, zone: ZoneInfo) -> ListFile:
    """Open a list file and find out what its columns are; the rows are read later.

    `mapping` is FIELD: COLUMN (a title, a number from 1, or a spreadsheet's letter) and goes
    before what is recognised; "" is none, and several, each ended by a line break, are exactly
    those, as far as a part has them. `zone` is that of dates which do not name their own.
    Raises ListFileError, with the place and what was expected, for what cannot be read.
    """
    mapping = mapping or {}
    check_mapping(mapping)
    tables = tables_of(path)
    samples = [(table, _sample_of(table)) for table in tables]
    filled = [(table, sample) for table, sample in samples if sample]
    if not filled:
        raise ListFileError("the file is empty", expected="a list with one address on a line")
    readings = tuple(_readings(path.name, filled, mapping, zone))
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return ListFile(path, digest, readings)


def preview_file(
    path: Path, *, mapping: Mapping[str, str] | None = None
) -> tuple[FilePreview, ...]:
    """Return how the tables of a file begin, also those that no column of addresses is known of.

    Raises ListFileError for what is no list at all.
    """
    samples = [(table, _sample_of(table)) for table in tables_of(path)]
    return tuple(_glimpse(table, sample, mapping or {}) for table, sample in samples if sample)


def _glimpse(table: Table, sample: Sequence[Record], mapping: Mapping[str, str]) -> FilePreview:
    try:
        found = _find_columns(table, sample, mapping)
    except ListFileError:
        width = max(len(cells) for _, cells in sample)
        return FilePreview(
            normalize_cell(table.name),
            tuple(map(Column, range(width), [""] * width, [None] * width)),
            _gather_samples(table, width, first_line=table.first_line),
        )
    width = max((column.index for column in found.columns), default=-1) + 1
    samples = _gather_samples(table, width, first_line=found.first_line)
    return FilePreview(normalize_cell(table.name), found.columns, samples)


def _gather_samples(table: Table, width: int, *, first_line: int) -> tuple[tuple[str, ...], ...]:
    """Return some cells of each column: of the first rows, else of the first that has one.

    Whoever says what a column is needs to see what stands in it, be it in row 2,000.
    """
    samples: list[dict[str, None]] = [{} for _ in range(width)]
    empty: Sequence[int] = range(width)
    records = (cells for line, cells in table.records(None) if line >= first_line)
    for number, cells in enumerate(records):
        for place in empty:
            if place < len(cells) and (text := normalize_cell(cells[place])):
                samples[place].setdefault(text)
        if number >= _GLIMPSED:
            empty = [place for place in empty if not samples[place]]
            if not empty:
                break
    return tuple(tuple(one)[:_GLIMPSED] for one in samples)


def _find_columns(
    table: Table, sample: Sequence[Record], mapping: Mapping[str, str]
) -> DetectedColumns:
    # In a sheet all records are as wide as the widest; in a CSV what goes beyond has slipped.
    width = 0 if table.may_shift else max(len(cells) for _, cells in sample)
    return find_columns(sample, mapping, width=width)


def _sample_of(table: Table) -> list[Record]:
    records = (record for record in table.records(None) if any(map(str.strip, record[1])))
    return [record for record in islice(records, _SAMPLE) if record[0] >= table.first_line]


def _readings(
    file: str,
    filled: Sequence[tuple[Table, list[Record]]],
    mapping: Mapping[str, str],
    zone: ZoneInfo,
) -> Iterator[TableReader]:
    """Yield a reading for each table with addresses.

    A sheet may hold something else; a CSV of an archive that is left out unseen might be the
    one of those who unsubscribed.
    """
    refusals: list[ListFileError] = []
    for table, sample in filled:
        try:
            found = _find_columns(table, sample, mapping)
        except ListFileError as error:
            refusals.append(error)
        else:
            yield _reading(file, table, sample, found, zone)
    if refusals and (len(refusals) == len(filled) or filled[0][0].may_shift):
        raise refusals[0]


def _reading(
    file: str, table: Table, sample: Sequence[Record], found: DetectedColumns, zone: ZoneInfo
) -> TableReader:
    # A workbook with a name of its own often has but one sheet, "Blad1"; a ZIP holds all kinds.
    names = (table.name,) if table.may_shift else (table.name, file)
    told_by, kind = next(
        ((name, kind) for name in names if (kind := classify_file_name(name))), ("", "")
    )
    part = FilePart(
        name=normalize_cell(table.name),
        tool=found.tool.name,
        format=table.format,
        encoding=table.encoding,
        delimiter=table.delimiter,
        columns=found.columns,
        has_header=bool(found.header_line),
        holds=kind,
    )
    meaning = TableContext(
        found=found,
        zone=zone,
        day_0=table.day_0,
        month_first=is_month_first(_dates(sample, found)),
        opted_out=kind if kind in {"unsubscribed", "cleaned"} else "",
        said=f"by its name, {normalize_cell(told_by)}",
        may_prove=not kind,
    )
    return TableReader(table, part, meaning)


def _dates(sample: Sequence[Record], found: DetectedColumns) -> list[str]:
    places = [column.index for column in found.columns if column.field in DATES]
    return [cells[place] for _, cells in sample for place in places if place < len(cells)]
