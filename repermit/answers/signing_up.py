"""Signing up: an address typed into a form, and the contact that its holder's press makes of it.

May import contacts, evidence, models and consent. Double opt-in: the form alone does nothing but
owe a mail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit import addresses, contacts, evidence, messages
from repermit.consent import MailKind, Status
from repermit.models import (
    LARGEST_STEP,
    Contact,
    Mail,
    SignUp,
    Suppression,
    delete_in_steps,
    lock_rows,
    new_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database, MailingList


def sign_up(
    database: Database,
    mailing_list: MailingList,
    *,
    address: str,
    name: str,
    language: str,
    now: datetime,
) -> None:
    """Owe the holder of an address a mail with a link, three a day at most.

    It does the same whether or not the address is on the list, and says nothing about it. Raises
    AddressError for what is no address.
    """
    found = addresses.parse(address)
    with database.atomic():
        contacts.one_at_a_time(database, found.key)
        if not contacts.may_sign_up(found.key, now=now):
            return
        made = SignUp.create(
            list=mailing_list,
            uid=new_id(),
            address=found.sending,
            address_key=found.key,
            name=name,
            language=language,
            at=now,
        )
        Mail.create(
            list=mailing_list, sign_up=made, kind=MailKind.CONFIRM, due_at=now, message_id=""
        )
        contacts.forget_file_counts(mailing_list.id)


def forget_old_sign_ups(
    database: Database,
    *,
    now: datetime,
    chunk: int = LARGEST_STEP,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Delete what nobody confirmed in a month: addresses that anybody may have typed in.

    In steps of `chunk` at most. Returns how many there were.
    """
    return delete_in_steps(
        database,
        SignUp,
        SignUp.confirmed_at.is_null(),
        SignUp.at < now - contacts.SIGN_UPS_KEPT,
        holds_addresses=True,
        should_stop=should_stop,
        most_a_step=chunk,
    )


def contact_of(found: SignUp, arrived: datetime, settings: Settings) -> Contact:
    """Return the contact of a sign-up, locked; a new one, unsaved, if the list has none of it."""
    own = (Contact.list == found.list_id, Contact.address_key == found.address_key)
    contact: Contact | None = lock_rows(Contact.select().where(*own)).first()
    if contact is None:
        return _new_contact(found, arrived, settings)
    return contact


def adopt(found: SignUp, contact: Contact) -> None:
    """Save a contact as it has called itself in the form."""
    contact.address = found.address
    contact.name = found.name or contact.name
    contact.language = found.language or contact.language
    contact.save()


def _new_contact(found: SignUp, arrived: datetime, settings: Settings) -> Contact:
    address = addresses.Address(found.address, found.address_key)
    language = contacts.list_facts(found.list).pick(found.language)
    contact = contacts.new_contact(
        found.list,
        address,
        # Confirmed in the same transaction.
        status=Status.UNCONFIRMED,
        status_at=arrived,
        source=messages.translations(language).gettext("your own sign-up on our page"),
        since=arrived,
    )
    if subject := _known_subject(found, settings):
        contact.subject, contact.has_predecessor = subject, True
    return contact


def _known_subject(found: SignUp, settings: Settings) -> str:
    """Return the subject of somebody erased, so that their evidence stays one person's.

    An address from which somebody has moved is not theirs any more, also once they are erased:
    whoever signs up with it is taken for another person. Nor is theirs what another list has under
    that subject, with which a file of suppressions may have brought it here.
    """
    fingerprint = addresses.fingerprint(settings.fingerprint_key, found.address_key)
    known: Suppression | None = (
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == found.list_id) | Suppression.list.is_null(),
        )
        .order_by(Suppression.list.is_null())
        .first()
    )
    if known is None or contacts.find_held(found.list_id, known.subject):
        return ""
    slug = found.list.slug
    if evidence.told_elsewhere([known.subject], slug):
        return ""
    # Who was never erased here was never held, and had no other address to move to.
    is_theirs = evidence.erased_as(known.subject, slug) in {"", fingerprint}
    return known.subject if is_theirs else ""
