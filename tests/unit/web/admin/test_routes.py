"""Every page there is: who may see it, that a GET changes nothing, that a POST proves itself."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import users
from repermit.campaigns import campaign_draft
from repermit.campaigns.campaign_draft import Conditions
from repermit.clock import ManualClock
from repermit.contacts import human_replies
from repermit.db.connection import Database, FairSqliteDatabase, open_database
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.accounts import Access, SecurityEvent, Session
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import find_list
from repermit.i18n.correctable_texts import key_of
from repermit.rules.consent import CampaignState, MailState, Status
from repermit.settings.definitions import Settings
from repermit.web import application
from repermit.web.admin import launch
from repermit.web.admin.page_permissions import get_permissions
from tests.support.admin_pages import admin_client, client_of, csrf_token, make_user, viewer_client
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.desk import ATTEST
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

# Whoever adds a page for others than admins names it here too, and so has thought of it twice.
FOR_EVERYBODY = {
    "login.log_out",
    "login.log_in",
    "login.show_login",
    "login.show_welcome",
    "login.choose_first_password",
    "static_files.serve_static_file",
}
FOR_THE_HALF_LOGGED_IN = {
    "login.set_up_app",
    "login.show_second_step",
    "login.check_second_step",
    "lock_screen.show_lock",
    "lock_screen.show_state",
    "lock_screen.unlock",
}
FOR_VIEWERS = {
    "help.show_index",
    "help.show_page",
    "dashboard.show",
    "campaign_page.show_figures",
    "campaign_page.show",
    "lock_screen.lock_screen",
    "lock_screen.stay_awake",
    "account.change_password",
    "account.choose_language",
    "account.end_session",
    "account.renew_codes",
    "account.replace_app",
    "account.show",
    "account.show_second_step",
}
# The link of a mail, or the name of a list, is the authority: who has it need prove no more.
BY_LINK = {
    "answer.take_answer",
    "my_data.confirm_address",
    "my_data.open_fresh",
    "my_data.take_wish",
    "join.take_confirmation",
    "join.take_form",
}
# What such a link has opened proves itself by a signed authority in the form.
BY_AUTHORITY = {"opened_link.act_on_held"}

SECRET_ADDRESS = "somebody.secret@private.example"
SECRET_NAME = "Somebody Secret"


@dataclass(frozen=True)
class Route:
    """One page by one method; `path` has the values of `World.values` to be filled in."""

    endpoint: str
    method: str
    rule: str
    arguments: frozenset[str]


def _all_routes() -> Iterator[Route]:
    app = application.create_app(
        make_settings(),
        clock=ManualClock(NOW),
        database=FairSqliteDatabase(Path(tempfile.gettempdir()) / "unused.db"),
    )
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(rule.endpoint, method, rule.rule, frozenset(rule.arguments))


ROUTES = tuple(_all_routes())
ADMINS = tuple(route for route in ROUTES if route.rule.startswith("/admin"))


class World:
    """A list in the middle of its campaign, and people who may log in."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.pages = Pages(database, settings)
        news = make_list(database)
        campaign = make_campaign(database, news)
        contact = make_asked(database, news, campaign, SECRET_ADDRESS)
        contact.name = SECRET_NAME
        contact.save()
        make_contact(database, news, status=Status.CONFIRMED, basis="answer")
        self.user = make_user(database)
        invited = users.invite_user(database, self.user.id, now=NOW, actor="cli:keeper")
        self.values = {
            "slug": "news",
            "number": contact.id,
            "contact_id": contact.id,
            "user_id": self.user.id,
            "session_id": 1,
            "token": invited.token,
            "name": "admin.css",
            "page_name": "how-to/check",
            "word": "yes",
            "group": "mail",
            "act": "delete",
            "language": "nl",
            "key": key_of("Yes, keep sending me these mails"),
        }

    def show_everywhere(self) -> None:
        """Have the address stand on each page that would show it."""
        database, campaign = self.database, Campaign.get()
        news = campaign.list
        made = make_contact(database, news, f"-{SECRET_ADDRESS}", status=Status.CONFIRMED)
        make_mail(database, campaign, made, state=MailState.IN_DOUBT, started_at=NOW)
        with database.atomic():
            human_replies.save_reply(
                made, digest=made.uid * 2, proposed="", at=NOW, decided_at=None
            )
        client = admin_client(self.pages)
        file = io.BytesIO(f"email\n{SECRET_ADDRESS}\n".encode())
        fields = {"file": (file, "a.csv"), "csrf_token": csrf_token(client)}
        client.post("/admin/lists/news/file/upload", data=fields)
        client.post("/admin/log/verify/chain", data={"csrf_token": csrf_token(client)})
        Access.delete().execute()

    def path(self, route: Route) -> str:
        values = {name: self.values.get(name, 1) for name in route.arguments}
        return str(self.pages.app.url_map.bind("").build(route.endpoint, values, route.method))

    def ask(self, client: FlaskClient, route: Route, *, proves: bool = True) -> TestResponse:
        fields = {"csrf_token": csrf_token(client)} if proves and route.method != "GET" else {}
        return client.open(self.path(route), method=route.method, data=fields)

    def digest(self) -> str:
        """Return a digest of all rows, but for what says when somebody looked or was refused."""
        tables = [table for table in ALL_TABLES if table not in {Session, Access, SecurityEvent}]
        rows = [
            (table.__name__, sorted(map(repr, table.select().tuples().iterator())))
            for table in tables
        ]
        return hashlib.sha256(repr(rows).encode()).hexdigest()


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    with open_database(sqlite_url) as opened:
        yield World(opened, make_settings(database=sqlite_url))


