"""Workbooks of Excel and LibreOffice, through python-calamine: visible sheets as tables of text."""

from __future__ import annotations

import io
import marshal
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
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
from repermit.list_files.dates import FROM_1900, FROM_1904
from repermit.list_files.rows import LONGEST_CELL, Record, Table
from repermit.list_files.workbook_extent import refuse_far_cells

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
