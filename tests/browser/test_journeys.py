"""Each journey of a person, by keyboard, by screen reader, in a text browser, and however seen."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from tests.exhaustive.test_browser_admin_looks import COLOURS, violations
from tests.support import text_browser as w3m
from tests.support.builders import make_campaign, make_list, make_settings
from tests.support.first_screen import DOUBLED, NAMES, AnswerPages, mails
from tests.support.journeys import JOURNEYS, Keyboard, Mouse, Place, ScreenReader
from tests.support.page_weight import FIRST_PACKETS, PACKET
from tests.support.public_pages import Pages, served
from tests.support.text_browser import TextBrowser, render_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route


@pytest.fixture
def place(database: Database) -> Iterator[Place]:
    make_campaign(database, make_list(database))
    with served(lambda url: Pages(database, make_settings(public_url=url))) as pages:
        yield Place(pages)


OF_EACH_JOURNEY = pytest.mark.parametrize("journey", JOURNEYS)


@contextmanager
def screen(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a browser of a Dutch reader without script, with a small screen or one of this kind."""
    viewport = {"width": 320, "height": 640}
    given = {"viewport": viewport, "java_script_enabled": False, "locale": "nl", **options}
    context = browser.new_context(**given)
    yield context.new_page()
    assert not context.cookies()
    context.close()


@pytest.mark.everyday("once more", "held")
@OF_EACH_JOURNEY
def test_a_journey_by_keyboard_alone(place: Place, browser: Browser, journey: str) -> None:
    with screen(browser) as page:
        reader = Keyboard(page)
        JOURNEYS[journey](place, reader)
    # Nothing but the choice of language comes before the answers.
    assert journey not in {"Yes", "No"} or reader.steps[-1] <= 2


@pytest.mark.everyday("once more", "sign-up", "held")
@OF_EACH_JOURNEY
def test_a_journey_by_what_is_read_aloud(place: Place, browser: Browser, journey: str) -> None:
    with screen(browser) as page:
        JOURNEYS[journey](place, ScreenReader(page))


# --- In a text browser. ---------------------------------------------------------------------------


@pytest.fixture
def text_browser_there() -> None:
    if w3m.PROGRAM is None:
        pytest.skip("there is no w3m here (Debian: apt-get install w3m)")


@pytest.mark.usefixtures("text_browser_there")
@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_journey_in_a_text_browser(place: Place, tmp_path: Path, journey: str) -> None:
    with TextBrowser(tmp_path) as browser:
        JOURNEYS[journey](place, browser)


_LINES = 24
# Of a page what stands among its answers; a late one has a sign-up below them.
_ANSWERS = re.compile(r'(?s)<div class="answers.*?</div>')
_ANSWER = re.compile(r'(?s)<(?:button|a class="button")[^>]*>(.*?)</(?:button|a)>')


@pytest.mark.usefixtures("text_browser_there")
@pytest.mark.everyday("longest")
@pytest.mark.parametrize("names", NAMES)
def test_all_answers_stand_on_the_first_screen_of_a_terminal(
    database: Database, tmp_path: Path, names: str
) -> None:
    pages = AnswerPages(database, NAMES[names])
    below = {}
    for language in ("en", "nl"):
        for name, html in (*mails(language, NAMES[names]), *pages(language)):
            shown = " ".join(" ".join(render_text(html, tmp_path).splitlines()[:_LINES]).split())
            answers = "".join(_ANSWERS.findall(html)) or html
            labels = [" ".join(unescape(one).split()) for one in _ANSWER.findall(answers)]
            assert labels
            missing = [label for label in labels if label not in shown]
            if missing:
                below[language, name] = missing
    assert not below


# --- However the page is seen. --------------------------------------------------------------------


class Outlined(Mouse):
    """Sees each button by its border: where colours are forced, nothing else tells it from text."""

    def check(self, name: str) -> None:
        borders = self.page.eval_on_selector_all(
            "button", "all => all.map(one => parseFloat(getComputedStyle(one).borderTopWidth))"
        )
        assert all(border > 0 for border in borders), name


class Unstyled(Mouse):
    """Sees pages without their styles: in their order, and all of them at once."""

    def check(self, name: str) -> None:
        assert name == "mail" or self.page.evaluate("document.styleSheets.length") == 0, name


