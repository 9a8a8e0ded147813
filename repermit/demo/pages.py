"""The pages around the demonstration: how it stands, the inbox, the clock.

They stand beside the public pages, as an application of their own, so that the public pages are
exactly the real ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, redirect, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from repermit.campaigns import progress
from repermit.demo.environment import Stage
from repermit.demo.inbox import Received
from repermit.demo.mail_clients import CLIENTS, as_shown, count_images, find_client
from repermit.demo.simulated_people import scan
from repermit.demo.story import tell_story
from repermit.package_files import asset
from repermit.rules.consent import MailKind, MailState, Status

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'"
)


def beside(public: WSGIApplication, stage: Stage) -> WSGIApplication:
    """Return an application that answers the demonstration's own pages, all else as `public`."""
    own = make_pages(stage)

    def choose(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        first = environ.get("PATH_INFO", "/").split("/")[1]
        return (own if first in _OWN else public)(environ, start_response)

    return choose


_OWN = ("", "inbox", "story", "scan", "clock")


def make_pages(stage: Stage) -> Flask:
    """Return the application with the demonstration's own pages."""
    app = Flask("repermit.demo", static_folder=None, template_folder=None)

    @app.get("/")
    def home() -> Response:
        return _page("home.html", stage, **_standing(stage))

    @app.get("/story")
    def story() -> Response:
        return _page("story.html", stage, **_standing(stage))

    @app.get("/inbox")
    def inbox() -> Response:
        return _page("inbox.html", stage, mails=stage.inbox.mails)

    @app.get("/inbox/<int:number>")
    def mail(number: int) -> Response:
        found = _find(stage, number)
        text = found.part("plain")
        client = find_client(request.args.get("client", ""))
        return _page(
            "mail.html",
            stage,
            mail=found,
            text=_linked(text),
            letters=len(_LINK.sub("", text)),
            shown=_SHOWN,
            clients=CLIENTS,
            client=client,
            pictures=count_images(found.part("html")),
            **_way_of_looking(),
        )

    @app.get("/inbox/<int:number>/html")
    def mail_html(number: int) -> Response:
        html = _find(stage, number).part("html")
        if key := request.args.get("client"):
            html = as_shown(html, find_client(key), **_way_of_looking())
        # Its links open in a page of their own, since the real pages refuse to be framed.
        return _respond(html.replace("<head>", '<head><base target="_blank">', 1))

    @app.post("/scan")
    def run_scanner() -> Any:
        _scan(stage, presses="presses" in request.form)
        return redirect(f"{stage.settings.public_url}/", code=303)

    @app.post("/clock")
    def move_clock() -> Any:
        with stage.database.connection_context():
            stage.move_to_deadline()
        return redirect(f"{stage.settings.public_url}/", code=303)

    return app


def _standing(stage: Stage) -> dict[str, Any]:
    """Return how the campaign stands, and what has happened so far."""
    with stage.database.connection_context():
        found = progress.read_status(
            stage.mailing_list, settings=stage.settings, now=stage.clock.now()
        )
        asks = found.mails[MailKind.ASK]
        moving = sum(asks[state] for state in _MOVING)
        return {"found": found, "asks": asks, "moving": moving, "story": tell_story(stage)}


def _way_of_looking() -> dict[str, bool]:
    """Return whether it is dark, and whether images are shown."""
    return {"dark": request.args.get("dark") == "yes", "images": request.args.get("images") != "no"}


def _scan(stage: Stage, *, presses: bool) -> None:
    """Let a scanner loose on all mails, and note what came of it."""
    before = _answers(stage)
    did = scan(stage.inbox.mails, presses=presses)
    yes, no = (now - then for now, then in zip(_answers(stage), before, strict=True))
    stage.note(did.in_words(yes=yes, no=no))


def _answers(stage: Stage) -> tuple[int, int]:
    """Return how many may be mailed, and how many were taken off."""
    with stage.database.connection_context():
        contacts = progress.read_status(
            stage.mailing_list, settings=stage.settings, now=stage.clock.now()
        ).contacts
    return contacts[Status.CONFIRMED], contacts[Status.REMOVED]


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
