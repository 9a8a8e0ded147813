"""Reading workbooks of Excel and LibreOffice with python-calamine: visible sheets as tables."""

from __future__ import annotations

import io
import marshal
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn
from xml.parsers import expat
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile, ZipFile

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from repermit.errors import ListFileError
from repermit.imports.readers.cells import normalize_cell
from repermit.imports.readers.dates import FROM_1900, FROM_1904
from repermit.imports.readers.rows import MAX_CELL_LENGTH, Record, Table

if TYPE_CHECKING:
    Attributes = dict[str, str]
    Start = Callable[[str, Attributes], None]

# An entry in the directory of a workbook that Excel has encrypted (MS-OFFCRYPTO §2.3.4.4).
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_WORKBOOK = "xl/workbook.xml"
_DATES_OF_1904 = re.compile(rb"date1904=[\"'](?:1|true)[\"']").search
# In an OpenDocument spreadsheet, before its first sheet (ODF 1.2 part 1, §9.4.3).
_CONTENT = "content.xml"
_NULL_DATE = re.compile(rb"<[^<>\s]*null-date\s[^<>]*date-value=[\"'](\d{4}-\d\d-\d\d)[\"']").search
_SETTINGS = 1 << 24
# The first record of a workbook of Excel 5 to 2003 ([MS-XLS] §2.4.21), the head of each record, and
# the kind of the record with the epoch of dates (§2.4.77).
_BEGIN = re.compile(rb"\x09\x08[\x08\x10]\x00\x00[\x05\x06]\x05\x00")
_RECORD = struct.Struct("<HHH")
_DATE_1904 = 0x22
_SECTOR = 512
_MANIFEST = "META-INF/manifest.xml"
# The errors for a damaged workbook: of calamine, of zipfile, and of `refuse_far_cells`.
_DAMAGE = (
    *(CalamineError, BadZipFile, zlib.error, EOFError, RuntimeError),
    *(ExpatError, ValueError, KeyError),
)
# The maximum rows of all sheets together, also empty ones, as each takes time.
_MAX_ROWS = 5_000_000
# Small enough for rows as wide as a sheet can be.
_BATCH = 200
# The maximum compressed bytes of a workbook's records: three million rows of an ordinary list.
_MAX_PACKED = 1 << 27
# Later versions search for equal values, which takes longer than writing them twice.
_MARSHAL_VERSION = 2


def read_workbook(path: Path, kind: str) -> Iterator[datetime | str | bytes | None]:
    """Yield the epoch of dates (None if unknown), then each sheet's name and packed records.

    Hidden sheets are not read, as they are not meant to be on the list. To be run in a limited
    process, as calamine takes all the memory that a workbook asks for. Raises ListFileError for a
    workbook that is broken or protected by a password, whose cells are too far apart, or of which
    only hidden sheets may hold something.
    """
    data = path.read_bytes()
    try:
        if _is_protected(data, kind):
            raise _make_protected_error()
        if kind != "xls":
            refuse_far_cells(data, kind)
        yield _find_serial_epoch(data, kind)
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        del data
        rows, is_filled, has_hidden = 0, False, False
        for entry in workbook.sheets_metadata:
            if entry.visible != SheetVisibleEnum.Visible:
                has_hidden = True
            elif entry.typ == SheetTypeEnum.WorkSheet:
                sheet = workbook.get_sheet_by_name(entry.name)
                rows += sheet.total_height
                if rows > _MAX_ROWS:
                    raise make_unreadable_error()
                yield entry.name
                for packed in _pack(_iter_records(sheet)):
                    is_filled = True
                    yield packed
        if has_hidden and not is_filled:
            raise ListFileError(
                "the visible sheets are empty, and hidden ones are not read",
                expected="a workbook in which the sheet with the addresses is visible",
            )
    except _DAMAGE as error:
        raise (
            _make_protected_error() if isinstance(error, PasswordError) else _make_broken_error()
        ) from None


