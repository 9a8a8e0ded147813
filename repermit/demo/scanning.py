"""A link scanner of the demonstration: a program that reads mail before people do.

May import the inbox, the forms and the wire of this room. It does what the scanners of mail
services are seen to do: ask for every link by HEAD and by GET as soon as the mail is there, and
follow what is found; a few press every button too (nextauthjs/next-auth issue 1840).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from repermit.demo.forms import look_through
from repermit.demo.wire import get, head, post

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from repermit.demo.forms import Button, Found
    from repermit.demo.inbox import Received


@dataclass(frozen=True)
class Scanned:
    """What a scanner did: mails it read, pages it asked for, buttons it pressed."""

    mails: int
    pages: int
    presses: int

    def in_words(self, *, yes: int, no: int) -> str:
        """Return a sentence on it, and one on how many said Yes and No by it."""
        pressed = f", pressed {self.presses} buttons" if self.presses else ""
        came = (
            f"{yes} Yes and {no} No came of it; each No can be taken back by its reader."
            if yes or no
            else "Nothing came of it: no Yes, no No, nobody taken off."
        )
        return f"A scanner read {self.mails} mails, opened {self.pages} pages{pressed}. {came}"


def scan(mails: Iterable[Received], *, presses: bool) -> Scanned:
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
            post(button.action, button.sends)
            pressed += 1
    return Scanned(read, asked, pressed)


def _visit(links: Collection[str]) -> Iterator[Found]:
    """Ask for pages of where the links lead, each once, by HEAD and by GET; yield what is there."""
    ahead = deque(links)
    hosts, seen = {urlsplit(url).netloc for url in links}, set[str]()
    while ahead and len(seen) < _MOST_PAGES:
        url = ahead.popleft().partition("#")[0]
        if url not in seen and urlsplit(url).netloc in hosts:
            seen.add(url)
            head(url)
            found = look_through(get(url), url)
            ahead.extend(found.links)
            yield found


_MOST_MAILS = 12
_MOST_PAGES = 4
"""For one mail: what it links to itself, and one step on."""
