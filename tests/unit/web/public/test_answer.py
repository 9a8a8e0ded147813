"""The pages behind the links of a mail."""

from __future__ import annotations

import http.client
import json
import re
import threading
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from repermit.answers import join, link_target
from repermit.campaigns import launch
from repermit.campaigns.lifecycle import extend_campaign
from repermit.campaigns.mailing_lists import change_list
from repermit.clock import ManualClock
from repermit.contacts import lookup as contacts_lookup
from repermit.contacts import status_changes
from repermit.db.connection import Database
from repermit.db.models.base import Meta, new_id
from repermit.db.models.campaigns import Campaign, CampaignWording, Wording
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.mails import Mail
from repermit.expiry.downtime import assume_up_until
from repermit.expiry.sweep import expire_due
from repermit.i18n import catalogues
from repermit.reports import register_notes
from repermit.rules.consent import (
    Answer,
    Basis,
    CampaignState,
    MailKind,
    MailState,
    Reason,
    Status,
)
from repermit.rules.legal_grounds import Grounds
from repermit.settings.definitions import Settings
from repermit.signed_links import NOBODY, Kind
from repermit.web.public.answer import make_unanswered_wording
from repermit.web.request_context import ARRIVED
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import ATTEST
from tests.support.program_zoo import buttons_in
from tests.support.public_pages import (
    Pages,
    erase,
    everything_in,
    freeze_wording,
    heading_of,
    served,
    status_of,
    without_spans,
    words_of,
)

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

ORIGIN = "https://ask.example.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
YES, NO = "Ja, blijf mij deze mails sturen", "Nee, stuur mij deze mails niet meer"


@pytest.fixture
def asked(database: Database, mailing_list: MailingList) -> Contact:
    """Return a contact of a running campaign."""
    campaign = make_campaign(database, mailing_list)
    freeze_wording(database, campaign, mailing_list, "nl")
    return make_asked(database, mailing_list, campaign, "anna@example.org")


def asked_on(database: Database, *, sensitive: bool = False, **grounds: str) -> Contact:
    """Return a contact of a campaign that was launched on these grounds."""
    mailing_list = make_list(database, sensitive=sensitive, language="en")
    contact = make_contact(database, mailing_list, "anna@example.org")
    launch.launch(
        database,
        mailing_list,
        settings=make_settings(),
        now=NOW,
        deadline=DEADLINE,
        attest=ATTEST,
        actor="user:1",
        grounds=Grounds(**grounds),
    )
    return contact


# --- A GET shows. --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("when", [NOW, DEADLINE], ids=["open", "late"])
def test_no_get_or_head_changes_anything(
    pages: Pages, mailing_list: MailingList, asked: Contact, method: str, when: datetime
) -> None:
    join.request_sign_up(
        pages.database, mailing_list, address="new@example.org", name="", language="", now=NOW
    )
    everybody = [
        asked,
        make_contact(pages.database, mailing_list, status=Status.CONFIRMED, basis="answer"),
        *(make_removed(pages.database, mailing_list, reason) for reason in Reason),
    ]
    pages.clock.move_to(when)
    before = everything_in(pages.database)
    kinds: tuple[Kind, ...] = ("yes", "no", "me", "confirm", "fresh", "address")
    for contact in everybody:
        for kind in kinds:
            response = pages.client.open(pages.path(kind, contact.uid), method=method)
            assert response.status_code == 200
    assert everything_in(pages.database) == before


def test_every_page_that_can_be_got_is_read_with_a_database_that_refuses_to_write(
    pages: Pages, asked: Contact
) -> None:
    def write() -> str:
        with pages.database.atomic():
            Meta.create(key="written", value="by a GET")
        return "written"

    pages.app.add_url_rule("/write", view_func=write, methods=["GET", "POST"])
    before = everything_in(pages.database)
    assert pages.client.get("/write").status_code == 500
    assert pages.client.head("/write").status_code == 500
    assert everything_in(pages.database) == before
    assert pages.client.post("/write").status_code == 200
    assert status_of(asked) == Status.UNCONFIRMED


def test_the_question_comes_before_its_buttons_and_the_rest_after_them(
    pages: Pages, asked: Contact
) -> None:
    said = words_of(pages.get("yes", asked.uid))
    in_order = [
        "Nog niet vastgelegd: druk nog één keer",
        "Mogen wij u ‘Nieuws van de praktijk’ blijven sturen?",
        "Voor a…a@example.org.",
        "Nieuws over onze praktijk, vier keer per jaar",
        "maandag 30 maart, 11:00 uur",
        "altijd nog stoppen",
        YES,
        NO,
        "ook programma’s die mail controleren, openen links",
        "Het gaat om de mail van Praktijk De Linde aan a…a@example.org. Eén antwoord geldt voor",
        "Uw recht van bezwaar",
        "Wat wij van u bewaren",
        "Wij weten niet sinds wanneer",
        "Lindelaan 1",
        "90 dagen",
        "AVG, artikel 7, lid 1",
        "5 jaar",
        "U kunt ook bezwaar maken",
        "privacy@example.org",
        "Autoriteit Persoonsgegevens",
        "privacyverklaring",
    ]
    places = [said.find(text) for text in in_order]
    assert -1 not in places
    assert places == sorted(places)
    assert "anna@example.org" not in said


def test_a_purpose_and_a_frequency_that_end_in_a_full_stop_bring_no_second_one(
    database: Database, settings: Settings
) -> None:
    own = make_list(database, slug="own", purpose="Nieuws.", frequency="elke maand.")
    contact = make_asked(database, own, make_campaign(database, own))
    shown = words_of(Pages(database, settings).get("yes", contact.uid))
    assert "Het gaat om: Nieuws (elke maand)." in shown


@pytest.mark.parametrize(
    ("ground", "said"),
    [
        ("legitimate_interest", "that is our legitimate interest (article 6(1)(f))."),
        ("public_task", "is our task in the public interest (article 6(1)(e))."),
        ("earlier_consent", "the consent that you gave us before (article 6(1)(a))."),
    ],
)
def test_the_page_names_the_ground_of_asking_that_was_attested(
    pages: Pages, database: Database, ground: str, said: str
) -> None:
    text = words_of(pages.get("yes", asked_on(database, asking_ground=ground).uid))
    assert said in text
    assert "After a Yes, your consent is the ground" in text
    assert ("legitimate interest" in text) == (ground == "legitimate_interest")


def test_the_page_claims_no_ground_of_asking_that_nobody_attested(
    pages: Pages, asked: Contact
) -> None:
    text = words_of(pages.get("yes", asked.uid, query_string={"lang": "en"}))
    for claimed in ("legitimate interest", "6(1)(f)", "6(1)(e)", "gerechtvaardigd"):
        assert claimed not in text


@pytest.mark.parametrize(
    ("ground", "said"),
    [
        ("explicit_consent", "you explicitly consented to it before (article 9(2)(a))"),
        ("members", "you are or were a member of ours"),
        ("", "After a Yes, your explicit consent"),
    ],
)
def test_on_a_sensitive_list_it_names_what_lifts_the_prohibition(
    pages: Pages, database: Database, ground: str, said: str
) -> None:
    contact = asked_on(
        database, sensitive=True, asking_ground="legitimate_interest", special_ground=ground
    )
    text = words_of(pages.get("yes", contact.uid))
    assert said in text
    assert "(articles 6(1)(a) and 9(2)(a))" in text
    assert ("something private about you" in text) == bool(ground)


