"""Rendering an admin page from a template, in the logged-in user's language."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from babel import Locale
from flask import Response, flash, get_flashed_messages, redirect, request, url_for
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from repermit import documentation, email_address, package_files
from repermit.db.connection import Database
from repermit.db.models.campaigns import find_live_campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.emails import template_engine
from repermit.i18n import catalogues, dates
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from jinja2 import Environment
    from werkzeug.wrappers import Response as AnyResponse


def name_language(language: str) -> str:
    """Return the name of a language in the page's language; its code if it has no name."""
    return str(Locale(get_page_language()).languages.get(language, language))


LANGUAGES = ("en", "nl")
"""The languages of the admin's pages."""

HELP_TOPICS: dict[str, str] = package_files.load_data("help_topics.toml")
"""The help topic of a blueprint's pages, or of one field there."""

# Without foreign scripts and frames a page is harmless, whatever an imported name contains.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def render_page(template: str, *, status: int = 200, **fields: Any) -> Response:
    """Render `templates/admin/<template>`; every value that is not Markup is escaped."""
    language = get_page_language()
    # A part that a script reloads passes its own notes, so that it does not use up flashed ones.
    fields.setdefault("notes", None)
    topic = HELP_TOPICS.get(request.blueprint or "", documentation.INDEX)
    fields.setdefault("help_url", make_help_url(topic))
    if fields["notes"] is None:
        fields["notes"] = get_flashed_messages(with_categories=True)
    html = (
        _make_environment(language)
        .get_template(template)
        .render(
            language=language,
            organisation=get_services().settings.organisation,
            user=current_user,
            csrf_token=generate_csrf,
            url_for=make_url,
            path=request.path,
            is_saved=request.method != "POST",
            find_field_help=find_field_help,
            make_help_url=make_help_url,
            now=get_arrival(),
            **fields,
        )
    )
    return _make_response(html, status)


def render_server_error(status: int, *, is_unavailable: bool) -> Response:
    """Render the error page without using the database or the logged-in user."""
    language = get_browser_language()
    template = _make_environment(language).get_template("server_error.html")
    html = template.render(language=language, url_for=make_url, is_unavailable=is_unavailable)
    return _make_response(html, status)


