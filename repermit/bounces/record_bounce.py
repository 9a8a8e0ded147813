"""Recording a bounce, a complaint or a reply on its mail, and applying its consequences."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from repermit import email_address
from repermit.bounces.bounce_results import BounceResult, Effect, MessageKind
from repermit.bounces.match import find_mail
from repermit.bounces.reply_text import interpret_line
from repermit.clock import format_timestamp
from repermit.contacts import circuit_breaker, human_replies, lookup, status_changes
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.errors import AddressError
from repermit.rules import consent
from repermit.rules.consent import (
    Answer,
    BounceKind,
    Dropped,
    MailKind,
    Outcome,
    Reason,
    Status,
)

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import ParsedMessage
    from repermit.db.connection import Database
    from repermit.settings.definitions import Settings

# A mail's bounce changes in this direction only: a mailbox that does not exist was not full, and a
# person who complains has read the mail. So a message recorded twice changes nothing.
_SEVERITY = {"": 0, BounceKind.SOFT: 1, BounceKind.HARD: 2, BounceKind.COMPLAINT: 3}
_BOUNCE_KINDS = {
    MessageKind.HARD: BounceKind.HARD,
    MessageKind.SOFT: BounceKind.SOFT,
    MessageKind.COMPLAINT: BounceKind.COMPLAINT,
}


def record_message(
    database: Database, message: ParsedMessage, *, settings: Settings, now: datetime
) -> BounceResult:
    """Record one message from the mailbox; recording it again changes nothing.

    1. Find the mail that it is about, by a reference with our signature.
    2. In one transaction: record the bounce on the mail, and remove the contact if the mailbox does
       not exist or the person complained. A reply is stored for the admin to decide on. A failure
       at an address to which the mail was forwarded is only recorded.
    3. In another transaction, which locks the campaign: pause it if there are too many bounces.
    """
    mail = find_mail(message.references, settings.secret_keys)
    if mail is None:
        return BounceResult(kind=message.kind, status=message.status)
    with database.atomic():
        # The lock order is contact, then mail.
        contact = lookup.lock_contact(mail.contact_id) if mail.contact_id is not None else None
        is_about_others = message.kind is MessageKind.HARD and _names_another_address(
            message, contact
        )
        if is_about_others:
            message = replace(message, kind=MessageKind.SOFT)
        effect = _apply_message(mail, contact, message, settings, now)
    return BounceResult(
        kind=message.kind,
        effect=effect,
        status=message.status,
        list=mail.list.slug,
        paused=_pause_if_too_many(database, mail, message.kind, settings, now),
        is_about_others=is_about_others,
    )


def _names_another_address(message: ParsedMessage, contact: Contact | None) -> bool:
    """Return whether a bounce names failed addresses, none of which is the contact's.

    False for an erased contact, whose address is not stored; it has been removed anyhow.
    """
    if contact is None or contact.erased_at is not None or not message.failed:
        return False
    return contact.address_key not in map(_fold_address, message.failed)


def _apply_message(
    mail: Mail, contact: Contact | None, message: ParsedMessage, settings: Settings, now: datetime
) -> Effect:
    if message.kind in _BOUNCE_KINDS:
        bounce = _BOUNCE_KINDS[message.kind]
        if not _record_on_mail(mail, bounce, message.status, now):
            return Effect.KNOWN
        if contact is None or not _must_be_removed(contact, mail, bounce):
            if bounce is BounceKind.COMPLAINT and contact and contact.erased_at is None:
                status_changes.mark_contact_refused(contact)
            return Effect.NOTED
        _remove(contact, mail, message, fingerprint_key=settings.fingerprint_key, now=now)
        return Effect.REMOVED
    if message.kind is MessageKind.REPLY and contact is not None and contact.erased_at is None:
        return _store_reply(contact, mail, message, now)
    return Effect.NONE


def _record_on_mail(mail: Mail, bounce: BounceKind, status: str, now: datetime) -> bool:
    """Record a bounce on its mail; return False if one as severe was recorded before."""
    less_severe = [kind for kind, severity in _SEVERITY.items() if severity < _SEVERITY[bounce]]
    updated_count = (
        Mail.update(bounce=bounce, bounce_status=status, bounced_at=now)
        .where(Mail.id == mail.id, Mail.bounce.in_(less_severe))
        .execute()
    )
    return bool(updated_count)


def _must_be_removed(contact: Contact, mail: Mail, bounce: BounceKind) -> bool:
    """Return whether a bounce removes the contact; erased ones have been removed already."""
    if contact.erased_at is not None or bounce is BounceKind.SOFT:
        return False
    status = Status(contact.status)
    if bounce is BounceKind.COMPLAINT:
        return consent.may_leave(status, by_file=lookup.is_off_by_file(contact))
    was_thin_asked = mail.campaign is not None and mail.campaign.include_thin
    return consent.is_unreached(
        status, reason=contact.reason, basis=contact.basis, include_thin=was_thin_asked
    )


def _remove(
    contact: Contact, mail: Mail, message: ParsedMessage, *, fingerprint_key: bytes, now: datetime
) -> None:
    consent_record: dict[str, Any] = {
        "came_back": str(message.kind),
        "status": message.status,
        "mail": mail.kind,
        "sent_at": format_timestamp(mail.sent_at) if mail.sent_at else "",
    }
    if contact.reason:
        # A bounce replaces a removal for silence (the ask never arrived), and a complaint one by
        # a file.
        consent_record["was_removed_for"] = contact.reason
    is_complaint = message.kind is MessageKind.COMPLAINT
    status_changes.remove_contacts(
        [contact],
        reason=Reason.COMPLAINT if is_complaint else Reason.BOUNCE,
        act=status_changes.Act(
            at=now, actor="job", campaign=mail.campaign_id or 0, consent=consent_record
        ),
        fingerprint_key=fingerprint_key,
    )


def _store_reply(contact: Contact, mail: Mail, message: ParsedMessage, now: datetime) -> Effect:
    """Store a person's reply for the admin to decide on.

    The proposed answer counts only if the reply comes from the contact's own address: the reply to
    a forwarded mail must not count as another person's answer.
    """
    # The mailbox's clock may be wrong, but nobody replies before the mail is there.
    arrived = min(max(message.arrived or now, mail.sent_at or mail.due_at), now)
    proposed = _interpret_reply(contact, message) if _is_from(message.sender, contact) else ""
    is_plain = proposed in tuple(Answer)
    says_nothing_new = is_plain and _changes_nothing(contact, mail, Answer(proposed), arrived)
    is_new = human_replies.save_reply(
        contact,
        digest=message.digest,
        proposed=proposed,
        at=arrived,
        decided_at=now if says_nothing_new else None,
    )
    waits = is_new and not says_nothing_new
    if waits:
        # Whoever has written is not asked whether they have read it.
        status_changes.drop_unsent([contact], Dropped.ANSWERED, kinds={MailKind.REMINDER})
    if is_new and human_replies.PROPOSALS.get(proposed) is Answer.NO:
        # Already before the admin decides, so that a Yes meanwhile has to be confirmed again.
        status_changes.mark_contact_refused(contact)
    return Effect.WAITING if waits else Effect.KNOWN


def _interpret_reply(contact: Contact, message: ParsedMessage) -> str:
    """Return a reply's plain answer in the language of the ask or of the contact, or "".

    "stop" if some line asks to get no more mail, unless the plain answer is a No.
    """
    asked_in = lookup.read_list_facts(contact.list).pick_language(contact.language)
    contact_language = contact.language.partition("-")[0].lower()
    plain_answer = interpret_line(
        message.line, {asked_in, contact_language}, default=message.proposed
    )
    if message.asks_to_stop and plain_answer != Answer.NO:
        return human_replies.STOP
    return plain_answer


def _is_from(sender: str, contact: Contact) -> bool:
    return _fold_address(sender) == contact.address_key


def _fold_address(address: str) -> str | None:
    """Return an address folded for comparison; None if it is invalid."""
    try:
        return email_address.parse(address).key
    except AddressError:
        return None


def _changes_nothing(contact: Contact, mail: Mail, answer: Answer, arrived: datetime) -> bool:
    """Return whether an answer matches the contact's status, as after an answer on the page."""
    decision = consent.decide(
        answer,
        Status(contact.status),
        reason=contact.reason,
        basis=contact.basis,
        arrived_at=arrived,
        deadline=mail.campaign.deadline if mail.campaign else None,
        by_file=lookup.is_off_by_file(contact),
    )
    return decision.outcome is Outcome.NOTHING


def _pause_if_too_many(
    database: Database, mail: Mail, kind: MessageKind, settings: Settings, now: datetime
) -> bool:
    """Pause the mail's campaign if it has too many bounces or a complaint.

    Also if the bounce was recorded before: that process may have been killed before this step.
    """
    if mail.campaign_id is None or kind not in {MessageKind.HARD, MessageKind.COMPLAINT}:
        return False
    with database.atomic():
        why = circuit_breaker.trip_circuit_breaker(
            mail.campaign_id, percent=settings.campaign.pause_at_bounce_percent, now=now
        )
    return why is not None
