"""Workbooks of Excel and LibreOffice, through python-calamine: visible sheets as tables of text.

May import errors and this room's extents and model.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zlib
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
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
from repermit.listfile.dates import FROM_1900, FROM_1904
from repermit.listfile.extents import refuse_far_cells
from repermit.listfile.model import Record, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What stands in the directory of a workbook that Excel has encrypted (MS-OFFCRYPTO §2.3.4.4).
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_WORKBOOK = "xl/workbook.xml"
_DATES_OF_1904 = re.compile(rb"date1904=[\"'](?:1|true)[\"']").search
_MANIFEST = "META-INF/manifest.xml"
# What comes of a workbook that is damaged: from calamine, from zipfile, from a look at its cells.
_DAMAGE = (
    *(CalamineError, BadZipFile, zlib.error, EOFError, RuntimeError),
    *(ExpatError, ValueError, KeyError),
)
# A damaged .xls can claim as many cells as fit nowhere, which would kill the process that reads it.
# So another one reads it first, with 1 GB of memory: the largest sheet that there can be takes
# half of that. What it says of any other damage is left to the reading itself.
_REHEARSAL = """
import io, resource, sys
from python_calamine import CalamineError, CalamineWorkbook
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
    for name in workbook.sheet_names:
        workbook.get_sheet_by_name(name)
except CalamineError:
    pass
"""


def sheet_tables(data: bytes, *, kind: str) -> list[Table]:
    """Return the visible sheets of a workbook as tables, in their order.

    Hidden sheets are not read: what is hidden there was not meant to be on the list.
    Raises ListFileError for a workbook that is broken or protected by a password, and for one
    whose cells are too far apart to be read.
    """
    try:
        if _is_protected(data, kind):
            raise _protected()
        if kind == "xls":
            _rehearse(data)
        else:
            refuse_far_cells(data, kind)
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = [
            workbook.get_sheet_by_name(sheet.name)
            for sheet in workbook.sheets_metadata
            if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
        ]
    except _DAMAGE as error:
        raise _protected() if isinstance(error, PasswordError) else _broken() from None
    day_0 = _day_0(data, kind)
    return [
        Table(name=sheet.name, format=kind, may_shift=False, day_0=day_0, records=_reader_of(sheet))
        for sheet in sheets
    ]


def _day_0(data: bytes, kind: str) -> datetime:
    """Return from when a workbook counts its days; one begun on an old Mac says so itself."""
    if kind == "xlsx":
        with ZipFile(io.BytesIO(data)) as archive, suppress(KeyError):
            if _DATES_OF_1904(archive.read(_WORKBOOK)):
                return FROM_1904
    return FROM_1900


def _protected() -> ListFileError:
    return ListFileError(
        "this workbook is protected by a password", expected="a copy saved without a password"
    )


def _broken() -> ListFileError:
    return ListFileError(
        "this workbook is broken or not one that can be read",
        expected="an Excel (.xlsx) or LibreOffice (.ods) workbook, or a CSV",
    )


def _rehearse(data: bytes) -> None:
    command = [sys.executable, "-P", "-c", _REHEARSAL]
    if subprocess.run(command, input=data, capture_output=True, check=False).returncode:  # noqa: S603  our own
        raise ListFileError(
            "this old workbook (.xls) is broken, or its cells are too far apart to be read",
            expected="the same list saved as .xlsx or as a CSV",
        )


def _is_protected(data: bytes, kind: str) -> bool:
    """Say whether a workbook is encrypted, which calamine takes for a format it does not know."""
    if kind != "ods":
        return _ENCRYPTED in data
    with ZipFile(io.BytesIO(data)) as archive:
        return _MANIFEST in archive.namelist() and b"encryption-data" in archive.read(_MANIFEST)


def _reader_of(sheet: CalamineSheet) -> Callable[[object], Iterator[Record]]:
    def records(_refuse: object) -> Iterator[Record]:
        # Calamine leaves out empty columns at the left, but not empty rows at the top.
        before = [""] * (sheet.start or (0, 0))[1]
        for line, cells in enumerate(sheet.iter_rows(), 1):
            record = [cell if isinstance(cell, str) else _text_of(cell) for cell in cells]
            if any(record):
                yield line, before + record

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
