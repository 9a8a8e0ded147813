"""Whether contacts have records of their own, and are erased just where these say so.

May import models and this room's faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peewee import JOIN, Case, Value, fn

from repermit.evidence.faults import Fault, How
from repermit.models import Contact, Evidence, MailingList, proxy

if TYPE_CHECKING:
    from collections.abc import Iterator


def records_shared() -> Iterator[Fault]:
    """Yield the records that more than one contact of a list has; who is erased may come back."""
    query: Any = (
        Contact.select(fn.MAX(Contact.id), Contact.subject)
        .where(Contact.erased_at.is_null())
        .group_by(Contact.list, Contact.subject)
        .having(fn.COUNT(Contact.id) > 1)
        .order_by(fn.MAX(Contact.id))
    )
    for number, subject in proxy.obj.execute(query).fetchall():
        yield _of_record(number, subject, "it has the record of another")


def wrongly_erased() -> Iterator[Fault]:
    """Yield who is said to be erased, and is not as an erasure leaves them, or the other way."""
    told = Evidence.select(Value(1)).where(
        Evidence.subject == Contact.subject,
        Evidence.list == MailingList.slug,
        Evidence.event == "erased",
        Evidence.at == Contact.erased_at,
    )
    is_there = Contact.address.is_null(is_null=False)
    query: Any = (
        Contact.select(Contact.id, Contact.subject)
        .join(MailingList, JOIN.LEFT_OUTER)
        .where(
            Case(
                None,
                ((Contact.erased_at.is_null(), Contact.address.is_null()),),
                is_there | (Contact.address_key != Contact.uid) | ~fn.EXISTS(told),
            )
        )
        .order_by(Contact.id)
    )
    for number, subject in proxy.obj.execute(query).fetchall():
        yield _of_record(number, subject, "that it is erased")


def _of_record(number: int, subject: str, what: str) -> Fault:
    """Return a fault of a contact, with the newest entry of its record."""
    seq = Evidence.select(fn.MAX(Evidence.seq)).where(Evidence.subject == subject).scalar()
    how = How.CONTRADICTED if seq else How.UNVOUCHED
    return Fault(seq or 0, how, f"contact {number}: {what}")
