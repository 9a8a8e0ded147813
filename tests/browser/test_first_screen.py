"""Question, asker, deadline and both answers stand on the first screen of a phone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.emails.compose_mail import compose_mail
from repermit.emails.first_screen import (
    MAX_PIXELS,
    MAX_WORDS,
    FirstScreen,
    estimate_first_screen,
)
from repermit.emails.mail_types import OwnWording
from repermit.i18n import catalogues
from tests.support.first_screen import (
    CUT_OFF,
    CUT_WORDS,
    LONG,
    NAMES,
    USUAL,
    WIDTH,
    AnswerPages,
    evaluate_on_each,
    mails,
    measure,
    measure_all,
)
from tests.support.mail_builders import make_ask, make_ask_values, make_facts, make_practice
from tests.unit.emails.test_wording_validation import GOOD_HTML, GOOD_TEXT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(document_page: Page) -> Page:
    return document_page


def find_beyond(
    page: Page, shown: Mapping[str, str], *, words: int = MAX_WORDS
) -> dict[str, FirstScreen]:
    """Return the documents whose answers do not stand on the first screen, with where they do."""
    measured = measure_all(page, shown, widths=(WIDTH,))
    return {
        name: found[WIDTH]
        for name, found in measured.items()
        if found[WIDTH].pixels > MAX_PIXELS or found[WIDTH].words > words
    }


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("language", ["en", "nl"])
def test_both_answers_of_a_mail_are_seen_at_once(page: Page, language: str, names: str) -> None:
    shown = dict(mails(language, NAMES[names]))
    assert len(shown) == 10
    assert find_beyond(page, shown) == {}


@pytest.mark.everyday("-es]", "-fr]")
@pytest.mark.parametrize("language", catalogues.languages())
def test_names_in_capitals_push_no_answer_of_a_mail_down(page: Page, language: str) -> None:
    for name in ("long", "uncut"):
        names = replace(
            NAMES[name],
            organisation=NAMES[name].organisation.upper(),
            list_name=NAMES[name].list_name.upper(),
            reader=NAMES[name].reader.upper(),
        )
        assert find_beyond(page, dict(mails(language, names))) == {}


@pytest.mark.everyday("longest")
@pytest.mark.parametrize("names", NAMES)
def test_all_answers_of_a_page_are_seen_at_once(database: Database, page: Page, names: str) -> None:
    pages = AnswerPages(database, NAMES[names])
    for language in ("en", "nl"):
        shown = dict(pages(language))
        assert len(shown) == 46
        assert find_beyond(page, shown) == {}


@pytest.mark.everyday("-de]")
@pytest.mark.parametrize("language", ["de", "ga"])
def test_long_words_of_names_fit_a_small_phone_without_styles(
    database: Database, page: Page, language: str
) -> None:
    """With styles nothing breaks where it would without: a word that fits stays whole."""
    names = replace(
        USUAL,
        list_name="Gesundheitsnachrichtenblatt",
        purpose="Rechtsschutzversicherungsgesellschaftsangelegenheiten",
    )
    page.set_viewport_size({"width": 320, "height": 640})
    for name, html in AnswerPages(database, names)(language):
        page.set_content(re.sub("(?s)<style.*?</style>", "", html))
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), name
        page.set_content(html)
        assert page.locator("wbr").count()
        assert page.locator("wbr").evaluate_all("all => all.every(one => !one.offsetParent)")


@pytest.mark.everyday("-nl]")
@pytest.mark.parametrize("language", ["ga", "nl"])
def test_pages_have_room_for_some_words_more(database: Database, page: Page, language: str) -> None:
    """These two had none: a longer name pushed them beyond what is read at first sight."""
    shown = dict(AnswerPages(database, LONG)(language))
    assert find_beyond(page, shown, words=MAX_WORDS - 4) == {}


@pytest.mark.parametrize("names", ["usual", "long"])
@pytest.mark.parametrize("language", ["en", "nl", "de", "bg"])
def test_the_estimate_for_own_wordings_is_near_what_is_measured(
    page: Page, language: str, names: str
) -> None:
    draft = make_ask(
        organisation=make_practice(name=NAMES[names].organisation),
        mailing_list=make_facts(name=NAMES[names].list_name, purpose=NAMES[names].purpose),
        language=language,
    )
    mail = compose_mail(draft, make_ask_values(name=NAMES[names].reader))
    seen, estimated = measure(page, mail.html), estimate_first_screen(mail.html)
    assert estimated
    assert seen.pixels <= estimated.pixels < seen.pixels + max(60, seen.pixels / 6)
    assert estimated.words == seen.words


# What an own wording has above its answers.
_ABOVE = {
    "a paragraph": "<p>{{ greeting }} Wilt u onze post blijven ontvangen?</p>",
    "lines left empty": "<p>{{ greeting }}<br><br><br><br>Wilt u<br>onze post?<br></p>",
    "many lines left empty": "<p>Wilt u onze post?" + "<br>" * 15 + "Ja?</p>",
    "paragraphs of a blank": "<p>&nbsp;</p>" * 5 + "<p>Wilt u onze post?</p>" + "<p>&nbsp;</p>" * 5,
    "paragraphs of a line end": "<p>Wilt u onze post?</p>" + "<p><br></p>" * 8,
    "paragraphs of nothing": "<p></p>" * 8 + "<p>Wilt u onze post?</p>" + "<p> </p>" * 8,
    "a list": "<p>Het gaat om:</p><ul>" + "<li>nieuws over onze praktijk</li>" * 6 + "</ul>",
    "numbers": "<ol>" + "<li>nieuws over onze praktijk</li>" * 6 + "</ol><p>Ja of nee?</p>",
    "lists within lists": "<ul>"
    + "<li>nieuws<ul><li>over onze praktijk</li></ul></li>" * 4
    + "</ul>",
    "a list of paragraphs": "<ul>" + "<li><p>nieuws over onze praktijk</p></li>" * 6 + "</ul>",
    "a list of nothing": "<ul>" + "<li></li>" * 8 + "</ul>",
    "a quotation and a rule": "<blockquote>Wilt u onze post?</blockquote><hr><p>Ja of nee?</p>",
    "a long quotation": "<blockquote><p>"
    + "Wilt u onze post ontvangen? " * 12
    + "</p></blockquote>",
    "quotations within quotations": "<blockquote>" * 3
    + "Wilt u onze post blijven ontvangen? " * 3
    + "</blockquote>" * 3,
    "rules": "<hr>" * 12,
    "rules between paragraphs": "<p>Wilt u onze post?</p><hr>" * 6,
    "rules in quotations": "<blockquote><hr></blockquote>" * 6,
    "headings": "<h1>Onze post</h1><h2>Wilt u die nog?</h2><h3>Ja of nee?</h3>" * 3,
    "long headings": "<h1>" + "Wilt u onze post blijven ontvangen? " * 4 + "</h1>",
    "long headings below": "<h3>" + "Wilt u onze post blijven ontvangen? " * 6 + "</h3>",
    "bold": "<p><b>" + "Wij vragen u of u onze post wilt blijven ontvangen. " * 9 + "</b></p>",
    "bold capitals": "<p><strong>" + "WILT U ONZE POST? " * 9 + "</strong></p>",
    "parts": "<div>Wilt u onze post?</div><div><br></div><div>Ja of nee?</div>",
    "capitals": "<p>" + "WILT U ONZE NIEUWSBRIEF BLIJVEN ONTVANGEN? " * 9 + "</p>",
    "Cyrillic": "<p>" + "Искате ли да продължите да получавате нашите новини? " * 9 + "</p>",
    "long words": "<p>" + "Rechtsschutzversicherungsgesellschaften sind befragt. " * 9 + "</p>",
    "narrow letters": "<p>"
    + "Illi tilt ill, lift it till it fills: it is still little. " * 9
    + "</p>",
    "long": "<p>" + "Wij vragen u of u onze post wilt blijven ontvangen. " * 9 + "</p>",
    "accents": "<p>" + "Souhaitez-vous être prévenu à l’été, où ça ? Íí ìï łł. " * 9 + "</p>",
    "wide letters": "<p>" + "WWW MMM %%% mm ww " * 9 + "</p>",
    "wide letters in headings": "<h1>" + "Wie mag om mee? " * 9 + "</h1>",
    "one long word": "<p>" + "m" * 100 + "</p>",
    "digits in one long word": "<p>" + "0" * 59 + "</p>",
    "words that hold together": "<p>" + "aan&nbsp;alle&nbsp;mensen&nbsp;die&nbsp;lid " * 6 + "</p>",
    "all words together": "<p>"
    + "Wilt&nbsp;u&nbsp;onze&nbsp;post&nbsp;ontvangen?&nbsp;" * 9
    + "</p>",
    "pairs in headings": "<h1>" + "Onze&nbsp;post voor&nbsp;u " * 5 + "</h1>",
}


@pytest.mark.parametrize("above", _ABOVE)
def test_the_estimate_for_an_own_html_is_near_what_is_measured(page: Page, above: str) -> None:
    own = OwnWording(text=GOOD_TEXT, html=f"{_ABOVE[above]}\n{GOOD_HTML}")
    mail = compose_mail(make_ask(own=own), make_ask_values())
    seen, estimated = measure(page, mail.html), estimate_first_screen(mail.html)
    assert estimated
    # Rather too high, and never too low: of what ends below is warned.
    assert seen.pixels <= estimated.pixels < seen.pixels + max(60, seen.pixels / 6)
    assert estimated.words == seen.words


@pytest.mark.everyday("-de]")
@pytest.mark.parametrize("language", ["de", "es", "fi", "pl"])
def test_letters_of_twice_the_size_cut_long_words_alone_and_hyphenate_them(
    database: Database, browser: Browser, language: str
) -> None:
    """A browser without a dictionary, as Debian's chromium is, cuts them without a hyphen.

    So what is asked for is looked at, language and hyphens, and that nothing is wider than it may.
    """
    context = browser.new_context(viewport={"width": 320, "height": 640})
    page = context.new_page()
    sizes = {"standard": 32, "fixed": 26}
    context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": sizes})
    cut = set()
    for name, html in AnswerPages(database, LONG)(language):
        if "to an hour" not in name:
            page.set_content(html)
            assert page.locator("html").get_attribute("lang") == language
            assert not page.evaluate(CUT_OFF), name
            cut |= set(map(tuple, page.evaluate(CUT_WORDS)))
    context.close()
    assert cut
    assert {hyphens for _, hyphens in cut} == {"auto"}
    assert min(len(word) for word, _ in cut) > 9


# --- Yes and No weigh the same. -------------------------------------------------------------------

_LOOKS = """() => [...document.querySelectorAll('.answers button, a.button')].map(one => {
    const {color, backgroundColor, borderTopColor, borderTopWidth, fontWeight, fontSize} =
        getComputedStyle(one);
    const {width, height} = one.getBoundingClientRect();
    return [color, backgroundColor, borderTopColor, borderTopWidth, fontWeight, fontSize,
        Math.round(width), Math.round(height)].join();
})"""
_SEEN: tuple[dict[str, Any], ...] = (
    {"color_scheme": "light", "forced_colors": "none"},
    {"color_scheme": "dark", "forced_colors": "none"},
    {"color_scheme": "light", "forced_colors": "active"},
)


@pytest.mark.everyday("-nl]")
@pytest.mark.parametrize("language", catalogues.languages())
def test_no_answer_stands_out(database: Database, page: Page, language: str) -> None:
    """Neither in colour nor in size: a Yes that was nudged is none that was freely given."""
    pages = AnswerPages(database, LONG)
    # Of three, one in a line each, the label alone makes the height.
    shown = {
        name: pages.look_at(name, {"lang": language}) for name in ("question", "sensitive question")
    } | dict(mails(language, LONG))
    uneven = {}
    for width, media in product((360, 1280), _SEEN):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(**media)
        for name, looks in evaluate_on_each(page, shown, _LOOKS).items():
            assert len(looks) == (1 if "sign-up" in name else 2)
            # In a mail, of a sensitive list, the longer label may take a line more.
            is_any_height = name.startswith(("sensitive ask", "sensitive reminder"))
            if len({one.rpartition(",")[0] if is_any_height else one for one in looks}) > 1:
                uneven[name, width, str(media)] = looks
    assert not uneven


@pytest.mark.parametrize("media", _SEEN)
def test_the_answer_that_has_the_focus_is_seen(
    database: Database, page: Page, media: dict[str, Any]
) -> None:
    html = AnswerPages(database, USUAL).look_at("question", {"lang": "nl"})
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


_LINES = """() => [...document.querySelectorAll('a.button')].map(one => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return [...range.getClientRects()].map(box => box.width).filter(width => width);
})"""


@pytest.mark.parametrize("language", ["en", "nl"])
def test_no_word_of_a_mails_answer_stands_alone(page: Page, language: str) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    alone = {}
    for name, html in mails(language, USUAL):
        page.set_content(html)
        for lines in page.evaluate(_LINES):
            if min(lines) < max(lines) / 2:
                alone[name] = lines
    assert not alone


@pytest.mark.parametrize("size", [16, 32])
def test_the_sign_for_languages_is_as_large_as_the_letters_beside_it(
    database: Database, browser: Browser, size: int
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640})
    page = context.new_page()
    context.new_cdp_session(page).send(
        "Page.setFontSizes", {"fontSizes": {"standard": size, "fixed": size}}
    )
    page.set_content(AnswerPages(database, USUAL).look_at("question", {"lang": "nl"}))
    sign = page.locator("nav svg")
    letters = sign.evaluate("one => parseFloat(getComputedStyle(one.parentElement).fontSize)")
    height = sign.evaluate("one => one.getBoundingClientRect().height")
    context.close()
    assert 1 <= height / letters < 1.2
