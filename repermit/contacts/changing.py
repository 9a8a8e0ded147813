"""What changes about a contact: status, evidence, suppression and unsent mails, always together.

May import evidence, models and what lies below. Every function here must be called inside the
caller's transaction, as its last step: evidence is appended last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from repermit import evidence
from repermit.consent import Basis, Dropped, MailKind, MailState, Reason, Status, require_removal
from repermit.contacts.looking import fingerprint_of
from repermit.contacts.replying import forget_replies
from repermit.evidence import Entry
from repermit.models import Contact, Mail, SignUp, Suppression, chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

_CHUNK = 500
_UNSENT = (MailState.QUEUED, MailState.CLAIMED)
_ASKING = (MailKind.ASK, MailKind.REMINDER)


@dataclass(frozen=True, kw_only=True)
class Act:
    """Who does something to a contact, when, and what of it is kept.

    `actor` is "person", "job", or the admin's address or name; `consent` and `trace` go into the
    parts of the evidence, to which the contact's address and name are added as `person`.
    """

    at: datetime
    actor: str
    campaign: int = 0
    consent: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Any] = field(default_factory=dict)


def confirm(contact: Contact, *, basis: Basis, act: Act, fingerprint_key: bytes) -> None:
    """Register an opt-in: the status, its evidence, and the end of its list's suppression.

    A suppression for all lists stays, since a Yes for one list says nothing of the others, nor
    of those to come. On this list it holds no more: only who is unconfirmed is asked, and an
    import takes whoever said Yes here for one who is on the list.
    """
    contact.status = Status.CONFIRMED
    contact.status_at = contact.basis_at = act.at
    contact.basis = basis
    contact.reason = ""
    contact.save()
    Suppression.delete().where(
        Suppression.fingerprint == fingerprint_of(contact, fingerprint_key),
        Suppression.list == contact.list_id,
    ).execute()
    drop_unsent([contact], Dropped.ANSWERED)
    evidence.append(_entry("confirmed", contact, contact.list.slug, act, {"basis": str(basis)}))


def remove(
    contacts: Sequence[Contact],
    *,
    reason: Reason,
    act: Act,
    fingerprint_key: bytes,
    facts: Mapping[int, Mapping[str, Any]] | None = None,
) -> int:
    """Take contacts of one list off; return how many there were.

    Each gets its status, its evidence and its suppression, and none of its asks or reminders
    leaves any more. `facts` is what the evidence says of each beside the act, by id. Raises
    TransitionRefused, before anything is changed, where a status does not allow the reason.
    """
    for contact in contacts:
        require_removal(Status(contact.status), reason, basis=contact.basis)
    for some in chunks(contacts, _CHUNK):
        Contact.update(
            status=Status.REMOVED, status_at=act.at, reason=reason, basis="", basis_at=None
        ).where(Contact.id.in_([contact.id for contact in some])).execute()
        _suppress_all(some, reason, act.at, fingerprint_key)
        drop_unsent(some, Dropped.ANSWERED if reason in _BY_ANSWER else Dropped.SUPPRESSED)
    slug = contacts[0].list.slug if contacts else ""
    each = facts or {}
    evidence.append(
        *(
            _entry(
                "removed", contact, slug, act, {"reason": str(reason), **each.get(contact.id, {})}
            )
            for contact in contacts
        )
    )
    return len(contacts)


_BY_ANSWER = (Reason.NO, Reason.WITHDRAWN)


def erase(contact: Contact, *, act: Act, fingerprint_key: bytes) -> None:
    """Delete what is held about a contact (GDPR art. 17).

    Status, reason and dates stay, so that counts add up; a suppression and pseudonymous evidence
    stay, so that the erasure itself is kept to. A contact that was still on the list is removed
    first, for `request`.
    """
    if contact.status != Status.REMOVED:
        remove([contact], reason=Reason.REQUEST, act=act, fingerprint_key=fingerprint_key)
    Contact.update(
        address=None,
        address_key=contact.uid,
        name="",
        language="",
        source="",
        since=None,
        erased_at=act.at,
    ).where(Contact.id == contact.id).execute()
    SignUp.delete().where(
        SignUp.list == contact.list_id, SignUp.address_key == contact.address_key
    ).execute()
    forget_replies(contact)
    parts = ("person", "trace")
    seqs = evidence.erase_parts(contact.subject, parts)
    evidence.append(
        Entry(
            event="erased",
            at=act.at,
            actor=act.actor,
            list=contact.list.slug,
            subject=contact.subject,
            consent={"seqs": seqs, "parts": parts, **act.consent},
        )
    )


def drop_unsent(contacts: Iterable[Contact], reason: Dropped) -> int:
    """Drop the asks and reminders of these contacts that have not started; return how many."""
    ids = [contact.id for contact in contacts]
    # Looked up by contact alone: without statistics SQLite would go through all that is queued.
    owed = Mail.select(Mail.id, Mail.kind, Mail.state).where(Mail.contact.in_(ids))
    unsent = [mail.id for mail in owed if mail.kind in _ASKING and mail.state in _UNSENT]
    dropped = (
        Mail.update(state=MailState.DROPPED, reason=reason)
        .where(Mail.id.in_(unsent), Mail.state.in_(_UNSENT))
        .execute()
    )
    return int(dropped)


def _suppress_all(
    contacts: Sequence[Contact], reason: Reason, at: datetime, fingerprint_key: bytes
) -> None:
    """Suppress these addresses; who is suppressed already keeps the subject, not the reason."""
    rows = [
        {
            "list": contact.list_id,
            "fingerprint": fingerprint_of(contact, fingerprint_key),
            "subject": contact.subject,
            "reason": reason,
            "at": at,
        }
        for contact in contacts
    ]
    Suppression.insert_many(rows).on_conflict(
        conflict_target=[Suppression.fingerprint, Suppression.list],
        preserve=[Suppression.reason, Suppression.at],
    ).execute()


def _entry(event: str, contact: Contact, slug: str, act: Act, more: Mapping[str, Any]) -> Entry:
    return Entry(
        event=event,
        at=act.at,
        actor=act.actor,
        list=slug,
        campaign=act.campaign,
        subject=contact.subject,
        consent={**more, **act.consent},
        person={"address": contact.address, "name": contact.name},
        trace=act.trace,
    )
