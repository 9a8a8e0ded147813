"""Looking up contacts, and making new ones.

May import models and what lies below.
"""

from __future__ import annotations

from typing import Any

from repermit import addresses
from repermit.consent import Basis, CampaignState, MailKind, MailState, Status
from repermit.messages import MailingListFacts
from repermit.models import (
    Campaign,
    Contact,
    Mail,
    MailingList,
    Suppression,
    latest_campaign,
    lock_rows,
    new_id,
)


def is_undecided(campaign: Campaign) -> Any:
    """Return consent.is_undecided, for a contact that the campaign has asked, as a condition."""
    unconfirmed = Contact.status == Status.UNCONFIRMED
    if not campaign.include_thin:
        return unconfirmed
    return unconfirmed | ((Contact.status == Status.CONFIRMED) & (Contact.basis == Basis.THIN))


def lock(contact_id: int) -> Contact:
    """Return the contact as it is now, locked until the transaction ends."""
    found: Contact = lock_rows(Contact.select().where(Contact.id == contact_id)).get()
    return found


def fingerprint_of(contact: Contact, key: bytes) -> str:
    """Return the fingerprint of a contact's address."""
    return addresses.fingerprint(key, contact.address_key)


def is_suppressed(list_id: int, fingerprint: str) -> bool:
    """Say whether an address is suppressed for this list or for all."""
    return bool(
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == list_id) | Suppression.list.is_null(),
        )
        .exists()
    )


def list_facts(mailing_list: MailingList) -> MailingListFacts:
    """Return what a reader is told about a list, as it is now."""
    return MailingListFacts(
        slug=mailing_list.slug,
        name=mailing_list.name,
        purpose=mailing_list.purpose,
        frequency=mailing_list.frequency,
        privacy_url=mailing_list.privacy_url,
        language=mailing_list.language,
        sender=mailing_list.sender,
        sensitive=mailing_list.sensitive,
    )


def new_contact(mailing_list: MailingList, address: addresses.Address, **more: Any) -> Contact:
    """Return a contact that is not saved yet, with fresh random `uid` and `subject`."""
    return Contact(
        list=mailing_list,
        uid=new_id(),
        subject=new_id(),
        address=address.sending,
        address_key=address.key,
        **more,
    )


def unasked(mailing_list: MailingList) -> Any:
    """Return a query for who could not be asked in the list's latest campaign.

    Rows are contacts with `mail_state`, `mail_reason`, `mail_bounce` and `reply_code` of their
    ask; one that came back asked nobody. Whoever is still unconfirmed when a campaign has closed
    belongs here, since silence would have removed everybody who was asked in time (DESIGN
    invariant 4).
    """
    campaign = latest_campaign(mailing_list)
    over = campaign is not None and campaign.state == CampaignState.CLOSED
    given_up = () if over else (Mail.state.in_(_GIVEN_UP) | (Mail.bounce != ""),)
    return (
        Contact.select(
            Contact,
            Mail.state.alias("mail_state"),
            Mail.reason.alias("mail_reason"),
            Mail.bounce.alias("mail_bounce"),
            Mail.reply_code.alias("reply_code"),
        )
        .join(Mail, on=(Mail.contact == Contact.id))
        .where(
            Mail.campaign == campaign,
            Mail.kind == MailKind.ASK,
            Contact.status == Status.UNCONFIRMED,
            *given_up,
        )
        .order_by(Contact.id)
    )


_GIVEN_UP = (MailState.FAILED, MailState.IN_DOUBT, MailState.DROPPED)
