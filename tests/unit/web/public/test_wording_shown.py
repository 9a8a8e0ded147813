"""A Yes counts in the words that its page said, whatever an admin changes meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit.answers import join
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Wording
from repermit.db.models.contacts import Contact, Opening, SignUp
from repermit.db.models.evidence import EvidencePart
from repermit.db.models.lists import MailingList
from repermit.expiry import downtime, sweep
from repermit.i18n import correctable_texts
from repermit.rules.consent import Reason, Status
from repermit.setting_overrides import text_corrections
from repermit.signed_links import Kind
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_list,
    make_organisation,
)
from tests.support.program_zoo import Button, buttons_in
from tests.support.public_pages import Pages, everything_in, heading_of, without_spans

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

pytestmark = pytest.mark.usefixtures("usual_texts")

CORRECTED = "Ja, graag nog meer mails van u"
QUESTION = {
    "yes": "Mogen wij u ‘Nieuws van de praktijk’ blijven sturen?",
    "confirm": "Mogen wij u ‘Nieuws van de praktijk’ sturen?",
}
SOURCE = {
    "yes": "Yes, keep sending me these mails",
    "confirm": "Yes, send me these mails",
    "again": "Yes, it was me: send me these mails",
}


@pytest.fixture
def asked(database: Database) -> Contact:
    """Return a contact of a running campaign."""
    mailing_list = make_list(database)
    return make_asked(database, mailing_list, make_campaign(database, mailing_list))


def correct(database: Database, source: str, form: str) -> None:
    text = correctable_texts.texts_in("nl")[correctable_texts.key_of(source)]
    assert text_corrections.save_correction(database, text, (form,), now=NOW, actor="user:1")


def yes_on(response: TestResponse) -> Button:
    """Return the button of a page that says Yes."""
    says_yes = {"yes": {""}, "confirm": {"yes"}}
    (found,) = (
        one
        for one in buttons_in(response.text)
        for kind, said in says_yes.items()
        if f"/{kind}/" in one.action and one.sends.get("choice", "") in {*said, "again"}
    )
    return found


def press(pages: Pages, button: Button) -> TestResponse:
    path = button.action.removeprefix(pages.settings.public_url)
    return pages.client.post(path, data=button.sends)


def link(pages: Pages, kind: Kind, asked: Contact) -> str:
    """Return what names the page of a kind: of the contact, or of a sign-up for the list."""
    if kind == "yes":
        return asked.uid
    join.request_sign_up(
        pages.database, asked.list, address="a@example.org", name="", language="nl", now=NOW
    )
    uid: str = SignUp.get().uid
    return uid


def confirmed() -> int:
    return int(Contact.select().where(Contact.status == Status.CONFIRMED).count())


def recorded() -> tuple[dict[str, Any], str]:
    """Return the consent record of the last Yes, and the words of its page."""
    part = EvidencePart.select().where(EvidencePart.part == "consent")
    told = json.loads(part.order_by(EvidencePart.seq.desc()).get().json)
    return told, Wording.get_by_id(told["page_wording"]).content


@pytest.mark.parametrize("kind", ["yes", "confirm"])
def test_a_yes_of_a_page_whose_words_were_corrected_since_is_asked_again(
    pages: Pages, database: Database, asked: Contact, kind: Kind
) -> None:
    uid = link(pages, kind, asked)
    usual = pages.get(kind, uid)
    shown = usual
    for form in (CORRECTED, CORRECTED + "!"):
        opened = pages.get(kind, uid)
        correct(database, SOURCE[kind], form)
        before = everything_in(database, but={Opening})
        shown = press(pages, yes_on(opened))
        assert (shown.status_code, heading_of(shown)) == (200, QUESTION[kind])
        assert form in shown.text
        assert everything_in(database, but={Opening}) == before
    assert heading_of(press(pages, yes_on(usual))) == QUESTION[kind]
    assert confirmed() == 0
    assert heading_of(press(pages, yes_on(shown))) == "Uw Ja is vastgelegd"
    assert CORRECTED + "!" in recorded()[1]
    # The page of who has answered says so, whatever its words were.
    assert heading_of(press(pages, yes_on(usual))) == "Uw Ja was al vastgelegd"


def test_who_is_asked_again_is_so_in_the_words_that_hold_now(
    pages: Pages, database: Database, asked: Contact
) -> None:
    pages.post("no", asked.uid)
    held = pages.post("yes", asked.uid)
    assert heading_of(held) == "Hebt u zelf op Ja gedrukt?"
    correct(database, SOURCE["again"], CORRECTED)
    shown = press(pages, yes_on(held))
    assert heading_of(shown) == "Hebt u zelf op Ja gedrukt?"
    assert CORRECTED in shown.text
    assert confirmed() == 0
    assert heading_of(press(pages, yes_on(shown))) == "Uw Ja is vastgelegd"


def test_a_no_counts_whatever_its_page_said(
    pages: Pages, database: Database, asked: Contact
) -> None:
    correct(database, SOURCE["yes"], CORRECTED)
    opened = pages.get("no", asked.uid)
    correct(database, SOURCE["yes"], CORRECTED + "!")
    (no,) = (one for one in buttons_in(opened.text) if "/no/" in one.action)
    assert no.sends.keys() == {"number"}
    assert heading_of(press(pages, no)) == "Uw Nee is vastgelegd"
    assert Contact.get_by_id(asked.id).status == Status.REMOVED


def test_whoever_is_not_held_any_more_is_told_so(
    pages: Pages, database: Database, asked: Contact
) -> None:
    opened = pages.get("yes", asked.uid)
    correct(database, SOURCE["yes"], CORRECTED)
    with database.atomic():
        erasure.erase_contact(
            asked,
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    assert heading_of(press(pages, yes_on(opened))) == "De gegevens bij deze link zijn gewist"
    for kind in ("yes", "confirm"):
        gone = pages.post(kind, new_id(), data={"choice": "yes"})
        assert heading_of(gone) == "Bij deze link bewaren wij niets"


@pytest.mark.parametrize("change", ["purpose", "organisation", "retention"])
def test_a_sign_up_whose_page_says_something_else_by_now_is_asked_again(
    pages: Pages, database: Database, asked: Contact, change: str
) -> None:
    uid = link(pages, "confirm", asked)
    opened = pages.get("confirm", uid)
    now = pages
    if change == "purpose":
        MailingList.update(purpose="Aanbiedingen van partners").execute()
    elif change == "organisation":
        now = changed(pages, organisation=make_organisation(name="Andere BV"))
    else:
        retention = replace(pages.settings.retention, evidence_years=9)
        now = changed(pages, retention=retention)
    said = {"purpose": "Aanbiedingen van partners", "organisation": "Andere BV", "retention": "9"}
    before = everything_in(database)
    shown = press(now, yes_on(opened))
    assert (shown.status_code, heading_of(shown)) == (200, QUESTION["confirm"])
    assert said[change] in without_spans(shown.text)
    assert everything_in(database) == before
    assert heading_of(press(now, yes_on(shown))) == "Uw Ja is vastgelegd"
    told, page = recorded()
    assert said[change] in without_spans(page)
    assert told["purpose"] == MailingList.get().purpose


def changed(pages: Pages, **settings: Any) -> Pages:
    """Return the pages after an admin has changed settings."""
    changed_settings = replace(pages.settings, **settings)
    return Pages(pages.database, changed_settings, clock=pages.clock)


def test_a_yes_to_who_asked_otherwise_is_asked_again(
    pages: Pages, database: Database, asked: Contact
) -> None:
    now = changed(pages, organisation=make_organisation(name="Andere BV"))
    opened = pages.get("yes", asked.uid)
    before = everything_in(database, but={Opening})
    shown = press(now, yes_on(opened))
    assert heading_of(shown) == QUESTION["yes"]
    assert "Andere BV" in shown.text
    assert everything_in(database, but={Opening}) == before
    assert heading_of(press(now, yes_on(shown))) == "Uw Ja is vastgelegd"
    assert "Andere BV" in recorded()[1]


def test_whoever_is_asked_again_is_so_by_who_asks_now(pages: Pages, asked: Contact) -> None:
    now = changed(pages, organisation=make_organisation(name="Andere BV"))
    pages.post("no", asked.uid)
    held = pages.post("yes", asked.uid)
    shown = press(now, yes_on(held))
    assert heading_of(shown) == "Hebt u zelf op Ja gedrukt?"
    assert confirmed() == 0
    assert heading_of(press(now, yes_on(shown))) == "Uw Ja is vastgelegd"


@pytest.mark.parametrize("kind", ["yes", "confirm"])
@pytest.mark.parametrize("more", [{}, {"texts": "0" * 32}])
def test_a_page_from_before_an_upgrade_is_shown_anew(
    pages: Pages, asked: Contact, kind: Kind, more: dict[str, str]
) -> None:
    uid = link(pages, kind, asked)
    old = yes_on(pages.get(kind, uid))
    number = old.sends["number"].partition("-")[0]
    shown = press(pages, replace(old, sends={**old.sends, "number": number, **more}))
    assert heading_of(shown) == QUESTION[kind]
    assert confirmed() == 0
    assert heading_of(press(pages, yes_on(shown))) == "Uw Ja is vastgelegd"


def test_a_no_of_a_sign_up_counts_whatever_its_page_said(pages: Pages, asked: Contact) -> None:
    uid = link(pages, "confirm", asked)
    opened = pages.get("confirm", uid)
    MailingList.update(purpose="Aanbiedingen van partners").execute()
    (no,) = (one for one in buttons_in(opened.text) if one.sends.get("choice") == "no")
    assert press(pages, no).status_code == 200
    assert SignUp.get().declined_at == NOW


@pytest.mark.parametrize("query", [{}, {"lang": "en"}, {"as": "representative"}])
@pytest.mark.parametrize("kind", ["yes", "confirm"])
def test_time_alone_makes_no_page_another_one(
    pages: Pages, asked: Contact, kind: Kind, query: dict[str, str]
) -> None:
    """A page may lie open over midnight, and until the last moment of the deadline."""
    pages.clock.move_to(DEADLINE - timedelta(days=1))
    MailingList.update(purpose="Aanbiedingen van partners").execute()
    uid = link(pages, kind, asked)
    SignUp.update(at=DEADLINE - timedelta(days=2)).execute()
    opened = pages.get(kind, uid, query_string=query)
    pages.clock.move_to(DEADLINE - timedelta(microseconds=1))
    assert press(pages, yes_on(opened)).status_code == 200
    assert confirmed() == 1
    told, _ = recorded()
    assert told["language"] == query.get("lang", "nl")
    assert told.get("given_by", "") == query.get("as", "")


def test_a_yes_after_the_deadline_is_late_whatever_its_page_said(
    pages: Pages, asked: Contact
) -> None:
    opened = pages.get("yes", asked.uid)
    late = changed(pages, organisation=make_organisation(name="Andere BV"))
    pages.clock.move_to(DEADLINE)
    assert heading_of(press(late, yes_on(opened))) == "De termijn voor dit antwoord is voorbij"
    assert confirmed() == 0


def test_a_yes_that_outruns_the_sweep_is_recorded_with_the_page_that_was_open(
    pages: Pages, asked: Contact
) -> None:
    opened = pages.get("yes", asked.uid)
    downtime.assume_up_until(pages.database, moment=DEADLINE)
    pages.clock.move_to(DEADLINE)
    sweep.expire_due(pages.database, settings=pages.settings, clock=pages.clock)
    assert Contact.get_by_id(asked.id).reason == Reason.NO_RESPONSE
    pages.clock.move_to(DEADLINE - timedelta(seconds=1))
    assert heading_of(press(pages, yes_on(opened))) == "Uw Ja is vastgelegd"
    assert "blijven sturen" in without_spans(recorded()[1])