def test_the_right_to_object_stands_apart_under_its_own_heading(
    pages: Pages, database: Database
) -> None:
    html = pages.get("no", asked_on(database).uid).text
    heading = html.index("<h2>Your right to object</h2>")
    # GDPR art. 21(4): explicitly, clearly, apart; so not in what has to be unfolded first.
    assert html.rfind("<details>", 0, heading) <= html.rfind("</details>", 0, heading)
    assert html[heading:].startswith(
        "<h2>Your right to object</h2>\n<p>You can object at any time, without a reason"
    )


def test_the_page_names_who_gets_the_data_and_in_which_country(
    pages: Pages, database: Database
) -> None:
    contact = asked_on(database)
    register_notes.set_notes(
        database,
        contact.list,
        {
            "hosting.name": "A Host",
            "hosting.country": "NL",
            "printer.name": "A Printer",
            "printer.country": "US",
            "printer.safeguard": "standard clauses",
        },
        now=NOW,
        actor="user:1",
    )
    text = words_of(pages.get("yes", contact.uid))
    assert "A Host, Netherlands." in text
    assert "A Printer, United States." in text
    assert "outside the European Economic Area: standard clauses." in text


@pytest.mark.parametrize(("kind", "first", "second"), [("yes", YES, NO), ("no", NO, YES)])
def test_the_chosen_answer_comes_first(
    pages: Pages, asked: Contact, kind: Kind, first: str, second: str
) -> None:
    text = pages.get(kind, asked.uid).text
    assert text.index(f">{first}</button>") < text.index(f">{second}</button>")
    assert "autofocus" not in text
    assert "<script" not in text


def test_each_button_posts_to_its_own_link(pages: Pages, asked: Contact) -> None:
    text = pages.get("no", asked.uid).text
    for kind in Answer:
        url = pages.links.url(kind.value, asked.uid)
        assert f'<form method="post" action="{url}">' in text


def test_a_page_is_in_the_readers_language_or_the_lists(
    pages: Pages, mailing_list: MailingList
) -> None:
    french = make_contact(pages.database, mailing_list, language="fr")
    other = make_contact(pages.database, mailing_list, language="fi")
    assert '<html lang="fr"' in pages.get("no", french.uid).text
    assert '<html lang="nl"' in pages.get("no", other.uid).text


def test_another_language_can_be_chosen_and_stays_chosen(pages: Pages, asked: Contact) -> None:
    text = pages.get("yes", asked.uid, query_string={"lang": "de"}).text
    assert '<html lang="de"' in text
    assert '<a href="?lang=nl" lang="nl">Nederlands</a>' in text
    assert f'action="{pages.links.url("yes", asked.uid)}?lang=de"' in text
    result = pages.post("yes", asked.uid, query_string={"lang": "de"})
    assert heading_of(result) == "Ihr Ja ist festgehalten"
    assert '<html lang="nl"' in pages.get("no", asked.uid, query_string={"lang": "xx"}).text


def test_a_page_offers_the_languages_that_its_list_can_be_told_in(
    pages: Pages, database: Database
) -> None:
    news = make_list(database, languages=())
    campaign = make_campaign(database, news)
    freeze_wording(database, campaign, news, "nl")
    before = make_asked(database, news, campaign, "anna@example.org")
    with database.atomic():
        Contact.update(language="de").execute()
    page = pages.get("yes", before.uid, query_string={"lang": "de"})
    # One language is none to choose from.
    assert '<html lang="nl"' in page.text
    assert "hreflang" not in page.text
    assert "?lang=" not in page.text
    say_german(database, news)
    later = make_campaign(database, make_list(database, slug="later", languages=()))
    say_german(database, later.list)
    freeze_wording(database, later, later.list, "nl")
    asked = make_asked(database, later.list, later, "bram@example.org")
    page = pages.get("yes", asked.uid)
    assert re.findall(r'\?lang=(..)"', page.text) == ["de"]
    assert "Nieuws over onze praktijk" in page.text
    german = pages.get("yes", asked.uid, query_string={"lang": "de"})
    assert "Neues aus der Praxis" in german.text
    assert "Nieuws over onze praktijk" not in german.text
    assert 'href="https://www.example.org/datenschutz"' in german.text
    pages.post("yes", asked.uid, query_string={"lang": "de"})
    assert (
        "Neues aus der Praxis"
        in Wording.select()
        .order_by(Wording.digest)
        .where(Wording.content.contains("Ja"))
        .where(Wording.content.contains("Praxis"))
        .get()
        .content
    )


def test_many_languages_stand_on_a_page_of_their_own(pages: Pages, database: Database) -> None:
    news = make_list(database, languages=catalogues.languages())
    asked = make_asked(database, news, make_campaign(database, news))
    page = pages.get("yes", asked.uid, query_string={"as": "representative"})
    assert 'href="?languages&amp;as=representative"' in page.text
    assert "?lang=" not in page.text
    before = everything_in(database, but=[Opening])
    chooser = pages.get("yes", asked.uid, query_string={"languages": "", "as": "representative"})
    assert (chooser.status_code, heading_of(chooser)) == (200, "Taal")
    offered = re.findall(r'<a href="([^"]+)" lang="(..)"', chooser.text)
    assert [code for _, code in offered] == list(catalogues.languages())
    assert ("?lang=el&amp;as=representative", "el") in offered
    assert chooser.text.count('aria-current="true">Nederlands<') == 1
    assert "<form" not in chooser.text
    greek = pages.get("yes", asked.uid, query_string={"lang": "el", "as": "representative"})
    assert 'href="?languages&amp;lang=el&amp;as=representative"' in greek.text
    assert "Ελληνικά</a></nav>" in greek.text
    assert everything_in(database, but=[Opening]) == before
    # An answer is an answer, whatever stands behind its address.
    said = pages.post("yes", asked.uid, query_string={"languages": ""})
    assert heading_of(said) == "Uw Ja is vastgelegd"


def say_german(database: Database, mailing_list: MailingList) -> None:
    with database.atomic():
        ListText.create(
            list=mailing_list,
            language="de",
            purpose="Neues aus der Praxis, viermal im Jahr",
            privacy_url="https://www.example.org/datenschutz",
        )


@pytest.mark.parametrize(("kind", "button"), [("no", "Ja, stuur mij deze mails"), ("yes", NO)])
def test_who_opens_the_other_link_is_told_first_what_was_answered(
    pages: Pages, asked: Contact, kind: Kind, button: str
) -> None:
    other: Kind = "yes" if kind == "no" else "no"
    word = {"yes": "Ja", "no": "Nee"}
    presses = "twee keer, hier en op de volgende pagina" if kind == "no" else "nog één keer"
    not_yet = f"Uw {word[other]} is nog niet vastgelegd: druk {presses}."
    before = words_of(pages.get(other, asked.uid))
    assert not_yet not in before
    assert "geen antwoord" in before
    pages.post(kind, asked.uid)
    response = pages.get(other, asked.uid)
    recorded = f"Uw {word[kind]} is vastgelegd op maandag 2 maart 2026, 10:00 uur."
    assert words_of(response).index(recorded) < words_of(response).index(not_yet)
    assert labels_in(response.text)[0] == button
    title = "druk twee keer" if kind == "no" else "druk nog één keer"
    assert f"<title>Nog niet vastgelegd: {title}</title>" in response.text
    above = response.text[: response.text.index("<button")]
    assert f"<p>Uw {word[kind]} is vastgelegd. " in above
    # Until when a Yes counts after a No; a No counts always.
    assert ("Ja zeggen kan nog, uiterlijk <strong>maandag 30\u00a0maart" in above) == (kind == "no")
    # Silence has no effect any more, so the page threatens nothing.
    assert "geen antwoord" not in words_of(response)