def _make_response(html: str, status: int) -> Response:
    response = Response(html, status=status, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def flash_message(text: str, *, kind: str = "done") -> None:
    """Show a sentence on the next page; `kind` is "done", "warning" or "problem"."""
    flash(text, kind)


def redirect_to(endpoint: str, **values: Any) -> AnyResponse:
    """Redirect to an endpoint after a POST (303); never to a URL that the request names."""
    return redirect(make_url(endpoint, **values), 303)


def redirect_home() -> AnyResponse:
    """Redirect to the start page."""
    return redirect_to("dashboard.show")


def redirect_to_page(path: str) -> AnyResponse:
    """Redirect to the admin page with this path; to the start page if it is none."""
    # Browsers read a backslash as a slash, and drop invisible characters.
    is_ours = path.startswith("/admin/") and path.isascii() and path.isprintable()
    if not is_ours or "\\" in path or path.startswith("/admin/lock"):
        return redirect_home()
    return redirect(get_public_path() + path, 303)


def make_url(endpoint: str, **values: Any) -> str:
    """Return the path of a page, below that of `public_url`, without a host.

    It ignores the Host header, and works before the host's name is set up.
    """
    return get_public_path() + url_for(endpoint, **values)


def make_help_url(topic: str) -> str:
    """Return the URL of a help page, or of a heading on it."""
    name, _, heading = topic.partition("#")
    if name == documentation.INDEX:
        return make_url("help.show_index")
    return make_url("help.show_page", page_name=name, _anchor=heading or None)


def find_field_help(name: str) -> str:
    """Return the URL of the help on a field of this page.

    "" if there is none, or if the visitor may not read the help yet.
    """
    page = request.blueprint or ""
    topic = HELP_TOPICS.get(f"{page}.{name}", HELP_TOPICS.get(page))
    may_read = current_user.is_authenticated and current_user.is_full and not current_user.is_locked
    return make_help_url(topic) if topic and may_read else ""


def get_public_path() -> str:
    """Return the path of `public_url`, "" if it has none."""
    return urlsplit(get_services().settings.public_url).path


def get_page_language() -> str:
    """Return the language of the page: the user's choice, by default the browser's."""
    chosen: str = getattr(current_user, "language", "")
    return chosen if chosen in LANGUAGES else get_browser_language()


def get_browser_language() -> str:
    """Return the browser's preferred language among those of the admin pages."""
    # Not `best_match`, which chooses English for "nl-NL, en;q=0.5".
    languages = (
        catalogues.choose_language(language, default="") for language, _ in request.accept_languages
    )
    return next((language for language in languages if language in LANGUAGES), LANGUAGES[0])


def gettext(text: str, **values: object) -> str:
    """Translate a text into the page's language, and fill in its %(names)s."""
    translated = catalogues.load_translations(get_page_language()).gettext(text)
    return translated % values if values else translated


def ngettext(singular: str, plural: str, count: int, **values: object) -> str:
    """Translate a text that depends on a count; %(count)s and other names are filled in."""
    translation = catalogues.load_translations(get_page_language()).ngettext(
        singular, plural, count
    )
    return translation % {"count": format_number(count), **values}


def format_time(timestamp: datetime | None) -> str:
    """Format a timestamp in words, in the organisation's time zone; "" for None."""
    return _format_local(dates.format_local_datetime, timestamp)


def format_day(timestamp: datetime | None) -> str:
    """Format a day in words, in the organisation's time zone; "" for None."""
    return _format_local(dates.format_local_date, timestamp)


def _format_local(form: Callable[..., str], timestamp: datetime | None) -> str:
    if not timestamp:
        return ""
    return form(timestamp, language=get_page_language(), zone=get_services().settings.zone)


def format_number(value: int | Decimal) -> str:
    """Format a number with the language's separators, such as 1,234 or 1.234."""
    text = f"{value:,}"
    return text.replace(",", ".") if get_page_language() == "nl" else text


def format_share(part: int, total: int) -> str:
    """Format a share in percent, such as 25%; 0% and 100% only for none and all."""
    percent = round(100 * part / total)
    if 0 < part < total:
        percent = min(max(percent, 1), 99)
    return f"{percent}%"


def get_code_label(kind: str, code: str) -> str:
    """Return the label of a code; `kind` is "basis" or "reason"."""
    labels = _make_environment(get_page_language()).get_template("contact_pages/labels.html").module
    return Markup(getattr(labels, f"{kind}_in_words")(code)).unescape()  # noqa: S704  our own words


def get_csv_delimiter() -> str:
    """Return the delimiter of a CSV for a spreadsheet; a Dutch Excel reads only semicolons."""
    return ";" if get_page_language() == "nl" else ","


@cache
def _make_environment(language: str) -> Environment:
    environment = template_engine.make_environment("admin", language)
    environment.filters.update(
        moment=format_time,
        day=format_day,
        number=format_number,
        share=format_share,
        readable=email_address.to_unicode_address,
        translated=gettext,
    )
    return environment


# --- The five steps to a campaign. ----------------------------------------------------------------


_FILE, _LAUNCH = 2, 5


def make_step_fields(mailing_list: MailingList) -> dict[str, Any]:
    """Return the template's fields for one of the five steps.

    `reached` is the last step that can be opened: all steps once the list has contacts.
    """
    has_contacts = Contact.select().where(Contact.list == mailing_list).exists()
    return {
        "mailing_list": mailing_list,
        "reached": _LAUNCH if has_contacts else _FILE,
        "under_way": find_live_campaign(mailing_list),
    }


# --- Sending a file while it is being written. ----------------------------------------------------


_CHUNK_SIZE = 64 * 1024


def stream_output(write: Callable[[BinaryIO], object], *, database: Database) -> Generator[bytes]:
    """Yield what `write` writes; it runs in a thread with its own database connection.

    If `write` fails, the download fails too, so that the browser does not take it for complete. If
    the reader stops, `write` gets a BrokenPipeError, and this waits until it has recorded how far
    it got.
    """
    reading, writing = os.pipe()
    failures: list[Exception] = []

    def run() -> None:
        try:
            with os.fdopen(writing, "wb") as out, database.connection_context():
                write(out)
        except BrokenPipeError:
            pass
        except Exception as error:  # noqa: BLE001  it is raised again where it is read
            failures.append(error)

    thread = threading.Thread(target=run, name="export", daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb", buffering=0) as source:
            while piece := source.read(_CHUNK_SIZE):
                yield piece
    finally:
        thread.join()
    if failures:
        raise failures[0]