class Enlarged(Mouse):
    """Reads letters of twice the size."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        sizes = {"standard": 32, "fixed": 26}
        page.context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": sizes})

    def read_mail(self, html: str) -> None:
        # The letters of a mail are told in pixels, and made larger by the mail program.
        self.page.set_content(html)
        self.page.evaluate(DOUBLED)
        self._look("mail")

    def check(self, name: str) -> None:
        size = self.page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
        assert size >= 32, name
        # Nothing stays in place over what there is to read.
        kinds = self.page.eval_on_selector_all(
            "*", "all => [...new Set(all.map(one => getComputedStyle(one).position))]"
        )
        assert set(kinds) <= {"static", "relative"}, name


def without_styles(route: Route) -> None:
    """Answer with a page without its styles."""
    answered = route.fetch()
    body = re.sub("(?s)<style.*?</style>|<link[^>]*stylesheet[^>]*>", "", answered.text())
    route.fulfill(response=answered, body=body)


@dataclass(frozen=True, kw_only=True)
class Way:
    """How pages are seen: the options of a browser's context, and who looks at them."""

    width: int = 360
    height: int = 640
    reader: type[Mouse] = Mouse
    options: Mapping[str, Any] = field(default_factory=dict)


_WAYS = {
    "in forced colours": Way(reader=Outlined, options={"forced_colors": "active"}),
    "without styles": Way(reader=Unstyled),
    "with letters of twice the size": Way(width=320, reader=Enlarged),
    # WCAG 2.2, 1.4.10: 1280 by 1024 pixels at 400%.
    "at 400%": Way(width=320, height=256),
    "in landscape": Way(width=640, height=320),
}


@pytest.mark.everyday("once more-in", "once more-with")
@pytest.mark.parametrize("way", _WAYS)
@OF_EACH_JOURNEY
def test_a_journey_however_its_pages_are_seen(
    place: Place, browser: Browser, journey: str, way: str
) -> None:
    seen = _WAYS[way]
    viewport = {"width": seen.width, "height": seen.height}
    with screen(browser, viewport=viewport, **seen.options) as page:
        if seen.reader is Unstyled:
            page.route("**/*", without_styles)
        JOURNEYS[journey](place, seen.reader(page))


# The page around a mail, with its landmarks, is the mail program's.
NO_PAGE = {"rules": {name: {"enabled": False} for name in ("landmark-one-main", "region")}}


class Judge(Mouse):
    """Looks at each page and mail as axe-core does, by day and by night."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.found: list[str] = []

    def check(self, name: str) -> None:
        self.page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
        self.page.emulate_media(color_scheme="light")
        self.found += violations(self.page, f"{name} in light", NO_PAGE if name == "mail" else {})
        self.page.emulate_media(color_scheme="dark")
        self.found += violations(self.page, f"{name} in the dark", COLOURS)


@pytest.mark.exhaustive
@OF_EACH_JOURNEY
def test_no_page_of_a_journey_keeps_anybody_out(
    place: Place, browser: Browser, journey: str
) -> None:
    with screen(browser, java_script_enabled=True) as page:
        judge = Judge(page)
        JOURNEYS[journey](place, judge)
        assert not judge.found


# --- On a slow line. ------------------------------------------------------------------------------

_SLOW = {"offline": False, "latency": 300, "downloadThroughput": 25_000, "uploadThroughput": 25_000}


class Waiting(Mouse):
    """Waits for each page on a line of 200 kbit/s with a third of a second of delay."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.octets: list[int] = []
        self.waits: list[float] = []
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        line.send("Network.emulateNetworkConditions", _SLOW)
        line.on("Network.loadingFinished", lambda it: self.octets.append(it["encodedDataLength"]))
        self._since = monotonic()

    def read_mail(self, html: str) -> None:
        super().read_mail(html)
        self._since = monotonic()

    def check(self, name: str) -> None:
        if name != "mail":
            now = monotonic()
            self.waits.append(now - self._since)
            self._since = now


@pytest.mark.exhaustive
@OF_EACH_JOURNEY
def test_a_journey_on_a_line_of_200_kilobits_needs_one_small_file_for_each_page(
    place: Place, browser: Browser, journey: str
) -> None:
    with screen(browser) as page:
        reader = Waiting(page)
        JOURNEYS[journey](place, reader)
    first, last = reader.waits[0], sum(reader.waits)
    told = f"{journey}: first page {first:.1f} s, all {last:.1f} s, {sum(reader.octets):,} octets"
    sys.stdout.write(f"{told}\n")
    assert len(reader.octets) == len(reader.waits)
    # What is held is sent as it is: packed with what a stranger has a say in, its length would tell
    # of the rest. Either way one page is sent at once, before the first acknowledgement.
    most = FIRST_PACKETS * PACKET if journey == "held" else 5_000
    assert max(reader.octets) < most