# --- A POST acts. --------------------------------------------------------------------------------


def test_one_press_gives_one_yes_and_says_so(pages: Pages, asked: Contact) -> None:
    pages.clock.advance(timedelta(hours=2))
    response = pages.post("yes", asked.uid)
    assert (response.status_code, heading_of(response)) == (200, "Uw Ja is vastgelegd")
    assert "maandag 2 maart 2026, 12:00 uur" in words_of(response)
    # A change of mind leads to the question: no button gives the other answer at once.
    assert f'href="{pages.links.url("no", asked.uid)}"' in response.text
    assert "<form" not in response.text
    assert status_of(asked) == Status.CONFIRMED
    assert [entry.event for entry in Evidence.select()] == ["confirmed"]


@pytest.mark.parametrize("is_sensitive", [False, True])
def test_the_page_after_a_press_names_its_list_first_unless_it_is_sensitive(
    database: Database, settings: Settings, *, is_sensitive: bool
) -> None:
    its_list = make_list(database, slug="own", name="HIV group", sensitive=is_sensitive)
    contact = make_asked(database, its_list, make_campaign(database, its_list))
    shown = Pages(database, settings).post("yes", contact.uid).text.partition("</h1>")[2]
    before_the_links = shown.partition("<a ")[0]
    assert ("HIV group" in before_the_links) is not is_sensitive


def test_one_press_gives_one_no_and_says_so(pages: Pages, asked: Contact) -> None:
    response = pages.post("no", asked.uid)
    assert (response.status_code, heading_of(response)) == (200, "Uw Nee is vastgelegd")
    assert pages.links.url("yes", asked.uid) in response.text
    assert status_of(asked) == Status.REMOVED


def test_the_wording_that_is_kept_is_what_the_page_showed_but_for_what_is_personal(
    pages: Pages, asked: Contact
) -> None:
    page = without_spans(pages.get("yes", asked.uid).text)
    pages.post("yes", asked.uid)
    told = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    wording = without_spans(Wording.get_by_id(told["page_wording"]).content)
    assert (wording.count("⟦address⟧"), wording.count("⟦reason⟧")) == (2, 1)
    assert "a…a" not in wording
    contact_state = link_target.find_contact_state(asked.uid)
    assert contact_state is not None
    reason = (
        "Uw adres staat op deze lijst. Wij weten niet sinds wanneer en ook niet hoe het erop is "
        "gekomen. Daarom vragen wij het u."
    )
    filled = wording.replace("⟦address⟧", contact_state.address).replace("⟦reason⟧", reason)
    question, _, rest = filled.partition("<ul>\n<li>Ja, blijf")
    below, fold, folded = rest.partition("</ul>\n")[2].partition("<details>")
    assert question.strip() in page
    assert below.strip() in page
    assert (fold + folded).strip() in page
    assert told["mail_wording"] == contact_state.mail_wording != ""


@pytest.mark.parametrize("kind", ["yes", "no"])
def test_the_same_answer_again_is_friendly(pages: Pages, asked: Contact, kind: Kind) -> None:
    pages.post(kind, asked.uid)
    # That it was pressed again is a trace.
    before = everything_in(pages.database, but=[Opening])
    word = {"yes": "Ja", "no": "Nee"}[kind]
    pages.clock.advance(timedelta(days=1))
    for response in (pages.post(kind, asked.uid), pages.get(kind, asked.uid)):
        assert response.status_code == 200
        assert heading_of(response) == f"Uw {word} was al vastgelegd"
        assert "maandag 2 maart 2026, 10:00 uur" in words_of(response)
    assert everything_in(pages.database, but=[Opening]) == before


def test_changing_ones_mind_is_one_press_to_no_and_two_to_yes(pages: Pages, asked: Contact) -> None:
    statuses = []
    for kind in ("no", "yes", "yes again", "no"):
        if kind == "yes again":
            pages.say_yes(asked.uid)
        else:
            pages.post("yes" if kind == "yes" else "no", asked.uid)
        statuses.append(status_of(asked))
        pages.clock.advance(timedelta(days=2))
    assert statuses == [Status.REMOVED, Status.REMOVED, Status.CONFIRMED, Status.REMOVED]
    assert Contact.get_by_id(asked.id).reason == Reason.WITHDRAWN


def test_a_late_yes_is_offered_a_fresh_sign_up(pages: Pages, asked: Contact) -> None:
    pages.clock.move_to(DEADLINE)
    for response in (pages.get("yes", asked.uid), pages.post("yes", asked.uid)):
        assert response.status_code == 200
        assert heading_of(response) == "De termijn voor dit antwoord is voorbij"
        assert "maandag 30 maart 2026, 11:00 uur" in words_of(response)
        assert '<form method="post" action="https://ask.example.org/join/news"' in response.text
        assert "Nieuws over onze praktijk, vier keer per jaar" in words_of(response)
        assert pages.links.url("no", asked.uid) in response.text
        assert "Wat wij van uw antwoord vastleggen" not in words_of(response)
        assert "bezwaar" in words_of(response)
        assert f"{_MISSED}" in words_of(response)
        assert "niets vastgelegd" not in words_of(response)
    assert status_of(asked) == Status.UNCONFIRMED
    assert "Wat wij van uw antwoord vastleggen" in words_of(pages.post("no", asked.uid))


_MISSED = "Wij hadden toen nog geen antwoord van u; daarom halen wij u van deze lijst."


def test_the_link_for_no_asks_for_no_late_yes(pages: Pages, asked: Contact) -> None:
    pages.clock.move_to(DEADLINE)
    page = pages.get("no", asked.uid)
    assert heading_of(page) == "Hier kunt u deze mails stopzetten"
    assert _MISSED in words_of(page)
    assert "na een Ja" not in words_of(page)
    assert "https://ask.example.org/join/news" in page.text
    no, _ = buttons_in(page.text)
    assert labels_in(page.text) == [NO, "Stuur mij de mail met de link"]
    pressed = pages.client.post(urlsplit(no.action).path, data=no.sends)
    assert heading_of(pressed) == "Uw Nee is vastgelegd"
    assert Contact.get_by_id(asked.id).reason == Reason.NO
    # What is kept of the page says what it said.
    kept = Wording.get_by_id(consents()[0]["page_wording"]).content
    assert "Hier kunt u deze mails stopzetten" in kept
    assert YES not in kept


def test_somebody_who_is_not_taken_off_for_silence_is_not_told_so(
    pages: Pages, asked: Contact
) -> None:
    Campaign.update(state=CampaignState.CANCELLED).execute()
    for word in ("yes", "no"):
        page = words_of(pages.get(word, asked.uid))
        assert "anders stoppen wij ermee" not in page
        assert "halen wij u ook van deze lijst" not in page
        # A Yes counts until then all the same.
        assert "Ja zeggen kan nog, uiterlijk maandag 30 maart" in page
    pages.clock.move_to(DEADLINE)
    assert _MISSED not in words_of(pages.get("no", asked.uid))
    late = words_of(pages.get("yes", asked.uid))
    assert _MISSED not in late
    assert "Er is niets vastgelegd" in late


