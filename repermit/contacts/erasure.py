"""Erasing contacts: their data is deleted; a suppression and pseudonymous evidence stay.

Call it inside the caller's transaction, as its last step: evidence is appended last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from repermit.contacts.human_replies import delete_replies
from repermit.contacts.status_changes import Act, drop_unsent, remove_contacts
from repermit.db.connection import make_id_list, make_value_list
from repermit.db.models.contacts import Contact, Opening, SignUp
from repermit.db.models.mails import FreshLink
from repermit.db.secure_delete import request_wiping
from repermit.email_address import fingerprints
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import Dropped, Reason, Status
from repermit.suppression.suppressions import note_erasure, note_sign_ups_forgotten

_PARTS = ("person", "trace")


@dataclass(frozen=True, kw_only=True)
class DeletionCounts:
    """The counts of what an erasure deleted.

    - `contacts`: erased contacts; `removed` of these were still on the list.
    - `unsent`: dropped asks and reminders.
    - `entries`: evidence entries whose personal parts were erased.
    """

    contacts: int
    removed: int
    unsent: int
    sign_ups: int
    replies: int
    entries: int


def erase_contact(contact: Contact, *, act: Act, fingerprint_key: bytes) -> DeletionCounts:
    """Erase the data of one contact (GDPR art. 17); see `erase_contacts`."""
    return erase_contacts([contact], act=act, fingerprint_key=fingerprint_key)


def erase_contacts(
    contacts: Sequence[Contact], *, act: Act, fingerprint_key: bytes
) -> DeletionCounts:
    """Erase the data of contacts of one list; at least one, and all locked.

    Status, reason and dates stay, so that counts add up. A suppression and pseudonymous evidence
    stay, so that the contacts are not asked again. Contacts that are still on the list are removed
    first, with the reason `request`. Each contact gets an entry `erased`, a part of its proof.
    """
    present_contacts = [contact for contact in contacts if contact.status != Status.REMOVED]
    unsent = drop_unsent(present_contacts, Dropped.SUPPRESSED)
    if present_contacts:
        remove_contacts(
            present_contacts, reason=Reason.REQUEST, act=act, fingerprint_key=fingerprint_key
        )
    keys = [contact.address_key for contact in contacts]
    subjects = [contact.subject for contact in contacts]
    fingerprint_by_subject = dict(zip(subjects, fingerprints(fingerprint_key, keys), strict=True))
    note_erasure(
        contacts[0].list,
        [(fingerprint_by_subject[contact.subject], contact.subject) for contact in contacts],
        act.at,
    )
    ids = make_id_list(contact.id for contact in contacts)
    sign_ups = delete_sign_ups(contacts[0].list_id, keys)
    replies = delete_replies([contact.id for contact in contacts])
    FreshLink.delete().where(FreshLink.contact.in_(ids)).execute()
    Opening.delete().where(Opening.contact.in_(ids)).execute()
    Contact.update(
        address=None,
        address_key=Contact.uid,
        name="",
        language="",
        source="",
        since=None,
        erased_at=act.at,
    ).where(Contact.id.in_(ids)).execute()
    slug = contacts[0].list.slug
    seqs = chain.erase_parts_by_subject(subjects, _PARTS, slug=slug)
    chain.append(
        *(
            _make_entry(
                contact, slug, seqs[contact.subject], fingerprint_by_subject[contact.subject], act
            )
            for contact in contacts
        )
    )
    return DeletionCounts(
        contacts=len(contacts),
        removed=len(present_contacts),
        unsent=unsent,
        sign_ups=sign_ups,
        replies=replies,
        entries=sum(map(len, seqs.values())),
    )


def delete_sign_ups(list_id: int, address_keys: Sequence[str]) -> int:
    """Delete the sign-ups of these addresses on a list, with their mails; return how many.

    The journal records them, so that no backup brings them back.
    """
    # `+ 0` keeps the index on lists from being used instead of the one on addresses.
    conditions = (SignUp.list + 0 == list_id, SignUp.address_key.in_(make_value_list(address_keys)))
    return _delete_sign_ups(*conditions)


def delete_restored_sign_ups(uids: Sequence[str]) -> None:
    """Delete the sign-ups of these uids, which a backup brought back."""
    _delete_sign_ups(SignUp.uid.in_(uids))


def _delete_sign_ups(*conditions: Any) -> int:
    deleted_rows = SignUp.delete().where(*conditions).returning(SignUp.uid).execute()
    uids = [row.uid for row in deleted_rows]
    if uids:
        request_wiping()
    note_sign_ups_forgotten(uids)
    return len(uids)


def _make_entry(
    contact: Contact, slug: str, seqs: Sequence[int], fingerprint: str, act: Act
) -> Entry:
    """Return the entry of an erasure; `whose` is the fingerprint by which the proof is found."""
    return Entry(
        event="erased",
        at=act.at,
        actor=act.actor,
        list=slug,
        campaign=act.campaign,
        subject=contact.subject,
        consent={"seqs": seqs, "parts": _PARTS, "whose": fingerprint, **act.consent},
    )
