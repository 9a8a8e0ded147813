"""Error pages, in every language at once, since the reader is unknown.

A page quotes nothing of the request; the browser's preferred language comes first.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TypedDict

import peewee
from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException, NotFound, ServiceUnavailable

from repermit import errors
from repermit.db.connection import describe_error, is_busy, is_database_unavailable
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.errors import LinkError
from repermit.i18n import catalogues
from repermit.package_files import LANGUAGES
from repermit.signed_links import KINDS
from repermit.web.admin import result_text
from repermit.web.api.problems import is_api_request, make_http_problem
from repermit.web.rendering import PageContext, list_browser_languages, make_frame_fields, render
from repermit.web.request_context import get_services, is_alive, may_have_committed

_log = logging.getLogger(__name__)

TOO_MUCH = "repermit.too_much"
"""The key of the WSGI environment for a body that was too large to be read."""

_NOT_FOUND = 404
_NOT_ALLOWED = 405
_TOO_LARGE = 413
_FAILED = 500
_UNAVAILABLE = 503
_RETRY_AFTER = 30


def register_error_pages(app: Flask) -> None:
    """Register these pages in place of werkzeug's."""
    app.register_error_handler(HTTPException, show_request_error)
    app.register_error_handler(LinkError, lambda _error: show_not_found())
    # An admin page's URL may name a list or contact that does not exist.
    app.register_error_handler(errors.NotFound, lambda _error: show_not_found())
    app.register_error_handler(Exception, show_unavailable)
    app.register_error_handler(_FAILED, show_failure)


def refuse_large_request() -> None:
    """Abort with 413 if the server has not read the body because it is too large."""
    if request.environ.get(TOO_MUCH):
        abort(_TOO_LARGE)


def show_not_found() -> Response:
    """Return the page for every invalid link, whatever is wrong with it."""
    return show_request_error(NotFound())


def show_request_error(error: HTTPException) -> Response:
    """Return the page for an HTTP error; the API gets a problem as JSON."""
    if is_api_request():
        return make_http_problem(error)
    code = error.code or _FAILED
    if result_text.is_admin_request():
        response = result_text.show_error_page(code)
    else:
        response = _make_page_in_all_languages(code, **find_shared_facts())
    if code == _NOT_ALLOWED:
        # RFC 9110 §15.5.6: a 405 says what is allowed.
        response.headers.extend(
            [(name, value) for name, value in error.get_headers() if name == "Allow"]
        )
    return response


def show_failure(_error: Exception) -> Response:
    """Return the page for an internal error; made without the database, which may have failed."""
    if is_api_request():
        return make_http_problem()
    if result_text.is_admin_request():
        return result_text.show_failure()
    return _make_page_in_all_languages(_FAILED, privacy_url="", language="")


def show_unavailable(error: Exception) -> Response:
    """Return the page for a database that is busy or unavailable, with Retry-After.

    Any other error is raised again, as an internal error.
    """
    # The database refuses a write of any method but POST, which is an internal error too.
    if not (is_busy(error) or is_database_unavailable(error, may_write=request.method == "POST")):
        raise error
    # The text of any other error may quote an address.
    reason = error if isinstance(error, errors.DatabaseBusy) else describe_error(error)
    _log.error("a page failed: %s: %s", request.endpoint, reason)
    response = _make_unavailable_page(is_recorded=may_have_committed())
    # RFC 9110 §10.2.3, in seconds.
    response.headers["Retry-After"] = str(_RETRY_AFTER)
    return response


def _make_unavailable_page(*, is_recorded: bool) -> Response:
    """Return the page that asks to try again.

    - `is_recorded`: whether something may have been recorded.
    """
    if is_api_request():
        return make_http_problem(ServiceUnavailable())
    if result_text.is_admin_request():
        return result_text.show_unavailable(is_recorded=is_recorded)
    response = _make_page_in_all_languages(
        _FAILED if is_recorded else _UNAVAILABLE, **_read_shared_facts()
    )
    response.status_code = _UNAVAILABLE
    return response


