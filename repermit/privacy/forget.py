"""Erasing all data of a person at their request (GDPR art. 17), on one list or on all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from repermit import email_address
from repermit.contacts import admin_requests, lookup
from repermit.contacts import erasure as contacts_erasure
from repermit.contacts.erasure import DeletionCounts
from repermit.contacts.status_changes import Act
from repermit.db.background_tasks import JobKind, foreground_lock
from repermit.db.connection import Database, lock_rows
from repermit.db.models.accounts import User
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.secure_delete import wipe_deleted_rows
from repermit.db.staged_rows import erase_staged
from repermit.errors import NotFound, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.privacy.external_copies import ExternalCopies, find_external_copies
from repermit.rules.consent import Reason, Status
from repermit.settings.definitions import Settings
from repermit.suppression import suppressions
from repermit.temporary_files import UnfinishedFile, make_temporary_files

# --- The transaction in which a person is erased at their wish, or at an admin's. -----------------


@contextmanager
def open_erasure(
    database: Database,
    list_id: int,
    address_key: str,
    *,
    act: Act,
    fingerprint_key: bytes,
) -> Iterator[Callable[[Contact], DeletionCounts]]:
    """Begin a transaction, and yield what erases in it whoever has an address on a list.

    Files that are half taken in lose the address before: a step of theirs locks its task before
    contacts, and must not bring the address back afterwards.
    """
    erase_staged(database, list_id, address_key)
    with database.atomic():
        yield partial(contacts_erasure.erase_contact, act=act, fingerprint_key=fingerprint_key)


# --- Erasing at a person's request (GDPR art. 17). ------------------------------------------------


class ErasureOutcome(StrEnum):
    """The data of an address on a list.

    `contact`: a contact, which is erased now; `sign_up`: only sign-ups that nobody confirmed, which
    are deleted; `fingerprint`: only that of an address that is not asked, as after an earlier
    erasure; `nothing`.
    """

    CONTACT = "contact"
    SIGN_UP = "sign_up"
    FINGERPRINT = "fingerprint"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class ErasureResult:
    """The result of an erasure on one list.

    `status` and `reason` are what the contact was, None and "" without one. `suppressed` says
    whether a fingerprint is kept by which the address is known again.
    """

    list: str
    found: ErasureOutcome
    status: Status | None
    reason: str
    erased: DeletionCounts
    suppressed: bool
    beyond: ExternalCopies


@dataclass(frozen=True, kw_only=True)
class AddressErasure:
    """What was done on one list or on all, and where else the address still stands here.

    `elsewhere` are other lists that hold it; `is_user` tells that somebody logs in with it.
    `unfinished` are files that were half written and are still there, since a program writes them
    now or they could not be deleted: somebody's address may be in them.
    `is_wiped` is false while a program still reads what SQLite's log has to keep for it, such as a
    large export; the job wipes it afterwards.
    """

    lists: tuple[ErasureResult, ...]
    elsewhere: tuple[str, ...]
    is_user: bool
    unfinished: tuple[UnfinishedFile, ...]
    is_wiped: bool


def erase_address(
    database: Database,
    address: str,
    *,
    mailing_list: MailingList | None,
    suppress: bool = False,
    settings: Settings,
    now: datetime,
    actor: str,
) -> AddressErasure:
    """Erase whatever is held of an address, on one list or (None) on all.

    Each list has a transaction of its own, so that nobody waits longer the more lists there are.
    After a kill the lists before are erased; the same call once more does the others.

    Who was held stays suppressed. For an address that was not held nothing is written down, since
    whoever asks to be forgotten has not asked to be noted: only with `suppress` its fingerprint is
    kept, so that no later file brings it back (art. 21(3)). Raises AddressError, and Refused for
    the earlier address of somebody who is held under another: found before the first list is begun.
    """
    key = email_address.parse(address).key
    every = MailingList.select().order_by(MailingList.slug)
    lists = [mailing_list] if mailing_list else list(every)
    for one in lists:
        _require_erasable(one, key, settings.fingerprint_key)
    act = Act(at=now, actor=actor)
    done = [
        _erase_on_list(database, one, key, suppress=suppress, settings=settings, act=act)
        for one in lists
    ]
    others: tuple[str, ...] = tuple(
        found.list.slug
        for found in Contact.select().where(
            Contact.address_key == key, Contact.list.not_in([one.id for one in lists])
        )
    )
    return AddressErasure(
        lists=tuple(done),
        elsewhere=tuple(sorted(others)),
        is_user=is_address_of_user(key),
        unfinished=make_temporary_files(settings).sweep(),
        is_wiped=_try_wiping(database),
    )


def _try_wiping(database: Database) -> bool:
    with foreground_lock(database, JobKind.ERASE):
        return wipe_deleted_rows(database)


def is_address_of_user(address_key: str) -> bool:
    """Say whether a user logs in with an address, given its folded key."""
    return bool(User.select().where(User.email == address_key).exists())


def erase_contact_by_id(
    database: Database,
    mailing_list: MailingList,
    number: int,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
) -> DeletionCounts:
    """Erase the contact of this number; the job wipes what the files still hold, within a minute.

    Raises NotFound, also for one who was erased before.
    """
    # One who is erased already has no address that a file could hold.
    address_key = admin_requests.find_contact(mailing_list, number).address_key
    with open_erasure(
        database,
        mailing_list.id,
        address_key,
        act=Act(at=now, actor=actor),
        fingerprint_key=settings.fingerprint_key,
    ) as erase:
        found = lookup.lock_contact(admin_requests.find_contact(mailing_list, number).id)
        if found.erased_at is not None:
            raise NotFound("nothing is held of this contact any more")
        return erase(found)


def _require_erasable(mailing_list: MailingList, key: str, fingerprint_key: bytes) -> None:
    """Raise Refused for the earlier address of somebody whom a list holds under another one."""
    if not _select_contact(mailing_list, key).exists():
        fingerprint = email_address.fingerprint(fingerprint_key, key)
        _find_erased_contact(mailing_list, _find_suppression(mailing_list, fingerprint))


def _select_contact(mailing_list: MailingList, key: str) -> Any:
    return Contact.select().where(Contact.list == mailing_list, Contact.address_key == key)


def _erase_on_list(
    database: Database,
    mailing_list: MailingList,
    key: str,
    *,
    suppress: bool,
    settings: Settings,
    act: Act,
) -> ErasureResult:
    """Erase in one transaction, and look for what is out of reach after it."""
    secret = settings.fingerprint_key
    with open_erasure(database, mailing_list.id, key, act=act, fingerprint_key=secret) as erase:
        contact: Contact | None = lock_rows(_select_contact(mailing_list, key)).first()
        if contact is None:
            fingerprint = email_address.fingerprint(secret, key)
            contact, make_result = _erase_unknown(
                mailing_list, key, fingerprint, suppress=suppress, act=act
            )
        else:
            make_result = partial(
                ErasureResult,
                found=ErasureOutcome.CONTACT,
                status=Status(contact.status),
                reason=contact.reason,
                erased=erase(contact),
                suppressed=True,
            )
    beyond = find_external_copies(mailing_list, contact)
    return make_result(list=mailing_list.slug, beyond=beyond)


def _erase_unknown(
    mailing_list: MailingList, key: str, fingerprint: str, *, suppress: bool, act: Act
) -> tuple[Contact | None, Callable[..., ErasureResult]]:
    """Delete what an address has left that is no contact: sign-ups that nobody confirmed.

    Returns the contact that it once was, too.
    """
    known = _find_suppression(mailing_list, fingerprint)
    once = _find_erased_contact(mailing_list, known)
    sign_ups = contacts_erasure.delete_sign_ups(mailing_list.id, [key])
    entries = []
    if sign_ups:
        told = {"seqs": [], "parts": [], "sign_ups": sign_ups}
        entries.append(_make_entry("erased", mailing_list, act, told))
    # What a file alone has suppressed may be taken back with it, and this may not.
    may_end = once is None and known is not None and known.imported_by_id is not None
    if suppress and (known is None or may_end):
        known = _suppress_address(mailing_list, fingerprint, act)
        told = {"reason": Reason.REQUEST, "whose": fingerprint}
        entries.append(_make_entry("suppressed", mailing_list, act, told, known))
    chain.append(*entries)
    found = ErasureOutcome.FINGERPRINT if known and not suppress else ErasureOutcome.NOTHING
    return once, partial(
        ErasureResult,
        found=ErasureOutcome.SIGN_UP if sign_ups else found,
        status=None,
        reason=known.reason if known else "",
        erased=DeletionCounts(
            contacts=0, removed=0, unsent=0, sign_ups=sign_ups, replies=0, entries=0
        ),
        suppressed=known is not None,
    )


def _find_suppression(mailing_list: MailingList, fingerprint: str) -> Suppression | None:
    """Return what suppresses an address for a list: its own before the one for all lists."""
    found = Suppression.select().where(
        Suppression.fingerprint == fingerprint,
        (Suppression.list == mailing_list) | Suppression.list.is_null(),
    )
    first: Suppression | None = found.order_by(Suppression.list.is_null()).first()
    return first


def _suppress_address(mailing_list: MailingList, fingerprint: str, act: Act) -> Suppression | None:
    """Suppress an address that was never held, under a fresh subject."""
    made = suppressions.NewSuppression(
        fingerprint=fingerprint, subject=new_id(), reason=Reason.REQUEST, at=act.at
    )
    suppressions.add_suppressions(mailing_list, [made])
    return _find_suppression(mailing_list, fingerprint)


def _make_entry(
    event: str,
    mailing_list: MailingList,
    act: Act,
    told: dict[str, object],
    known: Suppression | None = None,
) -> Entry:
    return Entry(
        event=event,
        at=act.at,
        actor=act.actor,
        list=mailing_list.slug,
        subject=known.subject if known else "",
        consent=told,
    )


def _find_erased_contact(mailing_list: MailingList, known: Suppression | None) -> Contact | None:
    """Return the contact that an address once was, by the subject of its suppression.

    Who came back after an erasure has a row of each time, of which this is the newest. Raises
    Refused for one who is still held, under another address.
    """
    if known is None:
        return None
    if lookup.find_current_contact(mailing_list.id, known.subject):
        raise Refused(
            "this was the earlier address of somebody whom %(list)s holds under another one, and "
            "the record still has it; nothing was erased there: forget the address that they have "
            "now",
            list=mailing_list.slug,
        )
    return next(iter(lookup.list_erased_contacts(mailing_list.id, known.subject)), None)
