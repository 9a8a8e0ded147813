"""Programs that read mail before people do: each opens, and some press, what it finds.

Each is modelled on what is documented of a real one, its source in the docstring; what they have in
common is a `Visit`, by which they ask for pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.test import Client

from repermit.clock import ManualClock

if TYPE_CHECKING:
    Order = Callable[[Sequence["Button"]], Sequence["Button"]]
    Pick = Callable[[list["Button"]], "Button"]
    Program = Callable[["Visit", "Letter"], None]

_DEPTH = 3
_MOST_PRESSES = 9


@dataclass(frozen=True)
class Button:
    """A button of a form: where it posts to, and the fields that it sends along."""

    action: str
    sends: dict[str, str]


@dataclass(frozen=True)
class Letter:
    """The links of one mail: those of the body in their order, and that of List-Unsubscribe."""

    links: tuple[str, ...]
    unsubscribe: str


@dataclass
class Visit:
    """What one program has of the web: a client without cookies, and the time that passes."""

    client: Client
    clock: ManualClock
    pressed: int = field(default=0)

    def get(self, url: str, *, method: str = "GET", **headers: str) -> list[Button]:
        """Ask for a page; return the buttons on it."""
        return self._buttons(
            method, url, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    def press(self, button: Button, *, by_script: bool = False) -> list[Button]:
        """Press a button; with `by_script` as form.submit() does, which leaves its field out."""
        self.pressed += 1
        return self._buttons("POST", button.action, data={} if by_script else button.sends)

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(**time))

    def _buttons(self, method: str, url: str, **more: object) -> list[Button]:
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        response = self.client.open(path, method=method, **more)  # type: ignore[arg-type]
        return buttons_in(response.text)


class _Forms(HTMLParser):
    """Finds the buttons of a page, in the order in which they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Button] = []
        self._action = ""
        self._hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._action, self._hidden = known["action"], {}
        elif known.get("type") == "hidden":
            self._hidden[known["name"]] = known["value"]
        elif tag == "button":
            own = {known["name"]: known["value"]} if "name" in known else {}
            self.found.append(Button(self._action, {**self._hidden, **own}))


def buttons_in(html: str) -> list[Button]:
    """Return the buttons of a page."""
    forms = _Forms()
    forms.feed(html)
    return forms.found


def _reversed(found: Sequence[Button]) -> Sequence[Button]:
    return found[::-1]


def _first(found: Sequence[Button]) -> Sequence[Button]:
    return found[:1]


def _last(found: Sequence[Button]) -> Sequence[Button]:
    return found[-1:]


def _all(found: Sequence[Button]) -> Sequence[Button]:
    return found


# --- Those that look. ----------------------------------------------------------------------------


def looks_up_then_opens(visit: Visit, letter: Letter) -> None:
    """HEAD, then GET: Safe Links, as forum.ghost.org/t/18033 tells of it."""
    for url in letter.links:
        visit.get(url, method="HEAD")
        visit.get(url)


def opens_all_at_once(visit: Visit, letter: Letter) -> None:
    """GET of every link within seconds of delivery: support.arternal.com article 15216436."""
    for url in letter.links:
        visit.get(url)


def opens_when_the_reader_does(visit: Visit, letter: Letter) -> None:
    """Look up the one link that is pressed, a moment before its reader: Safe Links.

    check.live-direct-marketing.online/blog/microsoft-defender-link-click-pattern.
    """
    visit.get(letter.links[0], method="HEAD")


def opens_again_hours_later(visit: Visit, letter: Letter) -> None:
    """Defender's automated investigation, which crawls links when an alert fires (same source)."""
    opens_all_at_once(visit, letter)
    visit.wait(hours=5)
    opens_all_at_once(visit, letter)


def corrupts_the_token(visit: Visit, letter: Letter) -> None:
    """Cut, in other letters, with what stood behind it: devise-passwordless issue 79."""
    for url in letter.links:
        for wrong in (url[:-1], url.lower(), url + ".", url + "%22", url.replace("/yes/", "/no/")):
            if wrong != url:
                visit.get(wrong)
                visit.press(Button(wrong, {}))


