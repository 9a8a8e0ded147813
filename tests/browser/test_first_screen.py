"""Question, asker, deadline and both answers stand on the first screen of a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.emails.compose_mail import compose_mail
from repermit.emails.first_screen import MOST_PIXELS, MOST_WORDS, estimate_first_screen
from repermit.i18n import catalogues
from tests.support.first_screen import (
    LONG,
    NAMES,
    USUAL,
    AnswerPages,
    mails,
    measure,
)
from tests.support.mail_builders import make_ask, make_ask_values, make_facts, make_practice

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("language", ["en", "nl"])
def test_both_answers_of_a_mail_are_seen_at_once(page: Page, language: str, names: str) -> None:
    found = {kind: measure(page, html) for kind, html in mails(language, NAMES[names])}
    assert len(found) == 10
    beyond = {
        kind: one
        for kind, one in found.items()
        if one.pixels > MOST_PIXELS or one.words > MOST_WORDS
    }
    assert not beyond


@pytest.mark.parametrize("names", NAMES)
def test_all_answers_of_a_page_are_seen_at_once(database: Database, page: Page, names: str) -> None:
    pages = AnswerPages(database, NAMES[names])
    found = {
        (language, name): measure(page, html)
        for language in ("en", "nl")
        for name, html in pages(language)
    }
    assert len(found) == 48
    beyond = {
        name: one
        for name, one in found.items()
        if one.pixels > MOST_PIXELS or one.words > MOST_WORDS
    }
    assert not beyond


@pytest.mark.parametrize("names", ["usual", "long"])
@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_estimate_for_own_wordings_is_near_what_is_measured(
    page: Page, language: str, names: str
) -> None:
    draft = make_ask(
        organisation=make_practice(name=NAMES[names].organisation),
        mailing_list=make_facts(name=NAMES[names].list_name, purpose=NAMES[names].purpose),
        language=language,
    )
    mail = compose_mail(draft, make_ask_values(name=NAMES[names].reader))
    seen, estimated = measure(page, mail.html), estimate_first_screen(mail.text)
    assert estimated
    assert abs(estimated.pixels - seen.pixels) < 60
    assert estimated.words == seen.words


# --- Yes and No weigh the same. -------------------------------------------------------------------

_LOOKS = """() => [...document.querySelectorAll('.answers button, a.button')].map(one => {
    const {color, backgroundColor, borderTopColor, borderTopWidth, fontWeight, fontSize} =
        getComputedStyle(one);
    const {width, height} = one.getBoundingClientRect();
    return [color, backgroundColor, borderTopColor, borderTopWidth, fontWeight, fontSize,
        Math.round(width), Math.round(height)].join();
})"""
_SEEN: tuple[dict[str, Any], ...] = (
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"color_scheme": "light", "forced_colors": "active"},
)


@pytest.mark.everyday("[en]", "[nl]")
@pytest.mark.parametrize("language", catalogues.languages())
def test_no_answer_stands_out(database: Database, page: Page, language: str) -> None:
    """Neither in colour nor in size: a Yes that was nudged is none that was freely given."""
    shown = {
        name: html
        for name, html in AnswerPages(database, LONG)(language)
        # Of three, one in a line each, the label alone makes the height.
        if name in {"question", "sensitive question"}
    } | dict(mails(language, LONG))
    uneven = {}
    for name, html in shown.items():
        page.set_content(html)
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            for media in _SEEN:
                page.emulate_media(**media)
                looks = page.evaluate(_LOOKS)
                assert len(looks) == (1 if "sign-up" in name else 2)
                # In a mail, of a sensitive list, the longer label may take a line more.
                if name.startswith(("sensitive ask", "sensitive reminder")):
                    looks = [one.rpartition(",")[0] for one in looks]
                if len(set(looks)) > 1:
                    uneven[name, width, str(media)] = looks
    page.emulate_media(color_scheme="light", forced_colors="none")
    assert not uneven


@pytest.mark.parametrize("media", _SEEN)
def test_the_answer_that_has_the_focus_is_seen(
    database: Database, page: Page, media: dict[str, Any]
) -> None:
    html = dict(AnswerPages(database, USUAL)("nl"))["question"]
    page.emulate_media(**media)
    page.set_content(html)
    for _ in range(2):
        page.locator("button:not(:focus)").first.focus()
        page.keyboard.press("Shift")
        outline = page.evaluate(
            "(({outlineStyle, outlineWidth, outlineOffset, outlineColor}, paper) => "
            "[outlineStyle, outlineWidth, outlineOffset, outlineColor !== paper])"
            "(getComputedStyle(document.activeElement),"
            " getComputedStyle(document.body).backgroundColor)"
        )
        # Its line stands apart from the button, on the paper.
        assert outline == ["solid", "3px", "3px", True]
    page.emulate_media(color_scheme="light", forced_colors="none")
