"""Dates that a spreadsheet gives as numbers, and a customer's date that is none of the list."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from repermit.db.models.contacts import Contact
from repermit.evidence.entries import Entry
from repermit.imports import merge
from repermit.imports.readers.dates import FROM_1904, is_serial, parse_datetime
from repermit.imports.readers.open_file import ListFile
from repermit.imports.readers.rows import DateNote, Row
from tests.support.desk import Desk
from tests.support.import_helpers import parts_of
from tests.support.list_files import (
    AMSTERDAM,
    from_text,
    opened,
    write_ods_xml,
    write_xls,
    xls_record,
)


def day(row: Row) -> str:
    assert row.since
    return f"{row.since.astimezone(AMSTERDAM):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("40271", datetime(2010, 4, 3, tzinfo=UTC)),
        (" 40271 ", datetime(2010, 4, 3, tzinfo=UTC)),
        ("40271.5", datetime(2010, 4, 3, 12, tzinfo=UTC)),
        ("40271,25", datetime(2010, 4, 3, 6, tzinfo=UTC)),
        ("45678.0", datetime(2025, 1, 21, tzinfo=UTC)),
        ("32874", datetime(1990, 1, 1, tzinfo=UTC)),
        ("32873", None),
        ("73050", datetime(2099, 12, 31, tzinfo=UTC)),
        ("73051", None),
        ("99999", None),
        ("4027", None),
        ("402711", None),
        ("40271a", None),
    ],
)
def test_the_number_of_a_day_is_a_date(text: str, expected: datetime | None) -> None:
    assert parse_datetime(text, UTC) == expected
    assert is_serial(text) is (expected is not None)


def test_a_workbook_of_an_old_mac_counts_from_1904() -> None:
    assert parse_datetime("38809", UTC, serial_epoch=FROM_1904) == datetime(2010, 4, 3, tzinfo=UTC)


def workbook(folder: Path, number: float, *, epoch: datetime | None = None) -> ListFile:
    """Write a workbook whose dates have lost their format, so that they are plain numbers."""
    book = openpyxl.Workbook()
    if epoch:
        book.epoch = epoch
    sheet = book.worksheets[0]
    sheet.append(["email", "aangemeld op"])
    sheet.append(["a@example.org", number])
    path = folder / "list.xlsx"
    book.save(path)
    return opened(path)


def test_a_workbook_says_itself_from_when_it_counts(tmp_path: Path) -> None:
    assert [day(row) for row in workbook(tmp_path, 40271.75).rows()] == ["2010-04-03 18:00"]
    old = workbook(tmp_path, 38809, epoch=CALENDAR_MAC_1904)
    assert [day(row) for row in old.rows()] == ["2010-04-03 00:00"]


DATE_1904 = 0x22


def old_workbook(
    folder: Path, number: float, *, globals_: bytes, is_in_pieces: bool = False
) -> ListFile:
    """Write a workbook of Excel 97 whose dates have lost their format."""
    cells: dict[tuple[int, int], str | float] = {
        (0, 0): "email",
        (0, 1): "aangemeld op",
        (1, 0): "a@example.org",
        (1, 1): number,
    }
    path = folder / "list.xls"
    return opened(write_xls(path, cells, globals_=globals_, is_in_pieces=is_in_pieces))


@pytest.mark.parametrize(("said", "number"), [(0, 40271), (1, 38809)])
def test_an_old_workbook_says_itself_from_when_it_counts(
    tmp_path: Path, said: int, number: float
) -> None:
    said_so = xls_record(0x8D, b"\0\0") + xls_record(DATE_1904, bytes((said, 0)))
    found = old_workbook(tmp_path, number, globals_=said_so)
    assert [day(row) for row in found.rows()] == ["2010-04-03 00:00"]
    assert [(note.numbers, note.unread) for note in found.find_date_notes()] == [(1, 0)]


@pytest.mark.parametrize(
    "globals_",
    [
        b"",
        # There is no third way to count.
        xls_record(DATE_1904, b"\2\0"),
        # A workbook in a workbook, which counts otherwise.
        xls_record(DATE_1904, b"\1\0")
        + xls_record(0x809, bytes((0, 6, 5, 0)) + bytes(12))
        + xls_record(DATE_1904, b"\0\0"),
        # Longer than a yes or no.
        xls_record(DATE_1904, b"\0\0\0"),
    ],
    ids=["nothing", "neither", "both", "another"],
)
def test_where_an_old_workbook_does_not_say_from_when_it_counts_no_number_is_a_date(
    tmp_path: Path, globals_: bytes
) -> None:
    found = old_workbook(tmp_path, 40271, globals_=globals_)
    assert [row.since for row in found.rows()] == [None]
    assert [(note.numbers, note.unread) for note in found.find_date_notes()] == [(0, 1)]


@pytest.mark.parametrize("before", [483, 484, 485, 486, 487, 488])
def test_where_an_old_workbook_lies_in_pieces_no_number_is_a_date(
    tmp_path: Path, before: int
) -> None:
    # What says from when it counts stands on the edge of the first sector.
    said_so = xls_record(0x8D, bytes(before)) + xls_record(DATE_1904, b"\1\0")
    found = old_workbook(tmp_path, 38809, globals_=said_so, is_in_pieces=True)
    assert [(row.address, row.since) for row in found.rows()] == [("a@example.org", None)]
    assert [(note.numbers, note.unread) for note in found.find_date_notes()] == [(0, 1)]


@pytest.mark.parametrize(
    ("null_date", "number"), [("", 40271), ("1904-01-01", 38809), ("1899-12-30", 40271)]
)
def test_an_opendocument_spreadsheet_says_itself_from_when_it_counts(
    tmp_path: Path, null_date: str, number: int
) -> None:
    said = f'<table:null-date table:value-type="date" table:date-value="{null_date}"/>'
    settings = (
        f"<table:calculation-settings>{said if null_date else ''}</table:calculation-settings>"
    )
    rows = (
        "<table:table-row>{email}{title}</table:table-row>"
        "<table:table-row>{address}{number}</table:table-row>"
    ).format(
        email=_text_cell("email"),
        title=_text_cell("aangemeld op"),
        address=_text_cell("a@example.org"),
        number=f'<table:table-cell office:value-type="float" office:value="{number}">'
        f"<text:p>{number}</text:p></table:table-cell>",
    )
    path = write_ods_xml(tmp_path / "list.ods", rows, settings=settings)
    assert [day(row) for row in opened(path).rows()] == ["2010-04-03 00:00"]


@pytest.mark.parametrize(
    "text", ["null-date " * 100_000, "&lt;null-date " * 100_000, "<a/> null-date" * 50_000]
)
def test_an_opendocument_spreadsheet_of_any_text_is_opened_at_once(
    tmp_path: Path, text: str
) -> None:
    row = f"<table:table-row>{_text_cell('a@example.org')}</table:table-row>"
    path = write_ods_xml(tmp_path / "list.ods", row, settings=f"<a>{text}</a>")
    start = time.process_time()
    assert [row.address for row in opened(path).rows()] == ["a@example.org"]
    assert time.process_time() - start < 5


def _text_cell(text: str) -> str:
    return (
        f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'
    )


def test_numbers_and_what_is_no_date_are_counted_by_column(tmp_path: Path) -> None:
    rows = (
        "email;aangemeld op;afgemeld op;naam\n"
        "a@example.org;40271;;40271\n"
        "b@example.org;2019-05-03;ja;\n"
        "c@example.org;voorjaar 2019;38000;\n"
        "d@example.org;40272;te veel mail;\n"
        "e@example.org;;31-31-2019;\n"
        "f@example.org;3 mei 2019;nee;\n"
    )
    found = from_text(tmp_path, rows)
    (part,) = found.parts
    assert found.find_date_notes() == (
        DateNote(part, "aangemeld op", 2, 1, "40271"),
        DateNote(part, "afgemeld op", 1, 1, "38000"),
    )
    opted_out = [row for row in found.rows() if row.opted_out]
    assert [row.address[0] for row in opted_out] == ["b", "c", "d", "e"]
    assert str(opted_out[1].opted_out_at)[:10] == "2004-01-14"


@pytest.mark.parametrize(
    ("title", "texts"),
    [
        ("Email Opt Out", ("1", "0", "1")),
        ("afgemeld op", ("3", "te veel mail in 2019", "")),
        ("Email Bounced Reason", ("550 5.1.1 user unknown", "452", "5.1.1")),
    ],
)
def test_a_mark_that_is_no_date_is_none_that_cannot_be_read(
    tmp_path: Path, title: str, texts: tuple[str, ...]
) -> None:
    rows = "".join(f"a{number}@example.org;{text}\n" for number, text in enumerate(texts))
    assert from_text(tmp_path, f"email;{title}\n{rows}").find_date_notes() == ()


def test_a_file_without_dates_or_with_plain_ones_has_no_notes(tmp_path: Path) -> None:
    assert from_text(tmp_path, "email;naam\na@example.org;40271\n").find_date_notes() == ()
    plain = "email;aangemeld op\na@example.org;2019-05-03 10:00\nb@example.org;\n"
    assert from_text(tmp_path, plain).find_date_notes() == ()


@pytest.mark.parametrize(
    "title",
    [
        "Klant sinds",
        "Customer since",
        "Kunde seit",
        "Client depuis",
        "Relatie sinds",
        "Patiënt sinds",
        *("Lid sinds", "Lid vanaf", "Lid geworden op", "Datum lidmaatschap", "Donateur sinds"),
        *("Member since", "Membership date", "Date joined", "Joined", "Donor since"),
        *("Mitglied seit", "Mitglied ab", "Eintrittsdatum", "Spender seit"),
        *("Membre depuis", "Adhérent depuis", "Date d'adhésion", "Donateur depuis"),
    ],
)
def test_since_when_somebody_buys_or_is_a_member_is_not_since_when_they_are_on_the_list(
    tmp_path: Path, title: str
) -> None:
    found = from_text(tmp_path, f"email;{title}\na@example.org;2015-03-02\n")
    (row,) = found.rows()
    assert found.parts[0].columns[1].field == "customer_since"
    assert row.since is None
    assert row.customer_since
    # A date alone makes nobody a customer whose basis would have to be attested.
    assert not row.customer


@pytest.mark.parametrize("title", ["klant sinds", "lid sinds"])
def test_the_mail_tells_nobody_that_they_are_on_the_list_since_they_bought_or_joined(
    desk: Desk, title: str
) -> None:
    desk.add_news()
    desk.do("import", "news", desk.file(f"email;{title}", "a@example.org;02-03-2015"))
    with desk.database():
        assert Contact.get().since is None


def test_of_a_customer_the_date_is_kept_with_the_basis(desk: Desk) -> None:
    desk.add_news()
    rows = ("email;klant;klant sinds", "a@example.org;ja;40271", "b@example.org;ja;2099-01-01")
    shown = desk.do("import", "news", desk.file(*rows), "--attest", "Each of them bought from us.")
    assert "column klant sinds: 1 cell is a number of days" in shown
    assert "(40271)" in shown
    with desk.database():
        first, second = Contact.select().order_by(Contact.address)
    assert f"{first.basis_at:%Y-%m-%d}" == "2010-04-02"  # Midnight in Amsterdam.
    assert f"{second.basis_at:%Y-%m-%d}" == "2026-03-02"
    assert (first.since, second.since) == (None, None)


@pytest.mark.counted_on_both
def test_since_when_a_customer_buys_is_part_of_the_record(desk: Desk) -> None:
    """Of somebody new, and of who was on the list without a basis."""
    desk.add_news()
    desk.do("import", "news", desk.file("email", "c@example.org"))
    rows = ("email;klant;klant sinds", "a@example.org;ja;2024-03-08", "c@example.org;ja;2023-01-02")
    desk.do("import", "news", desk.file(*rows), "--attest", "Each of them bought from us.")
    desk.do("verify")
    with desk.database():
        Contact.update(basis_at=datetime(2012, 1, 1, tzinfo=UTC)).execute()
    assert "since when" in desk.refused("verify")


@pytest.mark.counted_on_both
def test_of_a_customer_without_a_date_the_record_does_not_say_since_when(desk: Desk) -> None:
    desk.add_news()
    rows = ("email;klant;lid sinds", "a@example.org;ja;", "b@example.org;ja;2099-01-01")
    desk.do("import", "news", desk.file(*rows), "--attest", "Each of them is a member.")
    desk.do("verify")
    with desk.database():
        assert [one["consent"]["basis_at"] for one in parts_of("customer")] == ["", ""]
        Contact.update(basis_at=datetime(2012, 1, 1, tzinfo=UTC)).execute()
    assert "since when" in desk.refused("verify")


def test_an_entry_of_an_earlier_version_need_not_say_since_when(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_entry: Any = merge._make_entry

    def make_earlier_entry(taking: Any, contact: Any) -> Entry:
        entry: Entry = make_entry(taking, contact)
        told = {name: value for name, value in entry.consent.items() if name != "basis_at"}
        return replace(entry, consent=told)

    monkeypatch.setattr(merge, "_make_entry", make_earlier_entry)
    desk.add_news()
    rows = ("email;klant;klant sinds", "a@example.org;ja;2024-03-08")
    desk.do("import", "news", desk.file(*rows), "--attest", "Each of them bought from us.")
    desk.do("verify")
    with desk.database():
        Contact.update(basis_at=datetime(2031, 1, 1, tzinfo=UTC)).execute()
    desk.refused("verify")


def test_what_is_no_date_is_reported_with_how_many_there_are(desk: Desk) -> None:
    desk.add_news()
    rows = ("email;lid sinds", "a@example.org;voorjaar", "b@example.org;onbekend", "c@example.org;")
    shown = desk.do("import", "news", desk.file(*rows), "--dry-run")
    assert (
        "column lid sinds: in 2 cells no date can be read, so their days count as unknown" in shown
    )
    shown = desk.do("import", "news", desk.file(*rows[:2]), "--dry-run")
    assert "column lid sinds: in 1 cell no date can be read, so the day counts as unknown" in shown