def exceptions(holds: Callable[[Route], object]) -> list[Route]:
    """Return the admin's pages of which something does not hold."""
    return [route for route in ADMINS if not holds(route)]


def test_there_are_pages() -> None:
    assert len(ADMINS) > 40


def test_a_page_is_for_whom_the_list_here_says(world: World) -> None:
    views = world.pages.app.view_functions
    marked = {route.endpoint: get_permissions(views[route.endpoint]) for route in ADMINS}
    there = set(marked)
    assert {name for name, one in marked.items() if one.for_everybody} == FOR_EVERYBODY
    half = {name for name, one in marked.items() if one.for_the_half_logged_in}
    assert half == FOR_THE_HALF_LOGGED_IN
    assert {name for name, one in marked.items() if one.for_viewers} == FOR_VIEWERS & there


def test_a_guest_sees_the_login_alone(world: World) -> None:
    def is_guarded(route: Route) -> bool:
        answer = world.ask(world.pages.app.test_client(), route)
        return answer.location == "/admin/login" or route.endpoint in FOR_EVERYBODY

    before = world.digest()
    assert exceptions(is_guarded) == []
    assert world.digest() == before


def test_half_a_session_sees_the_second_step_alone(world: World) -> None:
    allowed = FOR_EVERYBODY | FOR_THE_HALF_LOGGED_IN
    client = client_of(world.pages, world.user, is_full=False)

    def is_guarded(route: Route) -> bool:
        return route.endpoint in allowed or (
            world.ask(client, route).location == "/admin/second-step"
        )

    assert exceptions(is_guarded) == []


def test_a_locked_session_sees_the_lock_alone(world: World) -> None:
    allowed = FOR_EVERYBODY | FOR_THE_HALF_LOGGED_IN
    client = admin_client(world.pages)
    world.pages.clock.advance(timedelta(minutes=15))

    def is_guarded(route: Route) -> bool:
        if route.endpoint in allowed:
            return True
        answer = world.ask(client, route)
        return answer.status_code == 423 or (answer.location or "").startswith("/admin/lock?next=")

    assert exceptions(is_guarded) == []


def test_a_session_that_has_ended_sees_nothing(world: World) -> None:
    client = client_of(world.pages, world.user, ended_at=NOW)

    def is_guarded(route: Route) -> bool:
        return route.endpoint in FOR_EVERYBODY or (
            world.ask(client, route).location == "/admin/login"
        )

    assert exceptions(is_guarded) == []


