"""Putting the admin's pages into the application: keys, cookies, guards.

May import every module of this room.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.routing import IntegerConverter

from repermit.errors import Refused
from repermit.web.admin import (
    changing,
    conditions,
    connecting,
    contacts_pages,
    correcting,
    deciding,
    describing,
    entering,
    erasing,
    filling_in,
    guarding,
    handing_in,
    handing_over,
    home,
    launching,
    live,
    locking,
    looking,
    naming,
    own,
    papering,
    people,
    refusing,
    settings,
    steering,
    styles,
    suppressing,
    translating,
    verifying,
    writing,
)
from repermit.web.admin.visiting import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Blueprint

    from repermit.config import Settings

# One blueprint a module, each with its pages below /admin/.
PAGES: tuple[Blueprint, ...] = (
    styles.pages,
    entering.pages,
    locking.pages,
    own.pages,
    people.pages,
    describing.pages,
    translating.pages,
    handing_in.pages,
    live.pages,
    steering.pages,
    deciding.pages,
    contacts_pages.pages,
    erasing.pages,
    naming.pages,
    handing_over.pages,
    papering.pages,
    filling_in.pages,
    suppressing.pages,
    home.pages,
    settings.pages,
    changing.pages,
    correcting.pages,
    looking.pages,
    verifying.pages,
    connecting.pages,
    conditions.pages,
    launching.pages,
    writing.pages,
)


class _Number(IntegerConverter):
    """A number in a page's address that a database can hold; longer ones are no page."""

    regex = r"\d{1,18}"


def register(app: Flask, settings: Settings) -> None:
    """Add the pages below /admin/, with the cookie and the keys that only they use."""
    _set_up_cookie(app, settings)
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,
        # A form that was open over lunch is still good: the session ends, not the form.
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
    )
    guarding.prepare(app)
    guarding.guard(app)
    app.register_error_handler(Refused, refusing.show_reason)
    app.url_map.converters["int"] = _Number
    # Werkzeug would redirect /admin/people to /admin/people/ at the host that the request names.
    app.url_map.strict_slashes = False
    for pages in PAGES:
        app.register_blueprint(pages)
    app.url_map.strict_slashes = True


def cookie_reader(settings: Settings) -> Callable[[str], bool]:
    """Return what says of a Cookie header whether somebody got it who gave a password.

    It looks at the signature alone, not into the database, where the session may have ended.
    """
    app = Flask(__name__, static_folder=None)
    _set_up_cookie(app, settings)

    def is_of_a_login(header: str) -> bool:
        request = app.request_class({"HTTP_COOKIE": header})
        return TOKEN in (app.session_interface.open_session(app, request) or ())

    return is_of_a_login


def _set_up_cookie(app: Flask, settings: Settings) -> None:
    path = urlsplit(settings.public_url).path
    is_secure = settings.public_url.startswith("https:")
    app.config.update(
        SECRET_KEY=_own_key(settings.secret_keys[-1]),
        SECRET_KEY_FALLBACKS=[_own_key(key) for key in settings.secret_keys[:-1]],
        SESSION_COOKIE_NAME=cookie_name(settings),
        # The prefix wants "/", by which everything on the host is sent it.
        SESSION_COOKIE_PATH="/" if is_secure else f"{path}/admin/",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_secure,
    )


def cookie_name(settings: Settings) -> str:
    """Return the name of the cookie, with the prefix that lets no other host set it (RFC 6265bis).

    Browsers take that prefix by https alone. Two installations on one host have two names.
    """
    if not settings.public_url.startswith("https:"):
        return "repermit"
    path = re.sub(r"[^A-Za-z0-9]+", "-", urlsplit(settings.public_url).path).rstrip("-")
    return f"__Host-repermit{path}"


def _own_key(key: bytes) -> bytes:
    """Return Flask's key: made from a link key, but another one, so that neither signs for both."""
    return hmac.digest(key, b"repermit admin cookie", hashlib.sha256)
