"""Whole files, with every nasty that is known, from bytes to rows."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repermit.errors import ListFileError
from repermit.imports.readers.cells import normalize_cell
from repermit.imports.readers.container import open_container
from repermit.imports.readers.open_file import open_list
from repermit.imports.readers.rows import Row
from tests.support.list_files import (
    AMSTERDAM,
    as_csv,
    from_bytes,
    from_text,
    mailchimp_csv,
    opened,
    write_ods,
    write_workbook,
    write_zip,
)

WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", *WIDE)
DELIMITERS = (",", ";", "\t", "|")


def refusal(folder: Path, data: bytes, **mapping: str) -> ListFileError:
    with pytest.raises(ListFileError) as caught:
        list(from_bytes(folder, data, **mapping).rows())
    return caught.value


@pytest.mark.parametrize(("encoding", "delimiter"), list(product(ENCODINGS, DELIMITERS)))
def test_every_encoding_and_delimiter_gives_the_same_rows(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    text = as_csv(
        [
            ["E-mail", "Naam", "Taal"],
            ["jan@example.org", f'José "Jo" {delimiter} Vries', "nl"],
            ["zoe@example.org", "Zoë\nvan Dam", "fr"],
        ],
        delimiter=delimiter,
    )
    file = from_text(tmp_path, text, encoding=encoding)
    assert list(file.rows()) == [
        Row(2, "jan@example.org", normalize_cell(f'José "Jo" {delimiter} Vries'), "nl"),
        Row(3, "zoe@example.org", "Zoë van Dam", "fr"),
    ]
    assert file.parts[0].delimiter == delimiter
    assert file.parts[0].encoding == encoding.removesuffix("-sig")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line_gives_the_same_rows(tmp_path: Path, end: str) -> None:
    text = as_csv([["email", "naam"], ["a@example.org", "A"], ["b@example.org", "B"]], end=end)
    rows = list(from_text(tmp_path, text).rows())
    assert rows == [Row(2, "a@example.org", "A"), Row(3, "b@example.org", "B")]


def test_the_line_for_excel_is_neither_header_nor_row(tmp_path: Path) -> None:
    file = from_text(tmp_path, "sep=;\r\nemail;naam\r\na@example.org;A\r\n")
    assert list(file.rows()) == [Row(3, "a@example.org", "A")]
    file = from_text(tmp_path, "sep=;\r\na@example.org;A\r\n")
    assert list(file.rows()) == [Row(2, "a@example.org", "A")]


def test_lines_are_right_below_titles_and_quoted_breaks(tmp_path: Path) -> None:
    text = 'Ledenlijst\n\nemail,naam\na@example.org,"A\nB"\n\nb@example.org,C\n'
    assert [row.line for row in from_text(tmp_path, text).rows()] == [4, 7]


def test_a_file_without_header_is_known_by_its_content(tmp_path: Path) -> None:
    file = from_text(tmp_path, "Jan;a@example.org\nPiet;b@example.org\n")
    assert not file.parts[0].has_header
    assert list(file.rows()) == [
        Row(1, "a@example.org", "Jan"),
        Row(2, "b@example.org", "Piet"),
    ]


def test_a_bare_list_of_addresses_is_enough(tmp_path: Path) -> None:
    file = from_text(tmp_path, "a@example.org\nb@example.org")
    assert [row.address for row in file.rows()] == ["a@example.org", "b@example.org"]


def test_a_header_alone_is_no_rows_and_no_error(tmp_path: Path) -> None:
    file = from_text(tmp_path, "E-mail;Naam\n")
    assert list(file.rows()) == []
    assert file.parts[0].has_header


@pytest.mark.parametrize(
    "data", [b"", b"\n\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b";;\n;;\n", b"sep=;\n"]
)
def test_an_empty_file_is_refused(tmp_path: Path, data: bytes) -> None:
    assert refusal(tmp_path, data).reason == "the file is empty"


def test_an_empty_workbook_is_refused(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"Blad1": []})
    with pytest.raises(ListFileError, match="the file is empty"):
        opened(path)


def test_a_picture_called_csv_is_refused(tmp_path: Path) -> None:
    assert "a PNG picture" in refusal(tmp_path, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").reason


def test_a_nul_is_refused_where_it_is(tmp_path: Path) -> None:
    error = refusal(tmp_path, b"email,naam\na@example.org,A\0\n")
    assert (error.line, error.column) == (2, 16)


def test_an_open_quotation_is_refused_where_it_opens(tmp_path: Path) -> None:
    error = refusal(tmp_path, b'email,naam\na@example.org,"A\nb@example.org,B\n')
    assert error.line == 2


def test_an_open_quotation_far_down_is_refused_while_reading(tmp_path: Path) -> None:
    lines = "".join(f"a{n}@example.org,A\n" for n in range(1000))
    file = from_text(tmp_path, f'email,naam\n{lines}b@example.org,"B\n')
    with pytest.raises(ListFileError) as caught:
        list(file.rows())
    assert caught.value.line == 1002


def test_nasty_addresses_come_through_for_others_to_judge(tmp_path: Path) -> None:
    long = "x" * 288 + "@example.org"
    text = as_csv([["email"], [long], ["jan@bücher.example.nl"], ["=cmd()"], ["jan@xn--bcher.nl"]])
    assert [row.address for row in from_text(tmp_path, text).rows()] == [
        long,
        "jan@bücher.example.nl",
        "=cmd()",
        "jan@xn--bcher.nl",
    ]


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    data = b"email\na@example.org\n"
    file = from_bytes(tmp_path, data)
    assert file.digest == hashlib.sha256(data).hexdigest()
    assert file.path == tmp_path / "list.csv"


def test_rows_can_be_read_twice(tmp_path: Path) -> None:
    file = from_text(tmp_path, "email\na@example.org\n")
    assert list(file.rows()) == list(file.rows()) == list(file.iter_part_rows(file.parts[0]))


def test_without_a_mapping_nothing_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("email\na@example.org\n")
    file = open_list(tmp_path / "a.csv", zone=AMSTERDAM)
    assert [column.field for column in file.parts[0].columns] == ["address"]


def test_a_mapping_goes_before_what_is_recognised(tmp_path: Path) -> None:
    text = "email;werkmail;naam\na@example.org;b@example.org;B\n"
    file = from_text(tmp_path, text, address="werkmail")
    assert [row.address for row in file.rows()] == ["b@example.org"]


@pytest.mark.parametrize("mapping", [{"adres": "1"}, {"address": "9"}])
def test_a_mapping_that_cannot_be_is_refused(tmp_path: Path, mapping: dict[str, str]) -> None:
    assert "there is no" in refusal(tmp_path, b"email\na@example.org\n", **mapping).reason


def test_what_cannot_be_seen_in_a_title_reaches_nobody(tmp_path: Path) -> None:
    text = "e\x07mail;\x1b[31mMag\nwel\x1b[0m;\x1b\na@example.org;ja;x\n".replace("\nwel", "")
    (part,) = from_text(tmp_path, text).parts
    assert [column.title for column in part.columns] == ["e mail", "[31mMag [0m"]
    assert part.columns[0].field == "address"


def test_what_cannot_be_seen_in_the_name_of_a_part_reaches_nobody(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"afgemeld \x1b[31m.csv": "email\na@example.org\n"})
    file = opened(path)
    assert file.parts[0].name == "afgemeld [31m.csv"
    assert [row.said for row in file.rows()] == ["afgemeld [31m.csv"]


# --- Workbooks and archives.


def test_each_visible_sheet_with_addresses_is_a_part(tmp_path: Path) -> None:
    path = write_workbook(
        tmp_path / "a.xlsx",
        {
            "Uitleg": [["Deze lijst is van Jan"]],
            "Leden": [[], ["E-mail", "Klant", "Sinds"], ["a@example.org", True, "2024-01-01"]],
            "Oud": [["email"], ["b@example.org"]],
            "Geheim": [["email"], ["c@example.org"]],
        },
        hidden="Geheim",
    )
    file = opened(path)
    assert [(part.name, part.format) for part in file.parts] == [("Leden", "xlsx"), ("Oud", "xlsx")]
    rows = list(file.rows())
    assert [(row.line, row.address, row.customer) for row in rows] == [
        (3, "a@example.org", True),
        (2, "b@example.org", False),
    ]


def test_a_sheet_or_a_workbook_of_those_who_left_is_known_by_its_name(tmp_path: Path) -> None:
    sheets = {"Leden": [["email"], ["a@example.org"]], "Afgemeld": [["email"], ["b@example.org"]]}
    rows = opened(write_workbook(tmp_path / "a.xlsx", sheets)).rows()
    assert [(row.opted_out, row.said) for row in rows] == [
        ("", ""),
        ("unsubscribed", "Afgemeld"),
    ]
    path = write_workbook(
        tmp_path / "Afgemeld 2022.xlsx", {"Blad1": [["email"], ["c@example.org"]]}
    )
    assert [row.said for row in opened(path).rows()] == ["Afgemeld 2022.xlsx"]


def test_a_workbook_without_addresses_is_refused(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"A": [["Naam"], ["Jan"]], "B": [["x"]]})
    with pytest.raises(ListFileError, match="its first line: Naam"):
        opened(path)


def test_a_workbook_of_libreoffice_is_a_list(tmp_path: Path) -> None:
    file = opened(write_ods(tmp_path / "a.ods", [["email", "naam"], ["a@example.org", "René"]]))
    assert list(file.rows()) == [Row(2, "a@example.org", "René")]


def test_no_csv_of_a_zip_is_left_out_unseen(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "a.zip",
        {"a.csv": "email\na@example.org\n", "unsubscribed.csv": "Naam;Plaats\nJan;Gent\n"},
    )
    with pytest.raises(ListFileError, match="not known which column"):
        opened(path)


def test_damage_far_down_in_a_zip_is_refused_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {"a.csv": mailchimp_csv(*({"Email Address": "a@example.org"},) * 1000)})
    file = opened(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ListFileError, match="this ZIP is broken"):
        list(file.rows())


# --- Whatever is written in any dialect comes back the same.

_TEXT = st.text(
    st.characters(codec="cp1252", exclude_categories=("Cc", "Cf", "Zs"), exclude_characters="@")
    | st.sampled_from(" \n,;\t\"'|<>="),
    max_size=12,
)
# The first people have plain names, from which the dialect is told.
_PEOPLE = st.lists(
    st.tuples(st.from_regex(r"[a-z]{1,8}\.[a-z]{1,8}", fullmatch=True), _TEXT, _TEXT), max_size=8
)


@pytest.mark.exhaustive
@given(
    people=_PEOPLE,
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from(DELIMITERS),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    has_header=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_in_any_dialect_comes_back_the_same(
    tmp_path: Path,
    people: list[tuple[str, str, str]],
    encoding: str,
    delimiter: str,
    end: str,
    *,
    has_header: bool,
) -> None:
    known = [("jan", "Jan", ""), ("zoe", "Zoë", "Müller"), ("eva", "Eva", "Dam")]
    records = [[f"{local}@example.org", name, other] for local, name, other in known + people]
    header = [["E-mail", "Naam", "Opmerking"]] if has_header else []
    text = as_csv(header + records, delimiter=delimiter, end=end)
    (tmp_path / "list.csv").write_bytes(text.encode(encoding))
    file = open_list(tmp_path / "list.csv", mapping={"name": "2"}, zone=AMSTERDAM)
    assert [(row.address, row.name, row.problem) for row in file.rows()] == [
        (address, normalize_cell(name), "") for address, name, _ in records
    ]


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_at_all_break_the_reading(tmp_path: Path, data: bytes) -> None:
    with contextlib.suppress(ListFileError):
        rows = list(from_bytes(tmp_path, b"email,naam\n" + data).rows())
        assert all(row.line > 1 and normalize_cell(row.name) == row.name for row in rows)


def damaged_zip(folder: Path, damage: bytes, at: int) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", "email\n" + "a@example.org\n" * 50)
    data = packed.getvalue()
    path = folder / "list.zip"
    path.write_bytes(data[:at] + damage + data[at:])
    return path


@given(st.binary(max_size=60), st.integers(0, 400))
# Each starts a process.
@pytest.mark.exhaustive
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_no_damage_to_a_zip_breaks_the_reading(tmp_path: Path, damage: bytes, at: int) -> None:
    path = damaged_zip(tmp_path, damage, at)
    with contextlib.suppress(ListFileError):
        assert len(list(opened(path).rows())) == 50


@given(st.binary(max_size=60), st.integers(0, 400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_to_a_zip_breaks_its_opening(tmp_path: Path, damage: bytes, at: int) -> None:
    path = damaged_zip(tmp_path, damage, at)
    with contextlib.suppress(ListFileError):
        assert list(open_container(path)) == ["zip", "a.csv"]
