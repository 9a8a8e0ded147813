"""Whether people stand on their lists as the newest entries about them say.

The database compares, since there may be a million; whom it cannot clear is looked at one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from peewee import JOIN, Case, Value, fn

from repermit import email_address
from repermit.db.connection import position, proxy, streamed
from repermit.db.models.base import read_moment
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.evidence.verify.people import records_shared, wrongly_erased
from repermit.keyed_hash import Mac

_STATUSES = ("confirmed", "customer", "removed")
_UNDONE = ("import_undone", "sign_up_undone")
_PUTTING = (*_STATUSES, "added", *_UNDONE)
"""Events after which somebody stands somewhere: by their own name, or as their part says."""

_SAID, _WHOSE = EvidencePart.alias("said"), EvidencePart.alias("whose")


class _Found(NamedTuple):
    """A contact that may not stand as its newest entry says; `is_other` is one that does not.

    `is_elsewhere` says that this entry is about another list than `slug`, the contact's.
    """

    number: int
    slug: str
    status: str
    subject: str
    address: str | None
    address_key: str
    status_at: Any
    basis_at: Any
    seq: int | None
    event: str | None
    at: Any
    said: str | None
    is_other: int
    is_named: int
    has_other_link: int
    is_elsewhere: int


def check_people() -> Iterator[Fault]:
    """Yield the contacts that are not what their newest entry says, or have another's record."""
    yield from records_shared()
    for one in _compared(_newest()):
        yield from _faults_on_their_list(one) if one.is_elsewhere else _faults_of(one)
    yield from wrongly_erased()


def _compared(newest: Any, *whose: Any) -> Iterator[_Found]:
    """Yield the contacts that do not plainly stand as their newest entries say."""
    other, named, other_link = _is_other(), _is_plainly_named(), _has_other_link()
    elsewhere = Evidence.list != fn.COALESCE(MailingList.slug, "")
    query: Any = (
        Contact.select(
            Contact.id,
            MailingList.slug,
            Contact.status,
            Contact.subject,
            Contact.address,
            Contact.address_key,
            Contact.status_at,
            Contact.basis_at,
            Evidence.seq,
            Evidence.event,
            Evidence.at,
            _SAID.json,
            Case(None, ((other, 1),), 0),
            Case(None, ((named, 1),), 0),
            Case(None, ((other_link, 1),), 0),
            Case(None, ((elsewhere, 1),), 0),
        )
        .join(MailingList, JOIN.LEFT_OUTER)
        .switch(Contact)
        .join(newest, JOIN.LEFT_OUTER, on=(newest.c.subject == Contact.subject))
        .join(Evidence, JOIN.LEFT_OUTER, on=(Evidence.seq == newest.c.newest))
        .join(
            _SAID,
            JOIN.LEFT_OUTER,
            on=(_SAID.seq == Evidence.seq) & (_SAID.part == "consent"),
        )
        .join(
            _WHOSE,
            JOIN.LEFT_OUTER,
            on=(_WHOSE.seq == Evidence.seq) & (_WHOSE.part == "person"),
        )
        .where(other | other_link | elsewhere | _is_doubtful(named), *whose)
        .order_by(Contact.id)
    )
    return map(_Found._make, proxy.obj.execute(query))


def _newest(*whose: Any) -> Any:
    return (
        Evidence.select(Evidence.subject, fn.MAX(Evidence.seq).alias("newest"))
        .where(Evidence.event.in_(_PUTTING), Evidence.subject != "", *whose)
        .group_by(Evidence.subject)
        .alias("newest_of")
    )


def _faults_of(one: _Found) -> Iterator[Fault]:
    what = one.status if one.is_other else _differing(one)
    if what and not _is_over(one):
        how = How.CONTRADICTED if one.seq else How.UNVOUCHED
        yield Fault(one.seq or 0, how, f"contact {one.number}: {what}")


def _faults_on_their_list(one: _Found) -> Iterator[Fault]:
    """Yield what is wrong with a contact of whose record the newest entry is of another list.

    One record may tell of one person on two lists, each by entries of its own: earlier versions
    took a subject over with a file of suppressions.
    """
    own = (Evidence.subject == one.subject, Evidence.list == one.slug)
    if Evidence.select().where(Evidence.event.in_(_PUTTING), *own).exists():
        for again in _compared(_newest(*own), Contact.id == one.number):
            yield from _faults_of(again)
    else:
        yield Fault(one.seq or 0, How.CONTRADICTED, f"contact {one.number}: its list")


