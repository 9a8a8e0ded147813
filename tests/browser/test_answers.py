"""Answering with a real browser: scanners that open everything, and people who press once."""

from __future__ import annotations

import http.client
import random
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from repermit import email_address
from repermit.answers import join, link_target
from repermit.contacts import lookup as contacts_lookup
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.emails import compose_mail, mail_types, make_draft
from repermit.emails.mail_types import ConfirmValues
from repermit.rules.consent import Status
from repermit.rules.sign_up_deadline import SIGN_UP_LIFETIME
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_organisation,
    make_settings,
)
from tests.support.public_pages import Pages, ask_to, everything_in, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

QUESTION = "Mogen wij u ‘Nieuws van de praktijk’ blijven sturen?"
PHONE: dict[str, Any] = {"viewport": {"width": 320, "height": 640}, "java_script_enabled": False}


@pytest.fixture
def pages(database: Database) -> Iterator[Pages]:
    """Serve the pages over HTTP, from the database that the test looks into."""
    make_campaign(database, make_list(database))
    with served(lambda url: Pages(database, make_settings(public_url=url))) as running:
        yield running


def the_list() -> MailingList:
    found = link_target.find_joinable_list("news", settings=make_settings())
    assert found is not None
    return found


def campaign_of(mailing_list: MailingList) -> Campaign:
    found = latest_campaign(mailing_list)
    assert found is not None
    return found


@pytest.fixture
def asked(database: Database, pages: Pages) -> Contact:
    mailing_list = the_list()
    assert pages.settings.public_url.startswith("http://127.0.0.1:")
    return make_asked(database, mailing_list, campaign_of(mailing_list), "anna@example.org")


# --- The mails, as they leave. -------------------------------------------------------------------


def confirm_of(pages: Pages, made: SignUp) -> mail_types.Mail:
    values = ConfirmValues(
        address=made.address,
        confirm_url=pages.links.url("confirm", made.uid),
        list_label="news",
        message_id=f"<{made.uid}@example.org>",
        return_path="praktijk@example.org",
        date=NOW,
    )
    draft = make_draft.draft_join_confirmation(
        organisation=make_organisation(),
        mailing_list=contacts_lookup.read_list_facts(the_list()),
        zone=pages.settings.zone,
        language="nl",
        ends_at=made.at + SIGN_UP_LIFETIME,
    )
    return compose_mail.compose_mail(draft, values)


def links_in(mail: mail_types.Mail, pages: Pages) -> set[str]:
    """Return every link to our pages in a mail: of its text, its HTML and its headers."""
    raw = mail.raw.decode()
    head = raw.partition("\r\n\r\n")[0]
    mine = re.escape(pages.settings.public_url) + r"/[\w./-]*\w"
    return set(re.findall(mine, mail.text + mail.html + head))


def every_link(pages: Pages) -> list[str]:
    """Return every link of every mail to three people of a campaign and one who signs up."""
    database, mailing_list = pages.database, the_list()
    campaign = campaign_of(mailing_list)
    mails = [ask_to(pages, make_asked(database, mailing_list, campaign))]
    for status in (Status.CONFIRMED, Status.CUSTOMER):
        basis = "answer" if status is Status.CONFIRMED else "customer"
        mails.append(
            ask_to(pages, make_contact(database, mailing_list, status=status, basis=basis))
        )
    join.request_sign_up(
        database, mailing_list, address="new@example.org", name="", language="", now=NOW
    )
    mails.append(confirm_of(pages, SignUp.get()))
    return sorted(set().union(*(links_in(mail, pages) for mail in mails)))


