"""Encodings: told by their first bytes, or by reading to the end."""

from __future__ import annotations

import io
from functools import partial

import pytest

from repermit.errors import ListFileError
from repermit.imports.readers.encoding import detect_encoding

MEBIBYTE = 1 << 20
ASCII_LINES = b"jan@example.org,Jan\n" * (MEBIBYTE // 10)


def told(data: bytes) -> str:
    return detect_encoding(partial(io.BytesIO, data))


def refusal(data: bytes) -> ListFileError:
    with pytest.raises(ListFileError) as caught:
        told(data)
    return caught.value


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"jan@example.org,Jan\n", "utf-8"),
        ("jan@example.org,José\n".encode(), "utf-8"),
        ("jan@example.org,José\n".encode("utf-8-sig"), "utf-8-sig"),
        ("jan@example.org,José €\n".encode("cp1252"), "cp1252"),
        ("jan@example.org,José\n".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "jan@example.org,José\n".encode("utf-16-be"), "utf-16"),
        ("jan@example.org,José\n".encode("utf-16-le"), "utf-16-le"),
        ("jan@example.org,José\n".encode("utf-16-be"), "utf-16-be"),
        ("jan@example.org,José ".encode() + b"\xc3\xa9", "utf-8"),
        ("jan@example.org,José\n".encode("utf-32"), "utf-32"),
        (b"\0\0\xfe\xff" + "jan@example.org,José\n".encode("utf-32-be"), "utf-32"),
        ("jan@example.org,José Ł 😀\n".encode("utf-32-le"), "utf-32-le"),
        ("jan@example.org,José Ł 😀\n".encode("utf-32-be"), "utf-32-be"),
        ("a".encode("utf-16-le"), "utf-16-le"),
        ("ab\n".encode("utf-16-be"), "utf-16-be"),
    ],
)
def test_the_encoding_is_told(data: bytes, encoding: str) -> None:
    assert told(data) == encoding


def test_a_letter_after_megabytes_of_ascii_decides() -> None:
    assert told(ASCII_LINES + "José\n".encode("cp1252")) == "cp1252"
    assert told(ASCII_LINES + "José\n".encode()) == "utf-8"


def test_a_letter_across_the_border_of_two_chunks_is_whole() -> None:
    line = b"x" * 99 + b"\n"
    before = (line * (MEBIBYTE // 100 + 1))[: MEBIBYTE - 1]
    assert told(before + "é\n".encode()) == "utf-8"
    assert told(before + b"\xe9\n") == "cp1252"


@pytest.mark.parametrize("data", [b"", b"  \r\n\n"])
def test_an_empty_file_is_refused(data: bytes) -> None:
    assert str(refusal(data)).startswith("the file is empty; expected a list")


def test_two_encodings_in_one_file_are_refused_with_the_place() -> None:
    error = refusal("a,José\nb,René\nc,Zo".encode() + b"\xeb\n")
    assert (error.line, error.column) == (3, 5)
    assert "UTF-8, as the file is otherwise" in error.reason


def test_two_encodings_far_apart_are_refused_with_the_place() -> None:
    error = refusal("José\n".encode() + ASCII_LINES + b"Zo\xeb\n")
    assert (error.line, error.column) == (2 + len(ASCII_LINES) // 20, 3)


def test_bytes_of_no_encoding_are_refused_with_the_place() -> None:
    error = refusal(b"a,b\nab\x81\n")
    assert (error.line, error.column) == (2, 3)
    assert "UTF-8 or Windows-1252" in error.reason


def test_a_marked_file_is_not_read_in_another_encoding() -> None:
    error = refusal(b"\xef\xbb\xbfa,b\nJos\xe9\n")
    assert (error.line, error.column) == (2, 4)
    assert "read as UTF-8," in error.reason


def test_half_a_character_of_utf_16_is_refused() -> None:
    error = refusal("a,b\nc".encode("utf-16") + b"d")
    assert (error.line, error.column) == (2, 2)
    assert "read as UTF-16" in error.reason


def test_half_a_character_of_utf_32_is_refused() -> None:
    error = refusal("a,b\nc".encode("utf-32") + b"d")
    assert (error.line, error.column) == (2, 2)
    assert "read as UTF-32" in error.reason


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-le"])
def test_a_nul_in_a_wide_encoding_is_refused_too(encoding: str) -> None:
    error = refusal("email,name\njan@example.org,J\0n\n".encode(encoding))
    assert (error.line, error.column) == (2, 18)
    assert "NUL" in error.reason


@pytest.mark.parametrize("count", [4, 7, 4096])
def test_nothing_but_nuls_is_no_text(count: int) -> None:
    assert "NUL" in refusal(b"\0" * count).reason


def test_a_nul_is_refused_with_the_place() -> None:
    error = refusal(b"email,name\njan@example.org,J\0n\n")
    assert (error.line, error.column) == (2, 18)
    assert "NUL" in error.reason


def test_a_nul_in_windows_1252_is_refused_too() -> None:
    assert "NUL" in refusal("José,Zoë\n".encode("cp1252") + b"a\0").reason


def test_a_line_without_end_is_refused_with_its_number() -> None:
    error = refusal(ASCII_LINES + b"x" * (3 * MEBIBYTE))
    assert "several hundred thousand" in error.reason
    assert error.line == len(ASCII_LINES) // 20 + 1


def test_carriage_returns_end_lines_too() -> None:
    assert told(ASCII_LINES.replace(b"\n", b"\r")) == "utf-8"
