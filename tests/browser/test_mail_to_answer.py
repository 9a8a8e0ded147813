"""From the mail to an answer in two presses; what is read and seen first; for others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import EvidencePart
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Status
from tests.catalogues import ROOT
from tests.exhaustive.test_browser_admin_looks import COLOURS, violations
from tests.support.builders import (
    DEADLINE,
    make_asked,
    make_campaign,
    make_list,
    make_settings,
)
from tests.support.page_weight import Scales
from tests.support.public_pages import Pages, ask_to, served
from tests.support.web_server import WebSite

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

YES = "Ja, blijf mij deze mails sturen"
NO = "Nee, stuur mij deze mails niet meer"
RECORDED = "Uw Ja is vastgelegd"
SMALL: Any = {"width": 320, "height": 640}


@pytest.fixture
def campaign(database: Database) -> Campaign:
    return make_campaign(database, make_list(database))


@pytest.fixture
def pages(database: Database, campaign: Campaign) -> Iterator[Pages]:
    assert campaign.deadline == DEADLINE
    with served(lambda url: Pages(database, make_settings(public_url=url))) as running:
        yield running


def ask(pages: Pages) -> Contact:
    """Ask somebody new, who speaks Dutch."""
    return make_asked(pages.database, MailingList.get(), Campaign.get())


def see(page: Page, heading: str) -> None:
    """Wait for the page of this heading."""
    page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()
    page.wait_for_load_state()


def answer(page: Page, pages: Pages) -> None:
    """Answer Yes with one press in the mail and one on the page."""
    contact = ask(pages)
    page.set_content(ask_to(pages, contact).html)
    page.get_by_role("link", name=re.compile("^Ja")).click()
    see(page, "Mogen wij u ‘Nieuws van de praktijk’ blijven sturen?")
    assert Contact.get_by_id(contact.id).status == Status.UNCONFIRMED
    page.get_by_role("button", name=YES).click()
    see(page, RECORDED)
    assert Contact.get_by_id(contact.id).status == Status.CONFIRMED


def test_two_presses_with_script_and_without_on_a_phone_and_a_desk(
    pages: Pages, browser: Browser
) -> None:
    for width, height, script in ((320, 640, False), (320, 640, True), (1280, 800, False)):
        context = browser.new_context(
            viewport={"width": width, "height": height}, java_script_enabled=script
        )
        answer(context.new_page(), pages)
        assert not context.cookies()
        context.close()


def test_what_is_read_aloud_begins_with_the_question_and_both_answers(
    pages: Pages, page: Page
) -> None:
    page.goto(pages.links.url("yes", ask(pages).uid))
    tree = page.get_by_role("main").aria_snapshot()
    told = [
        'heading "Mogen wij u ‘Nieuws van de praktijk’ blijven sturen?" [level=1]',
        "Antwoord uiterlijk",
        f'button "{YES}"',
        f'button "{NO}"',
    ]
    places = [tree.find(part) for part in told]
    assert places == sorted(places)
    assert min(places) >= 0
    # What is folded comes after both answers, under headings.
    assert "heading" not in tree[places[0] + len("heading") : places[-1]]


@pytest.mark.parametrize(("width", "height"), [(320, 568), (375, 667), (1280, 800)])
def test_both_buttons_are_seen_at_once_below_the_question(
    pages: Pages, page: Page, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    contact = ask(pages)
    for url in (pages.links.url("yes", contact.uid), pages.links.url("no", contact.uid)):
        page.goto(url)
        question = page.get_by_role("heading", level=1).bounding_box()
        assert question
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box
            assert question["y"] + question["height"] < box["y"]
            assert box["y"] + box["height"] <= height


# --- For others, late, and from elsewhere. -------------------------------------------------------


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser of a small phone, without script."""
    context = browser.new_context(viewport=SMALL, java_script_enabled=False)
    yield context
    assert not context.cookies()
    context.close()


def test_a_representative_answers_in_their_own_words(pages: Pages, phone: BrowserContext) -> None:
    page = phone.new_page()
    page.goto(pages.links.url("yes", ask(pages).uid))
    page.get_by_role("link", name="Uw vertegenwoordiger antwoordt").click()
    page.get_by_text("Nederlands", exact=True).click()
    page.get_by_role("link", name="English").click()
    page.get_by_role("button", name="Yes, as representative I consent").click()
    see(page, "Your Yes is recorded")
    told = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    assert (told["given_by"], told["language"]) == ("representative", "en")


def confirm(page: Page, pages: Pages) -> None:
    """Confirm the sign-up that was made last, on the page behind the link in its mail."""
    see(page, "Kijk in uw mail")
    page.goto(pages.links.url("confirm", SignUp.get().uid))
    assert Contact.select().where(Contact.status == Status.CONFIRMED).count() == 0
    page.get_by_role("button", name="Ja, stuur mij deze mails").click()
    see(page, RECORDED)


def test_the_form_of_the_documentation_signs_up_from_another_website(
    pages: Pages, phone: BrowserContext
) -> None:
    page_text = (ROOT / "docs/how-to/sign-up-form.md").read_text("utf-8")
    (form,) = re.findall(r"```html\n(.*?)```", page_text, re.DOTALL)
    mine = form.replace("https://ask.example.org", pages.settings.public_url)
    assert mine != form
    page = phone.new_page()
    with WebSite(body=f"<!doctype html><title>Ours</title>{mine}".encode()) as site:
        # Another name of this machine is another site to a browser.
        page.goto(f"http://localhost:{site.port}/")
        page.get_by_label("Email address").fill("anna@example.org")
        page.get_by_label("Name (if you like)").fill("Anna")
        page.get_by_role("button", name="Send me the mail").click()
        confirm(page, pages)
    found = Contact.get(Contact.status == Status.CONFIRMED)
    assert (found.address, found.name) == ("anna@example.org", "Anna")


# --- How the pages look. -------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_no_page_on_which_people_answer_keeps_anybody_out(pages: Pages, page: Page) -> None:
    scales = Scales(pages.database, pages.settings, slugs=("other", "sensitive"))
    page.set_viewport_size(SMALL)
    found: list[str] = []
    some = [name for name in scales.paths if not name.startswith("sensitive")]
    for name in (*some, "sensitive question"):
        at, path = scales.paths[name]
        pages.clock.move_to(at)
        page.goto(pages.settings.public_url + path)
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        for scheme, rules in (("light", {}), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found += violations(page, f"{name} in {scheme}", rules)
        wide: bool = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        found += [f"{name} is too wide"] * wide
    assert not found
