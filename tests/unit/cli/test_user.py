"""Commands on who may log in, and the first admin's link."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
import requests

from repermit.accounts import users
from repermit.accounts.user_info import UserInfo
from repermit.db.connection import open_database
from repermit.db.models.accounts import User
from repermit.db.models.evidence import Evidence
from repermit.settings.editable_settings import find_locked_keys
from repermit.webhooks import endpoints
from tests.support.admin_pages import make_admin, make_session, make_user
from tests.support.builders import NOW, make_settings
from tests.support.desk import Desk
from tests.support.serve_process import Serving

LINK = re.compile(r"/admin/welcome/([\w-]+)")


def invited_by(desk: Desk, printed: str) -> UserInfo:
    """Return whose the link is that a command printed."""
    (token,) = LINK.findall(printed)
    with desk.database():
        found = users.find_invitation(token, now=desk.clock.now())
    assert found
    return found


def test_an_admin_is_added_and_their_link_printed(desk: Desk) -> None:
    out = desk.do("user", "add", "Anna@Example.org")
    assert out.startswith("Added as admin.\n  https://ask.example.org/admin/welcome/")
    assert "until Thursday 5 March 2026, 10:00" in out
    person = invited_by(desk, out)
    assert (person.email, person.role) == ("anna@example.org", "admin")
    with desk.database():
        assert Evidence.get().actor.startswith("cli:")


def test_a_viewer_is_added(desk: Desk) -> None:
    assert invited_by(desk, desk.do("user", "add", "anna@example.org", "--viewer")).role == "viewer"


def test_who_is_there_already_gets_a_new_link(desk: Desk) -> None:
    with desk.database() as database:
        make_user(database, email="anna@example.org")
    out = desk.do("user", "add", "anna@example.org")
    assert "They are there already, as viewer, and get a new link." in out
    assert invited_by(desk, out).has_second_step


def test_who_lost_their_phone_gets_a_new_second_step(desk: Desk) -> None:
    with desk.database() as database:
        make_user(database, email="anna@example.org")
    out = desk.do("user", "add", "anna@example.org", "--new-second-step")
    assert not invited_by(desk, out).has_second_step


def test_what_is_no_address_is_refused(desk: Desk) -> None:
    assert "no @ in the address" in desk.refused("user", "add", "anna")


def test_users_are_listed(desk: Desk) -> None:
    with desk.database() as database:
        make_admin(database, email="anna@example.org")
        make_user(database, email="bram@example.org", totp_secret="")
        make_user(database, email="cees@example.org", password="")
        make_admin(database, email="", password="")
    lines = [" ".join(line.split()) for line in desk.do("user", "list").splitlines()]
    assert lines == [
        "address role",
        "anna@example.org admin",
        "bram@example.org viewer has not set up the second step yet",
        "cees@example.org viewer has not chosen a password yet",
        "(the first admin) admin has not chosen a password yet",
    ]


def test_a_user_is_removed_with_their_sessions(desk: Desk) -> None:
    with desk.database() as database:
        make_admin(database)
        make_session(database, make_user(database, email="anna@example.org"))
    assert "Removed." in desk.do("user", "remove", "anna@example.org")
    with desk.database():
        assert User.select().count() == 1


def test_the_webhooks_of_who_is_removed_end_and_are_named(desk: Desk) -> None:
    with desk.database() as database:
        make_admin(database)
        user = make_admin(database, email="anna@example.org")
        theirs: dict[str, Any] = {
            "settings": make_settings(),
            "now": NOW,
            "actor": f"user:{user.id}",
        }
        endpoints.add(database, "https://tool.example.org/a", **theirs)
    said = desk.do("user", "remove", "anna@example.org")
    assert "told nothing more" in said
    assert "https://tool.example.org/a" in said
    with desk.database():
        assert endpoints.list_webhooks() == ()


def test_the_last_admin_is_not_removed_nor_who_is_not_there(desk: Desk) -> None:
    with desk.database() as database:
        make_admin(database, email="anna@example.org")
    assert "last admin" in desk.refused("user", "remove", "anna@example.org")
    assert "no user of that address" in desk.refused("user", "remove", "bram@example.org")


# --- The first admin.


@pytest.fixture
def bare(desk: Desk) -> Desk:
    """Return a desk without settings."""
    desk.config.unlink()
    return desk


def test_init_prints_the_first_admins_link(bare: Desk) -> None:
    person = invited_by(bare, bare.do("init"))
    assert (person.email, person.role) == ("", "admin")


def test_init_may_be_told_who_the_first_admin_is(bare: Desk) -> None:
    person = invited_by(bare, bare.do("init", "--admin", "anna@example.org"))
    assert (person.email, person.role) == ("anna@example.org", "admin")


def test_init_may_be_told_where_the_pages_will_be(bare: Desk) -> None:
    said = bare.do("init", "--public-url", "https://www.example.org/ask/")
    assert bare.settings.public_url == "https://www.example.org/ask"
    assert "https://www.example.org/ask/admin/welcome/" in said
    assert "fill in public_url" not in said
    # Everything that may be chosen on the pages is left to them.
    assert not find_locked_keys(bare.settings)


def test_init_makes_nothing_for_what_is_no_web_address(bare: Desk) -> None:
    assert "public_url must look like https://" in bare.refused("init", "--public-url", "ask")
    assert not bare.config.exists()


def test_init_makes_nothing_for_what_is_no_address(bare: Desk) -> None:
    said = bare.refused("init", "--admin", "anna")
    assert "--admin anna: no @ in the address" in said
    assert not bare.config.exists()


def test_init_beside_a_database_that_has_an_admin_prints_no_link(
    bare: Desk, ready_sqlite: Path
) -> None:
    database = bare.folder / "repermit.db"
    with open_database(f"sqlite:///{database}") as opened:
        database.write_bytes(ready_sqlite.read_bytes())
        make_admin(opened)
    assert "welcome" not in bare.do("init")


@pytest.mark.exhaustive
def test_serve_prints_a_link_while_there_is_no_admin(desk: Desk) -> None:
    with Serving(desk) as serving:
        assert serving.process.stdout
        lines = [serving.process.stdout.readline() for _ in range(3)]
    token = LINK.findall(lines[-1])
    assert lines[-1].strip().startswith("https://ask.example.org/admin/welcome/")
    with desk.database():
        assert users.find_invitation(token[0], now=NOW)


@pytest.mark.exhaustive
def test_serve_prints_no_link_where_there_is_an_admin(desk: Desk) -> None:
    with desk.database() as database:
        make_admin(database)
    with Serving(desk) as serving:
        # It has said all that it says once it answers.
        assert requests.get(f"{serving.url}healthz", timeout=20).ok
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.stdout
        out = serving.process.stdout.read()
    assert "Ctrl-C stops both" in out
    assert "welcome" not in out
