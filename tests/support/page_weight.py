"""How much the pages weigh that people answer on, and in how many round trips they are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from repermit.answers import link_target
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, SignUp
from repermit.i18n import catalogues
from repermit.rules.consent import Reason
from repermit.settings.definitions import Settings
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
)
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

PACKET = 1460
"""Octets of a TCP segment on an Ethernet."""

FIRST_PACKETS = 10
"""How many are sent before the first acknowledgement (RFC 6928 §2)."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """What one page weighs in octets: its HTML, and all that is sent for it, not packed."""

    page: str
    html: int
    sent: int
    response: TestResponse


def weight_asked_again(pages: Pages, contact: Contact, *, is_representative: bool) -> Weight:
    """Return what the page weighs that asks once more, after a Yes that may be a program's."""
    for kind in ("yes", "no"):
        pages.get(kind, contact.uid)
    query = {"as": "representative"} if is_representative else {}
    response = pages.post("yes", contact.uid, query_string=query)
    sent = _on_the_wire(response)
    return Weight(page="asked again", html=len(response.data), sent=sent, response=response)


def round_trips(octets: int) -> int:
    """Return how many round trips something takes once there is a connection, without losses.

    The window doubles with each of them (RFC 5681 §3.1).
    """
    window, sent, trips = FIRST_PACKETS * PACKET, 0, 0
    while sent < octets:
        sent, window, trips = sent + window, 2 * window, trips + 1
    return trips


class Scales:
    """Weighs every page that somebody answers or signs up on, in any language."""

    def __init__(
        self, database: Database, settings: Settings, *, slugs: Iterable[str] = ("news", "other")
    ) -> None:
        self.pages = Pages(database, settings)
        self.paths = dict(_paths(self.pages, database, slugs))

    def weigh(self, language: str) -> Iterator[Weight]:
        """Yield what each page weighs in a language."""
        for page in self.paths:
            response = self._get(page, language, "")
            sent = _on_the_wire(response)
            yield Weight(page=page, html=len(response.data), sent=sent, response=response)

    def packed(self, page: str, language: str) -> int:
        """Return how many octets are sent for a page to a browser that takes gzip."""
        return _on_the_wire(self._get(page, language, "gzip"))

    def _get(self, page: str, language: str, wanted: str) -> TestResponse:
        at, path = self.paths[page]
        self.pages.clock.move_to(at)
        mark = "&" if "?" in path else "?"
        headers: dict[str, Any] = {"Accept-Encoding": wanted, "Accept-Language": language}
        return self.pages.client.get(f"{path}{mark}lang={language}", headers=headers)


def _paths(
    pages: Pages, database: Database, slugs: Iterable[str]
) -> Iterator[tuple[str, tuple[datetime, str]]]:
    for sensitive, slug in zip((False, True), slugs, strict=True):
        kind = "sensitive " if sensitive else ""
        mailing_list = make_list(
            database, slug=slug, sensitive=sensitive, languages=catalogues.languages()
        )
        contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
        question = pages.path("yes", contact.uid)
        yield f"{kind}question", (NOW, question)
        yield f"{kind}question to a representative", (NOW, f"{question}?as=representative")
        yield f"{kind}late answer", (DEADLINE, question)
        yield f"{kind}what is held", (NOW, pages.path("me", contact.uid))
        removed = make_removed(database, mailing_list, Reason.NO)
        yield f"{kind}answer given before", (NOW, pages.path("no", removed.uid))
        join = f"/join/{link_target.make_join_id(mailing_list, settings=pages.settings)}"
        yield f"{kind}sign-up", (NOW, join)
        pages.client.post(join, data={"address": f"{slug}@example.org"})
        made = SignUp.select().order_by(SignUp.id.desc()).get()
        yield f"{kind}confirmation", (NOW, pages.path("confirm", made.uid))
        back = make_contact(database, mailing_list, status="confirmed", basis="answer")
        yield f"{kind}second thought", (NOW, pages.path("yes", back.uid))
    yield "nothing held", (NOW, pages.path("no", new_id()))
    yield "mistake", (NOW, "/elsewhere")
    assert Contact.select().count() > 0


def _on_the_wire(response: TestResponse) -> int:
    """Return how many octets are sent: the status line, the headers, the body."""
    # What the server in front adds itself.
    added = {"Date": "Mon, 02 Mar 2026 09:00:00 GMT", "Connection": "keep-alive"}
    head = [*response.headers, *added.items()]
    lines = sum(len(f"{name}: {value}\r\n") for name, value in head)
    return len(f"HTTP/1.1 {response.status}\r\n") + lines + len("\r\n") + len(response.data)