def test_a_viewer_is_refused_what_is_the_admins(world: World) -> None:
    allowed = FOR_EVERYBODY | FOR_THE_HALF_LOGGED_IN | FOR_VIEWERS
    client = viewer_client(world.pages)

    def is_guarded(route: Route) -> bool:
        return route.endpoint in allowed or world.ask(client, route).status_code == 403

    before = world.digest()
    assert exceptions(is_guarded) == []
    assert world.digest() == before


def test_a_viewer_sees_no_address_and_no_name(world: World) -> None:
    client = viewer_client(world.pages)

    def is_silent(route: Route) -> bool:
        if route.method != "GET" or route.endpoint not in FOR_VIEWERS:
            return True
        text = world.ask(client, route).text
        return SECRET_ADDRESS not in text and SECRET_NAME not in text

    assert exceptions(is_silent) == []


SHOW_ADDRESSES = {
    "contact_pages.show",
    "contact_pages.show_contact",
    "open_questions.show_in_doubt",
    "open_questions.show_replies",
    "open_questions.show_silent",
    "erase_contact.show_forget",
    "imports.show",
    "exports.show",
    "mail_wording.show",
}


def test_whoever_is_shown_an_address_is_noted_as_having_looked(world: World) -> None:
    world.show_everywhere()
    client = admin_client(world.pages)
    shown, unseen = set(), []
    for route in (route for route in ADMINS if route.method == "GET"):
        before = Access.select().count()
        path = world.path(route)
        if route.endpoint == "exports.show":
            path += "?tool=mailchimp"
        if SECRET_ADDRESS in client.get(path).text:
            shown.add(route.endpoint)
            unseen += [path] * (Access.select().count() == before)
    assert unseen == []
    assert shown == SHOW_ADDRESSES


def test_every_post_proves_itself(world: World) -> None:
    client = admin_client(world.pages)
    before = world.digest()

    def is_refused(route: Route) -> bool:
        status = world.ask(client, route, proves=False).status_code
        if route.rule.startswith("/admin"):
            return status == 400
        if route.endpoint in BY_AUTHORITY:
            return status == 404
        return status == 401 if route.rule.startswith("/api") else route.endpoint in BY_LINK

    unproven = [route for route in ROUTES if route.method != "GET" and not is_refused(route)]
    assert unproven == []
    assert world.digest() == before


def test_a_proof_of_another_browser_is_none(world: World) -> None:
    client, other = admin_client(world.pages), admin_client(world.pages)
    answer = client.post("/admin/lock/now", data={"csrf_token": csrf_token(other)})
    assert answer.status_code == 400
    assert client.get("/admin/own/").status_code == 200


def test_pages_are_asked_for_by_get_and_post_alone() -> None:
    assert {route.method for route in ROUTES} == {"GET", "POST"}


KEEP_WHAT_IS_TYPED = {
    "campaign_dates.show",
    "launch.show",
    "list_form.show",
    "list_form.show_new",
    "list_translations.show",
    "mail_wording.show",
    "processing_record_form.show",
    "settings.show_group",
}


def test_the_forms_of_a_campaign_keep_what_was_typed(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(launch, "find_launch_findings", lambda _list: ())
    with world.database.atomic():
        Campaign.update(state=CampaignState.CLOSED).execute()
    news = find_list("news")
    make_contact(world.database, news)
    campaign_draft.save_conditions(
        world.database,
        news,
        Conditions(deadline="2026-03-30", attest=ATTEST),
        now=NOW,
        actor="user:1",
    )
    client = admin_client(world.pages)
    found = set()
    for route in ADMINS:
        if route.method == "GET":
            text = client.get(world.path(route)).text
            if "data-keep=" in text:
                found.add(route.endpoint)
                assert 'id="kept"' in text
    assert found == KEEP_WHAT_IS_TYPED
