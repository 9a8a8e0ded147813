"""Everything that is held about one contact, gathered for the person, also as one document.

Nothing here writes, and nothing of another contact is read, be it of the same address on another
list: who may see that gets a link from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from repermit.contacts import click_log, enqueue_receipt, lookup, requested_mail_limit
from repermit.db.models.accounts import Access
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.contacts import SignUp as SignUpRow
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.mails import FreshLink, Mail, Reply
from repermit.emails.mail_values import MailingListFacts
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
    row = click_log.opening_of(contact)
    if row is None:
        return None
    past = click_log.past_of(row)
    return Openings(
        links=tuple(_opened_links(past)),
        together_at=past.openings.together_at,
        yes_at=past.yes_at,
        no_at=past.no_at,
        disowned_at=past.disowned_at,
        asked_again_at=past.doubted_at,
        held_at=row.held_at,
        signs=click_log.signs_of(row),
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
        purpose=link.purpose if link else "no_receipt" if enqueue_receipt.is_of_no(mail) else "",
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
        Suppression.fingerprint == lookup.fingerprint_of(contact, fingerprint_key),
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
    if contact.status == Status.UNCONFIRMED and campaign and _is_live(campaign):
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


def _is_live(campaign: Campaign) -> bool:
    return CampaignState(campaign.state).is_live


# --- Everything held, as a document that programs read (GDPR art. 20). ----------------------------


FORMAT = "repermit-held-1"
"""What the document says it is; it becomes another one when a key changes its meaning."""


def document(
    held: Held, *, organisation: Organisation, recipients: Sequence[Recipient], now: datetime
) -> dict[str, Any]:
    """Return everything held as what JSON can hold; times are RFC 3339 in UTC."""
    return {
        "format": FORMAT,
        "made_at": _time(now),
        "controller": _controller(organisation),
        "list": _list(held.mailing_list),
        "contact": _contact(held),
        "mails": [_letter_document(one) for one in held.letters],
        "sign_ups": [
            {
                "at": _time(one.at),
                "confirmed_at": _time(one.confirmed_at),
                "declined_at": _time(one.declined_at),
                "asked_again_at": _time(one.asked_again_at),
                "name": one.name,
                "language": one.language,
            }
            for one in held.sign_ups
        ],
        "imports": [{"at": _time(at), "file": file} for at, file in held.imports],
        "replies": [{"at": _time(at), "answer": answer} for at, answer in held.replies],
        "evidence": [_entry(one) for one in held.entries],
        "openings": _openings(held.openings) if held.openings else None,
        "suppressions": [
            {"at": _time(one.at), "reason": one.reason, "all_lists": one.is_for_all}
            for one in held.suppressions
        ],
        "looks": [{"at": _time(at), "what": what} for at, what in held.looks],
        "recipients": [dict(vars(one)) for one in recipients],
        "handed_on": [
            {"at": _time(one.at), "what": one.what, "to": one.to} for one in held.handed_on
        ],
        "kept": [
            {
                "what": one.what,
                "duration": one.duration or None,
                "counts_from": one.begins or None,
                "until": _time(one.until),
            }
            for one in held.terms
        ],
    }


def _controller(organisation: Organisation) -> dict[str, str]:
    return {
        "name": organisation.name,
        "address": organisation.address,
        "email": organisation.email,
        "telephone": organisation.telephone,
        "officer": organisation.officer,
        "authority": organisation.authority,
    }


def _list(about: MailingListFacts) -> dict[str, Any]:
    return {
        "slug": about.slug,
        "name": about.name,
        "purpose": about.purpose,
        "frequency": about.frequency,
        "privacy_url": about.privacy_url,
        "sensitive": about.sensitive,
    }


def _contact(held: Held) -> dict[str, str | None]:
    return {
        "address": held.address,
        "name": held.name,
        "language": held.language,
        "status": str(held.status),
        "status_at": _time(held.status_at),
        "reason": held.reason,
        "basis": held.basis,
        "basis_at": _time(held.basis_at),
        "source": held.source,
        "since": _time(held.since),
    }


def _letter_document(one: Letter) -> dict[str, str | None]:
    return {
        "kind": one.kind,
        "purpose": one.purpose,
        "to": one.to or None,
        "state": one.state,
        "at": _time(one.at),
        "reply": one.reply,
        "bounce": one.bounce,
        "bounce_status": one.bounce_status,
        "bounced_at": _time(one.bounced_at),
    }


def _entry(one: Entry) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "at": _time(one.at),
        "event": one.event,
        "by": one.by,
        "hash": one.hash,
        "consent": dict(one.consent),
        "person": dict(one.person),
        "trace": dict(one.trace),
    }


def _openings(one: Openings) -> dict[str, Any]:
    return {
        "links": [
            {
                "link": opened.link,
                "get": opened.gets,
                "head": opened.heads,
                "first_at": _time(opened.first_at),
                "last_at": _time(opened.last_at),
            }
            for opened in one.links
        ],
        "together_at": _time(one.together_at),
        "yes_at": _time(one.yes_at),
        "no_at": _time(one.no_at),
        "disowned_at": _time(one.disowned_at),
        "asked_again_at": _time(one.asked_again_at),
        "held_at": _time(one.held_at),
        "signs": list(one.signs),
    }


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else None
