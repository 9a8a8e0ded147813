"""An admin's acts for one person: removing them at their request, or adding them by hand.

Each act is one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from repermit import email_address
from repermit.contacts.lookup import (
    describe_unseen_list,
    insert_contact,
    is_suppressed,
    lock_contact,
    make_contact,
    make_fingerprint,
    read_list_facts,
)
from repermit.contacts.status_changes import Act, confirm_contact, remove_contacts
from repermit.db.background_tasks import invalidate_upload_counts
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.errors import NotFound, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import Basis, Reason, Status, require_customer_basis
from repermit.settings.definitions import Settings


def remove_at_request(
    database: Database,
    mailing_list: MailingList,
    number: int,
    *,
    note: str,
    settings: Settings,
    now: datetime,
    actor: str,
) -> None:
    """Remove a contact at the person's request.

    - `number`: the contact's id.
    - `note`: how the person asked for it.

    Raises NotFound, TransitionRefused for a removed contact, and Refused for an empty note.
    """
    if not note.strip():
        raise Refused("say how the person asked for it: by phone, by letter, by mail")
    with database.atomic():
        contact = find_contact(mailing_list, number)
        remove_contacts(
            [lock_contact(contact.id)],
            reason=Reason.REQUEST,
            act=Act(at=now, actor=actor, person={"note": note.strip()}),
            fingerprint_key=settings.fingerprint_key,
        )


def find_contact(mailing_list: MailingList, number: int) -> Contact:
    """Return the list's contact with this id; raises NotFound."""
    contact: Contact | None = Contact.get_or_none(
        Contact.list == mailing_list, Contact.id == number
    )
    if contact is None:
        raise NotFound("there is no such contact on %(list)s", list=mailing_list.slug)
    return contact


@dataclass(frozen=True, kw_only=True)
class NewContact:
    """A contact to be added by hand.

    - `basis`: None for a contact still to be asked, `imported` or `thin` for a registered opt-in
      with or without the wording of its form, or `customer`.
    - `proof`: what proves the basis: when and how the person signed up, or that the conditions of
      the customer basis hold.
    - `wording`: the text of the sign-up form.
    """

    address: str
    name: str = ""
    language: str = ""
    source: str
    basis: Basis | None = None
    basis_at: datetime | None = None
    proof: str = ""
    wording: str = ""


_BASES = (None, Basis.IMPORTED, Basis.THIN, Basis.CUSTOMER)


def add_contact(
    database: Database,
    mailing_list: MailingList,
    person: NewContact,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
) -> Contact:
    """Add a contact to the list, with evidence of the basis.

    An unconfirmed contact is asked by the next campaign. Raises AddressError. Raises Refused for an
    address that is on the list, or was removed before (only the person can undo that), and for a
    basis without proof.
    """
    address = email_address.parse(person.address)
    _require_proof(mailing_list, person)
    with database.atomic():
        contact = make_contact(
            mailing_list,
            address,
            name=person.name.strip(),
            language=person.language,
            source=person.source.strip(),
            since=person.basis_at,
            status=Status.UNCONFIRMED,
            status_at=now,
        )
        _refuse_known_address(contact, settings)
        invalidate_upload_counts(mailing_list.id)
        if not insert_contact(contact):
            raise _make_known_address_error()
        _set_status(contact, person, settings, now, actor)
    return contact


def _require_proof(mailing_list: MailingList, person: NewContact) -> None:
    if person.basis not in _BASES:
        raise Refused("nobody can be added by hand in this way")
    if not person.source.strip():
        raise Refused("say where the address comes from; the person reads it")
    if person.basis and not person.proof.strip():
        raise Refused(
            LazyText(
                "say what shows it: without a proof somebody is to be asked first", code="proof"
            )
        )
    if person.basis is Basis.IMPORTED and not person.wording.strip():
        raise Refused(
            LazyText("give the text of the form; without it the proof is thin", code="wording")
        )
    if person.basis is Basis.CUSTOMER:
        require_customer_basis(sensitive=mailing_list.sensitive, attested=True)


def _refuse_known_address(contact: Contact, settings: Settings) -> None:
    same_address = Contact.select().where(
        Contact.list == contact.list_id, Contact.address_key == contact.address_key
    )
    if same_address.exists():
        raise _make_known_address_error()
    if is_suppressed(contact.list_id, make_fingerprint(contact, settings.fingerprint_key)):
        raise Refused(
            LazyText(
                "this person said No before, or was taken off; only they themselves can come back, "
                "on the list's sign-up page",
                code="address",
            )
        )


def _make_known_address_error() -> Refused:
    return Refused(
        LazyText("this address is on the list already, or was taken off it", code="address")
    )


def _set_status(
    contact: Contact, person: NewContact, settings: Settings, now: datetime, actor: str
) -> None:
    """Give a new contact its status, with its evidence."""
    consent_part = {
        "method": "by_hand",
        **describe_unseen_list(read_list_facts(contact.list)),
        "wording": chain.store_wording(person.wording) if person.wording.strip() else "",
        "basis_at": person.basis_at.isoformat() if person.basis_at else "",
    }
    person_part = {"source": contact.source, "proof": person.proof.strip()}
    act = Act(at=now, actor=actor, consent=consent_part, person=person_part)
    if person.basis in (Basis.IMPORTED, Basis.THIN):
        confirm_contact(
            contact, basis=person.basis, act=act, fingerprint_key=settings.fingerprint_key
        )
        Contact.update(basis_at=person.basis_at).where(Contact.id == contact.id).execute()
        return
    if person.basis is Basis.CUSTOMER:
        Contact.update(
            status=Status.CUSTOMER, basis=Basis.CUSTOMER, basis_at=person.basis_at or now
        ).where(Contact.id == contact.id).execute()
    chain.append(
        Entry(
            event="customer" if person.basis else "added",
            at=now,
            actor=actor,
            list=contact.list.slug,
            subject=contact.subject,
            consent={"basis": str(person.basis or ""), **consent_part},
            person={
                "address": contact.address,
                "name": contact.name,
                "link": contact.uid,
                **person_part,
            },
        )
    )
