"""The first screen of every mail and page, in every language, at the widths of phones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.emails.first_screen import MOST_PIXELS, MOST_WORDS
from repermit.i18n import catalogues
from tests.support.first_screen import (
    NAMES,
    WIDTH,
    WIDTHS,
    AnswerPages,
    mails,
    measure,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# What is narrower is higher too: there the last answer may begin on the first screen and end below.
_MOST_PIXELS = {320: 740}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.parametrize("names", NAMES)
def test_every_answer_is_seen_at_once_in_every_language(
    database: Database, page: Page, names: str
) -> None:
    pages = AnswerPages(database, NAMES[names])
    beyond = {}
    for language in catalogues.languages():
        shown = [*mails(language, NAMES[names]), *pages(language)]
        assert len(shown) == 14
        for name, html in shown:
            for width in WIDTHS:
                found = measure(page, html, width=width)
                most = _MOST_PIXELS.get(width, MOST_PIXELS)
                if found.pixels > most or found.words > MOST_WORDS:
                    beyond[language, name, width] = found
    assert WIDTH in WIDTHS
    assert not beyond


@pytest.mark.parametrize("names", NAMES)
def test_nothing_is_wider_than_a_small_phone_in_letters_of_twice_the_size(
    database: Database, browser: Browser, names: str
) -> None:
    pages = AnswerPages(database, NAMES[names])
    context = browser.new_context(viewport={"width": 320, "height": 640})
    page = context.new_page()
    sizes = {"standard": 32, "fixed": 26}
    context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": sizes})
    wide = {}
    for language in catalogues.languages():
        for name, html in pages(language):
            page.set_content(html)
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > 320:
                wide[language, name] = width
    context.close()
    assert not wide
