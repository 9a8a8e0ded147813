"""Files and mails that ask for more memory or time than there is."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.list_files import write_ods_xml, write_workbook, write_zip

_SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_FAR = '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>x</t></is></c></row>'
_ROWS = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c></row>'
    '<row r="2"><c r="A2" t="inlineStr"><is><t>a@example.org</t></is></c></row>'
)
_FIRST = "xl/worksheets/sheet1.xml"


def sheet(rows: str, *, root: str = "worksheet") -> str:
    return f'<{root} xmlns="{_SPACE}"><sheetData>{rows}</sheetData></{root}>'


def changed(path: Path, members: Mapping[str, str | bytes]) -> Path:
    """Write a workbook anew with some of its members replaced."""
    with zipfile.ZipFile(path) as archive:
        there: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    return write_zip(path, {**there, **members})


def names_in_other_case(path: Path) -> Path:
    """Write a workbook whose visible sheet is the file of a hidden one, in other letters."""
    write_workbook(path, {"A": [["x"]], "B": [["x"]]}, hidden="B")
    with zipfile.ZipFile(path) as archive:
        relations = archive.read("xl/_rels/workbook.xml.rels").decode()
    return changed(
        path,
        {
            "xl/_rels/workbook.xml.rels": relations.replace("sheet1.xml", "SHEET2.xml"),
            "xl/worksheets/sheet2.xml": sheet(_ROWS + _FAR),
        },
    )


def another_root(path: Path) -> Path:
    write_workbook(path, {"A": [["x"]]})
    return changed(path, {_FIRST: sheet(_ROWS + _FAR, root="other")})


def full_sheets(path: Path, count: int = 40) -> Path:
    """Write a workbook whose sheets each reach as far down as a list of a million."""
    write_workbook(path, {f"S{number}": [["x"]] for number in range(1, count + 1)})
    last = '<row r="1000000"><c r="A1000000" t="inlineStr"><is><t>x@example.org</t></is></c></row>'
    members = {
        f"xl/worksheets/sheet{number}.xml": sheet(_ROWS + last) for number in range(1, count + 1)
    }
    return changed(path, members)


def long_cell(path: Path, length: int) -> Path:
    write_workbook(path, {"A": [["x"]]})
    row = f'<row r="3"><c r="B3" t="inlineStr"><is><t>{"x" * length}</t></is></c></row>'
    return changed(path, {_FIRST: sheet(_ROWS + row)})


def repeated_cells(path: Path) -> Path:
    cell = (
        '<table:table-cell table:number-columns-repeated="1000000000" '
        'office:value-type="string"><text:p>x</text:p></table:table-cell>'
    )
    return write_ods_xml(path, f"<table:table-row>{cell}</table:table-row>")


def entities(path: Path) -> Path:
    """Write a workbook with a "billion laughs"."""
    write_workbook(path, {"A": [["x"]]})
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return changed(
        path, {_FIRST: f'<!DOCTYPE w [<!ENTITY e0 "x">{lines}]>{sheet("<row>&e9;</row>")}'}
    )


def nested_zip(path: Path) -> Path:
    """Write a ZIP of ZIPs, in the last of which there is a list."""
    data: str | bytes = "email\na@example.org\n"
    name = "list.csv"
    for depth in range(10):
        inner = write_zip(path.with_name(f"inner{depth}.zip"), {name: data})
        data, name = inner.read_bytes(), inner.name
    return write_zip(path, {name: data})


def zip_bomb(path: Path) -> Path:
    return write_zip(path, {"list.csv": b"a@example.org\n" * 5_000_000})


def zip_dense(path: Path) -> Path:
    """Write a ZIP that is no bomb by what it declares, and a thousand times as long unpacked."""
    return write_zip(path, {"list.csv": b"email\n" + b"a\n" * 8_000})


def one_row(path: Path) -> Path:
    return write_workbook(path, {"A": [["email"], ["a@example.org"]]})


def many_members(path: Path, count: int = 60_000) -> Path:
    return write_zip(path, {f"{number}.csv": "" for number in range(count)})


# --- Mails, each of a megabyte at most, since no more of one is read.

_HEAD = (
    b"From: Jan <jan@example.net>\r\nTo: news@example.org\r\nSubject: Re: news\r\n"
    b"In-Reply-To: <1.2@example.org>\r\nMIME-Version: 1.0\r\n"
)
_MARKS = "\u0300\u0316".encode()


def mail(body: bytes, *, kind: bytes = b"text/plain; charset=utf-8", head: bytes = b"") -> bytes:
    return head + _HEAD + b"Content-Type: " + kind + b"\r\n\r\n" + body


def nested_parts(depth: int, body: bytes) -> bytes:
    parts = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (number, number + 1)
        for number in range(depth)
    )
    return mail(parts + body, kind=b"multipart/mixed; boundary=b0")


ENDLESS = mail(b"Ja", kind=b"text/plain; " + b"a=b; " * 190_000)
"""The email package takes the square of the number of parameters: half a minute."""

MAILS: Mapping[str, bytes] = {
    "marks": mail(_MARKS * 40_000),
    "marks in HTML": mail(_MARKS * 240_000, kind=b"text/html; charset=utf-8"),
    "a mail of lines": mail(b"\n" * 900_000),
    "tags": mail(b"<b>" * 300_000, kind=b"text/html"),
    "brackets": mail(b"<" * 990_000, kind=b"text/html"),
    "ten thousand parts": mail(
        b"--x\r\nContent-Type: text/plain\r\n\r\na\r\n" * 20_000,
        kind=b"multipart/mixed; boundary=x",
    ),
    "parts in parts without end": nested_parts(14_000, b""),
    "words of RFC 2047": mail(b"Ja", head=b"Subject: " + b"=?utf-8?q?a?= " * 70_000 + b"\r\n"),
    "a header of a megabyte": mail(b"Ja", head=b"X-Long: " + b"a" * 990_000 + b"\r\n"),
    "headers by the ten thousand": mail(b"Ja", head=b"To: a@example.net\r\n" * 50_000),
    "quoted-printable": mail(
        b"=3D" * 300_000, head=b"Content-Transfer-Encoding: quoted-printable\r\n"
    ),
    "an unknown charset": mail(b"\xff" * 900_000, kind=b"text/plain; charset=x-nonsense"),
    "numbers": mail(b"ja\n" + b"(1" * 24_000 + b"xyz"),
    "nothing but NULs": bytes(1_000_000),
}
"""Mails that were slow, or might be: reading each of them ends at once."""

SLOW_MAILS: Mapping[str, bytes] = {
    "parameters": ENDLESS,
    "parts in parts": nested_parts(300, b"a\r\n" * 200_000),
}
"""Mails at which a process is ended."""
