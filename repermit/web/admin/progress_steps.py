"""How far a list has come on its way to a campaign."""

from __future__ import annotations

from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList

_FILE, _LAUNCH = 2, 5


def steps_reached(mailing_list: MailingList) -> int:
    """Return the furthest of the five steps that can be opened: beyond the file, all of them."""
    has_contacts = Contact.select().where(Contact.list == mailing_list).exists()
    return _LAUNCH if has_contacts else _FILE
