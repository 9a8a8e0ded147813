"""How far the cells of a workbook reach, told before calamine lays its sheets out."""

from __future__ import annotations

import zipfile
from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import Font

from repermit.errors import ListFileError
from repermit.imports.readers.container import read_tables
from tests.support.list_files import (
    ods_rows,
    tables_in,
    write_ods_xml,
    write_workbook,
    write_xls,
    write_zip,
)

LIST = [["email", "naam"], ["a@example.org", "An"]]
CELL = '<table:table-cell office:value-type="string"><text:p>x</text:p></table:table-cell>'


def read(path: Path, kind: str = "xlsx") -> list[list[str]]:
    """Return the rows of the first sheet, without the empty cells at their ends."""
    table, *_ = tables_in(path, kind)
    rows = []
    for _, cells in table.records(None):
        while not cells[-1]:
            cells.pop()
        rows.append(cells)
    return rows


def refusal(path: Path, kind: str = "xlsx") -> ListFileError:
    with pytest.raises(ListFileError) as caught:
        tables_in(path, kind)
    return caught.value


def with_cell(folder: Path, place: str, value: str = "x", **options: str) -> Path:
    path = write_workbook(folder / "a.xlsx", {"Leden": LIST, "Oud": LIST}, **options)
    workbook = openpyxl.load_workbook(path)
    workbook["Oud"][place] = value
    workbook.save(path)
    return path


def with_sheet(folder: Path, xml: str) -> Path:
    """Write a workbook with the XML of its first sheet replaced."""
    path = write_workbook(folder / "a.xlsx", {"Leden": LIST})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return write_zip(path, {**members, "xl/worksheets/sheet1.xml": xml.encode()})


def sheet_xml(rows: str) -> str:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'


# --- Excel.


@pytest.mark.parametrize(
    ("place", "line", "column"),
    [("XFD1048576", 1_048_576, 16_384), ("XFD400", 400, 16_384), ("Z1048576", 1_048_576, 26)],
)
def test_a_stray_cell_far_away_is_named_with_its_sheet(
    tmp_path: Path, place: str, line: int, column: int
) -> None:
    error = refusal(with_cell(tmp_path, place))
    assert (error.line, error.column) == (line, column)
    assert error.reason.startswith(f"the sheet Oud reaches as far as its cell {place},")
    assert "delete that cell" in error.expected


def test_a_stray_cell_that_does_little_harm_is_read(tmp_path: Path) -> None:
    for place in ("XFD300", "D1048576"):
        assert read(with_cell(tmp_path, place)) == LIST


def test_a_cell_that_is_merely_formatted_is_nowhere(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"Leden": LIST})
    workbook = openpyxl.load_workbook(path)
    workbook["Leden"]["XFD1048576"].font = Font(bold=True)
    workbook.save(path)
    assert read(path) == LIST


def test_a_hidden_sheet_is_not_read_and_may_reach_anywhere(tmp_path: Path) -> None:
    assert read(with_cell(tmp_path, "XFD1048576", hidden="Oud")) == LIST


@pytest.mark.exhaustive
def test_a_full_sheet_is_not_sparse_however_long_it_is(tmp_path: Path) -> None:
    cells = "".join(f"<c><v>{n}</v></c>" for n in range(50))
    path = with_sheet(
        tmp_path,
        sheet_xml(f"<row>{cells}</row>" * 11_000 + '<row r="101000">' + "<c><v>1</v></c></row>"),
    )
    assert len(read(path)) == 11_001


@pytest.mark.parametrize(
    "rows",
    [
        '<x:row xmlns:x="x"><x:c r="xfd1048576"><x:v>1</x:v></x:c></x:row>',
        '<row r="1048576"><c/><c r="XFC1048576"/><c t="inlineStr"><is><t>x</t></is></c></row>',
        '<row r="1048575"/><row><c r="XFD1048576"><v>1</v></c></row>',
    ],
)
def test_however_a_cell_says_where_it_is(tmp_path: Path, rows: str) -> None:
    assert "its cell XFD1048576," in refusal(with_sheet(tmp_path, sheet_xml(rows))).reason


@pytest.mark.parametrize(
    "xml",
    [
        sheet_xml('<row r="1"><c r="A1"><v>1</v></c></row>')[:-20],
        sheet_xml('<row r="1"><c r="1"><v>1</v></c></row>'),
        sheet_xml('<row r="1"><c r="A"><v>1</v></c></row>'),
        sheet_xml('<row r="x"><c><v>1</v></c></row>'),
        f'<!DOCTYPE w [<!ENTITY a "a">]>{sheet_xml("")}',
    ],
)
def test_a_sheet_that_is_damaged_is_refused(tmp_path: Path, xml: str) -> None:
    assert "workbook is broken" in refusal(with_sheet(tmp_path, xml)).reason


def test_a_sheet_without_a_known_name_is_named_by_its_file(tmp_path: Path) -> None:
    path = with_cell(tmp_path, "XFD1048576")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    del members["xl/_rels/workbook.xml.rels"]
    assert refusal(write_zip(path, members)).reason.startswith("the sheet sheet2.xml reaches")


def test_what_is_no_sheet_is_passed_over(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"Leden": LIST})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/media/logo.png", b"\x89PNG\r\n")
    assert read(path) == LIST


# --- LibreOffice.


def test_a_stray_cell_of_libreoffice_is_named_with_its_sheet(tmp_path: Path) -> None:
    rows = (
        ods_rows(LIST)
        + '<table:table-row table:number-rows-repeated="1048573"><table:table-cell/>'
        + '</table:table-row><table:table-row><table:table-cell table:number-columns-repeated="9"/>'
        + f"{CELL}</table:table-row>"
    )
    error = refusal(write_ods_xml(tmp_path / "a.ods", rows), "ods")
    assert error.reason.startswith("the sheet Blad1 reaches as far as its cell J1048576,")


def test_empty_rows_and_columns_to_the_end_of_a_sheet_are_nowhere(tmp_path: Path) -> None:
    empty = '<table:table-cell table:number-columns-repeated="16384" table:style-name="ce1"/>'
    rows = (
        ods_rows(LIST).replace("</table:table-row>", f"{empty}</table:table-row>")
        + f'<table:table-row table:number-rows-repeated="1048574">{empty}</table:table-row>'
    )
    assert read(write_ods_xml(tmp_path / "a.ods", rows), "ods") == LIST


def test_cells_repeated_without_end_are_refused(tmp_path: Path) -> None:
    cell = CELL.replace(
        "<table:table-cell", '<table:table-cell table:number-columns-repeated="900"'
    )
    rows = f'<table:table-row table:number-rows-repeated="1000000">{cell}</table:table-row>'
    error = refusal(write_ods_xml(tmp_path / "a.ods", rows), "ods")
    assert "its cell AHP1000000," in error.reason


# --- Old Excel.


def test_an_old_workbook_is_read(tmp_path: Path) -> None:
    cells = {(row, at): text for row, texts in enumerate(LIST) for at, text in enumerate(texts)}
    path = write_xls(tmp_path / "a.xls", {**cells, (65_535, 3): "x"})
    assert read(path, "xls") == [*LIST, ["", "", "", "x"]]


def test_an_old_workbook_that_would_kill_its_reader_is_refused(tmp_path: Path) -> None:
    path = write_xls(tmp_path / "a.xls", {(0, 0): "email", (65_535, 65_535): "x"})
    with pytest.raises(ListFileError, match="its cells are too far apart"):
        read_tables(path)
