"""Everything that is held about one contact, for the person, also as one JSON document.

Nothing of another contact is read, not even of the same address on another list: whoever may see
that gets a link from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from repermit.contacts import click_log, enqueue_receipt, lookup, requested_mail_limit
from repermit.db.models.accounts import Access
from repermit.db.models.base import format_timestamp
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.contacts import SignUp as SignUpRow
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.mails import FreshLink, Mail, Reply
from repermit.privacy.data_links import (
    Begins,
    Entry,
    Held,
    Letter,
    LinkOpened,
    Openings,
    Recipient,
    SignUp,
    Suppressed,
    Term,
    find_opened,
)
from repermit.privacy.external_copies import handed_on
from repermit.privacy.retention import years_after
from repermit.privacy.scheduled_erasure import due_at
from repermit.rules.bot_detection import LINKS, Past
from repermit.rules.consent import CampaignState, MailState, Status
from repermit.settings.definitions import Organisation, Settings

# --- What is kept of how a person's links were opened, for the person themselves. -----------------


def openings_of(contact: Contact) -> Openings | None:
    """Return how a contact's links were opened and pressed, None if nothing of it is kept."""
    row = click_log.find_opening(contact)
    if row is None:
        return None
    past = click_log.make_past(row)
    return Openings(
        links=tuple(_opened_links(past)),
        together_at=past.openings.together_at,
        yes_at=past.yes_at,
        no_at=past.no_at,
        disowned_at=past.disowned_at,
        asked_again_at=past.doubted_at,
        held_at=row.held_at,
        signs=click_log.read_signs(row),
        began_at=row.began_at,
    )


def _opened_links(past: Past) -> Iterator[LinkOpened]:
    for link in LINKS:
        opened = past.openings.of(link)
        if opened.first_at and opened.last_at:
            yield LinkOpened(
                link=link,
                gets=opened.gets,
                heads=opened.heads,
                first_at=opened.first_at,
                last_at=opened.last_at,
            )


# --- Everything that is held about one contact, gathered for the person themselves. ---------------


_BY = {"person": "person", "reader": "reader", "job": "system"}


def everything_held(*, authority: str, settings: Settings, now: datetime) -> Held | None:
    """Return everything held about whom an authority is about, None once its hour is over."""
    opened = find_opened(authority, now=now)
    if opened is None:
        return None
    contact: Contact = Contact.get_by_id(opened.contact)
    entries, letters = tuple(_entries(contact)), _letters(contact)
    sign_ups, looks = tuple(_sign_ups(contact)), tuple(_looks(contact))
    openings = openings_of(contact)
    return Held(
        mailing_list=opened.mailing_list,
        address=contact.address or "",
        name=contact.name,
        language=contact.language,
        status=Status(contact.status),
        status_at=contact.status_at,
        reason=contact.reason,
        basis=contact.basis,
        basis_at=contact.basis_at,
        source=contact.source,
        since=contact.since,
        letters=letters,
        sign_ups=sign_ups,
        imports=tuple(_imports(contact)),
        replies=tuple(
            (one.at, one.proposed)
            for one in Reply.select().where(Reply.contact == contact).order_by(Reply.at)
        ),
        entries=entries,
        openings=openings,
        suppressions=tuple(_suppressions(contact, settings.fingerprint_key)),
        looks=looks,
        handed_on=handed_on(contact, entries, letters),
        terms=tuple(
            _terms(
                contact,
                settings,
                now,
                traced=[entry.at for entry in entries if entry.trace],
                unconfirmed=[one.at for one in sign_ups if one.confirmed_at is None],
                opened=[openings.began_at] if openings else [],
                looks=[at for at, _ in looks],
                links=_links(contact),
            )
        ),
    )


def _letters(contact: Contact) -> tuple[Letter, ...]:
    links = {link.mail_id: link for link in FreshLink.select().where(FreshLink.contact == contact)}
    mails = Mail.select().where((Mail.contact == contact) | Mail.id.in_(list(links)))
    letters = (_letter(mail, links.get(mail.id), contact) for mail in mails)
    return tuple(sorted(letters, key=lambda one: one.at))


