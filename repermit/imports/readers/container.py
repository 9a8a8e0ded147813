"""Detecting a file's kind, and opening its tables: a CSV, a workbook, a ZIP of CSVs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, ZipInfo

from repermit.errors import ListFileError
from repermit.expressions import Expressions
from repermit.i18n.lazy_text import LazyText
from repermit.imports.readers.csv import read_delimited_table
from repermit.imports.readers.workbook import (
    make_sheet_tables,
    make_unreadable_error,
    read_workbook,
)
from repermit.imports.remark_phrases import normalize_remark
from repermit.limited_process import LimitedProcess, ProcessDied

if TYPE_CHECKING:
    from repermit.imports.readers.rows import Table

# --- Classifying a file, a member of a ZIP or a sheet by its name. --------------------------------


_PHRASES = Expressions("title_phrases.toml", "file_names")


def classify_file_name(name: str) -> str:
    """Return "unsubscribed", "cleaned" or "nonsubscribed" if a name means that all are, or ""."""
    text = normalize_remark(PurePosixPath(name.replace("\\", "/")).name)
    stem = re.sub(r"\.(?:csv|txt|tsv|tab|xlsx?|ods)$", "", text)
    if _PHRASES.compile("never_subscribed").match(stem):
        return "nonsubscribed"
    if _PHRASES.compile("cleaned").match(stem):
        return "cleaned"
    if _PHRASES.compile("unclear").search(stem):
        return ""
    if _PHRASES.compile("unsubscribed").search(stem):
        return "unsubscribed"
    return "cleaned" if _PHRASES.compile("bounced").search(stem) else ""


# --- Opening a file and its tables. ---------------------------------------------------------------


_A_LIST = LazyText("a CSV, an Excel (.xlsx) or LibreOffice (.ods) workbook, or Mailchimp's ZIP")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_NOT_A_LIST = (
    (b"\x89PNG", LazyText("a PNG picture")),
    (b"\xff\xd8\xff", LazyText("a JPEG picture")),
    (b"GIF8", LazyText("a GIF picture")),
    (b"%PDF", LazyText("a PDF document")),
    (b"{\\rtf", LazyText("an RTF document")),
    (b"\x1f\x8b", LazyText("a gzip archive")),
    (b"Rar!", LazyText("a RAR archive")),
    (b"7z\xbc\xaf", LazyText("a 7-Zip archive")),
    (b"SQLite format 3", LazyText("a database")),
    (b"!BDN", LazyText("an Outlook data file")),
    (b"BEGIN:VCARD", LazyText("a file of vCards")),
    # Programs that export "to Excel" often write a web page and call it .xls.
    (b"<!doctype html", LazyText("a web page")),
    (b"<html", LazyText("a web page")),
    (b"<table", LazyText("a web page")),
    (b"<?xml", LazyText("an XML file")),
)
_HEAD = 1 << 10

# A million rows are some 60 MB of CSV, or 200 MB of a workbook's XML; text rarely shrinks to a
# hundredth. A ZIP bomb is far beyond both.
_MAX_UNPACKED = 1 << 30
_HARMLESS = 1 << 24
_MAX_RATIO = 200
_MAX_MEMBERS = 1000

# The limits of the process that opens a ZIP or a workbook. The largest sheet takes 1.6 GB, and a
# million rows of twenty columns a minute of processor time. The seconds are processor time for each
# value that is yielded, such as a batch of rows.
_MEMORY = 1 << 31
_SECONDS = 120
_TEXTS = frozenset((".csv", ".txt", ".tsv", ".tab"))
_IS_ENCRYPTED = 0x1


def read_tables(path: Path) -> list[Table]:
    """Return the tables of a file; its content decides, not its name.

    Raises ListFileError for a file that is not a list, cannot be read or is a ZIP bomb.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        if head.startswith((*_ZIP, _OLD_OFFICE)):
            return _read_container_tables(path)
        _refuse_other(head)
        return [read_delimited_table(path.name, lambda: path.open("rb"))]
    except FileNotFoundError:
        raise ListFileError("there is no file %(path)s", path=str(path)) from None
    except OSError as error:
        raise ListFileError(
            "%(path)s cannot be read: %(reason)s", path=str(path), reason=str(error.strerror)
        ) from None


