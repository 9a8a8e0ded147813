"""Addresses that no tool's CSV can have, since a spreadsheet would take them for a formula.

May import contacts, models, consent and what lies below. Nothing here writes.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from repermit import contacts
from repermit.consent import Status
from repermit.exports.kinds import What
from repermit.exports.rows import as_people_write
from repermit.models import Contact

if TYPE_CHECKING:
    from repermit.models import MailingList

# With what such an address begins; the guard's other signs cannot stand first in an address.
_SIGNS = "=+-"
_MOST = 100
_STATUSES = {What.KEEP: (Status.CONFIRMED, Status.CUSTOMER), What.REMOVED: (Status.REMOVED,)}


def by_hand(mailing_list: MailingList, what: What) -> tuple[str, ...]:
    """Return the addresses of an export that must be entered in the tool by hand, 100 at most."""
    letters = contacts.by_letter()
    begins = reduce(or_, ((letters >= sign) & (letters < chr(ord(sign) + 1)) for sign in _SIGNS))
    rows = (
        Contact.select(Contact.address)
        .where(
            Contact.list == mailing_list,
            begins,
            Contact.status.in_(_STATUSES[what]),
            Contact.address.is_null(is_null=False),
        )
        .order_by(Contact.address_key)
        .limit(_MOST)
    )
    return tuple(as_people_write(row.address or "") for row in rows)
