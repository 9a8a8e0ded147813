"""Every mail as it looks: read in light, in the dark, inverted, and with text of twice the size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe

from repermit.emails.mail_types import OwnWording
from repermit.i18n import catalogues
from tests.support.first_screen import CUT_OFF, DOUBLED
from tests.support.mail_builders import make_ask
from tests.unit.emails.test_snapshots import KINDS, TO_THE_ADMIN, make_mail
from tests.unit.emails.test_wording_validation import GOOD_HTML, GOOD_TEXT

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def page(document_page: Page) -> Page:
    return document_page


# WCAG 2.2, 1.4.3, of every text that is seen against what is behind it; and 1.4.11 of a button
# against the paper. Mail programs that know nothing of dark styles make a mail dark by themselves:
# some turn the lightness of every colour, others only that of light grounds and dark letters.
_LEAST_CONTRAST = """how => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const turned = ([red, green, blue]) => {
        // The lightness of HSL the other way round, hue and saturation as they are.
        const sum = Math.max(red, green, blue) + Math.min(red, green, blue);
        return [red, green, blue].map(value => value + 255 - sum);
    };
    const linear = value => value <= 10.31475
        ? value / 3294.6 : ((value / 255 + .055) / 1.055) ** 2.4;
    const luminance = colours => {
        const [red, green, blue] = colours.map(linear);
        return .2126 * red + .7152 * green + .0722 * blue;
    };
    const lightness = colours => (Math.max(...colours) + Math.min(...colours)) / 510;
    const shown = (colours, isGround) => {
        const isTurned = how === 'all'
            || how === 'some' && (lightness(colours) > .5) === isGround;
        return isTurned ? turned(colours) : colours;
    };
    const ground = one => {
        const [red, green, blue, alpha] = parts(getComputedStyle(one).backgroundColor);
        return alpha === 0 ? ground(one.parentElement) : shown([red, green, blue], true);
    };
    const contrast = (one, other) => {
        const pair = [one, other].map(luminance);
        return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    };
    const seen = [...document.querySelectorAll('body, body *')].filter(one => one.offsetParent);
    const ink = one => shown(parts(getComputedStyle(one).color).slice(0, 3), false);
    const buttons = seen.filter(one => one.matches('.button'));
    return [
        Math.min(...seen.map(one => contrast(ink(one), ground(one)))),
        Math.min(21, ...buttons.map(one => contrast(ground(one), ground(document.body)))),
    ];
}"""

_LIGHTS: tuple[tuple[Literal["light", "dark"], str], ...] = (
    ("light", ""),
    ("light", "all"),
    ("light", "some"),
    ("dark", ""),
)

# The page around it, with its landmarks, is the mail program's.
_NO_PAGE = {"rules": {name: {"enabled": False} for name in ("landmark-one-main", "region")}}


def test_a_mail_can_be_read_in_light_and_dark_however_it_became_dark(page: Page) -> None:
    own = make_ask(own=OwnWording(text=GOOD_TEXT, html=GOOD_HTML))
    for html in (own.html, *(make_mail(f"{kind}-nl").html for kind in KINDS)):
        page.set_content(html)
        preview = page.evaluate("getComputedStyle(document.querySelector('.preview')).display")
        assert preview == "none"
        # A program that knows no display, but a height, shows none of it either.
        page.add_style_tag(content=".preview { display: block !important }")
        height = page.evaluate("document.querySelector('.preview').getBoundingClientRect().height")
        assert height == 0
        page.set_content(html)
        for scheme, how in _LIGHTS:
            page.emulate_media(color_scheme=scheme)
            text, button = page.evaluate(_LEAST_CONTRAST, how)
            assert text >= 4.5, (scheme, how, html)
            # Where light grounds alone are turned, its label, still white on blue, has to do.
            assert button >= 3 or how == "some", (scheme, how, html)
    page.emulate_media(color_scheme="light")
    page.add_style_tag(content=".foot { color: #8a8f96 !important }")
    assert page.evaluate(_LEAST_CONTRAST, "")[0] < 4.5


def test_a_mail_is_read_aloud_as_it_is_meant(page: Page) -> None:
    for case in ("ask-nl-sensitive", "yes_receipt-fr", "campaign_closed-de"):
        page.set_content(make_mail(case).html)
        found = Axe().run(page, options=_NO_PAGE).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


@pytest.mark.exhaustive
def test_text_of_twice_the_size_is_not_cut_off_on_the_narrowest_phone(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for language in catalogues.languages():
        for kind in ("reminder", "yes_receipt", "campaign_closed"):
            page.set_content(make_mail(f"{kind}-{language}-sensitive").html)
            assert page.evaluate(CUT_OFF) == [], (kind, language)
            page.evaluate(DOUBLED)
            assert (
                page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == "44px"
            )
            assert page.evaluate(CUT_OFF) == [], (kind, language)
    page.set_content(make_mail("ask-nl").html.replace("De Lindepost", "De<wbr>" + "n" * 80))
    page.add_style_tag(content=".sheet { word-break: normal !important; overflow-wrap: normal }")
    assert page.evaluate(CUT_OFF) != []


@pytest.mark.everyday("-fi]", "-nl]")
@pytest.mark.parametrize("language", catalogues.languages())
def test_no_mail_is_wider_than_the_narrowest_phone_without_styles(
    page: Page, language: str
) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for kind in KINDS:
        if kind not in TO_THE_ADMIN:
            html = make_mail(f"{kind}-{language}-sensitive").html
            page.set_content(re.sub('(?s)<style.*?</style>| style="[^"]*"', "", html))
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, kind
