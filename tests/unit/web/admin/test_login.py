"""Logging in and out: throttled, timed alike, no planted session, cookies that stay at home."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from statistics import median
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from repermit.accounts import passwords, sessions, two_factor
from repermit.accounts import users as accounts_users
from repermit.accounts.user_info import Role
from repermit.db.connection import Database, open_database
from repermit.db.models.accounts import Session, Throttle, User
from repermit.db.models.evidence import Evidence
from repermit.settings.definitions import Settings, Web
from tests.support.admin_pages import (
    PASSWORD,
    admin_client,
    client_of,
    code_at,
    cookie_of,
    log_in,
    make_admin,
    make_user,
    post,
)
from tests.support.builders import NOW, make_settings
from tests.support.public_pages import Pages, heading_of, words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

FRESH = "five rather slow herons"


@pytest.fixture
def quick(sqlite_url: str) -> Iterator[Pages]:
    """Return pages over SQLite, for what tries many passwords: hashing takes long."""
    with open_database(sqlite_url) as opened:
        yield Pages(opened, make_settings(database=sqlite_url))


def token_of(client: FlaskClient) -> str:
    with cookie_of(client) as session:
        return str(session.get("token", ""))


def secret_of(client: FlaskClient) -> str:
    with cookie_of(client) as session:
        return str(session["totp"])


# --- The way in.


def test_a_guest_is_sent_to_the_login(pages: Pages) -> None:
    answer = pages.client.get("/admin/own/")
    assert (answer.status_code, answer.location) == (303, "/admin/login")
    assert heading_of(pages.client.get("/admin/login")) == "Log in"


def _log_in_whole(pages: Pages, user: User) -> TestResponse:
    log_in(pages.client, user.email)
    return post(pages.client, "/admin/second-step", code=code_at(NOW))


def test_the_login_leads_to_the_page_that_was_wanted(pages: Pages) -> None:
    # Its query may hold an address, and somebody else may log in.
    pages.client.get("/admin/own/?q=jan@example.org")
    answer = _log_in_whole(pages, make_admin(pages.database))
    assert (answer.status_code, answer.location) == (303, "/admin/own/")
    with cookie_of(pages.client) as session:
        assert list(session) == ["token"]


@pytest.mark.parametrize("path", [f"/admin/lists/{'x' * 500}/describe", "/admin/lists/ü/describe"])
def test_what_is_too_long_or_odd_leads_to_the_start(pages: Pages, path: str) -> None:
    pages.client.get(path)
    assert _log_in_whole(pages, make_admin(pages.database)).location == "/admin/"


def test_a_page_that_scripts_ask_for_is_not_what_was_wanted(pages: Pages) -> None:
    pages.client.get("/admin/own/")
    pages.client.get("/admin/lists/news/file/state.json")
    assert _log_in_whole(pages, make_admin(pages.database)).location == "/admin/own/"


def test_a_viewer_is_led_to_the_start(pages: Pages) -> None:
    pages.client.get("/admin/people")
    viewer = make_user(pages.database, role=Role.VIEWER)
    assert _log_in_whole(pages, viewer).location == "/admin/"


def test_a_form_that_comes_after_the_login_ended_says_that_it_was_not_saved(pages: Pages) -> None:
    said = "Your login had ended, so nothing was saved."
    pages.client.post("/admin/lock/awake")
    assert said not in words_of(pages.client.get("/admin/login"))
    for _ in range(2):
        answer = pages.client.post("/admin/new-list", data={"name": "News"})
        assert (answer.status_code, answer.location) == (303, "/admin/login")
    assert words_of(pages.client.get("/admin/login")).count(said) == 1
    assert said not in words_of(pages.client.get("/admin/login"))


def test_before_the_first_admin_the_login_says_where_the_link_is(pages: Pages) -> None:
    said = "whoever opens it becomes the first admin"
    assert said in words_of(pages.client.get("/admin/login"))
    make_admin(pages.database)
    assert said not in words_of(pages.client.get("/admin/login"))


def test_password_and_code_let_somebody_in(pages: Pages) -> None:
    user = make_admin(pages.database)
    answer = log_in(pages.client, user.email)
    assert (answer.status_code, answer.location) == (303, "/admin/second-step")
    assert heading_of(pages.client.get("/admin/second-step")) == "Second step"
    assert pages.client.get("/admin/own/").location == "/admin/second-step"
    answer = post(pages.client, "/admin/second-step", code=code_at(NOW))
    assert answer.status_code == 303
    assert pages.client.get("/admin/own/").status_code == 200


def test_who_has_logged_in_is_sent_on(pages: Pages) -> None:
    user = make_admin(pages.database)
    half = client_of(pages, user, is_full=False)
    assert half.get("/admin/login").location == "/admin/second-step"
    full = client_of(pages, user)
    home = full.get("/admin/login").location
    assert home.startswith("/admin/")
    assert full.get("/admin/second-step").location == home


@pytest.mark.parametrize("fields", [{}, {"email": "a@example.org"}, {"password": "x"}])
def test_a_login_wants_both(pages: Pages, fields: dict[str, str]) -> None:
    answer = post(pages.client, "/admin/login", **fields)
    assert answer.status_code == 422
    assert "Please fill this in." in words_of(answer)
    assert not Throttle.select().exists()


def test_what_is_longer_than_any_address_is_not_tried(pages: Pages) -> None:
    answer = log_in(pages.client, "a" * 100_000 + "@example.org")
    assert answer.status_code == 422
    assert "This is too long." in words_of(answer)
    assert not Throttle.select().exists()


def test_a_wrong_password_keeps_the_address_and_says_no_more_than_an_unknown_one(
    pages: Pages,
) -> None:
    user = make_admin(pages.database)
    known = log_in(pages.client, user.email, "wrong")
    unknown = log_in(pages.client, "nobody@example.org", "wrong")
    assert known.status_code == unknown.status_code == 422
    assert f'value="{user.email}"' in known.text
    assert "wrong" not in known.text.replace('class="wrong"', "").replace("password-wrong", "")
    same = words_of(known).replace(user.email, "…")
    assert words_of(unknown).replace("nobody@example.org", "…") == same


def test_a_wrong_code_is_refused(pages: Pages) -> None:
    client = client_of(pages, make_admin(pages.database), is_full=False)
    answer = post(client, "/admin/second-step", code="000000")
    assert answer.status_code == 422
    assert "not right, or was used already" in words_of(answer)
    assert post(client, "/admin/second-step").status_code == 422
    assert client.get("/admin/own/").location == "/admin/second-step"


def test_who_has_no_app_sets_one_up_before_anything_else(pages: Pages) -> None:
    user = make_admin(pages.database, totp_secret="")
    log_in(pages.client, user.email)
    page = pages.client.get("/admin/second-step")
    secret = secret_of(pages.client)
    assert secret in page.text
    assert 'src="data:image/svg+xml' in page.text
    assert secret in pages.client.get("/admin/second-step").text, "it stays the same"
    assert pages.client.get("/admin/own/").location == "/admin/second-step"
    for wrong in ({}, {"code": "000000"}):
        answer = post(pages.client, "/admin/second-step/set-up", **wrong)
        assert answer.status_code == 422
        assert secret in answer.text
    answer = post(pages.client, "/admin/second-step/set-up", code=code_at(NOW, secret))
    codes = re.findall(r"<code>([A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4})</code>", answer.text)
    assert len(codes) == 10
    assert pages.client.get("/admin/own/").status_code == 200


def test_a_code_is_not_asked_of_whom_none_is_known(pages: Pages) -> None:
    client = client_of(pages, make_admin(pages.database, totp_secret=""), is_full=False)
    answer = post(client, "/admin/second-step", code="123456")
    assert heading_of(answer) == "Set up the second step"


def test_an_app_is_not_set_up_beside_the_one_in_use(pages: Pages) -> None:
    user = make_admin(pages.database)
    for is_full in (False, True):
        client = client_of(pages, user, is_full=is_full)
        with cookie_of(client) as session:
            session["totp"] = "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"
        code = code_at(NOW, "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU")
        answer = post(client, "/admin/second-step/set-up", code=code)
        assert answer.location == "/admin/second-step"
    assert User.get_by_id(user.id).totp_secret == user.totp_secret


def test_an_app_is_not_set_up_before_it_was_shown_a_secret(pages: Pages) -> None:
    client = client_of(pages, make_admin(pages.database, totp_secret=""), is_full=False)
    answer = post(client, "/admin/second-step/set-up", code="123456")
    assert answer.location == "/admin/second-step"


def test_a_recovery_code_lets_somebody_in(pages: Pages) -> None:
    user = make_admin(pages.database)
    made = two_factor.make_recovery_codes()
    with pages.database.atomic():
        codes = two_factor.save_recovery_codes(user.id, made)
    client = client_of(pages, user, is_full=False)
    assert post(client, "/admin/second-step", code=codes[0]).status_code == 303
    assert client.get("/admin/own/").status_code == 200


def test_a_code_does_not_open_a_locked_screen(pages: Pages) -> None:
    client = admin_client(pages)
    post(client, "/admin/lock/now")
    answer = post(client, "/admin/second-step", code=code_at(NOW))
    assert answer.location == client.get("/admin/second-step").location
    assert client.get("/admin/own/").location.startswith("/admin/lock")
    assert Session.get().is_locked


def test_logging_in_ends_the_session_that_the_browser_had(pages: Pages) -> None:
    user = make_admin(pages.database)
    client = client_of(pages, user)
    token = token_of(client)
    log_in(client, user.email, "wrong")
    assert sessions.find_session(token, now=NOW, settings=pages.settings)
    pages.clock.advance(timedelta(seconds=1))
    log_in(client, user.email)
    assert sessions.find_session(token, now=NOW, settings=pages.settings) is None


def test_a_one_time_link_ends_the_session_that_the_browser_had(pages: Pages) -> None:
    client = admin_client(pages)
    token, url = token_of(client), f"/admin/welcome/{invite(pages)}"
    assert post(client, url, password=FRESH, again=FRESH).status_code == 303
    assert sessions.find_session(token, now=NOW, settings=pages.settings) is None


def test_leaving_ends_the_session_in_the_database_too(pages: Pages) -> None:
    client = admin_client(pages)
    token = token_of(client)
    assert post(client, "/admin/leave").location == "/admin/login"
    assert token_of(client) == ""
    assert sessions.find_session(token, now=NOW, settings=pages.settings) is None
    assert post(client, "/admin/leave").location == "/admin/login"
    assert [one.event for one in Evidence.select()] == ["logged_out"]


def test_leaving_half_way_through_a_login_is_no_log_out(pages: Pages) -> None:
    log_in(pages.client, make_user(pages.database).email)
    assert token_of(pages.client)
    post(pages.client, "/admin/leave")
    assert not Evidence.select().exists()


# --- One-time links.


def invite(pages: Pages, **overrides: str) -> str:
    user = make_user(pages.database, password="", totp_secret="", **overrides)
    return accounts_users.invite_user(pages.database, user.id, now=NOW, actor="cli:keeper").token


def test_a_link_shows_where_to_choose_a_password_and_is_not_used_up_by_looking(
    pages: Pages,
) -> None:
    url = f"/admin/welcome/{invite(pages, email='anna@example.org')}"
    for _ in range(2):
        page = pages.client.get(url)
        assert heading_of(page) == "Choose a password"
        assert "anna@example.org" in page.text
    answer = post(pages.client, url, password=FRESH, again=FRESH)
    assert answer.location == "/admin/second-step"
    assert heading_of(pages.client.get("/admin/second-step")) == "Set up the second step"
    for late in (pages.client.get(url), post(pages.client, url, password=FRESH, again=FRESH)):
        assert late.status_code == 410
        assert heading_of(late) == "This link does not work any more"


@pytest.mark.parametrize(
    ("password", "again", "said"),
    [
        ("short", "short", "too short"),
        ("password1234", "password1234", "common one"),
        (FRESH, "another one", "not the same"),
        ("anna boven de zee", "anna boven de zee", "part of your e-mail address"),
        ("wolken praktijk zee", "wolken praktijk zee", "organisation’s name"),
        ("long words, " * 100, "long words, " * 100, "too long"),
        ("", "", "Please fill this in."),
    ],
)
def test_a_password_that_may_not_be_chosen_is_refused_with_the_reason(
    pages: Pages, password: str, again: str, said: str
) -> None:
    url = f"/admin/welcome/{invite(pages, email='anna@example.org')}"
    answer = post(pages.client, url, password=password, again=again)
    assert answer.status_code == 422
    assert said in words_of(answer)
    assert pages.client.get(url).status_code == 200


@pytest.mark.parametrize("email", ["anna@example.org", ""])
def test_of_four_uses_of_a_link_at_once_one_gets_in_and_the_others_are_told(
    pages: Pages, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/admin/welcome/{invite(pages, email=email)}"
    all_here, hashed = Barrier(4, timeout=30), passwords.hash_password

    def hash_together(password: str) -> str:
        all_here.wait()
        return hashed(password)

    def use(client: FlaskClient) -> int:
        # Each is a browser of its own, which gives the same address if it is asked for one.
        fields = {"email": "first@example.org", "password": FRESH, "again": FRESH}
        return post(client, url, **fields).status_code

    monkeypatch.setattr(passwords, "hash_password", hash_together)
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(use, [pages.app.test_client() for _ in range(4)]))
    assert sorted(codes) == [303, 410, 410, 410]


def test_the_first_admin_gives_an_address_too(pages: Pages) -> None:
    first = accounts_users.invite_first_admin(pages.database, now=NOW, actor="cli:keeper")
    assert first
    url = f"/admin/welcome/{first.token}"
    assert 'name="email"' in pages.client.get(url).text
    wrong = post(pages.client, url, email="anna", password=FRESH, again=FRESH)
    assert wrong.status_code == 422
    assert "no e-mail address" in words_of(wrong)
    taken = make_user(pages.database).email
    wrong = post(pages.client, url, email=taken, password=FRESH, again=FRESH)
    assert wrong.status_code == 422
    assert "Somebody may log in with this address already." in words_of(wrong)
    post(pages.client, url, email="anna@example.org", password=FRESH, again=FRESH)
    assert accounts_users.find_user_by_email("anna@example.org").role is Role.ADMIN


# --- Throttling.


def test_guessing_a_password_waits_longer_each_time_and_says_how_long(pages: Pages) -> None:
    user = make_admin(pages.database)
    for seconds in (1, 2, 4):
        assert log_in(pages.client, user.email, "wrong").status_code == 422
        answer = log_in(pages.client, user.email)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == str(seconds)
        assert f"wait {'one second' if seconds == 1 else f'{seconds} seconds'}" in words_of(answer)
        pages.clock.advance(timedelta(seconds=seconds))
    assert log_in(pages.client, user.email).status_code == 303


def test_a_long_wait_is_told_in_minutes(quick: Pages) -> None:
    user = make_admin(quick.database)
    for _ in range(9):
        log_in(quick.client, user.email, "wrong")
        quick.clock.advance(timedelta(minutes=16))
    log_in(quick.client, user.email, "wrong")
    answer = log_in(quick.client, user.email)
    assert "wait 9 minutes" in words_of(answer)
    assert answer.headers["Retry-After"] == "512"


def test_guessing_codes_is_throttled(pages: Pages) -> None:
    client = client_of(pages, make_admin(pages.database), is_full=False)
    post(client, "/admin/second-step", code="000000")
    answer = post(client, "/admin/second-step", code=code_at(NOW))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


def test_guessing_is_throttled_by_network_too(quick: Pages) -> None:
    for number in range(11):
        assert log_in(quick.client, f"user{number}@example.org", "wrong").status_code == 422
    assert log_in(quick.client, "another@example.org", "wrong").status_code == 429
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    page = quick.client.get("/admin/login", environ_base=elsewhere)
    (csrf,) = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)
    fields = {"email": "another@example.org", "password": "wrong", "csrf_token": csrf}
    answer = quick.client.post("/admin/login", data=fields, environ_base=elsewhere)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("trusted", "peer", "entries", "tries"),
    [
        # Nobody in front, and the settings trust one or two servers.
        (1, "203.0.113.9", "10.{}.0.1", 31),
        (2, "203.0.113.9", "9.{}.9.9, 8.{}.8.8", 31),
        # One server in front, and the settings trust two.
        (2, "127.0.0.1", "9.{}.9.9, 203.0.113.9", 31),
        # One server in front of which the settings know nothing, or that adds no address.
        (0, "127.0.0.1", "9.{}.9.9, 203.0.113.9", 11),
        (1, "127.0.0.1", "nonsense{}", 11),
    ],
)
def test_guessing_is_throttled_whatever_networks_the_guesser_invents(
    quick: Pages, trusted: int, peer: str, entries: str, tries: int
) -> None:
    settings = replace(quick.settings, web=Web(trusted_proxies=trusted))
    pages = Pages(quick.database, settings, clock=quick.clock)
    page = pages.client.get("/admin/login")
    (csrf,) = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)
    codes = [
        pages.client.post(
            "/admin/login",
            data={"email": f"user{n}@example.org", "password": "wrong", "csrf_token": csrf},
            environ_base={"REMOTE_ADDR": peer},
            headers={"X-Forwarded-For": entries.replace("{}", str(n))},
        ).status_code
        for n in range(tries + 1)
    ]
    assert codes == [422] * tries + [429]


# --- Timing.


def test_an_unknown_account_takes_as_long_as_a_wrong_password(
    quick: Pages,
) -> None:
    users = [make_admin(quick.database).email for _ in range(7)]
    strangers = [f"stranger{number}@example.org" for number in range(7)]
    no_password = [make_admin(quick.database, password="").email for _ in range(7)]

    def seconds(email: str) -> float:
        quick.clock.advance(timedelta(minutes=16))
        begin = time.process_time()
        assert log_in(quick.client, email, "a wrong password").status_code == 422
        return time.process_time() - begin

    taken = [
        (seconds(one), seconds(two), seconds(three))
        for one, two, three in zip(users, strangers, no_password, strict=True)
    ]
    known, unknown, without = (median(times) for times in zip(*taken, strict=True))
    assert 0.5 < unknown / known < 2
    assert 0.5 < without / known < 2


# --- Session fixation.


def test_a_token_planted_before_the_login_is_worth_nothing_after_it(pages: Pages) -> None:
    user = make_admin(pages.database)
    with cookie_of(pages.client) as session:
        session["token"] = "planted"
        session["more"] = "planted"
    log_in(pages.client, user.email)
    half = token_of(pages.client)
    assert half not in {"", "planted"}
    with cookie_of(pages.client) as session:
        assert "more" not in session
    post(pages.client, "/admin/second-step", code=code_at(NOW))
    full = token_of(pages.client)
    assert full not in {"", "planted", half}
    assert sessions.find_session(half, now=NOW, settings=pages.settings) is None
    assert sessions.find_session("planted", now=NOW, settings=pages.settings) is None


def test_a_form_from_before_the_login_proves_nothing_after_it(pages: Pages) -> None:
    user = make_admin(pages.database)
    (before,) = re.findall(
        r'name="csrf_token" value="([^"]+)"', pages.client.get("/admin/login").text
    )
    log_in(pages.client, user.email)
    answer = pages.client.post("/admin/second-step", data={"csrf_token": before, "code": "1"})
    assert answer.status_code == 400


# --- Cookies.


def cookie_of_page(pages: Pages, url: str = "/admin/login") -> tuple[str, set[str]]:
    """Return the name of the cookie that a page sets, and its attributes."""
    (cookie,) = pages.client.get(url).headers.getlist("Set-Cookie")
    first, *attributes = cookie.split(";")
    return first.partition("=")[0], {part.strip() for part in attributes}


def test_the_cookie_is_secure_and_no_other_host_can_set_it(pages: Pages) -> None:
    # Lax and not Strict: with Strict, whoever follows a link of a mail to these pages would look
    # logged out. A foreign page can send no POST along with it either way.
    assert cookie_of_page(pages) == (
        "__Host-repermit",
        {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"},
    )


def test_the_cookie_follows_public_url(database: Database, settings: Settings) -> None:
    local = make_settings(database=settings.database, public_url="http://127.0.0.1:8000")
    expected = ("repermit", {"HttpOnly", "Path=/admin/", "SameSite=Lax"})
    assert cookie_of_page(Pages(database, local)) == expected
    local_below = make_settings(database=settings.database, public_url="http://localhost:8000/ask")
    expected = ("repermit", {"HttpOnly", "Path=/ask/admin/", "SameSite=Lax"})
    assert cookie_of_page(Pages(database, local_below), "/ask/admin/login") == expected
    below = make_settings(database=settings.database, public_url="https://example.org/ask/me")
    for url in ("/admin/login", "/ask/me/admin/login"):
        name, attributes = cookie_of_page(Pages(database, below), url)
        # Another installation on this host has a cookie of its own.
        assert name == "__Host-repermit-ask-me"
        assert {"Secure", "Path=/"} < attributes
        assert not any(one.startswith("Domain") for one in attributes)


def test_the_public_pages_set_no_cookie(pages: Pages) -> None:
    answer = pages.client.get("/yes/unknown")
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_a_session_of_an_earlier_cookie_is_nobodys(pages: Pages) -> None:
    client = admin_client(pages)
    cookie = client.get_cookie("__Host-repermit")
    assert cookie
    client.delete_cookie("__Host-repermit")
    client.set_cookie("repermit", cookie.value, path="/admin/")
    assert client.get("/admin/own/").location == "/admin/login"


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [("https://ask.example.org", '"cache", "storage"'), ("https://example.org/ask", '"cache"')],
)
def test_logging_out_clears_what_the_browser_kept(
    database: Database, settings: Settings, public_url: str, expected: str
) -> None:
    here = make_settings(database=settings.database, public_url=public_url)
    pages = Pages(database, here)
    client = admin_client(pages)
    answer = post(client, "/admin/leave")
    assert answer.headers["Clear-Site-Data"] == expected
    # What is in its place is nobody's.
    assert client.get("/admin/own/").location.endswith("/admin/login")
    assert "Clear-Site-Data" not in client.get("/admin/login").headers


def test_a_cookie_that_was_tampered_with_is_nobodys(pages: Pages) -> None:
    client = admin_client(pages)
    cookie = client.get_cookie("__Host-repermit")
    assert cookie
    client.set_cookie("__Host-repermit", cookie.value[:-9] + "x" * 9)
    assert client.get("/admin/own/").location == "/admin/login"


# --- The Host header.


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "Forwarded"])
def test_nothing_is_built_from_the_host_that_a_request_names(pages: Pages, header: str) -> None:
    evil = {header: "host=evil.example" if header == "Forwarded" else "evil.example"}
    client = admin_client(pages)
    for answer in (
        pages.client.get("/admin/login", headers=evil),
        pages.client.get("/admin/own/", headers=evil),
        client.get("/admin/people", headers=evil),
        client.get("/admin/login", headers=evil),
    ):
        assert "evil" not in answer.text
        assert "evil" not in str(answer.headers)


def test_a_one_time_link_is_built_from_public_url(pages: Pages) -> None:
    client = admin_client(pages)
    answer = post(client, "/admin/people/", email="new@example.org", role="viewer")
    assert "https://ask.example.org/admin/welcome/" in answer.text


def test_pages_below_a_path_lead_to_pages_below_it(database: Database, settings: Settings) -> None:
    below = make_settings(database=settings.database, public_url="https://example.org/ask")
    pages = Pages(database, below)
    for url in ("/ask/admin/own/", "/admin/own/"):
        assert pages.client.get(url).location == "/ask/admin/login"
    page = pages.client.get("/ask/admin/login").text
    assert 'href="/ask/admin/static/admin.css"' in page
    assert 'action="/ask/admin/login"' in page


# --- What is kept of it.


def test_a_login_is_evidence_and_a_failed_one_is_not(pages: Pages) -> None:
    user = make_admin(pages.database)
    log_in(pages.client, user.email, "wrong")
    pages.clock.advance(timedelta(seconds=1))
    log_in(pages.client, user.email, PASSWORD)
    post(pages.client, "/admin/second-step", code=code_at(pages.clock.now()))
    assert [one.event for one in Evidence.select()] == ["logged_in"]


def test_no_log_line_names_address_password_or_token(
    pages: Pages, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    user = make_admin(pages.database)
    log_in(pages.client, user.email, "wrong password")
    pages.clock.advance(timedelta(seconds=1))
    log_in(pages.client, user.email)
    pages.client.post("/admin/leave")
    for secret in (user.email, "wrong password", PASSWORD, token_of(pages.client)):
        assert secret not in caplog.text
    assert Session.select().exists()


def test_the_pages_are_in_dutch_for_a_dutch_browser_or_by_choice(pages: Pages) -> None:
    dutch = pages.client.get("/admin/login", headers={"Accept-Language": "nl-NL,en;q=0.5"})
    assert '<html lang="nl">' in dutch.text
    client = client_of(pages, make_admin(pages.database, language="nl"))
    english = client.get("/admin/own/", headers={"Accept-Language": "en"})
    assert '<html lang="nl">' in english.text
