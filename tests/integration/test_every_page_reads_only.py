"""Every page there is, asked for by somebody who may see it: it is shown, and nothing changes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import api_tokens
from repermit.db.connection import Database
from repermit.db.models.accounts import ApiToken
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp
from repermit.privacy import rectification
from repermit.settings.definitions import Settings
from repermit.signed_links import Kind
from repermit.webhooks import endpoints
from tests.support.admin_pages import admin_client, client_of
from tests.support.builders import NOW, make_asked
from tests.support.one_time_links import asked_for, newest, opened_for
from tests.unit.web.admin.test_routes import ROUTES, Route, World

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

GETS = tuple(route for route in ROUTES if route.method == "GET")
_ANSWERS = "answer.show_question"


class Reader:
    """Whoever may see a page, and an address at which it has something to show."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.show_everywhere()
        database, pages = world.database, world.pages
        contact = Contact.get_by_id(world.values["contact_id"])
        answered = make_asked(database, contact.list, Campaign.get())
        pages.post("yes", answered.uid)
        by_admin: dict[str, Any] = {"now": NOW, "actor": f"user:{world.user.id}"}
        endpoints.add(
            database, "https://tool.example.org/", settings=world.pages.settings, **by_admin
        )
        made = api_tokens.make_token(database, "Tool", scopes=api_tokens.SCOPES, **by_admin)
        with database.atomic():
            # That it is used is noted, as with a session, but once in an hour only.
            ApiToken.update(used_at=NOW).execute()
        self._bearer = {"Authorization": f"Bearer {made.bearer}"}
        self._tokens = {
            "receipt.download_receipt": pages.links.token("receipt", answered.uid),
            "receipt.show_receipt": pages.links.token("receipt", answered.uid),
            "my_data.show_address": pages.links.token("address", _new_address(database, contact)),
            "my_data.show_fresh": pages.links.token("fresh", asked_for(database, contact).uid),
            "my_data.show_in_part": pages.links.token("me", contact.uid),
            "join.show_confirmation": pages.links.token("confirm", _sign_up(database, contact)),
        }
        self._contact = contact
        self._admin = admin_client(pages)
        self._others = {
            "login.show_login": pages.app.test_client(),
            "login.show_second_step": client_of(pages, world.user, is_full=False),
            "lock_screen.show_lock": client_of(pages, world.user, is_locked=True),
        }

    def read(self, route: Route, word: Kind = "yes", *, method: str = "GET") -> TestResponse:
        """Return what a page answers; of an answer's page, that of `word`."""
        values: dict[str, Any] = {
            name: self.world.values.get(name, 1) for name in route.arguments
        } | {"token": self._tokens.get(route.endpoint, self.world.values["token"])}
        if route.endpoint == _ANSWERS:
            values |= {"word": word, "token": self._links(word)}
        if route.endpoint == "join.show_form":
            values["name"] = "news"
        values = {name: one for name, one in values.items() if name in route.arguments}
        path = self.world.pages.app.url_map.bind("").build(route.endpoint, values, "GET")
        headers = self._bearer if route.endpoint.startswith("api.") else {}
        return self._client(route).open(path, method=method, headers=headers)

    def _links(self, word: Kind) -> str:
        return self.world.pages.links.token(word, self._contact.uid)

    def _client(self, route: Route) -> FlaskClient:
        return self._others.get(route.endpoint, self._admin)


def _new_address(database: Database, contact: Contact) -> str:
    opened = opened_for(database, contact)
    asked = {"authority": opened.authority, "address": "new@private.example", "language": "nl"}
    assert rectification.ask_new_address(database, now=NOW, **asked)
    return str(newest("address").uid)


def _sign_up(database: Database, contact: Contact) -> str:
    key = "fresh@private.example"
    with database.atomic():
        made = SignUp.create(list=contact.list, uid=new_id(), address=key, address_key=key, at=NOW)
    return str(made.uid)


@pytest.fixture
def reader(database: Database, settings: Settings) -> Reader:
    reader = Reader(World(database, replace(settings, evidence_key=bytes(range(32)))))
    # So that each is noted as seen: the one thing that a GET writes, at most once a minute.
    reader.world.pages.clock.advance(timedelta(minutes=1))
    return reader


def test_no_get_has_an_effect(reader: Reader) -> None:
    """Invariant 1, for GET and HEAD alike."""
    before = reader.world.digest()
    for route in GETS:
        for word in ("yes", "no") if route.endpoint == _ANSWERS else ("yes",):
            for method in ("GET", "HEAD"):
                answer = reader.read(route, word, method=method)
                assert (route.endpoint, answer.status_code) == (route.endpoint, 200)
                assert (route.endpoint, reader.world.digest()) == (route.endpoint, before)


# --- What a page may do in a browser. -------------------------------------------------------------


def directives(answer: TestResponse) -> dict[str, list[str]]:
    """Return what a page's policy allows, by directive."""
    policy = answer.headers["Content-Security-Policy"]
    parts = (part.split() for part in policy.split(";") if part.strip())
    return {part[0]: part[1:] for part in parts}


def test_no_page_lets_a_script_run_that_stands_in_it(reader: Reader) -> None:
    for route in GETS:
        allowed = directives(reader.read(route))
        assert allowed["default-src"] == ["'none'"]
        scripts = allowed.get("script-src", [])
        # The admin's pages have one file of their own; a mail's source and people's pages none.
        assert scripts in ([], ["'self'"]), route.endpoint
        assert bool(scripts) <= route.rule.startswith("/admin"), route.endpoint
        others = {"script-src-elem", "script-src-attr", "worker-src", "object-src"}
        assert not others & allowed.keys(), route.endpoint
        assert allowed["base-uri"][0] in {"'none'", "'self'"}


def test_no_page_has_a_script_that_its_policy_would_not_let_run(reader: Reader) -> None:
    for route in GETS:
        answer = reader.read(route)
        if not (answer.content_type or "").startswith("text/html"):
            continue
        scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", answer.text, re.DOTALL)
        assert all(re.search(r'src="/', head) and not body for head, body in scripts)
        assert not re.search(r"<[^>]+\son[a-z]+\s*=|javascript:", answer.text), route.endpoint
