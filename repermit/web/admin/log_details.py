"""What the details of an act are called: fields, settings, scopes, moments.

May import what the admin's pages share. An entry may be of another version: what it names and is
not known here is told as it is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from repermit.config import choosable_keys
from repermit.web.admin.forms import N_
from repermit.web.admin.setting_words import group_in_words, title_of
from repermit.web.admin.showing import gettext, moment_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FIELDS: Mapping[str, str] = {
    "name": N_("name"),
    "purpose": N_("purpose"),
    "frequency": N_("how often"),
    "privacy_url": N_("privacy statement"),
    "language": N_("language"),
    "sender": N_("sender"),
    "sensitive": N_("whether it is sensitive"),
    "receipts": N_("receipts by mail"),
    "own_subject": N_("subject of the mail"),
    "own_text": N_("text of the mail"),
    "own_html": N_("layout of the mail"),
    "deadline": N_("deadline"),
    "starts": N_("first day of asking"),
    "reminder": N_("reminder"),
    "pilot": N_("pilot"),
    "include_thin": N_("whether those with a thin proof are asked"),
    "attest": N_("whose decision it is"),
    "address": N_("address"),
    "joint-controllers": N_("joint controllers"),
    "representative": N_("representative"),
    "measures": N_("security measures"),
}
_SCOPES: Mapping[str, str] = {
    "read:status": N_("how lists and campaigns stand, in counts"),
    "read:contacts": N_("how one person stands, by their address"),
    "read:answers": N_("answers and removals, with addresses"),
}


def fields_in_words(names: Iterable[str]) -> str:
    """Return the names of what was changed of a list, of conditions, of a person or a paper."""
    # Of whoever works for the organisation there are several fields each: it is named once.
    own = {name if name in _FIELDS else name.partition(".")[0] for name in names}
    known = [gettext(text) for name, text in _FIELDS.items() if name in own]
    return ", ".join([*known, *sorted(own - _FIELDS.keys())])


def settings_in_words(keys: Iterable[str]) -> str:
    """Return the names of settings, each with that of its page."""
    return ", ".join(_setting(key) if key in choosable_keys() else key for key in keys)


def _setting(key: str) -> str:
    title = title_of(key)
    group = key.partition(".")[0] if "." in key else "organisation"
    return f"{group_in_words(group)}: {title}"


def scope_in_words(scope: str) -> str:
    """Return what a token may be used for."""
    return gettext(_SCOPES[scope]) if scope in _SCOPES else scope


def moment_kept(text: str) -> str:
    """Return a moment as evidence keeps it in words, "" for none."""
    return moment_in_words(datetime.fromisoformat(text)) if text else ""


IN_DETAIL: Mapping[str, Any] = {
    "fields_in_words": fields_in_words,
    "settings_in_words": settings_in_words,
    "scope_in_words": scope_in_words,
    "moment_kept": moment_kept,
}
"""What the page puts details into words by."""
