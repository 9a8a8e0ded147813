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
from repermit.accounts.audit_log import AuditPage, SecurityEventKind
from repermit.db.models.lists import MailingList
from repermit.evidence.entries import login_name
from repermit.i18n.lazy_text import N_
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
    "dpia": N_("impact assessment"),
    "measures": N_("security measures"),
}
_SCOPES: Mapping[str, str] = {
    "read:status": N_("how lists and campaigns stand, in counts"),
    "read:contacts": N_("how one person stands, by their address"),
    "read:answers": N_("answers and removals, with addresses"),
}


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


ACTS: Mapping[str, str] = {
    "list_added": N_("added the list"),
    "list_changed": N_("changed the list"),
    "list_deleted": N_("deleted the list"),
    "handed_in": N_("handed a file in, to be looked at"),
    "given_up": N_("deleted a file that was handed in"),
    "imported": N_("took a file in"),
    "import_undone": N_("took a file back"),
    "conditions_changed": N_("changed the conditions of the next campaign"),
    "launched": N_("launched the campaign"),
    "paused": N_("paused the campaign"),
    "resumed": N_("let the campaign go on"),
    "extended": N_("moved the deadline"),
    "reminder_added": N_("added a reminder"),
    "cancelled": N_("cancelled the campaign"),
    "expired_despite_downtime": N_("let people be removed although the pages had been down"),
    "test_mail_sent": N_("sent a test mail"),
    "closed": N_("closed the campaign"),
    "resolved": N_("decided on mails in doubt"),
    "confirmed": N_("confirmed somebody"),
    "customer": N_("put somebody down as a customer"),
    "added": N_("added somebody by hand"),
    "removed": N_("took somebody off"),
    "suppressed": N_("kept the fingerprint of an address that is not to be asked"),
    "sign_up_undone": N_("pressed Yes and No of a sign-up: who it is stands as before"),
    "not_the_person": N_("said not to be the person meant"),
    "corrected": N_("corrected what is held about somebody"),
    "suppressions_imported": N_("took in who is not to be asked"),
    "suppressions_put_back": N_("kept off again whom only the journal still knew"),
    "erased": N_("erased what was held about somebody"),
    "proved": N_("made a proof about somebody"),
    "reply_set_aside": N_("set a reply aside"),
    "reply_reopened": N_("took up again a reply that was set aside"),
    "still_mailed": N_("unsubscribed, though nothing was held here any more"),
    "exported": N_("made a file"),
    "archived": N_("made an archive"),
    "handed_over": N_("ticked a step of handing over"),
    "not_handed_over": N_("took the tick from a step of handing over"),
    "paper_made": N_("made a paper"),
    "register_changed": N_("filled in the record of processing"),
    "logged_in": N_("logged in"),
    "logged_out": N_("logged out"),
    "password_chosen": N_("chose a password"),
    "password_changed": N_("changed the password"),
    "second_step_set_up": N_("set up the second step"),
    "recovery_codes_renewed": N_("made new recovery codes"),
    "session_ended": N_("ended one of their own sessions"),
    "sessions_ended": N_("logged somebody out everywhere"),
    "user_added": N_("added a user"),
    "user_invited": N_("made a one-time link"),
    "user_role_changed": N_("changed what a user may do"),
    "user_removed": N_("removed a user"),
    "backed_up": N_("backed the database up"),
    "restored": N_("restored the database"),
    "evidence_key": N_("changed the key that signs checkpoints"),
    "timestamp_authority": N_("got the first timestamp of an authority"),
    "settings_changed": N_("changed the settings"),
    "text_corrected": N_("corrected what mails and pages say"),
    "token_made": N_("made a token"),
    "token_revoked": N_("revoked a token"),
    "webhook_added": N_("added a webhook"),
    "webhook_removed": N_("removed a webhook"),
    "webhook_tested": N_("tested a webhook"),
    "webhook_redelivered": N_("had a webhook told again"),
}
"""The text of every event of the record, as something that its actor did."""

CONTACT_ACTS: Mapping[str, str] = {
    "confirmed": N_("answered Yes"),
    "removed": N_("left the list"),
    "corrected": N_("corrected what is held about them"),
    "erased": N_("had erased what was held about them"),
}
"""Events with another text if the contact is the actor."""

ACCESSES: Mapping[str, str] = {
    "contacts": N_("looked at the contacts"),
    "searched": N_("searched the contacts"),
    "contact": N_("looked at one contact"),
    "replies": N_("looked at the replies"),
    "doubts": N_("looked at the mails in doubt"),
    "silent": N_("looked at who has not answered"),
    "previewed": N_("looked at the mail as people of the list read it"),
    "looked": N_("looked at the rows of a file"),
    "exported": N_("downloaded the rows of a file"),
    "exported_keep": N_("downloaded who may be mailed"),
    "exported_removed": N_("downloaded who was removed"),
    "exported_unasked": N_("downloaded who could not be asked"),
    "exported_evidence": N_("downloaded the evidence"),
    "archived": N_("took an archive along, with a proof of everybody in it"),
    "compared": N_("compared with another tool"),
    "by_hand": N_("looked at who is to be entered by hand in another tool"),
    "proved": N_("had a proof about somebody made"),
    "answers": N_("fetched answers and removals"),
}
"""The text of every recorded access."""

SECURITY_EVENTS: Mapping[str, str] = {
    SecurityEventKind.LOGIN_FAILED: N_("gave a wrong password, or an address that nobody has here"),
    SecurityEventKind.CODE_FAILED: N_("gave a wrong code after the right password"),
    SecurityEventKind.UNLOCK_FAILED: N_("gave a wrong password at a locked screen"),
    SecurityEventKind.UNLOCKED: N_("unlocked the screen"),
    SecurityEventKind.PASSWORD_FAILED: N_("gave a wrong password where it is asked for again"),
    SecurityEventKind.INVITATION_REFUSED: N_("opened a one-time link that does not work any more"),
    SecurityEventKind.TOO_MANY_TRIES: N_("had to wait after too many tries"),
    SecurityEventKind.PAGE_REFUSED: N_("asked for a page that is for admins"),
    SecurityEventKind.FORM_REFUSED: N_("sent a form that was too old, or not ours"),
    SecurityEventKind.TOKEN_REFUSED: N_("showed a token that does not hold, or not for this"),
}
"""The text of every recorded security event."""

KINDS: Mapping[str, str] = {
    "person": N_("People themselves"),
    "reader": N_("Readers who are not the person meant"),
    "job": N_("By itself"),
    "cli:": N_("On the command line"),
    "api:": N_("Programs"),
}
"""The actors in the filter that are no users; one that ends in ":" means all of its kind."""


def describe_act(what: str, actor: str = "") -> str:
    """Describe an act, for its actor if one is given; an unknown act keeps its stored name."""
    titles = {**ACTS, **CONTACT_ACTS} if actor == "person" else ACTS
    return gettext(titles[what]) if what in titles else what.replace("_", " ")


def describe_access(what: str, _actor: str = "") -> str:
    """Describe an access; an unknown one keeps its stored name."""
    return gettext(ACCESSES[what]) if what in ACCESSES else what.replace("_", " ")


def describe_security_event(what: str, _actor: str = "") -> str:
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
