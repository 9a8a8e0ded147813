"""Opening a list file: its kind, its columns and its rows."""

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
from repermit.imports.readers.container import classify_file_name, read_tables
from repermit.imports.readers.dates import is_month_first
from repermit.imports.readers.row_reader import DATES, TableContext, TableReader
from repermit.imports.readers.rows import (
    AmbiguousColumn,
    Column,
    DateNote,
    FilePart,
    FilePreview,
    LanguageNote,
    Record,
    Row,
    Table,
)

_SAMPLE = 200
_GLIMPSED = 20


@dataclass(frozen=True)
class ListFile:
    """A file whose rows can be read repeatedly.

    - `digest`: the SHA-256 of the file's bytes, 64 hex digits.
    """

    path: Path
    digest: str
    readers: tuple[TableReader, ...] = field(repr=False)

    @property
    def parts(self) -> tuple[FilePart, ...]:
        """The parts with addresses, in the file's order."""
        return tuple(reader.part for reader in self.readers)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all parts, in the file's order.

        Raises ListFileError when a broken part of the file is reached.
        """
        return chain.from_iterable(reader.rows() for reader in self.readers)

    def iter_part_rows(self, part: FilePart) -> Iterator[Row]:
        """Yield the rows of one of the parts."""
        return chain.from_iterable(reader.rows() for reader in self.readers if reader.part is part)

    def find_ambiguous_columns(self) -> tuple[AmbiguousColumn, ...]:
        """Return the Yes/No columns whose question is unknown.

        Reads the whole file again if there may be any, as the first No may be anywhere.
        """
        return tuple(chain.from_iterable(map(TableReader.find_ambiguous_columns, self.readers)))

    def find_date_notes(self) -> tuple[DateNote, ...]:
        """Return the date columns with serial numbers or unreadable dates; reads the file again."""
        return tuple(chain.from_iterable(map(TableReader.find_date_notes, self.readers)))

    def find_language_notes(self) -> tuple[LanguageNote, ...]:
        """Return the columns of languages with unknown ones; reads the file again."""
        return tuple(chain.from_iterable(map(TableReader.find_language_notes, self.readers)))


def open_list(path: Path, *, mapping: Mapping[str, str] | None = None, zone: ZoneInfo) -> ListFile:
    """Open a list file and detect its columns; the rows are read later.

    - `mapping`: columns by field, before those detected. A column is a title, a number from 1, or a
      spreadsheet's letter. "" means no column. Several columns, each ended by a line break, are
      exactly those of the field, as far as a part has them.
    - `zone`: the time zone of times without one.

    Raises ListFileError, with the place and what was expected, for a file that cannot be read.
    """
    mapping = mapping or {}
    check_mapping(mapping)
    tables = read_tables(path)
    samples = [(table, _read_sample(table)) for table in tables]
    filled = [(table, sample) for table, sample in samples if sample]
    if not filled:
        raise ListFileError("the file is empty", expected="a list with one address on a line")
    readers = tuple(_iter_readers(path.name, filled, mapping, zone))
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return ListFile(path, digest, readers)


def preview_file(
    path: Path, *, mapping: Mapping[str, str] | None = None
) -> tuple[FilePreview, ...]:
    """Return the beginnings of a file's tables, also of those without addresses.

    Raises ListFileError for a file that is not a list.
    """
    samples = [(table, _read_sample(table)) for table in read_tables(path)]
    return tuple(
        _preview_table(table, sample, mapping or {}) for table, sample in samples if sample
    )


def _preview_table(
    table: Table, sample: Sequence[Record], mapping: Mapping[str, str]
) -> FilePreview:
    try:
        detected = _find_columns(table, sample, mapping)
    except ListFileError:
        width = max(len(cells) for _, cells in sample)
        return FilePreview(
            normalize_cell(table.name),
            tuple(map(Column, range(width), [""] * width, [None] * width)),
            _gather_samples(table, width, first_line=table.first_line),
        )
    width = max((column.index for column in detected.columns), default=-1) + 1
    samples = _gather_samples(table, width, first_line=detected.first_line)
    return FilePreview(normalize_cell(table.name), detected.columns, samples)


def _gather_samples(table: Table, width: int, *, first_line: int) -> tuple[tuple[str, ...], ...]:
    """Return some cells of each column: of the first rows, or else the first cell with content.

    An admin who maps a column needs to see its content, even if that begins in row 2,000.
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
    return tuple(tuple(texts)[:_GLIMPSED] for texts in samples)


def _find_columns(
    table: Table, sample: Sequence[Record], mapping: Mapping[str, str]
) -> DetectedColumns:
    # All records of a sheet are as wide as the widest; in a CSV, further cells are misplaced.
    width = 0 if table.may_shift else max(len(cells) for _, cells in sample)
    return find_columns(sample, mapping, width=width)


def _read_sample(table: Table) -> list[Record]:
    records = (record for record in table.records(None) if any(map(str.strip, record[1])))
    return [record for record in islice(records, _SAMPLE) if record[0] >= table.first_line]


def _iter_readers(
    file: str,
    filled: Sequence[tuple[Table, list[Record]]],
    mapping: Mapping[str, str],
    zone: ZoneInfo,
) -> Iterator[TableReader]:
    """Yield a reader for each table with addresses.

    A sheet without addresses is left out. A CSV of an archive is not, as it might be the one of
    people who unsubscribed: it raises ListFileError.
    """
    refusals: list[ListFileError] = []
    for table, sample in filled:
        try:
            detected = _find_columns(table, sample, mapping)
        except ListFileError as error:
            refusals.append(error)
        else:
            yield _make_reader(file, table, sample, detected, zone)
    if refusals and (len(refusals) == len(filled) or filled[0][0].may_shift):
        raise refusals[0]


def _make_reader(
    file: str, table: Table, sample: Sequence[Record], detected: DetectedColumns, zone: ZoneInfo
) -> TableReader:
    # A workbook's name counts, too, as it often has one sheet, "Blad1". A ZIP has all kinds.
    names = (table.name,) if table.may_shift else (table.name, file)
    telling_name, kind = next(
        ((name, kind) for name in names if (kind := classify_file_name(name))), ("", "")
    )
    part = FilePart(
        name=normalize_cell(table.name),
        tool=detected.tool.name,
        format=table.format,
        encoding=table.encoding,
        delimiter=table.delimiter,
        columns=detected.columns,
        has_header=bool(detected.header_line),
        holds=kind,
    )
    context = TableContext(
        detected=detected,
        zone=zone,
        serial_epoch=table.serial_epoch,
        month_first=is_month_first(_sample_dates(sample, detected)),
        opted_out=kind if kind in {"unsubscribed", "cleaned"} else "",
        said=normalize_cell(telling_name),
        may_prove=not kind,
    )
    return TableReader(table, part, context)


def _sample_dates(sample: Sequence[Record], detected: DetectedColumns) -> list[str]:
    places = [column.index for column in detected.columns if column.field in DATES]
    return [cells[place] for _, cells in sample for place in places if place < len(cells)]
