"""Looking at a file that waits, and taking it in, here or in a process of its own."""

from __future__ import annotations

import io
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from repermit.contacts import admin_requests
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.imports import Import, Upload
from repermit.db.models.lists import MailingList
from repermit.errors import Refused
from repermit.i18n.lazy_text import deserialize
from repermit.imports import read_upload
from repermit.imports.read_upload import choices_of, start_reading
from repermit.imports.row_preview import RowFilter
from repermit.imports.row_preview import read as read_sights
from repermit.imports.row_preview import read_all as read_all_sights
from repermit.imports.undo import find_unfinished_import, past_imports
from repermit.imports.uploads import Choices, StoredUpload, find_upload, get_folder, keep_upload
from repermit.reports import make_report
from repermit.reports.make_report import ReportKind
from repermit.rules.consent import Fate, Reason
from repermit.settings.definitions import Settings
from tests.support import hostile_files as hostile
from tests.support.admin_pages import make_admin
from tests.support.builders import NOW, make_contact, make_list, make_removed
from tests.support.import_helpers import everything, plain, take_back
from tests.support.import_helpers import take_in as import_by_command
from tests.support.report_campaign import read_document
from tests.unit.answers.test_join import signed_up
from tests.unit.evidence.test_verify_tables import WHO
from tests.unit.privacy.test_rectification import move

MIXED = (
    "email,name,opmerking\n"
    "a@example.org,Anna,\n"
    "info@example.org,,\n"
    "gone@example.org,,\n"
    "here@example.org,,\n"
    "no at sign,Bert,\n"
    "c@example.org,Cees,wil geen mail meer\n"
    "A@example.org,Anne,\n"
)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture(autouse=True)
def _no_files_left(settings: Settings) -> Iterator[None]:
    yield
    shutil.rmtree(get_folder(settings))


def keep(
    database: Database, news: MailingList, settings: Settings, text: str | bytes
) -> StoredUpload:
    return keep_upload(
        database,
        news,
        io.BytesIO(text.encode() if isinstance(text, str) else text),
        name="list.csv",
        user_id=make_admin(database).id,
        settings=settings,
        now=NOW,
    )


def work(
    database: Database,
    news: MailingList,
    settings: Settings,
    *,
    takes_in: bool = False,
    **choices: Any,
) -> bool:
    return start_reading(
        database,
        news,
        choices=Choices(**choices),
        settings=settings,
        now=NOW,
        actor="user:1",
        takes_in=takes_in,
    )


def outcome_of(kept: StoredUpload) -> dict[str, Any]:
    assert kept.task.result is not None
    return kept.task.result


def wait_for(kept: StoredUpload) -> None:
    """Wait until the other process has ended."""
    until = time.monotonic() + 60
    while kept.folder.exists() and kept.task.is_busy:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_look_says_of_every_row_what_would_become_of_it_and_changes_nothing(
    database: Database, news: MailingList, settings: Settings
) -> None:
    make_removed(database, news, Reason.NO, "gone@example.org")
    make_contact(database, news, "here@example.org")
    before = everything()
    kept = keep(database, news, settings, MIXED)
    assert work(database, news, settings, source="beurs")
    seen = [
        (row.line, row.address, row.name, row.fate, row.other) for row in read_sights(kept.rows)
    ]
    assert seen == [
        (2, "a@example.org", "Anna", "ask", ""),
        (3, "info@example.org", "", "role", ""),
        (4, "gone@example.org", "", "suppressed", ""),
        (5, "here@example.org", "", "duplicate", ""),
        (6, "no at sign", "Bert", "invalid", ""),
        (7, "c@example.org", "Cees", "opted_out", ""),
        (8, "A@example.org", "Anne", "duplicate", "2"),
    ]
    outcome = outcome_of(kept)
    assert outcome["rows"] == 7
    assert sum(outcome["fates"].values()) == 7
    assert outcome["fates"]["ask"] == 1
    assert choices_of(outcome) == Choices(source="beurs")
    assert everything() == before


def test_a_look_counts_once_whoever_stands_in_the_file_alone(
    database: Database, news: MailingList, settings: Settings
) -> None:
    make_removed(database, news, Reason.NO, "gone@example.org")
    make_contact(database, news, "here@example.org")
    address = "c@example.org"
    with database.atomic():
        SignUp.create(list=news, uid=new_id(), address=address, address_key=address, at=NOW)
    kept = keep(database, news, settings, MIXED)
    assert counted(kept) == (None, None)
    work(database, news, settings)
    # a, info, and the row whose address is none.
    assert counted(kept) == (7, 3)
    work(database, news, settings, mapping={"address": "nowhere"})
    assert counted(kept) == (None, None)


