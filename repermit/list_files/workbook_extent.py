"""How far the cells of a workbook reach, told before its sheets are read.

Calamine lays a sheet out whole, from its first cell to its last: one stray cell in the last corner
asks for 550 GB, and the process is killed (calamine issue 693). What is empty does not count,
however far its formatting goes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat
from zipfile import ZipFile

from repermit.errors import ListFileError
from repermit.list_files.cells import clean

if TYPE_CHECKING:
    Attributes = dict[str, str]
    Start = Callable[[str, Attributes], None]

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
                sheet=clean(self.name),
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
