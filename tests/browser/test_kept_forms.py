"""Nothing typed is lost by looking at a check or a page of settings, and coming back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from repermit.checks.findings import Report
from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.settings.definitions import Settings
from tests.support.admin_pages import let_in
from tests.support.builders import make_contact, make_list
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

CONDITIONS, SETTINGS = "/admin/lists/news/conditions", "/admin/settings/organisation"
WHO = "Who decided to ask, and on what ground?"
TYPED = "Decided by the board; the addresses are from our own forms."
SAID = "What you typed here before is filled in again"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def typing(database: Database, settings: Settings, page: Page) -> Iterator[tuple[Page, str]]:
    """Return a browser of an admin, and where the pages are."""
    make_contact(database, make_list(database))
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as pages:
        let_in(page, pages)
        yield page, pages.settings.public_url


def test_what_was_typed_is_there_again_after_a_page_of_settings(typing: tuple[Page, str]) -> None:
    page, url = typing
    page.goto(url + CONDITIONS)
    page.get_by_label(WHO).fill(TYPED)
    page.goto(url + SETTINGS)
    page.goto(url + CONDITIONS)
    assert page.get_by_label(WHO).input_value() == TYPED
    page.get_by_text(SAID).wait_for()


def test_what_was_typed_is_there_again_after_a_check_and_a_page_of_settings(
    typing: tuple[Page, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The check itself would ask the DNS.
    found = Report(findings=())
    monkeypatch.setattr("repermit.web.admin.campaign_dates.check_everything", lambda: found)
    page, url = typing
    page.goto(url + CONDITIONS)
    page.get_by_label(WHO).fill(TYPED)
    page.get_by_role("button", name="Check now whether it would work").click()
    page.get_by_role("heading", name="Would a campaign work?").wait_for(timeout=60_000)
    assert page.get_by_label(WHO).input_value() == TYPED
    page.goto(url + SETTINGS)
    page.goto(url + CONDITIONS)
    assert page.get_by_label(WHO).input_value() == TYPED


def test_what_is_saved_meanwhile_comes_before_what_was_typed(
    database: Database, typing: tuple[Page, str]
) -> None:
    page, url = typing
    page.goto(f"{url}/admin/lists/news/describe")
    page.get_by_label("How often?").fill("daily")
    page.goto(url + SETTINGS)
    with database.atomic():
        MailingList.update(frequency="monthly").execute()
    page.goto(f"{url}/admin/lists/news/describe")
    assert page.get_by_label("How often?").input_value() == "monthly"
    assert page.get_by_text(SAID).is_hidden()


def test_once_it_is_saved_nothing_is_kept(typing: tuple[Page, str]) -> None:
    page, url = typing
    page.goto(url + CONDITIONS)
    page.get_by_label(WHO).fill(TYPED)
    page.get_by_role("button", name="Save and see what comes of it").click()
    page.get_by_text("Saved.").wait_for()
    page.goto(url + SETTINGS)
    page.goto(url + CONDITIONS)
    assert page.get_by_text(SAID).is_hidden()
    assert page.evaluate("sessionStorage.length") == 0


# --- The mail, whose form has other fields in blocks than it is served with. ----------------------


def test_words_typed_into_blocks_are_there_again_after_a_page_of_settings(
    database: Database, typing: tuple[Page, str]
) -> None:
    page, url = typing
    page.goto(f"{url}/admin/lists/news/mail")
    page.get_by_role("button", name="Say it in your own words").click()
    page.get_by_label("Words 3", exact=True).fill("Mijn eigen woorden.")
    page.get_by_label("Subject").fill("Mijn vraag")
    page.goto(url + SETTINGS)
    page.goto(f"{url}/admin/lists/news/mail")
    page.get_by_text(SAID).locator("visible=true").wait_for()
    assert page.get_by_label("Words 3", exact=True).input_value() == "Mijn eigen woorden."
    assert page.get_by_label("Subject").input_value() == "Mijn vraag"
    assert page.get_by_text("Nee, stuur mij deze mails niet meer").first.is_visible()
    with database.atomic():
        assert MailingList.get().own_text == ""


def test_a_template_typed_is_there_again_unless_another_was_saved_meanwhile(
    database: Database, typing: tuple[Page, str]
) -> None:
    page, url = typing
    for saved in ("", "Iets anders"):
        page.goto(f"{url}/admin/lists/news/mail?view=template")
        page.get_by_label("Text", exact=True).fill("Mijn sjabloon")
        page.goto(url + SETTINGS)
        with database.atomic():
            MailingList.update(own_text=saved).execute()
        page.goto(f"{url}/admin/lists/news/mail")
        if saved:
            assert page.get_by_text("Mijn sjabloon").count() == 0
            assert page.get_by_text(SAID).is_hidden()
        else:
            page.get_by_text(SAID).locator("visible=true").wait_for()
            assert page.get_by_label("Text", exact=True).input_value() == "Mijn sjabloon"


def test_each_further_language_keeps_its_own_words(typing: tuple[Page, str]) -> None:
    page, url = typing
    for language, words in (("de", "Neuigkeiten"), ("fr", "Nouvelles")):
        page.goto(f"{url}/admin/lists/news/describe/in?language={language}")
        page.get_by_label("What will people get?").fill(words)
    for language, words in (("de", "Neuigkeiten"), ("fr", "Nouvelles")):
        page.goto(f"{url}/admin/lists/news/describe/in?language={language}")
        assert page.get_by_label("What will people get?").input_value() == words