def make_sheet_tables(read: Iterable[datetime | str | bytes | None], *, kind: str) -> list[Table]:
    """Return the sheets that `read_workbook` yields as tables.

    Raises ListFileError if they need too much memory of this process.
    """
    sheets: list[tuple[str, list[bytes]]] = []
    size = 0
    serial_epoch: datetime | None = None
    for value in read:
        if value is None or isinstance(value, datetime):
            serial_epoch = value
            continue
        if isinstance(value, str):
            sheets.append((value, []))
            continue
        size += len(value)
        if size > _MAX_PACKED:
            raise make_unreadable_error()
        sheets[-1][1].append(value)
    return [
        Table(
            name=name,
            format=kind,
            may_shift=False,
            serial_epoch=serial_epoch,
            records=_make_reader(packed),
        )
        for name, packed in sheets
    ]


def make_unreadable_error() -> ListFileError:
    """Return the error for a file that needs more memory or time than any list."""
    return ListFileError(
        "this file is broken, too large once it is unpacked, or its cells are too far apart to be "
        "read",
        expected="the same list saved as .xlsx or as a CSV",
    )


def _find_serial_epoch(data: bytes, kind: str) -> datetime | None:
    """Return day 0 of a workbook's dates; None if it is unknown.

    A workbook that was created on an old Mac states its own.
    """
    if kind == "xls":
        epochs = {_read_serial_epoch(data, begin.start()) for begin in _BEGIN.finditer(data)}
        return epochs.pop() if len(epochs) == 1 else None
    with ZipFile(io.BytesIO(data)) as archive, suppress(KeyError):
        if kind == "xlsx":
            return FROM_1904 if _DATES_OF_1904(archive.read(_WORKBOOK)) else FROM_1900
        with archive.open(_CONTENT) as stream:
            if match := _NULL_DATE(stream.read(_SETTINGS)):
                return datetime.fromisoformat(match[1].decode())
    return FROM_1900


def _read_serial_epoch(data: bytes, at: int) -> datetime | None:
    """Return day 0 of an Excel 97 workbook, if its first sector states it; None otherwise.

    Excel writes it some 250 bytes from the beginning; later sectors may be anywhere in the file.
    """
    sector = data[at : at + _SECTOR]
    place = 0
    while place + _RECORD.size <= len(sector):
        kind, size, value = _RECORD.unpack_from(sector, place)
        if kind == _DATE_1904:
            return {(2, 0): FROM_1900, (2, 1): FROM_1904}.get((size, value))
        place += 4 + size
    return None


def _make_protected_error() -> ListFileError:
    return ListFileError(
        "this workbook is protected by a password", expected="a copy saved without a password"
    )


def _make_broken_error() -> ListFileError:
    return ListFileError(
        "this workbook is broken or not one that can be read",
        expected="an Excel (.xlsx) or LibreOffice (.ods) workbook, or a CSV",
    )


def _is_protected(data: bytes, kind: str) -> bool:
    """Say whether a workbook is encrypted, which calamine would report as an unknown format."""
    if kind != "ods":
        return _ENCRYPTED in data
    with ZipFile(io.BytesIO(data)) as archive:
        return _MANIFEST in archive.namelist() and b"encryption-data" in archive.read(_MANIFEST)


def _iter_records(sheet: CalamineSheet) -> Iterator[Record]:
    # Calamine leaves out empty columns at the left, but not empty rows at the top.
    before = [""] * (sheet.start or (0, 0))[1]
    for line, cells in enumerate(sheet.iter_rows(), 1):
        record = [cell if isinstance(cell, str) else _format_cell(cell) for cell in cells]
        if any(record):
            _refuse_long(line, record)
            yield line, before + record


def _refuse_long(line: int, record: list[str]) -> None:
    """Raise ListFileError for a cell that is longer than any spreadsheet allows."""
    lengths = list(map(len, record))
    if max(lengths) > MAX_CELL_LENGTH:
        raise ListFileError(
            "a value of more than %(most)s characters",
            most=MAX_CELL_LENGTH,
            line=line,
            column=lengths.index(max(lengths)) + 1,
        )


