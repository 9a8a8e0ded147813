"""The demonstration's own pages, in the browser's language: progress, story, inbox, clock.

They are an application of their own beside the public pages, so that those are exactly the real
ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, redirect, request
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from repermit.accounts import sessions, users
from repermit.accounts.user_info import Role
from repermit.demo.environment import ACTOR, Demo
from repermit.demo.inbox import ReceivedMail
from repermit.demo.simulated_people import scan
from repermit.demo.story import list_story_events
from repermit.emails import template_engine
from repermit.errors import NotFound
from repermit.i18n import dates
from repermit.i18n.lazy_text import N_
from repermit.package_files import embed_style, find_asset
from repermit.rules.consent import UNSETTLED, MailKind, Status
from repermit.web.admin.audit_log import ACTS
from repermit.web.admin.install import make_login_cookie
from repermit.web.admin.rendering import get_browser_language

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'"
)


def add_demo_pages(public: WSGIApplication, demo: Demo) -> WSGIApplication:
    """Return an application with the demonstration's own pages; `public` answers all others."""
    own = make_pages(demo)

    def choose(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        first = environ.get("PATH_INFO", "/").split("/")[1]
        return (own if first in _OWN else public)(environ, start_response)

    return choose


_OWN = ("", "inbox", "story", "scan", "clock", "enter")


def make_pages(demo: Demo) -> Flask:
    """Return the application with the demonstration's own pages."""
    app = Flask("repermit.demo", static_folder=None, template_folder=None)

    @app.get("/")
    def home() -> Response:
        return _render_page("home.html", demo, **_read_progress(demo))

    @app.get("/story")
    def story() -> Response:
        return _render_page("story.html", demo, **_read_progress(demo))

    @app.get("/inbox")
    def inbox() -> Response:
        return _render_page("inbox.html", demo, mails=demo.inbox.mails)

    @app.get("/inbox/<int:number>")
    def mail(number: int) -> Response:
        received = _find_mail(demo, number)
        text = received.part("plain")
        client = find_client(request.args.get("client", ""))
        return _render_page(
            "mail.html",
            demo,
            mail=received,
            text=_link_urls(text),
            letters=len(_LINK.sub("", text)),
            shown=_SHOWN_HEADERS,
            clients=CLIENTS,
            client=client,
            pictures=count_images(received.part("html")),
            **_read_view_options(),
        )

    @app.get("/inbox/<int:number>/html")
    def mail_html(number: int) -> Response:
        html = _find_mail(demo, number).part("html")
        if key := request.args.get("client"):
            html = show_in_client(html, find_client(key), **_read_view_options())
        # Its links open in a new tab, as the real pages refuse to be framed.
        return _make_response(html.replace("<head>", '<head><base target="_blank">', 1))

    @app.post("/scan")
    def run_scanner() -> Any:
        _scan(demo, presses="presses" in request.form)
        return redirect(f"{demo.settings.public_url}/", code=303)

    @app.post("/clock")
    def move_clock() -> Any:
        with demo.database.connection_context():
            demo.move_to_deadline()
        # The earlier session has expired, and its cookie is not sent to this page.
        return _redirect_logged_in(demo, "/")

    @app.post("/enter")
    def enter_as_admin() -> Any:
        return _redirect_logged_in(demo, "/admin/")

    return app


def _redirect_logged_in(demo: Demo, path: str) -> Any:
    """Redirect to a page, with the cookie of a new session of the demonstration's admin."""
    response = redirect(f"{demo.settings.public_url}{path}", code=303)
    with demo.database.connection_context():
        token = begin_admin_session(demo)
    response.set_cookie(**make_login_cookie(demo.settings, token))
    return response


def begin_admin_session(demo: Demo) -> str:
    """Begin a full session of the demonstration's admin; return the token for its cookie."""
    now = demo.clock.now()
    try:
        admin = users.find_user_by_email(_ADMIN)
    except NotFound:
        admin = users.add_user(demo.database, _ADMIN, role=Role.ADMIN, now=now, actor=ACTOR).user
    with demo.database.atomic():
        token = sessions.begin_session(admin.id, now=now, network="", browser="")
        login = sessions.find_session(token, now=now, settings=demo.settings)
        assert login is not None  # noqa: S101  it has just begun
        return sessions.complete_session(login.id, now=now)


# In a reserved domain; its notices go to the demonstration's own inbox.
_ADMIN = "admin@example.org"


def _read_progress(demo: Demo) -> dict[str, Any]:
    """Return the status of the campaign and the story so far, for a template."""
    with demo.database.connection_context():
        status = demo.read_status()
        asks = status.mails[MailKind.ASK]
        unsettled = sum(asks[state] for state in UNSETTLED)
        story = list_story_events(demo)
    return {"found": status, "asks": asks, "moving": unsettled, "story": story, "acts": ACTS}


def _read_view_options() -> dict[str, bool]:
    """Return whether dark mode is on, and whether images are shown."""
    return {"dark": request.args.get("dark") == "yes", "images": request.args.get("images") != "no"}


def _scan(demo: Demo, *, presses: bool) -> None:
    """Let a link scanner visit all mails, and add the result to the story."""
    before = _count_answers(demo)
    result = scan(demo.inbox.mails, presses=presses)
    yes, no = (now - then for now, then in zip(_count_answers(demo), before, strict=True))
    demo.note("scanned", **asdict(result), yes=yes, no=no)


def _count_answers(demo: Demo) -> tuple[int, int]:
    """Return the numbers of confirmed and removed contacts."""
    with demo.database.connection_context():
        contacts = demo.read_status().contacts
    return contacts[Status.CONFIRMED], contacts[Status.REMOVED]


_LINK = re.compile(r"(https?://\S+)")


def _link_urls(text: str) -> Markup:
    """Return a text as HTML with its URLs as links; a masked address is not linked."""
    link = Markup('<a href="{0}" target="_blank" rel="noopener">{0}</a>')
    pieces = enumerate(_LINK.split(text))
    return Markup("").join(link.format(piece) if odd % 2 else piece for odd, piece in pieces)


_SHOWN_HEADERS = (
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


def _find_mail(demo: Demo, number: int) -> ReceivedMail:
    mails = demo.inbox.mails
    if not 1 <= number <= len(mails):
        abort(404)
    return mails[number - 1]


def _render_page(template: str, demo: Demo, **fields: Any) -> Response:
    language, zone = get_browser_language(), demo.settings.zone
    return _make_response(
        _make_environment(language)
        .get_template(template)
        .render(
            language=language,
            now=demo.clock.now(),
            zone=zone,
            moment=partial(dates.format_local_datetime, language=language, zone=zone),
            day=partial(dates.format_compact_datetime, language=language, zone=zone),
            style=embed_style("demo.css")["style"],
            **fields,
        )
    )


def _make_response(html: str) -> Response:
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


@cache
def _make_environment(language: str) -> Environment:
    environment = template_engine.make_environment("demo", language)
    # Then the admin's templates, which have texts for statuses and reasons.
    folders = [find_asset("templates") / name for name in ("demo", "admin")]
    environment.loader = FileSystemLoader(folders)
    return environment


# --- Previews of a mail in the main mail programs: width, dark mode, without images. --------------

# An approximation by rewriting the mail; what each program supports is from caniemail.com (features
# `@media (prefers-color-scheme)`, `<style>`, `max-width`, `border-radius`).


class DarkMode(StrEnum):
    """The way in which a mail program shows mails in dark mode."""

    ITS_OWN = N_("its own dark colours")
    INVERTED = N_("its colours turned round by the program")
    UNCHANGED = N_("as by day: this program leaves mails alone")


@dataclass(frozen=True)
class MailClient:
    """A mail program: `width` of its column in pixels; `is_word` if Word renders the mail."""

    key: str
    name: str
    width: int
    dark: DarkMode
    is_word: bool = False


CLIENTS = (
    MailClient("apple-phone", N_("Apple Mail, phone"), 375, DarkMode.ITS_OWN),
    MailClient("gmail-phone", N_("Gmail, phone"), 360, DarkMode.INVERTED),
    MailClient("apple", N_("Apple Mail, desk"), 720, DarkMode.ITS_OWN),
    MailClient("gmail", N_("Gmail, browser"), 680, DarkMode.UNCHANGED),
    MailClient("outlook", N_("Outlook, Windows"), 640, DarkMode.INVERTED, is_word=True),
)


def find_client(key: str) -> MailClient:
    """Return the mail program with this key; the first one for an unknown key."""
    return next((client for client in CLIENTS if client.key == key), CLIENTS[0])


def show_in_client(html: str, client: MailClient, *, dark: bool, images: bool) -> str:
    """Return the HTML of a mail rewritten to look as in a mail program."""
    if client.is_word:
        html = _reduce_to_word(html)
    is_own = dark and client.dark is DarkMode.ITS_OWN
    html = _DARK_MEDIA_QUERY.sub("@media all" if is_own else "@media not all", html)
    html = _SCHEME.sub(rf"\1{'dark' if is_own else 'light'}", html)
    if not images:
        html = _IMAGE.sub(_replace_image, html)
    if dark and client.dark is DarkMode.INVERTED:
        html = html.replace("</head>", f"<style>{_INVERTED_STYLE}</style></head>", 1)
    return html


_DARK_MEDIA_QUERY = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)", re.IGNORECASE)
_SCHEME = re.compile(r"""(color-schemes?(?:\s*:\s*|" content="))light dark""")
_INVERTED_STYLE = "html { filter: invert(1) hue-rotate(180deg); background: #ffffff; }"
_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
_ALT = re.compile(r"""\balt=(["'])(.*?)\1""", re.IGNORECASE | re.DOTALL)


def count_images(html: str) -> int:
    """Return the number of images in the HTML of a mail."""
    return len(_IMAGE.findall(html))


def _replace_image(image: re.Match[str]) -> str:
    """Return the alternative text of an image that is not shown."""
    alt = _ALT.search(image[0])
    return f"<span>{alt[2]}</span>" if alt else ""


def _reduce_to_word(html: str) -> str:
    """Return HTML with Word's conditional parts, and without styles that Word does not know."""
    html = _NOT_FOR_WORD.sub("", html)
    html = _FOR_WORD.sub(r"\1", html)
    html = _MEDIA.sub("", html)
    return _UNKNOWN_TO_WORD.sub("", html)


# <!--[if mso]> … <![endif]--> is a comment to all but Word; <!--[if !mso]><!--> … <!--<![endif]-->
# is one to Word alone.
_NOT_FOR_WORD = re.compile(r"<!--\[if !mso\]><!-->.*?<!--<!\[endif\]-->", re.DOTALL)
_FOR_WORD = re.compile(r"<!--\[if (?:gte )?mso[^\]]*\]>(.*?)<!\[endif\]-->", re.DOTALL)
_MEDIA = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_UNKNOWN_TO_WORD = re.compile(
    r"(?<![\w-])(?:max-width|border-radius|box-shadow|overflow)\s*:[^;\"'}]*;?"
)
