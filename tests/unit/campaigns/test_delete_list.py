"""A list that was never launched is deleted with what its files brought, and one entry says so."""

from __future__ import annotations

import io
import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repermit.campaigns import delete_list
from repermit.db import secure_delete
from repermit.db.background_tasks import BackgroundTask, TaskKind, find_task
from repermit.db.connection import Database, FairSqliteDatabase, open_database, run_sql
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import, ImportChange, Upload
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.mails import Mail, Reply
from repermit.db.models.webhooks import Webhook
from repermit.db.row_counts import fold_counts
from repermit.errors import Refused
from repermit.imports import uploads
from repermit.rules.consent import CampaignState, Status
from repermit.settings.definitions import Settings
from tests.support.admin_pages import admin_client, make_user, post, viewer_client, words_at
from tests.support.builders import NOW, make_campaign, make_contact, make_list, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import Desk
from tests.support.import_helpers import OPTED_IN, mailchimp, plain, take_back, take_in
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from flask.testing import FlaskClient

URL = "/admin/lists/news"


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


def delete(database: Database, news: MailingList, settings: Settings) -> None:
    delete_list.delete_list(database, news, settings=settings, now=NOW, actor="user:1")


def take_in_two_files(database: Database, news: MailingList, tmp_path: Path) -> None:
    """Take in an opt-in, a refusal and somebody to ask; then a file that improves one of them."""
    people = [
        {"email": "ask@example.org"},
        {"email": "proven@example.org", **OPTED_IN},
        {"email": "out@example.org", "UNSUB_TIME": "2020-01-01 00:00:00"},
    ]
    take_in(database, news, mailchimp(tmp_path, *people, more=("UNSUB_TIME",)))
    better = mailchimp(tmp_path, {"email": "ask@example.org", **OPTED_IN}, name="better.csv")
    take_in(database, news, better, now=NOW.replace(minute=5))


