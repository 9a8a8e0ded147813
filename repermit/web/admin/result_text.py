"""Texts for the results of use cases, in the page's language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flask import Response, request
from flask.globals import request_ctx

from repermit.errors import Refused
from repermit.i18n.lazy_text import N_, Language, LazyJoin, LazyText, Value
from repermit.web.admin.rendering import (
    format_number,
    format_time,
    gettext,
    name_language,
    render_page,
    render_server_error,
)


def translate_said(text: str) -> str:
    """Translate a text into the page's language, for use within a sentence."""
    # The catalogue's translation of "" is its header.
    if not text:
        return ""
    if not isinstance(text, LazyText):
        return gettext(text)
    return text.render(gettext, format_value)


def make_sentence(text: str) -> str:
    """Translate a text into the page's language, as a sentence of its own."""
    sentence = translate_said(text)
    is_ended = sentence.endswith((".", "!", "?", ":", "…", "/"))
    return f"{sentence[:1].upper()}{sentence[1:]}" + ("" if is_ended or not sentence else ".")


def format_value(value: Value) -> str:
    """Return a value as text for a sentence of the page."""
    if isinstance(value, LazyJoin):
        return value.by.join(map(format_value, value.parts))
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, int):
        return format_number(value)
    if isinstance(value, Language):
        return name_language(value)
    return translate_said(value) if isinstance(value, LazyText) else value


# --- Error pages of the admin. --------------------------------------------------------------------


_CONFLICT = 409
_FAILED = 500
_UNAVAILABLE = 503


def is_admin_request() -> bool:
    """Return whether the request is for an admin page, existing or not.

    With an invalid Host header it is for no page, and Flask cannot make the URLs of any.
    """
    return request.path.startswith("/admin/") and request_ctx.url_adapter is not None


def show_error_page(code: int) -> Response:
    """Return the page for an HTTP error code."""
    texts = {
        400: (
            gettext("This form is too old"),
            gettext(
                "It was opened before you logged in, or in another browser. Nothing was changed: "
                "go back, load the page again, and send it once more."
            ),
        ),
        403: (
            gettext("This page is for admins"),
            gettext("You see the counts of every list. An admin can make you an admin too."),
        ),
        404: (
            gettext("This page does not exist"),
            gettext("It may have been removed meanwhile, or its address is not complete."),
        ),
        413: (
            gettext("That was too much"),
            gettext(
                "Nothing was changed. A file with a list may have 100 MB, one with a proof or with "
                "who is not to be asked 5 MB, and a form much less."
            ),
        ),
    }
    default = gettext("This cannot be done here"), gettext("Nothing was changed.")
    heading, text = texts.get(code, default)
    return render_page("refused.html", heading=heading, text=text, status=code)


def show_unavailable(*, is_recorded: bool) -> Response:
    """Return the page for a database that is busy or unavailable.

    - `is_recorded`: whether something may have been recorded.
    """
    return render_server_error(_UNAVAILABLE, is_unavailable=not is_recorded)


def show_failure() -> Response:
    """Return the page for an internal error; made without the database, which may have failed."""
    return render_server_error(_FAILED, is_unavailable=False)


def show_refused_page(error: Refused) -> Response:
    """Return the page for a refusal that the view did not handle itself."""
    if not is_admin_request():
        raise error
    heading = gettext("This cannot be done now")
    return render_page(
        "refused.html", heading=heading, text=make_sentence(error.said), status=_CONFLICT
    )


ASKING_GROUNDS: Mapping[str, str] = {
    "legitimate_interest": N_("Our legitimate interest (GDPR art. 6(1)(f))"),
    "public_task": N_("A task in the public interest (GDPR art. 6(1)(e))"),
    "earlier_consent": N_("The consent that they gave before (GDPR art. 6(1)(a))"),
}
"""The names of the asking grounds, for the choice in a form."""

SPECIAL_GROUNDS: Mapping[str, str] = {
    "explicit_consent": N_("The explicit consent that they gave before (GDPR art. 9(2)(a))"),
    "members": N_(
        "They are or were members of our organisation, whose field is politics, philosophy, "
        "religion or trade unions, or regularly in touch with it (GDPR art. 9(2)(d))"
    ),
}
"""The names of the special grounds."""