def test_nor_is_who_was_to_answer_while_the_campaign_is_paused(
    pages: Pages, asked: Contact
) -> None:
    Campaign.update(state=CampaignState.PAUSED, paused_from="open").execute()
    pages.clock.move_to(DEADLINE)
    for word in ("yes", "no"):
        assert _MISSED not in words_of(pages.get(word, asked.uid))


@pytest.mark.parametrize("reason", [Reason.BOUNCE, Reason.REQUEST, Reason.NO_RESPONSE])
def test_only_of_who_said_no_a_no_is_said_to_stay(
    pages: Pages, asked: Contact, reason: Reason
) -> None:
    Contact.update(status=Status.REMOVED, reason=reason).where(Contact.id == asked.id).execute()
    page = words_of(pages.get("yes", asked.uid))
    assert "Ja zeggen kan nog, uiterlijk maandag 30 maart" in page
    assert "anders blijft het Nee" not in page


def test_a_late_link_for_no_signs_up_without_typing_where_the_address_is_held(
    pages: Pages, asked: Contact
) -> None:
    pages.clock.move_to(DEADLINE)
    page = pages.get("no", asked.uid)
    assert "De mail gaat naar a…a@example.org." in words_of(page)
    button = buttons_in(page.text)[-1]
    assert button.sends.keys() == {"link"}
    sent = pages.client.post(urlsplit(button.action).path, data=button.sends)
    assert heading_of(sent) == "Kijk in uw mail"
    assert SignUp.get().address == "anna@example.org"
    # Who has said No has no button for the opposite.
    assert "<form" not in pages.post("no", asked.uid).text


@pytest.mark.parametrize("reason", [Reason.NO_RESPONSE, Reason.BOUNCE, Reason.REQUEST])
def test_a_no_of_who_is_off_the_list_is_answered_without_a_button_for_the_opposite(
    pages: Pages, asked: Contact, reason: Reason
) -> None:
    """Invariant 15: one press of a program must not make us mail who was taken off."""
    remove(pages, asked, reason)
    pages.clock.move_to(DEADLINE)
    pages.post("no", asked.uid, data=ONE_CLICK)
    for response in (pages.get("no", asked.uid), pages.post("no", asked.uid)):
        assert heading_of(response) == "U staat niet meer op deze lijst"
        assert "U krijgt er geen mail meer van" in words_of(response)
        assert "<form" not in response.text
        assert '<a href="https://ask.example.org/join/news' in response.text
    # Who wants the mails after all has the form.
    assert forms_in(pages.get("yes", asked.uid)) == ["https://ask.example.org/join/news"]


def remove(pages: Pages, contact: Contact, reason: Reason) -> None:
    with pages.database.atomic():
        status_changes.remove_contacts(
            [Contact.get_by_id(contact.id)],
            reason=reason,
            act=status_changes.Act(at=pages.clock.now(), actor="job"),
            fingerprint_key=pages.settings.fingerprint_key,
        )


@pytest.mark.parametrize(
    ("basis", "status", "who", "why", "ground"),
    [
        ("", Status.UNCONFIRMED, "Wie dit vraagt", "Waarom wij het u vragen", "Wij vragen het u"),
        (
            Basis.CUSTOMER,
            Status.CUSTOMER,
            "Wie wij zijn",
            "Hoe wij aan uw adres komen",
            "omdat u klant bij ons bent",
        ),
        (
            Basis.SIGN_UP,
            Status.CONFIRMED,
            "Wie wij zijn",
            "Hoe wij aan uw adres komen",
            "alleen met uw toestemming",
        ),
    ],
)
def test_the_page_names_the_act_and_the_ground_that_are_true_of_this_contact(
    pages: Pages, asked: Contact, *, basis: str, status: Status, who: str, why: str, ground: str
) -> None:
    Contact.update(status=status, basis=basis).execute()
    page = words_of(pages.get("no", asked.uid))
    result = words_of(pages.post("yes" if status == Status.CONFIRMED else "no", asked.uid))
    for said in (page, result):
        assert who in said
        # Who was a customer is mailed with consent alone once they have said No.
        is_left = said is result and status == Status.CUSTOMER
        assert ("alleen met uw toestemming" if is_left else ground) in said
    assert why in page
    is_asked = not basis
    assert ("Wij vragen het u omdat" in page) == is_asked
    assert ("Daarom vragen wij het u" in page) == is_asked
    assert ("wil graag weten of u deze mails wilt blijven ontvangen" in page) == is_asked


def test_a_customer_who_was_never_asked_is_not_told_of_asking(
    pages: Pages, mailing_list: MailingList
) -> None:
    customer = make_contact(
        pages.database, mailing_list, status=Status.CUSTOMER, basis=Basis.CUSTOMER
    )
    said = words_of(pages.get("no", customer.uid))
    assert "omdat u klant bij ons bent" in said
    assert "richtlijn 2002/58/EG, artikel 13, lid 2" in said
    assert "gerechtvaardigd belang" not in said
    assert "Wie dit vraagt" not in said


def test_a_customer_stops_by_one_button_too_once_the_question_is_over(
    pages: Pages, asked: Contact
) -> None:
    Contact.update(status=Status.CUSTOMER, basis=Basis.CUSTOMER).execute()
    pages.clock.move_to(DEADLINE)
    page = pages.get("no", asked.uid)
    assert heading_of(page) == "Hier kunt u deze mails stopzetten"
    assert labels_in(page.text) == [NO]
    assert "Deze vraag kon u" not in words_of(page)
    # Customers are on the list; a sign-up would tell them that they are not.
    assert "Uw aanmelding telt pas" not in words_of(pages.get("yes", asked.uid))


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (True, "Uw Nee is vastgelegd op maandag 2 maart 2026, 10:00 uur."),
        (False, "U bent op maandag 30 maart 2026, 12:00 uur van deze lijst gehaald."),
    ],
)
def test_a_late_yes_is_told_what_stands_and_signs_up_without_typing(
    pages: Pages, asked: Contact, told: str, *, answers: bool
) -> None:
    if answers:
        pages.post("no", asked.uid)
    pages.clock.move_to(DEADLINE + timedelta(hours=1))
    if not answers:
        remove(pages, asked, Reason.NO_RESPONSE)
    response = pages.get("yes", asked.uid)
    assert told in words_of(response)
    assert "niets vastgelegd" not in words_of(response)
    assert "De mail gaat naar a…a@example.org." in words_of(response)
    (button,) = buttons_in(response.text)
    assert button.sends.keys() == {"link"}
    sent = pages.client.post(urlsplit(button.action).path, data=button.sends)
    assert heading_of(sent) == "Kijk in uw mail"
    assert SignUp.get().address == "anna@example.org"


# Encoded as browsers send them.
_GLUED = (
    *(".", ")", "%3E", "%5D,", "*", "_", "-", "/", "=", "&", "%7C", "%20", "%C2%A0", "%E2%80%BA"),
    *("%C2%BB", "%22", "'", ",", ";", "!", "?", "%2520", "&lang=nl", "//", "/.", "/)", "%3C/a%3E"),
    "%5B/url%5D",
)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["no", "me"])
@pytest.mark.parametrize("glued", _GLUED)
def test_every_link_of_a_mail_works_with_a_sign_behind_it(
    pages: Pages, asked: Contact, glued: str, kind: Kind
) -> None:
    plain = pages.get(kind, asked.uid)
    opened = pages.client.get(pages.path(kind, asked.uid) + glued)
    assert (opened.status_code, heading_of(opened)) == (200, heading_of(plain))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("invisible", ["%E2%80%8B", "%C2%AD"])
