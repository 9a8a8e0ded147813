"""How people and programs of the demonstration ask for its pages: over real HTTP."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

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
    """A button of a form that is posted: to where, and what it sends along."""

    action: str
    sends: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """The links and buttons of a page, whole addresses, in the order in which they stand."""

    links: tuple[str, ...]
    buttons: tuple[Button, ...]


def look_through(html: str, url: str) -> Found:
    """Return what is on the page of this address."""
    reader = _Reader(url)
    reader.feed(html)
    return Found(tuple(reader.links), tuple(reader.buttons))


class _Reader(HTMLParser):
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
