"""The pages about what is held: what a forwarded mail shows, and what a fresh link opens."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import audit_log
from repermit.answers import join, record_answer
from repermit.contacts import human_replies, lookup, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.evidence import chain, entries
from repermit.exports import export
from repermit.imports import uploads
from repermit.reports import register_notes
from repermit.rules.consent import Answer, Basis, Reason, Status
from repermit.settings.definitions import Settings
from repermit.signed_links import Kind
from tests.support.admin_pages import make_user
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
)
from tests.support.one_time_links import newest
from tests.support.public_pages import (
    Pages,
    erase,
    everything_in,
    heading_of,
    without_spans,
    words_of,
)

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

GONE = "De gegevens bij deze link zijn gewist"
OVER = "Deze link is niet meer geldig"


@pytest.fixture
def anna(database: Database, mailing_list: MailingList) -> Contact:
    """Return somebody of a running campaign."""
    contact = make_asked(
        database, mailing_list, make_campaign(database, mailing_list), "anna@example.org"
    )
    Contact.update(name="Anna Berg", source="het formulier aan de balie").execute()
    return Contact.get_by_id(contact.id)


def opened(pages: Pages, contact: Contact, **more: Any) -> TestResponse:
    """Ask for a link, and press the button behind it."""
    pages.post("me", contact.uid, data={"do": "link"})
    return pages.post("fresh", newest().uid, **more)


def authority_in(response: TestResponse) -> str:
    found = re.search(r'name="authority" value="([^"]+)"', response.text)
    assert found
    return found[1]


def act(pages: Pages, authority: str, what: str, **fields: str) -> TestResponse:
    return pages.client.post(f"/held/{what}", data={"authority": authority, **fields})


# --- What somebody to whom a mail was forwarded may see. -----------------------------------------


def test_a_forwarded_mail_shows_the_status_and_nothing_that_it_does_not_say_itself(
    pages: Pages, anna: Contact
) -> None:
    pages.clock.advance(timedelta(days=1))
    pages.post("yes", anna.uid)
    said = words_of(pages.get("me", anna.uid))
    for text in ("a…a@example.org", "Nieuws van de praktijk", "Op de lijst", "Stuur mij een link"):
        assert text in said
    for hidden in ("anna@", "Anna", "Berg", "balie", "dinsdag 3 maart", "Uw Ja op onze vraag"):
        assert hidden not in said


def test_that_somebody_elses_representative_answered_is_among_what_is_held(
    pages: Pages, anna: Contact
) -> None:
    pages.post("yes", anna.uid, query_string={"as": "representative"})
    response = opened(pages, anna)
    assert "Door uw wettelijk vertegenwoordiger" in words_of(response)
    document = act(pages, authority_in(response), "download").get_json()
    assert document["evidence"][0]["consent"]["given_by"] == "representative"


def test_the_answer_is_still_one_link_away(pages: Pages, anna: Contact) -> None:
    text = pages.get("me", anna.uid).text
    assert f'href="{pages.links.url("no", anna.uid)}"' in text
    pages.post("no", anna.uid)
    response = pages.get("me", anna.uid)
    assert "u antwoordde Nee" in words_of(response)
    assert "/join/news" in response.text
    assert f'action="{pages.links.url("no", anna.uid)}"' not in response.text


def test_who_is_not_the_person_meant_needs_one_press(pages: Pages, anna: Contact) -> None:
    response = pages.post("me", anna.uid, data={"do": "not_me"})
    assert (response.status_code, heading_of(response)) == (200, "Bedankt voor het melden")
    assert "a…a@example.org" in words_of(response)
    assert "anna@" not in response.text
    assert Contact.get().reason == Reason.REQUEST
    assert Mail.get(Mail.kind == "notice").topic == f"not_the_person {anna.id}"
    again = pages.post("me", anna.uid, data={"do": "not_me"})
    assert heading_of(again) == "Bedankt voor het melden"
    said = words_of(opened(pages, anna))
    assert "iemand op dit adres was niet de bedoelde persoon" in said
    assert "Door iemand die de mail op dit adres leest" in said
    for text in (said, words_of(pages.get("me", anna.uid))):
        assert "Van de lijst gehaald: daarom is gevraagd" in text
        assert "u heeft erom gevraagd" not in text


def test_taking_off_is_promised_only_to_whom_is_on_the_list(pages: Pages, anna: Contact) -> None:
    assert "Dan halen wij het van de lijst" in words_of(pages.get("me", anna.uid))
    Contact.update(status=Status.REMOVED, reason=Reason.NO_RESPONSE).execute()
    said = words_of(pages.get("me", anna.uid))
    assert "voor iemand anders? Dan gaan wij na waar wij het vandaan hebben" in said
    assert "Dan halen wij het van de lijst" not in said


@pytest.mark.parametrize("is_off", [False, True])
def test_only_who_is_on_the_list_is_said_to_be_taken_off(
    pages: Pages, anna: Contact, *, is_off: bool
) -> None:
    if is_off:
        Contact.update(status=Status.REMOVED, reason=Reason.NO_RESPONSE).execute()
    token = authority_in(opened(pages, anna))
    leaving = words_of(act(pages, token, "leave"))
    assert ("U wordt van de lijst gehaald." in leaving) is not is_off
    assert "Niemand kan dit ongedaan maken." in leaving
    told = words_of(pages.post("me", anna.uid, data={"do": "not_me"}))
    assert ("Wij hebben a…a@example.org van deze lijst gehaald" in told) is not is_off
    assert (
        "a…a@example.org staat niet meer op deze lijst en wij vragen het niet opnieuw." in told
    ) is is_off


def test_who_never_answered_is_not_said_to_have_answered(pages: Pages, anna: Contact) -> None:
    Contact.update(status=Status.REMOVED, reason=Reason.NO_RESPONSE).execute()
    held = words_of(opened(pages, anna))
    assert "Het bewijs van wat er is gevraagd en geantwoord: " in held
    erase(pages, anna)
    erased = words_of(pages.get("me", anna.uid))
    assert "wat er is gevraagd en geantwoord, zonder adres en naam: " in erased
    for text in (held, erased):
        assert "u geantwoord hebt" not in text
        assert "iemand heeft geantwoord" not in text


def test_a_wish_for_nothing_is_refused(pages: Pages, anna: Contact) -> None:
    before = everything_in(pages.database)
    for data in ({}, {"do": "delete"}):
        assert pages.post("me", anna.uid, data=data).status_code == 400
    assert everything_in(pages.database) == before


@pytest.mark.parametrize("do", ["link", "not_me"])
def test_of_who_is_gone_nothing_is_held(pages: Pages, anna: Contact, do: str) -> None:
    erase(pages, anna)
    before = everything_in(pages.database)
    assert heading_of(pages.get("me", anna.uid)) == GONE
    assert heading_of(pages.post("me", anna.uid, data={"do": do})) == GONE
    assert everything_in(pages.database) == before


def test_the_page_is_the_same_whether_or_not_a_mail_leaves_at_once(
    pages: Pages, anna: Contact
) -> None:
    answered = [pages.post("me", anna.uid, data={"do": "link"}).text for _ in range(5)]
    assert len(set(answered)) == 1
    assert "<span>a…a</span>@example.org" in answered[0]
    assert FreshLink.select().where(FreshLink.at == NOW).count() == 3
    assert FreshLink.select().count() == 4


def test_whoever_fills_in_an_address_keeps_its_holder_from_no_link(
    pages: Pages, anna: Contact
) -> None:
    for _ in range(25):
        pages.client.post("/join/news", data={"address": "anna@example.org"})
    assert pages.post("me", anna.uid, data={"do": "link"}).status_code == 200
    assert [row.mail.due_at for row in FreshLink.select()] == [NOW]


def test_the_page_says_what_it_is_about_and_until_when_it_works(
    pages: Pages, anna: Contact
) -> None:
    said = words_of(opened(pages, anna))
    assert "Dit gaat over deze lijst. Deze pagina werkt tot maandag 2 maart" in said
    assert "Op welke rechtsgrond wij u mogen mailen" in said


# --- The fresh link. -----------------------------------------------------------------------------


def test_a_scanner_neither_uses_the_link_up_nor_sees_anything(pages: Pages, anna: Contact) -> None:
    pages.post("me", anna.uid, data={"do": "link"})
    uid = newest().uid
    before = everything_in(pages.database)
    for method in ("GET", "HEAD", "OPTIONS") * 3:
        response = pages.client.open(pages.path("fresh", uid), method=method)
        assert response.status_code == 200
        for hidden in ("anna", "Anna", "a…a", "balie", "Nieuws van"):
            assert hidden not in response.text
    assert everything_in(pages.database) == before
    assert pages.get("fresh", uid).text.count("<form") == 1
    assert heading_of(pages.post("fresh", uid)) == "Alles wat wij van u bewaren"


def test_a_link_that_was_used_or_is_late_offers_a_fresh_one(pages: Pages, anna: Contact) -> None:
    opened(pages, anna)
    used = newest().uid
    pages.post("me", anna.uid, data={"do": "link"})
    late = newest().uid
    for uid, reason in ((used, "is al gebruikt"), (late, "één uur geldig")):
        if uid == late:
            pages.clock.advance(timedelta(hours=1))
        for response in (pages.get("fresh", uid), pages.post("fresh", uid)):
            assert heading_of(response) == OVER
            assert reason in words_of(response)
            assert pages.links.url("me", anna.uid) in response.text
            assert "anna" not in response.text.lower()


def test_a_link_that_is_forgotten_or_forged(pages: Pages, anna: Contact) -> None:
    uid = new_id()
    kinds: tuple[Kind, ...] = ("fresh", "address")
    for kind in kinds:
        assert heading_of(pages.get(kind, uid)) == OVER
        assert heading_of(pages.post(kind, uid)) == OVER
        token = pages.links.token("address" if kind == "fresh" else "fresh", uid)
        assert pages.client.get(f"/{kind}/{token}").status_code == 404
        assert pages.client.post(f"/{kind}/{token}").status_code == 404
    assert pages.client.post("/held/show", data={"authority": "x"}).status_code == 404
    # A link for one thing opens nothing else.
    token = pages.links.token("me", anna.uid)
    assert pages.client.post("/held/show", data={"authority": token}).status_code == 404


# --- What it opens. ------------------------------------------------------------------------------


def furnish(pages: Pages, anna: Contact) -> None:
    """Have everything happen to a person that can."""
    database, news = pages.database, MailingList.get()
    campaign = make_campaign(database, news, state="closed")
    for state, kind in (
        ("failed", "ask"),
        ("dropped", "reminder"),
        ("in_doubt", "receipt"),
        ("queued", "confirm"),
    ):
        make_mail(database, campaign, anna, kind=kind, state=state)
    for kind in ("hard", "soft", "complaint"):
        make_mail(database, campaign, anna, kind="receipt", bounce=kind, bounced_at=NOW)
    with database.atomic():
        file = Import.create(list=news, file="leden.xlsx", digest="0" * 64, counts="{}", at=NOW)
        Contact.update(imported_by=file, since=NOW).where(Contact.id == anna.id).execute()
        audit_log.record_access(
            now=NOW, actor="user:1", act="contact", mailing_list=news, subject=anna.subject
        )
    human_replies.save_reply(anna, digest="d" * 64, proposed="yes", at=NOW, decided_at=None)
    join.request_sign_up(database, news, address="anna@example.org", name="", language="", now=NOW)
    record_answer.record_reported_answer(
        database,
        news,
        "anna@example.org",
        Answer.YES,
        note="by phone",
        settings=pages.settings,
        now=NOW,
        actor="user:1",
    )


def test_everything_is_shown_to_whoever_has_the_link(pages: Pages, anna: Contact) -> None:
    furnish(pages, anna)
    said = words_of(opened(pages, anna))
    for text in (
        "anna@example.org",
        "Anna Berg",
        "het formulier aan de balie",
        "Uw adres kwam mee met het bestand ‘leden.xlsx’",
        "Met uw adres is om deze mails gevraagd",
        "Verstuurd, en door een mailserver aangenomen: de vraag of wij u mogen mailen",
        "Kon niet verstuurd worden: de vraag of wij u mogen mailen",
        "Toch niet verstuurd: de herinnering aan die vraag",
        "Misschien verstuurd: het ontvangstbewijs van uw Ja",
        "Wordt nog verstuurd: de link naar wat wij van u bewaren",
        "dit postvak bestaat niet",
        "Als ongewenst gemeld op",
        "U schreef ons een mail terug",
        "Uw Ja is vastgelegd Door ons ‘by phone’ Erbij bewaard: het adres anna@example.org",
        "Wanneer iemand van ons uw gegevens bekeek maandag 2 maart 2026, 10:00 uur",
        "De beheerder van de server waarop dit staat: ask.example.org.",
        "tot 5 jaar nadat u van de lijst bent gegaan",
        "365 dagen",
        "Autoriteit Persoonsgegevens",
        "privacyverklaring",
    ):
        assert text in said, text
    assert "user:1" not in said


@pytest.mark.parametrize(
    "reason", [Reason.NO_RESPONSE, Reason.BOUNCE, Reason.COMPLAINT, Reason.REQUEST, Reason.NO]
)
def test_that_the_address_is_not_asked_again_is_told_as_no_wish_of_its_holder(
    pages: Pages, mailing_list: MailingList, reason: Reason
) -> None:
    said = words_of(opened(pages, make_removed(pages.database, mailing_list, reason)))
    assert "Een code waaruit uw adres niet af te lezen is" in said
    assert "niet wilt" not in said


def test_a_customer_since_a_day_is_told_that_day(pages: Pages, mailing_list: MailingList) -> None:
    customer = make_contact(
        pages.database,
        mailing_list,
        status=Status.CUSTOMER,
        basis=Basis.CUSTOMER,
        basis_at=datetime(2018, 7, 14, 22, 0, tzinfo=UTC),
    )
    said = words_of(opened(pages, customer))
    assert "sinds zondag 15 juli 2018" in said
    assert "24:00" not in said


def test_what_was_recorded_is_told_in_words(pages: Pages, mailing_list: MailingList) -> None:
    left = make_removed(pages.database, mailing_list, Reason.NO)
    told: tuple[tuple[str, dict[str, str], str], ...] = (
        ("confirmed", {"basis": "thin"}, "Uw eerdere aanmelding is overgenomen"),
        ("removed", {}, "U bent van de lijst gehaald"),
        ("customer", {}, "U bent als klant genoteerd"),
        ("something_new", {}, "something new"),
    )
    with pages.database.atomic():
        for event, consent, _words in told:
            chain.append(
                entries.Entry(
                    event=event,
                    at=NOW,
                    actor="job",
                    list="news",
                    subject=left.subject,
                    consent=consent,
                    trace={"network": "198.51.100.0/24"},
                )
            )
        Suppression.create(
            list=None,
            fingerprint=lookup.make_fingerprint(left, pages.settings.fingerprint_key),
            subject=left.subject,
            reason="no",
            at=NOW,
        )
    said = words_of(opened(pages, left))
    for _event, _consent, words in told:
        assert words in said
    for text in (
        "u antwoordde Nee",
        "Dit adres krijgt sinds maandag 2 maart 2026, 10:00 uur geen mail meer van deze lijst",
        "Dit adres krijgt sinds maandag 2 maart 2026, 10:00 uur geen mail meer van onze lijsten",
        "Automatisch",
        "tot zondag 2 maart 2031",
        "tot woensdag 1 april 2026; dan worden ze automatisch gewist",
        "het netwerk 198.51.100.0/24, de browser ‘–’",
        "Nooit, voor zover dat is genoteerd.",
    ):
        assert text in said, text
    assert "/join/news" in opened(pages, left).text


# --- What may be done there. ---------------------------------------------------------------------


def test_name_and_language_are_corrected(pages: Pages, anna: Contact) -> None:
    token = authority_in(opened(pages, anna))
    response = act(pages, token, "correct", name=" Anna	van den Berg ", language="fr")
    assert response.status_code == 200
    assert "Het is verbeterd." in words_of(response)
    assert 'value="Anna van den Berg"' in response.text
    row = Contact.get_by_id(anna.id)
    assert (row.name, row.language) == ("Anna van den Berg", "fr")
    again = act(pages, token, "correct", name="Anna van den Berg", language="fr")
    assert "Er was niets te verbeteren." in words_of(again)


def test_an_address_is_corrected_by_a_mail_to_the_new_one(pages: Pages, anna: Contact) -> None:
    token = authority_in(opened(pages, anna))
    sent = act(pages, token, "address", address="new@example.org")
    assert heading_of(sent) == "Kijk in de mail van uw nieuwe adres"
    uid = newest("address").uid
    before = everything_in(pages.database)
    shown = pages.get("address", uid)
    assert heading_of(shown) == "Nog niet vastgelegd: druk nog één keer"
    assert "n…w@example.org" in words_of(shown)
    # Whoever reads there learns nothing of whose address it is to replace.
    for hidden in ("anna", "Berg", "balie"):
        assert hidden not in shown.text.lower()
    assert everything_in(pages.database) == before
    moved = pages.post("address", uid)
    assert heading_of(moved) == "Uw nieuwe adres geldt voortaan"
    assert "gewist en krijgt" in words_of(moved)
    assert "anna" not in moved.text.lower()
    assert Contact.get_by_id(anna.id).address == "new@example.org"
    for again in (pages.get("address", uid), pages.post("address", uid)):
        assert heading_of(again) == OVER
        assert pages.links.url("me", anna.uid) in again.text
    said = words_of(act(pages, token, "show"))
    assert "new@example.org" in said
    assert "balie. maandag 2 maart 2026, 10:00 uur: Uw adres is gewijzigd. Op de lijst" in said
    assert "Uw adres is gewijzigd Door u, of met een link van u" in said


def test_links_in_mails_to_the_former_address_tell_nothing_of_the_new_one(
    pages: Pages, anna: Contact
) -> None:
    token = authority_in(opened(pages, anna))
    act(pages, token, "address", address="bert@new-employer.example")
    pages.post("address", newest("address").uid)
    kinds: tuple[Kind, ...] = ("yes", "no", "me")
    shown = [pages.get(kind, anna.uid) for kind in kinds]
    shown += [pages.say_yes(anna.uid), pages.get("receipt", anna.uid)]
    shown += [pages.post("me", anna.uid, data={"do": do}) for do in ("link", "not_me")]
    shown += [pages.post("no", anna.uid)]
    for response in shown:
        assert response.status_code == 200
        assert "…@…" in words_of(response)
        for hidden in ("bert", "b…t", "new-employer"):
            assert hidden not in without_spans(response.text)
    assert Contact.get_by_id(anna.id).status == Status.REMOVED


def test_an_address_in_other_letters_is_not_said_to_be_deleted(pages: Pages, anna: Contact) -> None:
    token = authority_in(opened(pages, anna))
    act(pages, token, "address", address="Anna@example.org")
    moved = pages.post("address", newest("address").uid)
    assert heading_of(moved) == "Uw nieuwe adres geldt voortaan"
    assert "gewist en krijgt" not in words_of(moved)


def test_a_stranger_at_a_mistyped_address_is_shown_no_way_to_the_contact(
    pages: Pages, mailing_list: MailingList, anna: Contact
) -> None:
    make_contact(pages.database, mailing_list, "taken@example.org")
    token = authority_in(opened(pages, anna))
    for address in ("stranger@example.org", "taken@example.org", "new@example.org"):
        act(pages, token, "address", address=address)
    late, taken, new = (
        FreshLink.select().where(FreshLink.purpose == "address").order_by(FreshLink.id)
    )
    pages.post("address", taken.uid)
    pages.post("address", new.uid)
    own = FreshLink.get(FreshLink.purpose == "see")
    pages.clock.advance(timedelta(hours=1))
    # That of the address from before is another's too by now.
    over: list[tuple[Kind, str]] = [
        ("address", late.uid),
        ("address", taken.uid),
        ("fresh", own.uid),
    ]
    for kind, uid in over:
        for response in (pages.get(kind, uid), pages.post(kind, uid)):
            assert heading_of(response) == OVER
            assert "aan het adres dat nu geldt" in words_of(response)
            assert "/me/" not in response.text


def test_an_address_that_is_on_the_list_is_asked_like_any_other_and_not_taken(
    pages: Pages, mailing_list: MailingList, anna: Contact
) -> None:
    make_removed(pages.database, mailing_list, Reason.NO, "left@example.org")
    token = authority_in(opened(pages, anna))
    known = act(pages, token, "address", address="left@example.org")
    unknown = act(pages, token, "address", address="new@example.org")
    assert known.text == unknown.text
    uid = FreshLink.get(FreshLink.address == "left@example.org").uid
    taken = pages.post("address", uid)
    assert heading_of(taken) == "Er is niets veranderd"
    assert "/join/news" in taken.text
    assert Contact.get_by_id(anna.id).address == "anna@example.org"


def test_what_is_no_address_is_said_beside_it(pages: Pages, anna: Contact) -> None:
    token = authority_in(opened(pages, anna))
    response = act(pages, token, "address", address="anna@<b>")
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text
    assert 'value="anna@&lt;b&gt;"' in response.text
    same = act(pages, token, "address", address="anna@example.org")
    assert "Er was niets te verbeteren." in words_of(same)


def test_who_gets_the_data_is_told_as_the_record_of_processing_names_them(
    pages: Pages, mailing_list: MailingList, anna: Contact
) -> None:
    notes = {
        "hosting.agreement": "own",
        "mail.name": "Microsoft 365",
        "mail.country": "IE",
        "mailchimp.country": "US",
        "mailchimp.safeguard": "the Data Privacy Framework",
        "printer.name": "De Drukker",
        "printer.safeguard": "a contract",
    }
    said: dict[str, Any] = {"now": NOW, "actor": "user:1"}
    register_notes.set_notes(pages.database, mailing_list, notes, **said)
    contacts_act = status_changes.Act(at=NOW, actor="person", consent={"answer": "yes"})
    with pages.database.atomic():
        confirm: dict[str, Any] = {
            "basis": Basis.ANSWER,
            "fingerprint_key": pages.settings.fingerprint_key,
        }
        status_changes.confirm_contact(lookup.lock_contact(anna.id), act=contacts_act, **confirm)
    export.write_export(
        mailing_list,
        "keep",
        database=pages.database,
        settings=pages.settings,
        out=io.BytesIO(),
        tool="mailchimp",
        **said,
    )
    page = opened(pages, anna)
    told = words_of(page)
    assert "De beheerder van de server waarop dit staat: wijzelf." in told
    assert "Mailchimp, Verenigde Staten. Wat de gegevens buiten de Europese" in told
    assert "de drukker" in told.lower()
    assert "een bestand van wie mail mag krijgen, voor Mailchimp." in told
    document = json.loads(act(pages, authority_in(page), "download").text)
    recipients = {one["role"]: one for one in document["recipients"]}
    assert recipients["hosting"]["name"] == ""
    assert recipients["tool"] == {
        "role": "tool",
        "name": "Mailchimp",
        "country": "US",
        "safeguard": "the Data Privacy Framework",
    }
    # What is not abroad needs no safeguard.
    assert recipients["other"]["safeguard"] == ""
    assert [(one["what"], one["to"]) for one in document["handed_on"]] == [("keep", "mailchimp")]


def test_the_file_has_what_the_page_has(pages: Pages, anna: Contact) -> None:
    page = opened(pages, anna)
    assert "Er is voor niemand een bestand met uw adres gemaakt" in words_of(page)
    token = authority_in(page)
    response = act(pages, token, "download")
    assert response.mimetype == "application/json"
    assert response.headers["Content-Disposition"] == 'attachment; filename="what-is-held.json"'
    assert response.headers["Cache-Control"] == "no-store"
    document = json.loads(response.text)
    assert document["contact"]["address"] == "anna@example.org"
    assert {one["kind"] for one in document["mails"]} == {"ask", "confirm"}


def test_the_file_tells_the_list_in_the_readers_language(pages: Pages, anna: Contact) -> None:
    german = ListText.language == "de"
    ListText.update(name="Neues", privacy_url="https://www.example.org/de").where(german).execute()
    pages.post("me", anna.uid, data={"do": "link"}, query_string={"lang": "de"})
    token = authority_in(pages.post("fresh", newest().uid))
    told = json.loads(act(pages, token, "download").text)["list"]
    assert (told["name"], told["privacy_url"]) == ("Neues", "https://www.example.org/de")


def test_an_address_is_shown_as_people_write_it(pages: Pages, mailing_list: MailingList) -> None:
    contact = make_contact(pages.database, mailing_list, "anna@bücher.example")
    assert '<dd class="address">anna@bücher.example</dd>' in opened(pages, contact).text
    token = authority_in(opened(pages, contact))
    act(pages, token, "correct", name="Anna")
    act(pages, token, "address", address="anna@straße.example")
    shown = act(pages, token, "show").text
    assert "anna@bücher.example, de naam" in without_spans(shown)
    assert "anna@straße.example" in shown
    assert "xn--" not in shown


def test_deleting_says_first_what_it_means(pages: Pages, anna: Contact) -> None:
    token = authority_in(opened(pages, anna))
    before = everything_in(pages.database)
    said = words_of(act(pages, token, "leave"))
    for text in (
        "Er is nog niets gewist",
        "artikel 17, lid 3, onder b",
        "5 jaar",
        "back-ups",
    ):
        assert text in said
    assert everything_in(pages.database) == before
    waiting = uploads.keep_upload(
        pages.database,
        anna.list,
        io.BytesIO(b"email\nanna@example.org\n"),
        name="list.csv",
        user_id=make_user(pages.database).id,
        settings=pages.settings,
        now=NOW,
    )
    deleted = act(pages, token, "delete")
    assert heading_of(deleted) == "Uw gegevens op deze lijst zijn gewist"
    # Another list may hold the address.
    assert "Staat u op een andere lijst van ons, dan verandert daar niets aan." in words_of(deleted)
    for kept in ("Een code waaruit", "zolang deze lijst er is", "2 maart 2031"):
        assert kept in words_of(deleted)
    assert waiting.path.read_bytes() == b""
    uploads.discard_upload(pages.database, waiting)
    assert "/join/news" in deleted.text
    row = Contact.get_by_id(anna.id)
    assert (row.address, row.name, row.status) == (None, "", Status.REMOVED)
    for kind in ("yes", "no", "me"):
        assert heading_of(pages.get(kind, anna.uid)) == GONE
    for what in ("show", "correct", "address", "download", "leave", "delete"):
        ended = act(pages, token, what, address="new@example.org")
        assert heading_of(ended) == OVER
        # Everything was changed.
        assert "niets veranderd" not in words_of(ended)


def test_the_page_after_deleting_and_the_link_name_the_same_last_day(
    pages: Pages, anna: Contact
) -> None:
    pages.post("no", anna.uid)
    pages.clock.advance(timedelta(days=20))
    deleted = words_of(act(pages, authority_in(opened(pages, anna)), "delete"))
    (until,) = re.findall(r"tot ([^.]+ 20\d\d)", deleted)
    assert until in words_of(pages.get("me", anna.uid))


def test_everything_ends_with_the_hour(pages: Pages, anna: Contact) -> None:
    token = authority_in(opened(pages, anna))
    pages.clock.advance(timedelta(hours=1))
    before = everything_in(pages.database)
    for what in ("show", "correct", "address", "download", "leave", "delete"):
        response = act(pages, token, what, address="new@example.org", name="Else")
        assert heading_of(response) == OVER
        assert "anna" not in response.text.lower()
    assert everything_in(pages.database) == before


def test_a_language_that_was_chosen_stays_chosen(pages: Pages, anna: Contact) -> None:
    pages.post("me", anna.uid, data={"do": "link"}, query_string={"lang": "de"})
    assert newest().language == "de"
    response = pages.post("fresh", newest().uid, query_string={"lang": "fr"})
    assert '<html lang="fr"' in response.text
    assert "/held/correct?lang=fr" in response.text
    # Nobody can get this page once more, so it cannot be read in another language.
    assert "hreflang" not in response.text


def test_a_sensitive_list_shows_in_no_title(database: Database, settings: Settings) -> None:
    pages = Pages(database, settings)
    contact = make_contact(
        database, make_list(database, slug="hiv-group", name="HIV group", sensitive=True)
    )
    shown = [pages.post("me", contact.uid, data={"do": "link"})]
    uid = newest().uid
    shown += [pages.get("fresh", uid), pages.post("fresh", uid)]
    token = authority_in(shown[-1])
    shown += [act(pages, token, what) for what in ("leave", "download", "delete")]
    for one in shown:
        assert "hiv" not in one.text.partition("<body>")[0].lower() or one.is_json
        assert "hiv" not in repr(one.headers).lower()