def test_a_link_with_an_invisible_sign_in_it_works(
    pages: Pages, asked: Contact, invisible: str
) -> None:
    path = pages.path("no", asked.uid)
    for copied in (f"/no/{invisible}{path[4:]}", f"{path[:-9]}{invisible}{path[-9:]}"):
        assert heading_of(pages.client.get(copied)) == heading_of(pages.get("no", asked.uid))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("glued", _GLUED)
def test_a_link_with_a_sign_behind_it_works(pages: Pages, asked: Contact, glued: str) -> None:
    opened = pages.client.get(pages.path("yes", asked.uid) + glued)
    assert opened.status_code == 200
    (yes, _) = buttons_in(opened.text)
    assert heading_of(pages.client.post(urlsplit(yes.action).path, data=yes.sends)) == (
        "Uw Ja is vastgelegd"
    )


@pytest.mark.parametrize("include_thin", [False, True])
def test_somebody_with_a_thin_proof_is_told_what_silence_does_where_they_are_asked_too(
    pages: Pages, asked: Contact, *, include_thin: bool
) -> None:
    Campaign.update(include_thin=include_thin).execute()
    Contact.update(status=Status.CONFIRMED, basis=Basis.THIN).execute()
    asks = "anders stoppen wij ermee"
    assert (asks in words_of(pages.get("yes", asked.uid))) == include_thin
    pages.clock.move_to(DEADLINE)
    assert (_MISSED in words_of(pages.get("no", asked.uid))) == include_thin


@pytest.mark.parametrize("bounce", ["", "soft"])
def test_who_reads_a_mail_that_came_back_is_told_that_silence_does_nothing(
    pages: Pages, asked: Contact, bounce: str
) -> None:
    """A server may report back a mail of which a copy was passed on."""
    Mail.update(bounce=bounce).execute()
    assert ("anders stoppen wij ermee" in words_of(pages.get("yes", asked.uid))) == (not bounce)
    pages.clock.move_to(DEADLINE)
    assert (_MISSED in words_of(pages.get("yes", asked.uid))) == (not bounce)
    assume_up_until(pages.database, moment=DEADLINE)
    expired = expire_due(pages.database, settings=pages.settings, clock=pages.clock)
    assert expired.removed == (not bounce)


def test_a_fresh_sign_up_is_in_the_readers_language(pages: Pages, asked: Contact) -> None:
    Contact.update(language="fr").execute()
    pages.clock.move_to(DEADLINE)
    late = pages.get("yes", asked.uid)
    assert forms_in(late) == ["https://ask.example.org/join/news?lang=fr"]
    button = next(one for one in buttons_in(late.text) if "/join/" in one.action)
    sent = pages.client.post(button.action.removeprefix(ORIGIN), data=button.sends)
    assert '<html lang="fr"' in sent.text
    sign_up = SignUp.get()
    assert sign_up.language == "fr"
    assert '<html lang="fr"' in pages.get("confirm", sign_up.uid).text
    pages.post("no", asked.uid, data=ONE_CLICK)
    links = re.findall(r'<a href="([^"]*/join/[^"]*)"', pages.get("no", asked.uid).text)
    assert links == ["https://ask.example.org/join/news?lang=fr"]
    erase(pages, asked)
    erased = pages.get("no", asked.uid, headers={"Accept-Language": "de"})
    assert "/join/news?lang=de" in erased.text
    erased = pages.get("no", asked.uid, headers={"Accept-Language": "nl"})
    assert "/join/news?" not in erased.text


def test_a_link_of_nobody_signs_nobody_up(pages: Pages, asked: Contact) -> None:
    for link in ("", "x", pages.links.token("no", asked.uid), pages.links.token("yes", new_id())):
        assert pages.client.post("/join/news", data={"link": link}).status_code == 422
    assert SignUp.select().count() == 0


def test_a_late_yes_without_a_question_is_offered_a_sign_up_too(
    pages: Pages, mailing_list: MailingList
) -> None:
    removed = make_removed(pages.database, mailing_list, Reason.BOUNCE)
    response = pages.get("yes", removed.uid)
    assert "komt u niet meer op de lijst" in words_of(response)
    assert forms_in(response) == ["https://ask.example.org/join/news"]


def test_who_is_off_by_no_press_is_not_told_that_one_can_be_undone(
    pages: Pages, asked: Contact
) -> None:
    gone = {"status": Status.REMOVED, "reason": Reason.BOUNCE}
    Contact.update(**gone).where(Contact.id == asked.id).execute()
    for kind in ("yes", "no"):
        pages.get(kind, asked.uid)
    assert "Als u het niet zelf was" not in words_of(pages.post("no", asked.uid))


def labels_in(html: str) -> list[str]:
    return re.findall("<button[^>]*>([^<]*)</button>", html)


def forms_in(response: TestResponse) -> list[str]:
    return re.findall('<form method="post" action="([^"]+)"', response.text)


def test_who_was_erased_comes_back_by_a_late_link_as_the_same_person(
    pages: Pages, asked: Contact
) -> None:
    pages.post("no", asked.uid)
    erase(pages, Contact.get_by_id(asked.id))
    pages.clock.move_to(DEADLINE + timedelta(days=400))
    offered = pages.get("yes", asked.uid)
    assert heading_of(offered) == "De gegevens bij deze link zijn gewist"
    (action,) = forms_in(offered)
    for address in ("else@example.org", "Anna@Example.org"):
        sent = pages.client.post(action, data={"address": address})
        assert heading_of(sent) == "Kijk in uw mail"
        made = SignUp.select().order_by(SignUp.id.desc()).get()
        assert (
            heading_of(pages.post("confirm", made.uid, data={"choice": "yes"}))
            == "Uw Ja is vastgelegd"
        )
    other, again = Contact.select().where(Contact.id != asked.id).order_by(Contact.id)
    # By the fingerprint: the address itself had been held nowhere.
    assert (again.address, again.subject) == ("Anna@example.org", asked.subject)
    assert (again.status, Suppression.select().count()) == (Status.CONFIRMED, 0)
    assert other.subject != asked.subject


def test_a_no_after_the_deadline_leaves_a_sign_up_as_the_way_back(
    pages: Pages, asked: Contact
) -> None:
    pages.clock.move_to(DEADLINE)
    assert "Antwoord uiterlijk" not in words_of(pages.get("no", asked.uid))
    response = pages.post("no", asked.uid)
    assert heading_of(response) == "Uw Nee is vastgelegd"
    assert "<form" not in response.text
    assert "/join/news" in response.text


@pytest.mark.parametrize(
    ("reason", "heading"),
    [
        (Reason.NO_RESPONSE, "U staat niet meer op deze lijst"),
        (Reason.BOUNCE, "U staat niet meer op deze lijst"),
        (Reason.WITHDRAWN, "Uw Nee was al vastgelegd"),
    ],
)
def test_who_was_taken_off_before_is_told_since_when_and_that_there_is_nothing_to_do(
    pages: Pages, mailing_list: MailingList, reason: Reason, heading: str
) -> None:
    removed = make_removed(pages.database, mailing_list, reason)
    pages.clock.advance(timedelta(days=1))
    response = pages.post("no", removed.uid)
    assert heading_of(response) == heading
    assert "maandag 2 maart 2026, 10:00 uur" in words_of(response)
    assert Evidence.select().count() == 1


