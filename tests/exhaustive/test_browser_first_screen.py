"""The first screen of every mail and page, in every language, at the widths of phones."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import open_database
from repermit.emails.first_screen import MAX_PIXELS, MAX_WORDS
from repermit.i18n import catalogues
from tests.support.first_screen import (
    DOUBLED,
    LONG,
    NAMES,
    TABLE,
    WIDTH,
    WIDTHS,
    AnswerPages,
    Names,
    ResultPages,
    find_wide,
    find_worst,
    mails,
    make_table,
    measure_all,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# What is narrower is higher too: there the last answer may begin on the first screen and end below.
_MOST_PIXELS = {320: 740}
_NEAR = 40
"""How many pixels typefaces of another machine may make of a difference."""


@dataclass(frozen=True)
class Documents:
    """The HTML of all mails and pages with some names: by language, and by what it is."""

    names: Names
    mails: dict[str, dict[str, str]]
    answer_pages: dict[str, dict[str, str]]
    result_pages: dict[str, dict[str, str]]


@pytest.fixture(scope="module", params=NAMES)
def documents(
    request: pytest.FixtureRequest, ready_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Documents:
    """Return the documents with names of one kind, which all tests look at."""
    names = NAMES[request.param]
    path = shutil.copy(ready_sqlite, tmp_path_factory.mktemp("first_screen"))
    with open_database(f"sqlite:///{path}") as database:
        answer_pages, result_pages = AnswerPages(database, names), ResultPages(database, names)
        every = catalogues.languages()
        return Documents(
            names,
            {language: dict(mails(language, names)) for language in every},
            {language: dict(answer_pages(language)) for language in every},
            {language: dict(result_pages(language)) for language in every},
        )


def test_every_answer_is_seen_at_once_in_every_language(documents: Documents, page: Page) -> None:
    beyond, rows = {}, {}
    for language in catalogues.languages():
        shown = [
            measure_all(page, every[language])
            for every in (documents.mails, documents.answer_pages)
        ]
        assert [len(every) for every in shown] == [10, 46]
        for name, widths in (shown[0] | shown[1]).items():
            for width, found in widths.items():
                most = _MOST_PIXELS.get(width, MAX_PIXELS)
                if found.pixels > most or found.words > MAX_WORDS:
                    beyond[language, name, width] = found
        rows[language] = tuple(find_worst(every.values()) for every in shown)
    assert WIDTH in WIDTHS
    assert not beyond
    if documents.names is LONG:
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
        if abs(before - after) > (_NEAR if before > MAX_WORDS else 0)
    ]


# --- Nothing is wider than the screen. ------------------------------------------------------------

_PHONE, _AT_400_PERCENT, _LANDSCAPE = (320, 640), (320, 256), (640, 320)
_USUAL_LETTERS = 16  # pixels


@pytest.fixture
def page_of_large_letters(browser: Browser) -> Iterator[Page]:
    """Yield a page of a browser that is set to letters of twice the size."""
    context = browser.new_context()
    page = context.new_page()
    sizes = {"standard": 2 * _USUAL_LETTERS, "fixed": 2 * 13}
    context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": sizes})
    yield page
    context.close()


def test_no_page_is_wider_than_its_screen(
    documents: Documents, page: Page, page_of_large_letters: Page
) -> None:
    wide: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for language in catalogues.languages():
        shown = documents.answer_pages[language] | documents.result_pages[language]
        assert len(shown) == 56
        bare = {name: re.sub("(?s)<style.*?</style>", "", html) for name, html in shown.items()}
        found = {
            "at 400% or in landscape": find_wide(page, shown, sizes=(_AT_400_PERCENT, _LANDSCAPE)),
            "without styles": find_wide(page, bare, sizes=(_PHONE,)),
            "letters of twice the size": find_wide(page_of_large_letters, shown, sizes=(_PHONE,)),
        }
        wide |= {(language, screen): names for screen, names in found.items() if names}
    assert not wide


def test_no_mail_is_wider_than_a_small_phone_in_letters_of_twice_the_size(
    documents: Documents, page: Page
) -> None:
    wide = {
        language: find_wide(page, shown, script=DOUBLED)
        for language, shown in documents.mails.items()
    }
    assert not any(wide.values()), wide


def test_what_is_wider_than_its_screen_is_found(page: Page) -> None:
    wide = '<!doctype html><p style="width: 400px">wide</p>'
    found = find_wide(page, {"narrow": "<!doctype html><p>narrow</p>", "wide": wide})
    assert found.keys() == {"wide"}
    assert found["wide"][0][0] == "the page"