def opens_links_within_links(visit: Visit, letter: Letter) -> None:
    """With its own parameters behind them: hasura-auth issue 354, "URIs inside URIs"."""
    for url in letter.links:
        visit.get(f"{url}?url={url}")
        visit.get(f"{url}?utm_source=scan&lang=fr")


def previews(visit: Visit, letter: Letter) -> None:
    """Fetch ahead, and say so, as browsers and mail clients do (MDN, Sec-Purpose)."""
    for url in letter.links[:2]:
        visit.get(url, Sec_Purpose="prefetch;prerender")


def unfurls(visit: Visit, letter: Letter) -> None:
    """Get the first kilobytes of a link that was passed on (docs.slack.dev, unfurling)."""
    for url in letter.links:
        visit.get(url, Range="bytes=0-32768", Accept="text/html,image/*")
    visit.get("/favicon.ico")


def probes(visit: Visit, letter: Letter) -> None:
    """Every method that a vulnerability scanner tries (RFC 9110 section 9.3)."""
    for url in letter.links:
        for method in ("OPTIONS", "HEAD", "TRACE", "PUT", "DELETE", "PATCH"):
            visit.get(url, method=method)


def unsubscribes(visit: Visit, letter: Letter) -> None:
    """One click at the link of the header, as a mail program does for its reader (RFC 8058)."""
    visit.press(Button(letter.unsubscribe, {"List-Unsubscribe": "One-Click"}))


def unsubscribes_everywhere(visit: Visit, letter: Letter) -> None:
    """Do so at every link of the mail, which RFC 8058 section 3.2 does not allow."""
    for url in letter.links:
        visit.press(Button(url, {"List-Unsubscribe": "One-Click"}))


# --- Those that press: thenewsletterplugin.com/documentation/about-automatic-and-unwanted-
# unsubscribe saw POSTs from the networks of a mail service; so did nextauthjs issue 1840.


def presses_all_that_it_found(visit: Visit, letter: Letter) -> None:
    """Open every link, then submit every form of all of them at once."""
    for button in _found(visit, letter):
        visit.press(button)


def presses_as_it_goes(visit: Visit, letter: Letter) -> None:
    """Submit every form of a page before the next link is opened."""
    for url in letter.links:
        for button in visit.get(url):
            visit.press(button)


def waits_and_presses(visit: Visit, letter: Letter) -> None:
    """Open every link, wait ten seconds as a sandbox does, then give both answers of each page."""
    found = _found(visit, letter)
    visit.wait(seconds=10)
    for button in found:
        visit.press(button)


def waits_before_each_press(visit: Visit, letter: Letter) -> None:
    """Wait ten seconds before each press, and go on to what comes of it."""
    _press_on(visit, _found(visit, letter), wait=10)


def presses_on_and_on(visit: Visit, letter: Letter) -> None:
    """Submit every form, and every form of each page that comes of it."""
    _press_on(visit, _found(visit, letter))


def presses_on_from_the_last(visit: Visit, letter: Letter) -> None:
    """Do so from the last button of a page to its first."""
    _press_on(visit, _found(visit, letter, _reversed), order=_reversed)


def presses_the_first(visit: Visit, letter: Letter) -> None:
    """Press the first button of each page, and of each that comes of it."""
    _press_on(visit, _found(visit, letter, _first), order=_first)


def presses_the_last(visit: Visit, letter: Letter) -> None:
    """Press the last button of each page, and of each that comes of it."""
    _press_on(visit, _found(visit, letter, _last), order=_last)


def submits_by_script(visit: Visit, letter: Letter) -> None:
    """document.forms[i].submit(): stackoverflow.com/questions/59281750, of Office 365 ATP."""
    _press_on(visit, _found(visit, letter), by_script=True)


def begins_with_the_no(visit: Visit, letter: Letter) -> None:
    """Take the links from the last to the first, each page's buttons at once, and go on."""
    for url in reversed(letter.links):
        _press_on(visit, visit.get(url))


def follows_the_newest(visit: Visit, letter: Letter) -> None:
    """Submit each form once, those of the newest page first, as a crawler that posts forms does.

    The spider of zaproxy.org/docs/desktop/addons/spider can; this one goes in depth first.
    """
    crawl(visit, letter, lambda found: found.pop())