class WatchedClock(ManualClock):
    """A clock that tells when it has been read."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.was_read = threading.Event()

    def now(self) -> datetime:
        moment = super().now()
        self.was_read.set()
        return moment


def test_an_answer_is_stamped_when_it_arrives_not_when_it_gets_its_turn(
    database: Database, settings: Settings, asked: Contact
) -> None:
    clock = WatchedClock(DEADLINE - timedelta(microseconds=1))
    pages = Pages(database, settings, clock=clock)
    responses: list[TestResponse] = []
    sent = {"number": pages.number(asked.uid) + pages.wording_shown("yes", asked.uid)}
    clock.was_read.clear()
    press = threading.Thread(
        target=lambda: responses.append(pages.post("yes", asked.uid, data=sent))
    )
    with database.atomic():
        contacts_lookup.lock_contact(asked.id)
        press.start()
        assert clock.was_read.wait(60)
        clock.move_to(DEADLINE + timedelta(hours=1))
        press.join(0.2)
        assert press.is_alive()
    press.join()
    assert heading_of(responses[0]) == "Uw Ja is vastgelegd"
    assert Contact.get_by_id(asked.id).status_at == DEADLINE - timedelta(microseconds=1)


def test_an_answer_is_stamped_before_it_waits_for_a_thread(
    database: Database, settings: Settings, asked: Contact
) -> None:
    pages = Pages(database, settings, clock=ManualClock(DEADLINE + timedelta(seconds=1)))
    in_time = DEADLINE - timedelta(seconds=0.5)
    response = pages.post("yes", asked.uid, environ_overrides={ARRIVED: in_time})
    assert heading_of(response) == "Uw Ja is vastgelegd"
    assert Contact.get_by_id(asked.id).status_at == in_time


# --- One click. ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_one_click_no_is_immediate(pages: Pages, asked: Contact, content_type: str) -> None:
    response = pages.post("no", asked.uid, data=ONE_CLICK, content_type=content_type)
    assert (response.status_code, response.mimetype) == (200, "text/plain")
    assert len(response.data) < 100
    assert Contact.get_by_id(asked.id).reason == Reason.NO
    told = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    assert told["method"] == "one_click"
    # Nobody saw a page; the one behind the link is kept as that.
    assert "page_wording" not in told
    kept = Wording.get_by_id(told["link_page_wording"]).content
    assert "Nieuws over onze praktijk" in without_spans(kept)


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", None])
@pytest.mark.parametrize("ending", ["", "\r\n"])
@pytest.mark.parametrize("field", ["List-Unsubscribe=One-Click", "list-unsubscribe=one-click"])
def test_a_one_click_no_counts_however_a_program_writes_it(
    pages: Pages, asked: Contact, field: str, ending: str, content_type: str | None
) -> None:
    body = field + ending
    response = pages.client.post(pages.path("no", asked.uid), data=body, content_type=content_type)
    assert (response.status_code, response.data) == (200, b"Unsubscribed.\n")
    assert Contact.get_by_id(asked.id).reason == Reason.NO
    # There is no one-click Yes in any spelling.
    path = pages.path("yes", asked.uid)
    assert pages.client.post(path, data=body, content_type=content_type).status_code == 400


@pytest.mark.parametrize(
    "body", ["", "One-Click", "List-Unsubscribe=", "x=One-Click", "\xff\x00=%"]
)
def test_another_body_is_no_one_click(pages: Pages, asked: Contact, body: str) -> None:
    response = pages.client.post(pages.path("no", asked.uid), data=body, content_type="text/plain")
    assert response.mimetype == "text/html"
    assert status_of(asked) == Status.UNCONFIRMED


@pytest.mark.parametrize("is_extended", [False, True])
def test_the_page_that_is_kept_for_whoever_never_answers_is_the_one_that_is_shown(
    database: Database, is_extended: bool
) -> None:
    mailing_list = make_list(database, language="en")
    settings = make_settings()
    silent, asked = (make_contact(database, mailing_list) for _ in range(2))
    shared: dict[str, Any] = {
        "settings": settings,
        "now": NOW,
        "actor": "user:1",
        "make_page_wording": partial(make_unanswered_wording, settings=settings, now=NOW),
    }
    launch.launch(
        database,
        mailing_list,
        deadline=DEADLINE,
        attest=ATTEST,
        grounds=Grounds(asking_ground="legitimate_interest"),
        **shared,
    )
    if is_extended:
        extend_campaign(database, mailing_list, deadline=DEADLINE + timedelta(days=3), **shared)
    wording = CampaignWording.get(CampaignWording.kind == MailKind.ASK)
    Mail.update(state=MailState.SENT, sent_at=NOW, wording=wording).execute()
    # What they read stays in the language of the ask.
    change_list(database, mailing_list, language="nl", settings=settings, now=NOW, actor="user:1")
    with database.atomic():
        assume_up_until(database, moment=DEADLINE + timedelta(days=3))
    Pages(database, settings).say_yes(asked.uid)
    expire_due(database, settings=settings, clock=ManualClock(DEADLINE + timedelta(days=3)))
    told = {one["answer"] if "answer" in one else one.get("reason"): one for one in consents()}
    assert status_of(silent) == Status.REMOVED
    assert told["no_response"]["link_page_wording"] == told["yes"]["page_wording"]
    assert "page_wording" not in told["no_response"]
    assert list(iter_chain_faults()) == []


def test_there_is_no_one_click_yes(pages: Pages, asked: Contact) -> None:
    response = pages.post("yes", asked.uid, data=ONE_CLICK)
    assert response.status_code == 400
    assert status_of(asked) == Status.UNCONFIRMED


def test_a_one_click_no_of_somebody_erased_is_answered_and_noted(
    pages: Pages, asked: Contact
) -> None:
    erase(pages, asked)
    assert pages.post("no", asked.uid, data=ONE_CLICK).status_code == 200
    assert Evidence.select().where(Evidence.event == "still_mailed").count() == 1


def sign_up_after_erasure(pages: Pages, asked: Contact) -> Contact:
    """Erase somebody, who then signs up anew; return the contact that they are now."""
    erase(pages, asked)
    pages.client.post("/join/news", data={"address": "anna@example.org"})
    pages.post("confirm", SignUp.get().uid, data={"choice": "yes"})
    current: Contact = Contact.get(Contact.erased_at.is_null())
    return current


def test_a_one_click_no_of_an_old_mail_counts_for_a_new_sign_up(
    pages: Pages, asked: Contact
) -> None:
    current = sign_up_after_erasure(pages, asked)
    assert (current.status, current.subject) == (Status.CONFIRMED, asked.subject)
    assert pages.post("no", asked.uid, data=ONE_CLICK).data == b"Unsubscribed.\n"
    after = Contact.get_by_id(current.id)
    assert (after.status, after.reason) == (Status.REMOVED, Reason.WITHDRAWN)
    assert Evidence.select().where(Evidence.event == "still_mailed").count() == 0
    assert list(iter_chain_faults()) == []


def test_the_no_link_of_an_old_mail_leads_to_the_question_after_a_new_sign_up(
    pages: Pages, asked: Contact
) -> None:
    current = sign_up_after_erasure(pages, asked)
    pages.clock.advance(timedelta(days=1))
    for shown in (pages.get("no", asked.uid), pages.post("no", asked.uid)):
        assert shown.status_code == 200
        assert f'action="{pages.links.url("no", current.uid)}"' in shown.text
    assert status_of(current) == Status.CONFIRMED
    assert pages.post("no", current.uid).status_code == 200
    assert status_of(current) == Status.REMOVED
    assert heading_of(pages.get("no", asked.uid)) == "Uw Nee was al vastgelegd"
    assert heading_of(pages.get("yes", asked.uid)) == "De gegevens bij deze link zijn gewist"


def test_the_link_of_nobody_is_answered_and_leaves_no_trace(
    pages: Pages, database: Database
) -> None:
    before = everything_in(database)
    response = pages.post("no", NOBODY, data=ONE_CLICK)
    assert (response.status_code, response.data) == (200, b"Unsubscribed.\n")
    assert heading_of(pages.post("no", NOBODY)) == heading_of(pages.get("no", new_id()))
    assert everything_in(database) == before


# --- Links that lead nowhere. --------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [{}, {"Accept-Language": "de-AT,de;q=0.9"}])
def test_forged_and_unknown_links_get_one_and_the_same_page(
    pages: Pages, asked: Contact, wanted: dict[str, str]
) -> None:
    token = pages.links.token("no", asked.uid)
    paths = [
        f"/{kind}/{forged}"
        for kind in ("yes", "me", "confirm")
        for forged in (token, token[:-1], token + ".", "x", "%00", "é", f"{token}/more")
    ]
    paths += [f"/no/{token[:-1]}", "/no/", "/no", "/join/other", "/elsewhere", "//no/x"]
    got = [pages.client.get(path, headers=wanted) for path in paths]
    posted = [path for path in paths if path.count("/") == 2 and not path.startswith("//")]
    got += [pages.client.post(path, headers=wanted) for path in posted]
    found = {(one.status_code, one.data) for one in got if one.status_code != 405}
    assert len(found) == 1
    status, page = found.pop()
    assert status == 404
    for language in catalogues.languages():
        assert f'<div lang="{language}">' in page.decode()
    assert "This page does not exist" in page.decode()
    assert "https://www.example.org/privacy" in page.decode()


@pytest.mark.parametrize("kind", ["yes", "no", "me"])
def test_somebody_erased_is_told_that_all_is_deleted(
    pages: Pages, asked: Contact, kind: Kind
) -> None:
    erase(pages, asked)
    response = pages.get(kind, asked.uid)
    assert (response.status_code, heading_of(response)) == (
        200,
        "De gegevens bij deze link zijn gewist",
    )
    assert "/join/news" in response.text


@pytest.mark.parametrize("kind", ["yes", "no"])
def test_a_press_by_somebody_erased_changes_nothing(
    pages: Pages, asked: Contact, kind: Kind
) -> None:
    erase(pages, asked)
    before = everything_in(pages.database)
    response = pages.post(kind, asked.uid)
    assert (response.status_code, heading_of(response)) == (
        200,
        "De gegevens bij deze link zijn gewist",
    )
    assert everything_in(pages.database) == before


@pytest.mark.parametrize("has_come_back", [False, True])
def test_an_erased_link_says_only_what_is_true_of_its_own_record(
    pages: Pages, asked: Contact, *, has_come_back: bool
) -> None:
    """They may be on another list, or have signed up again, which lifts the suppression."""
    erase(pages, asked)
    if has_come_back:
        pages.client.post("/join/news", data={"address": "anna@example.org"})
        made = SignUp.select().order_by(SignUp.id.desc()).get()
        pages.post("confirm", made.uid, data={"choice": "yes"})
        assert Contact.select().where(Contact.status == Status.CONFIRMED).count() == 1
    said = words_of(pages.get("yes", asked.uid))
    assert "Staat u op een andere lijst van ons, dan verandert daar niets aan." in said
    assert ("Hebt u zich daarna opnieuw aangemeld, dan verandert dat ook niet." in said) is (
        has_come_back
    )
    assert ("sturen wij geen mails van deze lijst meer" in said) is not has_come_back
    assert ("zodat niemand het u opnieuw vraagt" in said) is not has_come_back
    assert "zonder adres en naam: tot " in said


@pytest.mark.parametrize("kind", ["yes", "no", "me"])
def test_somebody_erased_is_told_what_is_kept_and_until_when(
    pages: Pages, asked: Contact, kind: Kind
) -> None:
    erase(pages, asked)
    said = words_of(pages.get(kind, asked.uid))
    assert "Naar dat adres sturen wij geen mails van deze lijst meer." in said
    kept = said[said.index("Wat blijft") :]
    assert "code" in kept
    assert "zolang deze lijst er is" in kept
    # Five years after they were taken off.
    assert "zonder adres en naam: tot zondag 2 maart 2031" in kept
    # Who reads it looks for seconds, as at the question.
    told = said[said.index("Het adres en de naam") : said.index("Als u deze mails voortaan")]
    assert len(told.split()) < 80


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["yes", "no", "me"])
@pytest.mark.parametrize(
    ("wanted", "language", "heading"),
    [
        ("en", "en", "The data of this link is deleted"),
        ("de-AT,en;q=0.5", "de", "Die Daten zu diesem Link sind gelöscht"),
        ("fr,de;q=0.8,nl;q=0.7", "de", "Die Daten zu diesem Link sind gelöscht"),
        ("nl", "nl", "De gegevens bij deze link zijn gewist"),
        ("fr, en;q=0", "nl", "De gegevens bij deze link zijn gewist"),
    ],
)
def test_somebody_erased_reads_the_page_in_the_language_of_their_browser(
    pages: Pages, kind: Kind, wanted: str, *, language: str, heading: str
) -> None:
    """Theirs was erased with them; the list is told in Dutch, English and German."""
    news = make_list(pages.database, slug="three", languages=("en", "de"))
    asked = make_asked(pages.database, news, make_campaign(pages.database, news))
    erase(pages, asked)
    page = pages.get(kind, asked.uid, headers={"Accept-Language": wanted})
    assert (page.status_code, heading_of(page)) == (200, heading)
    assert page.headers["Content-Language"] == language
    assert "Accept-Language" in page.headers["Vary"]
    # Whoever chooses another one above the page gets that.
    chosen = pages.client.get(
        f"{pages.path(kind, asked.uid)}?lang=nl", headers={"Accept-Language": wanted}
    )
    assert heading_of(chosen) == "De gegevens bij deze link zijn gewist"


@pytest.mark.usefixtures("mailing_list")
def test_a_link_without_a_row_offers_the_only_list(pages: Pages) -> None:
    for response in (pages.get("yes", new_id()), pages.post("yes", new_id())):
        assert (response.status_code, heading_of(response)) == (
            200,
            "Bij deze link bewaren wij niets",
        )
        # Whether that person is on a list, nobody can know.
        assert "Er komt geen mail" not in words_of(response)
        assert "Krijgt u nog mails van ons, gebruik dan de link" in words_of(response)
        assert "/join/news" in response.text


def test_a_link_without_a_row_offers_none_of_several_lists(
    pages: Pages, mailing_list: MailingList
) -> None:
    make_list(pages.database, slug=f"{mailing_list.slug}-2")
    response = pages.get("yes", new_id())
    assert heading_of(response) == "Nothing is held under this link"
    assert "/join/" not in response.text


# --- A sensitive list. ---------------------------------------------------------------------------


def test_a_sensitive_list_shows_in_no_title_and_no_address(
    database: Database, settings: Settings
) -> None:
    pages = Pages(database, settings)
    sensitive = make_list(database, slug="hiv-group", name="HIV group", sensitive=True)
    contact = make_asked(database, sensitive, make_campaign(database, sensitive))
    kinds: tuple[Any, ...] = ("yes", "no", "me")
    shown = [pages.get(kind, contact.uid).text for kind in kinds]
    shown += [pages.post("no", contact.uid).text, pages.post("yes", contact.uid).text]
    for text in shown:
        head, _, body = text.partition("<body>")
        assert "hiv" not in head.lower()
        assert "hiv-group" not in body
        assert "<h1>HIV" not in body


def test_a_yes_on_a_sensitive_list_is_explicit_consent(
    database: Database, settings: Settings
) -> None:
    pages = Pages(database, settings)
    sensitive = make_list(database, sensitive=True)
    contact = make_asked(database, sensitive, make_campaign(database, sensitive))
    said = words_of(pages.get("yes", contact.uid))
    assert "geeft u uitdrukkelijk toestemming" in said
    assert "Ja, ik geef uitdrukkelijk toestemming voor deze mails" in said
    assert "gerechtvaardigd belang" not in said


# --- For somebody too young to consent, or under guardianship. ------------------------------------

FOR_OTHER = {"as": "representative"}


def consents() -> list[dict[str, Any]]:
    found = EvidencePart.select().where(EvidencePart.part == "consent").order_by(EvidencePart.seq)
    return [json.loads(part.json) for part in found]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.everyday("[en-", "[nl-")
@pytest.mark.parametrize("language", catalogues.languages())
def test_every_age_that_a_country_may_set_is_said(
    database: Database, pages: Pages, language: str
) -> None:
    """Sixteen, or as a country has it one from thirteen (GDPR art. 8(1))."""
    about = make_list(database, slug="all", languages=catalogues.languages())
    contact = make_asked(database, about, make_campaign(database, about))
    page = pages.get("yes", contact.uid, query_string={"lang": language}).text
    link = page.index('as=representative">')
    said = page[page.rindex("<p>", 0, link) : link]
    assert all(age in said for age in ("16", "13", "14", "15"))


def test_a_representative_is_asked_as_such(pages: Pages, asked: Contact) -> None:
    ordinary = pages.get("yes", asked.uid, query_string={"lang": "de"})
    assert '<a href="?lang=de&amp;as=representative">Ihre gesetzliche' in ordinary.text
    assert "Unter 16" in words_of(ordinary)
    shown = pages.get("yes", asked.uid, query_string=FOR_OTHER)
    said = words_of(shown)
    first, then = "U antwoordt als wettelijk vertegenwoordiger", "Uw antwoord telt pas"
    assert 0 < said.index("Mogen wij u") < said.index(first) < said.index(then)
    assert "Jonger dan 16" not in said
    for label in ("Ja, ik stem namens deze persoon toe", "Nee, stuur deze mails niet"):
        assert label in said
    for kind in Answer:
        url = pages.links.url(kind.value, asked.uid)
        assert f'<form method="post" action="{url}?as=representative">' in shown.text
    assert '<a href="?lang=de&amp;as=representative" lang="de">' in shown.text
    assert '<a href="?">Ik antwoord voor mijzelf</a>' in shown.text


def test_a_press_reads_its_contact_and_the_recipients_once(
    pages: Pages, asked: Contact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever else answers waits for each look at the database."""
    run, asked_for = pages.database.execute_sql, []

    def noting(statement: str, *values: Any) -> Any:
        asked_for.append(statement)
        return run(statement, *values)  # type: ignore[no-untyped-call]

    number = pages.number(asked.uid)
    monkeypatch.setattr(pages.database, "execute_sql", noting)
    given = pages.client.post(pages.path("no", asked.uid), data={"number": number})
    assert "Uw Nee is vastgelegd" in words_of(given)
    looks = [one for one in asked_for if one.startswith("SELECT") and '"uid" =' in one]
    assert len(looks) == 1
    (look,) = [one for one in asked_for if "register_notes" in one]
    for table in ("handed_over", "webhook", "api_token"):
        assert [one for one in asked_for if table in one] == [look], table