@pytest.mark.everyday("-3]")
@pytest.mark.parametrize("times", [3, 10])
def test_clients_that_head_and_get_every_link_of_every_mail_change_nothing(
    pages: Pages, browser: Browser, times: int
) -> None:
    links = every_link(pages)
    assert len(links) == 3 * 3 + 1
    before = everything_in(pages.database)
    context = browser.new_context(java_script_enabled=True)
    page = context.new_page()
    connection = http.client.HTTPConnection(urlsplit(links[0]).netloc, timeout=30)
    visits = [(method, url) for url in links for method in ("HEAD", "GET", "browser")] * times
    random.Random(8058).shuffle(visits)  # noqa: S311  any order will do
    for method, url in visits:
        if method == "browser":
            look_around(page, url)
        else:
            send(connection, method, url)
    connection.close()
    assert not context.cookies()
    context.close()
    assert everything_in(pages.database) == before
    assert Evidence.select().count() == 0

    contact = Contact.get(Contact.status == Status.UNCONFIRMED)
    pages.openings.write(pages.database)
    pages.clock.advance(timedelta(hours=1))
    page = browser.new_page()
    page.goto(pages.links.url("yes", contact.uid))
    page.get_by_role("button", name="Ja, blijf mij deze mails sturen").click()
    page.get_by_role("heading", name="Uw Ja is vastgelegd").wait_for()
    page.close()
    assert Contact.get_by_id(contact.id).status == Status.CONFIRMED
    assert [entry.subject for entry in Evidence.select()] == [contact.subject]


def send(connection: http.client.HTTPConnection, method: str, url: str) -> None:
    connection.request(method, urlsplit(url).path)
    response = connection.getresponse()
    response.read()
    assert response.status == 200


def look_around(page: Page, url: str) -> None:
    """Do what the browser of a mail scanner does: open, scroll to the end, hover, wait."""
    page.goto(url)
    page.evaluate(LOOKING_AROUND)


LOOKING_AROUND = """() => {
    window.scrollTo(0, document.body.scrollHeight);
    for (const button of document.querySelectorAll('button'))
        for (const event of ['mouseover', 'mousemove', 'focus'])
            button.dispatchEvent(new Event(event, {bubbles: true}));
    return new Promise(done => setTimeout(done, 5));
}"""


