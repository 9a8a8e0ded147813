"""The people on a list, as the admin's pages show them, and what is done for one by hand."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit.answers import record_answer
from repermit.db.connection import Database
from repermit.db.models.accounts import Access
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.evidence import chain, consent_receipt, stored_tree
from repermit.evidence.entries import Entry
from repermit.i18n import catalogues
from repermit.rules.consent import Basis, MailState, Reason, Status
from repermit.smtp.reply_codes import make_refusal_error
from tests.support import independent_verifier
from tests.support.admin_pages import ENGLISH, admin_client, csrf_token, words_at
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
    make_settings,
)
from tests.support.public_pages import Pages, words_of
from tests.unit.reports.test_outcomes_per_day import take_off

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/contacts/"


def look(client: FlaskClient, url: str = URL) -> str:
    return words_at(client, url)


def send(client: FlaskClient, url: str, **fields: Any) -> TestResponse:
    """Send a form, as somebody does who reads English."""
    return client.post(url, data={**fields, "csrf_token": csrf_token(client)}, headers=ENGLISH)


def page_of(contact: Contact) -> str:
    return f"{URL}{contact.id}"


# --- Finding.


def test_the_day_beside_a_person_is_that_of_their_status(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, "a@example.org", since=NOW - timedelta(days=900))
    said = look(client)
    assert "Address Name Status Status since a@example.org" in said
    assert "2 March 2026" in said


def test_all_are_shown_page_by_page_and_no_link_holds_an_address(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    for n in range(52):
        make_contact(database, mailing_list, f"a{n:02}@example.net")
    first = client.get(URL, headers=ENGLISH)
    assert "a49@example.net" in first.text
    assert "a50@example.net" not in first.text
    last = Contact.get(Contact.address == "a49@example.net")
    assert f"/contacts/?after={last.id}" in first.text
    assert "href" in first.text
    assert not [part for part in first.text.split('href="')[1:] if "@" in part.partition('"')[0]]
    second = look(client, f"{URL}?after={last.id}")
    assert "a51@example.net" in second
    assert "Back to the first" in second


def test_they_are_filtered_by_status_and_reason(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, "jan@example.net")
    for n in range(51):
        make_removed(database, mailing_list, Reason.NO, f"no{n}@example.net")
    make_removed(database, mailing_list, Reason.BOUNCE, "back@example.net")
    said = look(client)
    for text in ("not confirmed 1", "removed 52", "removed: said No 51", "no such mailbox 1"):
        assert text in said
    removed = client.get(f"{URL}?status=removed", headers=ENGLISH).text
    assert "jan@example.net" not in removed
    assert "back@example.net" in removed
    assert "status=removed&amp;after=no." in removed or "after=no." in removed
    only = client.get(f"{URL}?status=removed&reason=bounce", headers=ENGLISH).text
    assert "back@example.net" in only
    assert "no1@example.net" not in only
    assert "Nobody was found." in look(client, f"{URL}?status=customer")


def test_a_search_in_an_address_is_no_search(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, "anna@example.net")
    assert "anna@example.net" in look(client, f"{URL}?search=jan@example.net")
    assert {one.act for one in Access.select()} == {"contacts"}


def test_a_search_is_a_post_and_goes_on_to_further_pages(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    for n in range(51):
        make_contact(database, mailing_list, f"jan{n:02}@example.net")
    make_contact(database, mailing_list, "piet@example.net")
    first = send(client, URL + "search", search="jan")
    assert first.status_code == 200
    assert "jan49@example.net" in first.text
    assert "piet@example.net" not in first.text
    after = Contact.get(Contact.address == "jan49@example.net").id
    assert f'name="after" value="{after}"' in first.text
    second = send(client, URL + "search", search="jan", after=str(after))
    assert "jan50@example.net" in second.text
    assert 'name="after"' not in second.text
    assert 'value="jan"' in second.text
    assert {one.act for one in Access.select()} == {"searched"}


def test_that_the_list_was_looked_at_is_noted(
    mailing_list: MailingList, client: FlaskClient
) -> None:
    look(client)
    (noted,) = Access.select()
    assert (noted.act, noted.list, noted.subject) == ("contacts", mailing_list.slug, "")
    assert noted.actor.startswith("user:")


# --- One person.


def test_a_persons_page_tells_their_whole_history_and_is_noted(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_contact(
        database,
        mailing_list,
        "jan@example.net",
        name="Jan",
        language="nl",
        source="the visitors' book",
        since=NOW - timedelta(days=400),
    )
    make_mail(database, campaign, contact, bounce="hard", bounced_at=NOW, bounce_status="5.1.1")
    take_off(database, contact, campaign.id, Reason.BOUNCE)
    said = look(client, page_of(contact))
    for text in (
        "jan@example.net",
        "removed: no such mailbox",
        "the visitors' book",
        "Language Dutch",
        "Was sent the question",
        "The mail came back: no such mailbox (the mail server’s code: 5.1.1)",
        "Removed: no such mailbox",
        "Entry 1 of the record",
    ):
        assert text in said
    assert "Take this person off" not in said
    (noted,) = Access.select()
    assert (noted.act, noted.subject) == ("contact", contact.subject)


def test_a_sign_up_that_a_file_shows_is_said_in_words(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_contact(database, mailing_list, status=Status.CONFIRMED, basis=Basis.THIN)
    with database.atomic():
        chain.append(
            Entry(
                event="confirmed",
                at=NOW,
                actor="user:1",
                list="news",
                subject=contact.subject,
                consent={"method": "web form (Mailchimp OPTIN_TIME, OPTIN_IP)"},
            )
        )
    said = look(client, page_of(contact))
    assert "on a web form, as the file shows (Mailchimp OPTIN_TIME, OPTIN_IP)" in said
    assert "web form" not in client.get(page_of(contact), headers={"Accept-Language": "nl"}).text


def test_what_a_mail_did_is_said_in_words(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_contact(database, mailing_list)
    campaigns = [
        make_campaign(database, mailing_list, state="closed", launched_at=NOW) for _ in MailState
    ]
    for campaign, state in zip(campaigns, MailState, strict=True):
        reason = {"failed": "recipient", "dropped": "too_late"}.get(state, "")
        make_mail(database, campaign, contact, state=state, reason=reason, reply_code=550)
    make_mail(database, campaigns[0], contact, kind="confirm")
    said = look(client, page_of(contact))
    for text in (
        "Is to be sent the question",
        "Was sent the question (the mail server’s code: 550)",
        "Was sent the link to what is held",
        "Could not be sent the question : refused for this address (the mail server’s code: 550)",
        "Was perhaps sent the question: in doubt",
        "Was not sent the question : too late",
    ):
        assert text in said


def test_a_mailbox_that_is_full_or_closed_is_not_said_to_refuse_the_content(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_contact(database, mailing_list)
    campaign = make_campaign(database, mailing_list)
    refusal = make_refusal_error(550, b"5.2.1 this mailbox is disabled", stage="message")
    make_mail(
        database, campaign, contact, state="failed", reason=refusal.scope, reply_code=refusal.code
    )
    assert "question : the server refused the mail (the mail server’s code: 550)" in look(
        client, page_of(contact)
    )


@pytest.mark.parametrize("method", sorted(consent_receipt.TAKEN_BACK))
def test_how_a_yes_of_a_program_was_taken_back_is_said_in_words(
    database: Database, mailing_list: MailingList, client: FlaskClient, method: str
) -> None:
    contact = make_contact(database, mailing_list, status=Status.CONFIRMED, basis=Basis.ANSWER)
    with database.atomic():
        record_answer.retract_yes(contact, method, {}, make_settings(), at=NOW)
    assert "at a request" in look(client, page_of(contact))
    assert method not in look(client, page_of(contact))


@pytest.mark.parametrize(
    ("event", "title"),
    [
        ("still_mailed", "Unsubscribed from a mail that came from elsewhere"),
        ("opted_out", "Opted out in the file"),
        ("something_newer", "something newer"),
    ],
)
def test_what_is_rare_has_a_title_too(
    database: Database, mailing_list: MailingList, client: FlaskClient, event: str, title: str
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO)
    with database.atomic():
        chain.append(
            Entry(event=event, at=NOW, actor="person", list="news", subject=contact.subject)
        )
    assert title in look(client, page_of(contact))


def test_an_erased_contact_has_a_page_without_forms(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO)
    with database.atomic():
        Contact.update(address=None, erased_at=NOW).execute()
    said = look(client, page_of(contact))
    assert "An erased contact" in said
    assert "Record for this person" not in said
    assert "erased" in look(client)


def test_nobody_of_another_list_or_of_none_is_shown(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    stranger = make_contact(database, make_list(database, slug="other"))
    assert client.get(page_of(stranger)).status_code == 404
    assert mailing_list.slug == "news"
    # A language that the world has a code for, and our libraries no name.
    own = make_contact(database, mailing_list, language="bh")
    assert "Language bh" in look(client, page_of(own))
    assert "Nothing is recorded." in look(client, page_of(own))


# --- What is done for one.


@pytest.mark.parametrize("fields", [{"answer": "no", "note": "by phone"}, {}])
def test_nothing_can_be_said_for_somebody_who_is_erased(
    database: Database, mailing_list: MailingList, client: FlaskClient, fields: dict[str, str]
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO)
    with database.atomic():
        Contact.update(address=None, address_key=contact.uid).execute()
    before = Evidence.select().count()
    assert send(client, page_of(contact) + "/answer", **fields).status_code == 409
    assert Evidence.select().count() == before


@pytest.mark.parametrize(("answer", "status"), [("yes", Status.CONFIRMED), ("no", Status.REMOVED)])
def test_an_answer_by_phone_is_recorded_with_its_note(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    answer: str,
    status: Status,
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    url = page_of(contact) + "/answer"
    assert send(client, url, answer=answer, note="by phone, to Anna").status_code == 303
    said = look(client, page_of(contact))
    assert "Recorded." in said
    assert "“by phone, to Anna”" in said
    assert "told to an admin" in said
    assert Contact.get_by_id(contact.id).status == status
    assert Evidence.get().actor.startswith("user:")
    assert "legal representative, as they said" not in said
    send(client, url, answer=answer, note="once more")
    assert "Nothing changed" in look(client, page_of(contact))
    other = {"yes": "no", "no": "yes"}[answer]
    send(client, url, answer=other, note="by phone, the mother", representative="y")
    assert "legal representative, as they said" in look(client, page_of(contact))


def test_on_which_day_an_answer_was_given_and_who_took_it_is_recorded(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    url = page_of(contact) + "/answer"
    told = {"answer": "no", "note": "by phone", "taken_by": "Anna"}
    refused = send(client, url, **told, given_on="2031-01-01")
    assert "That day is still to come." in refused.text
    assert send(client, url, **told, given_on="2026-02-27").status_code == 303
    parts = {row.part: json.loads(row.json) for row in EvidencePart.select()}
    assert parts["consent"]["arrived_at"].startswith("2026-02-27T22:59:59")
    assert parts["person"]["taken_by"] == "Anna"


def test_a_yes_of_a_day_before_the_ask_is_refused(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    told = {"answer": "yes", "note": "by phone", "given_on": "2026-02-27"}
    refused = send(client, page_of(contact) + "/answer", **told)
    assert "asked only after that" in refused.text
    assert Contact.get_by_id(contact.id).status == Status.UNCONFIRMED


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"answer": "yes", "note": " "}, "How, when and to whom? Please fill this in."),
        ({"note": "by phone"}, "What did they say? Please choose."),
    ],
)
def test_an_answer_needs_its_note(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    fields: dict[str, str],
    said: str,
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    response = send(client, page_of(contact) + "/answer", **fields)
    assert response.status_code == 422
    assert said in words_of(response)
    assert Contact.get_by_id(contact.id).status == Status.UNCONFIRMED


def test_a_yes_without_an_open_question_is_refused_and_what_was_typed_stays(
    database: Database, mailing_list: MailingList, pages: Pages
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    pages.clock.move_to(DEADLINE)
    late = admin_client(pages)
    response = send(late, page_of(contact) + "/answer", answer="yes", note="by phone")
    assert response.status_code == 422
    assert "A Yes counts only while a campaign asks for it" in words_of(response)
    assert 'value="by phone"' in response.text


def test_who_asks_for_it_is_taken_off(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_contact(database, mailing_list)
    url = page_of(contact) + "/remove"
    assert send(client, url).status_code == 422
    assert send(client, url, reason="by letter").status_code == 303
    said = look(client, page_of(contact))
    assert "Taken off." in said
    assert "Removed: at a request" in said
    assert "“by letter”" in said
    send(client, url, reason="by letter")
    assert "This cannot be done any more" in look(client, page_of(contact))


PERSON = {"address": "jan@example.net", "source": "the visitors' book"}


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, Status.UNCONFIRMED),
        (
            {"basis": "thin", "proof": "folder 7", "basis_at": "2024-03-03", "name": "Jan"},
            Status.CONFIRMED,
        ),
        ({"basis": "imported", "proof": "folder 7", "wording": "Yes please"}, Status.CONFIRMED),
        ({"basis": "customer", "proof": "bought a lamp"}, Status.CUSTOMER),
    ],
)
def test_somebody_is_added_by_hand(
    client: FlaskClient, more: dict[str, str], status: Status
) -> None:
    assert "Add one by hand" in look(client, URL + "add")
    response = send(client, URL + "add", **PERSON, **more)
    assert response.status_code == 303, words_of(response)
    made = Contact.get()
    assert made.status == status
    assert "Added." in look(client, page_of(made))
    assert (made.since is not None) is ("basis_at" in more)


@pytest.mark.parametrize(
    ("day", "since"),
    [
        ("2026-03-01", NOW.replace(day=1, hour=11)),
        # It is ten in the morning.
        ("2026-03-02", NOW),
    ],
)
def test_a_day_of_agreeing_may_be_today(client: FlaskClient, day: str, since: datetime) -> None:
    basis = {"basis": "thin", "proof": "folder 7", "basis_at": day}
    assert send(client, URL + "add", **PERSON, **basis).status_code == 303
    assert Contact.get().since == since


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({**PERSON, "address": ""}, "E-mail address: Please fill this in."),
        ({**PERSON, "address": "jan"}, "E-mail address: No @ in the address."),
        ({**PERSON, "basis": str(Basis.THIN)}, "What shows it? Say what shows it"),
        (
            {**PERSON, "basis": "imported", "proof": "folder 7"},
            "The text of the form: Give the text of the form",
        ),
        ({**PERSON, "basis": "answer"}, "Not a valid choice"),
        ({**PERSON, "basis": "thin", "proof": "x", "basis_at": "soon"}, "Choose a day."),
        (
            {**PERSON, "basis": "thin", "proof": "x", "basis_at": "2026-03-03"},
            "That day is still to come.",
        ),
        ({**PERSON, "basis": "thin", "proof": "x", "basis_at": "9999-12-31"}, "Choose a day."),
    ],
)
def test_who_cannot_be_added_is_not_and_the_form_says_why(
    client: FlaskClient, fields: dict[str, str], said: str
) -> None:
    response = send(client, URL + "add", **fields)
    assert response.status_code == 422
    assert said in words_of(response)
    assert "the visitors&#39; book" in response.text
    assert not Contact.select().exists()


def test_what_is_wrong_with_an_address_is_said_at_the_address(client: FlaskClient) -> None:
    send(client, URL + "add", **PERSON)
    known = words_of(send(client, URL + "add", **PERSON))
    assert "E-mail address: This address is on the list already" in known


def test_somebody_is_added_with_any_language_that_mails_come_in(client: FlaskClient) -> None:
    page = client.get(URL + "add").text
    for language in catalogues.languages():
        assert f'<option value="{language}">{catalogues.language_name(language)}<' in page
    assert send(client, URL + "add", **PERSON, language="pl").status_code == 303
    assert Contact.get().language == "pl"


def test_a_choice_that_there_is_not_is_refused_in_dutch_too(client: FlaskClient) -> None:
    data = {**PERSON, "language": "tlh", "csrf_token": csrf_token(client)}
    answer = client.post(URL + "add", data=data, headers={"Accept-Language": "nl"})
    assert answer.status_code == 422
    assert "Die keuze is er niet." in words_of(answer)
    assert "valid choice" not in answer.text


def test_a_domain_is_shown_and_found_as_people_write_it(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_contact(database, mailing_list, "anna@bücher.example")
    for typed in ("bücher", "xn--bcher", "anna@bücher.example", "anna@xn--bcher-kva.example"):
        answer = send(client, URL + "search", search=typed)
        assert ">anna@bücher.example</a>" in answer.text
    for url in (URL, page_of(contact), f"{page_of(contact)}/forget"):
        page = client.get(url, headers=ENGLISH)
        assert page.status_code == 200
        assert "anna@bücher.example<" in page.text
        assert "xn--" not in page.text


# --- The proof.


def test_the_proof_is_downloaded_as_the_file_to_check_and_the_page_to_print(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO, "anna@example.org")
    assert "Download the proof" in look(client, page_of(contact))
    answer = send(client, f"{page_of(contact)}/proof")
    name = f"proof-news-{contact.id}"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={name}.zip"
    assert "A proof about this person was made" in look(client, page_of(contact))
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist() == [f"{name}.json", f"{name}.html"]
        record = independent_verifier.check(archive.read(f"{name}.json")).record
        assert "De persoon zei Nee" in archive.read(f"{name}.html").decode()
    assert record["event"][-1]["event_state"] == "dpv:ConsentRefused"
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (last.event, last.subject) == ("proved", contact.subject)
    assert last.actor.startswith("user:")
    looked = Access.get(Access.act == "proved")
    assert looked.subject == contact.subject


def test_a_proof_shows_that_the_record_goes_on_from_a_checkpoint(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO, "anna@example.org")
    url, known = f"{page_of(contact)}/proof", stored_tree.checkpoint().to_json()
    answer = send(client, url, checkpoint=json.dumps(known))
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        document = json.loads(archive.read(f"proof-news-{contact.id}.json"))
    assert document["consistency"]["earlier"] == {"seq": known["seq"], "root": known["root"]}
    wrong = send(client, url, checkpoint=json.dumps({**known, "root": "0" * 64}))
    assert "The record does not go on from that checkpoint" in words_of(wrong)
    before = Evidence.select().count()
    for pasted in ("none", "[" * 50_000):
        assert send(client, url, checkpoint=pasted).status_code == 303
        assert "There is no checkpoint in this." in look(client, page_of(contact))
    assert Evidence.select().count() == before


def test_of_whom_nothing_is_recorded_there_is_no_proof(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    contact = make_contact(database, mailing_list)
    assert "Download the proof" not in look(client, page_of(contact))
    assert send(client, f"{page_of(contact)}/proof").status_code == 409


@pytest.mark.parametrize("sensitive", [False, True])
def test_on_a_sensitive_list_nobody_is_offered_as_a_customer(
    database: Database, client: FlaskClient, sensitive: bool
) -> None:
    with database.atomic():
        MailingList.update(sensitive=sensitive).execute()
    assert ("They are a customer" in words_at(client, f"{URL}add")) is not sensitive