def _letter(mail: Mail, link: FreshLink | None, contact: Contact) -> Letter:
    at = mail.sent_at if mail.state == MailState.SENT else mail.started_at
    return Letter(
        kind=mail.kind,
        purpose=link.purpose
        if link
        else "no_receipt"
        if enqueue_receipt.is_receipt_of_no(mail)
        else "",
        to=link.address if link and link.address != contact.address else "",
        state=mail.state,
        at=at or mail.due_at,
        reply=f"{mail.reply_code} {mail.reply_status}".strip() if mail.reply_code else "",
        bounce=mail.bounce,
        bounce_status=mail.bounce_status,
        bounced_at=mail.bounced_at,
    )


def _sign_ups(contact: Contact) -> Iterator[SignUp]:
    rows = SignUpRow.select().where(
        SignUpRow.list == contact.list_id, SignUpRow.address_key == contact.address_key
    )
    for row in rows.order_by(SignUpRow.at):
        yield SignUp(
            at=row.at,
            confirmed_at=row.confirmed_at,
            declined_at=row.declined_at,
            asked_again_at=row.doubted_at,
            name=row.name,
            language=row.language,
        )


def _imports(contact: Contact) -> Iterator[tuple[datetime, str]]:
    if contact.imported_by_id is not None:
        row = Import.get_by_id(contact.imported_by_id)
        yield row.at, row.file


def _entries(contact: Contact) -> Iterator[Entry]:
    rows = list(
        Evidence.select()
        .where(Evidence.subject == contact.subject, Evidence.list == contact.list.slug)
        .order_by(Evidence.seq)
    )
    parts: dict[tuple[int, str], Any] = {
        (part.seq, part.part): json.loads(part.json)
        for part in EvidencePart.select().where(EvidencePart.seq.in_([row.seq for row in rows]))
    }
    for row in rows:
        yield Entry(
            seq=row.seq,
            at=row.at,
            event=row.event,
            by=_BY.get(row.actor, "organisation"),
            hash=row.hash,
            consent=parts.get((row.seq, "consent"), {}),
            person=parts.get((row.seq, "person"), {}),
            trace=parts.get((row.seq, "trace"), {}),
        )


def _suppressions(contact: Contact, fingerprint_key: bytes) -> Iterator[Suppressed]:
    rows = Suppression.select().where(
        Suppression.fingerprint == lookup.make_fingerprint(contact, fingerprint_key),
        (Suppression.list == contact.list_id) | Suppression.list.is_null(),
    )
    for row in rows.order_by(Suppression.at):
        yield Suppressed(at=row.at, reason=row.reason, is_for_all=row.list_id is None)


def _links(contact: Contact) -> list[datetime]:
    return [link.at for link in FreshLink.select().where(FreshLink.contact == contact)]


def _looks(contact: Contact) -> Iterator[tuple[datetime, str]]:
    rows = Access.select().where(
        Access.subject == contact.subject, Access.list == contact.list.slug
    )
    for row in rows.order_by(Access.at):
        yield row.at, row.act


def _terms(
    contact: Contact,
    settings: Settings,
    now: datetime,
    *,
    traced: Sequence[datetime],
    unconfirmed: Sequence[datetime],
    opened: Sequence[datetime],
    looks: Sequence[datetime],
    links: Sequence[datetime],
) -> Iterator[Term]:
    """Yield how long each part is kept, with the day where it is known (GDPR art. 15(1)(d))."""
    retention, has_left = settings.retention, contact.status == Status.REMOVED
    left_at = contact.status_at if has_left else None
    goes_at = due_at(contact.list, left_at, settings, now) if left_at else None
    removed_for = f"P{retention.removed_days}D"
    yield Term(what="address", until=goes_at, duration=removed_for, begins="removal")
    campaign = latest_campaign(contact.list)
    if contact.status == Status.UNCONFIRMED and campaign and CampaignState(campaign.state).is_live:
        yield Term(what="answer", until=campaign.deadline)
    years = retention.evidence_years
    proof_ends = years_after(left_at, years) if left_at else None
    yield Term(what="proof", until=proof_ends, duration=f"P{years}Y", begins="removal")
    if traced:
        yield _days(what="trace", days=retention.trace_days, begins="answer", moments=traced)
    if opened:
        yield _days(what="openings", days=retention.trace_days, begins="opening", moments=opened)
    if unconfirmed:
        days = requested_mail_limit.SIGN_UPS_KEPT.days
        yield _days(what="sign_ups", days=days, begins="sign_up", moments=unconfirmed)
    yield Term(what="mails", until=None)
    if has_left:
        yield Term(what="suppression", until=None)
    yield _days(what="looks", days=retention.access_days, begins="look", moments=looks)
    yield _days(
        what="links", days=requested_mail_limit.LINKS_KEPT.days, begins="link", moments=links
    )


