"""Whether those who were taken off are still not to be asked, under their fingerprint, and why.

Fingerprints of addresses that are held can be told with their key alone; without it, as where
nobody has it, they are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from peewee import JOIN, Case, Value, fn

from repermit.db.connection import position, proxy, streamed
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.evidence.diagnosis import Fault, How
from repermit.evidence.people_status import has_come_back, quoted
from repermit.keyed_hash import Mac


class _Left(NamedTuple):
    """A contact that was removed, with one of its suppressions, if there is any.

    `noted` is why that is kept, and `is_named` says that it may be the one that an erasure names.
    """

    number: int
    subject: str
    address: str | None
    address_key: str
    reason: str
    fingerprint: str | None
    noted: str | None
    is_named: int


def check_suppressions(key: bytes | None) -> Iterator[Fault]:
    """Yield who was taken off and is not suppressed on that list, as each removal makes it.

    Under their own subject and for the same reason; of whoever is erased the record names the
    fingerprint, and of all others it is made of their address. Only their own Yes lifts it, and
    taking back the file that it came with: then they are removed no more. It stays at an erasure,
    and with whoever corrects their address.
    """
    mac = Mac(key) if key else None
    found = map(_Left._make, streamed(_removed()))
    for _, rows in groupby(found, attrgetter("number")):
        suppressions = list(rows)
        one, what = suppressions[0], _differing(suppressions, mac)
        if what and not has_come_back(one.number, one.subject, one.address):
            yield _fault(one, what)
    yield from _of_nobody()


def _removed() -> Any:
    return (
        Contact.select(
            Contact.id,
            Contact.subject,
            Contact.address,
            Contact.address_key,
            Contact.reason,
            Suppression.fingerprint,
            Suppression.reason,
            Case(
                None,
                (
                    (Contact.erased_at.is_null(), 1),
                    (~_naming(Value('"whose":"')), 1),
                    (_naming(quoted("whose", Suppression.fingerprint)), 1),
                ),
                0,
            ),
        )
        .join(
            Suppression,
            JOIN.LEFT_OUTER,
            on=(Suppression.subject == Contact.subject) & (Suppression.list == Contact.list),
        )
        .where(Contact.status == "removed")
        .order_by(Contact.id)
    )


def _naming(text: Any) -> Any:
    """Say whether an erasure of a contact says this."""
    told = (
        Evidence.select(Value(1))
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(
            Evidence.subject == Contact.subject,
            Evidence.event == "erased",
            EvidencePart.part == "consent",
            position(EvidencePart.json, text) > 0,
        )
    )
    return fn.EXISTS(told)


def _differing(suppressions: Sequence[_Left], mac: Mac | None) -> str:
    """Return what is wrong with the suppressions of a contact, "" if one of them is right.

    Somebody may have more than one: that of an address from which they moved is kept, too.
    """
    one = suppressions[0]
    own = [row for row in suppressions if row.fingerprint is not None and row.is_named]
    if not own:
        return "that it is not to be asked again"
    if mac and one.address is not None:
        fingerprint = mac.of(one.address_key.encode()).hex()
        own = [row for row in own if row.fingerprint == fingerprint]
        if not own:
            return "the fingerprint by which it is not asked again"
    is_as_said = any(row.noted == row.reason for row in own)
    return "" if is_as_said else "why it is not to be asked again"


def _fault(one: _Left, what: str) -> Fault:
    own = (Evidence.subject == one.subject, Evidence.event == "removed")
    seq = Evidence.select(fn.MAX(Evidence.seq)).where(*own).scalar()
    how = How.CONTRADICTED if seq else How.UNVOUCHED
    return Fault(seq or 0, how, f"contact {one.number}: {what}")


def _of_nobody() -> Iterator[Fault]:
    """Yield what is kept of an address that was never on the list, for another reason than said.

    As long as it is kept since then: of whoever comes later with that address, and leaves, it says
    why they left.
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
            position(EvidencePart.json, quoted("reason", Suppression.reason)) == 0,
        )
        .order_by(Evidence.seq)
    )
    for number, seq in proxy.obj.execute(query).fetchall():
        yield Fault(seq, How.CONTRADICTED, f"suppression {number}: why it is kept")
