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
    """Let each reader act as the sample says; return the number of readers who acted.

    - `late`: only the readers who come after the deadline; False for all others.
    """
    acts = {address: act for act, readers in SAMPLE["readers"].items() for address in readers}
    acted = 0
    for mail in mails:
        act = acts.get(mail.to.lower(), "")
        if act and (act == "late") == late:
            _perform_act(act, mail.links)
            acted += 1
    return acted


def _perform_act(act: str, links: dict[str, str]) -> None:
    if act == "one_click":
        post(links["no"], _ONE_CLICK)
    elif act == "looks":
        # Looking, as link scanners do, too, must change nothing.
        for link in links.values():
            get(link)
    elif act == "no":
        _answer(links["no"])
    elif act == "changes_mind":
        _answer(links["no"])
        # A Yes after a No is asked for again, as programs press both.
        _confirm_yes(_answer(links["yes"]), links["yes"])
    else:
        _answer(links["yes"])


def _answer(link: str) -> str:
    """Open the page of a link and press the button of its answer; return the next page.

    After the deadline the page has a sign-up form instead, and nothing is pressed.
    """
    page = get(link)
    buttons = {button.action: button for button in read_page(page, link).buttons}
    return post(link, buttons[link].fields) if link in buttons else page


def _confirm_yes(page: str, link: str) -> None:
    """Press Yes again, if the page asks for it."""
    for button in read_page(page, link).buttons:
        if button.fields.get("choice") == "again":
            post(button.action, button.fields)


# --- A link scanner of the demonstration. ---------------------------------------------------------


@dataclass(frozen=True)
class ScanResult:
    """The numbers of mails that a scanner read, pages that it requested and buttons it pressed."""

    mails: int
    pages: int
    presses: int


def scan(mails: Iterable[ReceivedMail], *, presses: bool) -> ScanResult:
    """Visit the links of mails, and the links of those pages, as a link scanner does.

    - `presses`: whether it also presses all buttons of a mail's pages, after the last page.

    It stops after a dozen mails, so that nobody has to wait long.
    """
    mail_count = page_count = press_count = 0
    for mail in islice(mails, _MAX_MAILS):
        mail_count += 1
        buttons: list[Button] = []
        for page in _visit(mail.links.values()):
            page_count += 1
            buttons += page.buttons
        for button in buttons if presses else ():
            post(button.action, button.fields)
            press_count += 1
    return ScanResult(mail_count, page_count, press_count)


def _visit(links: Collection[str]) -> Iterator[Page]:
    """Request the pages that links lead to on the same hosts, each by HEAD and GET; yield them."""
    queue = deque(links)
    hosts, visited = {urlsplit(url).netloc for url in links}, set[str]()
    while queue and len(visited) < _MAX_PAGES:
        url = queue.popleft().partition("#")[0]
        if url not in visited and urlsplit(url).netloc in hosts:
            visited.add(url)
            head(url)
            page = read_page(get(url), url)
            queue.extend(page.links)
            yield page


_MAX_MAILS = 12
_MAX_PAGES = 4
"""The pages per mail: those that it links to, and some that these link to."""


# --- Requests over real HTTP. ---------------------------------------------------------------------


_TIMEOUT = 30


def head(url: str) -> None:
    """Send a HEAD request for a page."""
    _ask(urllib.request.Request(url, method="HEAD"))  # noqa: S310  our own http links


def get(url: str) -> str:
    """Return a page, also one with an error status."""
    return _ask(urllib.request.Request(url))  # noqa: S310


def post(url: str, fields: Mapping[str, str]) -> str:
    """Send a form; return the page that answers it, also one with an error status."""
    body = urllib.parse.urlencode(fields).encode()
    return _ask(urllib.request.Request(url, data=body))  # noqa: S310


def _ask(request: urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:  # noqa: S310
            return str(reply.read().decode())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.read().decode()


# --- The links and buttons of a page. -------------------------------------------------------------


@dataclass(frozen=True)
class Button:
    """A button of a form that is posted: the form's address and its fields."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """The links and buttons of a page, with absolute URLs, in their order."""

    links: tuple[str, ...]
    buttons: tuple[Button, ...]


def read_page(html: str, url: str) -> Page:
    """Return the links and buttons of a page; `url` is its own address."""
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
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in values:
            self.links.append(urljoin(self._url, values["href"]))
        elif tag == "form":
            is_posted = values.get("method") == "post"
            self._action = urljoin(self._url, values.get("action", "")) if is_posted else None
            self._fields = {}
        elif self._action is not None and tag == "input" and values.get("type") == "hidden":
            self._fields[values["name"]] = values["value"]
        elif self._action is not None and tag == "button":
            own = {values["name"]: values["value"]} if "name" in values else {}
            self.buttons.append(Button(self._action, {**self._fields, **own}))
