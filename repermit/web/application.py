"""Composing the web application."""

from __future__ import annotations

import gzip
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter

from repermit.clock import Clock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import Database, connect
from repermit.db.suppression_journal import make_journal
from repermit.setting_overrides.current_settings import CurrentSettings
from repermit.settings.definitions import Settings
from repermit.signed_links import Links
from repermit.web import (
    dispatcher,
    error_pages,
    health_and_metrics,
    request_context,
    security_headers,
)
from repermit.web.admin.install import register_admin_pages as register_admin
from repermit.web.api.authentication import RateLimits
from repermit.web.api.routes import api
from repermit.web.client_address import ReadClientAddress, StripPublicPath
from repermit.web.public import (
    answer,
    front_page_and_evidence_keys,
    join,
    my_data,
    receipt,
)

if TYPE_CHECKING:
    ExcInfo = tuple[type[BaseException], BaseException, TracebackType]

_MAX_FORM_SIZE = 16 * 1024
_MAX_FORM_FIELDS = 20


class Application(Flask):
    """Flask, but without request paths in its log."""

    def log_exception(self, exc_info: ExcInfo | tuple[None, None, None]) -> None:
        """Log a failure without the request's path, which contains a token (invariant 13)."""
        kind, _, trace = exc_info
        error_pages.log_failure(kind, trace)


class _Token(BaseConverter):
    """A link's token, also with text that a mail program has appended to it; or any other text."""

    regex = r"[\w-]{22}\.[\w-]{43}(?:[\W_].*)?|[^/]+"
    part_isolating = False
    # The weight of werkzeug's path converter: tried after more specific routes, such as a file.
    weight = 200


def create_app(
    settings: Settings,
    *,
    clock: Clock,
    database: Database | None = None,
    openings: PendingOpenings | None = None,
) -> Flask:
    """Return the application with all pages.

    - `database`: by default that of the settings, which is connected.
    - `openings`: collects the opened links; a job of the process writes them.
    """
    app = Application("repermit", static_folder=None, template_folder=None)
    database = database or connect(settings.database, journal=make_journal(settings))
    database.before_commit = request_context.mark_commit
    database.commit_failed = request_context.unmark_failed_commit
    database.checkpoints_wal = False
    app.extensions["repermit"] = request_context.AppServices(
        settings=settings,
        clock=clock,
        database=database,
        links=Links(settings.public_url, settings.secret_keys),
        openings=openings or PendingOpenings(),
    )
    app.extensions["repermit.present"] = CurrentSettings(settings)
    app.extensions["repermit.turns"] = dispatcher.AnswerLocks(database)
    app.extensions["repermit.counts"] = health_and_metrics.MetricsCache()
    app.extensions["repermit.allowances"] = RateLimits()
    app.extensions["repermit.sign_ups"] = join.SignUpLimits()
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = _MAX_FORM_SIZE
    app.config["MAX_FORM_PARTS"] = _MAX_FORM_FIELDS
    # Otherwise werkzeug redirects //yes to /yes at the host of the Host header.
    app.url_map.merge_slashes = False
    app.url_map.converters["token"] = _Token
    app.before_request(request_context.stamp_arrival)
    app.before_request(request_context.refuse_late)
    app.before_request(dispatcher.acquire_answer_lock)
    app.before_request(request_context.open_connection)
    app.before_request(request_context.load_settings)
    app.before_request(error_pages.refuse_large_request)
    app.before_request(request_context.refuse_late)
    app.after_request(compress_response)
    app.after_request(security_headers.add_headers)
    app.teardown_request(dispatcher.release_answer_lock)
    app.teardown_request(request_context.close_connection)
    for pages in (
        answer.pages,
        receipt.pages,
        my_data.pages,
        my_data.opened_link_pages,
        join.pages,
        front_page_and_evidence_keys.pages,
        health_and_metrics.pages,
        api,
    ):
        app.register_blueprint(pages)
    register_admin(app, settings)
    error_pages.register_error_pages(app)
    _trust_proxies(app, settings)
    return app


def _trust_proxies(app: Flask, settings: Settings) -> None:
    public_path = urlsplit(settings.public_url).path
    if public_path:
        inner = app.wsgi_app
        app.wsgi_app = StripPublicPath(  # type: ignore[method-assign]
            inner, app=app, public_path=public_path
        )
    inner = app.wsgi_app
    app.wsgi_app = ReadClientAddress(  # type: ignore[method-assign]
        inner, trusted=settings.web.trusted_proxies
    )


# --- Compressing answer pages with gzip (RFC 9110 §8.4.1.3). --------------------------------------


_COMPRESSED = frozenset({"answer", "join"})


def compress_response(response: Response) -> Response:
    """Compress the response if it is an answer page and the browser accepts gzip."""
    if request.blueprint not in _COMPRESSED or response.mimetype != "text/html":
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"] > 0:
        # Without a timestamp, so that the same page gives the same bytes.
        response.set_data(gzip.compress(response.get_data(), mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
