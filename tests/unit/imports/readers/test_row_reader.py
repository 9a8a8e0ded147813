"""From records to rows: what a file says of each address."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from repermit.errors import ListFileError
from repermit.imports.readers.rows import Row, SignUpProof
from tests.support.list_files import as_csv, from_text, opened, write_workbook

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def rows_of(folder: Path, *records: str, **mapping: str) -> list[Row]:
    text = as_csv([record.split("|") for record in records], delimiter=";")
    return list(from_text(folder, text, **mapping).rows())


def row_of(folder: Path, header: str, record: str, **mapping: str) -> Row:
    (row,) = rows_of(folder, header, record, **mapping)
    return row


def test_a_plain_row_is_the_same_by_the_quick_way_and_the_long_one(tmp_path: Path) -> None:
    quick = row_of(tmp_path, "email|naam|taal", "jan@example.org|Jan|nl-NL")
    long = row_of(tmp_path, "email|naam|taal", " jan@example.org |Jan|nl-NL")
    assert quick == long == Row(2, "jan@example.org", "Jan", "nl")
    assert type(quick) is type(long) is Row


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "email|naam") == []


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "email|naam", " | ", "a@example.org|A", "|", "\u200b|\x1a", "||||")
    assert [row.line for row in rows] == [3]


@pytest.mark.parametrize(
    ("header", "record", "name"),
    [
        ("email|voornaam|tussenvoegsel|achternaam", "a@example.org|Jan|de|Vries", "Jan de Vries"),
        ("email|voornaam|achternaam", "a@example.org||Vries", "Vries"),
        ("email|voornaam|achternaam", "a@example.org|Jan de Vries|de Vries", "Jan de Vries"),
        ("email|volledige naam|voornaam", "a@example.org|Jan V.|Jan", "Jan V."),
        ("email|volledige naam|voornaam", "a@example.org||Jan", "Jan"),
        ("email|naam", "Jan <a@example.org>|", "Jan"),
        ("email|naam", "Jan <a@example.org>|J. Vries", "J. Vries"),
        ("email", "a@example.org", ""),
        ("email|naam", "a@example.org|=1+1", "=1+1"),
    ],
)
def test_the_name_is_put_together(tmp_path: Path, header: str, record: str, name: str) -> None:
    assert row_of(tmp_path, header, record).name == name


def test_line_breaks_in_a_name_become_spaces(tmp_path: Path) -> None:
    (row,) = from_text(tmp_path, 'email,naam\na@example.org,"Jan\r\nBcc: x"\n').rows()
    assert row.name == "Jan Bcc: x"


def test_a_row_without_address_is_told_of(tmp_path: Path) -> None:
    assert row_of(tmp_path, "email|naam", "|Jan") == Row(2, "", "Jan")


def test_the_same_address_twice_in_a_row_is_one(tmp_path: Path) -> None:
    record = "a@example.org|Eva <a@example.org>; b@example.org"
    rows = rows_of(tmp_path, "email|email 2", record)
    assert [(row.address, row.name) for row in rows] == [
        ("a@example.org", "Eva"),
        ("b@example.org", ""),
    ]


def test_a_short_row_is_used_if_its_address_is_there(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "naam|email|taal", "Jan|a@example.org", "Piet")
    assert rows[0] == Row(2, "a@example.org", "Jan")
    assert rows[1] == Row(3, "", problem="this line has 1 columns, the header has 3")


def test_a_long_row_is_used_only_if_nothing_has_slipped(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "email|naam", "a@example.org|A|| ", "b@example.org|B|nee")
    assert rows[0] == Row(2, "a@example.org", "A")
    assert rows[1] == Row(3, "b@example.org", problem="this line has 3 columns, the header has 2")


def test_in_a_sheet_nothing_slips(tmp_path: Path) -> None:
    rows = [["email", "naam"], ["a@example.org", "A", "a remark"]]
    path = write_workbook(tmp_path / "a.xlsx", {"Blad1": rows})
    assert list(opened(path).rows()) == [Row(2, "a@example.org", "A")]


def test_a_header_further_down_is_a_problem(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "email|naam", "a@example.org|A", "E-mail|Naam", "b@example.org|B")
    assert [row.problem for row in rows] == ["", "this line repeats the header", ""]


def test_addresses_above_the_header_are_a_problem(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "Lijst", "x@example.org|?", "email|naam", "a@example.org|A")
    assert [(row.line, row.problem) for row in rows] == [
        (2, "this line stands above the header"),
        (4, ""),
    ]


def test_a_file_without_titles_has_no_title_that_is_repeated(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a@example.org|A", "geen|B") == [
        Row(1, "a@example.org", "A"),
        Row(2, "geen", "B"),
    ]


@pytest.mark.parametrize(
    ("header", "value", "opted_out"),
    [
        ("status", "afgemeld", "unsubscribed"),
        ("status", "hard bounce", "cleaned"),
        ("status", "spam", "complained"),
        ("status", "actief", ""),
        ("afgemeld", "ja", "unsubscribed"),
        ("afgemeld", "nee", ""),
        ("afgemeld op", "2024-01-01", "unsubscribed"),
        ("bounced", "2", "cleaned"),
        ("klacht", "x", "complained"),
        ("toestemming", "nee", "unsubscribed"),
        ("einwilligung", "nein", "unsubscribed"),
        ("consentement", "non", "unsubscribed"),
        ("toestemming", "ja", ""),
        ("toestemming", "", ""),
    ],
)
def test_who_opted_out_is_told(tmp_path: Path, header: str, value: str, opted_out: str) -> None:
    row = row_of(tmp_path, f"email|{header}", f"a@example.org|{value}")
    assert row.opted_out == opted_out


def test_what_is_said_against_mailing_stands_in_the_row(tmp_path: Path) -> None:
    header = "email|naam|opmerking"
    row = row_of(tmp_path, header, "a@example.org|An|wil geen mail meer")
    assert row == Row(
        2, "a@example.org", "An", opted_out="remark", said="opmerking: wil geen mail meer"
    )
    row = row_of(tmp_path, header, "a@example.org|An|niet afgemeld")
    assert row == Row(2, "a@example.org", "An", said="opmerking: niet afgemeld")
    row = row_of(tmp_path, header, "a@example.org|An|wil graag mail")
    assert row == Row(2, "a@example.org", "An")


def test_the_strongest_word_against_mailing_counts(tmp_path: Path) -> None:
    header = "email|status|afgemeld|klacht"
    assert row_of(tmp_path, header, "a@example.org|bounced|ja|ja").opted_out == "complained"
    assert row_of(tmp_path, header, "a@example.org|bounced|ja|").opted_out == "unsubscribed"
    assert row_of(tmp_path, header, "a@example.org|bounced||").opted_out == "cleaned"


def test_since_when_somebody_opted_out_is_the_latest_moment_told(tmp_path: Path) -> None:
    header = "email|afgemeld op|klacht"
    row = row_of(tmp_path, header, "a@example.org|2024-01-01 13:00|2023-01-01")
    assert (row.opted_out, row.opted_out_at) == ("complained", NOON)
    row = row_of(tmp_path, header, "a@example.org|ja|")
    assert (row.opted_out, row.opted_out_at) == ("unsubscribed", None)
    row = row_of(tmp_path, header, "a@example.org||")
    assert (row.opted_out, row.opted_out_at) == ("", None)


@pytest.mark.parametrize(
    ("header", "record", "proof"),
    [
        ("toestemming", "ja", None),
        ("toestemming|toestemming op", "ja|2024-01-01 13:00", None),
        ("toestemming op|opt-in ip", "|192.0.2.7", None),
        ("toestemming op|opt-in ip", "ooit|192.0.2.7", None),
        ("toestemming op|bron", "2024-01-01 13:00|beurs", None),
        ("toestemming op|opt-in ip", "2024-01-01 13:00|127.0.0.1", None),
        (
            "toestemming op|opt-in ip",
            "2024-01-01 13:00|192.0.2.7",
            SignUpProof("web form (columns toestemming op, opt-in ip)", NOON, "", "192.0.2.7"),
        ),
        (
            "toestemming op|bron",
            "2024-01-01 13:00|webformulier",
            SignUpProof("web form (columns toestemming op, bron)", NOON, "webformulier", ""),
        ),
        (
            "toestemming op|opt-in ip|aanmeldformulier|bron",
            "2024-01-01 13:00|2001:db8::1|website/actie|import",
            SignUpProof(
                "web form (columns toestemming op, opt-in ip, aanmeldformulier)",
                NOON,
                "website/actie",
                "2001:db8::1",
            ),
        ),
    ],
)
def test_a_proof_has_a_moment_and_a_place(
    tmp_path: Path, header: str, record: str, proof: SignUpProof | None
) -> None:
    row = row_of(tmp_path, f"email|{header}", f"a@example.org|{record}")
    assert row.proof == proof


def test_a_mapped_column_without_title_is_named_by_its_place(tmp_path: Path) -> None:
    record = "a@example.org|2024-01-01 13:00|192.0.2.7"
    (row,) = rows_of(tmp_path, record, consent_at="2", consent_ip="C")
    assert row.proof == SignUpProof("web form (columns 2, 3)", NOON, "", "192.0.2.7")


def test_who_opted_out_has_no_proof(tmp_path: Path) -> None:
    header = "email|status|toestemming op|opt-in ip"
    record = "a@example.org|afgemeld|2024-01-01 13:00|192.0.2.7"
    assert row_of(tmp_path, header, record).proof is None


def test_customers_since_when_and_from_where(tmp_path: Path) -> None:
    header = "email|klant|abonnee sinds|herkomst"
    row = row_of(tmp_path, header, "a@example.org|ja|1-1-2024|Beurs")
    assert (row.customer, row.since, row.source) == (
        True,
        datetime(2023, 12, 31, 23, tzinfo=UTC),
        "Beurs",
    )
    row = row_of(tmp_path, header, "a@example.org|K-17||")
    assert (row.customer, row.since, row.source) == (False, None, "")


def test_american_dates_are_read_as_such_throughout_the_column(tmp_path: Path) -> None:
    rows = rows_of(
        tmp_path,
        "email|since",
        "a@example.org|3/4/2024",
        "b@example.org|3/13/2024",
        "c@example.org",
    )
    assert [row.since and row.since.month for row in rows] == [3, 3, None]


# --- Columns of Yes and No of which nobody knows what they answer.


def questions_of(folder: Path, *records: str) -> list[tuple[str, int]]:
    text = as_csv([record.split("|") for record in records], delimiter=";")
    return [
        (found.column, found.no_count) for found in from_text(folder, text).find_ambiguous_columns()
    ]


def test_a_no_counts_wherever_it_stands(tmp_path: Path) -> None:
    before = [f"p{number}@example.org|ja" for number in range(250)]
    rows = (*before, "q@example.org|nee", "r@example.org", "s@example.org| Nee ")
    assert questions_of(tmp_path, "email|Mag", *rows) == [("Mag", 2)]
    blank = [row.replace("ja", "") for row in before]
    assert questions_of(tmp_path, "email|Mag", *blank, "q@example.org|nee") == [("Mag", 1)]


def test_a_yes_alone_is_no_question(tmp_path: Path) -> None:
    assert questions_of(tmp_path, "email|Mag", "a@example.org|ja", "b@example.org|") == []


def test_without_titles_a_question_has_the_number_of_its_column(tmp_path: Path) -> None:
    rows = ("a@example.org|ja", "b@example.org|nee")
    assert questions_of(tmp_path, *rows) == [("2", 1)]


def test_a_few_other_words_do_not_hide_a_question_and_many_do(tmp_path: Path) -> None:
    before = ["a@example.org|ja"] * 250
    rows = ("b@example.org|nee", "c@example.org|weet niet")
    assert questions_of(tmp_path, "email|Mag", *before, *rows) == [("Mag", 1)]
    towns = ["c@example.org|Gent"] * 300
    assert questions_of(tmp_path, "email|Mag", *before, *rows, *towns) == []


def test_numbers_are_no_answers(tmp_path: Path) -> None:
    before = ["a@example.org|ja"] * 250
    assert questions_of(tmp_path, "email|Mag", *before, "b@example.org|0") == []


def test_what_stands_above_the_header_is_no_answer(tmp_path: Path) -> None:
    assert questions_of(tmp_path, "Lijst|nee", "email|Mag", "a@example.org|ja") == []


# --- A stray quotation mark swallows the lines up to the next one.


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('naam,email\n"Jan,a@example.org\n"Piet",b@example.org\n', 2),
        ('email,naam\nx@example.org,X\na@example.org,"Jan\nb@example.org,"Piet"\n', 3),
        ('email,naam\na@example.org,"Jan\nb@example.org,Piet\nc@example.org,K"\n', 2),
    ],
)
def test_swallowed_lines_are_refused(tmp_path: Path, text: str, line: int) -> None:
    file = from_text(tmp_path, text)
    with pytest.raises(ListFileError) as caught:
        list(file.rows())
    assert caught.value.line == line
    assert "swallows the lines after it" in caught.value.reason


def test_addresses_in_a_remark_of_several_lines_swallow_nothing(tmp_path: Path) -> None:
    text = 'naam,email,opmerking\nJan,a@example.org,"zie\nook: b@example.org\nc@example.org"\n'
    assert [row.address for row in from_text(tmp_path, text).rows()] == ["a@example.org"]


def test_two_addresses_on_two_lines_of_the_only_column_are_two_rows(tmp_path: Path) -> None:
    text = 'email\n"a@example.org\nb@example.org"\n'
    rows = list(from_text(tmp_path, text).rows())
    assert [(row.line, row.address) for row in rows] == [(2, "a@example.org"), (2, "b@example.org")]