def is_packed(path: Path) -> bool:
    """Say whether a file is a ZIP or a workbook, whose content may be far larger than its size."""
    with path.open("rb") as stream:
        return stream.read(_HEAD).startswith((*_ZIP, _OLD_OFFICE))


def compute_unpacked_size(path: Path) -> int:
    """Return the bytes to read in a file; for a ZIP, the sizes that its members declare."""
    size = path.stat().st_size
    if not is_packed(path):
        return size
    with suppress(BadZipFile), ZipFile(path) as archive:
        size = max(size, sum(member.file_size for member in archive.infolist()))
    return size


def _refuse_other(head: bytes) -> None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:32].lower()
    for mark, name in _NOT_A_LIST:
        if start.startswith(mark.lower()):
            raise ListFileError("this is %(what)s, not a list", what=name, expected=_A_LIST)


def _read_container_tables(path: Path) -> list[Table]:
    """Return the tables of a ZIP or a workbook, which a limited process opens."""
    with LimitedProcess(open_container, memory=_MEMORY, seconds=_SECONDS) as process:
        try:
            opened = process.ask(path)
            kind = next(opened)
            if kind != "zip":
                return make_sheet_tables(opened, kind=kind)
            names = list(opened)
        except ProcessDied:
            raise make_unreadable_error() from None
    return [_read_member_table(path, name) for name in names]


def open_container(path: Path) -> Iterator[datetime | str | bytes | None]:
    """Yield the content of a ZIP or a workbook; in a limited process, as it may be a bomb.

    First the kind. "zip" is followed by the names of the lists in it, another kind by the values of
    `read_workbook`. Raises ListFileError.
    """
    kind, names = _read_kind(path)
    yield kind
    yield from names if kind == "zip" else read_workbook(path, kind)


def _read_kind(path: Path) -> tuple[str, list[str]]:
    """Return the kind of a file, and the names of the lists in a plain ZIP."""
    with path.open("rb") as stream:
        if stream.read(len(_OLD_OFFICE)) == _OLD_OFFICE:
            return "xls", []
    with _translate_errors(), ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    _refuse_bomb(members, path.stat().st_size)
    names = {member.filename for member in members}
    if "xl/workbook.bin" in names:
        raise ListFileError("this is a binary Excel workbook (.xlsb)", expected=_A_LIST)
    if "[Content_Types].xml" in names or "content.xml" in names:
        return ("ods" if "content.xml" in names else "xlsx"), []
    lists = [member for member in members if _is_list(member)]
    if not lists:
        raise ListFileError("there is no CSV in this ZIP", expected=_A_LIST)
    if any(member.flag_bits & _IS_ENCRYPTED for member in lists):
        raise ListFileError(
            "this ZIP is protected by a password", expected="the files in it, unpacked"
        )
    return "zip", [member.filename for member in lists]


def _read_member_table(path: Path, name: str) -> Table:
    opened = partial(_open_member, path, name)
    with _translate_errors():
        return read_delimited_table(name, opened)


@contextmanager
def _open_member(path: Path, name: str) -> Iterator[IO[bytes]]:
    with _translate_errors(), ZipFile(path) as archive, archive.open(name) as stream:
        yield stream


def _is_list(member: ZipInfo) -> bool:
    """Say whether a member is a list, not empty, and not a hidden twin that macOS adds."""
    name = PurePosixPath(member.filename)
    is_hidden = name.name.startswith(".") or "__MACOSX" in name.parts
    return name.suffix.lower() in _TEXTS and not is_hidden and member.file_size > 0


def _refuse_bomb(members: list[ZipInfo], size: int) -> None:
    """Raise ListFileError if the members declare too much; zipfile reads no more than declared."""
    unpacked = sum(member.file_size for member in members)
    is_dense = unpacked > _HARMLESS and unpacked > _MAX_RATIO * size
    if unpacked > _MAX_UNPACKED or is_dense or len(members) > _MAX_MEMBERS:
        raise ListFileError(
            "unpacked, this file would be %(size)s MB in %(parts)s parts",
            size=unpacked // 1_000_000,
            parts=len(members),
            expected=LazyText(
                "at most %(most)s MB and %(ratio)s times the packed size",
                most=_MAX_UNPACKED // 1_000_000,
                ratio=_MAX_RATIO,
            ),
        )


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise ListFileError("this ZIP is broken", expected="a copy that can be unpacked") from None