def by_command(database: Database, news: MailingList, folder: Path) -> None:
    import_by_command(database, news, plain(folder, ("a@example.org", "Anna")))


def by_a_sign_up(database: Database, news: MailingList, _folder: Path) -> None:
    signed_up(database, news, "a@example.org")


def by_hand(database: Database, news: MailingList, _folder: Path) -> None:
    person = admin_requests.NewContact(address="a@example.org", source="beurs")
    admin_requests.add_contact(database, news, person, now=NOW, **WHO)


def by_moving(database: Database, _news: MailingList, _folder: Path) -> None:
    assert move(database, Contact.get(Contact.address == "here@example.org"), "a@example.org")


COMING = [by_command, by_a_sign_up, by_hand, by_moving]


@pytest.mark.parametrize("come", COMING)
def test_whoever_comes_onto_the_list_after_a_look_is_counted_once(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path, come: Any
) -> None:
    make_contact(database, news, "here@example.org")
    kept = keep(database, news, settings, "email\na@example.org\nb@example.org\n")
    work(database, news, settings)
    assert counted(kept) == (2, 2)
    come(database, news, tmp_path)
    assert counted(kept) == (2, None)
    assert people_of(news, settings) == (2 if come is not by_moving else 1, 1)
    work(database, news, settings)
    assert counted(kept) == (2, 1)
    assert people_of(news, settings) == (3 if come is not by_moving else 2, 0)


