"""The recipients of the demonstration, who open mails and press buttons over real HTTP.

May import the sample, the inbox, the forms and the wire of this room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.demo import sample
from repermit.demo.forms import look_through
from repermit.demo.wire import get, post

if TYPE_CHECKING:
    from collections.abc import Iterable

    from repermit.demo.inbox import Received

_ONE_CLICK = {"List-Unsubscribe": "One-Click"}


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
