"""The first screen of every mail and page, in every language, at the widths of phones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.emails.first_screen import MOST_PIXELS, MOST_WORDS
from repermit.i18n import catalogues
from tests.support.first_screen import (
    CUT_OFF,
    DOUBLED,
    LONG,
    NAMES,
    TABLE,
    WIDTH,
    WIDTHS,
    AnswerPages,
    ResultPages,
    find_worst,
    mails,
    make_table,
    measure_widths,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# What is narrower is higher too: there the last answer may begin on the first screen and end below.
_MOST_PIXELS = {320: 740}
_NEAR = 40
"""How many pixels typefaces of another machine may make of a difference."""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.parametrize("names", NAMES)
def test_every_answer_is_seen_at_once_in_every_language(
    database: Database, page: Page, names: str
) -> None:
    pages = AnswerPages(database, NAMES[names])
    beyond, rows = {}, {}
    for language in catalogues.languages():
        shown = [
            {name: measure_widths(page, html) for name, html in every}
            for every in (mails(language, NAMES[names]), pages(language))
        ]
        assert [len(every) for every in shown] == [10, 46]
        for name, widths in (shown[0] | shown[1]).items():
            for width, found in widths.items():
                most = _MOST_PIXELS.get(width, MOST_PIXELS)
                if found.pixels > most or found.words > MOST_WORDS:
                    beyond[language, name, width] = found
        rows[language] = tuple(find_worst(every.values()) for every in shown)
    assert WIDTH in WIDTHS
    assert not beyond
    if NAMES[names] is LONG:
        _compare_with_table(make_table(rows))


def _compare_with_table(written: str) -> None:
    """Hold the table in the documentation to what was measured, or write it anew."""
    if os.environ.get("FIRST_SCREEN") == "write":
        TABLE.write_text(written, "utf-8")
    kept = TABLE.read_text("utf-8")
    number = r"(?<=\| )\d+(?= \|)"
    assert re.sub(number, "", kept) == re.sub(number, "", written)
    earlier, now = (map(int, re.findall(number, one)) for one in (kept, written))
    # Words are as many in every typeface.
    assert not [
        (before, after)
        for before, after in zip(earlier, now, strict=True)
        if abs(before - after) > (_NEAR if before > MOST_WORDS else 0)
    ]


# --- Nothing is wider than the screen. ------------------------------------------------------------

# A width, a height, letters of so many times their size, and whether the page has its styles.
_SCREENS = {
    "letters of twice the size": (320, 640, 2, True),
    "at 400%": (320, 256, 1, True),
    "in landscape": (640, 320, 1, True),
    "without styles": (320, 640, 1, False),
}


@pytest.fixture(params=_SCREENS)
def screen(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[Page, bool]]:
    """Yield a page of a browser with such a screen, and whether pages have styles on it."""
    width, height, times, is_styled = _SCREENS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    sizes = {"standard": 16 * times, "fixed": 13 * times}
    context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": sizes})
    yield page, is_styled
    context.close()


@pytest.mark.parametrize("names", NAMES)
def test_no_page_is_wider_than_its_screen(
    database: Database, screen: tuple[Page, bool], names: str
) -> None:
    page, is_styled = screen
    every = (AnswerPages(database, NAMES[names]), ResultPages(database, NAMES[names]))
    wide = {}
    for language in catalogues.languages():
        shown = {name: html for pages in every for name, html in pages(language)}
        assert len(shown) == 56
        for name, html in shown.items():
            page.set_content(html if is_styled else re.sub("(?s)<style.*?</style>", "", html))
            is_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            if is_wide or page.evaluate(CUT_OFF):
                wide[language, name] = page.evaluate(CUT_OFF)
    assert not wide


@pytest.mark.parametrize("names", NAMES)
def test_no_mail_is_wider_than_a_small_phone_in_letters_of_twice_the_size(
    page: Page, names: str
) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    wide = {}
    for language in catalogues.languages():
        for name, html in mails(language, NAMES[names]):
            page.set_content(html)
            page.evaluate(DOUBLED)
            is_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            if is_wide or page.evaluate(CUT_OFF):
                wide[language, name] = page.evaluate(CUT_OFF)
    assert not wide
