"""Correcting name, language and address (GDPR art. 16).

The old values stay in the evidence, as they prove what was answered from which address (art. 7(1),
art. 17(3)(e)). The contact itself is correct at once (art. 5(1)(d)).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from repermit import email_address
from repermit.contacts import erasure, lookup, requested_mails_per_day
from repermit.db import background_tasks
from repermit.db.connection import Database, lock_rows
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.mails import FreshLink, Mail
from repermit.evidence import chain, entries
from repermit.privacy.data_links import (
    MoveOutcome,
    MoveResult,
    consume_link,
    create_link,
    describe_link,
    enqueue_link,
    lock_contact,
)
from repermit.rules.consent import MailKind, Reason, Status
from repermit.settings.definitions import Settings
from repermit.suppression import suppressions


def correct_data(
    database: Database,
    *,
    authority: str,
    name: str,
    language: str,
    now: datetime,
    trace: Mapping[str, str],
) -> bool | None:
    """Correct a person's name and language.

    Returns whether anything changed; None if the access has expired.
    """
    with database.atomic():
        contact = lock_contact(authority, now=now)
        if contact is None:
            return None
        changed = {
            field: value
            for field, value in (("name", name), ("language", language))
            if value != getattr(contact, field)
        }
        if changed:
            Contact.update(**changed).where(Contact.id == contact.id).execute()
            before = {"name": contact.name} if "name" in changed else {}
            _record_correction(contact.id, {"fields": sorted(changed)}, before, trace, now=now)
        return bool(changed)


def ask_new_address(
    database: Database, *, authority: str, address: str, language: str, now: datetime
) -> bool | None:
    """Enqueue a mail to a new address with a link that confirms it, at most three a day.

    The mail waits if others have requested mails to that address. The result does not reveal
    whether the list has that address.

    - Returns None if the access has expired, and False for the contact's own address.
    - Raises AddressError for an invalid address.
    """
    new_address = email_address.parse(address)
    with database.atomic():
        contact = lock_contact(authority, now=now)
        if contact is None:
            return None
        if new_address.sending == contact.address:
            return False
        requested_mails_per_day.lock_address(database, new_address.key)
        if requested_mails_per_day.may_ask_new_address(contact.id, now=now):
            enqueue_link(contact, "address", new_address, language=language, now=now)
        return True


def confirm_new_address(
    database: Database,
    *,
    uid: str,
    settings: Settings,
    now: datetime,
    trace: Mapping[str, str],
) -> MoveResult | None:
    """Store a new address after its reader has confirmed it; None without such a link.

    The former address is suppressed and notified, unless only upper and lower case differ, and
    unused links are invalidated. An address that has, or had, a contact of its own is not taken
    over: its holder can sign up.
    """
    with database.atomic():
        fresh_link: FreshLink | None = FreshLink.get_or_none(
            FreshLink.uid == uid, FreshLink.purpose == "address"
        )
        if fresh_link is None:
            return None
        contact = lookup.lock_contact(fresh_link.contact_id)
        link = describe_link(fresh_link, now=now)
        if not consume_link(uid, "address", now=now):
            outcome: MoveOutcome = "late" if link.state == "late" else "used"
            return MoveResult(outcome=outcome, link=link)
        requested_mails_per_day.lock_address(database, fresh_link.address_key)
        if not _is_address_free(contact, fresh_link.address_key, settings.fingerprint_key):
            return MoveResult(outcome="taken", link=link)
        has_left = contact.address_key != fresh_link.address_key
        _move_contact(contact, fresh_link, settings.fingerprint_key, trace, now)
        return MoveResult(outcome="moved", link=link, has_left=has_left)


def _is_address_free(contact: Contact, key: str, fingerprint_key: bytes) -> bool:
    """Say whether no other contact or suppression has an address."""
    others = Contact.select().where(
        Contact.list == contact.list_id, Contact.address_key == key, Contact.id != contact.id
    )
    suppressed_for_others = Suppression.select().where(
        Suppression.fingerprint == email_address.fingerprint(fingerprint_key, key),
        (Suppression.list == contact.list_id) | Suppression.list.is_null(),
        Suppression.subject != contact.subject,
    )
    return not (others.exists() or suppressed_for_others.exists())


def _move_contact(
    contact: Contact,
    fresh_link: FreshLink,
    fingerprint_key: bytes,
    trace: Mapping[str, str],
    now: datetime,
) -> None:
    before = email_address.Address(contact.address or "", contact.address_key)
    background_tasks.invalidate_upload_counts(contact.list_id)
    Contact.update(
        address=fresh_link.address, address_key=fresh_link.address_key, has_predecessor=True
    ).where(Contact.id == contact.id).execute()
    FreshLink.update(used_at=now).where(
        FreshLink.contact == contact, FreshLink.used_at.is_null()
    ).execute()
    erasure.delete_sign_ups(contact.list_id, [before.key])
    if before.key != fresh_link.address_key:
        _move_suppression(contact, before.key, fresh_link.address_key, fingerprint_key, now)
        create_link(contact, "changed", before, language=fresh_link.language, now=now)
    consent = {
        "fields": ["address"],
        "requested_at": fresh_link.at.isoformat(),
        "confirmed_at": now.isoformat(),
    }
    _record_correction(
        contact.id, consent, {"address": email_address.mask_address(before.sending)}, trace, now=now
    )


def _move_suppression(
    contact: Contact, before: str, after: str, fingerprint_key: bytes, now: datetime
) -> None:
    """Suppress the new address of a removed contact, or the former address of another contact.

    - A removed contact stays removed under the new address.
    - The former address of another contact gets no more mail, whatever old file brings it back, as
      the person says that it is no longer theirs.
    - For a contact that only an import removed, both are suppressed: if that import is undone, the
      contact is on the list with the new address.
    """
    old, new = (email_address.fingerprint(fingerprint_key, key) for key in (before, after))
    former = _make_suppression(contact, old, Reason.REQUEST, now)._replace(has_moved=True)
    if contact.status == Status.REMOVED:
        removed = _make_suppression(contact, new, contact.reason, contact.status_at)
        file = _find_file(contact, old)
        both = [removed._replace(imported_by=file), former]
        suppressions.add_suppressions(contact.list, both if file is not None else [removed])
    else:
        suppressions.delete_suppressions(
            Suppression.list == contact.list_id, Suppression.fingerprint == new
        )
        suppressions.add_suppressions(contact.list, [former])


def _find_file(contact: Contact, fingerprint: str) -> int | None:
    """Return the id of the import that alone suppresses a contact's address; None without one."""
    number: int | None = (
        Suppression.select(Suppression.imported_by)
        .where(Suppression.list == contact.list_id, Suppression.fingerprint == fingerprint)
        .scalar()
    )
    return number


def _make_suppression(
    contact: Contact, fingerprint: str, reason: str, at: datetime
) -> suppressions.NewSuppression:
    return suppressions.NewSuppression(
        fingerprint=fingerprint, subject=contact.subject, reason=reason, at=at
    )


def _record_correction(
    number: int,
    consent: Mapping[str, Any],
    before: Mapping[str, str],
    trace: Mapping[str, str],
    *,
    now: datetime,
) -> None:
    """Append the entry of a correction; for a contact with an ask, also the former values.

    Without these, a proof could not show the ask as it was (GDPR art. 7(1)). A former address is
    masked.
    """
    contact: Contact = lock_rows(Contact.select().where(Contact.id == number)).get()
    is_asked = Mail.select().where(Mail.contact == contact, Mail.kind == MailKind.ASK).exists()
    chain.append(
        entries.Entry(
            event="corrected",
            at=now,
            actor="person",
            list=contact.list.slug,
            subject=contact.subject,
            consent={"method": "page", **consent},
            person={
                "address": contact.address,
                "name": contact.name,
                "link": contact.uid,
                **({"before": before} if before and is_asked else {}),
            },
            trace=trace,
        )
    )
