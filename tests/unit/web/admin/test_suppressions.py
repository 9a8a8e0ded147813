"""Who is not to be asked, on the pages: fingerprints handed over, files taken in."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Basis, Reason, Status
from repermit.settings.definitions import Settings
from repermit.suppression import fingerprint_files
from tests.support.admin_pages import ENGLISH, csrf_token
from tests.support.builders import NOW, make_contact, make_list, make_removed
from tests.support.chain_faults import iter_chain_faults
from tests.support.public_pages import words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

URL = "/admin/lists/news/suppressions"
JAN, PIET, ANNA = "jan@example.org", "piet@example.org", "anna@example.org"

pytestmark = pytest.mark.usefixtures("mailing_list")


def send(client: FlaskClient, to: str, /, url: str = URL, **fields: Any) -> TestResponse:
    """Send a form, as somebody does who reads English."""
    data = {**fields, "csrf_token": csrf_token(client)}
    return client.post(f"{url}/{to}", data=data, headers=ENGLISH)


def file(text: str, name: str = "off.csv") -> tuple[io.BytesIO, str]:
    return io.BytesIO(text.encode()), name


def last_entry() -> tuple[Evidence, dict[str, Any]]:
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    part = EvidencePart.get(EvidencePart.seq == entry.seq, EvidencePart.part == "consent")
    return entry, json.loads(part.json)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_fingerprints_go_from_one_list_to_another(
    database: Database, mailing_list: MailingList, client: FlaskClient, admin: User, form: str
) -> None:
    make_removed(database, mailing_list, Reason.NO, JAN)
    make_removed(database, mailing_list, Reason.COMPLAINT, PIET)
    club = make_list(database, slug="club")
    make_contact(database, club, JAN)
    response = send(client, "export", format=form)
    assert f"news-suppressions.{form}" in response.headers["Content-Disposition"]
    made = response.text
    assert "@" not in made
    entry, told = last_entry()
    assert (entry.event, entry.actor) == ("exported", f"user:{admin.id}")
    assert told == {
        "what": "suppressions", "format": form, "tool": "", "rows": 2, "with_links": False,
    }  # fmt: skip

    there = "/admin/lists/club/suppressions"
    looked = send(client, "look", there, file=file(made, f"out.{form}"))
    assert "Nothing was written" in words_of(looked)
    assert "One of them is on the list, and would be taken off." in words_of(looked)
    assert Suppression.select().where(Suppression.list == club).count() == 0
    taken = words_of(send(client, "import", there, file=file(made, f"out.{form}"), sure="yes"))
    assert "The file was taken in. 2 rows. The file holds fingerprints" in taken
    assert "One of them was on the list, and is off it now." in taken
    entry, told = last_entry()
    assert (entry.event, entry.actor) == ("suppressions_imported", f"user:{admin.id}")
    assert (entry.list, told["added"], told["removed"]) == ("club", 2, 1)
    assert Contact.get(Contact.list == club).status == Status.REMOVED
    assert list(iter_chain_faults()) == []


class Full(io.BytesIO):
    """A disk that is full after the second line."""

    def write(self, text: Any, /) -> int:
        if self.getvalue().count(b"\n") > 1:
            raise OSError("full")
        return super().write(text)


def test_a_file_that_was_not_finished_is_recorded_as_what_it_is(
    database: Database, settings: Settings, mailing_list: MailingList
) -> None:
    asked: dict[str, Any] = {"settings": settings, "now": NOW, "actor": "cli:keeper"}
    with pytest.raises(OSError, match="full"):
        fingerprint_files.write_suppressions(
            database, mailing_list, out=Full(b"\n\n"), form="csv", **asked
        )
    assert not Evidence.select().exists(), "nothing of anybody left"
    for address in (JAN, PIET, ANNA):
        make_removed(database, mailing_list, Reason.NO, address)
    before = Evidence.select().count()
    with pytest.raises(OSError, match="full"):
        fingerprint_files.write_suppressions(
            database, mailing_list, out=Full(), form="csv", **asked
        )
    assert Evidence.select().count() == before + 1
    _, told = last_entry()
    assert (told["rows"], told["whole"]) == (2, False)


def test_without_anybody_the_file_is_empty(client: FlaskClient) -> None:
    assert send(client, "export", format="json").json == []
    assert send(client, "export", format="csv").text == "key,fingerprint,reason,at,subject\n"
    assert send(client, "export", format="xlsx").status_code == 400


def test_addresses_of_another_tool_are_taken_off_but_for_who_said_yes_here(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, JAN)
    make_contact(database, mailing_list, ANNA, status=Status.CONFIRMED, basis=Basis.ANSWER)
    given = file(f"wie;nr\n{JAN};1\n{ANNA};2\n{PIET};3\n{JAN};4\nniemand;5\n")
    said = words_of(send(client, "import", file=given, sure="yes", column="A"))
    assert "5 rows. The file holds addresses." in said
    for words in (
        "2 Not to be asked from now on",
        "1 Said Yes here themselves, which holds",
        "1 Are no address",
        "1 Stood in the file before",
    ):
        assert words in said
    standing = {one.address: one.status for one in Contact.select()}
    assert standing == {JAN: Status.REMOVED, ANNA: Status.CONFIRMED}


def test_hashes_that_fit_nobody_are_said_to_be_lost(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, JAN)
    hashes = [hashlib.md5(one.encode(), usedforsecurity=False).hexdigest() for one in (JAN, PIET)]
    said = words_of(send(client, "look", file=file("\n".join(hashes), "hashes.txt")))
    assert "The file holds hashes of addresses" in said
    assert "1 Hashes that fit nobody on the list" in said
    assert "A hash does not tell its address" in said


@pytest.mark.parametrize(
    ("to", "fields", "why"),
    [
        ("look", {}, "Choose a file first."),
        ("import", {"sure": "yes"}, "Choose a file first."),
        ("import", {"file": ""}, "Look at the file first, or say that you are sure."),
    ],
)
def test_what_is_missing_is_said(
    client: FlaskClient, to: str, fields: dict[str, str], why: str
) -> None:
    response = send(client, to, **fields)
    assert response.status_code == 422
    assert why in words_of(response)


def test_nothing_is_taken_in_unless_somebody_is_sure(client: FlaskClient) -> None:
    assert send(client, "import", file=file(f"email\n{JAN}\n")).status_code == 422
    assert not Suppression.select().exists()


def test_a_file_that_cannot_be_read_says_why(client: FlaskClient) -> None:
    response = send(client, "look", file=file("one,two\nthree,four\n"), column="Z")
    assert response.status_code == 422
    assert "There is no column" in words_of(response)
    assert 'value="Z"' in response.text, "what was typed stays"
    row = f"0,{'a' * 64},no,2026-01-01T00:00:00+00:00,{'b' * 32}"
    other = file(f"key,fingerprint,reason,at,subject\n{row}\n")
    said = words_of(send(client, "look", file=other))
    assert "These fingerprints were made under another" in said


def test_the_pages_of_a_list_lead_there(client: FlaskClient) -> None:
    for path in ("handover/", "contacts/"):
        assert f'href="{URL}"' in client.get(f"/admin/lists/news/{path}").text
    page = client.get(URL, headers=ENGLISH)
    assert "only their own later Yes lifts that" in words_of(page)