def test_that_a_representative_answered_is_recorded_and_shown_to_the_person(
    pages: Pages, asked: Contact
) -> None:
    given = pages.post("yes", asked.uid, query_string=FOR_OTHER)
    assert "Er is vastgelegd dat de wettelijk vertegenwoordiger" in words_of(given)
    again = pages.post("yes", asked.uid, query_string=FOR_OTHER)
    assert "Er is vastgelegd dat de wettelijk vertegenwoordiger" not in words_of(again)
    pages.clock.advance(timedelta(hours=1))
    pages.post("no", asked.uid, query_string=FOR_OTHER)
    pages.clock.advance(timedelta(hours=1))
    pages.say_yes(asked.uid)
    assert [one.get("given_by") for one in consents()] == ["representative"] * 2 + [None]
    kept = Wording.get_by_id(consents()[0]["page_wording"]).content
    assert "U antwoordt als wettelijk vertegenwoordiger" in kept
    assert "Ja, ik stem namens deze persoon toe" in kept
    receipt = words_of(pages.get("receipt", asked.uid))
    assert "U zei Ja (door uw wettelijk vertegenwoordiger)" in receipt
    assert "U trok uw Ja in (door uw wettelijk vertegenwoordiger)" in receipt
    assert receipt.count("door uw wettelijk") == 2


