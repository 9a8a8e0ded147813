"""Workbooks: visible sheets as tables of text."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from repermit.errors import ListFileError
from repermit.imports.readers.container import read_tables
from tests.support.list_files import tables_in, write_ods, write_workbook


def test_cells_become_text_as_an_export_would_write_it(tmp_path: Path) -> None:
    values = ["a@example.org", 12.0, 1.5, True, False, datetime(2024, 3, 4, 5, 6), date(2024, 3, 4)]  # noqa: DTZ001
    path = write_workbook(tmp_path / "a.xlsx", {"Blad1": [values]})
    (table,) = tables_in(path, "xlsx")
    assert list(table.records(None)) == [
        (1, ["a@example.org", "12", "1.5", "yes", "no", "2024-03-04 05:06:00", "2024-03-04"])
    ]


def test_empty_rows_and_columns_keep_their_places(tmp_path: Path) -> None:
    path = write_workbook(
        tmp_path / "a.xlsx", {"Blad1": [[], [], ["", "", "email"], [], ["", "", "a@example.org"]]}
    )
    (table,) = tables_in(path, "xlsx")
    assert list(table.records(None)) == [(3, ["", "", "email"]), (5, ["", "", "a@example.org"])]


def test_hidden_sheets_are_left_alone(tmp_path: Path) -> None:
    sheets = {"Een": [["a"]], "Geheim": [["b"]], "Leeg": []}
    path = write_workbook(tmp_path / "a.xlsx", sheets, hidden="Geheim")
    tables = tables_in(path, "xlsx")
    assert [table.name for table in tables] == ["Een", "Leeg"]
    assert list(tables[1].records(None)) == []


def test_a_workbook_whose_list_is_hidden_is_not_called_empty(tmp_path: Path) -> None:
    sheets = {"Blad1": [], "Leden": [["a@example.org"]]}
    path = write_workbook(tmp_path / "a.xlsx", sheets, hidden="Leden")
    with pytest.raises(ListFileError, match="hidden ones are not read"):
        tables_in(path, "xlsx")
    path = write_workbook(tmp_path / "b.xlsx", {"Blad1": [], "Blad2": []})
    assert len(tables_in(path, "xlsx")) == 2


def test_a_workbook_of_libreoffice_is_read(tmp_path: Path) -> None:
    path = write_ods(tmp_path / "a.ods", [["email", "naam"], ["a@example.org", "René"]])
    (table,) = tables_in(path, "ods")
    assert (table.name, table.format) == ("Blad1", "ods")
    assert [cells for _, cells in table.records(None)] == [
        ["email", "naam"],
        ["a@example.org", "René"],
    ]


def test_a_broken_workbook_is_refused(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"Blad1": [["a"]]})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ListFileError, match="workbook is broken"):
        tables_in(path, "xlsx")


def test_a_workbook_with_a_password_is_refused(tmp_path: Path) -> None:
    excel = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    old = tmp_path / "a.xls"
    old.write_bytes(excel)
    libre = write_ods(tmp_path / "a.ods", [["a"]], encrypted=True)
    for path, kind in ((old, "xls"), (libre, "ods")):
        with pytest.raises(ListFileError, match="protected by a password"):
            tables_in(path, kind)
        with pytest.raises(ListFileError, match="protected by a password"):
            read_tables(path)
