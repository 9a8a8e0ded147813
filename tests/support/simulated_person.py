"""Whoever answers, signs up, looks at what is held and has it deleted, in any language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import SignUp
from tests.support.builders import make_asked, make_contact
from tests.support.one_time_links import newest
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from werkzeug.test import TestResponse


def walk(pages: Pages, campaign: Campaign, language: str) -> Iterator[tuple[str, TestResponse]]:
    """Yield every page that the person of a mail comes by, with its name, in a language."""
    for name, response in _pages(pages, campaign, language):
        assert response.status_code in {200, 422}, (name, response.status_code)
        yield name, response


def _pages(pages: Pages, campaign: Campaign, language: str) -> Iterator[tuple[str, TestResponse]]:
    database, news = pages.database, campaign.list
    query: dict[str, Any] = {"query_string": {"lang": language}}
    anna, carla = (make_asked(database, news, campaign) for _ in range(2))
    yield "question", pages.get("yes", anna.uid, **query)
    yield "yes", pages.post("yes", anna.uid, **query)
    # A program that opens both links at once.
    for path in (pages.path("yes", carla.uid), pages.path("no", carla.uid)):
        pages.client.get(path)
    yield "again", pages.post("yes", carla.uid, **query)
    yield "disowned", pages.post("yes", carla.uid, data={"choice": "not_me"}, **query)
    yield "receipt", pages.get("receipt", anna.uid, **query)
    yield "yes before", pages.get("yes", anna.uid, **query)
    yield "me", pages.get("me", anna.uid, **query)
    yield "link sent", pages.post("me", anna.uid, data={"do": "link"}, **query)
    fresh = newest().uid
    yield "fresh", pages.get("fresh", fresh, **query)
    held = pages.post("fresh", fresh, **query)
    yield "held", held
    yield from _acts(pages, held, query)
    yield "over", pages.get("fresh", fresh, **query)
    yield "gone", pages.get("yes", anna.uid, **query)
    bram = make_asked(database, news, campaign)
    yield "no", pages.post("no", bram.uid, **query)
    stranger = make_contact(database, news)
    yield "not me", pages.post("me", stranger.uid, data={"do": "not_me"}, **query)
    yield from _signing_up(pages, news.slug, query)


def _acts(
    pages: Pages, held: TestResponse, query: dict[str, Any]
) -> Iterator[tuple[str, TestResponse]]:
    (authority,) = set(re.findall(r'name="authority" value="([^"]+)"', held.text))

    def act(what: str, **fields: str) -> TestResponse:
        data = {"authority": authority, **fields}
        return pages.client.post(f"/held/{what}", data=data, **query)

    yield "no address", act("address", address="nobody")
    yield "address sent", act("address", address=f"new-{authority[:8].lower()}@example.org")
    moving = newest("address").uid
    yield "address", pages.get("address", moving, **query)
    yield "moved", pages.post("address", moving, **query)
    yield "leave", act("leave")
    yield "deleted", act("delete")


def _signing_up(
    pages: Pages, slug: str, query: dict[str, Any]
) -> Iterator[tuple[str, TestResponse]]:
    join = f"/join/{slug}"
    # Each comes from a network of their own, since one network signs few people up.
    number = SignUp.select().count()
    query = {**query, "environ_overrides": {"REMOTE_ADDR": f"203.0.{number % 256}.7"}}
    yield "join", pages.client.get(join, **query)
    yield "no address to join", pages.client.post(join, data={"address": "x"}, **query)
    given = {"address": f"doris{number}@example.org"}
    yield "joined", pages.client.post(join, data=given, **query)
    made = SignUp.select().order_by(SignUp.id.desc()).get().uid
    yield "confirm", pages.get("confirm", made, **query)
    yield "declined", pages.post("confirm", made, data={"choice": "no"}, **query)
    yield "sign-up again", pages.post("confirm", made, data={"choice": "yes"}, **query)
    yield "confirmed", pages.post("confirm", made, data={"choice": "yes"}, **query)
