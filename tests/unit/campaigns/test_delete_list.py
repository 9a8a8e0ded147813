"""A list that was never launched is deleted with what its files brought, and one entry says so."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repermit.campaigns import delete_list
from repermit.db import secure_delete
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import, ImportChange, Upload
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.mails import Mail
from repermit.errors import Refused
from repermit.evidence.verify import chain
from repermit.imports import uploads
from repermit.rules.consent import CampaignState, Status
from repermit.settings.definitions import Settings
from tests.support.admin_pages import admin_client, make_user, post, viewer_client, words_at
from tests.support.builders import NOW, make_campaign, make_contact, make_list
from tests.support.desk import Desk
from tests.support.import_helpers import OPTED_IN, mailchimp, plain, take_in
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
    assert not list(chain.verify())


def test_the_record_holds_where_another_list_takes_the_name(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    take_in_two_files(database, news, tmp_path)
    delete(database, news, settings)
    again = make_list(database)
    take_in(database, again, plain(tmp_path, ("ask@example.org", "Anna"), name="again.csv"))
    assert [one.address for one in Contact.select()] == ["ask@example.org"]
    assert not list(chain.verify())


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
    assert not list(uploads.folder_of(settings).iterdir())
    if not settings.database.startswith("sqlite"):
        return
    secure_delete.wipe_deleted_rows(database)
    path = Path(settings.database.removeprefix("sqlite:///"))
    for file in path.parent.glob(f"{path.name}*"):
        if file.is_file() and "lock" not in file.name:
            kept = file.read_bytes()
            for name in (b"ask@", b"proven@", b"out@", b"waiting@"):
                assert name not in kept, (name, file.name)


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


def test_a_list_that_was_launched_has_no_such_button(
    database: Database, client: FlaskClient
) -> None:
    make_campaign(database, MailingList.get())
    assert "Delete this list" not in words_at(client, f"{URL}/describe")
    post(client, f"{URL}/delete", sure="yes")
    assert "a campaign of news was launched" in words_at(client, f"{URL}/describe").lower()


def test_the_command_deletes_a_list(desk: Desk) -> None:
    desk.add_news()
    desk.do("import", "news", desk.file("a@example.org"))
    assert desk.do("list", "delete", "news") == "Deleted news.\n"
    assert "there is no list news" in desk.refused("list", "show", "news")
    assert "there is no list news" in desk.refused("list", "delete", "news")
    assert "holds" in desk.do("verify")
