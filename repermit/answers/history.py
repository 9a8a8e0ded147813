"""What was sent to a contact and what came of it, in short.

May import models and consent. Nothing here writes.
"""

from __future__ import annotations

from repermit.answers.facts import Happening
from repermit.consent import MailKind, MailState
from repermit.models import Contact, Evidence, Mail

_EVENTS = ("confirmed", "removed")
_MAILED = {str(MailKind.ASK): "asked", str(MailKind.REMINDER): "reminded"}


def history(uid: str) -> tuple[Happening, ...]:
    """Return what happened to the contact that a link names, the oldest first."""
    contact: Contact | None = Contact.get_or_none(Contact.uid == uid)
    if contact is None:
        return ()
    return tuple(sorted((*_mailed(contact), *_decided(contact)), key=lambda one: one.at))


def _mailed(contact: Contact) -> list[Happening]:
    sent = Mail.select(Mail.kind, Mail.sent_at).where(
        Mail.contact == contact, Mail.kind.in_(list(_MAILED)), Mail.state == MailState.SENT
    )
    return [Happening(at=mail.sent_at, what=_MAILED[mail.kind]) for mail in sent if mail.sent_at]


def _decided(contact: Contact) -> list[Happening]:
    entries = Evidence.select(Evidence.at, Evidence.event).where(
        Evidence.subject == contact.subject,
        Evidence.list == contact.list.slug,
        Evidence.event.in_(_EVENTS),
    )
    return [Happening(at=entry.at, what=entry.event) for entry in entries]
