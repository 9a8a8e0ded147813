"""How an address stands on a list, for whoever asks by the address.

May import models and what lies below. Nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from repermit import addresses
from repermit.consent import Status
from repermit.contacts.looking import is_suppressed
from repermit.errors import AddressError
from repermit.models import Contact

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import MailingList

_MAILABLE = frozenset({Status.CONFIRMED, Status.CUSTOMER})


@dataclass(frozen=True, kw_only=True)
class AddressStanding:
    """How an address stands: `status` is None where the list does not have it.

    `since` is when it became so. An address that was erased is suppressed and nothing else is known
    of it. `subject` is "" without a contact.
    """

    status: Status | None
    reason: str
    basis: str
    since: datetime | None
    is_suppressed: bool
    subject: str

    @property
    def may_be_mailed(self) -> bool:
        """Whether the newsletter may go there: there is an opt-in, or the customer basis."""
        return self.status in _MAILABLE


def address_standing(
    mailing_list: MailingList, text: str, *, fingerprint_key: bytes
) -> AddressStanding:
    """Return how an address stands on a list; what is no address is on no list."""
    try:
        key = addresses.parse(text).key
    except AddressError:
        return _standing(None, suppressed=False)
    found: Contact | None = Contact.get_or_none(
        Contact.list == mailing_list, Contact.address_key == key
    )
    fingerprint = addresses.fingerprint(fingerprint_key, key)
    return _standing(found, suppressed=is_suppressed(mailing_list.id, fingerprint))


def find_held(list_id: int, subject: str) -> Contact | None:
    """Return who is held under the subject of an earlier address, or of somebody erased."""
    found: Contact | None = (
        Contact.select()
        .where(
            # By the index of subjects: `+ 0` keeps those that begin with the list from being used.
            Contact.list + 0 == list_id,
            Contact.subject == subject,
            Contact.has_predecessor,
            Contact.erased_at.is_null(),
        )
        .first()
    )
    return found


def find_erased(list_id: int, subject: str) -> list[Contact]:
    """Return what somebody was each time that they were erased, the newest first."""
    rows = Contact.select().where(
        Contact.list + 0 == list_id,
        Contact.subject == subject,
        Contact.erased_at.is_null(is_null=False),
    )
    return sorted(rows, key=attrgetter("id"), reverse=True)


def _standing(contact: Contact | None, *, suppressed: bool) -> AddressStanding:
    return AddressStanding(
        status=Status(contact.status) if contact else None,
        reason=contact.reason if contact else "",
        basis=contact.basis if contact else "",
        since=contact.status_at if contact else None,
        is_suppressed=suppressed,
        subject=contact.subject if contact else "",
    )