def _days(*, what: Any, days: int, begins: Begins, moments: Sequence[datetime]) -> Term:
    last = max(moments, default=None)
    until = last + timedelta(days=days) if last else None
    return Term(what=what, until=until, duration=f"P{days}D", begins=begins)


# --- Everything held, as a document that programs read (GDPR art. 20). ----------------------------


FORMAT = "repermit-held-1"
"""What the document says it is; it becomes another one when a key changes its meaning."""


_CONTROLLER = ("name", "address", "email", "telephone", "officer", "authority")
_LIST = ("slug", "name", "purpose", "frequency", "privacy_url", "sensitive")
_CONTACT = (
    "address",
    "name",
    "language",
    "status",
    "status_at",
    "reason",
    "basis",
    "basis_at",
    "source",
    "since",
)
_OPENINGS = (
    "together_at",
    "yes_at",
    "no_at",
    "disowned_at",
    "asked_again_at",
    "held_at",
    "signs",
)


def document(
    held: Held, *, organisation: Organisation, recipients: Sequence[Recipient], now: datetime
) -> dict[str, Any]:
    """Return everything held as what JSON can hold; times are RFC 3339 in UTC."""
    return {
        "format": FORMAT,
        "made_at": format_timestamp(now),
        "controller": _select_fields(organisation, _CONTROLLER),
        "list": _select_fields(held.mailing_list, _LIST),
        "contact": _select_fields(held, _CONTACT),
        "mails": [{**_to_json(one), "to": one.to or None} for one in held.letters],
        "sign_ups": _to_json(held.sign_ups),
        "imports": [{"at": format_timestamp(at), "file": file} for at, file in held.imports],
        "replies": [{"at": format_timestamp(at), "answer": answer} for at, answer in held.replies],
        "evidence": _to_json(held.entries),
        "openings": _describe_openings(held.openings) if held.openings else None,
        "suppressions": [
            {"at": format_timestamp(one.at), "reason": one.reason, "all_lists": one.is_for_all}
            for one in held.suppressions
        ],
        "looks": [{"at": format_timestamp(at), "what": what} for at, what in held.looks],
        "recipients": [dict(vars(one)) for one in recipients],
        "handed_on": _to_json(held.handed_on),
        "kept": [
            {
                "what": one.what,
                "duration": one.duration or None,
                "counts_from": one.begins or None,
                "until": _to_json(one.until),
            }
            for one in held.terms
        ],
    }


def _describe_openings(openings: Openings) -> dict[str, Any]:
    links = [
        {
            "link": one.link,
            "get": one.gets,
            "head": one.heads,
            "first_at": format_timestamp(one.first_at),
            "last_at": format_timestamp(one.last_at),
        }
        for one in openings.links
    ]
    return {"links": links, **_select_fields(openings, _OPENINGS)}


def _select_fields(value: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: _to_json(getattr(value, name)) for name in names}


def _to_json(value: Any) -> Any:
    """Return a value in JSON's own types; the keys of a dataclass are its fields."""
    if is_dataclass(value):
        return _select_fields(value, [one.name for one in fields(value)])
    if isinstance(value, tuple):
        return [_to_json(one) for one in value]
    if isinstance(value, datetime):
        return format_timestamp(value)
    return str(value) if isinstance(value, StrEnum) else value
