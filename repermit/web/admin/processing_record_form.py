"""The form for the organisation's notes for its record of processing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from repermit.db.models.lists import find_list
from repermit.reports import register_notes
from repermit.reports.data_recipients import EEA, list_recipients
from repermit.reports.register_notes import FIELDS, OWN, TEXTS
from repermit.reports.report_formatting import ReportWording
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.rendering import (
    flash_message,
    get_page_language,
    gettext,
    redirect_to,
    render_page,
)
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint(
    "processing_record_form", __name__, url_prefix="/admin/lists/<slug>/papers/answers"
)

_NEW = "new"
_NO_LETTERS = re.compile(r"[^a-z0-9]+")


@pages.get("/")
def show(slug: str) -> Response:
    """Show the form with the stored notes."""
    mailing_list = find_list(slug)
    wording = ReportWording(get_page_language(), get_services().settings.zone)
    countries = [(code, wording.country(code)) for code in register_notes.list_countries()]
    countries.sort(key=lambda country: country[1].casefold())
    return render_page(
        "processing_record_form/show.html",
        mailing_list=mailing_list,
        texts=register_notes.read_notes(mailing_list).texts,
        recipients=[
            (recipient, wording.role_name(recipient.role))
            for recipient in list_recipients(mailing_list.slug, get_services().settings)
        ],
        near=[country for country in countries if country[0] in EEA],
        far=[country for country in countries if country[0] not in EEA],
        new=_NEW,
    )


@pages.post("/")
def save_notes(slug: str) -> AnyResponse:
    """Save the notes; a field that was not sent is not changed."""
    mailing_list, services = find_list(slug), get_services()
    keys = [recipient.key for recipient in list_recipients(mailing_list.slug, services.settings)]
    names = [*TEXTS, *(f"{key}.{name}" for key in keys for name in FIELDS)]
    changes = {name: request.form[name] for name in names if name in request.form}
    changes |= {f"{key}.agreement": OWN for key in request.form.getlist("own") if key in keys}
    changes |= _read_added(keys)
    register_notes.set_notes(
        services.database, mailing_list, changes, now=get_arrival(), actor=get_actor()
    )
    flash_message(gettext("Saved."))
    return redirect_to("reports.show_register", slug=slug)


def _read_added(keys: Iterable[str]) -> dict[str, str]:
    """Return the fields of an added recipient, under a new key made from the name."""
    typed = {name: request.form.get(f"{_NEW}.{name}", "").strip() for name in FIELDS}
    if not typed["name"]:
        return {}
    base = _NO_LETTERS.sub("-", typed["name"].lower()).strip("-")[:40] or "other"
    used = set(keys)
    candidates = (f"{base}-{number}" if number > 1 else base for number in range(1, len(used) + 2))
    key = next(key for key in candidates if key not in used)
    return {f"{key}.{name}": value for name, value in typed.items()}
