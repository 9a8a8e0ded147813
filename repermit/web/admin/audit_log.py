"""The audit log: acts from the evidence, accesses to personal data, and security events.

A contact appears only under its random subject in the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from repermit.accounts import audit_log, users
from repermit.accounts.audit_log import AuditPage
from repermit.db.models.lists import MailingList
from repermit.evidence.entries import login_name
from repermit.package_files import load_data
from repermit.settings.definitions import PAGES, SETTINGS
from repermit.web.admin.rendering import format_time, gettext, name_language, render_page

pages = Blueprint("audit_log", __name__, url_prefix="/admin/log")

_FILTERS = ("what", "actor", "slug")
_DIGITS = 18  # any number of so many digits fits into a column of either database


@pages.get("/")
def show() -> Response:
    """Show the acts, newest first."""
    return _show_page("show", audit_log.list_acts, ACTS, describe_act)


@pages.get("/looks")
def show_looks() -> Response:
    """Show the accesses to personal data, newest first."""
    return _show_page("show_looks", audit_log.list_accesses, ACCESSES, describe_access)


@pages.get("/security")
def show_security() -> Response:
    """Show the security events, newest first."""
    requested = {name: request.args.get(name, "") for name in ("what", "actor")}
    before = parse_number(request.args.get("before", ""))
    log_page = audit_log.list_security_events(
        before=before, what=requested["what"], actor=requested["actor"]
    )
    emails = list_emails()
    event_titles = ((kind, describe_security_event(kind)) for kind in SECURITY_EVENTS)
    return render_page(
        "audit_log/security.html",
        rows=[
            {
                **event.said,
                "at": event.at,
                "who": describe_actor(event.actor, emails) if event.actor else "",
                "what": describe_security_event(event.what),
            }
            for event in log_page.records
        ],
        wanted=requested,
        filters={name: value for name, value in requested.items() if value},
        is_further_back=before > 0,
        before=log_page.before,
        whats=sorted(event_titles, key=lambda pair: pair[1].lower()),
        actors=[*emails.items(), ("api:", gettext(KINDS["api:"]))],
    )


def _show_page(
    page: str,
    find_rows: Callable[..., AuditPage],
    kinds: Mapping[str, str],
    describe: Callable[..., str],
) -> Response:
    requested = {name: request.args.get(name, "") for name in _FILTERS}
    before = parse_number(request.args.get("before", ""))
    log_page = find_rows(before=before, **requested)
    emails = list_emails()
    return render_page(
        "audit_log/show.html",
        here=f"audit_log.{page}",
        rows=[_make_row(entry, emails, describe) for entry in log_page.records],
        wanted=requested,
        filters={name: value for name, value in requested.items() if value},
        is_further_back=before > 0,
        before=log_page.before,
        whats=sorted(((kind, describe(kind)) for kind in kinds), key=lambda pair: pair[1].lower()),
        actors=[*emails.items(), *((kind, gettext(text)) for kind, text in KINDS.items())],
        slugs=[
            (entry.slug, entry.name) for entry in MailingList.select().order_by(MailingList.name)
        ],
        language_name=name_language,
        **DETAIL_FORMATTERS,
    )


def _make_row(
    entry: Any, emails: Mapping[str, str], describe: Callable[..., str]
) -> dict[str, Any]:
    # A contact's random subject is cut to its beginning, enough to recognise it in another row.
    about = emails.get(entry.subject) or entry.subject[:8]
    who = describe_actor(entry.actor, emails)
    what = describe(entry.what, entry.actor)
    columns = {"at": entry.at, "who": who, "what": what, "list": entry.list, "about": about}
    return {**columns, "event": entry.what, "said": entry.said}


def parse_number(typed: str) -> int:
    """Parse the number of a page in the URL; 0 if it is invalid."""
    is_number = typed.isascii() and typed.isdigit() and len(typed) <= _DIGITS
    return int(typed) if is_number else 0


# --- Texts for the details of an act. -------------------------------------------------------------


_TEXTS = load_data("audit_log.toml")
_FIELDS: Mapping[str, str] = _TEXTS["fields"]
_SCOPES: Mapping[str, str] = _TEXTS["scopes"]


def describe_fields(names: Iterable[str]) -> str:
    """Return the titles of changed fields of a list, of conditions, of a person or a report."""
    # A processor has several fields, such as "hosting.country"; it is named once.
    field_names = {name if name in _FIELDS else name.partition(".")[0] for name in names}
    titles = [gettext(text) for name, text in _FIELDS.items() if name in field_names]
    return ", ".join([*titles, *sorted(field_names - _FIELDS.keys())])


def describe_settings(keys: Iterable[str]) -> str:
    """Return the titles of settings, each after the title of its page."""
    return ", ".join(map(_describe_setting, keys))


def _describe_setting(key: str) -> str:
    setting = SETTINGS.get(key)
    if not setting or not setting.section:
        return key
    return f"{gettext(PAGES[setting.section.page])}: {gettext(setting.label)}"


def describe_scope(scope: str) -> str:
    """Describe the scope of a token."""
    return gettext(_SCOPES[scope]) if scope in _SCOPES else scope


def format_kept_time(text: str) -> str:
    """Format a timestamp of the evidence, "" for none."""
    return format_time(datetime.fromisoformat(text)) if text else ""


DETAIL_FORMATTERS: Mapping[str, Any] = {
    "fields_in_words": describe_fields,
    "settings_in_words": describe_settings,
    "scope_in_words": describe_scope,
    "moment_kept": format_kept_time,
}
"""The functions by which the page formats details."""


# --- Texts for acts, accesses, security events and actors. ----------------------------------------


ACTS: Mapping[str, str] = _TEXTS["acts"]
"""The text of every event of the record, as something that its actor did."""

CONTACT_ACTS: Mapping[str, str] = _TEXTS["contact_acts"]
"""Events with another text if the contact is the actor."""

ACCESSES: Mapping[str, str] = _TEXTS["accesses"]
"""The text of every recorded access."""

SECURITY_EVENTS: Mapping[str, str] = _TEXTS["security_events"]
"""The text of every recorded security event."""

KINDS: Mapping[str, str] = _TEXTS["actors"]
"""The actors in the filter that are no users; one that ends in ":" means all of its kind."""


def describe_act(what: str, actor: str = "") -> str:
    """Describe an act, for its actor if one is given; an unknown act keeps its stored name."""
    titles = {**ACTS, **CONTACT_ACTS} if actor == "person" else ACTS
    return gettext(titles[what]) if what in titles else what.replace("_", " ")


def describe_access(what: str, _actor: str = "") -> str:
    """Describe an access; an unknown one keeps its stored name."""
    return gettext(ACCESSES[what]) if what in ACCESSES else what.replace("_", " ")


def describe_security_event(what: str) -> str:
    """Describe a security event."""
    return gettext(SECURITY_EVENTS[what])


def list_emails() -> dict[str, str]:
    """Return the users' addresses by their actor name in the evidence."""
    return {user.actor: user.email for user in users.list_users() if user.email}


def make_actor_formatter() -> Callable[[str], str]:
    """Return a function that describes actors, which reads the users once."""
    return partial(describe_actor, emails=list_emails())


def describe_actor(actor: str, emails: Mapping[str, str]) -> str:
    """Describe an actor; an existing user by their address."""
    kind, _, name = actor.partition(":")
    if actor in emails:
        return emails[actor]
    return {
        "person": gettext("The person"),
        "reader": gettext("Who reads the mail to this address"),
        "job": gettext("By itself"),
        "user": gettext("User %(number)s, who was removed", number=name),
        "cli": gettext("%(name)s, on the command line", name=login_name(actor)),
        "api": gettext("The program %(name)s", name=name),
    }.get(kind, actor)
