"""The log: who did what, from the evidence, who looked at personal data, and who was refused.

Nothing personal of a contact stands here: only the random name that the evidence has for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request

from repermit.accounts import audit_log
from repermit.accounts.audit_log import Records
from repermit.db.models.lists import MailingList
from repermit.web.admin.log_text import (
    ACTS,
    IN_DETAIL,
    KINDS,
    LOOKS,
    SECURITY_EVENTS,
    act_in_words,
    actor_in_words,
    emails,
    look_in_words,
    security_event_in_words,
)
from repermit.web.admin.rendering import gettext, render_page
from repermit.web.admin.website_notice import language_name

pages = Blueprint("looking", __name__, url_prefix="/admin/log")

_FILTERS = ("what", "actor", "slug")
_DIGITS = 18  # of the largest number that both databases take, and more than there ever will be


@pages.get("/")
def show() -> Response:
    """Show what was done, the newest first."""
    return _show("show", audit_log.acts, ACTS, act_in_words)


@pages.get("/looks")
def show_looks() -> Response:
    """Show who looked at personal data, the newest first."""
    return _show("show_looks", audit_log.looks, LOOKS, look_in_words)


@pages.get("/security")
def show_security() -> Response:
    """Show what was refused to whoever tried to get in, the newest first."""
    wanted = {name: request.args.get(name, "") for name in ("what", "actor")}
    before = number_typed(request.args.get("before", ""))
    found = audit_log.list_security_events(
        before=before, what=wanted["what"], actor=wanted["actor"]
    )
    known = emails()
    whats = ((kind, security_event_in_words(kind)) for kind in SECURITY_EVENTS)
    return render_page(
        "audit_log/security.html",
        rows=[
            {
                **one.said,
                "at": one.at,
                "who": actor_in_words(one.actor, known) if one.actor else "",
                "what": security_event_in_words(one.what),
            }
            for one in found.records
        ],
        wanted=wanted,
        filters={name: value for name, value in wanted.items() if value},
        is_further_back=before > 0,
        before=found.before,
        whats=sorted(whats, key=lambda pair: pair[1].lower()),
        actors=[*known.items(), ("api:", gettext(KINDS["api:"]))],
    )


def _show(
    page: str,
    find: Callable[..., Records],
    kinds: Mapping[str, str],
    in_words: Callable[..., str],
) -> Response:
    wanted = {name: request.args.get(name, "") for name in _FILTERS}
    before = number_typed(request.args.get("before", ""))
    found = find(before=before, **wanted)
    known = emails()
    return render_page(
        "audit_log/show.html",
        here=f"looking.{page}",
        rows=[_row(one, known, in_words) for one in found.records],
        wanted=wanted,
        filters={name: value for name, value in wanted.items() if value},
        is_further_back=before > 0,
        before=found.before,
        whats=sorted(((kind, in_words(kind)) for kind in kinds), key=lambda pair: pair[1].lower()),
        actors=[*known.items(), *((kind, gettext(text)) for kind, text in KINDS.items())],
        slugs=[(one.slug, one.name) for one in MailingList.select().order_by(MailingList.name)],
        language_name=language_name,
        **IN_DETAIL,
    )


def _row(one: Any, known: Mapping[str, str], in_words: Callable[..., str]) -> dict[str, Any]:
    # Of a contact the beginning of the random name, by which two rows can be seen to be of one.
    about = known.get(one.subject) or one.subject[:8]
    who = actor_in_words(one.actor, known)
    what = in_words(one.what, one.actor)
    shown = {"at": one.at, "who": who, "what": what, "list": one.list, "about": about}
    return {**shown, "event": one.what, "said": one.said}


def number_typed(typed: str) -> int:
    """Return the number that an address names a page by, 0 if it is none."""
    is_one = typed.isascii() and typed.isdigit() and len(typed) <= _DIGITS
    return int(typed) if is_one else 0
