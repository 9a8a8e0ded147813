"""CSV in its dialects, and the line where each record starts."""

from __future__ import annotations

import io
from functools import partial

import pytest

from repermit.errors import ListFileError
from repermit.imports.readers.csv import read_delimited_table, read_records
from repermit.imports.readers.rows import Table


def table_of(text: str) -> Table:
    return read_delimited_table("list.csv", partial(io.BytesIO, text.encode()))


def records_of(text: str, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    return list(read_records(io.StringIO(text, newline=""), delimiter, None))


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("email,naam\na@example.org,Jan\n", ","),
        ("email;naam\na@example.org;Jan\n", ";"),
        ("email\tnaam\na@example.org\tJan\n", "\t"),
        ("email|naam\na@example.org|Jan\n", "|"),
        ("naam;email\nVries, Jan;a@example.org\nBoer, Piet;b@example.org\n", ";"),
        ("naam,email\nJan; Piet,a@example.org\nx; y; z,b@example.org\n", ","),
        ("email;naam\n", ";"),
        ("a@example.org\nb@example.org\n", ","),
        ("Lijst, gemaakt op 1 mei, door Jan\n\nemail;naam\na@example.org;Jan\n", ";"),
        ('email;naam\na@example.org;"Vries, ""J"", de"\n', ";"),
    ],
)
def test_the_delimiter_is_the_one_that_leaves_addresses_alone(text: str, delimiter: str) -> None:
    assert table_of(text).delimiter == delimiter


def test_half_a_line_at_the_end_of_the_sample_does_not_count() -> None:
    text = "email;naam\n" + "".join(f"jan{n}@example.org;Jan, {n}\n" for n in range(5000))
    assert table_of(text).delimiter == ";"


@pytest.mark.parametrize(
    ("first", "delimiter"), [("sep=;", ";"), ("SEP=\t", "\t"), ('"sep=^"', "^"), ("sep=,;", ",")]
)
def test_the_line_for_excel_decides(first: str, delimiter: str) -> None:
    table = table_of(f"{first}\r\nemail{delimiter}naam\r\n")
    assert (table.delimiter, table.first_line) == (delimiter, 2)


def test_a_table_can_be_read_again_and_again() -> None:
    table = table_of("a@example.org,Jan\n")
    assert list(table.records(None)) == list(table.records(None)) == [(1, ["a@example.org", "Jan"])]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_whatever_ends_them(end: str) -> None:
    text = end.join(["a,b", "", 'c,"d', 'e"', "f,g", "h,i"])
    assert [line for line, _ in records_of(text)] == [1, 3, 5, 6]


def test_ends_of_lines_may_be_mixed() -> None:
    assert [line for line, _ in records_of("a\rb\nc\r\nd\r\r\ne")] == [1, 2, 3, 4, 6]


def test_a_space_before_a_quotation_mark_is_no_part_of_the_value() -> None:
    assert records_of('a, "b, c"\n') == [(1, ["a", "b, c"])]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,b\nc,"d\ne,f\ng,h\n', 2),
        ('a,b\n"c\nc",d,"e\nf', 3),
        ('a,b\nc,"d', 2),
        ('"', 1),
    ],
)
def test_an_open_quotation_at_the_end_is_refused_where_it_opens(text: str, line: int) -> None:
    with pytest.raises(ListFileError) as caught:
        records_of(text)
    assert caught.value.line == line
    assert "quotation mark opens here and is not closed" in caught.value.reason


def test_an_endless_value_is_refused_where_it_starts() -> None:
    with pytest.raises(ListFileError) as caught:
        records_of('a,b\nc,"d\n' + "jan@example.org,Jan\n" * 10_000)
    assert caught.value.line == 2
    assert "32,767 characters" in caught.value.reason


def test_records_over_several_lines_are_shown_to_whom_it_concerns() -> None:
    seen: list[tuple[int, list[str]]] = []
    text = io.StringIO('a,b\n"c\nd",e\n\n', newline="")
    list(read_records(text, ",", lambda line, record: seen.append((line, record))))
    assert seen == [(2, ["c\nd", "e"])]


def test_an_endless_value_at_the_top_is_refused_where_it_starts() -> None:
    table = table_of('a,b\nc,"d\n' + "jan@example.org,Jan\n" * 10_000)
    with pytest.raises(ListFileError, match="32,767 characters") as caught:
        list(table.records(None))
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "text",
    [
        "a@example.org" + "," * 16_384 + "\n",
        '"a\nb",' * 200_001 + "\n",
        "a@example.org," * 80_000 + "\n",
    ],
    ids=["columns", "lines", "characters"],
)
def test_a_record_larger_than_any_list_has_is_refused_where_it_starts(text: str) -> None:
    with pytest.raises(ListFileError, match="a line of several hundred thousand") as caught:
        records_of(f"an@example.org\n{text}bo@example.org\n")
    assert caught.value.line == 2


def test_a_record_as_large_as_excel_can_make_is_read() -> None:
    cells = ["a@example.org", *[""] * 16_382, "x" * 32_767]
    assert records_of(",".join(cells) + "\n") == [(1, cells)]