def test_the_list_goes_with_all_that_its_files_brought_and_one_entry_says_so(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    take_in_two_files(database, news, tmp_path)
    assert Suppression.select().exists()
    assert ListText.select().exists()
    delete(database, news, settings)
    tables = (MailingList, Contact, Suppression, Import, ImportChange, ListText)
    assert [table.select().count() for table in tables] == [0] * len(tables)
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (last.event, last.actor, last.list) == ("list_deleted", "user:1", "news")
    assert not list(iter_chain_faults())


def test_the_record_holds_where_another_list_takes_the_name(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    take_in_two_files(database, news, tmp_path)
    delete(database, news, settings)
    again = make_list(database)
    take_in(database, again, plain(tmp_path, ("ask@example.org", "Anna"), name="again.csv"))
    assert [one.address for one in Contact.select()] == ["ask@example.org"]
    assert not list(iter_chain_faults())


def test_a_deleted_list_leaves_no_address_in_the_database_file(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    take_in_two_files(database, news, tmp_path)
    raw = io.BytesIO(b"email\nwaiting@example.org\n")
    user = make_user(database)
    uploads.keep_upload(
        database, news, raw, name="waiting.csv", user_id=user.id, settings=settings, now=NOW
    )
    delete(database, news, settings)
    assert not Upload.select().exists()
    assert not list(uploads.get_folder(settings).iterdir())
    if not settings.database.startswith("sqlite"):
        return
    secure_delete.wipe_deleted_rows(database)
    path = Path(settings.database.removeprefix("sqlite:///"))
    for file in path.parent.glob(f"{path.name}*"):
        if file.is_file() and "lock" not in file.name:
            kept = file.read_bytes()
            for name in (b"ask@", b"proven@", b"out@", b"waiting@"):
                assert name not in kept, (name, file.name)


# --- In steps, which go on after a kill. ---------------------------------------------------------


def count_named() -> int:
    """Return of how many people the record has a name or an address, in this transaction too."""
    count: int = EvidencePart.select().where(EvidencePart.part == "person").count()
    return count


def take_in_many(database: Database, news: MailingList, tmp_path: Path) -> None:
    """Take in more opt-ins than a step erases, and a file that changes each; take both back."""
    people = [{"email": f"p{number}@example.org"} for number in range(300)]
    take_in(database, news, mailchimp(tmp_path, *people))
    better = mailchimp(tmp_path, *({**one, **OPTED_IN} for one in people), name="better.csv")
    take_in(database, news, better, now=NOW.replace(minute=5))
    take_back(database, news, now=NOW.replace(minute=6))
    take_back(database, news, now=NOW.replace(minute=7))


class Killed(Exception):
    """As when the process ends before a commit."""


def interrupt(database: Database, news: MailingList, settings: Settings, commits: int) -> None:
    """Delete a list, and fail at the commit after so many that had the deletion noted."""
    left = iter(range(commits))

    def fail() -> None:
        if find_task(TaskKind.DELETE_LIST, news.id) and next(left, None) is None:
            raise Killed

    database.before_commit = fail
    try:
        with pytest.raises(Killed):
            delete(database, news, settings)
    finally:
        database.before_commit = None


@pytest.mark.parametrize("commits", [1, 2, 3])
@pytest.mark.parametrize("by_job", [True, False])
def test_what_is_interrupted_goes_on_by_itself_or_when_it_is_asked_for_again(
    database: Database,
    news: MailingList,
    settings: Settings,
    tmp_path: Path,
    *,
    commits: int,
    by_job: bool,
) -> None:
    take_in_many(database, news, tmp_path)
    interrupt(database, news, settings, commits)
    assert MailingList.select().count() == 1
    if by_job:
        delete_list.finish_deletions(database)
    else:
        delete(database, news, settings)
    tables = (MailingList, Import, ImportChange, BackgroundTask)
    assert [table.select().count() for table in tables] == [0] * len(tables)
    assert count_named() == 0
    assert [one.event for one in Evidence.select()].count("list_deleted") == 1
    assert not list(iter_chain_faults())
    if isinstance(database, FairSqliteDatabase):
        assert run_sql(database, "PRAGMA foreign_key_check").fetchall() == []
        assert run_sql(database, "PRAGMA foreign_keys").fetchone() == (1,)


def test_no_transaction_deletes_what_a_file_had_changed_all_at_once(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    take_in_many(database, news, tmp_path)
    counts = [ImportChange.select().count()]
    assert counts == [300]
    database.before_commit = lambda: counts.append(ImportChange.select().count())
    try:
        delete(database, news, settings)
    finally:
        database.before_commit = None
    assert max(before - after for before, after in itertools.pairwise(counts)) < 300


def test_who_has_come_onto_the_list_meanwhile_keeps_it(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    take_in_many(database, news, tmp_path)
    interrupt(database, news, settings, 1)
    make_contact(database, news)
    delete_list.finish_deletions(database)
    assert MailingList.select().count() == 1
    assert find_task(TaskKind.DELETE_LIST, news.id) is None
    with pytest.raises(Refused, match="added by hand"):
        delete(database, news, settings)


def count_instructions(database: FairSqliteDatabase, act: Callable[[], object]) -> int:
    """Return how many instructions SQLite runs for something, on this thread's connection."""
    ticks: list[int] = []
    connection: sqlite3.Connection = database.connection()  # type: ignore[no-untyped-call]
    connection.set_progress_handler(lambda: ticks.append(1), 10)
    try:
        act()
    finally:
        connection.set_progress_handler(None, 0)
    return 10 * len(ticks)


def test_what_other_lists_hold_is_not_read(sqlite_url: str) -> None:
    settings = make_settings(database=sqlite_url)
    with open_database(sqlite_url) as database:
        assert isinstance(database, FairSqliteDatabase)
        other, first, second = (make_list(database, slug=f"l{number}") for number in range(3))
        alone = count_instructions(database, lambda: delete(database, first, settings))
        with database.atomic():
            run_sql(
                database,
                "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9000) "
                "INSERT INTO suppression (list_id, fingerprint, subject, reason, at) "
                "SELECT ?, printf('%064d', i), printf('%032d', i), 'no', '2026-01-01' FROM c",
                other.id,
            )
        fold_counts(database)
        among = count_instructions(database, lambda: delete(database, second, settings))
        assert MailingList.select().count() == 1
    assert among < alone + 9000


def test_all_that_refers_to_a_list_is_deleted_with_it_or_forbids_to_delete_it() -> None:
    # A reply, and how links were opened, is a contact's.
    forbids = {Campaign, Contact, Mail, Opening, Reply, SignUp, Suppression, Webhook}
    deleted = set(delete_list._DELETED_TABLES)
    assert set(MailingList._meta.backrefs.values()) == forbids | deleted


# --- What keeps a list. --------------------------------------------------------------------------


def add_campaign(database: Database, news: MailingList) -> None:
    make_campaign(database, news, state=CampaignState.CANCELLED, closed_at=NOW)


def add_mail(database: Database, news: MailingList) -> None:
    with database.atomic():
        Mail.create(list=news, kind="confirm", state="sent", due_at=NOW, sent_at=NOW, message_id="")


def add_sign_up(database: Database, news: MailingList) -> None:
    with database.atomic():
        SignUp.create(
            list=news,
            uid="1" * 32,
            address="a@example.org",
            address_key="a@example.org",
            language="nl",
            at=NOW,
        )


def add_by_hand(database: Database, news: MailingList) -> None:
    make_contact(database, news)


def add_refusal(database: Database, news: MailingList) -> None:
    with database.atomic():
        Suppression.create(list=news, fingerprint="f" * 64, subject="s", reason="no", at=NOW)


@pytest.mark.parametrize(
    ("add", "why"),
    [
        (add_campaign, "a campaign of news was launched"),
        (add_mail, "people were mailed about news"),
        (add_sign_up, "people have signed up to news"),
        (add_by_hand, "added by hand"),
        (add_refusal, "not to be asked"),
    ],
)
def test_what_stays_in_the_record_or_with_people_keeps_the_list(
    database: Database,
    news: MailingList,
    settings: Settings,
    add: Callable[[Database, MailingList], None],
    why: str,
) -> None:
    add(database, news)
    with pytest.raises(Refused, match=why):
        delete(database, news, settings)
    assert MailingList.select().count() == 1
    assert "list_deleted" not in {one.event for one in Evidence.select()}


# --- In the browser and on the command line.


@pytest.fixture
def client(pages: Pages, news: MailingList) -> FlaskClient:
    assert news.slug == "news"
    return admin_client(pages)


def test_the_page_of_the_list_deletes_it_if_that_is_ticked_too(
    database: Database, client: FlaskClient, pages: Pages, tmp_path: Path
) -> None:
    take_in(database, MailingList.get(), plain(tmp_path, ("ask@example.org", "Anna")))
    assert "Delete this list" in words_at(client, f"{URL}/describe")
    post(client, f"{URL}/delete")
    assert "tick that you are sure" in words_at(client, f"{URL}/describe")
    assert post(viewer_client(pages), f"{URL}/delete", sure="yes").status_code == 403
    assert Contact.select().where(Contact.status == Status.UNCONFIRMED).count() == 1
    assert post(client, f"{URL}/delete", sure="yes").status_code == 303
    assert "The list is deleted" in words_at(client, "/admin/")
    assert client.get(f"{URL}/").status_code == 404


def test_a_list_that_stays_has_no_such_button_and_says_why(
    database: Database, client: FlaskClient
) -> None:
    SignUp.create(
        list=MailingList.get(), uid=new_id(), address="j@example.org", address_key="j", at=NOW
    )
    assert "People have signed up to news, so the list stays." in words_at(
        client, f"{URL}/describe"
    )
    make_campaign(database, MailingList.get())
    told = words_at(client, f"{URL}/describe")
    assert "A campaign of news was launched, so the list stays" in told
    assert "Delete the list" not in told
    post(client, f"{URL}/delete", sure="yes")
    assert words_at(client, f"{URL}/describe").count("campaign of news was launched") == 2


def test_the_command_deletes_a_list(desk: Desk) -> None:
    desk.add_news()
    desk.do("import", "news", desk.file("a@example.org"))
    assert desk.do("list", "delete", "news") == "Deleted news.\n"
    assert "there is no list news" in desk.refused("list", "show", "news")
    assert "there is no list news" in desk.refused("list", "delete", "news")
    assert "holds" in desk.do("verify")
