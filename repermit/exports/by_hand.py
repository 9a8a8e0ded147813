"""Addresses that no tool's CSV can have, since a spreadsheet would take them for a formula.

May import contacts, models, consent and what lies below. Nothing here writes.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from repermit import contacts
from repermit.addresses import as_people_write
from repermit.consent import Status
from repermit.exports.kinds import What
from repermit.models import Contact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.models import MailingList

# With what such an address begins; the guard's other signs cannot stand first in an address.
_SIGNS = "+-="
_MOST = 100
_STATUSES = {What.KEEP: (Status.CONFIRMED, Status.CUSTOMER), What.REMOVED: (Status.REMOVED,)}


def by_hand(mailing_list: MailingList, what: What) -> tuple[str, ...]:
    """Return the addresses of an export that must be entered in the tool by hand, 100 at most."""
    found = filter(lambda contact: contact.status in _STATUSES[what], _with_signs(mailing_list))
    return tuple(as_people_write(contact.address or "") for contact in islice(found, _MOST))


def _with_signs(mailing_list: MailingList) -> Iterator[Contact]:
    """Yield whose address begins so, sign by sign, in the order of the addresses.

    Their status is no condition: SQLite would go through everybody who has it.
    """
    letters = contacts.by_letter()
    for sign in _SIGNS:
        rows = Contact.select(Contact.address, Contact.status).where(
            Contact.list == mailing_list,
            letters >= sign,
            letters < chr(ord(sign) + 1),
            Contact.address.is_null(is_null=False),
        )
        yield from rows.order_by(letters).iterator()
