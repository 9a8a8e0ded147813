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

# --- The transaction of an erasure at the person's or an admin's request. -------------------------


@contextmanager
def open_erasure(
    database: Database,
    list_id: int,
    address_key: str,
    *,
    act: Act,
    fingerprint_key: bytes,
) -> Iterator[Callable[[Contact], DeletionCounts]]:
    """Open a transaction, and yield a function that erases a contact in it.

    The address is first deleted from imports that are under way, as they must not bring it back.
    That is done before the transaction, since a step of an import locks its task before contacts.
    """
    erase_staged(database, list_id, address_key)
    with database.atomic():
        yield partial(contacts_erasure.erase_contact, act=act, fingerprint_key=fingerprint_key)


# --- Erasing at a person's request (GDPR art. 17). ------------------------------------------------


class ErasureOutcome(StrEnum):
    """The data that an erasure found for an address on a list.

    - `contact`: a contact, which is erased now.
    - `sign_up`: only unconfirmed sign-ups, which are deleted.
    - `fingerprint`: only the fingerprint in a suppression, as after an earlier erasure.
    - `nothing`.
    """

    CONTACT = "contact"
    SIGN_UP = "sign_up"
    FINGERPRINT = "fingerprint"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class ErasureResult:
    """The result of an erasure on one list.

    - `status`, `reason`: the contact's before the erasure; None and "" without a contact.
    - `suppressed`: whether a fingerprint is stored, by which the address is recognised.
    - `beyond`: the copies that the erasure cannot reach.
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
    """The results of erasing an address, and the places that still have it.

    - `lists`: the results on one list, or on all.
    - `elsewhere`: other lists that have the address.
    - `is_user`: whether a user logs in with it.
    - `unfinished`: temporary files that may contain it; they are being written, or could not be
      deleted.
    - `is_wiped`: False while a reader, such as a large export, keeps SQLite's log from being wiped;
      the job wipes it later.
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
    """Erase all data of an address, on one list or (None) on all.

    Each list has a transaction of its own, so that lock times do not grow with the number of lists.
    After a kill some lists are erased; the same call erases the others.

    A contact stays suppressed. For an unknown address nothing is stored, since the person has asked
    to be forgotten.

    - `suppress`: also stores the fingerprint of an unknown address, so that no later import brings
      it back (art. 21(3)).

    Raises AddressError, and Refused for the earlier address of a contact that has another one now;
    nothing is erased then.
    """
    key = email_address.parse(address).key
    lists = (
        [mailing_list] if mailing_list else list(MailingList.select().order_by(MailingList.slug))
    )
    for target in lists:
        _require_erasable(target, key, settings.fingerprint_key)
    act = Act(at=now, actor=actor)
    results = [
        _erase_on_list(database, target, key, suppress=suppress, settings=settings, act=act)
        for target in lists
    ]
    others: tuple[str, ...] = tuple(
        contact.list.slug
        for contact in Contact.select().where(
            Contact.address_key == key, Contact.list.not_in([target.id for target in lists])
        )
    )
    return AddressErasure(
        lists=tuple(results),
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
    """Erase a contact, given its id; the job wipes the database's files within a minute.

    Raises NotFound, also for a contact that is already erased.
    """
    # An erased contact has no address that an import could have.
    address_key = admin_requests.find_contact(mailing_list, number).address_key
    with open_erasure(
        database,
        mailing_list.id,
        address_key,
        act=Act(at=now, actor=actor),
        fingerprint_key=settings.fingerprint_key,
    ) as erase:
        contact = lookup.lock_contact(admin_requests.find_contact(mailing_list, number).id)
        if contact.erased_at is not None:
            raise NotFound("nothing is held of this contact any more")
        return erase(contact)


def _require_erasable(mailing_list: MailingList, key: str, fingerprint_key: bytes) -> None:
    """Raise Refused for the earlier address of a contact that has another one now."""
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
    """Erase an address on a list in one transaction, then find the external copies."""
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
    """Delete the unconfirmed sign-ups of an address without a contact.

    Returns the erased contact that had it, if any, and a function that makes the result.
    """
    known = _find_suppression(mailing_list, fingerprint)
    erased_contact = _find_erased_contact(mailing_list, known)
    sign_ups = contacts_erasure.delete_sign_ups(mailing_list.id, [key])
    entries = []
    if sign_ups:
        consent = {"seqs": [], "parts": [], "sign_ups": sign_ups}
        entries.append(_make_entry("erased", mailing_list, act, consent))
    # The undo of an import lifts its suppressions, and must not lift this one.
    may_end = erased_contact is None and known is not None and known.imported_by_id is not None
    if suppress and (known is None or may_end):
        known = _suppress_address(mailing_list, fingerprint, act)
        consent = {"reason": Reason.REQUEST, "whose": fingerprint}
        entries.append(_make_entry("suppressed", mailing_list, act, consent, known))
    chain.append(*entries)
    outcome = ErasureOutcome.FINGERPRINT if known and not suppress else ErasureOutcome.NOTHING
    return erased_contact, partial(
        ErasureResult,
        found=ErasureOutcome.SIGN_UP if sign_ups else outcome,
        status=None,
        reason=known.reason if known else "",
        erased=DeletionCounts(
            contacts=0, removed=0, unsent=0, sign_ups=sign_ups, replies=0, entries=0
        ),
        suppressed=known is not None,
    )


def _find_suppression(mailing_list: MailingList, fingerprint: str) -> Suppression | None:
    """Return the suppression of an address for a list, preferred to the one for all lists."""
    suppressions_of_address = Suppression.select().where(
        Suppression.fingerprint == fingerprint,
        (Suppression.list == mailing_list) | Suppression.list.is_null(),
    )
    first: Suppression | None = suppressions_of_address.order_by(Suppression.list.is_null()).first()
    return first


def _suppress_address(mailing_list: MailingList, fingerprint: str, act: Act) -> Suppression | None:
    """Suppress an address that was never stored, under a new subject."""
    suppression = suppressions.NewSuppression(
        fingerprint=fingerprint, subject=new_id(), reason=Reason.REQUEST, at=act.at
    )
    suppressions.add_suppressions(mailing_list, [suppression])
    return _find_suppression(mailing_list, fingerprint)


def _make_entry(
    event: str,
    mailing_list: MailingList,
    act: Act,
    consent: dict[str, object],
    known: Suppression | None = None,
) -> Entry:
    return Entry(
        event=event,
        at=act.at,
        actor=act.actor,
        list=mailing_list.slug,
        subject=known.subject if known else "",
        consent=consent,
    )


def _find_erased_contact(mailing_list: MailingList, known: Suppression | None) -> Contact | None:
    """Return the newest erased contact with the subject of an address's suppression.

    Raises Refused if the person has a contact now, under another address.
    """
    if known is None:
        return None
    if lookup.find_current_contact(mailing_list.id, known.subject):
        raise Refused(
            "this was the earlier address of somebody who is on %(list)s with another one, and "
            "the record still has it; nothing was erased there: forget the address that they have "
            "now",
            list=mailing_list.slug,
        )
    return next(iter(lookup.list_erased_contacts(mailing_list.id, known.subject)), None)
