"""Erasing one person on the admin's pages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from repermit import email_address
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Upload
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Reason, Status
from repermit.settings.definitions import Settings
from repermit.temporary_files import make_temporary_files
from tests.support.admin_pages import admin_client, make_user, post, words_at
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
)
from tests.support.public_pages import Pages, words_of
from tests.unit.web.admin.test_imports import FILE, hand_in

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/contacts/"
JAN = "jan@example.net"


def test_somebody_is_erased_once_their_address_is_typed(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list), JAN)
    post(client, "/admin/lists/news/handover/export", what="unasked", format="csv").get_data()
    page = f"{URL}{contact.id}"
    assert f"{page}/forget" in client.get(page).text
    said = words_at(client, f"{page}/forget")
    for text in (
        JAN,
        "Nobody can undo this.",
        "This person is still on the list",
        "One mail went to this address",
        "The file “Who could not be asked” of",
        "Backups: let them expire.",
    ):
        assert text in said
    for typed in ("", "jan", "piet@example.net"):
        response = post(client, f"{page}/forget", confirm=typed)
        assert response.status_code == 422
    assert Contact.get().address == JAN
    assert post(client, f"{page}/forget", confirm=" Jan@Example.net").status_code == 303
    found = Contact.get()
    assert (found.address, found.status) == (None, Status.REMOVED)
    entry = Evidence.get(Evidence.event == "erased")
    assert entry.actor.startswith("user:")
    after = words_at(client, page)
    user = User.get()
    for by in (f"(CSV), which {user.email} took", f"of the record, {user.email}"):
        assert by in after
    assert "Erased. Within a minute" in after
    assert "An erased contact" in after
    assert "The file “Who could not be asked” of" in after
    assert "Erase what is held" not in after
    # Twice is once.
    assert client.get(f"{page}/forget").status_code == 409
    assert post(client, f"{page}/forget", confirm=JAN).status_code == 409


@pytest.mark.parametrize("everywhere", ["", "yes"])
def test_a_file_that_is_being_written_meanwhile_is_named(
    database: Database,
    settings: Settings,
    mailing_list: MailingList,
    client: FlaskClient,
    everywhere: str,
) -> None:
    contact = make_contact(database, mailing_list, JAN)
    page = f"{URL}{contact.id}"
    target = settings.sqlite_path
    assert target is not None
    with make_temporary_files(settings).file_for(target.with_name("news.zip")) as part:
        post(client, f"{page}/forget", confirm=JAN, everywhere=everywhere)
        assert f"and the address may be in it: {part}" in words_at(client, page)
        assert part.exists()


def test_somebody_is_erased_on_every_list_at_once(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_contact(database, mailing_list, JAN)
    page = f"{URL}{contact.id}"
    assert "on every other list" not in words_at(client, f"{page}/forget")
    club, other = make_list(database, slug="club"), make_list(database, slug="other")
    make_contact(database, club, JAN)
    make_contact(database, other, "piet@example.net")
    assert "Also on every other list here" in words_at(client, f"{page}/forget")
    again = post(client, f"{page}/forget", confirm="jan", everywhere="yes")
    assert 'value="yes" checked' in again.text
    assert Evidence.select().where(Evidence.event == "erased").count() == 0
    assert post(client, f"{page}/forget", confirm=JAN, everywhere="yes").status_code == 303
    assert "Erased on every list. It was held on: club, news." in words_at(client, page)
    assert {one.address for one in Contact.select()} == {None, "piet@example.net"}
    erased = Evidence.select().where(Evidence.event == "erased")
    assert {(one.list, one.actor.partition(":")[0]) for one in erased} == {
        ("club", "user"),
        ("news", "user"),
    }


@pytest.mark.parametrize("everywhere", ["", "yes"])
def test_an_address_that_somebody_logs_in_with_is_said_to_stay_there(
    database: Database, mailing_list: MailingList, client: FlaskClient, everywhere: str
) -> None:
    stays = "Somebody also logs in here with this address."
    contact, other = make_contact(database, mailing_list, JAN), make_contact(database, mailing_list)
    page = f"{URL}{contact.id}"
    assert stays not in words_at(client, f"{page}/forget")
    make_user(database, email=JAN)
    assert stays in words_at(client, f"{page}/forget")
    assert stays not in words_at(client, f"{URL}{other.id}/forget")
    post(client, f"{page}/forget", confirm=JAN, everywhere=everywhere)
    assert f"{stays} Under Users you can remove them" in words_at(client, page)
    assert User.select().where(User.email == JAN).exists()


def test_who_once_had_the_address_of_somebody_elsewhere_is_not_erased_with_them(
    database: Database, mailing_list: MailingList, settings: Settings, client: FlaskClient
) -> None:
    contact = make_contact(database, mailing_list, JAN)
    moved = make_contact(database, make_list(database, slug="club"), "new@example.net")
    with database.atomic():
        Contact.update(has_predecessor=True).where(Contact.id == moved.id).execute()
        Suppression.create(
            list=moved.list,
            fingerprint=email_address.fingerprint(settings.fingerprint_key, JAN),
            subject=moved.subject,
            reason=Reason.REQUEST,
            at=NOW,
        )
    refused = post(client, f"{URL}{contact.id}/forget", confirm=JAN, everywhere="yes")
    assert refused.status_code == 422
    assert "nothing was erased there" in words_of(refused)
    assert Contact.get_by_id(contact.id).address == JAN


def test_a_file_that_waits_goes_with_whoever_is_in_it_and_says_so(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contacts = [
        make_contact(database, mailing_list, address) for address in (JAN, "piet@example.net")
    ]
    hand_in(client, f"email\n{JAN}\n")
    for contact, has_file in reversed(list(zip(contacts, (False, True), strict=True))):
        page = f"{URL}{contact.id}/forget"
        assert "if it holds this address, it is deleted with it" in words_at(client, page)
        post(client, page, confirm=contact.address)
        assert (JAN in words_at(client, FILE)) is has_file
    said = words_at(client, FILE)
    assert "This file cannot be taken in yet" in said
    assert "Somebody whose address may be in this file was erased, and the file with it" in said
    assert "Iemand van wie het adres" in client.get(FILE, headers={"Accept-Language": "nl"}).text
    assert post(client, f"{FILE}/give-up", upload=Upload.get().token).status_code == 303
    assert "cannot be taken in" not in words_at(client, FILE)


def test_of_who_was_taken_off_it_says_no_more_that_they_are_on_the_list(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    gone = make_removed(database, mailing_list, Reason.NO, JAN)
    said = words_of(client.get(f"{URL}{gone.id}/forget"))
    assert "still on the list" not in said
    assert "mail went to" not in said


def test_the_pages_tell_who_is_erased_next_and_when(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list, state="closed", closed_at=NOW)
    make_contact(database, mailing_list)
    for place in ("", "handover/"):
        assert "or soon after" not in words_at(client, f"/admin/lists/news/{place}")


def test_the_pages_tell_that_removals_are_to_be_handed_over_before(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list, state="closed", closed_at=NOW)
    make_removed(database, mailing_list, Reason.NO)
    for place in ("", "handover/"):
        said = words_at(client, f"/admin/lists/news/{place}")
        assert "One person who was taken off is erased on" in said
        assert "hand the removals over before" in said


def test_the_pages_tell_how_many_are_still_to_be_erased(
    database: Database, mailing_list: MailingList, pages: Pages
) -> None:
    make_campaign(database, mailing_list, state="closed", closed_at=NOW)
    make_removed(database, mailing_list, Reason.NO)
    pages.clock.advance(timedelta(days=30))
    client = admin_client(pages)
    for place in ("", "handover/"):
        said = words_at(client, f"/admin/lists/news/{place}")
        assert "One person who was taken off is still to be erased today; that has begun." in said
        assert "hand the removals over before" not in said