def _pack(records: Iterator[Record]) -> Iterator[bytes]:
    while batch := list(islice(records, _BATCH)):
        yield zlib.compress(marshal.dumps(batch, _MARSHAL_VERSION), level=1)


def _make_reader(packed: list[bytes]) -> Callable[[object], Iterator[Record]]:
    def records(_refuse: object) -> Iterator[Record]:
        for batch in packed:
            yield from marshal.loads(zlib.decompress(batch))  # noqa: S302  packed by `_pack`

    return records


def _format_cell(cell: Any) -> str:
    """Return a typed cell as an export would write it."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    return str(cell)


# --- Refusing a workbook with far cells before its sheets are read. -------------------------------


# Numbers of cells, which take 32 bytes each in calamine (160 MB and 1.6 GB). A sheet below the
# first is always read, one above the second never.
_HARMLESS = 5_000_000
_MAX_CELLS = 50_000_000
_SPARSE = 10
# The columns and rows of a sheet in Excel, to find which of two cells is the stray one.
_COLUMNS, _ROWS = 16_384, 1_048_576
_DIGITS = "0123456789"
_LETTERS = re.compile(r"[A-Za-z]+").fullmatch
_ALPHABET = 26


def refuse_far_cells(data: bytes, kind: str) -> None:
    """Raise ListFileError for a workbook ("xlsx" or "ods") whose cells are too far apart.

    Raises BadZipFile, ExpatError, ValueError and other errors of zipfile for a broken one.
    """
    with ZipFile(io.BytesIO(data)) as archive:
        if kind == "ods":
            _scan(archive, "content.xml", _OpenDocument().start)
            return
        names, hidden = _read_sheet_names(archive)
        for member in archive.namelist():
            if member in names or member not in hidden:
                name = names.get(member, PurePosixPath(member).name)
                _scan_sheet(archive, member, _Worksheet(_Extent(name)))


@dataclass
class _Extent:
    """The extent of a sheet's filled cells; places are (row, column) from 1."""

    name: str
    filled: int = 0
    lowest: tuple[int, int] = (0, 0)
    farthest: tuple[int, int] = (0, 0)

    def add(self, row: int, column: int, *, filled: int = 1) -> None:
        self.filled += filled
        if row > self.lowest[0]:
            self.lowest = (row, column)
        if column > self.farthest[1]:
            self.farthest = (row, column)

    def check(self) -> None:
        rows, columns = self.lowest[0], self.farthest[1]
        area = rows * columns
        if area > _MAX_CELLS or area > max(_HARMLESS, _SPARSE * self.filled):
            row, column = self.farthest if columns * _ROWS >= rows * _COLUMNS else self.lowest
            raise ListFileError(
                "the sheet %(sheet)s reaches as far as its cell %(cell)s, and so large a sheet "
                "cannot be read",
                sheet=normalize_cell(self.name),
                cell=_format_place(row, column),
                line=row,
                column=column,
                expected="a list without cells far away from it (delete that cell and save again), "
                "or a CSV",
            )


def _format_place(row: int, column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, _ALPHABET)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


@lru_cache(maxsize=_COLUMNS)
def _parse_column(letters: str) -> int:
    if not _LETTERS(letters):
        raise ValueError(letters)
    number = 0
    for letter in letters.upper():
        number = number * _ALPHABET + ord(letter) - ord("A") + 1
    return number


@lru_cache(maxsize=1024)
def _remove_prefix(name: str) -> str:
    return name.rpartition(":")[2]


class _NotASheetError(Exception):
    """The root of an XML file is not that of a worksheet."""


