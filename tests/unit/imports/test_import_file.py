"""What becomes of new addresses, and that all of a file goes in or nothing."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import peewee
import pytest

from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.errors import ListFileError
from repermit.imports import staging
from repermit.rules.consent import Fate, Reason, Status
from tests.support.builders import (
    NOW,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.import_helpers import (
    OPTED_IN,
    contact_at,
    everything,
    fates_of,
    mailchimp,
    on_list,
    plain,
    take_in,
    write,
)
from tests.support.list_files import mailchimp_csv, write_workbook, write_zip


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


# --- New addresses. -------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_rows_that_share_a_line_are_counted_across_batches_and_parts(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    # The reader's batches have 5,000 rows, so that one ends within a line.
    lines = ["x@example.org", *(f"a{n}@example.org; b{n}@example.org" for n in range(2_600))]
    path = tmp_path / "list.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("one.csv", "two.csv"):
            archive.writestr(name, "email,name\r\n" + "".join(f'"{line}",\r\n' for line in lines))
    result = take_in(database, news, path, dry_run=True)
    assert (result.rows, result.additional) == (2 * 5_201, 2 * 2_600)


@pytest.mark.counted_on_both
def test_a_plain_row_becomes_a_contact_to_be_asked(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        "email,name,language,source,since\r\n"
        "Jan@Example.org,Jan Jansen,en,beurs 2019,2019-03-01\r\n",
    )
    result = take_in(database, news, path)
    assert fates_of(result) == {Fate.ASK: 1}
    assert result.problems == ()
    contact = contact_at(news, "jan@example.org")
    assert contact.address == "Jan@example.org"
    assert (contact.name, contact.language, contact.source) == ("Jan Jansen", "en", "beurs 2019")
    assert contact.since == datetime(2019, 2, 28, 23, 0, tzinfo=UTC)
    assert (contact.status, contact.status_at) == (Status.UNCONFIRMED, NOW)
    assert (contact.basis, contact.basis_at, contact.reason) == ("", None, "")
    assert contact.imported_by == Import.get(Import.file == "list.csv")
    assert len(contact.uid) == len(contact.subject) == 32
    assert contact.uid != contact.subject


def find_told(text: str) -> list[str]:
    """Return what the evidence tells of consent, where it has this text."""
    parts = EvidencePart.select().where(EvidencePart.part == "consent")
    return [part.json for part in parts if text in part.json]


def test_an_address_in_a_files_name_is_not_kept(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = tmp_path / "carla@example.org.csv"
    path.write_text("email\ncarla@example.org\n")
    take_in(database, news, path)
    assert Import.get().file == "…@example.org.csv"
    assert not find_told("carla@example.org")


def test_an_address_in_the_title_of_a_column_is_not_kept(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("E-mail carla@example.org;naam\nann@example.org;Ann\n")
    take_in(database, news, path)
    assert find_told("E-mail …@example.org")
    assert not find_told("carla@example.org")


def test_an_address_in_the_source_of_a_file_is_not_kept(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email;naam\nann@example.org;Ann\n")
    take_in(database, news, path, source="mail from carla@example.org")
    assert find_told("mail from …@example.org")
    assert not find_told("carla@example.org")


def test_the_admins_source_stands_where_the_row_has_none(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = write(tmp_path, "email,source\r\na@example.org,\r\nb@example.org,beurs\r\n")
    take_in(database, news, path, source="our old newsletter")
    assert contact_at(news, "a@example.org").source == "our old newsletter"
    assert contact_at(news, "b@example.org").source == "beurs"


def test_every_contact_has_ids_of_its_own_and_none_recurs(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    other = make_list(database, slug="other")
    path = plain(tmp_path, *((f"p{n}@example.org", "") for n in range(50)))
    take_in(database, news, path)
    take_in(database, other, path)
    ids = {text for contact in Contact.select() for text in (contact.uid, contact.subject)}
    assert len(ids) == 200


def test_the_order_in_the_database_is_neither_that_of_the_file_nor_of_the_alphabet(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    written = [f"p{n:03}@example.org" for n in range(100)]
    take_in(database, news, plain(tmp_path, *((address, "") for address in written)))
    stored = [str(contact.address) for contact in Contact.select().order_by(Contact.id)]
    assert sorted(stored) == written
    assert stored not in (written, written[::-1])


def test_a_role_address_is_asked_too_but_reported(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    result = take_in(database, news, plain(tmp_path, ("info@example.org", "")))
    assert fates_of(result) == {Fate.ROLE: 1}
    assert [(p.line, p.column, p.fate) for p in result.problems] == [(2, "email", Fate.ROLE)]
    assert on_list(news) == {"info@example.org": (Status.UNCONFIRMED, "", "")}


def test_an_invalid_row_is_reported_with_its_place_and_never_quoted(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = write(tmp_path, "a@example.org\r\nnot an address@example\r\n")
    result = take_in(database, news, path)
    assert fates_of(result) == {Fate.INVALID: 1, Fate.ASK: 1}
    (problem,) = result.problems
    assert (problem.line, problem.column, problem.fate) == (2, "1", Fate.INVALID)
    assert problem.reason == "a space in the address"
    assert problem.part == ""


def test_a_row_that_cannot_be_read_is_invalid(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    result = take_in(database, news, write(tmp_path, "email,name\r\na@example.org,Jan,x,y\r\n"))
    assert [problem.reason for problem in result.problems] == [
        "this line has 4 columns, the header has 2"
    ]


# --- One address, several rows. -------------------------------------------------------------------


def test_the_strongest_row_of_an_address_decides_and_the_others_are_duplicates(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = mailchimp(
        tmp_path,
        {"email": "jan@example.org"},
        {"email": "JAN@example.org", **OPTED_IN},
        {"email": "jan@EXAMPLE.org"},
    )
    result = take_in(database, news, path)
    assert fates_of(result) == {Fate.CONFIRMED: 1, Fate.DUPLICATE: 2}
    assert [(p.line, p.reason) for p in result.problems] == [
        (2, "this address stands in line 3 too"),
        (4, "this address stands in line 3 too"),
    ]
    assert contact_at(news, "jan@example.org").address == "JAN@example.org"


def test_the_strongest_row_in_another_part_is_named_with_its_part(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    sheets = {"Leden": (("email",), ("a@example.org",), ("b@example.org",), ("b@example.org",)),
              "Afgemeld": (("email",), ("c@example.org",), ("a@example.org",))}  # fmt: skip
    path = tmp_path / "leden.xlsx"
    write_workbook(path, sheets)
    found = [
        (one.part, one.line, one.reason)
        for one in take_in(database, news, path).problems
        if one.fate is Fate.DUPLICATE
    ]
    assert found == [
        ("Leden", 2, "this address stands in line 3 of Afgemeld too"),
        ("Leden", 4, "this address stands in line 3 too"),
    ]


def test_an_address_under_different_names_is_greeted_namelessly_and_reported(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = plain(
        tmp_path,
        ("a@example.org", "Jan"),
        ("a@example.org", "Piet"),
        ("b@example.org", "Kees"),
        ("b@example.org", "KEES"),
        ("c@example.org", "Els"),
        ("c@example.org", ""),
    )
    result = take_in(database, news, path)
    assert result.merged == 1
    assert contact_at(news, "a@example.org").name == ""
    assert contact_at(news, "b@example.org").name == "Kees"
    assert contact_at(news, "c@example.org").name == "Els"
    assert result.problems[0].reason == (
        "this address stands in line 2 too, under another name: the mail greets without a name"
    )


def test_the_parts_of_a_file_are_named_if_there_are_several(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    first, second = ({"Email Address": f"{letter}@example.org"} for letter in "ab")
    members = {
        "subscribed_members_1.csv": mailchimp_csv(first),
        "unsubscribed_members_1.csv": mailchimp_csv(first, second),
    }
    path = write_zip(tmp_path / "export.zip", members)
    result = take_in(database, news, path)
    assert len(result.parts) == 2
    assert fates_of(result) == {Fate.OPTED_OUT: 2, Fate.DUPLICATE: 1}
    assert {problem.part for problem in result.problems} == {part.name for part in result.parts}
    assert on_list(news) == {}


# --- All or nothing. ------------------------------------------------------------------------------


def test_a_dry_run_shows_the_same_and_writes_nothing(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    make_contact(database, news, "c@example.org")
    make_removed(database, news, Reason.NO, "d@example.org")
    path = mailchimp(
        tmp_path,
        *({"email": f"{letter}@example.org"} for letter in "abcd"),
        {"email": "c@example.org", "UNSUB_TIME": "2020-01-01 00:00:00"},
        {"email": "e@example.org", **OPTED_IN},
        {"email": "info@example.org"},
        {"email": "nonsense"},
        more=("UNSUB_TIME",),
    )
    before = everything()
    dry = take_in(database, news, path, dry_run=True)
    assert dry.dry_run
    assert everything() == before
    assert Import.select().count() == 0
    real = take_in(database, news, path)
    assert (real.fates, real.problems) == (dry.fates, dry.problems)
    assert sum(real.fates.values()) == real.rows == 8


def test_a_bad_file_changes_nothing(database: Database, news: MailingList, tmp_path: Path) -> None:
    rows = "".join(f"p{n}@example.org,x\r\n" for n in range(6000))
    path = write(tmp_path, f'email,name\r\n{rows}q@example.org,"never closed\r\n')
    before = everything()
    with pytest.raises(ListFileError):
        take_in(database, news, path)
    assert everything() == before
    assert Import.select().count() == 0


def test_an_import_that_fails_as_it_is_to_be_merged_changes_nothing(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = mailchimp(tmp_path, {"email": "a@example.org", **OPTED_IN})
    before = everything()
    # An actor is required of what is under way, which is noted once all is staged.
    with pytest.raises(peewee.IntegrityError):
        take_in(database, news, path, actor=None)
    assert everything() == before
    assert Import.select().count() == 0


@pytest.mark.counted_on_both
def test_an_import_leaves_no_temporary_table_and_no_setting_behind(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = plain(tmp_path, ("a@example.org", ""))
    take_in(database, news, path)
    with pytest.raises(peewee.DatabaseError, match="staged"):
        staging.Staged.select().count()
    if isinstance(database, peewee.SqliteDatabase):
        assert database.pragma("temp_store") == 2
        assert database.pragma("cache_size") == -16_000
        assert database.pragma("wal_autocheckpoint") == 0


def test_a_header_alone_is_no_rows(database: Database, news: MailingList, tmp_path: Path) -> None:
    result = take_in(database, news, plain(tmp_path))
    assert (result.rows, fates_of(result), result.problems) == (0, {}, ())


def test_the_columns_may_be_named(database: Database, news: MailingList, tmp_path: Path) -> None:
    path = write(tmp_path, "contactpersoon;wie\r\nJan;a@example.org\r\n")
    take_in(database, news, path, mapping={"address": "wie", "name": "contactpersoon"})
    assert contact_at(news, "a@example.org").name == "Jan"


def test_the_result_as_json_is_what_the_design_says(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    document = take_in(
        database, news, plain(tmp_path, ("info@example.org", "")), settings=make_settings()
    ).to_json()
    assert list(document) == ["list", "file", "rows", "fates", "problems"]
    assert (document["list"], document["file"], document["rows"]) == ("news", "list.csv", 1)
    assert list(document["fates"]) == [str(fate) for fate in Fate]
    (problem,) = document["problems"]
    assert list(problem) == ["line", "column", "reason"]
    assert json.loads(json.dumps(document)) == document
