"""Adding the admin pages to the application: keys, cookie, guard, static files."""

from __future__ import annotations

import hashlib
import hmac
import mimetypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, request
from flask.sessions import SecureCookieSessionInterface
from werkzeug.routing import IntegerConverter
from werkzeug.security import safe_join

from repermit.errors import Refused
from repermit.package_files import find_asset
from repermit.settings.definitions import Settings
from repermit.web.admin import (
    account,
    audit_log,
    campaign_actions,
    campaign_dates,
    campaign_page,
    contact_pages,
    dashboard,
    erase_contact,
    evidence_check,
    exports,
    imports,
    integrations,
    launch,
    list_form,
    list_translations,
    lock_screen,
    login,
    mail_wording,
    processing_record_form,
    reports,
    require_permission,
    result_text,
    settings,
    suppressions,
    text_corrections,
    users,
)
from repermit.web.admin import help as help_pages
from repermit.web.admin.current_user import TOKEN_KEY
from repermit.web.admin.page_permissions import for_everybody

pages = Blueprint("static_files", __name__, url_prefix="/admin/static")

_DAY_SECONDS = 24 * 3600


@pages.get("/<path:name>")
@for_everybody
def serve_static_file(name: str) -> Response:
    """Return a file of `static/`; the files are small and read whole."""
    path = safe_join(str(find_asset("static")), name)
    if path is None:
        abort(404)
    try:
        content = Path(path).read_bytes()
    except OSError:
        # No such file, a folder, or a name that is too long.
        abort(404)
    response = Response(content, mimetype=mimetypes.guess_type(name)[0])
    response.cache_control.max_age = _DAY_SECONDS
    response.add_etag()
    response.make_conditional(request)
    return response


# The blueprints of the modules, with their pages below /admin/.
PAGES: tuple[Blueprint, ...] = (
    pages,
    login.pages,
    lock_screen.pages,
    account.pages,
    users.pages,
    list_form.pages,
    list_translations.pages,
    imports.pages,
    campaign_page.pages,
    campaign_actions.pages,
    campaign_actions.open_question_pages,
    contact_pages.pages,
    erase_contact.pages,
    erase_contact.address_pages,
    exports.pages,
    reports.pages,
    processing_record_form.pages,
    suppressions.pages,
    dashboard.pages,
    settings.pages,
    text_corrections.pages,
    audit_log.pages,
    evidence_check.pages,
    integrations.pages,
    campaign_dates.pages,
    launch.pages,
    mail_wording.pages,
    help_pages.pages,
)


class _Number(IntegerConverter):
    """A number in a URL that a database column can hold; a longer one gives 404."""

    regex = r"\d{1,18}"


def register_admin_pages(app: Flask, settings: Settings) -> None:
    """Add the pages below /admin/, with their cookie and keys."""
    _set_up_cookie(app, settings)
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,
        # A form stays valid as long as its session.
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
    )
    require_permission.set_up_login(app)
    require_permission.install_guard(app)
    app.register_error_handler(Refused, result_text.show_refused_page)
    app.url_map.converters["int"] = _Number
    # Otherwise werkzeug redirects /admin/people to /admin/people/ at the host of the request.
    app.url_map.strict_slashes = False
    for pages in PAGES:
        app.register_blueprint(pages)
    app.url_map.strict_slashes = True


def make_cookie_reader(settings: Settings) -> Callable[[str], bool]:
    """Return a function that tells whether a Cookie header belongs to a login.

    It checks the signature only, not the database, where the session may have ended.
    """
    app = Flask(__name__, static_folder=None)
    _set_up_cookie(app, settings)

    def is_of_a_login(header: str) -> bool:
        request = app.request_class({"HTTP_COOKIE": header})
        return TOKEN_KEY in (app.session_interface.open_session(app, request) or ())

    return is_of_a_login


def make_login_cookie(settings: Settings, token: str) -> dict[str, Any]:
    """Return the cookie of a session, as the arguments of `set_cookie`."""
    app = Flask(__name__, static_folder=None)
    _set_up_cookie(app, settings)
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signer is not None  # noqa: S101  the application has a key
    return {
        "key": make_cookie_name(settings),
        "value": signer.dumps({TOKEN_KEY: token}),
        "path": app.config["SESSION_COOKIE_PATH"],
        "secure": app.config["SESSION_COOKIE_SECURE"],
        "httponly": True,
        "samesite": "Lax",
    }


def _set_up_cookie(app: Flask, settings: Settings) -> None:
    path = urlsplit(settings.public_url).path
    is_secure = settings.public_url.startswith("https:")
    app.config.update(
        SECRET_KEY=_derive_key(settings.secret_keys[-1]),
        SECRET_KEY_FALLBACKS=[_derive_key(key) for key in settings.secret_keys[:-1]],
        SESSION_COOKIE_NAME=make_cookie_name(settings),
        # The prefix __Host- requires "/", so that the cookie is sent to the whole host.
        SESSION_COOKIE_PATH="/" if is_secure else f"{path}/admin/",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_secure,
    )


def make_cookie_name(settings: Settings) -> str:
    """Return the cookie's name, with the prefix that keeps other hosts from setting it.

    Browsers accept that prefix over https only (RFC 6265bis). Two installations on one host have
    different names.
    """
    if not settings.public_url.startswith("https:"):
        return "repermit"
    path = re.sub(r"[^A-Za-z0-9]+", "-", urlsplit(settings.public_url).path).rstrip("-")
    return f"__Host-repermit{path}"


def _derive_key(key: bytes) -> bytes:
    """Derive Flask's key from a link key, so that a signature of one is not valid for the other."""
    return hmac.digest(key, b"repermit admin cookie", hashlib.sha256)
