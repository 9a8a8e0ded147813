"""Correcting name, language and address (GDPR art. 16).

The old words stay in the evidence, as the proof of what was answered from where (art. 7(1), art.
17(3)(e)); what is held of the person now is right at once (art. 5(1)(d)).
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
    """Correct a person's name and language; say whether anything changed, None if time is over."""
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

    A person may ask for three a day; what others asked for at that address makes it wait.

    Does the same whatever the list has of that address. Returns None once time is over, and False
    for the address that is held already. Raises AddressError for what is no address.
    """
    wanted = email_address.parse(address)
    with database.atomic():
        contact = lock_contact(authority, now=now)
        if contact is None:
            return None
        if wanted.sending == contact.address:
            return False
        requested_mails_per_day.lock_address(database, wanted.key)
        if requested_mails_per_day.may_ask_new_address(contact.id, now=now):
            enqueue_link(contact, "address", wanted, language=language, now=now)
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

    The address from before is suppressed and told. Links that went there are over. An address that
    the list knows by itself, or that has left it, is not taken over: its holder can sign up.
    """
    with database.atomic():
        found: FreshLink | None = FreshLink.get_or_none(
            FreshLink.uid == uid, FreshLink.purpose == "address"
        )
        if found is None:
            return None
        contact = lookup.lock_contact(found.contact_id)
        link = describe_link(found, now=now)
        if not consume_link(uid, "address", now=now):
            outcome: MoveOutcome = "late" if link.state == "late" else "used"
            return MoveResult(outcome=outcome, link=link)
        requested_mails_per_day.lock_address(database, found.address_key)
        if not _is_address_free(contact, found.address_key, settings.fingerprint_key):
            return MoveResult(outcome="taken", link=link)
        _move_contact(contact, found, settings.fingerprint_key, trace, now)
        return MoveResult(outcome="moved", link=link)


def _is_address_free(contact: Contact, key: str, fingerprint_key: bytes) -> bool:
    """Say whether an address may become a contact's: nobody else's, and nobody else's to leave."""
    others = Contact.select().where(
        Contact.list == contact.list_id, Contact.address_key == key, Contact.id != contact.id
    )
    left = Suppression.select().where(
        Suppression.fingerprint == email_address.fingerprint(fingerprint_key, key),
        (Suppression.list == contact.list_id) | Suppression.list.is_null(),
        Suppression.subject != contact.subject,
    )
    return not (others.exists() or left.exists())


def _move_contact(
    contact: Contact,
    found: FreshLink,
    fingerprint_key: bytes,
    trace: Mapping[str, str],
    now: datetime,
) -> None:
    before = email_address.Address(contact.address or "", contact.address_key)
    background_tasks.invalidate_upload_counts(contact.list_id)
    Contact.update(
        address=found.address, address_key=found.address_key, has_predecessor=True
    ).where(Contact.id == contact.id).execute()
    FreshLink.update(used_at=now).where(
        FreshLink.contact == contact, FreshLink.used_at.is_null()
    ).execute()
    erasure.delete_sign_ups(contact.list_id, [before.key])
    if before.key != found.address_key:
        _move_suppression(contact, before.key, found.address_key, fingerprint_key, now)
    create_link(contact, "changed", before, language=found.language, now=now)
    told = {
        "fields": ["address"],
        "requested_at": found.at.isoformat(),
        "confirmed_at": now.isoformat(),
    }
    _record_correction(
        contact.id, told, {"address": email_address.mask_address(before.sending)}, trace, now=now
    )


def _move_suppression(
    contact: Contact, before: str, after: str, fingerprint_key: bytes, now: datetime
) -> None:
    """Suppress the new address as far as its person has left, else the one from before.

    What somebody has left stays left under the new address too. Who has not left moves: to the old
    address, which by their own word is theirs no more, nothing is sent, whatever old file brings it
    back. Whom a file alone has taken off does both: if that is taken back, they have moved.
    """
    old, new = (email_address.fingerprint(fingerprint_key, key) for key in (before, after))
    moved = _make_suppressed(contact, old, Reason.REQUEST, now)._replace(has_moved=True)
    if contact.status == Status.REMOVED:
        left = _make_suppressed(contact, new, contact.reason, contact.status_at)
        file = _find_file(contact, old)
        both = [left._replace(imported_by=file), moved]
        suppressions.add_suppressions(contact.list, both if file is not None else [left])
    else:
        suppressions.delete_suppressions(
            Suppression.list == contact.list_id, Suppression.fingerprint == new
        )
        suppressions.add_suppressions(contact.list, [moved])


def _find_file(contact: Contact, fingerprint: str) -> int | None:
    """Return the number of the import by which alone a contact's address is suppressed."""
    number: int | None = (
        Suppression.select(Suppression.imported_by)
        .where(Suppression.list == contact.list_id, Suppression.fingerprint == fingerprint)
        .scalar()
    )
    return number


def _make_suppressed(
    contact: Contact, fingerprint: str, reason: str, at: datetime
) -> suppressions.NewSuppression:
    return suppressions.NewSuppression(
        fingerprint=fingerprint, subject=contact.subject, reason=reason, at=at
    )


def _record_correction(
    number: int,
    told: Mapping[str, Any],
    before: Mapping[str, str],
    trace: Mapping[str, str],
    *,
    now: datetime,
) -> None:
    """Record a correction; of who has been asked also what that mail said of them until now.

    Without it a proof could not show the mail as it was (GDPR art. 7(1)). An address stands in it
    in part only.
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
            consent={"method": "page", **told},
            person={
                "address": contact.address,
                "name": contact.name,
                "link": contact.uid,
                **({"before": before} if before and is_asked else {}),
            },
            trace=trace,
        )
    )