def _is_other() -> Any:
    """Say whether a contact is not what its entry says; what has ended by time says nothing."""
    expected = Case(
        None,
        (
            (Evidence.event.in_(_STATUSES), Evidence.event),
            (Evidence.event.in_(_UNDONE), Contact.status),
        ),
        "unconfirmed",
    )
    reason, basis, was = (
        _says(name, column)
        for name, column in (
            ("reason", Contact.reason),
            ("basis", Contact.basis),
            ("status", Contact.status),
        )
    )
    is_held = _SAID.json.is_null(is_null=False)
    return (
        (Contact.status != expected)
        | (is_held & Evidence.event.in_(("removed", "sign_up_undone")) & ~reason)
        | (is_held & Evidence.event.in_(("confirmed", "customer")) & ~basis)
        | (is_held & Evidence.event.in_(_UNDONE) & ~(was & basis))
    )


def _is_plainly_named() -> Any:
    """Say whether the entry has a contact's address as it is written, or nothing is held of it."""
    is_named = position(_WHOSE.json, quoted("address", Contact.address)) > 0
    is_folded = fn.LOWER(Contact.address) == Contact.address_key
    return Contact.address.is_null() | (is_folded & _WHOSE.json.is_null(is_null=False) & is_named)


def _has_other_link() -> Any:
    """Say whether the entry names another number in the links of a contact that is held.

    What was noted before entries named it says nothing.
    """
    is_told = position(_WHOSE.json, Value('"link":"')) > 0
    is_so = position(_WHOSE.json, quoted("link", Contact.uid)) > 0
    return Contact.address.is_null(is_null=False) & is_told & ~is_so


def _is_doubtful(named: Any) -> Any:
    """Say whether a contact's address or moments are not just so in its entry.

    They may be right all the same: somebody has moved, or a file told when they had signed up.
    """
    is_told = _SAID.json.is_null(is_null=False) & _says("at", Contact.basis_at)
    return Evidence.seq.is_null(is_null=False) & (
        (Case(None, ((named, 1),), 0) == 0)
        | (Contact.status_at != Evidence.at)
        | (Contact.basis_at.is_null(is_null=False) & (Contact.basis_at != Evidence.at) & ~is_told)
    )


def _says(name: str, column: Any) -> Any:
    """Say whether a part, whose JSON is canonical, says that a name has a column's value."""
    return position(_SAID.json, quoted(name, column)) > 0


def quoted(name: str, column: Any) -> Any:
    """Return what stands in canonical JSON where a name has a column's value, as SQL."""
    # Within a string quotes are escaped, so that this stands in it as a name and a value alone.
    return Value(f'"{name}":"').concat(column).concat('"')


def _is_over(one: _Found) -> bool:
    return one.status == "removed" and has_come_back(one.number, one.subject, one.address)


def has_come_back(number: int, subject: str, address: str | None) -> bool:
    """Say whether who was removed was erased, too, and their record goes on with a later row.

    Whoever was erased and signs up again keeps the subject; the newest entry is of the later row.
    """
    if address is not None:
        return False
    its_list = Contact.alias("one")
    later = Contact.select().where(
        Contact.list == its_list.select(its_list.list).where(its_list.id == number),
        Contact.subject == subject,
        Contact.id > number,
    )
    return bool(later.exists())


def _differing(one: _Found) -> str:
    """Return what of a contact its entries do not say, "" if they say it all."""
    if one.has_other_link:
        return "the number in its links"
    if not one.is_named and not _is_named(one):
        return "its address"
    said: Mapping[str, Any] = json.loads(one.said) if one.said else {}
    # When somebody was on a list before a file was taken back, no entry of that says.
    if one.event == "import_undone" or not said:
        return ""
    since = said.get("left_at") or said.get("status_at") or one.at
    if _moment(one.status_at) != _moment(since):
        return "since when"
    told = [_moment(at) for at in (one.at, said.get("at"), said.get("basis_at")) if at]
    return "" if not one.basis_at or _moment(one.basis_at) in told else "since when"


def _moment(value: Any) -> datetime | None:
    try:
        return read_moment(value)
    except (AttributeError, TypeError, ValueError):
        return None


def _is_named(one: _Found) -> bool:
    """Say whether the newest entry that names an address of this person names this one."""
    query: Any = (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject == one.subject,
            Evidence.list == one.slug,
            EvidencePart.part == "person",
            position(EvidencePart.json, Value('"address":"')) > 0,
        )
        .order_by(Evidence.seq.desc())
        .limit(1)
    )
    texts = [text for (text,) in proxy.obj.execute(query).fetchall()]
    said = [_key(json.loads(text)["address"]) for text in texts]
    return len({*said, _key(one.address), one.address_key}) == 1


def _key(address: Any) -> str:
    try:
        return email_address.parse(address).key
    except (AddressError, AttributeError):
        return ""


# --- Whether those who were taken off are still not to be asked. ----------------------------------


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
        one, what = suppressions[0], _differing_suppression(suppressions, mac)
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


def _differing_suppression(suppressions: Sequence[_Left], mac: Mac | None) -> str:
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
