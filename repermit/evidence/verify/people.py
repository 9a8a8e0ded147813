"""Whether contacts have records of their own, and are erased just where these say so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from peewee import JOIN, Case, Value, fn

from repermit.db.connection import position, proxy, streamed
from repermit.db.models.base import read_moment
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.evidence.verify.times import BEHIND, tolerance


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


# --- Whether the people of whom the record tells are still in the database. -----------------------


_KEPT_STANDINGS = ("confirmed", "customer", "removed", "added")


def deleted_people() -> Iterator[Fault]:
    """Yield the people of whom entries tell and who have no contact on that list any more.

    Removing, erasing and correcting keep the contact. Only taking a file back deletes those that it
    brought, each with an entry `erased` of their own that names the file.
    """
    told: Any = Evidence.select(Evidence.subject, Evidence.list).where(
        Evidence.event.in_(_KEPT_STANDINGS), Evidence.subject != ""
    )
    there: Any = Contact.select(Contact.subject, MailingList.slug).join(MailingList)
    for subject, slug in list(streamed(told.except_(there).except_(_taken_back()))):
        own = (
            Evidence.subject == subject,
            Evidence.list == slug,
            Evidence.event.in_(_KEPT_STANDINGS),
        )
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


# --- Whether anybody was asked or reminded after they had been taken off. -------------------------


_KINDS = ("ask", "reminder")
_STANDINGS = (
    "confirmed",
    "customer",
    "added",
    "removed",
    "import_undone",
    "sign_up_undone",
)


def asks_after_removal() -> Iterator[Fault]:
    """Yield the removals after which an ask or a reminder of the same person left.

    Their own later Yes or sign-up, or taking back the file that had taken them off, ends a removal.
    A mail may begin while an answer waits for its turn: see `tolerance`.
    """
    for number, subject, slug, began, sent in list(streamed(_suspects())):
        # When it began decides: the server may take its time.
        moment = read_moment(began or sent)
        latest = max(moment, read_moment(sent) - BEHIND) if sent else moment
        removal = _standing(subject, slug, latest)
        if (
            removal
            and removal.event == "removed"
            and latest > removal.at + tolerance(removal.actor)
        ):
            yield Fault(removal.seq, How.ASKED_AFTER_REMOVAL, f"mail {number}")


def _suspects() -> Any:
    """Return the mails that left after some removal of the same person, as far as that is quick."""
    removed: Any = Evidence.select(Value(1)).where(
        Evidence.subject == Contact.subject,
        Evidence.event == "removed",
        Evidence.at < fn.COALESCE(Mail.sent_at, Mail.started_at),
    )
    return (
        Mail.select(Mail.id, Contact.subject, MailingList.slug, Mail.started_at, Mail.sent_at)
        .join(Contact, on=(Contact.id == Mail.contact))
        .join(MailingList, on=(MailingList.id == Contact.list))
        .where(
            Mail.kind.in_(_KINDS),
            Mail.started_at.is_null(is_null=False) | Mail.sent_at.is_null(is_null=False),
            fn.EXISTS(removed),
        )
        .order_by(Mail.id)
    )


def _standing(subject: str, slug: str, moment: datetime) -> Evidence | None:
    """Return the newest entry by then that says where somebody stands on a list."""
    found: Evidence | None = (
        Evidence.select()
        .where(
            Evidence.subject == subject,
            Evidence.list == slug,
            Evidence.event.in_(_STANDINGS),
            Evidence.at <= moment,
        )
        .order_by(Evidence.seq.desc())
        .first()
    )
    return found
