"""The admin's pages as tests ask for them: logged in already, with forms that prove themselves."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import pyotp
from itsdangerous import URLSafeTimedSerializer

from repermit.accounts import passwords
from repermit.db.connection import Database
from repermit.db.models.accounts import Session, User
from tests.support.builders import NOW, insert
from tests.support.public_pages import Pages, words_of

if TYPE_CHECKING:
    from flask.sessions import SessionMixin
    from flask.testing import FlaskClient
    from playwright.sync_api import Page
    from werkzeug.test import TestResponse

ENGLISH = {"Accept-Language": "en"}
PASSWORD = "four quiet otters wait"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

_numbers = count(1)


def make_user(database: Database, **overrides: Any) -> User:
    """Save and return a viewer who has PASSWORD, and an app with SECRET for the second step."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": 1000 + number,
        "email": f"user{number}@example.org",
        "role": "viewer",
        "password": _kept(),
        "password_at": NOW,
        "totp_secret": SECRET,
        "created_at": NOW,
    }
    user = User(**{**values, **overrides})
    with database.atomic():
        insert(database, user)
    return user


@cache
def _kept() -> str:
    # Hashing takes long, as it should.
    return passwords.hash_password(PASSWORD)


def code_at(moment: datetime, secret: str = SECRET) -> str:
    """Return what the app shows at a moment."""
    return pyotp.TOTP(secret).at(moment)


def make_admin(database: Database, **overrides: Any) -> User:
    """Save and return an admin."""
    return make_user(database, **{"role": "admin", **overrides})


def make_session(database: Database, user: User, **overrides: Any) -> tuple[str, Session]:
    """Save a full session; return what its cookie holds, and its row."""
    token = secrets.token_urlsafe(32)
    values: dict[str, Any] = {
        "user": user,
        "digest": hashlib.sha256(token.encode()).hexdigest(),
        "is_full": True,
        "created_at": NOW,
        "seen_at": NOW,
        "network": "192.0.2.0/24",
        "browser": "A browser",
    }
    session = Session(**{**values, **overrides})
    with database.atomic():
        insert(database, session)
    return token, session


def client_of(pages: Pages, user: User, **overrides: Any) -> FlaskClient:
    """Return a client in which a user has logged in; the session began when the clock stands."""
    now = pages.clock.now()
    moments = {"created_at": now, "seen_at": now}
    token, _ = make_session(pages.database, user, **{**moments, **overrides})
    client = pages.app.test_client()
    with cookie_of(client) as session:
        session["token"] = token
    return client


def admin_client(pages: Pages) -> FlaskClient:
    """Return a client in which an admin has logged in, with both steps."""
    return client_of(pages, make_admin(pages.database))


def let_in(page: Page, pages: Pages, user: User | None = None) -> str:
    """Let a browser in, as an admin if not told otherwise; return where the pages begin."""
    client = client_of(pages, user or make_admin(pages.database))
    cookie = client.get_cookie("repermit", path="/admin/")
    assert cookie
    url = f"{pages.settings.public_url}/admin/"
    page.context.add_cookies([{"name": "repermit", "value": cookie.value, "url": url}])
    return url


def viewer_client(pages: Pages) -> FlaskClient:
    """Return a client in which a viewer has logged in, with both steps."""
    return client_of(pages, make_user(pages.database))


def cookie_of(client: FlaskClient) -> AbstractContextManager[SessionMixin]:
    """Return what stands in a client's cookie, to be read and changed within `with`."""
    # The cookie is sent to the admin's pages alone, so that elsewhere there seems to be none.
    return client.session_transaction(client.application.config["SESSION_COOKIE_PATH"])


def csrf_token(client: FlaskClient) -> str:
    """Return what a form of this client's pages carries to prove that it is ours."""
    with cookie_of(client) as session:
        raw = session.setdefault("csrf_token", secrets.token_hex(20))
    secret = client.application.secret_key
    assert secret
    return str(URLSafeTimedSerializer(secret, salt="wtf-csrf-token").dumps(raw))


def log_in(client: FlaskClient, email: str, password: str = PASSWORD) -> TestResponse:
    """Give address and password."""
    return post(client, "/admin/login", email=email, password=password)


def post(client: FlaskClient, url: str, **fields: Any) -> TestResponse:
    """Send a form as its page would; a list of values is a field that stands there repeatedly."""
    return client.post(url, data={**fields, "csrf_token": csrf_token(client)})


def read_version(page: TestResponse) -> str:
    """Return the version of what a page's form shows."""
    return page.text.partition('name="version" value="')[2].partition('"')[0]


def words_at(client: FlaskClient, url: str) -> str:
    """Return what a page says, in English."""
    response = client.get(url, headers=ENGLISH)
    assert response.status_code == 200
    return words_of(response)
