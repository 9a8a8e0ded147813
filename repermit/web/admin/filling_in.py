"""What only the organisation knows for its record of processing, filled in.

May import reports and what the admin's pages share.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from repermit.models import find_list
from repermit.reports import papers
from repermit.reports.papers import EEA, FIELDS, OWN, TEXTS
from repermit.web.admin.showing import gettext, go, page_language, say
from repermit.web.admin.showing import show as show_page
from repermit.web.admin.visiting import actor
from repermit.web.site import arrival, current_site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.wrappers import Response as AnyResponse

    from repermit.models import MailingList
    from repermit.reports.papers import Recipient

pages = Blueprint("filling_in", __name__, url_prefix="/admin/lists/<slug>/papers/answers")

_NEW = "new"
_NO_LETTERS = re.compile(r"[^a-z0-9]+")


@pages.get("/")
def show(slug: str) -> Response:
    """Show what only the organisation knows, as it was filled in."""
    mailing_list = find_list(slug)
    words = papers.Words(page_language(), current_site().settings.zone)
    roles = papers.roles(words)
    codes = sorted(papers.countries(), key=lambda code: words.country(code).casefold())
    return show_page(
        "filling_in/show.html",
        mailing_list=mailing_list,
        texts=papers.read_notes(mailing_list).texts,
        recipients=[(one, roles[one.role]) for one in _recipients(mailing_list)],
        near=[(code, words.country(code)) for code in codes if code in EEA],
        far=[(code, words.country(code)) for code in codes if code not in EEA],
        new=_NEW,
    )


def _recipients(mailing_list: MailingList) -> tuple[Recipient, ...]:
    return papers.recipients(
        mailing_list,
        settings=current_site().settings,
        notes=papers.read_notes(mailing_list),
    )


@pages.post("/")
def keep(slug: str) -> AnyResponse:
    """Keep what was filled in; a field that was not sent stays as it is."""
    mailing_list, site = find_list(slug), current_site()
    keys = [one.key for one in _recipients(mailing_list)]
    names = [*TEXTS, *_names(keys)]
    given = {name: request.form[name] for name in names if name in request.form}
    given |= {f"{key}.agreement": OWN for key in request.form.getlist("own") if key in keys}
    given |= _added(keys)
    papers.set_notes(site.database, mailing_list, given, now=arrival(), actor=actor())
    say(gettext("Saved."))
    return go("papering.show_register", slug=slug)


def _names(keys: Iterable[str]) -> Iterable[str]:
    return (f"{key}.{name}" for key in keys for name in FIELDS)


def _added(keys: Iterable[str]) -> dict[str, str]:
    """Return what was typed of one more recipient, under a key made of their name."""
    typed = {name: request.form.get(f"{_NEW}.{name}", "").strip() for name in FIELDS}
    if not typed["name"]:
        return {}
    begun = _NO_LETTERS.sub("-", typed["name"].lower()).strip("-")[:40] or "other"
    taken = set(keys)
    free = (f"{begun}-{number}" if number > 1 else begun for number in range(1, len(taken) + 2))
    key = next(key for key in free if key not in taken)
    return {f"{key}.{name}": value for name, value in typed.items()}
