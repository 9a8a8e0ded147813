"""The composition of the web application.

May import every room below, and Flask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask

from repermit.answers import Pending
from repermit.choices import Present
from repermit.links import Links
from repermit.models import connect, journal_of
from repermit.web import (
    answering,
    connection,
    headers,
    holding,
    joining,
    mistakes,
    monitoring,
    opening,
    packing,
    receiving,
    site,
    turns,
)
from repermit.web.admin import register as register_admin
from repermit.web.api import Allowances, api
from repermit.web.client_address import ReadClientAddress
from repermit.web.public_path import StripPublicPath

if TYPE_CHECKING:
    from types import TracebackType

    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.models import Database

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType]

_LARGEST_FORM = 16 * 1024
_MOST_FIELDS = 20


class Application(Flask):
    """Flask, but for what it would write into the log."""

    def log_exception(self, exc_info: ExcInfo | tuple[None, None, None]) -> None:
        """Note a failure without the request's path, which holds a token (DESIGN invariant 13)."""
        kind, _, trace = exc_info
        mistakes.log_failure(kind, trace)


def create_app(
    settings: Settings,
    *,
    clock: Clock,
    database: Database | None = None,
    openings: Pending | None = None,
) -> Flask:
    """Return the application with all pages.

    `database` is the one in use if the process has one already; without it, the settings'
    becomes the one in use. `openings` is where it puts down which links were opened, to be written
    by whoever has it too.
    """
    app = Application("repermit", static_folder=None, template_folder=None)
    database = database or connect(settings.database, journal=journal_of(settings))
    database.before_commit = connection.note_commit
    database.writes_back = False
    app.extensions["repermit"] = site.Site(
        settings=settings,
        clock=clock,
        database=database,
        links=Links(settings.public_url, settings.secret_keys),
        openings=openings or Pending(),
    )
    app.extensions["repermit.present"] = Present(settings)
    app.extensions["repermit.turns"] = turns.Turns(database)
    app.extensions["repermit.counts"] = monitoring.Counts()
    app.extensions["repermit.allowances"] = Allowances()
    app.extensions["repermit.sign_ups"] = joining.SignUpLimits()
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = _LARGEST_FORM
    app.config["MAX_FORM_PARTS"] = _MOST_FIELDS
    # Werkzeug would redirect //yes to /yes at the address that the Host header names.
    app.url_map.merge_slashes = False
    app.before_request(site.stamp_arrival)
    app.before_request(connection.open_connection)
    app.before_request(turns.take_turn)
    app.before_request(connection.limit_patience)
    app.before_request(site.settle)
    app.before_request(mistakes.refuse_too_much)
    app.before_request(connection.refuse_late)
    app.after_request(packing.pack)
    app.after_request(headers.add_headers)
    app.teardown_request(turns.give_turn)
    app.teardown_request(connection.close_connection)
    for pages in (
        answering.pages,
        receiving.pages,
        holding.pages,
        opening.pages,
        joining.pages,
        monitoring.pages,
        api,
    ):
        app.register_blueprint(pages)
    register_admin(app, settings)
    mistakes.register(app)
    _stand_behind_proxies(app, settings)
    return app


def _stand_behind_proxies(app: Flask, settings: Settings) -> None:
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
