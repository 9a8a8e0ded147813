"""The recipients of the demonstration, who open mails and press buttons over real HTTP.

May import the sample and the inbox of this room, and what lies below the demo.
"""

from __future__ import annotations

import urllib.parse
import urllib.request
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from repermit.demo import sample

if TYPE_CHECKING:
    from collections.abc import Iterable

    from repermit.demo.inbox import Received

_TIMEOUT = 30
_ONE_CLICK = {"List-Unsubscribe": "One-Click"}


class Forms(HTMLParser):
    """Finds where a page's forms go, and what is in their hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note each form that is posted."""
        found = dict(attrs)
        if tag == "form" and found.get("method") == "post":
            self.actions.append(found.get("action") or "")


def play(mails: Iterable[Received], *, late: bool) -> int:
    """Let each reader do what the sample says of them; return how many did anything.

    The late ones come after the deadline, all others before it.
    """
    does = {person.address.lower(): person.does for person in sample.people()}
    acted = 0
    for mail in mails:
        act = does.get(mail.to.lower(), "")
        if act and (act == "late") == late:
            _act(act, mail.links)
            acted += 1
    return acted


def _act(act: str, links: dict[str, str]) -> None:
    if act == "one_click":
        _post(links["no"], _ONE_CLICK)
    elif act == "looks":
        # Some only look, or are link scanners: that must change nothing.
        for link in links.values():
            _get(link)
    elif act == "no":
        _answer(links["no"])
    elif act == "changes_mind":
        _answer(links["no"])
        _answer(links["yes"])
    else:
        _answer(links["yes"])


def _answer(link: str) -> None:
    """Open the page and press the button of the answer that was chosen in the mail."""
    forms = Forms()
    forms.feed(_get(link))
    if forms.actions:
        _post(urllib.parse.urljoin(link, forms.actions[0]), {})


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as reply:  # noqa: S310  our own http links
        return str(reply.read().decode())


def _post(url: str, fields: dict[str, str]) -> None:
    body = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(url, data=body, timeout=_TIMEOUT) as reply:  # noqa: S310
        reply.read()
