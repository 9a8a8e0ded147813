"""Links mailed to the address itself, valid for one use and one hour."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from repermit import email_address
from repermit.contacts import lookup, requested_mails_per_day
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import FreshLink, Mail
from repermit.db.secure_delete import delete_in_steps
from repermit.emails.mail_types import MailingListFacts
from repermit.rules.consent import MailKind

# --- Fresh links and what they open, as values. ---------------------------------------------------


LINKS_KEPT = timedelta(days=1)
"""The time after which one-time links are deleted, with the addresses they were sent to."""

LinkState = Literal["good", "used", "late"]
"""The state of a link: it is good for one use and one hour."""

MoveOutcome = Literal["moved", "taken", "used", "late"]
"""The result for a new address; `taken` if the list has, or had, another contact with it."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A one-time link, as its page shows it.

    - `uid`: the contact's.
    - `address`: the masked address that the link was sent to.
    - `is_own`: whether that is the contact's address now. The reader of another address may be a
      stranger, so that page shows no way to the contact.
    """

    uid: str
    state: LinkState
    address: str
    is_own: bool
    language: str
    ends_at: datetime
    mailing_list: MailingListFacts


@dataclass(frozen=True, kw_only=True)
class OpenedLink:
    """The access that a link has opened, until an hour after the link was made.

    - `authority`: 32 hexadecimal digits, sent along by the forms of its pages; only a digest of it
      is stored.
    - `uid`: the contact's.
    """

    authority: str
    contact: int
    uid: str
    language: str
    ends_at: datetime
    mailing_list: MailingListFacts


@dataclass(frozen=True, kw_only=True)
class MoveResult:
    """The result of confirming a new address, and its link.

    - `has_left`: the former address differs in more than upper and lower case.
    """

    outcome: MoveOutcome
    link: Link
    has_left: bool = True


# --- Links that go to the address itself. ---------------------------------------------------------


LINK_LIFETIME = timedelta(hours=1)


def ask_for_link(database: Database, *, uid: str, language: str, now: datetime) -> None:
    """Enqueue a mail to a contact with a link that shows all data stored.

    An address gets at most three a day; a further one waits. Returns nothing, so that the caller
    learns neither whether there is such a contact nor when the mail is sent.

    - `language`: the reader's.
    """
    with database.atomic():
        unlocked: Contact | None = Contact.get_or_none(Contact.uid == uid)
        contact = unlocked and lookup.lock_contact(unlocked.id)
        if contact is None or contact.address is None:
            return
        requested_mails_per_day.lock_address(database, contact.address_key)
        address = email_address.Address(contact.address, contact.address_key)
        enqueue_link(contact, "see", address, language=language, now=now)


def enqueue_link(
    contact: Contact, purpose: str, address: email_address.Address, *, language: str, now: datetime
) -> None:
    """Enqueue a mail with a fresh link, due when the address may get one.

    In the caller's transaction. A mail that is still waiting serves all requests meanwhile.
    """
    waiting = FreshLink.select().where(
        FreshLink.contact == contact,
        FreshLink.purpose == purpose,
        FreshLink.address_key == address.key,
        FreshLink.at > now,
    )
    if not waiting.exists():
        at = requested_mails_per_day.find_next_link_time(address.key, purpose, now=now)
        create_link(contact, purpose, address, language=language, now=at)


def create_link(
    contact: Contact, purpose: str, address: email_address.Address, *, language: str, now: datetime
) -> None:
    """Enqueue a mail with a fresh link to an address, in the caller's transaction.

    A mail to another address than the contact's own does not belong to the contact: its bounce says
    nothing about the contact.
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
    """Return the one-time link with this uid and purpose, or None; changes nothing."""
    row: FreshLink | None = FreshLink.get_or_none(
        FreshLink.uid == uid, FreshLink.purpose == purpose
    )
    return None if row is None else describe_link(row, now=now)


def open_link(database: Database, *, uid: str, now: datetime) -> OpenedLink | None:
    """Consume a link; return the access, or None if it was used before or has expired."""
    authority = new_id()
    with database.atomic():
        if not consume_link(uid, "see", now=now, authority=authority):
            return None
    return find_access(authority, now=now)


def consume_link(uid: str, purpose: str, *, now: datetime, authority: str = "") -> bool:
    """Consume a link, in the caller's transaction; say whether this call did.

    Of two presses at once, one gets the row, and the other finds it used.
    """
    used = (
        FreshLink.update(used_at=now, authority=_hash_authority(authority) if authority else "")
        .where(
            FreshLink.uid == uid,
            FreshLink.purpose == purpose,
            FreshLink.used_at.is_null(),
            FreshLink.at > now - LINK_LIFETIME,
        )
        .execute()
    )
    return bool(used)


def find_access(authority: str, *, now: datetime) -> OpenedLink | None:
    """Return the access with this authority; None once it has expired."""
    row: FreshLink | None = FreshLink.get_or_none(
        FreshLink.authority == _hash_authority(authority), FreshLink.at > now - LINK_LIFETIME
    )
    if row is None:
        return None
    mailing_list = lookup.read_list_facts(row.contact.list)
    return OpenedLink(
        authority=authority,
        contact=row.contact_id,
        uid=row.contact.uid,
        language=mailing_list.pick_language(row.language),
        ends_at=row.at + LINK_LIFETIME,
        mailing_list=mailing_list,
    )


def lock_contact(authority: str, *, now: datetime) -> Contact | None:
    """Return the contact of an access, locked; None once the access has expired."""
    opened = find_access(authority, now=now)
    if opened is None:
        return None
    contact = lookup.lock_contact(opened.contact)
    # It may have been erased while this waited for the lock.
    return contact if contact.erased_at is None else None


def describe_link(row: FreshLink, *, now: datetime) -> Link:
    """Return a link as its page shows it."""
    mailing_list = lookup.read_list_facts(row.contact.list)
    return Link(
        uid=row.contact.uid,
        state=_get_state(row, now),
        address=email_address.mask_address(row.address),
        is_own=row.address_key == row.contact.address_key,
        language=mailing_list.pick_language(row.language),
        ends_at=row.at + LINK_LIFETIME,
        mailing_list=mailing_list,
    )


def _get_state(row: FreshLink, now: datetime) -> LinkState:
    if row.used_at is not None:
        return "used"
    return "good" if row.at > now - LINK_LIFETIME else "late"


def _hash_authority(authority: str) -> str:
    return hashlib.sha256(authority.encode()).hexdigest()


def delete_expired_links(
    database: Database, *, now: datetime, should_stop: Callable[[], bool] = bool
) -> int:
    """Delete the links that are older than a day, with their addresses."""
    return delete_in_steps(
        database,
        FreshLink,
        FreshLink.at <= now - LINKS_KEPT,
        holds_addresses=True,
        should_stop=should_stop,
    )