def test_a_mail_program_speaks_for_the_person_alone(pages: Pages, asked: Contact) -> None:
    pages.post("no", asked.uid, data=ONE_CLICK, query_string=FOR_OTHER)
    assert "given_by" not in consents()[0]


def test_a_representatives_yes_on_a_sensitive_list_is_explicit(
    database: Database, settings: Settings
) -> None:
    pages = Pages(database, settings)
    sensitive = make_list(database, sensitive=True)
    contact = make_asked(database, sensitive, make_campaign(database, sensitive))
    said = words_of(pages.get("yes", contact.uid, query_string=FOR_OTHER))
    assert "Ja, ik stem namens deze persoon uitdrukkelijk toe" in said


# --- Over HTTP. ----------------------------------------------------------------------------------


def test_over_http_each_request_has_a_connection_of_its_own(
    database: Database, asked: Contact
) -> None:
    with served(lambda url: Pages(database, make_settings(public_url=url))) as pages:
        host = pages.settings.public_url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=10)
        before = everything_in(database)
        for method in ("GET", "HEAD"):
            connection.request(method, pages.path("yes", asked.uid))
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200
            assert bool(body) is (method == "GET")
            assert response.getheader("Server") is None
        assert everything_in(database) == before
        pages.clock.advance(timedelta(hours=1))
        shown = pages.wording_shown("yes", asked.uid)
        pressed = f"number={pages.number(asked.uid)}{shown}"
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", pages.path("yes", asked.uid), pressed, kind)
        response = connection.getresponse()
        assert response.status == 200
        response.read()
        connection.close()
    assert Contact.get().status == Status.CONFIRMED
