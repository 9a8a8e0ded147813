"""The number of a form: good for one press, of a page shown after the person's latest answer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from repermit.answers import join, record_answer
from repermit.contacts import status_changes
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Opening, SignUp
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.expiry import downtime, sweep
from repermit.privacy import not_the_person
from repermit.rules.consent import Answer, Reason, Status
from repermit.signed_links import Kind, Links
from tests.support.builders import DEADLINE, NOW, make_asked
from tests.support.program_zoo import Button, buttons_in
from tests.support.public_pages import Pages, everything_in, heading_of, status_of, words_of

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

QUESTION = "Mogen wij u ‘Nieuws van de praktijk’ blijven sturen?"
SIGN_UP = "Mogen wij u ‘Nieuws van de praktijk’ sturen?"
RECORDED = "Uw Ja is vastgelegd"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def asked(database: Database, mailing_list: MailingList, campaign: Campaign) -> Contact:
    return make_asked(database, mailing_list, campaign)


def send(pages: Pages, button: Button) -> TestResponse:
    """Press a button, with what its form holds and nothing else."""
    path = button.action.removeprefix(pages.settings.public_url)
    return pages.client.post(path, data=button.sends)


def on(pages: Pages, kind: Kind, contact: Contact | SignUp) -> list[Button]:
    """Return the buttons of a page as somebody opens it now."""
    return buttons_in(pages.get(kind, contact.uid).text)


@pytest.mark.parametrize("kind", ["yes", "no"])
@pytest.mark.parametrize("number", [None, "", "0", "0x0", "0x" + "0" * 20, "é", "9" * 400])
def test_a_press_without_the_number_of_a_page_shows_the_question_and_records_nothing(
    pages: Pages, asked: Contact, kind: Kind, number: str | None
) -> None:
    before = everything_in(pages.database)
    data = {} if number is None else {"number": number}
    for fields in (data, {**data, "choice": "again"}):
        response = pages.client.post(pages.path(kind, asked.uid), data=fields)
        assert (response.status_code, heading_of(response)) == (200, QUESTION)
        assert len(buttons_in(response.text)) == 2
    assert everything_in(pages.database) == before
    # What that page shows counts.
    wanted = Status.CONFIRMED if kind == "yes" else Status.REMOVED
    shown = pages.client.post(pages.path(kind, asked.uid), data=data)
    send(pages, buttons_in(shown.text)[0])
    assert status_of(asked) == wanted


def test_a_number_is_of_one_person_and_of_the_keys_of_the_links(
    pages: Pages, database: Database, campaign: Campaign, asked: Contact
) -> None:
    other = make_asked(database, campaign.list, campaign)
    theirs = pages.number(other.uid)
    assert theirs != pages.number(asked.uid)
    response = pages.post("yes", asked.uid, data={"number": theirs})
    assert heading_of(response) == QUESTION
    links = Links("https://ask.example.org", (b"another key" * 4,))
    response = pages.post("yes", asked.uid, data={"number": links.form_number(asked.uid, 0)})
    assert heading_of(response) == QUESTION
    assert status_of(asked) == Status.UNCONFIRMED


def test_a_form_is_good_for_one_press_of_a_page_shown_after_the_latest_answer(
    pages: Pages, asked: Contact
) -> None:
    yes, no = on(pages, "yes", asked)
    other = on(pages, "no", asked)
    numbers = {one.sends["number"].partition("-")[0] for one in (yes, no, *other)}
    assert numbers == {no.sends["number"]}
    pages.clock.advance(timedelta(hours=1))
    send(pages, no)
    assert status_of(asked) == Status.REMOVED
    pages.clock.advance(timedelta(seconds=100))
    held = send(pages, yes)
    assert heading_of(held) == "Hebt u zelf op Ja gedrukt?"
    assert status_of(asked) == Status.REMOVED
    _, again, _ = buttons_in(held.text)
    assert heading_of(send(pages, again)) == RECORDED
    # Neither the first page's No nor that of the question counts after it.
    for old in (no, other[0]):
        assert "nog niet vastgelegd" in words_of(send(pages, old))
    assert status_of(asked) == Status.CONFIRMED
    assert [one.event for one in Evidence.select()] == ["removed", "confirmed"]


@pytest.mark.parametrize("minutes", [0, 5])
@pytest.mark.parametrize("between", ["no", "one_click", "not_me"])
def test_who_presses_yes_on_a_page_from_before_a_no_needs_one_press_more(
    pages: Pages, asked: Contact, between: str, minutes: int
) -> None:
    """Somebody goes back, has two windows, or a program came while the page was open."""
    yes, _ = on(pages, "yes", asked)
    if between == "not_me":
        on(pages, "no", asked)
        held = send(pages, on(pages, "yes", asked)[0])
        send(pages, buttons_in(held.text)[0])
    else:
        pages.post("no", asked.uid, data=ONE_CLICK if between == "one_click" else {})
    pages.clock.advance(timedelta(minutes=minutes))
    # Sent twice, by whoever presses twice: the page is the same one.
    first, second = (send(pages, yes) for _ in range(2))
    assert {heading_of(first), heading_of(second)} == {"Hebt u zelf op Ja gedrukt?"}
    assert buttons_in(first.text) == buttons_in(second.text)
    assert status_of(asked) != Status.CONFIRMED
    assert heading_of(send(pages, buttons_in(second.text)[1])) == RECORDED


@pytest.mark.parametrize(("kind", "heading"), [("yes", "Uw Ja was"), ("no", "Uw Nee was")])
def test_what_was_recorded_is_so_still_where_it_is_sent_again(
    pages: Pages, asked: Contact, kind: Kind, heading: str
) -> None:
    button = on(pages, kind, asked)[0]
    send(pages, button)
    before = everything_in(pages.database, but=[Opening])
    for _ in range(2):
        assert heading_of(send(pages, button)).startswith(heading)
        pages.clock.advance(timedelta(minutes=5))
    assert everything_in(pages.database, but=[Opening]) == before


def test_a_yes_that_is_asked_for_again_is_so_still_where_it_is_sent_again(
    pages: Pages, asked: Contact
) -> None:
    on(pages, "no", asked)
    yes = on(pages, "yes", asked)[0]
    held = [send(pages, yes) for _ in range(3)]
    marks = [{one.sends["round"] for one in buttons_in(page.text)} for page in held]
    assert len(marks[0]) == 1
    assert marks == marks[:1] * 3
    _, again, _ = buttons_in(held[-1].text)
    assert heading_of(send(pages, again)) == RECORDED


def test_a_no_beside_the_yes_of_one_page_takes_that_back_and_is_no_withdrawal(
    pages: Pages, asked: Contact
) -> None:
    yes, no = on(pages, "yes", asked)
    send(pages, yes)
    assert status_of(asked) == Status.CONFIRMED
    pages.clock.advance(timedelta(hours=3))
    assert heading_of(send(pages, no)) == "Uw Nee is vastgelegd"
    assert Contact.get_by_id(asked.id).reason == Reason.REQUEST


def test_a_no_of_a_page_from_before_a_yes_by_phone_shows_the_question(
    pages: Pages, asked: Contact
) -> None:
    _, no = on(pages, "yes", asked)
    record_answer.record_reported_answer(
        pages.database,
        asked.list,
        str(asked.address),
        Answer.YES,
        note="by phone",
        settings=pages.settings,
        now=NOW,
        actor="cli:els",
    )
    assert "nog niet vastgelegd" in words_of(send(pages, no))
    assert status_of(asked) == Status.CONFIRMED


def test_one_click_needs_no_page_and_is_a_no_alone(pages: Pages, asked: Contact) -> None:
    response = pages.client.post(pages.path("yes", asked.uid), data=ONE_CLICK)
    assert response.status_code == 400
    assert pages.client.post(pages.path("no", asked.uid), data=ONE_CLICK).status_code == 200
    assert status_of(asked) == Status.REMOVED


def test_silence_leaves_a_page_good_that_was_open_before(
    pages: Pages, asked: Contact, database: Database
) -> None:
    """Invariant 10: an answer stamped in time reverses what the sweep took for silence."""
    with database.atomic():
        status_changes.remove_contacts(
            [Contact.get_by_id(asked.id)],
            reason=Reason.NO_RESPONSE,
            act=status_changes.Act(at=NOW, actor="job"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    yes, _ = on(pages, "yes", asked)
    assert yes.sends["number"].partition("-")[0] == pages.links.form_number(asked.uid, 0)
    assert heading_of(send(pages, yes)) == RECORDED


def test_the_sweep_at_the_deadline_makes_no_form_stale(
    pages: Pages, asked: Contact, campaign: Campaign
) -> None:
    yes, no = on(pages, "yes", asked)
    downtime.assume_up_until(pages.database, moment=DEADLINE)
    pages.clock.move_to(DEADLINE)
    sweep.expire_due(pages.database, settings=pages.settings, clock=pages.clock)
    assert Contact.get_by_id(asked.id).reason == Reason.NO_RESPONSE
    assert campaign.id
    pages.clock.move_to(DEADLINE - timedelta(seconds=1))
    for button, heading in ((yes, RECORDED), (no, "Uw Nee is vastgelegd")):
        assert heading_of(send(pages, button)) == heading


@pytest.mark.parametrize("kind", ["yes", "no", "me", "receipt"])
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_no_page_after_an_answer_has_one_button_that_gives_the_opposite(
    pages: Pages, asked: Contact, answer: Kind, kind: Kind
) -> None:
    result = pages.post(answer, asked.uid)
    pages.clock.advance(timedelta(minutes=5))
    for page in (result, pages.get(kind, asked.uid)):
        for link in ("yes", "no"):
            own = [
                one
                for one in buttons_in(page.text)
                if one.action == pages.links.url(link, asked.uid)
            ]
            others = [one for one in buttons_in(page.text) if "number" in one.sends]
            assert not own or len(others) > 1
    opposite: Kind = "no" if answer == "yes" else "yes"
    assert f'href="{pages.links.url(opposite, asked.uid)}"' in result.text


def test_who_is_not_the_person_meant_says_so_on_a_page(pages: Pages, asked: Contact) -> None:
    response = pages.client.post(pages.path("me", asked.uid), data={"do": "not_me"})
    assert heading_of(response) == "Wat wij van u bewaren"
    assert status_of(asked) == Status.UNCONFIRMED
    (button,) = (one for one in buttons_in(response.text) if one.sends.get("do") == "not_me")
    for _ in range(2):
        assert heading_of(send(pages, button)) == "Bedankt voor het melden"
    assert Contact.get_by_id(asked.id).reason == Reason.REQUEST


def test_after_any_removal_that_was_a_no_a_yes_is_asked_for_once_more(
    pages: Pages, database: Database, campaign: Campaign
) -> None:
    for reason in Reason:
        contact = make_asked(database, campaign.list, campaign)
        if reason is Reason.WITHDRAWN:
            pages.post("yes", contact.uid)
        with database.atomic():
            status_changes.remove_contacts(
                [Contact.get_by_id(contact.id)],
                reason=reason,
                act=status_changes.Act(at=NOW, actor="cli:els"),
                fingerprint_key=pages.settings.fingerprint_key,
            )
        pages.clock.advance(timedelta(days=2))
        silent = reason in {Reason.NO_RESPONSE, Reason.BOUNCE}
        heading = heading_of(send(pages, on(pages, "yes", contact)[0]))
        assert heading == (RECORDED if silent else "Hebt u zelf op Ja gedrukt?"), reason


@pytest.mark.exhaustive
@pytest.mark.parametrize("way", ["page", "one_click", "note", "me"])
def test_a_no_that_changed_nothing_was_a_no_all_the_same(
    pages: Pages, database: Database, campaign: Campaign, way: str
) -> None:
    bounced = make_asked(database, campaign.list, campaign)
    with database.atomic():
        status_changes.remove_contacts(
            [bounced],
            reason=Reason.BOUNCE,
            act=status_changes.Act(at=NOW, actor="job"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    if way == "note":
        record_answer.record_reported_answer(
            database,
            campaign.list,
            str(bounced.address),
            Answer.NO,
            note="by phone",
            settings=pages.settings,
            now=NOW,
            actor="cli:els",
        )
    elif way == "me":
        pages.post("me", bounced.uid, data={"do": "not_me"})
    else:
        pages.post("no", bounced.uid, data=ONE_CLICK if way == "one_click" else {})
    assert Contact.get_by_id(bounced.id).reason == Reason.BOUNCE
    pages.clock.advance(timedelta(days=2))
    assert heading_of(pages.post("yes", bounced.uid)) == "Hebt u zelf op Ja gedrukt?"


# --- Signing up.


@pytest.fixture
def signed_up(pages: Pages, mailing_list: MailingList) -> SignUp:
    join.request_sign_up(
        pages.database, mailing_list, address="new@example.org", name="", language="nl", now=NOW
    )
    return SignUp.get()


@pytest.mark.parametrize("choice", ["yes", "no", "not_me"])
def test_a_sign_up_is_pressed_on_its_page(pages: Pages, signed_up: SignUp, choice: str) -> None:
    before = everything_in(pages.database)
    for number in ({}, {"number": "0"}, {"number": pages.links.form_number(signed_up.uid, 1)}):
        data = {"choice": choice, **number}
        response = pages.client.post(pages.path("confirm", signed_up.uid), data=data)
        assert (response.status_code, heading_of(response)) == (200, SIGN_UP)
        assert len(buttons_in(response.text)) == 3
    assert everything_in(pages.database) == before


def test_a_yes_of_a_sign_up_that_is_sent_again_after_a_no_is_none(
    pages: Pages, signed_up: SignUp
) -> None:
    not_me, yes, _ = buttons_in(pages.get("confirm", signed_up.uid).text)
    assert heading_of(send(pages, not_me)) == "Er is geen Ja vastgelegd"
    pages.clock.advance(timedelta(hours=1))
    shown = send(pages, yes)
    assert heading_of(shown) == SIGN_UP
    assert Contact.select().count() == 0
    _, yes, _ = buttons_in(shown.text)
    held = send(pages, yes)
    assert "Vóór dit Ja kwam er een Nee." in words_of(held)
    # Twice is the same page.
    assert buttons_in(send(pages, yes).text) == buttons_in(held.text)
    _, yes, no = buttons_in(held.text)
    assert heading_of(send(pages, yes)) == RECORDED
    # Of an old page nothing counts, of the same one it takes the Yes back.
    assert heading_of(send(pages, not_me)) == "Uw Ja was al vastgelegd"
    assert Contact.get().status == Status.CONFIRMED
    send(pages, no)
    assert Contact.get().status == Status.REMOVED


def test_who_had_a_sign_up_undone_is_asked_once_more_by_the_mails_links(
    pages: Pages, database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    contact = make_asked(database, mailing_list, campaign)
    join.request_sign_up(
        database, mailing_list, address=str(contact.address), name="", language="nl", now=NOW
    )
    _, yes, no = buttons_in(pages.get("confirm", SignUp.get().uid).text)
    send(pages, yes)
    send(pages, no)
    assert status_of(contact) == Status.UNCONFIRMED
    pages.clock.advance(timedelta(days=1))
    pages.get("yes", contact.uid)
    assert heading_of(pages.post("yes", contact.uid)) == "Hebt u zelf op Ja gedrukt?"


@pytest.mark.parametrize("way", ["page", "one_click", "by_phone", "not_the_person"])
def test_a_sign_up_page_that_was_open_before_a_no_does_not_count(
    pages: Pages, mailing_list: MailingList, asked: Contact, way: str
) -> None:
    sign_up = make_sign_up(pages, mailing_list, asked)
    _, yes, _ = on(pages, "confirm", sign_up)
    refuse(pages, asked, way)
    assert status_of(asked) == Status.REMOVED
    pages.clock.advance(timedelta(days=2))
    asked_again = send(pages, yes)
    assert heading_of(asked_again) == SIGN_UP
    assert status_of(asked) == Status.REMOVED
    # What that page shows counts.
    assert heading_of(send(pages, buttons_in(asked_again.text)[1])) == RECORDED
    assert status_of(asked) == Status.CONFIRMED


def make_sign_up(pages: Pages, mailing_list: MailingList, contact: Contact) -> SignUp:
    address = contact.address or ""
    now = pages.clock.now()
    join.request_sign_up(
        pages.database, mailing_list, address=address, name="", language="nl", now=now
    )
    sign_up: SignUp = SignUp.get()
    return sign_up


def refuse(pages: Pages, contact: Contact, way: str) -> None:
    if way == "by_phone":
        record_answer.record_reported_answer(
            pages.database,
            contact.list,
            contact.address or "",
            Answer.NO,
            note="by phone",
            settings=pages.settings,
            now=pages.clock.now(),
            actor="cli:1",
        )
    elif way == "not_the_person":
        not_the_person.say_not_the_person(
            pages.database,
            uid=contact.uid,
            settings=pages.settings,
            now=pages.clock.now(),
            trace={},
        )
    else:
        pages.post("no", contact.uid, data=ONE_CLICK if way == "one_click" else {})
