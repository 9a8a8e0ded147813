"""Whether who was removed is still not to be asked, and the journal of suppressions is whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from peewee import JOIN, Case, Value, fn

from repermit.db.connection import position, proxy, streamed
from repermit.db.journal_seal import JOURNAL_SEALED_SINCE, what_is_cut
from repermit.db.lost_suppressions import lost_suppressions
from repermit.db.models.base import Meta
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.evidence.chain_reader import fetch_rows, select_parts
from repermit.evidence.verify.contacts import (
    contact_fault,
    has_later_contact,
    newest_seq,
    quote_member,
)
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.keyed_hash import Mac


class _Removed(NamedTuple):
    """A contact that was removed, with one of its suppressions, if there is any.

    `kept_for` is why that is kept, and `is_named` says that it may be the one that an erasure
    names.
    """

    number: int
    subject: str
    address: str | None
    address_key: str
    reason: str
    fingerprint: str | None
    kept_for: str | None
    is_named: int


def check_suppressions(key: bytes | None) -> Iterator[Fault]:
    """Yield the removed contacts that are not suppressed on their list as each removal makes it.

    Under their own subject and for the same reason; of whoever is erased the record names the
    fingerprint, and of all others it is made of their address. Only their own Yes lifts it, and
    taking back the file that it came with: then they are removed no more. It stays at an erasure,
    and with whoever corrects their address.

    - `key`: that of the fingerprints; None leaves them unchecked.
    """
    mac = Mac(key) if key else None
    rows = map(_Removed._make, streamed(_removed_contacts()))
    for number, group in groupby(rows, attrgetter("number")):
        suppressions = list(group)
        contact, what = suppressions[0], _find_difference(suppressions, mac)
        if what and not has_later_contact(number, contact.subject, contact.address):
            yield contact_fault(number, contact.subject, what, Evidence.event == "removed")
    yield from _changed_without_contact()


def _removed_contacts() -> Any:
    is_named = (
        Contact.erased_at.is_null()
        | ~_erasure_says(Value('"whose":"'))
        | _erasure_says(quote_member("whose", Suppression.fingerprint))
    )
    return (
        Contact.select(
            Contact.id,
            Contact.subject,
            Contact.address,
            Contact.address_key,
            Contact.reason,
            Suppression.fingerprint,
            Suppression.reason,
            Case(None, ((is_named, 1),), 0),
        )
        .join(
            Suppression,
            JOIN.LEFT_OUTER,
            on=(Suppression.subject == Contact.subject) & (Suppression.list == Contact.list),
        )
        .where(Contact.status == "removed")
        .order_by(Contact.id)
    )


def _erasure_says(text: Any) -> Any:
    """Say whether an erasure of a contact says this, as SQL."""
    own = Evidence.subject == Contact.subject, Evidence.event == "erased"
    return fn.EXISTS(select_parts(Value(1), text=text).where(*own))


def _find_difference(suppressions: Sequence[_Removed], mac: Mac | None) -> str:
    """Return what is wrong with the suppressions of a contact, "" if one of them is right.

    Somebody may have more than one: that of an address from which they moved is kept, too.
    """
    contact = suppressions[0]
    own = [row for row in suppressions if row.fingerprint is not None and row.is_named]
    if not own:
        return "that it is not to be asked again"
    if mac and contact.address is not None:
        fingerprint = mac.of(contact.address_key.encode()).hex()
        own = [row for row in own if row.fingerprint == fingerprint]
        if not own:
            return "the fingerprint by which it is not asked again"
    is_for_reason = any(row.kept_for == row.reason for row in own)
    return "" if is_for_reason else "why it is not to be asked again"


def _changed_without_contact() -> Iterator[Fault]:
    """Yield the suppressions of addresses never on the list, for another reason than entries say.

    As long as each is kept since then: of whoever comes later with that address, and leaves, it
    says why they left.
    """
    query: Any = (
        Suppression.select(Suppression.id, Evidence.seq)
        .join(
            Evidence,
            on=(Evidence.subject == Suppression.subject) & (Evidence.at == Suppression.at),
        )
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(
            Evidence.event == "suppressed",
            EvidencePart.part == "consent",
            position(EvidencePart.json, quote_member("reason", Suppression.reason)) == 0,
        )
        .order_by(Evidence.seq)
    )
    for number, seq in fetch_rows(query):
        yield Fault(seq, How.CONTRADICTED, f"suppression {number}: why it is kept")


# --- Whether the journal of suppressions is whole. ------------------------------------------------


def check_journal(key: bytes | None, size: int) -> Iterator[Fault]:
    """Yield what the journal lacks, and whom it alone still knows; nothing without a journal.

    - `size`: octets that it had before the database was read as it is seen here.
    """
    journal = proxy.obj.journal
    if journal is None:
        return
    if what := what_is_cut(journal, noted=_count_journalled()):
        yield Fault(0, How.JOURNAL_CUT, what)
    if key is None:
        return
    for lost in lost_suppressions(key=key, size=size):
        seq = newest_seq(Evidence.subject == lost.subject, Evidence.list == lost.list)
        what = f"{lost.list}, line {lost.line} of the journal"
        yield Fault(seq, How.SUPPRESSION_DELETED, what)


def _count_journalled() -> int:
    """Count the entries each of which came with a line of the journal that the database sealed.

    Those since the database was restored, or came from a version that sealed nothing, of which also
    a launch may have been under way.
    """
    row = Meta.get_or_none(Meta.key == JOURNAL_SEALED_SINCE)
    since = [Evidence.seq > int(row.value)] if row else []
    restored = Evidence.select().where(Evidence.event == "restored").order_by(Evidence.seq.desc())
    if last := restored.first():
        since += [Evidence.seq > last.seq, Evidence.at > last.at]
    events = ("removed",) if row else ("removed", "launched")
    count: int = Evidence.select().where(Evidence.event.in_(events), *since).count()
    return count
