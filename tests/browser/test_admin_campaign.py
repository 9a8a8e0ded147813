"""A whole campaign by the admin's pages in a real browser: mouse, keyboard, no script."""

from __future__ import annotations

import csv
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import users
from repermit.contacts import human_replies
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import find_list
from repermit.expiry import downtime, sweep
from repermit.rules.consent import CampaignState, Reason, Status
from repermit.sending import send_due
from repermit.settings.definitions import MailServer
from tests.support.admin_pages import PASSWORD, SECRET, code_at, make_admin, make_user
from tests.support.builders import NOW, make_asked, make_campaign, make_list, make_settings
from tests.support.inbox import Inbox, Received
from tests.support.public_pages import Pages, answer_by, served
from tests.unit.web.admin.test_mail_wording import TEXT
from tests.unit.web.admin.test_routes import (
    ADMINS,
    FOR_EVERYBODY,
    FOR_THE_HALF_LOGGED_IN,
    FOR_VIEWERS,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PEOPLE = 500
ANSWERS = 30
REPLIES = 2  # of those who answer by mail, and whose answers are recorded by hand
EMAIL = "anna@example.org"
FRESH = "five rather slow herons"
IDLE = timedelta(minutes=15)
DECIDED = "The board decided on 1 March. Addresses from our own forms. None of them opted out."
OVER = datetime(2026, 3, 30, 22, 0, tzinfo=UTC)  # midnight in Amsterdam


@pytest.fixture
def pages(database: Database, sqlite_url: str, inbox: Inbox) -> Iterator[Pages]:
    """Serve the pages, with a mail server that keeps what it is given."""
    mail = MailServer(server="localhost", port=inbox.port, tls="none", reply_timeout=10)
    settings: dict[str, Any] = {"database": sqlite_url, "mail": mail}
    with served(lambda url: Pages(database, make_settings(public_url=url, **settings))) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write the list as a tool would give it."""
    path = tmp_path / "members.csv"
    rows = (f"member{number}@example.org,Member {number},nl" for number in range(PEOPLE))
    path.write_text("\n".join(("email,name,language", *rows)) + "\n", "utf-8")
    return path


# --- Hands. --------------------------------------------------------------------------------------


class Hand(ABC):
    """A way to use a page. What is named is found by its role and name, as people find it."""

    @abstractmethod
    def touch(self, target: Locator) -> None:
        """Press a button, follow a link, or open what opens."""

    @abstractmethod
    def write(self, page: Page, label: str, text: str) -> None:
        """Write into an empty field."""

    def press(self, page: Page, name: str) -> None:
        """Press a button."""
        with page.expect_navigation():
            self.touch(button(page, name))

    def follow(self, page: Page, name: str) -> None:
        """Follow a link."""
        with page.expect_navigation():
            self.touch(link(page, name))

    def choose(self, page: Page, label: str, path: Path) -> None:
        """Choose a file."""
        # Playwright needs a moment before it hears of a window that the browser opens.
        with page.expect_file_chooser() as chooser:
            self.touch(field(page, label))
        chooser.value.set_files(path)

    def fetch(self, page: Page, title: str, folder: Path) -> list[list[str]]:
        """Download the file of a section; return its rows below the header."""
        section = page.get_by_role("region", name=title)
        with page.expect_download() as download:
            self.touch(section.get_by_role("button", name="Download"))
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file))[1:]


class Mouse(Hand):
    """Points at things and clicks."""

    def touch(self, target: Locator) -> None:
        target.click()

    def write(self, page: Page, label: str, text: str) -> None:
        field(page, label).click()
        page.keyboard.insert_text(text)


MOUSE = Mouse()


class Keyboard(Hand):
    """Has Tab, Enter and the letters, and must see where it is."""

    def touch(self, target: Locator) -> None:
        reach(target.page, target)
        target.page.keyboard.press("Enter")

    def write(self, page: Page, label: str, text: str) -> None:
        reach(page, field(page, label))
        page.keyboard.type(text)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True).first


def link(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=name, exact=True).first


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True).first


IS_FOCUSED = "it => it === document.activeElement"
# A ring around it, of a colour of its own, and not beneath the edge of the window.
IS_SEEN = """it => {
    const style = getComputedStyle(it), box = it.getBoundingClientRect();
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
        && box.bottom > 0 && box.top < innerHeight;
}"""
# How many stops lie before it at least, from where the focus is or would go on; each Tab that need
# not be looked at takes half as long. Of some choices only one is a stop.
STOPS = """it => {
    const { DOCUMENT_POSITION_FOLLOWING: AFTER, DOCUMENT_POSITION_PRECEDING: BEFORE } = Node;
    const now = document.activeElement;
    const from = now === document.body && document.querySelector(":target") || now;
    const stops = "a[href], button, input, select, textarea, summary";
    return [...document.querySelectorAll(stops)].filter(
        one => from.compareDocumentPosition(one) & AFTER && it.compareDocumentPosition(one) & BEFORE
            && one.checkVisibility() && !one.disabled && one.type !== "radio").length;
}"""
MOST_TABS = 80


def reach(page: Page, target: Locator) -> None:
    """Go to something with Tab; fail if it cannot be reached, or is not seen to be reached."""
    tabs = target.evaluate(STOPS)
    for _ in range(tabs):
        page.keyboard.press("Tab")
    while not target.evaluate(IS_FOCUSED):
        assert tabs < MOST_TABS, f"Tab does not lead to {target}"
        page.keyboard.press("Tab")
        tabs += 1
    assert target.evaluate(IS_SEEN), f"nothing shows that the focus is on {target}"


def arrive(page: Page, heading: str | re.Pattern[str]) -> None:
    """Wait until a page is there."""
    page.get_by_role("heading", level=1, name=heading).wait_for()
    page.wait_for_load_state()


# --- From the first login to the launch. ---------------------------------------------------------


def enter_first(page: Page, pages: Pages, hand: Hand) -> str:
    """Become the first admin, by the one-time link; return the secret that the app was given."""
    invited = users.invite_first_admin(pages.database, now=NOW, actor="cli:keeper")
    assert invited
    return become_admin(
        page, f"{pages.settings.public_url}/admin/welcome/{invited.token}", hand, now=NOW
    )


def become_admin(page: Page, link: str, hand: Hand, *, now: datetime) -> str:
    """Choose a password and set the second step up; return the secret that the app was given."""
    page.goto(link)
    hand.write(page, "E-mail address", EMAIL)
    hand.write(page, "New password", FRESH)
    hand.write(page, "The same again", FRESH)
    hand.press(page, "Go on")
    page.get_by_role("img", name=re.compile("QR code")).wait_for()
    secret = page.locator(".key").text_content() or ""
    hand.write(page, "Code", code_at(now, secret))
    hand.press(page, "Set up")
    arrive(page, "Your recovery codes")
    assert page.locator(".codes li").count() == 10
    hand.follow(page, "I have kept them")
    arrive(page, "Lists")
    return secret


def prepare(page: Page, hand: Hand, file: Path, *, people: int = PEOPLE, subject: str = "") -> None:
    """Go through the five steps, up to what is asked last; "" leaves the usual subject."""
    hand.follow(page, "New list")
    arrive(page, "Which list is it?")
    hand.write(page, "Name of the list", "News")
    hand.write(page, "What will people get?", "News about our practice, four times a year")
    hand.write(page, "Address of your privacy statement", "https://www.example.org/privacy")
    hand.press(page, "Save and go on")
    arrive(page, "Who is on the list now?")
    hand.choose(page, "The file", file)
    hand.press(page, "Look at the file")
    arrive(page, "What would become of every row")
    assert page.get_by_text(f"{people} rows, of which {people} would come onto the list.").count()
    hand.press(page, "Take the file in")
    arrive(page, "Who is on the list now?")
    hand.follow(page, "Go on to the mail")
    arrive(page, "What does the mail say?")
    hand.write(page, "Subject", subject)
    hand.press(page, "Save and go on")
    arrive(page, "On what conditions?")
    hand.write(page, "Who decided to ask, and on what ground?", DECIDED)
    hand.press(page, "Save and go on")
    arrive(page, "Shall it start?")


def launch(page: Page, hand: Hand) -> None:
    """Confirm by typing, and see that it has begun."""
    assert Campaign.select().count() == 0
    hand.write(page, "How many people will be asked? Type the number above.", str(PEOPLE))
    hand.press(page, f"Ask {PEOPLE} people")
    arrive(page, "News")
    assert page.get_by_text(f"Launched: {PEOPLE} people will be asked.").is_visible()
    campaign = Campaign.get()
    assert campaign.state == CampaignState.SENDING
    assert OVER - campaign.deadline == timedelta(microseconds=1)
    assert Contact.select().count() == PEOPLE
    acts = Evidence.select().where(Evidence.actor.startswith("user:"))
    assert {"list_added", "imported", "launched"} <= {one.event for one in acts}


@pytest.mark.exhaustive
@pytest.mark.parametrize("hand", [MOUSE, Keyboard()], ids=["mouse", "keyboard"])
def test_a_campaign_from_the_first_login_to_handing_over(
    page: Page, pages: Pages, hand: Hand, *, file: Path, inbox: Inbox, tmp_path: Path
) -> None:
    secret = enter_first(page, pages, hand)
    prepare(page, hand, file)
    launch(page, hand)

    go_on_to_the_hand_over(page, pages, secret, hand, inbox=inbox, folder=tmp_path)


@pytest.mark.exhaustive
def test_a_campaign_from_the_first_login_to_handing_over_without_script(
    browser: Browser, pages: Pages, *, file: Path, inbox: Inbox, tmp_path: Path
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page, hand = context.new_page(), MOUSE
        secret = enter_first(page, pages, hand)
        prepare(page, hand, file)
        launch(page, hand)
        go_on_to_the_hand_over(page, pages, secret, hand, inbox=inbox, folder=tmp_path)


# --- What goes on meanwhile, and afterwards. -----------------------------------------------------


def go_on_to_the_hand_over(
    page: Page, pages: Pages, secret: str, hand: Hand, *, inbox: Inbox, folder: Path
) -> None:
    """Follow a campaign that was launched, decide what it asks, and hand over what came of it."""
    send(pages)
    pages.clock.advance(timedelta(days=3))
    downtime.assume_up_until(pages.database, moment=pages.clock.now())
    answer(pages, inbox.mails)
    enter(page, pages, secret, hand=hand)
    hand.follow(page, "News")
    assert numbers_on(page) >= {"500 in this campaign", "20 said Yes", "10 said No, or are gone"}
    hand.follow(page, "Who would be removed if the deadline were now")
    arrive(page, "Who would be removed if the deadline were now")
    silent = page.get_by_role("row").get_by_role("link").all_inner_texts()
    answered = {mail.rcpt_tos[0] for mail in inbox.mails[:ANSWERS]}
    assert len(silent) > 20
    assert answered.isdisjoint(silent)
    decide(page, pages, hand, inbox.mails[ANSWERS:])
    pause_and_go_on(page, hand)

    expire(pages)
    enter(page, pages, secret, hand=hand)
    hand.follow(page, "News")
    assert page.get_by_text("is closed").is_visible()
    hand.follow(page, "Hand over")
    hand.follow(page, "Mailchimp")
    assert len(hand.fetch(page, "Who may be mailed", folder)) == 21
    assert len(hand.fetch(page, "Who must be taken off", folder)) == PEOPLE - 21
    tick_everything(page, hand)
    compare(page, hand, folder / "news-keep-mailchimp.csv")


def decide(page: Page, pages: Pages, hand: Hand, mails: Sequence[Received]) -> None:
    """Say what two people meant who wrote back, and one who was out of office."""
    for number, mail in enumerate(mails[:3]):
        contact = Contact.get(Contact.address == mail.rcpt_tos[0])
        at = pages.clock.now() - timedelta(hours=number)
        with pages.database.atomic():
            human_replies.save_reply(
                contact, digest=str(number) * 64, proposed="", at=at, decided_at=None
            )
    hand.follow(page, "Campaign")
    hand.follow(page, "Decide what they say")
    for decision, said in (
        ("It is a Yes", "Recorded as a Yes."),
        ("It is a No", "Recorded as a No."),
        ("It is no answer", "Set aside: it is no answer."),
    ):
        arrive(page, "Replies to decide")
        hand.press(page, decision)
        page.get_by_text(said).wait_for()
    page.get_by_text("No reply waits.").wait_for()
    hand.follow(page, "Back to the campaign")
    assert numbers_on(page) >= {"21 said Yes", "11 said No, or are gone"}


def pause_and_go_on(page: Page, hand: Hand) -> None:
    hand.press(page, "Pause")
    page.get_by_text("While it is paused nobody is asked").wait_for()
    assert Campaign.get().state == CampaignState.PAUSED
    hand.press(page, "Go on")
    button(page, "Pause").wait_for()
    assert Campaign.get().state == CampaignState.OPEN


def compare(page: Page, hand: Hand, file: Path) -> None:
    """See that there stands in the tool who was handed over."""
    hand.choose(page, "The file from your tool", file)
    hand.press(page, "Compare")
    arrive(page, re.compile("Compared with"))
    assert "21 may be mailed, and are there" in numbers_on(page)
    page.get_by_text("Nothing is left to do").wait_for()


def send(pages: Pages) -> None:
    result = send_due.send_due(pages.database, settings=pages.settings, clock=pages.clock)
    assert not result.server_fault
    assert Campaign.get().state == CampaignState.OPEN


def answer(pages: Pages, mails: Sequence[Received]) -> None:
    """Let 20 people say Yes and 10 say No, by the links of their mails."""
    assert len(mails) == PEOPLE
    for number, mail in enumerate(mails[:ANSWERS]):
        word = "yes" if number < 20 else "no"
        text = mail.message.get_body(("plain",))
        assert text is not None
        found = re.search(rf"{pages.settings.public_url}(/{word}/\S+)", text.get_content())
        assert found is not None
        assert answer_by(pages.client, found[1]).status_code == 200


def expire(pages: Pages) -> None:
    """Let the deadline pass, with the pages up all the time."""
    pages.clock.move_to(OVER)
    downtime.assume_up_until(pages.database, moment=OVER)
    gone = sweep.expire_due(pages.database, settings=pages.settings, clock=pages.clock)
    assert gone.removed == PEOPLE - ANSWERS - REPLIES
    assert Campaign.get().state == CampaignState.CLOSED
    reasons = [one.reason for one in Contact.select().where(Contact.status == Status.REMOVED)]
    assert reasons.count(Reason.NO_RESPONSE) == PEOPLE - ANSWERS - REPLIES


def enter(
    page: Page,
    pages: Pages,
    secret: str,
    *,
    hand: Hand = MOUSE,
    email: str = EMAIL,
    password: str = FRESH,
) -> None:
    """Log in, as somebody does who comes back some days later."""
    page.context.clear_cookies()
    page.goto(f"{pages.settings.public_url}/admin/login")
    hand.write(page, "E-mail address", email)
    hand.write(page, "Password", password)
    hand.press(page, "Go on")
    hand.write(page, "Code", code_at(pages.clock.now(), secret))
    hand.press(page, "Log in")
    arrive(page, "Lists")


def numbers_on(page: Page) -> set[str]:
    """Return the numbers of a page, each with what it counts."""
    page.locator(".numbers li").first.wait_for()
    page.wait_for_load_state()
    return {" ".join(one.split()) for one in page.locator(".numbers li").all_inner_texts()}


def tick_everything(page: Page, hand: Hand) -> None:
    """Tick each step in the tool as done."""
    to_do = page.get_by_role("button", name="Tick as done")
    to_do.nth(1).wait_for()
    page.wait_for_load_state()
    left = to_do.count()
    for ticked in range(1, left + 1):
        hand.touch(button(page, "Tick as done"))
        page.locator(".ticks .done").nth(ticked - 1).wait_for()
    assert page.locator(".ticks .done").count() == left


# --- The lock in the middle of a wording. --------------------------------------------------------


@pytest.mark.exhaustive
def test_the_lock_comes_in_the_middle_of_a_wording_and_takes_no_word(
    page: Page, pages: Pages
) -> None:
    user = make_admin(pages.database)
    make_list(pages.database)
    page.clock.install()
    enter(page, pages, SECRET, email=user.email, password=PASSWORD)
    page.goto(f"{pages.settings.public_url}/admin/lists/news/mail?view=template")
    # Moved before the page has the first answer that it asks for, its clock would take it away.
    page.wait_for_load_state("networkidle")
    field(page, "Subject").fill("Een vraag aan u")
    field(page, "Text").fill(TEXT)
    pages.clock.advance(IDLE)
    page.clock.fast_forward(90_000)
    question = page.get_by_role("dialog", name="The screen was locked")
    question.wait_for()
    assert not field(page, "Text").is_visible()
    question.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    question.wait_for(state="hidden")
    assert field(page, "Subject").input_value() == "Een vraag aan u"
    assert field(page, "Text").input_value() == TEXT
    button(page, "Save and go on").click()
    arrive(page, "On what conditions?")
    assert find_list("news").own_text == TEXT


@pytest.mark.exhaustive
def test_without_script_the_lock_takes_no_word_of_a_wording_either(
    browser: Browser, pages: Pages
) -> None:
    user = make_admin(pages.database)
    make_list(pages.database)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, pages, SECRET, email=user.email, password=PASSWORD)
        page.goto(f"{pages.settings.public_url}/admin/lists/news/mail?view=template")
        field(page, "Subject").fill("Een vraag aan u")
        field(page, "Text").fill(TEXT)
        pages.clock.advance(IDLE)
        button(page, "Save and stay here").click()
        arrive(page, "The screen was locked")
        assert find_list("news").own_text == ""
        field(page, "Password").fill(PASSWORD)
        button(page, "Unlock").click()
        arrive(page, "What does the mail say?")
        assert field(page, "Subject").input_value() == "Een vraag aan u"
        assert field(page, "Text").input_value() == TEXT
    assert find_list("news").own_text == TEXT


# --- A viewer. -----------------------------------------------------------------------------------

ADDRESS = "somebody.secret@private.example"


@pytest.mark.exhaustive
def test_a_viewer_who_tries_every_page_sees_counts_and_no_address(page: Page, pages: Pages) -> None:
    mailing_list = make_list(pages.database)
    contact = make_asked(
        pages.database, mailing_list, make_campaign(pages.database, mailing_list), ADDRESS
    )
    user = make_user(pages.database)
    enter(page, pages, SECRET, email=user.email, password=PASSWORD)
    assert "no answer yet 1" in page.locator(".legend").inner_text().replace("\n", " ")
    token = page.locator("[name=csrf_token]").first.get_attribute("value") or ""
    url = pages.settings.public_url
    values = {
        "slug": "news",
        "number": contact.id,
        "contact_id": contact.id,
        "name": "admin.css",
        "group": "mail",
    }
    tried = 0
    for route in ADMINS:
        if route.endpoint in LEAVING:
            continue
        tried += 1
        path = pages.app.url_map.bind("").build(
            route.endpoint, {one: values.get(one, 1) for one in route.arguments}, route.method
        )
        if route.method == "GET":
            answer = page.goto(url + path)
            assert answer
            status, text = answer.status, page.content()
        else:
            sent = page.request.post(url + path, form={"csrf_token": token})
            status, text = sent.status, sent.text()
        assert ADDRESS not in text, path
        if route.endpoint not in FOR_VIEWERS | FOR_EVERYBODY | FOR_THE_HALF_LOGGED_IN:
            assert status == 403, path
    assert tried > 70
    page.goto(f"{url}/admin/lists/news/")
    assert "1 in this campaign" in numbers_on(page)
    assert Contact.get().status == Status.UNCONFIRMED
    assert Campaign.get().state == CampaignState.OPEN


LEAVING = {"login.log_out", "lock_screen.lock_screen", "account.end_session"}


@pytest.mark.exhaustive
def test_a_file_that_is_too_large_is_told_of_before_it_is_sent(
    page: Page, pages: Pages, tmp_path: Path
) -> None:
    user = make_admin(pages.database)
    enter(page, pages, SECRET, email=user.email, password=PASSWORD)
    page.goto(f"{pages.settings.public_url}/admin/log/verify")
    chosen = field(page, "The file with the proof")
    sizes = {5_000_001: "This file is too large: at most 5 MB.", 5_000_000: ""}
    for size, said in sizes.items():
        (path := tmp_path / f"{size}.json").write_bytes(bytes(size))
        chosen.set_input_files(path)
        assert chosen.evaluate("one => one.validationMessage") == said
