"""Getting in with a real browser, and the lock in the middle of typing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe

from repermit.accounts import users
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from tests.support.admin_pages import PASSWORD, SECRET, code_at, make_admin, make_user
from tests.support.builders import NOW, make_settings
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FRESH = "five rather slow herons"
IDLE = timedelta(minutes=15)
ALMOST = (15 * 60 - 30) * 1000  # milliseconds


@pytest.fixture
def pages(database: Database) -> Iterator[Pages]:
    with served(lambda url: Pages(database, make_settings(public_url=url))) as running:
        yield running


def enter(page: Page, pages: Pages, email: str) -> None:
    """Log in as a person does."""
    page.goto(f"{pages.settings.public_url}/admin/login")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Code").fill(code_at(pages.clock.now()))
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("button", name="Log out").wait_for()


def enter_and_look_at_people(page: Page, pages: Pages, email: str) -> None:
    """Log in with a clock that can be moved, and open the page of who has access.

    Moved before the page has the first answer that it asks for, the clock would take it away.
    """
    page.clock.install()
    enter(page, pages, email)
    page.goto(f"{pages.settings.public_url}/admin/people/")
    page.wait_for_load_state("networkidle")


def show_codes(page: Page, pages: Pages) -> list[str]:
    """Make fresh recovery codes; return them as they are shown."""
    make_admin(pages.database, email="anna@example.org")
    enter(page, pages, "anna@example.org")
    page.goto(f"{pages.settings.public_url}/admin/own/")
    form = page.locator("form[action$='/recovery-codes']")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button").click()
    page.locator(".codes li").nth(9).wait_for()
    return page.locator(".codes li").all_inner_texts()


def test_recovery_codes_are_copied_by_a_button(page: Page, pages: Pages) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    codes = show_codes(page, pages)
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "\n".join(codes)
    assert not Axe().run(page).response["violations"]


@pytest.mark.exhaustive
def test_without_a_clipboard_the_codes_are_selected(page: Page, pages: Pages) -> None:
    page.add_init_script("delete Navigator.prototype.clipboard")
    codes = show_codes(page, pages)
    page.get_by_role("button", name="Copy").click()
    assert page.evaluate("getSelection().toString().split(/\\s+/).filter(Boolean)") == codes


@pytest.mark.exhaustive
def test_printed_codes_say_whose_they_are_and_nothing_else_of_the_page(
    page: Page, pages: Pages
) -> None:
    show_codes(page, pages)
    page.evaluate("window.print = () => { document.title = 'printed'; }")
    page.get_by_role("button", name="Print").click()
    assert page.title() == "printed"
    assert not page.get_by_text("For anna@example.org").is_visible()
    page.emulate_media(media="print")
    assert page.get_by_text("For anna@example.org to log in with").is_visible()
    assert page.locator(".codes li").nth(9).is_visible()
    assert not page.get_by_role("button").first.is_visible()
    assert not page.locator(".top").is_visible()


@pytest.mark.exhaustive
def test_without_script_the_codes_are_there_and_no_button_that_does_nothing(
    pages: Pages, browser: Browser
) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    show_codes(page, pages)
    assert page.get_by_role("button", name="Copy").count() == 0
    select = page.locator(".codes").evaluate_all("all => getComputedStyle(all[0]).userSelect")
    assert select == "all"
    page.context.close()


def test_a_link_leads_to_a_password_an_app_and_the_pages(page: Page, pages: Pages) -> None:
    invited = users.invite_first_admin(pages.database, now=NOW, actor="cli:keeper")
    assert invited
    page.goto(f"{pages.settings.public_url}/admin/welcome/{invited.token}")
    page.get_by_label("E-mail address").fill("anna@example.org")
    page.get_by_label("New password").fill(FRESH)
    page.get_by_label("The same again").fill(FRESH)
    page.get_by_role("button", name="Go on").click()
    picture = page.get_by_role("img", name=re.compile("QR code"))
    page.wait_for_load_state()
    assert picture.evaluate("it => it.complete && it.naturalWidth > 100")
    page.get_by_text("It cannot be scanned?").click()
    secret = page.locator(".key").inner_text()
    page.get_by_label("Code").fill(pyotp.TOTP(secret).at(NOW))
    page.get_by_role("button", name="Set up").click()
    page.locator(".codes li").nth(9).wait_for()
    assert page.locator(".codes li").count() == 10
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("link", name="My account").click()
    page.get_by_text("You are logged in as anna@example.org.").wait_for()


@pytest.mark.exhaustive
def test_the_lock_leaves_what_was_typed(page: Page, pages: Pages) -> None:
    user = make_admin(pages.database)
    enter_and_look_at_people(page, pages, user.email)
    page.get_by_label("E-mail address").fill("new@example.org")
    pages.clock.advance(IDLE)
    page.clock.fast_forward(90_000)
    question = page.get_by_role("dialog", name="The screen was locked")
    question.wait_for()
    assert not page.get_by_label("E-mail address").is_visible()
    page.keyboard.press("Escape")
    assert question.is_visible()
    question.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    question.get_by_text("This password is not right.").wait_for()
    pages.clock.advance(timedelta(seconds=1))
    question.get_by_label("Password").fill(PASSWORD)
    question.get_by_role("button", name="Unlock").click()
    question.wait_for(state="hidden")
    assert page.get_by_label("E-mail address").input_value() == "new@example.org"
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("heading", name="A link to pass on").wait_for()
    assert User.select().where(User.email == "new@example.org").exists()


@pytest.mark.exhaustive
def test_a_page_that_was_not_answered_asks_again_within_seconds(page: Page, pages: Pages) -> None:
    user = make_admin(pages.database)
    state = re.compile(r"/admin/lock/state\.json$")
    page.clock.install()
    enter(page, pages, user.email)
    page.route(state, lambda route: route.abort(), times=1)
    with page.expect_event("requestfailed"):
        page.goto(f"{pages.settings.public_url}/admin/people/")
    with page.expect_response(state, timeout=20_000) as answer:
        page.clock.fast_forward(5_000)
    assert answer.value.status == 200


@pytest.mark.exhaustive
def test_without_a_network_the_page_hides_by_itself_and_comes_back_with_it(
    page: Page, pages: Pages
) -> None:
    user = make_admin(pages.database)
    enter_and_look_at_people(page, pages, user.email)
    page.get_by_label("E-mail address").fill("new@example.org")
    people = page.title()
    page.context.set_offline(True)
    page.clock.fast_forward(ALMOST)
    assert page.get_by_label("E-mail address").is_visible()
    page.get_by_label("E-mail address").press("End")
    page.clock.fast_forward(ALMOST)
    assert page.get_by_label("E-mail address").is_visible(), "it was used"
    page.clock.fast_forward(60_000)
    question = page.get_by_role("dialog", name="The screen was locked")
    question.get_by_text("The server cannot be reached just now").wait_for()
    assert_hidden(page, user.email)
    question.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert_hidden(page, user.email)

    pages.clock.advance(2 * IDLE)
    page.context.set_offline(False)
    page.clock.fast_forward(10_000)
    question.get_by_text("The server cannot be reached just now").wait_for(state="hidden")
    assert_hidden(page, user.email)
    question.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    question.wait_for(state="hidden")
    assert page.title() == people
    assert page.get_by_label("E-mail address").input_value() == "new@example.org"
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("heading", name="A link to pass on").wait_for()


def assert_hidden(page: Page, email: str) -> None:
    """See that nothing of a page can be read but the question for the password."""
    read = page.locator("body").inner_text()
    told = page.locator("body").aria_snapshot()
    assert read.count(email) == told.count(email) == 1, "who is logged in, in the question"
    assert "Log out" not in read + told
    assert page.get_by_label("E-mail address").is_hidden()
    assert page.title() == "The screen was locked"


@pytest.mark.exhaustive
def test_a_page_that_nobody_used_for_long_hides_before_anything_else_is_done_in_it(
    page: Page, pages: Pages
) -> None:
    user = make_admin(pages.database)
    enter_and_look_at_people(page, pages, user.email)
    page.context.set_offline(True)
    # A machine that slept: its clock has gone on, its timers have not.
    page.clock.set_system_time(page.evaluate("Date.now()") + 20 * 60 * 1000)
    page.get_by_label("E-mail address").press("a")
    page.get_by_role("dialog", name="The screen was locked").wait_for()
    assert_hidden(page, user.email)


@pytest.mark.exhaustive
def test_typing_keeps_the_screen_from_locking(page: Page, pages: Pages) -> None:
    user = make_admin(pages.database)
    enter_and_look_at_people(page, pages, user.email)
    pages.clock.advance(IDLE - timedelta(seconds=1))
    page.get_by_label("E-mail address").press_sequentially("new@example.org")
    with page.expect_response(lambda answer: answer.url.endswith("/admin/lock/awake")) as awake:
        page.clock.fast_forward(60_000)
    assert awake.value.status == 204
    pages.clock.advance(IDLE - timedelta(seconds=1))
    page.goto(f"{pages.settings.public_url}/admin/own/")
    assert page.get_by_role("heading", name="My account").is_visible()


@pytest.mark.exhaustive
def test_a_session_that_has_ended_leaves_what_was_typed(page: Page, pages: Pages) -> None:
    user = make_admin(pages.database)
    enter_and_look_at_people(page, pages, user.email)
    page.get_by_label("E-mail address").fill("new@example.org")
    users.end_sessions(pages.database, user.id, now=NOW, actor="cli:keeper")
    page.clock.fast_forward(90_000)
    page.get_by_text("The session has ended.").wait_for()
    assert page.locator("#email").input_value() == "new@example.org"


@pytest.mark.exhaustive
def test_without_script_the_lock_sends_on_what_was_typed(browser: Browser, pages: Pages) -> None:
    user = make_admin(pages.database)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        enter(page, pages, user.email)
        page.goto(f"{pages.settings.public_url}/admin/people/")
        page.get_by_label("E-mail address").fill("new@example.org")
        pages.clock.advance(IDLE)
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_text("What you typed is kept, and is sent on").wait_for()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Unlock").click()
        page.get_by_role("heading", name="A link to pass on").wait_for()


# --- For everybody's eyes. -----------------------------------------------------------------------


def visited(page: Page, pages: Pages, *, look: Callable[[str], None]) -> None:
    """Show each page of these modules, in each of its states, to `look`."""
    url = pages.settings.public_url
    user = make_admin(pages.database, email="anna@example.org")
    other = make_user(pages.database, email="bram@example.org")
    make_user(pages.database, email="cees@example.org", password="")
    invited = users.invite_user(pages.database, other.id, now=NOW, actor="cli:keeper")
    page.goto(f"{url}/admin/login")
    look("login")
    page.locator("#email").fill(user.email)
    page.locator("#password").fill("wrong")
    page.locator("main form button").first.click()
    look("login-wrong")
    page.goto(f"{url}/admin/welcome/{invited.token}")
    look("welcome")
    page.goto(f"{url}/admin/welcome/unknown")
    look("used-link")
    page.goto(f"{url}/admin/login")
    pages.clock.advance(timedelta(seconds=1))
    page.locator("#email").fill(user.email)
    page.locator("#password").fill(PASSWORD)
    page.locator("main form button").first.click()
    look("second-step")
    page.locator("#code").fill(code_at(pages.clock.now(), SECRET))
    page.locator("main form button").first.click()
    page.wait_for_load_state()
    for path in ("own/", "own/second-step", "people/", f"people/{other.id}/remove", "nothing"):
        page.goto(f"{url}/admin/{path}")
        for details in page.locator("details").all():
            details.evaluate("it => it.open = true")
        look(path.strip("/").replace("/", "-"))
    page.goto(f"{url}/admin/people/")
    page.locator("#email").fill("new@example.org")
    page.locator("main form:last-of-type button").last.click()
    look("link")
    pages.clock.advance(IDLE)
    page.goto(f"{url}/admin/own/")
    look("lock")


@pytest.mark.everyday("nl-dark")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "nl"])
def test_no_page_keeps_anybody_out(
    browser: Browser, pages: Pages, scheme: Any, locale: str
) -> None:
    """As axe-core finds it; and nothing is wider than a phone."""
    shown: list[str] = []
    with browser.new_context(
        color_scheme=scheme, locale=locale, viewport={"width": 320, "height": 640}
    ) as context:
        page = context.new_page()

        def look(name: str) -> None:
            shown.append(name)
            # After a press the next page may have begun, and have no element yet.
            page.wait_for_load_state()
            found = Axe().run(page)
            assert found.violations_count == 0, f"{name}: {found.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
            assert page.locator("html").get_attribute("lang") == locale

        visited(page, pages, look=look)
    assert len(shown) == 12