@dataclass
class _Worksheet:
    """Reads the XML of an Excel sheet (ECMA-376 part 1, §18.3.1).

    A row or cell without a place follows the one before it.
    """

    extent: _Extent
    is_open: bool = False
    _row: int = 0
    _cell: tuple[int, int] = (0, 0)

    def start(self, name: str, attributes: Attributes) -> None:
        local = _remove_prefix(name)
        if local == "c":
            self._cell = self._parse_place(attributes.get("r"))
        elif local in {"v", "is"}:
            self.extent.add(*self._cell)
        elif local == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._cell = (self._row, 0)
        elif not self.is_open:
            if local != "worksheet":
                raise _NotASheetError
            self.is_open = True

    def _parse_place(self, place: str | None) -> tuple[int, int]:
        if place is None:
            return self._row, self._cell[1] + 1
        letters = place.rstrip(_DIGITS)
        return int(place[len(letters) :]), _parse_column(letters)


def _scan_sheet(archive: ZipFile, member: str, sheet: _Worksheet) -> None:
    try:
        _scan(archive, member, sheet.start)
    except _NotASheetError:
        return
    except expat.ExpatError:
        # If the sheet is open it is broken; otherwise this is no sheet, but a picture.
        if sheet.is_open:
            raise
    sheet.extent.check()


def _read_sheet_names(archive: ZipFile) -> tuple[dict[str, str], set[str]]:
    """Return the names of the visible sheets by their files, and the files of the hidden ones."""
    targets: dict[str, str] = {}
    names: dict[str, str] = {}
    hidden: set[str] = set()

    def relation(name: str, attributes: Attributes) -> None:
        if name.endswith("Relationship"):
            target = attributes["Target"].lstrip("/")
            targets[attributes["Id"]] = target if target.startswith("xl/") else f"xl/{target}"

    def sheet(name: str, attributes: Attributes) -> None:
        if _remove_prefix(name) != "sheet":
            return
        ids = [value for key, value in attributes.items() if _remove_prefix(key) == "id"]
        member = targets.get("".join(ids), "")
        if attributes.get("state", "visible") == "visible":
            names[member] = attributes["name"]
        else:
            hidden.add(member)

    with suppress(KeyError):
        _scan(archive, "xl/_rels/workbook.xml.rels", relation)
        _scan(archive, "xl/workbook.xml", sheet)
    return names, hidden


class _OpenDocument:
    """Reads the sheets of an OpenDocument spreadsheet (ODF 1.2 part 1, §9.1).

    Hidden sheets too, as calamine also lays them out.
    """

    def __init__(self) -> None:
        self._extent = _Extent("")
        self._rows = (0, 0)
        self._columns = (0, 0)

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "table:table":
            self._extent = _Extent(attributes.get("table:name", ""))
            self._rows = (0, 0)
        elif name == "table:table-row":
            self._rows = _make_next_range(
                self._rows, attributes.get("table:number-rows-repeated", "1")
            )
            self._columns = (0, 0)
        elif name in {"table:table-cell", "table:covered-table-cell"}:
            repeated = attributes.get("table:number-columns-repeated", "1")
            self._columns = _make_next_range(self._columns, repeated)
            if any(key.startswith("office:") for key in attributes):
                self._add()

    def _add(self) -> None:
        (above, row), (before, column) = self._rows, self._columns
        self._extent.add(row, column, filled=(row - above) * (column - before))
        self._extent.check()


def _make_next_range(last: tuple[int, int], repeated: str) -> tuple[int, int]:
    """Return the range of the next, repeated row or column, as (end of the previous, last)."""
    return last[1], last[1] + max(int(repeated), 0)


def _scan(archive: ZipFile, member: str, start: Start) -> None:
    """Call `start` with every element of a file, as it is unpacked."""
    # Calamine knows no other encoding, and both must read the same.
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = _refuse_doctype
    with archive.open(member) as stream:
        parser.ParseFile(stream)


def _refuse_doctype(*_: object) -> NoReturn:
    """Raise ValueError for a document type, which only an entity bomb has."""
    raise ValueError("a document type")
