"""Recording a bounce, complaint or reply: what it says of a mail of ours, and what follows."""

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
from repermit.rules.consent import Answer, BounceKind, Outcome, Reason, Status

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import ParsedMessage
    from repermit.db.connection import Database
    from repermit.settings.definitions import Settings

# What is known of a mail changes in this direction only: a mailbox that is gone was not full, and
# whoever complains has read it. So a message that is taken twice changes nothing.
_WEIGHT = {"": 0, BounceKind.SOFT: 1, BounceKind.HARD: 2, BounceKind.COMPLAINT: 3}
_CAME_BACK = {
    MessageKind.HARD: BounceKind.HARD,
    MessageKind.SOFT: BounceKind.SOFT,
    MessageKind.COMPLAINT: BounceKind.COMPLAINT,
}


def record_message(
    database: Database, reading: ParsedMessage, *, settings: Settings, now: datetime
) -> BounceResult:
    """Record one message that came back; the same one may be recorded any number of times.

    1. Find the mail that it is about by a mark that only we can have made.
    2. In one transaction: note it with the mail, and take the contact off if there is no such
       mailbox or if they complained; a person's reply is put before the admin. What failed at
       another address only, where somebody forwards their mail to, is noted and no more.
    3. In another one, which locks the campaign: pause the campaign if it has had enough.
    """
    mail = find_mail(reading.traces, settings.secret_keys)
    if mail is None:
        return BounceResult(kind=reading.kind, status=reading.status)
    with database.atomic():
        # The contact before its mail, as everybody locks them.
        contact = lookup.lock_contact(mail.contact_id) if mail.contact_id is not None else None
        is_about_others = reading.kind is MessageKind.HARD and _names_another_address(
            reading, contact
        )
        if is_about_others:
            reading = replace(reading, kind=MessageKind.SOFT)
        effect = _apply_message(mail, contact, reading, settings, now)
    return BounceResult(
        kind=reading.kind,
        effect=effect,
        status=reading.status,
        list=mail.list.slug,
        paused=_pause_if_too_many(database, mail, reading.kind, settings, now),
        is_about_others=is_about_others,
    )


def _names_another_address(reading: ParsedMessage, contact: Contact | None) -> bool:
    """Say whether a bounce names whom it is about, and that is not who was asked.

    Whose address was erased cannot be told from others any more, and has gone anyhow.
    """
    if contact is None or contact.erased_at is not None or not reading.failed:
        return False
    return contact.address_key not in map(_fold_address, reading.failed)


def _apply_message(
    mail: Mail, contact: Contact | None, reading: ParsedMessage, settings: Settings, now: datetime
) -> Effect:
    if reading.kind in _CAME_BACK:
        bounce = _CAME_BACK[reading.kind]
        if not _record_on_mail(mail, bounce, reading.status, now):
            return Effect.KNOWN
        if contact is None or not _must_be_removed(contact, mail, bounce):
            if bounce is BounceKind.COMPLAINT and contact and contact.erased_at is None:
                status_changes.mark_contact_refused(contact)
            return Effect.NOTED
        _remove(contact, mail, reading, fingerprint_key=settings.fingerprint_key, now=now)
        return Effect.REMOVED
    if reading.kind is MessageKind.REPLY and contact is not None and contact.erased_at is None:
        return _keep_reply(contact, mail, reading, now)
    return Effect.NONE


def _record_on_mail(mail: Mail, bounce: BounceKind, status: str, now: datetime) -> bool:
    """Record on a mail that it came back; False if as much or more was known."""
    lighter = [one for one, weight in _WEIGHT.items() if weight < _WEIGHT[bounce]]
    noted = (
        Mail.update(bounce=bounce, bounce_status=status, bounced_at=now)
        .where(Mail.id == mail.id, Mail.bounce.in_(lighter))
        .execute()
    )
    return bool(noted)


def _must_be_removed(contact: Contact, mail: Mail, bounce: BounceKind) -> bool:
    """Say whether what came back takes the contact off; an erased one has gone already."""
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
    contact: Contact, mail: Mail, reading: ParsedMessage, *, fingerprint_key: bytes, now: datetime
) -> None:
    consent_record: dict[str, Any] = {
        "came_back": str(reading.kind),
        "status": reading.status,
        "mail": mail.kind,
        "sent_at": format_timestamp(mail.sent_at) if mail.sent_at else "",
    }
    if contact.reason:
        # It was no silence, since the question never reached them, or more than a file's word.
        consent_record["was_removed_for"] = contact.reason
    is_complaint = reading.kind is MessageKind.COMPLAINT
    status_changes.remove_contacts(
        [contact],
        reason=Reason.COMPLAINT if is_complaint else Reason.BOUNCE,
        act=status_changes.Act(
            at=now, actor="job", campaign=mail.campaign_id or 0, consent=consent_record
        ),
        fingerprint_key=fingerprint_key,
    )


def _keep_reply(contact: Contact, mail: Mail, reading: ParsedMessage, now: datetime) -> Effect:
    """Put a person's reply before the admin.

    What it proposes counts only from the very address that was asked: a mail that was forwarded
    must not bring one person's answer for another.
    """
    arrived = min(reading.arrived or now, now)
    proposed = _interpret_reply(contact, reading) if _is_from(reading.sender, contact) else ""
    is_plain = proposed in tuple(Answer)
    says_nothing_new = is_plain and _changes_nothing(contact, mail, Answer(proposed), arrived)
    is_new = human_replies.save_reply(
        contact,
        digest=reading.digest,
        proposed=proposed,
        at=arrived,
        decided_at=now if says_nothing_new else None,
    )
    if is_new and human_replies.PROPOSALS.get(proposed) is Answer.NO:
        # Before the admin decides: a Yes that comes meanwhile is asked for once more.
        status_changes.mark_contact_refused(contact)
    return Effect.WAITING if is_new and not says_nothing_new else Effect.KNOWN


def _interpret_reply(contact: Contact, reading: ParsedMessage) -> str:
    """Return what a reply plainly says in the language they were asked in, or that they speak.

    "stop" if it is no plain answer, and some line of it asks to be mailed no more.
    """
    asked_in = lookup.read_list_facts(contact.list).pick_language(contact.language)
    spoken = contact.language.partition("-")[0].lower()
    plain = interpret_line(reading.line, {asked_in, spoken}, otherwise=reading.proposed)
    return plain or (human_replies.STOP if reading.asks_to_stop else "")


def _is_from(sender: str, contact: Contact) -> bool:
    return _fold_address(sender) == contact.address_key


def _fold_address(address: str) -> str | None:
    """Return an address folded for comparing; None for what is none."""
    try:
        return email_address.parse(address).key
    except AddressError:
        return None


def _changes_nothing(contact: Contact, mail: Mail, answer: Answer, arrived: datetime) -> bool:
    """Say whether that is where the contact stands, as when a button was pressed too."""
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
    """Pause the mail's campaign if it has had enough bounces or a complaint.

    Also where the bounce was known: whoever took it first may have died before this.
    """
    if mail.campaign_id is None or kind not in {MessageKind.HARD, MessageKind.COMPLAINT}:
        return False
    with database.atomic():
        why = circuit_breaker.trip_circuit_breaker(
            mail.campaign_id, percent=settings.campaign.pause_at_bounce_percent, now=now
        )
    return why is not None
