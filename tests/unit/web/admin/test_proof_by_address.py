"""A proof, and erasure, by an address that somebody names."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.contacts import erasure, lookup
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.accounts import Access
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Reason
from repermit.settings.definitions import Settings
from repermit.temporary_files import make_temporary_files
from tests.support import independent_verifier
from tests.support.admin_pages import ENGLISH, csrf_token, make_user
from tests.support.builders import NOW, make_contact, make_list, make_removed
from tests.support.public_pages import words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/address"
JAN = "jan@example.org"


def send(client: FlaskClient, to: str, /, **fields: Any) -> TestResponse:
    """Send a form, as somebody does who reads English."""
    data = {**fields, "csrf_token": csrf_token(client)}
    return client.post(f"{URL}/{to}", data=data, headers=ENGLISH)


def erase(client: FlaskClient, address: str = JAN, **fields: str) -> str:
    response = send(client, "forget", address=address, sure="yes", **fields)
    assert response.status_code == 200
    return words_of(response)


def test_whoever_was_erased_is_proved_by_naming_the_address(
    database: Database, settings: Settings, mailing_list: MailingList, client: FlaskClient
) -> None:
    assert f'href="{URL}"' in client.get("/admin/lists/news/contacts/").text
    contact = make_removed(database, mailing_list, Reason.NO, JAN)
    with database.atomic():
        held, act = lookup.lock_contact(contact.id), Act(at=NOW, actor="person")
        erasure.erase_contact(held, act=act, fingerprint_key=settings.fingerprint_key)
    answer = send(client, "proof", address="Jan@Example.org")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist() == ["proof-news.json", "proof-news.html"]
        independent_verifier.check(archive.read("proof-news.json"))
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (last.event, last.subject) == ("proved", contact.subject)
    assert last.actor.startswith("user:")
    assert Access.get(Access.act == "proved").subject == contact.subject


@pytest.mark.parametrize(
    ("address", "why"),
    [("nobody@example.org", "Nothing is recorded of this address"), ("jan", "@")],
)
def test_of_whom_there_is_no_proof_is_said(client: FlaskClient, address: str, why: str) -> None:
    response = send(client, "proof", address=address)
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert why in words_of(response)
    assert f'value="{address}"' in response.text, "what was typed stays"
    assert send(client, "forget", address="jan", sure="yes").status_code == 422


def test_an_address_is_erased_where_it_is_held_and_said_to_be_nowhere_else(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, JAN)
    make_contact(database, make_list(database, slug="club"), JAN)
    make_user(database, email=JAN)
    said = erase(client)
    assert "news: was held, and is erased." in said
    assert "It is still held on: club." in said
    assert "Somebody also logs in here with this address." in said
    assert "Backups: let them expire." in said
    said = erase(client, everywhere="yes")
    assert "club: was held, and is erased." in said
    assert "news: nothing is held but a fingerprint" in said
    assert {one.address for one in Contact.select()} == {None}
    erased = Evidence.select().where(Evidence.event == "erased")
    assert {one.actor.partition(":")[0] for one in erased} == {"user"}


def test_of_an_address_that_is_not_held_a_fingerprint_is_kept_if_that_is_wanted(
    client: FlaskClient,
) -> None:
    assert "news: nothing is held of this address." in erase(client)
    assert not Suppression.select().exists()
    assert "Its fingerprint is kept, so that no file brings it back." in erase(
        client, suppress="yes"
    )
    assert Suppression.select().count() == 1


@pytest.mark.exhaustive
def test_nothing_is_erased_unless_somebody_is_sure(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, JAN)
    response = send(client, "forget", address=JAN, everywhere="yes")
    assert response.status_code == 422
    assert "Say that you are sure." in words_of(response)
    assert Contact.get().address == JAN


def test_a_file_that_is_being_written_meanwhile_is_named(
    settings: Settings, client: FlaskClient, tmp_path: Path
) -> None:
    with make_temporary_files(settings).file_for(tmp_path / "news.zip") as part:
        assert f"and the address may be in it: {part}" in erase(client)
    assert "may be in it" not in erase(client)
