"""The recipients of the demonstration, who open mails and press buttons over real HTTP."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

from repermit.demo import sample_list
from repermit.demo.http_client import Button, Found, get, head, look_through, post
from repermit.demo.inbox import Received

_ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def play(mails: Iterable[Received], *, late: bool) -> int:
    """Let each reader do what the sample says of them; return how many did anything.

    The late ones come after the deadline, all others before it.
    """
    does = {person.address.lower(): person.does for person in sample_list.people()}
    acted = 0
    for mail in mails:
        act = does.get(mail.to.lower(), "")
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
        _say_again(_answer(links["yes"]), links["yes"])
    else:
        _answer(links["yes"])


def _answer(link: str) -> str:
    """Open the page and press the button of the answer that was chosen in the mail.

    Who comes too late finds a form to sign up by in its place, and leaves it at that. Returns the
    page that one then sees.
    """
    page = get(link)
    buttons = {button.action: button for button in look_through(page, link).buttons}
    return post(link, buttons[link].sends) if link in buttons else page


def _say_again(page: str, link: str) -> None:
    """Press Yes on the page that asks once more, if it is that."""
    for button in look_through(page, link).buttons:
        if button.sends.get("choice") == "again":
            post(button.action, button.sends)


# --- A link scanner of the demonstration. ---------------------------------------------------------


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
