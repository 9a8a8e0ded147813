"""The page that asks for a Yes once more which may be a program's, and what a No is told then."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.answers import record_answer
from repermit.campaigns import progress
from repermit.contacts import click_log, enqueue_receipt, erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, Wording
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.emails.html_to_text import html_to_text
from repermit.expiry import downtime, sweep
from repermit.i18n import catalogues
from repermit.reports import statistics
from repermit.reports.held_data import count_held_data as of_whom
from repermit.rules import bot_detection
from repermit.rules.bot_detection import BotSignal
from repermit.rules.consent import (
    Answer,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    Reason,
    Status,
)
from repermit.settings.definitions import Settings
from repermit.web.public import page_text
from repermit.web.public.page_text import PageLocale
from tests.support.admin_pages import admin_client
from tests.support.builders import DEADLINE, NOW, make_asked, make_campaign, make_contact, make_list
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import take_back, take_in, write
from tests.support.list_files import as_csv
from tests.support.public_pages import Pages, everything_in, heading_of, status_of, words_of

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

ASKED_AGAIN = "Hebt u zelf op Ja gedrukt?"
BOTH_OPENED = "De links voor Ja en voor Nee zijn binnen een minuut na elkaar geopend"
RECORDED = "Uw Ja is vastgelegd"
LATER = timedelta(hours=1)


@pytest.fixture
def asked(database: Database, mailing_list: MailingList, campaign: Campaign) -> Contact:
    return make_asked(database, mailing_list, campaign)


def look_at_both(pages: Pages, contact: Contact) -> None:
    for link in ("yes", "no"):
        assert pages.client.get(pages.path(link, contact.uid)).status_code == 200


def past_of(contact: Contact) -> bot_detection.LinkHistory:
    return click_log.read_link_history(contact, click_log.find_opening(contact))


def press(
    pages: Pages, contact: Contact, choice: str = "", *, on: TestResponse | None = None
) -> TestResponse:
    """Press Yes, or a button of the page that asked again: of the newest one, or that given."""
    mark = (
        mark_on(on.text)
        if on
        else bot_detection.make_confirmation_token(past_of(contact).doubted_at)
    )
    return pages.post("yes", contact.uid, data={"choice": choice, "round": mark} if choice else {})


def mark_on(text: str) -> str:
    marks = re.findall(r'<input type="hidden" name="round" value="(\w+)">', text)
    assert marks == marks[:1] * 3
    return str(marks[0])


def held(pages: Pages, contact: Contact) -> TestResponse:
    """Do as a program that opens both links does, and press Yes."""
    look_at_both(pages, contact)
    response = press(pages, contact)
    assert (response.status_code, heading_of(response)) == (200, ASKED_AGAIN)
    return response


def trace() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        EvidencePart.select()
        .where(EvidencePart.part == "trace")
        .order_by(EvidencePart.seq.desc())
        .get()
        .json
    )
    return found


# --- A GET leaves a trace, and no more.


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_look_is_noted_behind_the_page_and_changes_nothing_else(
    pages: Pages, database: Database, asked: Contact, method: str
) -> None:
    before = everything_in(database)
    for _ in range(3):
        pages.client.open(pages.path("yes", asked.uid), method=method)
    assert everything_in(database) == before
    rest = everything_in(database, but=[Opening])
    pages.openings.write(database)
    assert everything_in(database, but=[Opening]) == rest
    row = Opening.get()
    assert (row.yes_gets, row.yes_heads) == ((3, 0) if method == "GET" else (0, 3))
    assert (row.yes_first_at, row.held_at, row.signs) == (NOW, None, "")


def test_no_other_look_is_noted(pages: Pages, database: Database, asked: Contact) -> None:
    pages.client.open(pages.path("yes", asked.uid), method="OPTIONS")
    for path in (pages.path("me", asked.uid), pages.path("yes", asked.uid)[:-1]):
        pages.client.get(path)
    assert pages.openings.write(database) == 0


# --- A suspect Yes is none yet.


def test_a_yes_after_both_links_were_opened_is_asked_for_once_more_and_why(
    pages: Pages, mailing_list: MailingList, asked: Contact
) -> None:
    response = held(pages, asked)
    said = words_of(response)
    assert BOTH_OPENED in said
    assert "Mogen wij u ‘Nieuws van de praktijk’ blijven sturen?" in said
    assert status_of(asked) == Status.UNCONFIRMED
    assert Evidence.select().count() == 0
    assert click_log.count_held_yes(mailing_list) == 1
    assert Opening.get().signs == "both_opened,soon"


def test_its_buttons_are_alike_and_the_yes_is_neither_first_nor_last(
    pages: Pages, asked: Contact
) -> None:
    text = held(pages, asked).text
    places = [
        text.index(f">{label}</button>")
        for label in (
            "Ik heb niet op Ja gedrukt: tel het niet mee",
            "Ja, ik was het: blijf mij deze mails sturen",
            "Nee, stuur mij deze mails niet meer",
        )
    ]
    assert places == sorted(places)
    assert text.count("<form") == text.count("<button") == 3
    assert not re.search("<button[^>]* class=", text)
    assert "<script" not in text
    assert "Set-Cookie" not in held(pages, asked).headers


def test_it_says_until_when_one_may_answer_and_what_silence_does(
    pages: Pages, asked: Contact
) -> None:
    said, _, _ = held(pages, asked).text.partition('id="answer"')
    assert "Antwoord uiterlijk <strong>maandag 30\u00a0maart, 11:00 uur</strong>" in said
    assert "anders stoppen wij ermee" in said


def test_after_a_no_it_says_until_when_a_yes_counts_and_threatens_nothing(
    pages: Pages, asked: Contact
) -> None:
    pages.post("no", asked.uid)
    pages.clock.advance(LATER)
    again, _, _ = pages.post("yes", asked.uid).text.partition('id="answer"')
    assert "Hebt u zelf op Ja gedrukt?" in again
    assert "Ja zeggen kan nog, uiterlijk <strong>maandag 30\u00a0maart, 11:00 uur</strong>" in again
    assert "anders stoppen wij ermee" not in again


def test_a_person_gets_through_with_one_further_press(
    pages: Pages, mailing_list: MailingList, asked: Contact
) -> None:
    held(pages, asked)
    pages.clock.advance(timedelta(seconds=5))
    response = press(pages, asked, "again")
    assert heading_of(response) == RECORDED
    assert status_of(asked) == Status.CONFIRMED
    assert click_log.count_held_yes(mailing_list) == 0
    assert Opening.get().signs == ""
    told = trace()
    assert told["signs"] == [BotSignal.BOTH_OPENED, BotSignal.UNSETTLED, BotSignal.SOON]
    assert told["asked_again_at"] == NOW.isoformat()
    assert told["openings"]["no"] == {
        "get": 1,
        "head": 0,
        "first_at": NOW.isoformat(),
        "last_at": NOW.isoformat(),
    }


def test_the_wording_that_is_kept_is_that_of_the_page_that_asked_again(
    pages: Pages, asked: Contact
) -> None:
    page = " ".join(html_to_text(held(pages, asked).text.partition("<main>")[2]).split())
    press(pages, asked, "again")
    told = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    wording = Wording.get_by_id(told["page_wording"]).content
    before, _, _ = wording.partition("<ul>")
    title, essentials = html_to_text(before).splitlines()
    assert title == ASKED_AGAIN
    assert all(half in page for half in essentials.split("⟦address⟧"))
    assert BOTH_OPENED in wording
    assert "<li>Ja, ik was het: blijf mij deze mails sturen</li>" in wording
    assert "<li>Ja, blijf mij" not in wording


def test_the_page_that_asks_again_has_all_that_the_first_one_tells(
    pages: Pages, asked: Contact
) -> None:
    first = pages.get("yes", asked.uid).text
    told = {"Uw recht van bezwaar", *re.findall(r"<summary><h2>(.*?)</h2>", first)}
    assert {"Wie de gegevens krijgt", "Uw rechten"} < told
    shown = held(pages, asked).text
    press(pages, asked, "again")
    consent = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    for page in (shown, Wording.get_by_id(consent["page_wording"]).content):
        assert told <= set(re.findall(r"<h2>(.*?)</h2>", page))


def test_a_yes_on_a_sensitive_list_is_explicit_there_too(pages: Pages, database: Database) -> None:
    health = make_list(database, slug="health", sensitive=True)
    asked = make_asked(database, health, make_campaign(database, health))
    label = "Ja, ik was het, en ik geef uitdrukkelijk toestemming"
    assert f">{label}</button>" in held(pages, asked).text


@pytest.mark.parametrize(
    ("sensitive", "consents"),
    [
        (False, "Ja, ik was het: ik stem namens deze persoon toe"),
        (True, "Ja, ik was het: ik stem namens deze persoon uitdrukkelijk toe"),
    ],
)
def test_a_representative_is_asked_again_in_their_own_words(
    pages: Pages, database: Database, *, sensitive: bool, consents: str
) -> None:
    about = make_list(database, slug="beside", sensitive=sensitive)
    contact = make_asked(database, about, make_campaign(database, about))
    look_at_both(pages, contact)
    query = {"query_string": {"as": "representative"}}
    page = pages.post("yes", contact.uid, **query)
    buttons = re.findall(r"<button[^>]*>([^<]+)</button>", page.text)
    assert buttons == [
        "Ik heb niet op Ja gedrukt: tel het niet mee",
        consents,
        "Nee, stuur deze mails niet meer",
    ]
    pages.post("yes", contact.uid, data={"choice": "again", "round": mark_on(page.text)}, **query)
    assert status_of(contact) == Status.CONFIRMED
    kept = [str(wording.content) for wording in Wording.select()]
    assert sum(consents in text for text in kept) == 1


def links_of(text: str) -> list[str]:
    """Return the links of a page to itself, in another language or for another who answers."""
    return [unescape(link) for link in re.findall(r'<a href="(\?[^"]*)"', text)]


def test_the_page_that_asks_again_is_the_same_in_another_language_and_for_a_representative(
    pages: Pages, database: Database
) -> None:
    about = make_list(database, slug="beside", languages=("en",))
    asked = make_asked(database, about, make_campaign(database, about))
    text = held(pages, asked).text
    mark = mark_on(text)
    before = everything_in(database, but=[Opening])
    path = pages.path("yes", asked.uid)
    others = [pages.client.get(path + link) for link in links_of(text)]
    assert {mark_on(other.text) for other in others} == {mark}
    assert [heading_of(other) for other in others] == ["Was it you who pressed Yes?", ASKED_AGAIN]
    assert everything_in(database, but=[Opening]) == before
    action = re.search(r'action="([^"]+)"', others[1].text)
    assert action
    url = unescape(action[1]).removeprefix(pages.settings.public_url)
    (number,) = re.findall(r'name="number" value="(\w+-\w+)"', others[1].text)
    assert number.startswith(f"{pages.number(asked.uid)}-")
    pressed = pages.client.post(url, data={"choice": "again", "round": mark, "number": number})
    assert heading_of(pressed) == RECORDED
    assert trace()["asked_again_at"]


def test_the_page_that_asks_again_is_the_same_where_many_languages_have_a_page_of_their_own(
    pages: Pages, asked: Contact
) -> None:
    choose = links_of(held(pages, asked).text)[0]
    path = pages.path("yes", asked.uid)
    english = next(link for link in links_of(pages.client.get(path + choose).text) if "=en" in link)
    assert heading_of(pages.client.get(path + english)) == "Was it you who pressed Yes?"


@pytest.mark.parametrize("mark", ["", "0", "zz", "é"])
def test_a_link_to_the_page_that_asks_again_needs_its_mark(
    pages: Pages, asked: Contact, mark: str
) -> None:
    held(pages, asked)
    found = pages.get("yes", asked.uid, query_string={"round": mark})
    assert heading_of(found) != ASKED_AGAIN


def test_a_link_to_a_page_that_asked_again_is_the_plain_question_once_its_time_has_passed(
    pages: Pages, asked: Contact
) -> None:
    mark = mark_on(held(pages, asked).text)
    pages.clock.advance(LATER)
    held(pages, asked)
    found = pages.get("yes", asked.uid, query_string={"round": mark})
    assert heading_of(found) != ASKED_AGAIN
    newest = bot_detection.make_confirmation_token(past_of(asked).doubted_at)
    assert heading_of(pages.get("no", asked.uid, query_string={"round": newest})) != ASKED_AGAIN
    press(pages, asked, "not_me")
    found = pages.get("yes", asked.uid, query_string={"round": newest})
    assert heading_of(found) != ASKED_AGAIN


def test_the_first_button_once_more_is_asked_again(pages: Pages, asked: Contact) -> None:
    held(pages, asked)
    pages.clock.advance(LATER)
    response = press(pages, asked)
    assert heading_of(response) == ASKED_AGAIN
    assert status_of(asked) == Status.UNCONFIRMED


def test_whoever_opens_the_link_by_itself_later_needs_one_press(
    pages: Pages, asked: Contact
) -> None:
    held(pages, asked)
    pages.clock.advance(LATER)
    pages.get("yes", asked.uid)
    assert heading_of(press(pages, asked)) == RECORDED
    assert "asked_again_at" not in trace()


def test_yes_and_no_within_a_minute_are_asked_about_too(pages: Pages, asked: Contact) -> None:
    pages.post("no", asked.uid)
    response = press(pages, asked)
    assert "binnen een minuut op Ja en op Nee gedrukt" in words_of(response)
    assert status_of(asked) == Status.REMOVED
    # A No that was recorded is no silence.
    assert Opening.get().held_at is None
    assert heading_of(press(pages, asked, "again")) == RECORDED


def test_haste_after_a_look_by_head_is_asked_about(pages: Pages, asked: Contact) -> None:
    pages.client.head(pages.path("yes", asked.uid))
    response = press(pages, asked)
    assert "Een programma bekeek de link" in words_of(response)
    assert status_of(asked) == Status.UNCONFIRMED


def test_who_did_not_press_yes_leaves_nothing_recorded(
    pages: Pages, mailing_list: MailingList, asked: Contact
) -> None:
    held(pages, asked)
    response = press(pages, asked, "not_me")
    assert heading_of(response) == "Er is geen Ja vastgelegd"
    assert "maandag 30 maart 2026, 11:00 uur" in words_of(response)
    assert "<form" not in response.text
    assert status_of(asked) == Status.UNCONFIRMED
    assert click_log.count_held_yes(mailing_list) == 0
    assert Evidence.select().count() == 0
    again = press(pages, asked, "again")
    assert heading_of(again) == ASKED_AGAIN
    assert "niet bevestigd" not in words_of(again)
    assert heading_of(press(pages, asked, "again")) == RECORDED


def test_the_yes_before_is_named_where_nothing_else_speaks_against_a_person(
    pages: Pages, asked: Contact
) -> None:
    press(pages, asked, "not_me")
    press(pages, asked)
    pages.clock.advance(LATER)
    assert "Het vorige Ja is niet bevestigd." in words_of(press(pages, asked))


def test_the_button_of_a_page_long_open_does_what_it_can(
    pages: Pages, database: Database, campaign: Campaign, asked: Contact
) -> None:
    old = held(pages, asked)
    pages.clock.advance(LATER)
    pages.get("yes", asked.uid)
    assert heading_of(press(pages, asked)) == RECORDED
    for choice in ("again", "not_me"):
        assert heading_of(press(pages, asked, choice, on=old)) == "Uw Ja was al vastgelegd"
    assert status_of(asked) == Status.CONFIRMED
    pages.clock.move_to(DEADLINE)
    other = make_asked(database, asked.list, campaign)
    assert heading_of(press(pages, other, "not_me")) == "De termijn voor dit antwoord is voorbij"
    with database.atomic():
        erasure.erase_contact(
            asked,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    gone = heading_of(pages.get("yes", asked.uid))
    assert heading_of(press(pages, asked, "not_me")) == gone
    assert heading_of(press(pages, asked, "again")) == gone


def test_a_button_that_names_no_page_or_an_earlier_one_is_asked_about(
    pages: Pages, asked: Contact
) -> None:
    for mark in ("", "0", "ja"):
        response = pages.post("yes", asked.uid, data={"choice": "again", "round": mark})
        assert heading_of(response) == ASKED_AGAIN
    old = held(pages, asked)
    new = held(pages, asked)
    response = press(pages, asked, "again", on=old)
    assert heading_of(response) == ASKED_AGAIN
    assert len({mark_on(one.text) for one in (old, new, response)}) == 3
    assert heading_of(press(pages, asked, "again", on=new)) == ASKED_AGAIN
    assert status_of(asked) == Status.UNCONFIRMED


def test_who_did_not_press_yes_is_told_of_the_no_that_stands(pages: Pages, asked: Contact) -> None:
    """“You can still answer” alone reads as if the No were gone."""
    pages.post("no", asked.uid)
    assert heading_of(press(pages, asked)) == ASKED_AGAIN
    response = press(pages, asked, "not_me")
    assert heading_of(response) == "Er is geen Ja vastgelegd"
    assert "Uw Nee is vastgelegd op maandag 2 maart 2026, 10:00 uur." in words_of(response)
    assert status_of(asked) == Status.REMOVED


def test_who_did_not_press_yes_after_all_takes_it_back_and_is_on_no_list(
    pages: Pages, mailing_list: MailingList, asked: Contact
) -> None:
    mailing_list.receipts = True
    mailing_list.save()
    page = held(pages, asked)
    assert heading_of(press(pages, asked, "again", on=page)) == RECORDED
    response = press(pages, asked, "not_me", on=page)
    assert heading_of(response) == "Er is geen Ja vastgelegd"
    found = Contact.get_by_id(asked.id)
    assert (found.status, found.reason, found.basis) == (Status.REMOVED, Reason.REQUEST, "")
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (entry.event, entry.actor) == ("removed", "reader")
    # What would tell the person of a Yes does not leave, and no record says that they consented.
    receipt = Mail.get(Mail.kind == MailKind.RECEIPT)
    assert (receipt.state, receipt.reason) == (MailState.DROPPED, Dropped.ANSWERED)
    record_input = enqueue_receipt.read_consent_record_input(found, settings=pages.settings)
    made = enqueue_receipt.make_receipt(
        found, record_input, settings=pages.settings, links=pages.links
    )
    assert made is not None
    states = [one["event_state"] for one in made["consent_record"]["event"]]
    assert states == ["dpv:ConsentRequested", "dpv:ConsentUnknown"]
    assert list(iter_chain_faults()) == []
    # Its person can still answer, with one press more at most.
    assert heading_of(press(pages, asked, "not_me", on=page)) == "Er is geen Ja vastgelegd"
    again = press(pages, asked)
    assert heading_of(press(pages, asked, "again", on=again)) == RECORDED


def test_a_no_of_the_same_page_takes_the_yes_back_too_and_is_no_withdrawal(
    pages: Pages, asked: Contact
) -> None:
    page = held(pages, asked)
    press(pages, asked, "again", on=page)
    response = pages.post("no", asked.uid, data={"round": mark_on(page.text)})
    assert heading_of(response) == "Uw Nee is vastgelegd"
    found = Contact.get_by_id(asked.id)
    assert (found.status, found.reason) == (Status.REMOVED, Reason.REQUEST)
    told = json.loads(
        EvidencePart.select()
        .where(EvidencePart.part == "consent")
        .order_by(EvidencePart.seq.desc())
        .get()
        .json
    )
    assert (told["method"], told.get("answer")) == ("both_pressed", None)
    assert list(iter_chain_faults()) == []


def test_a_no_by_any_other_button_is_a_withdrawal_whatever_was_asked_before(
    pages: Pages, asked: Contact
) -> None:
    page = held(pages, asked)
    press(pages, asked, "again", on=page)
    pages.post("no", asked.uid)
    assert Contact.get_by_id(asked.id).reason == Reason.WITHDRAWN
    # Nor does what comes of it belong to that page any more.
    response = press(pages, asked, "not_me", on=page)
    assert heading_of(response) == "Er is geen Ja vastgelegd"
    assert Contact.get_by_id(asked.id).reason == Reason.WITHDRAWN


def test_a_yes_of_a_later_page_or_by_other_means_is_not_taken_back_by_an_old_one(
    pages: Pages, asked: Contact
) -> None:
    page = held(pages, asked)
    press(pages, asked, "again", on=page)
    pages.post("no", asked.uid)
    record_answer.record_reported_answer(
        pages.database,
        asked.list,
        str(asked.address),
        Answer.YES,
        note="by phone",
        settings=pages.settings,
        now=NOW + LATER,
        actor="admin@example.org",
    )
    assert heading_of(press(pages, asked, "not_me", on=page)) == "Uw Ja was al vastgelegd"
    assert status_of(asked) == Status.CONFIRMED


def test_a_yes_that_is_taken_back_after_the_deadline_is_off_the_list_too(
    pages: Pages, asked: Contact
) -> None:
    page = held(pages, asked)
    press(pages, asked, "again", on=page)
    pages.clock.move_to(DEADLINE)
    response = press(pages, asked, "not_me", on=page)
    # It was no No of theirs.
    assert heading_of(response) == "U staat niet meer op deze lijst"
    assert Contact.get_by_id(asked.id).reason == Reason.REQUEST


# --- Where it is seen.


def test_a_held_yes_is_counted_among_the_silent_for_the_admin(
    pages: Pages, mailing_list: MailingList, asked: Contact
) -> None:
    admin = admin_client(pages)
    waits = "pressed Yes as a program does"
    assert waits not in admin.get("/admin/lists/news/figures").text
    held(pages, asked)
    assert waits in admin.get("/admin/lists/news/figures").text
    found = statistics.read_figures(mailing_list, zone=pages.settings.zone, now=NOW)
    assert found is not None
    assert (found.held, found.silent, found.yes) == (1, 1, 0)
    status = progress.read_status(mailing_list, settings=pages.settings, now=NOW)
    assert status.to_json()["held"] == status.held == 1
    assert of_whom(mailing_list).openings == 1


def test_at_the_deadline_a_held_yes_is_silence(
    pages: Pages, mailing_list: MailingList, asked: Contact
) -> None:
    held(pages, asked)
    pages.clock.move_to(DEADLINE)
    downtime.assume_up_until(pages.database, moment=DEADLINE)
    sweep.expire_due(pages.database, settings=pages.settings, clock=pages.clock)
    assert Contact.get_by_id(asked.id).reason == Reason.NO_RESPONSE
    assert click_log.count_held_yes(mailing_list) == 0
    assert list(iter_chain_faults()) == []


def test_the_person_sees_what_is_kept_of_openings(pages: Pages, asked: Contact) -> None:
    held(pages, asked)
    pages.post("me", asked.uid, data={"do": "link"})
    link = FreshLink.get()
    opened = pages.post("fresh", link.uid)
    said = words_of(opened)
    assert "Hoe de links in onze mails zijn geopend" in said
    assert "De link voor Nee – geopend: 1; bekeken zonder te openen: 0" in said
    assert "wacht nog op één druk op de knop" in said


# --- A suspect No counts, and can be undone.


def test_a_suspect_no_is_recorded_and_offers_to_be_undone(pages: Pages, asked: Contact) -> None:
    look_at_both(pages, asked)
    response = pages.post("no", asked.uid)
    assert heading_of(response) == "Uw Nee is vastgelegd"
    assert Contact.get_by_id(asked.id).reason == Reason.NO
    assert trace()["signs"] == [BotSignal.BOTH_OPENED, BotSignal.SOON]
    pages.clock.advance(LATER)
    for one in (response, pages.get("no", asked.uid)):
        assert "Als u het niet zelf was" in words_of(one)
        assert "Tot maandag 30 maart 2026, 11:00 uur kunt u het ongedaan maken" in words_of(one)
        assert f'href="{pages.links.url("yes", asked.uid)}"' in one.text
        assert "<form" not in one.text
    again = press(pages, asked)
    assert "Vóór dit Ja kwam er een Nee." in words_of(again)
    assert heading_of(press(pages, asked, "again", on=again)) == RECORDED


def test_a_no_that_nothing_speaks_against_offers_what_it_always_did(
    pages: Pages, asked: Contact
) -> None:
    pages.get("no", asked.uid)
    response = pages.post("no", asked.uid)
    assert "Als u van gedachten verandert" in words_of(response)
    assert "Als u het niet zelf was" not in words_of(response)


def test_after_the_deadline_a_suspect_no_is_undone_by_signing_up(
    pages: Pages, asked: Contact
) -> None:
    look_at_both(pages, asked)
    pages.post("no", asked.uid)
    pages.clock.move_to(DEADLINE)
    response = pages.get("no", asked.uid)
    assert "Als u het niet zelf was" not in words_of(response)
    assert "/join/news" in response.text


def test_a_one_click_no_is_immediate_whatever_speaks_against_it(
    pages: Pages, asked: Contact
) -> None:
    look_at_both(pages, asked)
    pages.post("no", asked.uid, data={"List-Unsubscribe": "One-Click"})
    assert Contact.get_by_id(asked.id).reason == Reason.NO
    assert "Als u het niet zelf was" in words_of(pages.get("no", asked.uid))


def test_a_no_ends_the_waiting_for_a_yes_and_so_does_being_removed(
    pages: Pages, mailing_list: MailingList, campaign: Campaign, asked: Contact
) -> None:
    held(pages, asked)
    pages.post("no", asked.uid)
    assert click_log.count_held_yes(mailing_list) == 0
    other = make_asked(pages.database, mailing_list, campaign)
    held(pages, other)
    assert click_log.count_held_yes(mailing_list) == 1
    with pages.database.atomic():
        status_changes.remove_contacts(
            [other],
            reason=Reason.NO_RESPONSE,
            act=status_changes.Act(at=NOW, actor="job"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    assert click_log.count_held_yes(mailing_list) == 0


def test_a_press_that_changes_nothing_is_never_asked_about(
    pages: Pages, mailing_list: MailingList
) -> None:
    confirmed = make_contact(
        pages.database, mailing_list, status=Status.CONFIRMED, basis="answer", basis_at=NOW
    )
    look_at_both(pages, confirmed)
    assert heading_of(press(pages, confirmed)) == "Uw Ja was al vastgelegd"
    assert Opening.get().yes_gets == 1


# --- Words.


def test_each_sign_is_told_in_words_of_each_language(settings: Settings) -> None:
    for language in catalogues.languages():
        locale = PageLocale(language=language, zone=settings.zone)
        told = {sign: page_text.explain_asking_again([sign], locale) for sign in BotSignal}
        assert len(set(told.values())) == 5, language
        # What says most comes first, whatever else there is.
        assert (
            page_text.explain_asking_again(list(BotSignal), locale) == told[BotSignal.BOTH_OPENED]
        )


# --- A No that only a file tells of.


def test_a_yes_of_whom_a_file_has_taken_off_is_asked_again_until_the_file_is_taken_back(
    pages: Pages, database: Database, mailing_list: MailingList, tmp_path: Path
) -> None:
    over = make_campaign(database, mailing_list, state=CampaignState.CANCELLED)
    early, late = (make_asked(database, mailing_list, over) for _ in range(2))
    rows = [("email", "opmerking"), *((str(one.address), "wil geen mail") for one in (early, late))]
    pages.clock.advance(LATER)
    take_in(database, mailing_list, write(tmp_path, as_csv(rows)), now=pages.clock.now())
    assert status_of(early) == Status.REMOVED
    pages.clock.advance(LATER)
    assert heading_of(press(pages, early)) == ASKED_AGAIN
    assert status_of(early) == Status.REMOVED
    take_back(database, mailing_list, now=pages.clock.now())
    assert heading_of(press(pages, late)) == RECORDED
    assert status_of(late) == Status.CONFIRMED
