"""What was sent to a contact and what came of it, in short.

May import models and consent. Nothing here writes.
"""

from __future__ import annotations

from repermit.answers.facts import Happening
from repermit.consent import MailKind, MailState
from repermit.models import Contact, Evidence, Mail

_EVENTS = ("confirmed", "removed")


def history(uid: str) -> tuple[Happening, ...]:
    """Return what happened to the contact that a link names, the oldest first."""
    contact: Contact | None = Contact.get_or_none(Contact.uid == uid)
    if contact is None:
        return ()
    return tuple(sorted((*_asked(contact), *_decided(contact)), key=lambda one: one.at))


def _asked(contact: Contact) -> list[Happening]:
    sent = Mail.select(Mail.sent_at).where(
        Mail.contact == contact, Mail.kind == MailKind.ASK, Mail.state == MailState.SENT
    )
    moments = [mail.sent_at for mail in sent]
    return [Happening(at=moment, what="asked") for moment in moments if moment]


def _decided(contact: Contact) -> list[Happening]:
    entries = Evidence.select(Evidence.at, Evidence.event).where(
        Evidence.subject == contact.subject,
        Evidence.list == contact.list.slug,
        Evidence.event.in_(_EVENTS),
    )
    return [Happening(at=entry.at, what=entry.event) for entry in entries]
