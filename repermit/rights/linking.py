"""Links that go to the address itself: good for one use and one hour.

May import contacts, messages, models and what lies below.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from repermit import addresses, contacts
from repermit.consent import MailKind
from repermit.models import Contact, FreshLink, Mail, new_id
from repermit.rights.facts import Link, LinkState, Opened

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database

HOUR = timedelta(hours=1)


def ask_for_link(database: Database, *, uid: str, language: str, now: datetime) -> None:
    """Owe a contact a mail with a link that shows everything held.

    Three a day at most go to an address; a further one waits. `language` is the reader's. Says
    nothing: neither whether there is such a contact nor when a mail leaves.
    """
    with database.atomic():
        found: Contact | None = Contact.get_or_none(Contact.uid == uid)
        contact = found and contacts.lock(found.id)
        if contact is None or contact.address is None:
            return
        contacts.one_at_a_time(database, contact.address_key)
        address = addresses.Address(contact.address, contact.address_key)
        owe_in_turn(contact, "see", address, language=language, now=now)


def owe_in_turn(
    contact: Contact, purpose: str, address: addresses.Address, *, language: str, now: datetime
) -> None:
    """Owe a mail with a fresh link as soon as the address may get one, in the caller's transaction.

    One that is waiting for its turn stands for all that are asked for meanwhile.
    """
    waiting = FreshLink.select().where(
        FreshLink.contact == contact,
        FreshLink.purpose == purpose,
        FreshLink.address_key == address.key,
        FreshLink.at > now,
    )
    if not waiting.exists():
        at = contacts.next_link_at(address.key, purpose, now=now)
        owe(contact, purpose, address, language=language, now=at)


def owe(
    contact: Contact, purpose: str, address: addresses.Address, *, language: str, now: datetime
) -> None:
    """Owe a mail with a fresh link to an address, in the caller's transaction.

    A mail that goes elsewhere than to the contact's own address is no mail of the contact's: what
    comes back for it says nothing of them.
    """
    mail = Mail.create(
        list=contact.list_id,
        contact=contact if purpose == "see" else None,
        kind=MailKind.CONFIRM,
        due_at=now,
        message_id="",
    )
    FreshLink.create(
        contact=contact,
        mail=mail,
        purpose=purpose,
        uid=new_id(),
        address=address.sending,
        address_key=address.key,
        language=language,
        at=now,
    )


def find_link(uid: str, purpose: str, *, now: datetime) -> Link | None:
    """Return the link for one use that a token names, or None; changes nothing."""
    found: FreshLink | None = FreshLink.get_or_none(
        FreshLink.uid == uid, FreshLink.purpose == purpose
    )
    return None if found is None else link_of(found, now=now)


def open_link(database: Database, *, uid: str, now: datetime) -> Opened | None:
    """Use a link up; return what it opens, or None if it was used before or its hour is over."""
    authority = new_id()
    with database.atomic():
        if not use_up(uid, "see", now=now, authority=authority):
            return None
    return find_opened(authority, now=now)


def use_up(uid: str, purpose: str, *, now: datetime, authority: str = "") -> bool:
    """Use a link up, in the caller's transaction; False unless it is this very call that did.

    Of two presses at once one gets the row, and the other finds it used.
    """
    used = (
        FreshLink.update(used_at=now, authority=_digest(authority) if authority else "")
        .where(
            FreshLink.uid == uid,
            FreshLink.purpose == purpose,
            FreshLink.used_at.is_null(),
            FreshLink.at > now - HOUR,
        )
        .execute()
    )
    return bool(used)


def find_opened(authority: str, *, now: datetime) -> Opened | None:
    """Return what was opened with this authority, or None once its hour is over."""
    found: FreshLink | None = FreshLink.get_or_none(
        FreshLink.authority == _digest(authority), FreshLink.at > now - HOUR
    )
    if found is None:
        return None
    mailing_list = contacts.list_facts(found.contact.list)
    return Opened(
        authority=authority,
        contact=found.contact_id,
        uid=found.contact.uid,
        language=mailing_list.pick(found.language),
        ends_at=found.at + HOUR,
        mailing_list=mailing_list,
    )


def lock_opened(authority: str, *, now: datetime) -> Contact | None:
    """Return the contact whom an authority is about, locked; None once its hour is over."""
    opened = find_opened(authority, now=now)
    if opened is None:
        return None
    contact = contacts.lock(opened.contact)
    # It may have been erased while this waited for the lock.
    return contact if contact.erased_at is None else None


def link_of(found: FreshLink, *, now: datetime) -> Link:
    """Return a link as its page shows it."""
    mailing_list = contacts.list_facts(found.contact.list)
    return Link(
        uid=found.contact.uid,
        state=_state(found, now),
        address=addresses.in_part(found.address),
        is_own=found.address_key == found.contact.address_key,
        language=mailing_list.pick(found.language),
        ends_at=found.at + HOUR,
        mailing_list=mailing_list,
    )


def _state(found: FreshLink, now: datetime) -> LinkState:
    if found.used_at is not None:
        return "used"
    return "good" if found.at > now - HOUR else "late"


def _digest(authority: str) -> str:
    return hashlib.sha256(authority.encode()).hexdigest()