# --- People. -------------------------------------------------------------------------------------


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser of a small phone, without script."""
    context = browser.new_context(**PHONE)
    yield context
    context.close()


def test_a_person_with_a_small_phone_answers_and_changes_their_mind(
    pages: Pages, asked: Contact, phone: BrowserContext
) -> None:
    page = phone.new_page()
    page.goto(pages.links.url("no", asked.uid))
    assert page.get_by_role("heading", level=1).inner_text() == QUESTION
    page.get_by_role("button", name="Nee, stuur mij deze mails niet meer").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Uw Nee is vastgelegd"
    assert Contact.get().status == Status.REMOVED
    pages.clock.advance(timedelta(minutes=2))
    page.get_by_role("link", name="Ja, stuur mij deze mails").click()
    page.get_by_role("button", name="Ja, stuur mij deze mails").click()
    # After a No, a Yes is asked for once more.
    page.get_by_role("button", name=re.compile("^Ja, ik was het")).click()
    assert page.get_by_role("heading", level=1).inner_text() == "Uw Ja is vastgelegd"
    assert Contact.get().status == Status.CONFIRMED
    assert Evidence.select().count() == 2


def test_somebody_signs_up_and_confirms(pages: Pages, phone: BrowserContext) -> None:
    page = phone.new_page()
    page.goto(f"{pages.settings.public_url}/join/news")
    page.get_by_label("E-mailadres").fill("new@example.org")
    page.get_by_role("button", name="Stuur mij de mail met de link").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Kijk in uw mail"
    (link,) = links_in(confirm_of(pages, SignUp.get()), pages)
    page.goto(link)
    page.get_by_role("button", name="Ja, stuur mij deze mails").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Uw Ja is vastgelegd"
    assert Contact.get().status == Status.CONFIRMED


# --- How the pages look. -------------------------------------------------------------------------

OF_EVERY_PAGE = pytest.mark.parametrize(
    "path",
    [
        pytest.param(lambda pages, uid: pages.path("yes", uid), id="question"),
        pytest.param(lambda pages, uid: pages.path("me", uid), id="held"),
        pytest.param(lambda _pages, _uid: "/join/news", id="join"),
        pytest.param(lambda _pages, _uid: "/elsewhere", id="mistake"),
    ],
)


@pytest.mark.everyday("light-question", "dark-held")
@OF_EVERY_PAGE
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_a_small_phone_and_can_be_read(
    pages: Pages,
    asked: Contact,
    browser: Browser,
    path: Callable[[Pages, str], str],
    scheme: Any,
) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.goto(pages.settings.public_url + path(pages, asked.uid))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate(SMALLEST_TEXT) >= 18
    assert page.evaluate(SMALLEST_TARGET) >= 48
    assert page.evaluate(LEAST_CONTRAST) >= 4.5
    # Chromium itself reports that a page is a 404; a policy that blocks something is ours.
    assert not [said for said in complaints if "Content Security Policy" in said]
    context.close()


SMALLEST_TEXT = """() => Math.min(...[...document.querySelectorAll('body :not([type=hidden])')]
    .map(one => parseFloat(getComputedStyle(one).fontSize)))"""

# But for links within a sentence (WCAG 2.2, 2.5.8).
SMALLEST_TARGET = """() => {
    for (const one of document.querySelectorAll('details')) one.open = true;
    const targets = 'button, input:not([type=hidden]), select, summary, nav a, .go a, footer a';
    return Math.min(1000, ...[...document.querySelectorAll(targets)]
        .map(one => one.getBoundingClientRect().height));
}"""

# WCAG 2.2, 1.4.3: the ratio of relative luminances, of every text against what is behind it.
LEAST_CONTRAST = """() => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const linear = value => value <= 10.31475
        ? value / 3294.6 : ((value / 255 + .055) / 1.055) ** 2.4;
    const luminance = colour => {
        const [red, green, blue] = parts(colour).map(linear);
        return .2126 * red + .7152 * green + .0722 * blue;
    };
    const behind = one => {
        const colour = getComputedStyle(one).backgroundColor;
        const clear = parts(colour)[3] === 0;
        return clear ? behind(one.parentElement) : colour;
    };
    const contrast = one => {
        const pair = [getComputedStyle(one).color, behind(one)].map(luminance);
        return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    };
    return Math.min(...[...document.querySelectorAll('body, body *')].map(contrast));
}"""


def test_both_answers_are_equally_large(pages: Pages, asked: Contact, page: Page) -> None:
    page.goto(pages.links.url("yes", asked.uid))
    boxes = [button.bounding_box() for button in page.get_by_role("button").all()]
    sizes = {(round(box["width"]), round(box["height"])) for box in boxes if box}
    assert len(boxes) == 2
    assert len(sizes) == 1


def test_a_long_address_and_a_long_word_break_rather_than_widen_the_page(
    pages: Pages, browser: Browser
) -> None:
    long = email_address.parse("a" * 60 + "@" + "b" * 60 + "." + "c" * 60 + ".example.org")
    mailing_list = the_list()
    contact = make_contact(pages.database, mailing_list, long.sending, source="d" * 200)
    page = browser.new_page(viewport={"width": 320, "height": 640})
    for kind in ("no", "me"):
        page.goto(pages.settings.public_url + pages.path(kind, contact.uid))
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.close()


def test_the_deadline_passes_while_a_page_is_open(pages: Pages, asked: Contact, page: Page) -> None:
    page.goto(pages.links.url("yes", asked.uid))
    pages.clock.move_to(DEADLINE + timedelta(seconds=1))
    page.get_by_role("button", name="Ja, blijf mij deze mails sturen").click()
    assert (
        page.get_by_role("heading", level=1).inner_text()
        == "De termijn voor dit antwoord is voorbij"
    )
    assert Contact.get().status == Status.UNCONFIRMED
