"""Workbooks of Excel and LibreOffice, through python-calamine: visible sheets as tables of text."""

from __future__ import annotations

import io
import marshal
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
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
from repermit.imports.readers.rows import LONGEST_CELL, Record, Table

if TYPE_CHECKING:
    Attributes = dict[str, str]
    Start = Callable[[str, Attributes], None]

# What stands in the directory of a workbook that Excel has encrypted (MS-OFFCRYPTO §2.3.4.4).
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_WORKBOOK = "xl/workbook.xml"
_DATES_OF_1904 = re.compile(rb"date1904=[\"'](?:1|true)[\"']").search
# Of an OpenDocument spreadsheet, before its first sheet (ODF 1.2 part 1, §9.4.3).
_CONTENT = "content.xml"
_NULL_DATE = re.compile(rb"null-date[^>]*date-value=[\"'](\d{4}-\d\d-\d\d)[\"']").search
_SETTINGS = 1 << 24
# The first record of a workbook of Excel 5 to 2003 ([MS-XLS] §2.4.21), how each record begins, and
# the one that says from when days are counted (§2.4.77).
_BEGIN = re.compile(rb"\x09\x08[\x08\x10]\x00\x00[\x05\x06]\x05\x00")
_RECORD = struct.Struct("<HHH")
_DATE_1904 = 0x22
_SECTOR = 512
_MANIFEST = "META-INF/manifest.xml"
# What comes of a workbook that is damaged: from calamine, from zipfile, from a look at its cells.
_DAMAGE = (
    *(CalamineError, BadZipFile, zlib.error, EOFError, RuntimeError),
    *(ExpatError, ValueError, KeyError),
)
# Of all sheets together, those that are empty too: each takes its time.
_MOST_ROWS = 5_000_000
# Few enough for rows as wide as a sheet can be.
_BATCH = 200
# Bytes of a workbook's records, compressed: three million rows of an ordinary list.
_MOST_PACKED = 1 << 27
# Later versions look for values that occur twice, which takes longer than writing them twice.
_MARSHAL_VERSION = 2


def read_workbook(path: Path, kind: str) -> Iterator[datetime | str | bytes | None]:
    """Yield from when days are counted, then each visible sheet's name and its packed records.

    From when is None where it cannot be known.
    Hidden sheets are not read: what is hidden there was not meant to be on the list. Meant for a
    process under limits: calamine takes all the memory that a workbook asks for, and dies.
    Raises ListFileError for a workbook that is broken or protected by a password, and for one
    whose cells are too far apart to be read.
    """
    data = path.read_bytes()
    try:
        if _is_protected(data, kind):
            raise _protected()
        if kind != "xls":
            refuse_far_cells(data, kind)
        yield _day_0(data, kind)
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        del data
        rows = 0
        for known in workbook.sheets_metadata:
            if known.visible == SheetVisibleEnum.Visible and known.typ == SheetTypeEnum.WorkSheet:
                sheet = workbook.get_sheet_by_name(known.name)
                rows += sheet.total_height
                if rows > _MOST_ROWS:
                    raise unreadable_file()
                yield known.name
                yield from _packed(_records_of(sheet))
    except _DAMAGE as error:
        raise _protected() if isinstance(error, PasswordError) else _broken() from None


def sheet_tables(read: Iterable[datetime | str | bytes | None], *, kind: str) -> list[Table]:
    """Return the sheets that `read_workbook` yields as tables.

    Raises ListFileError if they hold more than the memory of this process should.
    """
    sheets: list[tuple[str, list[bytes]]] = []
    size = 0
    day_0: datetime | None = None
    for value in read:
        if value is None or isinstance(value, datetime):
            day_0 = value
            continue
        if isinstance(value, str):
            sheets.append((value, []))
            continue
        size += len(value)
        if size > _MOST_PACKED:
            raise unreadable_file()
        sheets[-1][1].append(value)
    return [
        Table(name=name, format=kind, may_shift=False, day_0=day_0, records=_reader_of(packed))
        for name, packed in sheets
    ]


def unreadable_file() -> ListFileError:
    """Return the error for a file that asks for more memory or time than any list."""
    return ListFileError(
        "this file is broken, too large once it is unpacked, or its cells are too far apart to be "
        "read",
        expected="the same list saved as .xlsx or as a CSV",
    )