def follows_the_oldest(visit: Visit, letter: Letter) -> None:
    """Do so in breadth first."""
    crawl(visit, letter, lambda found: found.pop(0))


def follows_by_name(visit: Visit, letter: Letter) -> None:
    """Do so in the order of the alphabet, as a queue that is kept sorted is worked off."""
    crawl(visit, letter, lambda found: found.pop(found.index(min(found, key=str))))


def follows_against_the_name(visit: Visit, letter: Letter) -> None:
    """Do so in the reverse order of it."""
    crawl(visit, letter, lambda found: found.pop(found.index(max(found, key=str))))


def crawl(
    visit: Visit,
    letter: Letter,
    pick: Pick,
    *,
    rounds: int = 3,
    rest: Callable[[], None] = lambda: None,
) -> None:
    """Open every link but that to what is held, and submit each form once, as `pick` has them.

    Of so many pages that ask again or show the question once more; what would go on for ever ends
    there, as a crawler ends that has a limit, with everything pressed that it has found. It takes a
    `rest` before each page.
    """
    seen: set[str] = set()
    found: list[Button] = []
    for url in letter.links:
        rest()
        found.extend(_new(visit.get(url), seen))
    while found:
        rest()
        after = visit.press(pick(found))
        is_asked_again = any("round" in one.sends or "number" in one.sends for one in after)
        if not is_asked_again or rounds > 0:
            found.extend(_new(after, seen))
            rounds -= is_asked_again


def crawls_slowly(seed: int, *, longest: int) -> Program:
    """Return a crawler that submits each form once, by chance, with rests of 3 s and longer.

    What rests so long between two pages is not seen to open them together.
    """
    by_chance = Random(seed)  # noqa: S311  no secret

    def program(visit: Visit, letter: Letter) -> None:
        crawl(
            visit,
            letter,
            lambda found: found.pop(by_chance.randrange(len(found))),
            rounds=by_chance.randrange(1, 5),
            rest=lambda: visit.wait(seconds=by_chance.uniform(3, longest)),
        )

    program.__name__ = f"crawls_with_rests_of_{longest}_s_{seed}"
    return program


# --- Those that know one link, or no page.


def presses_the_main_button_of(word: str) -> Program:
    """Return a program that opens this one link of a mail, and presses the first button there."""

    def program(visit: Visit, letter: Letter) -> None:
        for button in visit.get(link_of(letter, word))[:1]:
            visit.press(button)

    program.__name__ = f"presses_the_main_button_of_{word}"
    return program


def presses_main_buttons_on_from(word: str) -> Program:
    """Return one that presses the first button of each page that comes of it too, and rests."""

    def program(visit: Visit, letter: Letter) -> None:
        found = visit.get(link_of(letter, word))[:1]
        for _ in range(_DEPTH + 1):
            visit.wait(seconds=20)
            found = [after for button in found for after in visit.press(button)[:1]]

    program.__name__ = f"presses_main_buttons_on_from_{word}"
    return program


def presses_all_buttons_of(word: str) -> Program:
    """Return one that opens this one link, and presses all buttons there, and all that follow."""

    def program(visit: Visit, letter: Letter) -> None:
        _press_on(visit, visit.get(link_of(letter, word)), wait=70)

    program.__name__ = f"presses_all_buttons_of_{word}"
    return program


def posts_without_a_page(visit: Visit, letter: Letter) -> None:
    """POST to every link without its page, with nothing, and with what buttons have sent before."""
    for url in letter.links:
        for sends in ({}, {"choice": "again"}, {"choice": "yes"}, {"number": "0", "round": "0"}):
            visit.press(Button(url, sends))


def a_machine_for_each_link(visit: Visit, letter: Letter) -> None:
    """Open each link with a client of its own, then press in turns, as a farm of sandboxes does."""
    machines = [Visit(Client(visit.client.application), visit.clock) for _ in letter.links]
    pages = []
    for machine, url in zip(machines, letter.links, strict=True):
        pages.append(machine.get(url))
        visit.wait(seconds=70)
    for _ in range(_DEPTH):
        for number, machine in enumerate(machines):
            found, pages[number] = pages[number], []
            for button in found[:2]:
                pages[number] += machine.press(button)
                visit.wait(seconds=70)


