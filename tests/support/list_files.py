"""List files for tests, written as the programs of this world write them."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import openpyxl

from repermit.imports.readers.open_file import ListFile, open_list
from repermit.imports.readers.rows import Table
from repermit.imports.readers.workbook import make_sheet_tables, read_workbook

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
_SPREADSHEET = "application/vnd.oasis.opendocument.spreadsheet"
_NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text")
)


def tables_in(path: Path, kind: str) -> list[Table]:
    """Return the sheets of a workbook, read in this process."""
    return make_sheet_tables(read_workbook(path, kind), kind=kind)


MAILCHIMP_TITLES = (
    "Email Address",
    "First Name",
    "Last Name",
    "MEMBER_RATING",
    "OPTIN_TIME",
    "OPTIN_IP",
    "CONFIRM_TIME",
    "CONFIRM_IP",
    "LEID",
    "EUID",
    "NOTES",
    "TAGS",
)


def opened(path: Path, **mapping: str) -> ListFile:
    return open_list(path, mapping=mapping, zone=AMSTERDAM)


def from_text(
    folder: Path, text: str, *, encoding: str = "utf-8", name: str = "list.csv", **mapping: str
) -> ListFile:
    return from_bytes(folder, text.encode(encoding), name=name, **mapping)


def from_bytes(folder: Path, data: bytes, *, name: str = "list.csv", **mapping: str) -> ListFile:
    path = folder / name
    path.write_bytes(data)
    return opened(path, **mapping)


def as_csv(rows: Sequence[Sequence[str]], *, delimiter: str = ",", end: str = "\r\n") -> str:
    text = io.StringIO()
    # Where CR ends the lines, Python sees no need to quote a value with LF in it.
    writer = csv.writer(
        text,
        delimiter=delimiter,
        lineterminator=end,
        quoting=csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL,
    )
    writer.writerows(rows)
    return text.getvalue()


def mailchimp_csv(*rows: Mapping[str, str]) -> str:
    return as_csv(
        [MAILCHIMP_TITLES, *([row.get(title, "") for title in MAILCHIMP_TITLES] for row in rows)]
    )


def write_workbook(
    path: Path, sheets: Mapping[str, Sequence[Sequence[Any]]], *, hidden: str = ""
) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
        if title == hidden:
            sheet.sheet_state = "hidden"
    workbook.save(path)
    return path


def write_ods(path: Path, rows: Sequence[Sequence[str]], *, encrypted: bool = False) -> Path:
    return write_ods_xml(path, ods_rows(rows), encrypted=encrypted)


def ods_rows(rows: Sequence[Sequence[str]]) -> str:
    return "".join(
        "<table:table-row>"
        + "".join(
            f'<table:table-cell office:value-type="string"><text:p>{escape(cell)}</text:p>'
            "</table:table-cell>"
            for cell in row
        )
        + "</table:table-row>"
        for row in rows
    )


def write_ods_xml(path: Path, rows: str, *, encrypted: bool = False, settings: str = "") -> Path:
    secret = (
        '<manifest:encryption-data><manifest:algorithm manifest:algorithm-name="x"/>'
        "</manifest:encryption-data>"
    )
    return write_zip(
        path,
        {
            "mimetype": _SPREADSHEET,
            "content.xml": f'<office:document-content {_NAMES} office:version="1.2"><office:body>'
            f'<office:spreadsheet>{settings}<table:table table:name="Blad1">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
            "META-INF/manifest.xml": "<manifest:manifest "
            'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml">'
            f"{secret if encrypted else ''}</manifest:file-entry></manifest:manifest>",
        },
    )


def write_xls(
    path: Path,
    cells: Mapping[tuple[int, int], str | float],
    *,
    globals_: bytes = b"",
    is_in_pieces: bool = False,
) -> Path:
    """Write the least that Excel 97 would open: BIFF8 records in a compound file ([MS-CFB]).

    `globals_` are further records of the workbook itself. Of a file in pieces the second sector
    stands last.
    """
    sheet = xls_record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    for (row, column), text in cells.items():
        if isinstance(text, str):
            label = struct.pack("<HHHHB", row, column, 0, len(text), 0) + text.encode("ascii")
            sheet += xls_record(0x204, label)
        else:
            sheet += xls_record(0x203, struct.pack("<HHHd", row, column, 0, text))
    begin = xls_record(0x809, struct.pack("<HHHHII", 0x600, 0x05, 0, 0, 0, 0)) + globals_
    # Its place, that it is a visible worksheet, and its name.
    listed = 4 + 8 + len("Blad1") + 4
    place = len(begin) + listed
    name = struct.pack("<IHBB", place, 0, len("Blad1"), 0) + b"Blad1"
    stream = begin + xls_record(0x85, name) + xls_record(0x0A, b"") + sheet + xls_record(0x0A, b"")
    # Anything shorter than 4096 bytes would have to stand elsewhere.
    stream = stream.ljust(max(4096, -(-len(stream) // 512) * 512), b"\0")
    sectors = len(stream) // 512
    chain = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, 2 + sectors), 0xFFFFFFFE]
    if is_in_pieces:
        last = 1 + sectors
        chain[2], chain[last], chain[last - 1], chain[3] = last, 4, 3, 0xFFFFFFFE
        stream = stream[:512] + stream[-512:] + stream[1024:-512] + stream[512:1024]
    table = struct.pack(f"<{len(chain)}I", *chain).ljust(512, b"\xff")
    folder = _entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + _entry("Workbook", 2, -1, 2, len(stream))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<I", 0).ljust(436, b"\xff")
    path.write_bytes(header + table + folder.ljust(512, b"\0") + stream)
    return path


def xls_record(kind: int, body: bytes) -> bytes:
    """Return a record of a workbook of Excel 97."""
    return struct.pack("<HH", kind, len(body)) + body


def _entry(name: str, kind: int, child: int, sector: int, size: int) -> bytes:
    title = name.encode("utf-16-le")
    head = title.ljust(64, b"\0") + struct.pack("<HBB", len(title) + 2, kind, 1)
    return head + struct.pack("<iii36xIQ", -1, -1, child, sector, size)


def write_zip(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(
                name, content, zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            )
    return path
