"""Whether the people of whom the record tells are still in the database.

May import models and this room's faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peewee import Value, fn

from repermit.evidence.faults import Fault, How
from repermit.models import Contact, Evidence, EvidencePart, MailingList, position, streamed

if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDINGS = ("confirmed", "customer", "removed", "added")


def deleted_people() -> Iterator[Fault]:
    """Yield the people of whom entries tell and who have no contact on that list any more.

    Removing, erasing and correcting keep the contact. Only taking a file back deletes those that it
    brought, each with an entry `erased` of their own that names the file.
    """
    told: Any = Evidence.select(Evidence.subject, Evidence.list).where(
        Evidence.event.in_(_STANDINGS), Evidence.subject != ""
    )
    there: Any = Contact.select(Contact.subject, MailingList.slug).join(MailingList)
    for subject, slug in list(streamed(told.except_(there).except_(_taken_back()))):
        own = (Evidence.subject == subject, Evidence.list == slug, Evidence.event.in_(_STANDINGS))
        seq, event = _newest(own)
        yield Fault(seq, How.PERSON_DELETED, event)


def _taken_back() -> Any:
    """Return whom taking a file back has deleted."""
    said = Value('"imported_at":"')
    return (
        Evidence.select(Evidence.subject, Evidence.list)
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(
            Evidence.event == "erased",
            EvidencePart.part == "consent",
            position(EvidencePart.json, said) > 0,
        )
    )


def _newest(own: Any) -> tuple[int, str]:
    newest = Evidence.select(fn.MAX(Evidence.seq)).where(*own)
    found: Evidence = Evidence.get(Evidence.seq == newest)
    return found.seq, found.event