def log_failure(kind: type[BaseException] | None, trace: TracebackType | None) -> None:
    """Log the kind and place of a failure, without the error's text, which may quote an address."""
    frames = traceback.extract_tb(trace)
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    _log.error("a page failed: %s (%s) at %s", request.endpoint, kind and kind.__name__, places)


def _make_page_in_all_languages(code: int, *, privacy_url: str, language: str) -> Response:
    """Return a page in every language.

    First comes the language requested by `?lang=`, the browser's, `language`, or the default.
    """
    requested = catalogues.choose_language(request.args.get("lang", ""), default="")
    ordered = _order_languages(first=(requested, *list_browser_languages(), language))
    sections = [
        (language_code, *_get_words(code, catalogues.load_translations(language_code).gettext))
        for language_code in ordered
    ]
    context = PageContext(settings=get_services().settings, language=ordered[0], path="")
    fields = {**make_frame_fields(context), "choices": (), "privacy_url": privacy_url}
    html = render("error.html", language=ordered[0], sections=sections, code=code, **fields)
    response = Response(html, status=code, content_type="text/html; charset=utf-8")
    response.vary.add("Accept-Language")
    return response


def _order_languages(*, first: tuple[str, ...]) -> list[str]:
    """Return all languages in their default order, after the first non-empty one of `first`."""
    first_language = next((language for language in first if language), LANGUAGES[0])
    return sorted(
        catalogues.languages(),
        key=lambda language: (language != first_language, LANGUAGES.index(language)),
    )


def _get_words(code: int, gettext: Callable[[str], str]) -> tuple[str, str]:
    if code == _NOT_FOUND:
        return gettext("This page does not exist"), gettext(
            "The link may have been cut off. Please copy the whole link from the mail, or simply "
            "reply to the mail."
        )
    if code == _NOT_ALLOWED:
        return gettext("This cannot be done here"), gettext(
            "Nothing was changed. Please open the link in the mail again."
        )
    if code == _TOO_LARGE:
        return gettext("That was too much"), gettext(
            "Nothing was changed. Please open the link in the mail again."
        )
    if code == _UNAVAILABLE:
        return gettext("Please try again in a few minutes"), gettext(
            "Nothing was recorded. Please press the button again, or simply reply to the mail."
        )
    if code >= _FAILED:
        return gettext("Something went wrong on our side"), gettext(
            "Your answer may not have been recorded. Please try again later, or simply reply to "
            "the mail."
        )
    return gettext("This request was not understood"), gettext(
        "Nothing was changed. Please open the link in the mail again."
    )


class _SharedFacts(TypedDict):
    privacy_url: str
    language: str


def _read_shared_facts() -> _SharedFacts:
    """Return the facts that all lists share, with the language of the link's contact.

    All are "" if the database cannot be read.
    """
    database = get_services().database
    if not database.is_closed() and is_alive(database):
        try:
            shared = find_shared_facts()
            return {**shared, "language": _read_link_language() or shared["language"]}
        except peewee.PeeweeException as error:
            _log.warning("nothing is known of the reader: %s", type(error).__name__)
    return _SharedFacts(privacy_url="", language="")


def _read_link_language() -> str:
    """Return the language of a link's contact, "" for any other request."""
    kind, token = request.path.split("/")[1], (request.view_args or {}).get("token", "")
    if not token or kind not in KINDS:
        return ""
    try:
        uid = get_services().links.read(kind, token)
    except LinkError:
        return ""
    contact: Contact | None = Contact.get_or_none(Contact.uid == uid)
    return catalogues.choose_language(contact.language if contact else "", default="")


def find_shared_facts() -> _SharedFacts:
    """Return the privacy statement and the language that all lists have in common, or "".

    The URL of a sensitive list's statement is left out: anybody sees this page, and the URL may
    tell what the list is about.
    """
    query = MailingList.select(MailingList.privacy_url, MailingList.sensitive, MailingList.language)
    lists = list(query.distinct())
    urls = {(mailing_list.privacy_url, mailing_list.sensitive) for mailing_list in lists}
    languages = {mailing_list.language for mailing_list in lists}
    url, sensitive = urls.pop() if len(urls) == 1 else ("", False)
    return _SharedFacts(
        privacy_url="" if sensitive else url,
        language=languages.pop() if len(languages) == 1 else "",
    )
