"""What the admin's pages say when something cannot be shown or done."""

from __future__ import annotations

from flask import Response, request

from repermit.errors import Refused
from repermit.web.admin.rendering import gettext, render_page, show_bare
from repermit.web.admin.result_text import sentence

_CONFLICT = 409
_FAILED = 500
_UNAVAILABLE = 503


def is_for_admins() -> bool:
    """Say whether a page of the admin's was asked for, also one that there is not."""
    return request.path.startswith("/admin/")


def show_refusal(code: int) -> Response:
    """Return the page for a request that cannot be answered, with a way on."""
    words = {
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
    otherwise = gettext("This cannot be done here"), gettext("Nothing was changed.")
    heading, text = words.get(code, otherwise)
    return render_page("refusal.html", heading=heading, text=text, status=code)


def show_unavailable(*, is_recorded: bool) -> Response:
    """Return the page for a database that is busy or away; `is_recorded` if something may be."""
    return show_bare("failure.html", status=_UNAVAILABLE, is_unavailable=not is_recorded)


def show_failure() -> Response:
    """Return the page for a failure of ours; the database may be what failed."""
    return show_bare("failure.html", status=_FAILED, is_unavailable=False)


def show_reason(error: Refused) -> Response:
    """Return the page for what a rule forbids, where the page itself has no better place for it."""
    if not is_for_admins():
        raise error
    heading = gettext("This cannot be done now")
    return render_page("refusal.html", heading=heading, text=sentence(error.said), status=_CONFLICT)