def _day_0(data: bytes, kind: str) -> datetime | None:
    """Return from when a workbook counts its days, None if it cannot be known.

    One begun on an old Mac says so itself.
    """
    if kind == "xls":
        found = {_day_0_of_records(data, begin.start()) for begin in _BEGIN.finditer(data)}
        return found.pop() if len(found) == 1 else None
    with ZipFile(io.BytesIO(data)) as archive, suppress(KeyError):
        if kind == "xlsx":
            return FROM_1904 if _DATES_OF_1904(archive.read(_WORKBOOK)) else FROM_1900
        with archive.open(_CONTENT) as stream:
            if said := _NULL_DATE(stream.read(_SETTINGS)):
                return datetime.fromisoformat(said[1].decode())
    return FROM_1900


def _day_0_of_records(data: bytes, at: int) -> datetime | None:
    """Return from when a workbook of Excel 97 counts, if its first sector says so.

    What follows may stand elsewhere in the file; Excel says it some 250 bytes from the beginning.
    """
    sector = data[at : at + _SECTOR]
    place = 0
    while place + _RECORD.size <= len(sector):
        kind, size, value = _RECORD.unpack_from(sector, place)
        if kind == _DATE_1904:
            return {(2, 0): FROM_1900, (2, 1): FROM_1904}.get((size, value))
        place += 4 + size
    return None


def _protected() -> ListFileError:
    return ListFileError(
        "this workbook is protected by a password", expected="a copy saved without a password"
    )


def _broken() -> ListFileError:
    return ListFileError(
        "this workbook is broken or not one that can be read",
        expected="an Excel (.xlsx) or LibreOffice (.ods) workbook, or a CSV",
    )


def _is_protected(data: bytes, kind: str) -> bool:
    """Say whether a workbook is encrypted, which calamine takes for a format it does not know."""
    if kind != "ods":
        return _ENCRYPTED in data
    with ZipFile(io.BytesIO(data)) as archive:
        return _MANIFEST in archive.namelist() and b"encryption-data" in archive.read(_MANIFEST)


def _records_of(sheet: CalamineSheet) -> Iterator[Record]:
    # Calamine leaves out empty columns at the left, but not empty rows at the top.
    before = [""] * (sheet.start or (0, 0))[1]
    for line, cells in enumerate(sheet.iter_rows(), 1):
        record = [cell if isinstance(cell, str) else _text_of(cell) for cell in cells]
        if any(record):
            _refuse_long(line, record)
            yield line, before + record


def _refuse_long(line: int, record: list[str]) -> None:
    """Refuse a cell that no spreadsheet could have made."""
    lengths = list(map(len, record))
    if max(lengths) > LONGEST_CELL:
        raise ListFileError(
            "a value of more than %(most)s characters",
            most=LONGEST_CELL,
            line=line,
            column=lengths.index(max(lengths)) + 1,
        )


def _packed(records: Iterator[Record]) -> Iterator[bytes]:
    while batch := list(islice(records, _BATCH)):
        yield zlib.compress(marshal.dumps(batch, _MARSHAL_VERSION), level=1)


def _reader_of(packed: list[bytes]) -> Callable[[object], Iterator[Record]]:
    def records(_refuse: object) -> Iterator[Record]:
        for batch in packed:
            yield from marshal.loads(zlib.decompress(batch))  # noqa: S302  packed by `_packed`

    return records


