"""What is kept of how a person's links were opened, for the person themselves.

May import contacts, models and what lies below. Nothing here writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit import contacts
from repermit.rights.facts import LinkOpened, Openings
from repermit.suspicion import LINKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.models import Contact
    from repermit.suspicion import Past


def openings_of(contact: Contact) -> Openings | None:
    """Return how a contact's links were opened and pressed, None if nothing of it is kept."""
    row = contacts.opening_of(contact)
    if row is None:
        return None
    past = contacts.past_of(row)
    return Openings(
        links=tuple(_links(past)),
        together_at=past.openings.together_at,
        yes_at=past.yes_at,
        no_at=past.no_at,
        disowned_at=past.disowned_at,
        asked_again_at=past.doubted_at,
        held_at=row.held_at,
        signs=contacts.signs_of(row),
        began_at=row.began_at,
    )


def _links(past: Past) -> Iterator[LinkOpened]:
    for link in LINKS:
        opened = past.openings.of(link)
        if opened.first_at and opened.last_at:
            yield LinkOpened(
                link=link,
                gets=opened.gets,
                heads=opened.heads,
                first_at=opened.first_at,
                last_at=opened.last_at,
            )
