"""Pages and labels in every language, on the narrowest phone; all of it is translated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from repermit.db.connection import Database
from repermit.i18n import catalogues
from repermit.package_files import find_asset
from repermit.settings.definitions import Settings
from tests.catalogues import ROOT, texts
from tests.catalogues import messages as read_messages
from tests.support.builders import make_campaign, make_list
from tests.support.english_left import english_in
from tests.support.public_pages import Pages, words_of
from tests.support.simulated_person import walk
from tests.unit.emails.test_snapshots import make_mail

if TYPE_CHECKING:
    from playwright.sync_api import Page

_MOST_LINES = 3

# Labels that a template is given; what asks for them stands beside each.
_GIVEN = (
    "Yes, keep sending me these mails",  # words.yes_label
    "Yes, send me these mails",
    "Yes, I explicitly consent to these mails",
    "Yes, as representative I consent",
    "Yes, as representative I explicitly consent",
    "No, stop sending me these mails",  # words.no_label
    "No, stop sending these mails",
    "No, do not send these mails",
    "I did not sign up for this",  # asking_again.sign_up_labels
    "No, I do not want these mails",
    "I did not press Yes: do not count it",  # asking_again.labels
    "Yes, it was me, and I explicitly consent to these mails",
    "Yes, it was me: keep sending me these mails",
    "Yes, it was me: send me these mails",
    "Yes, it was me: as representative I consent",
    "Yes, it was me: as representative I explicitly consent",
)

# A word that is wider than its button would be broken anywhere; here it shows by sticking out.
_FLAWS = """most => [...document.querySelectorAll('button, a.button')].flatMap(one => {
    one.style.overflowWrap = one.style.wordBreak = 'normal';
    const style = getComputedStyle(one), number = name => parseFloat(style[name]);
    const inside = one.clientHeight - number('paddingTop') - number('paddingBottom');
    const lines = Math.round(inside / number('lineHeight'));
    const sticks_out = one.scrollWidth > one.clientWidth || one.offsetWidth > innerWidth;
    return sticks_out || lines > most ? [`${one.textContent} (${lines} lines)`] : [];
})"""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def labels() -> list[str]:
    """Return what stands on the buttons of the public pages, in English."""
    said = r'<button[^>]*>\{\{ _\("([^"]+)"\) \}\}</button>|act_form\([^_]*_\("([^"]+)"\)'
    found = [
        one or other
        for path in sorted((ROOT / "templates" / "public").glob("*.html"))
        for one, other in re.findall(said, path.read_text("utf-8"))
    ]
    return [*_GIVEN, *found]


def page_of(texts: list[str]) -> str:
    style = (find_asset("static") / "public.css").read_text("utf-8")
    # As it is where two stand side by side if there is room for both.
    forms = "".join(f'<form><button style="height: auto">{text}</button></form>' for text in texts)
    body = f'<main><div class="answers">{forms}</div></main>'
    return f"<!doctype html><meta name=viewport><style>{style}</style>{body}"


def test_labels_are_found_in_the_templates() -> None:
    assert "Send me a link" in labels()
    assert len(labels()) > 10


def test_no_label_has_a_hyphen_at_which_a_narrow_button_breaks_its_word() -> None:
    found = {
        (language, label)
        for language in catalogues.languages()
        for label in labels()
        if re.search(r"\w-\w", catalogues.load_translations(language).gettext(label))
    }
    assert found == set()


def test_a_hyphen_that_does_not_break_stands_on_buttons_alone() -> None:
    """Elsewhere it is the usual one, so that a word is written alike wherever it is read."""
    found = {
        (language, source)
        for language in catalogues.languages()
        for message in read_messages(language)
        for source in texts(message.id)[:1]
        if "\N{NON-BREAKING HYPHEN}" in "".join(texts(message.string))
    }
    assert {source for _, source in found} <= set(labels())
    assert len(found) > 50


def test_buttons_that_are_alike_are_of_one_width(page: Page) -> None:
    """So that what presses the largest of them gets no Yes through either."""
    forms = "<form><button>I did not press Yes</button></form>" * 3
    wide = page_of([]).replace('class="answers"></div>', f'class="answers alike">{forms}</div>')
    page.set_content(wide)
    widths = page.evaluate("[...document.querySelectorAll('button')].map(one => one.offsetWidth)")
    assert len(widths) == 3
    assert len(set(widths)) == 1


@pytest.fixture
def narrow(page: Page) -> Page:
    page.set_viewport_size({"width": 320, "height": 640})
    return page


def test_no_label_is_too_long_for_its_button(narrow: Page) -> None:
    wrong = {}
    for language in catalogues.languages():
        gettext = catalogues.load_translations(language).gettext
        narrow.set_content(page_of([gettext(label) for label in labels()]))
        wrong[language] = narrow.evaluate(_FLAWS, _MOST_LINES)
        for kind in ("ask", "ask-sensitive", "yes_receipt", "data_link", "address_change"):
            name, _, sensitive = kind.partition("-")
            narrow.set_content(make_mail("-".join(filter(None, (name, language, sensitive)))).html)
            assert narrow.evaluate("document.querySelectorAll('a.button').length") > 0
            wrong[language] += narrow.evaluate(_FLAWS, _MOST_LINES)
    assert not any(wrong.values()), {one: found for one, found in wrong.items() if found}


# One document after the other in the same window, so that axe-core is read but once.
_BEHOLD = """async ([texts, options]) => {
    const wrong = [];
    for (const [name, text] of texts) {
        const read = new DOMParser().parseFromString(text, 'text/html');
        document.replaceChild(document.adoptNode(read.documentElement), document.documentElement);
        const {scrollWidth} = document.documentElement;
        if (scrollWidth > innerWidth) wrong.push(`${name}: ${scrollWidth} wide`);
        const {violations} = await axe.run(document, options);
        wrong.push(...violations.map(one => `${name}: ${one.id} ${one.nodes[0].target}`));
    }
    return wrong;
}"""
_OPTIONS = {
    "resultTypes": ["violations"],
    # Colours are the same in every language, and looked at elsewhere; there is one frame only.
    "rules": {"color-contrast": {"enabled": False}},
    "iframes": False,
}


def test_every_page_can_be_read_by_everybody_in_every_language(
    narrow: Page, database: Database, settings: Settings
) -> None:
    """As axe-core finds it, no wider than a phone, and translated throughout."""
    pages = Pages(database, settings)
    campaign = make_campaign(database, make_list(database, languages=catalogues.languages()))
    narrow.set_content("<!doctype html><title>Axe</title>")
    narrow.evaluate(Axe().axe_script)
    wrong = {}
    for language in catalogues.languages():
        seen = list(walk(pages, campaign, language))
        assert len(seen) > 20
        for name, one in seen:
            assert f'<html lang="{language}" dir="ltr">' in one.text, (name, language)
            assert one.headers["Content-Language"] == language, name
            assert language == "en" or english_in(words_of(one), language) == [], (name, language)
        texts = [(name, one.text) for name, one in seen]
        wrong[language] = narrow.evaluate(_BEHOLD, [texts, _OPTIONS])
    assert not any(wrong.values()), {one: found for one, found in wrong.items() if found}


def test_a_label_that_is_too_long_is_found(narrow: Page) -> None:
    narrow.set_content(page_of(["Donaudampfschifffahrtselektrizitätenhauptbetriebswerk"]))
    assert len(narrow.evaluate(_FLAWS, _MOST_LINES)) == 1
    narrow.set_content(page_of(["one word and " * 12]))
    assert len(narrow.evaluate(_FLAWS, _MOST_LINES)) == 1
