"""A reader who says not to be the person meant, and a person who erases their own data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from repermit.contacts import enqueue_receipt, human_replies, lookup, status_changes
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import enqueue_notice
from repermit.emails import admin_notices
from repermit.evidence import chain, consent_receipt, entries
from repermit.privacy.data_links import find_access, lock_contact
from repermit.privacy.forget import open_erasure
from repermit.rules.consent import Reason, Status, may_leave
from repermit.settings.definitions import Settings
from repermit.signed_links import Form

_EVENT = consent_receipt.NOT_THE_PERSON

_BACK = ("confirmed", "customer", "added")
"""Events that put a removed contact on the list again."""

_ACTOR = "reader"
"""The actor who reads the mail to an address and says that they are not the person meant."""


def say_not_the_person(
    database: Database,
    *,
    uid: str,
    settings: Settings,
    now: datetime,
    trace: Mapping[str, str],
    form: Form | None = None,
) -> bool:
    """Remove a contact whose mail another person reads, and enqueue a notice to the admin.

    The reason is `request`, as it is not an answer of the person. Saying it again changes nothing,
    unless the contact is on the list again. For a contact that an import had removed, the undo of
    the import no longer restores it.

    - `form`: the submitted form; None if none is needed.
    - Returns False if nothing is stored, or if something was pressed since the form was served.
    """
    with database.atomic():
        unlocked: Contact | None = Contact.get_or_none(Contact.uid == uid)
        contact = unlocked and lookup.lock_contact(unlocked.id)
        if contact is None or contact.erased_at is not None:
            return False
        if _is_said(contact):
            return True
        if form and form.version != contact.form_version:
            return False
        human_replies.settle_replies(contact, at=now)
        topic = admin_notices.make_not_the_person_topic(contact.id)
        enqueue_notice(topic, list_id=contact.list_id, due_at=now)
        status_changes.invalidate_open_forms(contact, has_refused=True)
        _remove_contact(contact, settings.fingerprint_key, trace, now)
        return True


def erase_own_data(
    database: Database, *, authority: str, settings: Settings, now: datetime
) -> bool:
    """Erase all data at the person's request (GDPR art. 17(1)); False if the link has expired."""
    opened = find_access(authority, now=now)
    if opened is None:
        return False
    unlocked: Contact = Contact.get_by_id(opened.contact)
    act = status_changes.Act(at=now, actor="person", consent={"method": "page"})
    key = settings.fingerprint_key
    with open_erasure(
        database, unlocked.list_id, unlocked.address_key, act=act, fingerprint_key=key
    ) as erase:
        contact = lock_contact(authority, now=now)
        if contact is None:
            return False
        erase(contact)
        return True


def _is_said(contact: Contact) -> bool:
    """Say whether a reader said it before, and the contact was not put on the list again since."""
    if _may_leave(contact):
        return False
    newest = Evidence.select(Evidence.event).where(
        Evidence.subject == contact.subject,
        Evidence.list == contact.list.slug,
        Evidence.event.in_((_EVENT, *_BACK)),
    )
    return bool(newest.order_by(Evidence.seq.desc()).limit(1).scalar() == _EVENT)


def _may_leave(contact: Contact) -> bool:
    return may_leave(Status(contact.status), by_file=lookup.is_off_by_file(contact))


def _remove_contact(
    contact: Contact, fingerprint_key: bytes, trace: Mapping[str, str], now: datetime
) -> None:
    if _may_leave(contact):
        act = status_changes.Act(at=now, actor=_ACTOR, consent={"method": _EVENT}, trace=trace)
        # A program that presses every button of a page may have said it after a person's Yes.
        enqueue_receipt.enqueue_no_receipt(contact, at=now)
        status_changes.remove_contacts(
            [contact], reason=Reason.REQUEST, act=act, fingerprint_key=fingerprint_key
        )
    chain.append(
        entries.Entry(
            event=_EVENT,
            at=now,
            actor=_ACTOR,
            list=contact.list.slug,
            subject=contact.subject,
            consent={"method": "page"},
        )
    )
