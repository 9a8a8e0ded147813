"""Detecting the encoding of a text file by its first bytes, or by reading it to the end.

Memory use does not grow with the file.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

from repermit.errors import ListFileError
from repermit.i18n.lazy_text import LazyText

Opened = Callable[[], AbstractContextManager[IO[bytes]]]

_CHUNK = 1 << 20
_HEAD = 1 << 12
# The byte order mark of UTF-32 begins like that of UTF-16, so it is first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ADVICE = LazyText("a text file in UTF-8 or Windows-1252 (in Excel: save as “CSV UTF-8”)")


@dataclass(frozen=True)
class _Reading:
    """The result of reading a file in an encoding."""

    is_whole: bool
    has_more_than_ascii: bool


def detect_encoding(opened: Opened) -> str:
    """Return the Python name of the encoding in which the whole file can be read.

    Raises ListFileError for a file that is empty or not text, and for one that cannot be decoded,
    with the line and the character in it.
    """
    with opened() as stream:
        head = stream.read(_HEAD)
    if not head.strip():
        raise ListFileError("the file is empty", expected="a list with one address on a line")
    declared = _guess_utf(head)
    if declared:
        if _read_through(opened, declared).is_whole:
            return declared
        raise _make_undecodable_error(opened, declared)
    reading = _read_through(opened, "utf-8")
    if reading.is_whole:
        return "utf-8"
    # Valid UTF-8 letters do not occur by accident in another encoding. The file was put together
    # from two, and Windows-1252 would garble every name of one half.
    if reading.has_more_than_ascii:
        raise _make_undecodable_error(opened, "utf-8")
    if _read_through(opened, "cp1252").is_whole:
        return "cp1252"
    raise _make_undecodable_error(opened, "cp1252")


def _guess_utf(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    characters = len(head) // 4
    # UTF-32 without its mark: of four bytes one is always zero, and its neighbour nearly always.
    zeros = [head[place : 4 * characters : 4].count(0) for place in range(4)]
    for encoding, (full, _, rare, none) in (("utf-32-le", zeros), ("utf-32-be", zeros[::-1])):
        if 2 * full < characters <= none and rare * 8 >= characters * 7:
            return encoding
    # UTF-16 without its mark: of each pair of bytes, the same one is zero in most Latin text.
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 < len(head) or min(even, odd) * 8 > max(even, odd):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _read_through(opened: Opened, encoding: str) -> _Reading:
    decoder = codecs.getincrementaldecoder(encoding)()
    has_more = False
    line = 1
    with opened() as stream:
        while True:
            chunk = stream.read(_CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                valid_part = error.object[: error.start]
                return _Reading(
                    is_whole=False, has_more_than_ascii=has_more or not valid_part.isascii()
                )
            has_more = has_more or not text.isascii()
            _require_text(opened, encoding, text, line)
            if not chunk:
                return _Reading(is_whole=True, has_more_than_ascii=has_more)
            line += text.count("\n") or text.count("\r")


def _require_text(opened: Opened, encoding: str, text: str, line: int) -> None:
    if "\0" in text:
        line, column = _locate(opened, encoding, "\0")
        raise ListFileError(
            "a NUL character, which no text file has", line=line, column=column, expected=_ADVICE
        )
    if len(text) * 4 >= _CHUNK and "\n" not in text and "\r" not in text:
        raise make_too_long_error(line)


def make_too_long_error(line: int) -> ListFileError:
    """Return the error for a line, or a record over several, that is longer than any list's."""
    return ListFileError(
        "a line of several hundred thousand characters", line=line, expected="an address a line"
    )


def _make_undecodable_error(opened: Opened, encoding: str) -> ListFileError:
    line, column = _locate(opened, encoding, "\N{REPLACEMENT CHARACTER}")
    name = encoding.upper().removesuffix("-SIG").removesuffix("-LE").removesuffix("-BE")
    is_windows = encoding == "cp1252"
    return ListFileError(
        "a character that cannot be read as %(encoding)s, as the file is otherwise",
        encoding=LazyText("UTF-8 or Windows-1252") if is_windows else name,
        line=line,
        column=column,
        expected=LazyText("one encoding throughout: %(advice)s", advice=_ADVICE),
    )


def _locate(opened: Opened, encoding: str, char: str) -> tuple[int, int]:
    """Return the line of a character's first occurrence and its place there, both 1-based."""
    with (
        opened() as stream,
        io.TextIOWrapper(stream, encoding, errors="replace", newline="") as text,
    ):
        places = ((at, line.find(char) + 1) for at, line in enumerate(text, 1) if char in line)
        return next(places, (0, 0))
