"""A sensitive list from import to answer, as seen by whoever looks over a shoulder.

What a phone shows of a mail on its locked screen, what a provider's log has of a mail, and what a
browser has of a page in its tabs and its history: none of it tells what the list is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.builders import DEADLINE
from tests.support.desk import ATTEST, Desk
from tests.support.inbox import Inbox, Received
from tests.support.program_zoo import buttons_in

TELLING = re.compile("psoriasis|lotgenoten|leven met", re.IGNORECASE)
MAIL_LINKS = re.compile(r"https://ask\.example\.org/[^\s\"<>]*")
PAGE_LINKS = re.compile(r'(?:href|action)="(?:https://ask\.example\.org)?([/?][^"]*)"')


class Onlooker:
    """Sees everything of mails and pages but their text; keeps it, and follows nothing."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.seen: list[str] = []

    def mail(self, received: Received) -> None:
        """Look at a mail on its way."""
        message = received.message
        self.seen += [received.mail_from, *received.rcpt_tos]
        self.seen += [f"{name}: {value}" for name, value in message.items()]
        self.seen += MAIL_LINKS.findall(text_of(received))

    def page(self, method: str, url: str, **fields: str) -> str:
        """Open a page or press its button; return its HTML."""
        path = url.removeprefix("https://ask.example.org")
        with self.desk.pages() as client:
            if method == "POST" and not fields:
                found = buttons_in(client.get(path).text)
                yes = [one for one in found if one.sends.get("choice") == "yes"]
                fields = (yes or found)[0].sends
            response = client.open(path, method=method, data=fields or None)
        assert response.status_code == 200, path
        self.seen += [path, *(f"{name}: {value}" for name, value in response.headers)]
        self.seen += re.findall(r"<title>(.*?)</title>", response.text)
        self.seen += PAGE_LINKS.findall(response.text)
        return response.text


def text_of(received: Received) -> str:
    """Return what only the reader of a mail sees."""
    parts = received.message.walk()
    return "".join(part.get_content() for part in parts if not part.is_multipart())


def to_anna(inbox: Inbox, kind: str) -> str:
    """Return the text of the one mail to Anna that has a link of this kind."""
    texts = [text_of(one) for one in inbox.to("anna@example.org")]
    (found,) = (text for text in texts if f"/{kind}/" in text)
    return found


def link(kind: str, text: str) -> str:
    found: set[str] = {url for url in MAIL_LINKS.findall(text) if f"/{kind}/" in url}
    (only,) = found
    return only


@pytest.mark.exhaustive
def test_nobody_but_the_reader_learns_what_a_sensitive_list_is_about(
    desk: Desk, inbox: Inbox
) -> None:
    desk.do(
        *("list", "add", "psoriasis-groep", "--name", "Lotgenoten met psoriasis", "--sensitive"),
        *(
            "--purpose",
            "Nieuws over leven met psoriasis, elke maand",
            "--language",
            "nl",
            "--receipts",
        ),
        *("--privacy-url", "https://www.example.org/privacy"),
        *("--sender", "Psoriasis-groep <nieuws@example.org>"),
    )
    file = desk.file("E-mail", "anna@example.org", "bert@example.org", name="psoriasis-avond.csv")
    desk.do("import", "psoriasis-groep", file, "--source", "de avond over psoriasis")
    until = ("--deadline", DEADLINE.date().isoformat(), "--reminder", "7")
    desk.do("launch", "psoriasis-groep", *until, "--attest", ATTEST, "--wait")
    eye = Onlooker(desk)
    assert len(inbox.wait_for(2)) == 2
    ask = to_anna(inbox, "yes")
    for html in answers(eye, ask):
        assert TELLING.search(html)
    desk.do("send")
    assert len(inbox.wait_for(4)) == 4
    held = eye.page("POST", link("fresh", to_anna(inbox, "fresh")))
    assert TELLING.search(held)
    (authority,) = set(re.findall(r'name="authority" value="([^"]+)"', held))
    eye.page("POST", "/held/download", authority=authority)
    eye.page("POST", "/held/leave", authority=authority)
    eye.page("POST", link("no", ask))
    desk.clock.move_to(DEADLINE - timedelta(days=5))
    desk.do("send")
    desk.clock.move_to(DEADLINE + timedelta(days=2))
    late = eye.page("GET", link("yes", ask))
    joined = eye.page("POST", action_of(late, "join"), address="anna@example.org")
    assert not TELLING.search(joined)
    desk.do("send")
    assert len(inbox.wait_for(6)) == 6
    confirm = link("confirm", to_anna(inbox, "confirm"))
    assert "uitdrukkelijk" in eye.page("GET", confirm)
    eye.page("POST", confirm)
    # Two asks, a receipt, the link to what is held, a reminder, and what confirms.
    assert len(inbox.mails) == 6
    for one in inbox.mails:
        eye.mail(one)
    assert len(eye.seen) > 200
    assert [one for one in eye.seen if TELLING.search(one)] == []


def answers(eye: Onlooker, ask: str) -> Iterator[str]:
    """Look around, say Yes, and ask for what is held; yield what only the reader sees."""
    yield ask
    yield eye.page("GET", link("no", ask))
    yield eye.page("GET", link("yes", ask))
    yield eye.page("GET", link("yes", ask) + "?as=representative&lang=fr")
    said = eye.page("POST", link("yes", ask))
    receipt = action_of(said, "receipt")
    yield eye.page("GET", receipt)
    yield eye.page("GET", f"{receipt}/receipt.json")
    me = link("me", ask)
    yield eye.page("GET", me)
    eye.page("POST", me, do="link")


def action_of(html: str, kind: str) -> str:
    found: set[str] = {url for url in PAGE_LINKS.findall(html) if url.startswith(f"/{kind}/")}
    (only,) = found
    return only