def test_who_is_gone_with_a_file_that_is_taken_back_is_counted_again(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    by_command(database, news, tmp_path)
    kept = keep(database, news, settings, "email\na@example.org\n")
    work(database, news, settings)
    assert counted(kept) == (1, 0)
    take_back(database, news)
    assert counted(kept) == (1, None)


def test_who_comes_onto_another_list_changes_no_count(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    kept = keep(database, news, settings, "email\na@example.org\n")
    work(database, news, settings)
    other = make_list(database, slug="other")
    for come in (by_command, by_a_sign_up):
        come(database, other, tmp_path)
    assert counted(kept) == (1, 1)


def test_who_comes_onto_the_list_during_a_look_is_not_counted(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    kept = keep(database, news, settings, "email\na@example.org\n")
    with database.atomic():
        kept.begin_count()
    assert people_of(news, settings) == (0, 1)
    by_command(database, news, tmp_path)
    with database.atomic():
        kept.end_count(rows=1, people=1)
    assert counted(kept) == (1, None)


def people_of(news: MailingList, settings: Settings) -> tuple[int, int]:
    """Return of how many people the paper about a breach says that something is held.

    And of how many files it says that whoever is in them is not counted.
    """
    made = read_document(
        make_report.make_report(news, ReportKind.BREACH, settings=settings, now=NOW, language="en")
    )
    return made["people"], sum(one["people"] is None for one in made["held"]["waiting"])


def counted(kept: StoredUpload) -> tuple[int | None, int | None]:
    row = Upload.get_by_id(kept.upload.id)
    return row.rows, row.people


def test_a_row_says_why(database: Database, news: MailingList, settings: Settings) -> None:
    kept = keep(database, news, settings, MIXED)
    work(database, news, settings)
    rows = {row.line: row for row in read_sights(kept.rows)}
    assert rows[6].said == "no @ in the address"
    assert (rows[7].mark, rows[7].said) == ("remark", "opmerking: wil geen mail meer")
    assert rows[8].merged
    assert not rows[7].merged


def test_rows_are_read_a_page_at_a_time_of_one_fate_or_all(
    database: Database, news: MailingList, settings: Settings
) -> None:
    text = "email\n" + "".join(f"p{n}@example.org\nbad{n}\n" for n in range(60))
    kept = keep(database, news, settings, text)
    work(database, news, settings)
    first = read_sights(kept.rows, RowFilter(fate=Fate.INVALID), limit=50)
    rest = read_sights(kept.rows, RowFilter(fate=Fate.INVALID), after=first[-1].number, limit=50)
    assert [len(first), len(rest)] == [50, 10]
    assert {row.fate for row in (*first, *rest)} == {"invalid"}
    assert [row.number for row in read_sights(kept.rows, limit=3)] == [1, 2, 3]
    both = [row.fate for row in read_all_sights(kept.rows, (Fate.INVALID, Fate.ASK))]
    assert both == ["invalid"] * 60 + ["ask"] * 60


def test_rows_of_a_file_with_several_parts_name_theirs(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "list.zip", "w") as archive:
        for name in ("one.csv", "two.csv"):
            archive.writestr(name, f"email\n{name[:3]}@example.org\n")
    kept = keep_upload(
        database,
        news,
        io.BytesIO((tmp_path / "list.zip").read_bytes()),
        name="list.zip",
        user_id=make_admin(database).id,
        settings=settings,
        now=NOW,
    )
    work(database, news, settings)
    wait_for(kept)
    assert [row.part for row in read_sights(kept.rows)] == ["one.csv", "two.csv"]


def test_taking_in_deletes_the_file_and_is_remembered(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings, MIXED)
    assert work(database, news, settings, takes_in=True, source="beurs")
    assert Contact.select().where(Contact.source == "beurs").count() == 4
    assert find_upload(news, settings=settings) is None
    assert not kept.folder.exists()
    (past,) = past_imports(news)
    assert (past.file, past.at, past.undone_at, past.rows) == ("list.csv", NOW, None, 7)
    assert past.fates[Fate.OPTED_OUT] == 1
    take_back(database, news)
    assert past_imports(news)[0].undone_at == NOW


@pytest.mark.parametrize("takes_in", [False, True])
def test_a_file_that_cannot_be_read_says_where_and_stays(
    database: Database, news: MailingList, settings: Settings, takes_in: bool
) -> None:
    kept = keep(database, news, settings, 'email,name\na@example.org,"Anna\nb@example.org,\n')
    assert work(database, news, settings, takes_in=takes_in)
    outcome = outcome_of(kept)
    assert "quotation mark" in outcome["refused"]
    assert outcome["line"] == 2
    assert outcome["expected"]
    assert not Import.select().exists()


def test_what_is_refused_says_why(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings, MIXED)
    work(database, news, settings, takes_in=True, customers=True)
    assert deserialize(outcome_of(kept)["refused"]).startswith("there are customers in this file")


def test_nothing_is_begun_twice_or_without_a_file(
    database: Database, news: MailingList, settings: Settings
) -> None:
    assert not work(database, news, settings)
    kept = keep(database, news, settings, MIXED)
    with closing(kept.task.lock()):  # type: ignore[type-var]
        assert not work(database, news, settings)


# Many octets in few rows: what makes a file large is its size.
PORTRAIT = "x" * 300
LARGE = "email,portrait\n" + "".join(f"person{n}@example.org,{PORTRAIT}\n" for n in range(7_000))


@pytest.mark.exhaustive
def test_a_large_file_is_looked_at_and_taken_in_by_a_process_of_its_own(
    database: Database, news: MailingList, settings: Settings
) -> None:
    assert len(LARGE) > read_upload.LARGE
    kept = keep(database, news, settings, LARGE)
    assert work(database, news, settings)
    assert kept.task.is_busy
    assert kept.task.result is None
    wait_for(kept)
    assert outcome_of(kept)["fates"]["ask"] == 7_000
    assert len(read_sights(kept.rows, after=6_990)) == 10
    assert work(database, news, settings, takes_in=True)
    wait_for(kept)
    assert find_upload(news, settings=settings) is None
    while find_unfinished_import(news):
        time.sleep(0.05)
    assert Contact.select().count() == 7_000


def test_a_file_that_is_taken_back_while_it_is_taken_in_is_not_looked_at_again(
    database: Database,
    news: MailingList,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def import_file(*_: object, on_staged: Callable[[], None], **__: object) -> None:
        on_staged()
        raise Refused("this file was taken back while it was taken in")

    monkeypatch.setattr(read_upload, "import_file", import_file)
    kept = keep(database, news, settings, MIXED)
    assert work(database, news, settings, takes_in=True)
    assert find_upload(news, settings=settings) is None
    assert not kept.folder.exists()


@pytest.fixture(params=[hostile.zip_dense, hostile.one_row])
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    path: Path = request.param(tmp_path / "list.bin")
    return path.read_bytes()


@pytest.mark.exhaustive
def test_what_is_packed_is_never_looked_at_where_the_pages_are_served(
    database: Database,
    news: MailingList,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    packed: bytes,
) -> None:
    opened_here: list[Path] = []
    monkeypatch.setattr(
        read_upload, "import_file", lambda *given, **_: opened_here.append(given[2])
    )
    assert len(packed) < read_upload.LARGE
    kept = keep(database, news, settings, packed)
    assert work(database, news, settings)
    assert not opened_here
    wait_for(kept)
    assert outcome_of(kept)
