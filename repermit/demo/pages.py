"""The pages around the demonstration: how it stands, the inbox, the clock.

May import the stage of this room and what lies below the demo. They stand beside the public
pages, as an application of their own, so that the public pages are exactly the real ones.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, redirect
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from repermit import campaigns
from repermit.config import asset
from repermit.consent import MailKind, MailState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from repermit.demo.inbox import Received
    from repermit.demo.stage import Stage

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'"
)


def beside(public: WSGIApplication, stage: Stage) -> WSGIApplication:
    """Return an application that answers /, /inbox and /clock itself, and all else as `public`."""
    own = make_pages(stage)

    def choose(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        first = environ.get("PATH_INFO", "/").split("/")[1]
        return (own if first in _OWN else public)(environ, start_response)

    return choose


_OWN = ("", "inbox", "clock")


def make_pages(stage: Stage) -> Flask:
    """Return the application with the demonstration's own pages."""
    app = Flask("repermit.demo", static_folder=None, template_folder=None)

    @app.get("/")
    def home() -> Response:
        with stage.database.connection_context():
            found = campaigns.status(
                stage.mailing_list, settings=stage.settings, now=stage.clock.now()
            )
        asks = found.mails[MailKind.ASK]
        moving = sum(asks[state] for state in _MOVING)
        return _page("home.html", stage, found=found, asks=asks, moving=moving)

    @app.get("/inbox")
    def inbox() -> Response:
        return _page("inbox.html", stage, mails=stage.inbox.mails)

    @app.get("/inbox/<int:number>")
    def mail(number: int) -> Response:
        found = _find(stage, number)
        text = found.part("plain")
        letters = len(_LINK.sub("", text))
        return _page(
            "mail.html", stage, mail=found, text=_linked(text), letters=letters, shown=_SHOWN
        )

    @app.get("/inbox/<int:number>/html")
    def mail_html(number: int) -> Response:
        # Its links open in a page of their own, since the real pages refuse to be framed.
        html = _find(stage, number).part("html")
        return _respond(html.replace("<head>", '<head><base target="_blank">', 1))

    @app.post("/clock")
    def move_clock() -> Any:
        with stage.database.connection_context():
            stage.move_to_deadline()
        return redirect(f"{stage.settings.public_url}/", code=303)

    return app


_LINK = re.compile(r"(https?://\S+)")


def _linked(text: str) -> Markup:
    """Return a text with its links, and no more: l…r@example.com is a part of an address."""
    link = Markup('<a href="{0}" target="_blank" rel="noopener">{0}</a>')
    pieces = enumerate(_LINK.split(text))
    return Markup("").join(link.format(piece) if odd % 2 else piece for odd, piece in pieces)


_MOVING = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
_SHOWN = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Feedback-ID",
)


def _find(stage: Stage, number: int) -> Received:
    mails = stage.inbox.mails
    if not 1 <= number <= len(mails):
        abort(404)
    return mails[number - 1]


def _page(template: str, stage: Stage, **fields: Any) -> Response:
    now = stage.clock.now().astimezone(stage.settings.zone)
    return _respond(
        _environment()
        .get_template(template)
        .render(now=now, zone=stage.settings.zone, style=Markup(_style()), **fields)  # noqa: S704
    )


def _respond(html: str) -> Response:
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


@cache
def _style() -> str:
    return (asset("static") / "demo.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(asset("templates") / "demo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
