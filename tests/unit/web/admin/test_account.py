"""One's own account."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from repermit.accounts import sessions, two_factor
from repermit.db.models.accounts import User
from repermit.settings.sealed_secrets import SecretCipher
from repermit.web.admin.forms import describe_browser
from tests.support.admin_pages import (
    PASSWORD,
    admin_client,
    client_of,
    code_at,
    cookie_of,
    log_in,
    make_admin,
    make_session,
    make_user,
    post,
    viewer_client,
)
from tests.support.builders import NOW
from tests.support.public_pages import Pages, heading_of, words_of

FRESH = "five rather slow herons"
OTHER = "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"


def test_an_account_shows_its_sessions_and_what_is_left_of_the_codes(pages: Pages) -> None:
    user = make_admin(pages.database)
    make_session(pages.database, user, browser="Mozilla/5.0 (iPhone) AppleWebKit FxiOS/1 Safari/1")
    page = words_of(client_of(pages, user).get("/admin/own/"))
    assert user.email in page
    assert "Firefox, iPhone" in page
    assert "A browser that does not say its name" in page
    assert "This is where you are now" in page
    assert "You have 0 recovery codes left" in page


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit Chrome/1 Safari/1 Edg/1", "Edge, Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X) AppleWebKit Version/1 Safari/1", "Safari, macOS"),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit Chrome/1 Mobile Safari/1", "Chrome, Android"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:1) Gecko Firefox/1", "Firefox, Linux"),
        ("curl/8", ""),
    ],
)
def test_a_browser_is_told_by_its_name(said: str, words: str) -> None:
    assert describe_browser(said) == words


def test_a_viewer_has_an_account_too(pages: Pages) -> None:
    assert viewer_client(pages).get("/admin/own/").status_code == 200


def change(pages: Pages, user: User, **fields: str) -> tuple[int, str]:
    values = {"current": PASSWORD, "password": FRESH, "again": FRESH, **fields}
    answer = post(client_of(pages, user), "/admin/own/password", **values)
    return answer.status_code, words_of(answer)


def test_a_password_is_changed_and_ends_all_other_sessions(pages: Pages) -> None:
    user = make_admin(pages.database)
    elsewhere = client_of(pages, user)
    client = client_of(pages, user)
    fields = {"current": PASSWORD, "password": FRESH, "again": FRESH}
    with cookie_of(client) as cookie:
        before = cookie["token"]
    assert post(client, "/admin/own/password", **fields).location == "/admin/own/"
    assert sessions.find_session(before, now=NOW, settings=pages.settings) is None
    assert "Your password is changed" in words_of(client.get("/admin/own/"))
    assert elsewhere.get("/admin/own/").location == "/admin/login"
    assert log_in(pages.client, user.email, FRESH).status_code == 303


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"current": "wrong"}, "This password is not right."),
        ({"current": ""}, "Please fill this in."),
        ({"again": "another"}, "The two are not the same."),
        ({"password": "password1234", "again": "password1234"}, "common one"),
    ],
)
def test_a_password_is_not_changed_if_something_is_amiss(
    pages: Pages, fields: dict[str, str], said: str
) -> None:
    user = make_admin(pages.database)
    status, words = change(pages, user, **fields)
    assert status == 422
    assert said in words
    assert User.get_by_id(user.id).password == user.password


def test_guessing_the_password_of_an_open_screen_is_throttled(pages: Pages) -> None:
    user = make_admin(pages.database)
    client = client_of(pages, user)
    fields = {"current": PASSWORD, "password": FRESH, "again": FRESH}
    wrong = post(client, "/admin/own/password", **{**fields, "current": "wrong"})
    assert wrong.status_code == 422
    assert post(client, "/admin/own/password", **fields).status_code == 429


def test_another_app_is_taken_into_use_with_the_password(pages: Pages) -> None:
    user = make_admin(pages.database)
    elsewhere, client = client_of(pages, user), client_of(pages, user)
    page = client.get("/admin/own/second-step")
    with cookie_of(client) as cookie:
        secret, before = cookie["totp"], cookie["token"]
    assert secret in page.text
    code = code_at(NOW, secret)
    for fields, said in (
        ({"code": code}, "Please fill this in."),
        ({"code": code, "confirmation": "wrong"}, "This password is not right."),
    ):
        answer = post(client, "/admin/own/second-step", **fields)
        assert answer.status_code == 422
        assert said in words_of(answer)
        assert secret in answer.text
    pages.clock.advance(timedelta(seconds=1))
    answer = post(client, "/admin/own/second-step", code="000000", confirmation=PASSWORD)
    assert "not the code that the app shows now" in words_of(answer)
    code = code_at(pages.clock.now(), secret)
    answer = post(client, "/admin/own/second-step", code=code, confirmation=PASSWORD)
    assert heading_of(answer) == "Your recovery codes"
    kept = User.get_by_id(user.id).totp_secret
    assert SecretCipher(pages.settings.secret_keys).decrypt(f"totp:{user.id}", kept) == secret
    with cookie_of(client) as cookie:
        assert cookie["token"] != before
    assert client.get("/admin/own/").status_code == 200
    assert elsewhere.get("/admin/own/").location == "/admin/login"


def test_new_recovery_codes_are_shown_once_to_who_gives_the_password(pages: Pages) -> None:
    user = make_admin(pages.database)
    client = client_of(pages, user)
    assert post(client, "/admin/own/recovery-codes").status_code == 422
    wrong = post(client, "/admin/own/recovery-codes", confirmation="wrong")
    assert wrong.status_code == 422
    too_soon = post(client, "/admin/own/recovery-codes", confirmation=PASSWORD)
    assert (too_soon.status_code, too_soon.headers["Retry-After"]) == (429, "1")
    assert two_factor.count_codes_left(user.id) == 0
    pages.clock.advance(timedelta(seconds=1))
    answer = post(client, "/admin/own/recovery-codes", confirmation=PASSWORD)
    codes = re.findall(r"<code>([\w-]+)</code>", answer.text)
    assert len(codes) == two_factor.count_codes_left(user.id) == 10
    assert codes[0] not in client.get("/admin/own/").text


def test_a_session_elsewhere_is_ended_from_the_list(pages: Pages) -> None:
    user = make_admin(pages.database)
    elsewhere, client = client_of(pages, user), client_of(pages, user)
    (action,) = re.findall(
        r'action="(/admin/own/sessions/\d+/end)"', client.get("/admin/own/").text
    )
    assert post(client, action).location == "/admin/own/"
    assert elsewhere.get("/admin/own/").location == "/admin/login"
    assert client.get("/admin/own/").status_code == 200


def test_nobody_ends_the_session_of_somebody_else(pages: Pages) -> None:
    other = make_user(pages.database)
    token, row = make_session(pages.database, other)
    post(admin_client(pages), f"/admin/own/sessions/{row.id}/end")
    assert sessions.find_session(token, now=NOW, settings=pages.settings)


@pytest.mark.parametrize(
    ("chosen", "language"), [("nl", "nl"), ("en", "en"), ("", "en"), ("xx", "en")]
)
def test_a_language_is_chosen(pages: Pages, chosen: str, language: str) -> None:
    client = viewer_client(pages)
    assert post(client, "/admin/own/language", language=chosen).location == "/admin/own/"
    assert f'<html lang="{language}">' in client.get("/admin/own/").text
