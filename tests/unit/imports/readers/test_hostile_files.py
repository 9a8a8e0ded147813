"""Files that ask for more memory or time than any list: refused, and this process goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from repermit.errors import ListFileError
from repermit.imports.readers.container import open_container, read_tables
from repermit.imports.readers.workbook import make_sheet_tables
from tests.support import hostile_files as hostile
from tests.support.list_files import opened, write_workbook

TOO_MUCH = "its cells are too far apart to be read"


@pytest.mark.everyday("zip_bomb", "another_root")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (hostile.names_in_other_case, TOO_MUCH),
        (hostile.another_root, TOO_MUCH),
        (partial(hostile.full_sheets, count=6), TOO_MUCH),
        (hostile.repeated_cells, "cannot be read"),
        (hostile.entities, "workbook is broken"),
        (hostile.nested_zip, "there is no CSV in this ZIP"),
        (hostile.zip_bomb, "unpacked, this file would be"),
        (hostile.many_members, "in 60,000 parts"),
    ],
)
def test_a_hostile_file_is_refused_with_the_reason(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    path = make(tmp_path / "list.xlsx")
    with pytest.raises(ListFileError) as caught:
        read_tables(path)
    assert reason in str(caught.value)


@pytest.mark.exhaustive
def test_sheets_that_reach_far_down_are_read_one_after_the_other(tmp_path: Path) -> None:
    path = hostile.full_sheets(tmp_path / "list.xlsx", 3)
    tables = read_tables(path)
    assert [[line for line, _ in table.records(None)] for table in tables] == [
        [1, 2, 1_000_000]
    ] * 3


def test_a_cell_as_long_as_excel_allows_is_read_and_no_longer_one(tmp_path: Path) -> None:
    (table,) = read_tables(hostile.long_cell(tmp_path / "a.xlsx", 32_767))
    assert [len(cells[1]) for _, cells in table.records(None)] == [0, 0, 32_767]
    with pytest.raises(ListFileError, match="a value of more than 32,767 characters") as caught:
        read_tables(hostile.long_cell(tmp_path / "a.xlsx", 32_768))
    assert (caught.value.line, caught.value.column) == (3, 2)


def test_a_workbook_that_holds_too_much_is_refused_before_it_is_kept() -> None:
    with pytest.raises(ListFileError, match="too large once it is unpacked"):
        make_sheet_tables(["A", *[bytes(1 << 20)] * 129], kind="xlsx")


def test_a_list_is_read_after_a_hostile_file(tmp_path: Path) -> None:
    with pytest.raises(ListFileError):
        read_tables(hostile.another_root(tmp_path / "a.xlsx"))
    path = write_workbook(tmp_path / "b.xlsx", {"A": [["email"], ["a@example.org"]]})
    assert [row.address for row in opened(path).rows()] == ["a@example.org"]


def test_what_a_process_says_of_a_file_is_what_the_file_says(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "b.xlsx", {"A": [["email"]], "B": []})
    kind, *values = open_container(path)
    assert (kind, [value for value in values if isinstance(value, str)]) == ("xlsx", ["A", "B"])
