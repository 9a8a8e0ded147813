"""What a file is by its first bytes, and the tables in it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from repermit.errors import ListFileError
from repermit.imports.readers.container import read_tables
from tests.support.list_files import write_ods, write_workbook, write_zip

LINE = "jan@example.org,Jan\n"


def refusal(path: Path) -> str:
    with pytest.raises(ListFileError) as caught:
        read_tables(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html><html>", "a web page"),
        (b"<table><tr>", "a web page"),
        (b"begin:vcard\r\n", "a file of vCards"),
        (b"\x1f\x8b\x08", "a gzip archive"),
    ],
)
def test_what_is_no_list_is_named_whatever_it_is_called(
    tmp_path: Path, data: bytes, what: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    assert refusal(path).startswith(f"this is {what}, not a list; expected a CSV")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "list.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in refusal(tmp_path)


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.csv", {"Blad1": [["a@example.org"]]})
    write_ods(tmp_path / "b.csv", [["a@example.org"]])
    (tmp_path / "c.xlsx").write_text(LINE)
    formats = [read_tables(tmp_path / name)[0].format for name in ("a.csv", "b.csv", "c.xlsx")]
    assert formats == ["xlsx", "ods", "csv"]


def test_an_old_workbook_that_is_broken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "workbook is broken" in refusal(path)


def test_a_binary_workbook_is_refused_by_its_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.xlsb", {"[Content_Types].xml": "x", "xl/workbook.bin": "x"})
    assert refusal(path).startswith("this is a binary Excel workbook (.xlsb); expected a CSV")


def test_the_lists_of_a_zip_are_its_tables(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "a.zip",
        {
            "lists/": "",
            "lists/b.csv": LINE,
            "lists/a.TXT": LINE,
            "lists/empty.csv": "",
            "lists/.hidden.csv": LINE,
            "__MACOSX/b.csv": LINE,
            "logo.png": "x",
        },
    )
    tables = read_tables(path)
    assert [table.name for table in tables] == ["lists/b.csv", "lists/a.TXT"]
    assert list(tables[0].records(None)) == [(1, ["jan@example.org", "Jan"])]


@pytest.mark.parametrize("members", [{"logo.png": "x"}, {}])
def test_a_zip_without_a_list_is_refused(tmp_path: Path, members: dict[str, str]) -> None:
    assert "no CSV in this ZIP" in refusal(write_zip(tmp_path / "a.zip", members))


def test_a_zip_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.csv": LINE})
    path.write_bytes(path.read_bytes()[:40])
    assert refusal(path).startswith("this ZIP is broken")


def test_a_zip_with_damage_inside_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.csv", LINE)
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"Jan\n", b"Jin\n"))
    assert refusal(tmp_path / "a.zip").startswith("this ZIP is broken")


def test_a_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.csv": LINE})
    data = bytearray(path.read_bytes())
    # Bit 0 of the general purpose flags, in the central directory (APPNOTE §4.3.12).
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "ZIP is protected by a password" in refusal(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.csv": "\n" * 20_000_000})
    assert refusal(path).startswith("unpacked, this file would be 20 MB in 1 parts")


def test_a_large_file_that_is_not_dense_passes(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "a.zip", {"a.csv": LINE * 1_000_000, "noise.png": os.urandom(10**6)}
    )
    assert len(read_tables(path)) == 1


def test_a_multitude_of_members_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {f"{n}.csv": "" for n in range(1001)})
    assert "1,001 parts" in refusal(path)
