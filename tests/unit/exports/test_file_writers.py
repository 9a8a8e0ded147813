"""How a table is written as CSV, JSON and a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.errors import Refused
from repermit.exports.export_rows import StoredJson
from repermit.exports.file_writers import write_csv, write_json, write_xlsx
from tests.support.builders import NOW

COLUMNS = {"address": "address", "name": "Full name"}
PEOPLE: list[dict[str, object]] = [
    {"address": "a@example.org", "name": "Zoë, “de” eerste", "uid": "not written"},
    {"address": "=b@example.org", "name": '=HYPERLINK("https://example.org")', "uid": ""},
]

# What a workbook cannot hold (lone surrogates) or reads back otherwise (a line's end as CR).
printable = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")))


def as_csv(*records: dict[str, object], columns: dict[str, str] = COLUMNS) -> list[list[str]]:
    out = io.BytesIO()
    assert write_csv(records, columns, out) == len(records)
    return list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))


def as_xlsx(*records: dict[str, object]) -> openpyxl.Workbook:
    out = io.BytesIO()
    with TemporaryDirectory() as folder:
        written = write_xlsx(records, COLUMNS, out, created=NOW, folder=Path(folder))
    assert written == len(records)
    return openpyxl.load_workbook(out)


def as_json(*records: dict[str, object], columns: dict[str, str] = COLUMNS) -> object:
    out = io.BytesIO()
    assert write_json(records, columns, out) == len(records)
    return json.loads(out.getvalue())


def test_csv_has_titles_and_guarded_cells() -> None:
    assert as_csv(*PEOPLE) == [
        ["address", "Full name"],
        ["a@example.org", "Zoë, “de” eerste"],
        ["'=b@example.org", '\'=HYPERLINK("https://example.org")'],
    ]


def test_csv_is_utf8_with_crlf_and_without_a_mark() -> None:
    out = io.BytesIO()
    write_csv([{"name": "Zoë"}], {"name": "name"}, out)

    assert out.getvalue() == b"name\r\nZo\xc3\xab\r\n"


def test_csv_takes_another_delimiter_and_a_mark() -> None:
    out = io.BytesIO()
    write_csv(PEOPLE[:1], COLUMNS, out, delimiter=";", bom=True)

    assert out.getvalue().startswith(b"\xef\xbb\xbfaddress;Full name\r\n")


def test_nobody_gives_titles_alone() -> None:
    assert as_csv() == [["address", "Full name"]]
    assert as_json() == []
    assert [cell.value for cell in as_xlsx().active[1]] == ["address", "Full name"]


def test_moments_numbers_and_what_is_gone_are_text_in_csv() -> None:
    moment = NOW.astimezone(timezone(timedelta(hours=2)))
    columns = {"at": "at", "n": "n", "gone": "gone", "part": "part"}
    record = {"at": moment, "n": 1, "gone": None, "part": StoredJson('{"a":"=1"}')}

    assert as_csv(record, columns=columns)[1] == [
        "2026-03-02T09:00:00Z",
        "1",
        "",
        '{"a":"\\u003d1"}',
    ]


def test_json_has_every_value_as_it_is() -> None:
    columns = {"at": "at", "n": "n", "gone": "gone", "part": "part", "name": "name"}
    record = {"at": NOW, "n": 1, "gone": None, "part": StoredJson('{"a":"=1"}'), "name": "=1 ë"}

    assert (
        as_json(record, record, columns=columns)
        == [
            {
                "at": "2026-03-02T09:00:00Z",
                "n": 1,
                "gone": None,
                "part": {"a": "=1"},
                "name": "=1 ë",
            }
        ]
        * 2
    )


def test_every_cell_of_a_workbook_is_text() -> None:
    sheet = as_xlsx(*PEOPLE, {"address": "0612345678", "name": "https://example.org"}).active

    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s"}
    assert not [cell for cell in cells if cell.hyperlink]
    assert [cell.value for cell in sheet[3]] == [PEOPLE[1]["address"], PEOPLE[1]["name"]]


def test_a_workbook_keeps_text_that_is_edited_from_becoming_a_formula() -> None:
    sheet = as_xlsx(*PEOPLE).active

    assert sheet.cell(3, 1).quotePrefix


def test_a_workbook_tells_when_it_was_made() -> None:
    assert as_xlsx().properties.created == NOW.replace(tzinfo=None)


@given(printable.filter(str.strip))
def test_text_comes_back_from_a_workbook_as_it_was(text: str) -> None:
    sheet = as_xlsx({"address": "a@example.org", "name": text}).active

    assert sheet.cell(2, 2).value == text


def test_a_text_too_long_for_a_cell_is_refused_rather_than_cut_off() -> None:
    with pytest.raises(Refused, match="csv or json"):
        as_xlsx({"address": "a@example.org", "name": "x" * 32_768})