def _text_of(cell: Any) -> str:
    """Return a typed cell as an export would write it."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    return str(cell)


# --- How far the cells of a workbook reach, told before its sheets are read. ----------------------


# Calamine takes 32 bytes for a cell. Below the first number nothing is sparse, above the second
# nothing is read: 160 MB and 1.6 GB.
_HARMLESS = 5_000_000
_MOST = 50_000_000
_SPARSE = 10
# Columns and rows of a sheet in Excel, to tell which of two cells is the stray one.
_COLUMNS, _ROWS = 16_384, 1_048_576
_DIGITS = "0123456789"
_LETTERS = re.compile(r"[A-Za-z]+").fullmatch
_ALPHABET = 26


def refuse_far_cells(data: bytes, kind: str) -> None:
    """Raise ListFileError for a workbook ("xlsx" or "ods") whose cells are too far apart.

    Raises BadZipFile, ExpatError, ValueError and what else zipfile raises for one that is broken.
    """
    with ZipFile(io.BytesIO(data)) as archive:
        if kind == "ods":
            _scan(archive, "content.xml", _OpenDocument().start)
            return
        names, hidden = _sheets_of(archive)
        for member in archive.namelist():
            if member in names or member not in hidden:
                name = names.get(member, PurePosixPath(member).name)
                _scan_sheet(archive, member, _Worksheet(_Extent(name)))


@dataclass
class _Extent:
    """How far the filled cells of a sheet reach; places are (row, column) from 1."""

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
        if area > _MOST or area > max(_HARMLESS, _SPARSE * self.filled):
            row, column = self.farthest if columns * _ROWS >= rows * _COLUMNS else self.lowest
            raise ListFileError(
                "the sheet %(sheet)s reaches as far as its cell %(cell)s, and so large a sheet "
                "cannot be read",
                sheet=normalize_cell(self.name),
                cell=_named(row, column),
                line=row,
                column=column,
                expected="a list without cells far away from it (delete that cell and save again), "
                "or a CSV",
            )


def _named(row: int, column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, _ALPHABET)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row}"


class _Columns(dict[str, int]):
    """The number of a column by its letters."""

    def __missing__(self, letters: str) -> int:
        if not _LETTERS(letters):
            raise ValueError(letters)
        number = 0
        for letter in letters.upper():
            number = number * _ALPHABET + ord(letter) - ord("A") + 1
        self[letters] = number
        return number


class _Locals(dict[str, str]):
    """The name of an element without its prefix."""

    def __missing__(self, name: str) -> str:
        local = self[name] = name.rpartition(":")[2]
        return local


class _NotASheetError(Exception):
    """The root of an XML file is not that of a worksheet."""


@dataclass
class _Worksheet:
    """Reads the XML of one sheet of Excel's (ECMA-376 part 1, §18.3.1).

    A row or cell that does not say where it is stands after the one before it.
    """

    extent: _Extent
    is_open: bool = False
    _row: int = 0
    _cell: tuple[int, int] = (0, 0)
    _columns: _Columns = field(default_factory=_Columns)
    _locals: _Locals = field(default_factory=_Locals)

    def start(self, name: str, attributes: Attributes) -> None:
        local = self._locals[name]
        if local == "c":
            self._cell = self._place_of(attributes.get("r"))
        elif local in {"v", "is"}:
            self.extent.add(*self._cell)
        elif local == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._cell = (self._row, 0)
        elif not self.is_open:
            if local != "worksheet":
                raise _NotASheetError
            self.is_open = True

    def _place_of(self, place: str | None) -> tuple[int, int]:
        if place is None:
            return self._row, self._cell[1] + 1
        letters = place.rstrip(_DIGITS)
        return int(place[len(letters) :]), self._columns[letters]


def _scan_sheet(archive: ZipFile, member: str, sheet: _Worksheet) -> None:
    try:
        _scan(archive, member, sheet.start)
    except _NotASheetError:
        return
    except expat.ExpatError:
        # A picture, or a sheet of which nobody knows what follows.
        if sheet.is_open:
            raise
    sheet.extent.check()


def _sheets_of(archive: ZipFile) -> tuple[dict[str, str], set[str]]:
    """Return the names of the visible sheets by their files, and the files of the hidden ones."""
    targets: dict[str, str] = {}
    names: dict[str, str] = {}
    hidden: set[str] = set()

    def relation(name: str, attributes: Attributes) -> None:
        if name.endswith("Relationship"):
            target = attributes["Target"].lstrip("/")
            targets[attributes["Id"]] = target if target.startswith("xl/") else f"xl/{target}"

    def sheet(name: str, attributes: Attributes) -> None:
        if name.rpartition(":")[2] != "sheet":
            return
        ids = [value for key, value in attributes.items() if key.rpartition(":")[2] == "id"]
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

    Calamine lays out the hidden ones as well.
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
            self._rows = _after(self._rows, attributes.get("table:number-rows-repeated", "1"))
            self._columns = (0, 0)
        elif name in {"table:table-cell", "table:covered-table-cell"}:
            repeated = attributes.get("table:number-columns-repeated", "1")
            self._columns = _after(self._columns, repeated)
            if any(key.startswith("office:") for key in attributes):
                self._add()

    def _add(self) -> None:
        (above, row), (before, column) = self._rows, self._columns
        self._extent.add(row, column, filled=(row - above) * (column - before))
        self._extent.check()


def _after(last: tuple[int, int], repeated: str) -> tuple[int, int]:
    """Return the next row or column and how far it repeats, as what stands before and the last."""
    return last[1], last[1] + max(int(repeated), 0)


def _scan(archive: ZipFile, member: str, start: Start) -> None:
    """Call `start` with every element of a file, as it is unpacked."""
    # Calamine knows no other encoding, and what each of us reads must be the same.
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = _refuse_doctype
    with archive.open(member) as stream:
        parser.ParseFile(stream)


def _refuse_doctype(*_: object) -> NoReturn:
    """Refuse what only a bomb of entities needs: no workbook has a document type."""
    raise ValueError("a document type")
