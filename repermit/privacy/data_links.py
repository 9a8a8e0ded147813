"""Links that go to the address itself: good for one use and one hour."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from repermit import email_address
from repermit.contacts import lookup, requested_mail_limit
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import FreshLink, Mail
from repermit.emails.mail_values import MailingListFacts
from repermit.rules.consent import MailKind, Status

# --- Fresh links and what they open, as values. ---------------------------------------------------


LinkState = Literal["good", "used", "late"]
"""A link is good for one use and one hour."""

MoveOutcome = Literal["moved", "taken", "used", "late"]
"""What became of a new address: `taken` says that it is on the list, or off it, by itself."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link for one use, as its page shows it; `uid` is its contact's, `address` in part.

    `is_own` says whether the address is that of the contact now. Whoever reads another one may be
    a stranger, who is to be shown no way to the contact.
    """

    uid: str
    state: LinkState
    address: str
    is_own: bool
    language: str
    ends_at: datetime
    mailing_list: MailingListFacts


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a link has opened, until its hour is over.

    `authority` (32 hexadecimal digits) is what the forms of its pages hand on; a digest of it is
    all that is kept. `uid` is the contact's.
    """

    authority: str
    contact: int
    uid: str
    language: str
    ends_at: datetime
    mailing_list: MailingListFacts


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What became of a new address, and the link by which it was confirmed."""

    outcome: MoveOutcome
    link: Link


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail to the person: its kind and state, and when it was in that state.

    `purpose` tells mails of one kind apart that the person asked for, and `to` is where such a one
    went if not to the address that is held. `reply` are the server's codes, and `bounce` is what
    came back, with its status code; each "" for nothing.
    """

    kind: str
    purpose: str
    to: str
    state: str
    at: datetime
    reply: str
    bounce: str
    bounce_status: str
    bounced_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class SignUp:
    """That the address was typed into the sign-up form, and confirmed, declined or neither.

    `asked_again_at` is when a Yes was asked for once more.
    """

    at: datetime
    confirmed_at: datetime | None
    declined_at: datetime | None
    asked_again_at: datetime | None
    name: str
    language: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of the evidence about the person, with the parts of it that are still kept.

    `by` is `person`, `reader` (of the mail, and not the person meant), `system` or `organisation`:
    who of its people it was is theirs, not the person's (CJEU C-579/21, §83).
    """

    seq: int
    at: datetime
    event: str
    by: str
    hash: str
    consent: Mapping[str, Any]
    person: Mapping[str, Any]
    trace: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LinkOpened:
    """How often one of the two links was opened, by HEAD and by GET, and when first and last."""

    link: Literal["yes", "no"]
    gets: int
    heads: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class Openings:
    """How the links were opened, as far as it is kept to know a person by; see bot_detection.Past.

    `signs` are why the last press looked like a program's, `held_at` since when a Yes waits for one
    press more, and `began_at` is the oldest moment of all.
    """

    links: tuple[LinkOpened, ...]
    together_at: datetime | None
    yes_at: datetime | None
    no_at: datetime | None
    disowned_at: datetime | None
    asked_again_at: datetime | None
    held_at: datetime | None
    signs: tuple[str, ...]
    began_at: datetime


@dataclass(frozen=True, kw_only=True)
class Suppressed:
    """That the address is not asked again, on this list or on all, with the reason."""

    at: datetime
    reason: str
    is_for_all: bool


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Who gets the data besides the organisation, as its record of processing names them.

    `role` is one word for what they do. `country` is two letters (ISO 3166), `safeguard` what
    protects the data outside the European Economic Area (GDPR art. 15(2)); "" where nothing is
    known, and where the organisation does it itself.
    """

    role: str
    name: str
    country: str
    safeguard: str


@dataclass(frozen=True, kw_only=True)
class HandedOn:
    """A file with the address in it (`what` it was), or (`told`) a program that was told of it.

    `to` is the tool that the file was made for, "" for none, or the program's host.
    """

    at: datetime
    what: str
    to: str