def link_of(letter: Letter, word: str) -> str:
    """Return the link of a mail to this page."""
    (found,) = (url for url in letter.links if f"/{word}/" in url)
    return found


def comes_again(program: Program) -> Program:
    """Return a program that comes a second time, an hour later."""

    def twice(visit: Visit, letter: Letter) -> None:
        program(visit, letter)
        visit.wait(hours=1)
        program(visit, letter)

    twice.__name__ = f"{program.__name__}_and_comes_again"
    return twice


def _new(found: Sequence[Button], seen: set[str]) -> list[Button]:
    """Return the buttons that were not seen before, and note them."""
    new = {str(one): one for one in found if str(one) not in seen}
    seen.update(new)
    return list(new.values())


LOOKING: tuple[Program, ...] = (
    looks_up_then_opens,
    opens_all_at_once,
    opens_when_the_reader_does,
    opens_again_hours_later,
    corrupts_the_token,
    opens_links_within_links,
    previews,
    unfurls,
    probes,
)
"""Those that leave everybody as they were."""

CRAWLING: tuple[Program, ...] = (
    follows_the_newest,
    follows_the_oldest,
    follows_by_name,
    follows_against_the_name,
)
"""Those that submit each form once, and so may press what says Yes before what takes it back."""

PRESSING: tuple[Program, ...] = (
    unsubscribes,
    unsubscribes_everywhere,
    presses_all_that_it_found,
    waits_and_presses,
    waits_before_each_press,
    presses_on_and_on,
    presses_on_from_the_last,
    presses_the_first,
    presses_the_last,
    submits_by_script,
    begins_with_the_no,
    *CRAWLING,
)
"""Those that press, and give no Yes."""

OF_ONE_LINK: tuple[Program, ...] = tuple(
    of(word)
    for word in ("yes", "no", "me")
    for of in (
        presses_the_main_button_of,
        presses_main_buttons_on_from,
        presses_all_buttons_of,
    )
)
"""Those that know one link alone."""

AS_PEOPLE: frozenset[Program] = frozenset(OF_ONE_LINK[:2])
"""Those that open the Yes link alone and press its main button, and no other: as a person does."""

SLOW: tuple[Program, ...] = tuple(
    crawls_slowly(seed, longest=longest) for longest in (10, 90, 900) for seed in range(4)
)
"""Those that take their time."""

LATER: tuple[Program, ...] = (
    posts_without_a_page,
    a_machine_for_each_link,
    *SLOW,
)
"""Further ones that press, and give no Yes that stands."""

HASTY = presses_as_it_goes
"""Presses Yes before anything has been seen but that one link, as a quick person does, then No."""


TWICE: tuple[Program, ...] = tuple(map(comes_again, (*CRAWLING, *LATER[:2], *SLOW[::4])))
"""Those that come back an hour later."""

EVERY: tuple[Program, ...] = (
    *LOOKING,
    *PRESSING,
    HASTY,
    *OF_ONE_LINK,
    *LATER,
    *TWICE,
)


def _found(visit: Visit, letter: Letter, order: Order = _all) -> list[Button]:
    return [button for url in letter.links for button in order(visit.get(url))]


def _press_on(
    visit: Visit,
    found: Sequence[Button],
    *,
    order: Order = _all,
    wait: float = 0,
    by_script: bool = False,
) -> None:
    """Press buttons, then those of the pages that come of it, a few levels deep."""
    for _ in range(_DEPTH):
        found = [
            after
            for button in found
            for after in order(_pressed(visit, button, wait=wait, by_script=by_script))
        ]


def _pressed(visit: Visit, button: Button, *, wait: float, by_script: bool) -> list[Button]:
    if visit.pressed == _MOST_PRESSES:
        return []
    visit.wait(seconds=wait)
    return visit.press(button, by_script=by_script)


LOOKING_AROUND = """() => {
    window.scrollTo(0, document.body.scrollHeight);
    for (const button of document.querySelectorAll('button'))
        for (const event of ['mouseover', 'mousemove', 'focus'])
            button.dispatchEvent(new Event(event, {bubbles: true}));
    return new Promise(done => setTimeout(done, 5));
}"""
"""What a browser does that is made to look like a person's: scroll, move over buttons, wait."""
