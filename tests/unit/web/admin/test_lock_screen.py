"""The screen that locks, and what was typed into it."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.db.models.accounts import Session, User
from repermit.settings.definitions import Settings
from tests.support.admin_pages import (
    PASSWORD,
    admin_client,
    client_of,
    cookie_of,
    csrf_token,
    log_in,
    make_admin,
    make_user,
    post,
)
from tests.support.builders import make_settings
from tests.support.public_pages import Pages, heading_of, words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient

IDLE = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
FRESH = "five rather slow herons"


@pytest.fixture
def locked(pages: Pages) -> FlaskClient:
    client = admin_client(pages)
    pages.clock.advance(IDLE)
    return client


def test_a_page_is_shown_until_15_idle_minutes_have_passed(pages: Pages) -> None:
    client = admin_client(pages)
    pages.clock.advance(IDLE - SECOND)
    assert client.get("/admin/own/").status_code == 200
    pages.clock.advance(IDLE - SECOND)
    assert client.get("/admin/own/").status_code == 200, "the page before kept it awake"
    pages.clock.advance(IDLE)
    assert client.get("/admin/own/").location == "/admin/lock?next=/admin/own/"


def test_a_locked_page_comes_back_after_the_password(locked: FlaskClient) -> None:
    target = locked.get("/admin/people/?from=3").location
    page = locked.get(target)
    assert heading_of(page) == "The screen was locked"
    assert locked.get("/admin/people/").status_code == 303, "it stays locked"
    answer = post(locked, "/admin/lock", lock_password=PASSWORD, next="/admin/people/?from=3")
    assert answer.location == "/admin/people/?from=3"
    assert locked.get("/admin/people/").status_code == 200
    assert locked.get("/admin/lock?next=/admin/people/").location == "/admin/people/"


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_leaves_it_locked(locked: FlaskClient, password: str) -> None:
    answer = post(locked, "/admin/lock", lock_password=password, next="/admin/people/")
    assert answer.status_code == 422
    assert 'value="/admin/people/"' in answer.text
    assert locked.get("/admin/people/").status_code == 303


def test_guessing_the_password_is_throttled_in_this_session_alone(
    pages: Pages, locked: FlaskClient
) -> None:
    post(locked, "/admin/lock", lock_password="wrong")
    answer = post(locked, "/admin/lock", lock_password=PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    email = User.get().email
    log_in(pages.client, email, "wrong")
    assert log_in(pages.client, email).status_code == 429
    pages.clock.advance(SECOND)
    assert post(locked, "/admin/lock", lock_password=PASSWORD).status_code == 303


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/admin/",
        "//evil.example/admin/",
        "/admin/\\evil.example",
        "/admin/\nSet-Cookie: a=b",
        "/yes/token",
        "javascript:alert(1)",
        "/admin/lock",
        "",
    ],
)
def test_unlocking_leads_to_a_page_of_ours_alone(locked: FlaskClient, wanted: str) -> None:
    home = post(locked, "/admin/lock", lock_password=PASSWORD).location
    answer = post(locked, "/admin/lock", lock_password=PASSWORD, next=wanted)
    assert answer.location == home
    assert home.startswith("/admin/")


# --- Without script.


def hidden_fields(page: str) -> dict[str, str]:
    """Return the hidden fields of a page, as a browser would send them."""
    tags = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in tags if name != "csrf_token"}


def test_what_was_typed_into_a_locked_form_is_sent_on_with_the_password(
    pages: Pages, locked: FlaskClient
) -> None:
    typed = {"email": "new@example.org", "role": "viewer", "note": 'two\n"lines" & <more>'}
    asked = post(locked, "/admin/people/", **typed)
    assert asked.status_code == 423
    assert heading_of(asked) == "The screen was locked"
    assert 'action="/admin/people/"' in asked.text
    assert "What you typed is kept, and is sent on" in words_of(asked)
    assert hidden_fields(asked.text) == typed
    assert User.select().count() == 1
    done = post(locked, "/admin/people/", **typed, lock_password=PASSWORD)
    assert heading_of(done) == "A link to pass on"
    assert 'class="places"' in done.text, "it is a page as any other"
    assert User.get(User.email == "new@example.org").role == "viewer"
    assert pages.clock.now() == Session.get().seen_at


@pytest.mark.parametrize("password", ["wrong", ""])
def test_what_was_typed_is_kept_through_a_wrong_password(
    locked: FlaskClient, password: str
) -> None:
    typed = {"email": "new@example.org", "role": "viewer"}
    answer = post(locked, "/admin/people/", **typed, lock_password=password)
    assert answer.status_code == 422
    assert hidden_fields(answer.text) == typed
    assert User.select().count() == 1


def test_passwords_that_were_to_be_changed_are_written_into_no_page(locked: FlaskClient) -> None:
    fields = {"current": PASSWORD, "password": FRESH, "again": FRESH}
    answer = post(locked, "/admin/own/password", **fields)
    assert answer.location == "/admin/lock?next=/admin/own/"
    answer = post(locked, "/admin/own/password", **fields, lock_password=PASSWORD)
    assert answer.location == "/admin/lock?next=/admin/own/"
    assert FRESH not in locked.get(answer.location).text


def test_a_field_that_stands_there_twice_is_kept_twice(locked: FlaskClient) -> None:
    answer = post(locked, "/admin/people/?a=b", choice=["one", "two"])
    assert answer.text.count('name="choice"') == 2
    assert 'action="/admin/people/?a=b"' in answer.text


def test_a_file_is_not_kept_and_that_is_said(locked: FlaskClient) -> None:
    fields = {"csrf_token": csrf_token(locked), "file": (io.BytesIO(b"a"), "list.csv")}
    answer = locked.post("/admin/people/", data=fields)
    assert "you will have to choose it again" in words_of(answer)


def test_the_password_sent_on_opens_no_page_that_is_not_for_one(pages: Pages) -> None:
    client = client_of(pages, make_user(pages.database))
    pages.clock.advance(IDLE)
    fields = {"email": "new@example.org", "role": "admin", "lock_password": PASSWORD}
    assert post(client, "/admin/people/", **fields).status_code == 403
    assert User.select().count() == 1


# --- With script.


def test_the_script_is_told_when_it_locks_and_asking_keeps_nothing_awake(pages: Pages) -> None:
    client = admin_client(pages)
    pages.clock.advance(IDLE - 5 * SECOND)
    told = client.get("/admin/lock/state.json").json
    assert told
    assert (told["locked"], told["seconds"]) == (False, 5)
    pages.clock.advance(5 * SECOND)
    assert client.get("/admin/lock/state.json").json == {"locked": True, "seconds": 0}


def test_the_script_gets_a_fresh_proof_for_the_forms_of_an_open_session(pages: Pages) -> None:
    user = make_admin(pages.database)
    client = client_of(pages, user)
    told = client.get("/admin/lock/state.json").json
    assert told
    assert told["user"] == user.id
    assert f'data-user="{user.id}"' in client.get("/admin/own/").text
    fields = {"language": "nl", "csrf_token": told["csrf_token"]}
    assert client.post("/admin/own/language", data=fields).status_code == 303
    half = client_of(pages, user, is_full=False)
    assert set(half.get("/admin/lock/state.json").json or ()) == {"locked", "seconds"}


def test_typing_keeps_the_screen_awake(pages: Pages) -> None:
    client = admin_client(pages)
    pages.clock.advance(IDLE - SECOND)
    header = {"X-CSRFToken": csrf_token(client)}
    assert client.post("/admin/lock/awake", headers=header).status_code == 204
    pages.clock.advance(IDLE - SECOND)
    assert client.get("/admin/own/").status_code == 200


def test_the_script_unlocks_and_is_told_what_is_wrong(pages: Pages, locked: FlaskClient) -> None:
    def unlock(password: str) -> tuple[int, object]:
        answer = locked.post(
            "/admin/lock",
            data={"csrf_token": csrf_token(locked), "lock_password": password},
            headers={"Accept": "application/json"},
        )
        return answer.status_code, answer.json if answer.data else None

    assert unlock("wrong") == (422, {"problem": "This password is not right."})
    assert unlock(PASSWORD)[0] == 429
    assert unlock("") == (422, {"problem": "Please fill this in."})
    pages.clock.advance(SECOND)
    with cookie_of(locked) as cookie:
        before = dict(cookie)
    assert unlock(PASSWORD) == (204, None)
    assert locked.get("/admin/own/").status_code == 200
    with cookie_of(locked) as cookie:
        # The session is renewed, and the forms of the page that was locked stay good.
        assert cookie["token"] != before["token"]
        assert cookie["csrf_token"] == before["csrf_token"]
    with cookie_of(locked) as cookie:
        cookie["token"] = before["token"]
    assert locked.get("/admin/own/").location == "/admin/login"


def test_a_password_in_a_form_is_not_kept_in_the_page_that_asks_for_it(
    locked: FlaskClient,
) -> None:
    typed = {"email": "new@example.org", "role": "admin", "confirmation": "typed before the lock"}
    asked = post(locked, "/admin/people/", **typed)
    assert 'name="role" value="admin"' in asked.text
    assert "typed before the lock" not in asked.text
    del typed["confirmation"]
    done = post(locked, "/admin/people/", **typed, lock_password=PASSWORD)
    assert "new@example.org chooses a password" in words_of(done)


def test_the_question_stands_in_every_page_of_an_open_session(pages: Pages) -> None:
    client = admin_client(pages)
    assert '<dialog id="lock"' in client.get("/admin/own/").text
    assert '<dialog id="lock"' not in pages.client.get("/admin/login").text


def test_the_screen_can_be_locked_by_hand(pages: Pages) -> None:
    client = admin_client(pages)
    assert post(client, "/admin/lock/now").location == "/admin/lock"
    assert client.get("/admin/own/").location.startswith("/admin/lock")


def test_half_a_session_has_no_screen_to_lock(pages: Pages) -> None:
    client = client_of(pages, make_admin(pages.database), is_full=False)
    assert client.get("/admin/lock").location == "/admin/second-step"
    assert post(client, "/admin/lock", lock_password=PASSWORD).location == "/admin/second-step"


def test_below_a_path_unlocking_leads_back_below_it(database: Database, settings: Settings) -> None:
    below = make_settings(database=settings.database, public_url="https://example.org/ask")
    pages = Pages(database, below)
    client = admin_client(pages)
    pages.clock.advance(IDLE)
    target = client.get("/ask/admin/people/").location
    assert target.startswith("/ask/admin/lock?next=/admin/people/")
    answer = post(client, "/ask/admin/lock", lock_password=PASSWORD, next="/admin/people/")
    assert answer.location == "/ask/admin/people/"
