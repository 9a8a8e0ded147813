"""The recipients of the demonstration, who open mails and press buttons over real HTTP."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import islice
from urllib.parse import urljoin, urlsplit

from repermit.demo.environment import SAMPLE
from repermit.demo.inbox import ReceivedMail

_ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def play(mails: Iterable[ReceivedMail], *, late: bool) -> int:
    """Have each reader do what the sample says of them; return how many did anything.

    - `late`: those who come after the deadline, or else all others.
    """
    acts = {address: act for act, readers in SAMPLE["readers"].items() for address in readers}
    acted = 0
    for mail in mails:
        act = acts.get(mail.to.lower(), "")
        if act and (act == "late") == late:
            _act(act, mail.links)
            acted += 1
    return acted


def _act(act: str, links: dict[str, str]) -> None:
    if act == "one_click":
        post(links["no"], _ONE_CLICK)
    elif act == "looks":
        # Some only look, or are link scanners: that must change nothing.
        for link in links.values():
            get(link)
    elif act == "no":
        _answer(links["no"])
    elif act == "changes_mind":
        _answer(links["no"])
        # A Yes so soon after a No is asked for once more, since programs press both.
        _confirm_yes(_answer(links["yes"]), links["yes"])
    else:
        _answer(links["yes"])


def _answer(link: str) -> str:
    """Open the page and press the button of the answer that was chosen in the mail.

    Who comes too late finds a form to sign up by in its place, and leaves it at that. Returns the
    page that one then sees.
    """
    page = get(link)
    buttons = {button.action: button for button in read_page(page, link).buttons}
    return post(link, buttons[link].fields) if link in buttons else page


def _confirm_yes(page: str, link: str) -> None:
    """Press Yes once more, if the page asks for it."""
    for button in read_page(page, link).buttons:
        if button.fields.get("choice") == "again":
            post(button.action, button.fields)


# --- A link scanner of the demonstration. ---------------------------------------------------------


@dataclass(frozen=True)
class ScanResult:
    """What a scanner did: mails it read, pages it asked for, buttons it pressed."""

    mails: int
    pages: int
    presses: int


def scan(mails: Iterable[ReceivedMail], *, presses: bool) -> ScanResult:
    """Ask for what the mails link to, and what those pages link to; press, if it is of that kind.

    All buttons of all pages of a mail are pressed at once, after the last page was asked for. After
    a dozen mails it leaves, so that whoever let it loose need not wait long.
    """
    read = asked = pressed = 0
    for mail in islice(mails, _MOST_MAILS):
        read += 1
        buttons: list[Button] = []
        for found in _visit(mail.links.values()):
            asked += 1
            buttons += found.buttons
        for button in buttons if presses else ():
            post(button.action, button.fields)
            pressed += 1
    return ScanResult(read, asked, pressed)


def _visit(links: Collection[str]) -> Iterator[Page]:
    """Ask for pages of where the links lead, each once, by HEAD and by GET; yield what is there."""
    ahead = deque(links)
    hosts, seen = {urlsplit(url).netloc for url in links}, set[str]()
    while ahead and len(seen) < _MOST_PAGES:
        url = ahead.popleft().partition("#")[0]
        if url not in seen and urlsplit(url).netloc in hosts:
            seen.add(url)
            head(url)
            found = read_page(get(url), url)
            ahead.extend(found.links)
            yield found


_MOST_MAILS = 12
_MOST_PAGES = 4
"""For one mail: what it links to itself, and one step on."""


# --- How people and programs of the demonstration ask for its pages: over real HTTP. --------------


_TIMEOUT = 30


def head(url: str) -> None:
    """Ask whether a page is there."""
    _ask(urllib.request.Request(url, method="HEAD"))  # noqa: S310  our own http links


def get(url: str) -> str:
    """Return a page, whatever its status."""
    return _ask(urllib.request.Request(url))  # noqa: S310


def post(url: str, fields: Mapping[str, str]) -> str:
    """Send a form; return the page that answers it, whatever its status."""
    body = urllib.parse.urlencode(fields).encode()
    return _ask(urllib.request.Request(url, data=body))  # noqa: S310


def _ask(request: urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:  # noqa: S310
            return str(reply.read().decode())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.read().decode()


# --- What a program finds on a page. --------------------------------------------------------------


@dataclass(frozen=True)
class Button:
    """A button of a form that is posted: to which address, with which fields."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """The links and buttons of a page, whole addresses, in the order in which they stand."""

    links: tuple[str, ...]
    buttons: tuple[Button, ...]


def read_page(html: str, url: str) -> Page:
    """Return the links and buttons of the page at this address."""
    parser = _PageParser(url)
    parser.feed(html)
    return Page(tuple(parser.links), tuple(parser.buttons))


class _PageParser(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.buttons: list[Button] = []
        self._url = url
        self._action: str | None = None
        self._fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in found:
            self.links.append(urljoin(self._url, found["href"]))
        elif tag == "form":
            is_posted = found.get("method") == "post"
            self._action = urljoin(self._url, found.get("action", "")) if is_posted else None
            self._fields = {}
        elif self._action is not None and tag == "input" and found.get("type") == "hidden":
            self._fields[found["name"]] = found["value"]
        elif self._action is not None and tag == "button":
            own = {found["name"]: found["value"]} if "name" in found else {}
            self.buttons.append(Button(self._action, {**self._fields, **own}))