Begins = Literal["removal", "answer", "opening", "look", "link", "sign_up"]
"""What a duration counts from."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """How long a part is kept: until a moment, or (None) until what ends it has happened.

    `duration` is as ISO 8601 writes it, counted from the last of what it `begins` with; "" where
    no such time is set.
    """

    what: Literal[
        "address",
        "answer",
        "proof",
        "trace",
        "openings",
        "sign_ups",
        "mails",
        "suppression",
        "looks",
        "links",
    ]
    until: datetime | None
    duration: str = ""
    begins: Begins | Literal[""] = ""


@dataclass(frozen=True, kw_only=True)
class Held:
    """Everything that is held about one contact, on its list alone (GDPR art. 15(1)).

    `imports` are (moment, name of the file), `replies` (moment, `yes`, `no` or ""), `looks`
    (moment, one word for what was looked at); all are in the order of time. `openings` is None if
    none is kept.
    """

    mailing_list: MailingListFacts
    address: str
    name: str
    language: str
    status: Status
    status_at: datetime
    reason: str
    basis: str
    basis_at: datetime | None
    source: str
    since: datetime | None
    letters: tuple[Letter, ...]
    sign_ups: tuple[SignUp, ...]
    imports: tuple[tuple[datetime, str], ...]
    replies: tuple[tuple[datetime, str], ...]
    entries: tuple[Entry, ...]
    openings: Openings | None
    suppressions: tuple[Suppressed, ...]
    looks: tuple[tuple[datetime, str], ...]
    handed_on: tuple[HandedOn, ...]
    terms: tuple[Term, ...]


# --- Links that go to the address itself. ---------------------------------------------------------


HOUR = timedelta(hours=1)


def ask_for_link(database: Database, *, uid: str, language: str, now: datetime) -> None:
    """Owe a contact a mail with a link that shows everything held.

    Three a day at most go to an address; a further one waits. `language` is the reader's. Says
    nothing: neither whether there is such a contact nor when a mail leaves.
    """
    with database.atomic():
        found: Contact | None = Contact.get_or_none(Contact.uid == uid)
        contact = found and lookup.lock_contact(found.id)
        if contact is None or contact.address is None:
            return
        requested_mail_limit.lock_address(database, contact.address_key)
        address = email_address.Address(contact.address, contact.address_key)
        enqueue_link(contact, "see", address, language=language, now=now)


def enqueue_link(
    contact: Contact, purpose: str, address: email_address.Address, *, language: str, now: datetime
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
        at = requested_mail_limit.find_next_link_time(address.key, purpose, now=now)
        create_link(contact, purpose, address, language=language, now=at)


def create_link(
    contact: Contact, purpose: str, address: email_address.Address, *, language: str, now: datetime
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
    return None if found is None else describe_link(found, now=now)


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
    mailing_list = lookup.read_list_facts(found.contact.list)
    return Opened(
        authority=authority,
        contact=found.contact_id,
        uid=found.contact.uid,
        language=mailing_list.pick_language(found.language),
        ends_at=found.at + HOUR,
        mailing_list=mailing_list,
    )


def lock_opened(authority: str, *, now: datetime) -> Contact | None:
    """Return the contact whom an authority is about, locked; None once its hour is over."""
    opened = find_opened(authority, now=now)
    if opened is None:
        return None
    contact = lookup.lock_contact(opened.contact)
    # It may have been erased while this waited for the lock.
    return contact if contact.erased_at is None else None


def describe_link(found: FreshLink, *, now: datetime) -> Link:
    """Return a link as its page shows it."""
    mailing_list = lookup.read_list_facts(found.contact.list)
    return Link(
        uid=found.contact.uid,
        state=_state(found, now),
        address=email_address.in_part(found.address),
        is_own=found.address_key == found.contact.address_key,
        language=mailing_list.pick_language(found.language),
        ends_at=found.at + HOUR,
        mailing_list=mailing_list,
    )


def _state(found: FreshLink, now: datetime) -> LinkState:
    if found.used_at is not None:
        return "used"
    return "good" if found.at > now - HOUR else "late"


def _digest(authority: str) -> str:
    return hashlib.sha256(authority.encode()).hexdigest()
