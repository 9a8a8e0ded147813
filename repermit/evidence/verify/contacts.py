"""Checking that contacts match the newest entries about them, and that none was deleted.

The database compares them, since there may be a million contacts. The few that it finds doubtful
are then checked one by one.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from peewee import JOIN, Case, Value, fn

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.db.connection import find_position, proxy, stream_rows
from repermit.db.models.base import parse_timestamp
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError
from repermit.evidence.chain_reader import fetch_rows, select_parts
from repermit.evidence.verify.diagnosis import Fault, How, make_mismatch
from repermit.evidence.verify.times import PEOPLE
from repermit.rules.consent import REFUSALS, Status

_STATUSES = ("confirmed", "customer", "removed")
_UNDONE = ("import_undone", "sign_up_undone")
_KEPT = (*_STATUSES, "added")
_TAKEN_BACK = '"imported_at":"'
STATUS_EVENTS = (*_KEPT, *_UNDONE)
"""Events that set a status: that of the event's name, or that in its part `consent`."""

_CONSENT, _PERSON = EvidencePart.alias("consent"), EvidencePart.alias("person")


class _Doubtful(NamedTuple):
    """A contact that may differ from its newest entry.

    - `is_contradicted`: its status or reason differs from the entry.
    - `is_named`: the entry has its address in the same spelling.
    - `has_lost_no`: the entry is of a No, but the contact is not marked as having refused.
    - `is_elsewhere`: the entry is about another list than `slug`, the contact's.
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
    consent: str | None
    is_contradicted: int
    is_named: int
    has_other_link: int
    has_lost_no: int
    is_elsewhere: int


def check_contacts() -> Iterator[Fault]:
    """Yield the contacts that differ from their newest entry, or have another's subject."""
    yield from _check_shared_subjects()
    for contact in _iter_doubtful_contacts(_select_newest_by_subject()):
        if contact.is_elsewhere:
            yield from _check_contact_on_own_list(contact)
        else:
            yield from _check_contact(contact)
    yield from _check_erased_contacts()
    yield from _check_erased_addresses()


def make_contact_fault(number: int, subject: str, what: str, *conditions: Any) -> Fault:
    """Return a fault of a contact, with the newest entry about its subject."""
    seq = find_newest_seq(Evidence.subject == subject, *conditions)
    return make_mismatch(seq, f"contact {number}: {what}")


def find_newest_seq(*conditions: Any) -> int:
    """Return the number of the newest entry that meets these conditions; 0 if there is none."""
    return Evidence.select(fn.MAX(Evidence.seq)).where(*conditions).scalar() or 0


def quote_member(name: str, column: Any) -> Any:
    """Return SQL for the canonical JSON text of a name with a column's value."""
    # Within a string quotes are escaped, so this text can only be a name and its value.
    return Value(f'"{name}":"').concat(column).concat('"')


def has_later_contact(number: int, subject: str, address: str | None) -> bool:
    """Say whether a removed contact was erased and has a later row with the same subject.

    A person who was erased and signs up again keeps the subject; the newest entry is of that row.
    """
    if address is not None:
        return False
    this = Contact.alias("this")
    later = Contact.select().where(
        Contact.list == this.select(this.list).where(this.id == number),
        Contact.subject == subject,
        Contact.id > number,
    )
    return bool(later.exists())


def check_deleted_contacts(import_keys: Container[tuple[str, str]]) -> Iterator[Fault]:
    """Yield subjects that have entries on a list, but no contact any more.

    Removing, erasing and correcting keep the contact. Only undoing an import deletes the contacts
    that it brought, each with an entry `erased` that names the file.

    - `import_keys`: list and time of each file that was imported.
    """
    yield from _check_undone_contacts(import_keys)
    recorded: Any = Evidence.select(Evidence.subject, Evidence.list).where(
        Evidence.event.in_(_KEPT), Evidence.subject != ""
    )
    present: Any = Contact.select(Contact.subject, MailingList.slug).join(MailingList)
    names_file = select_parts(Evidence.subject, Evidence.list, text=Value(_TAKEN_BACK))
    taken_back = names_file.where(Evidence.event == "erased")
    for subject, slug in list(stream_rows(recorded.except_(present).except_(taken_back))):
        seq = find_newest_seq(
            Evidence.subject == subject, Evidence.list == slug, Evidence.event.in_(_KEPT)
        )
        event: str = Evidence.get(Evidence.seq == seq).event
        yield Fault(seq, How.PERSON_DELETED, event)


def _check_undone_contacts(import_keys: Container[tuple[str, str]]) -> Iterator[Fault]:
    """Yield contacts deleted with a file, although their newest entry is not of an import."""
    earlier = Evidence.alias("earlier")
    newest = earlier.select(fn.MAX(earlier.seq)).where(
        earlier.subject == Evidence.subject,
        earlier.list == Evidence.list,
        earlier.event.in_(STATUS_EVENTS),
        earlier.seq < Evidence.seq,
    )
    last = Evidence.alias("last")
    query = (
        select_parts(last.seq, last.list, last.event, last.actor, last.at, text=Value(_TAKEN_BACK))
        .join_from(Evidence, last, on=(last.seq == newest))
        .where(Evidence.event == "erased", last.event.in_(_KEPT))
        .order_by(Evidence.seq)
    )
    for seq, slug, event, actor, at in stream_rows(query):
        is_of_file = (slug, format_timestamp(parse_timestamp(at))) in import_keys
        if actor in PEOPLE or not is_of_file:
            yield Fault(seq, How.PERSON_DELETED, event)


def _check_shared_subjects() -> Iterator[Fault]:
    """Yield subjects that several unerased contacts of a list share."""
    query: Any = (
        Contact.select(fn.MAX(Contact.id), Contact.subject)
        .where(Contact.erased_at.is_null())
        .group_by(Contact.list, Contact.subject)
        .having(fn.COUNT(Contact.id) > 1)
        .order_by(fn.MAX(Contact.id))
    )
    for number, subject in fetch_rows(query):
        yield make_contact_fault(number, subject, "it has the record of another")


def _check_erased_contacts() -> Iterator[Fault]:
    """Yield contacts whose `erased_at` contradicts their address or their entries."""
    erasure = Evidence.select(Value(1)).where(
        Evidence.subject == Contact.subject,
        Evidence.list == MailingList.slug,
        Evidence.event == "erased",
        Evidence.at == Contact.erased_at,
    )
    has_address = Contact.address.is_null(is_null=False)
    query: Any = (
        Contact.select(Contact.id, Contact.subject)
        .join(MailingList, JOIN.LEFT_OUTER)
        .where(
            Case(
                None,
                ((Contact.erased_at.is_null(), Contact.address.is_null()),),
                has_address | (Contact.address_key != Contact.uid) | ~fn.EXISTS(erasure),
            )
        )
        .order_by(Contact.id)
    )
    for number, subject in fetch_rows(query):
        yield make_contact_fault(number, subject, "that it is erased")


def _check_erased_addresses() -> Iterator[Fault]:
    """Yield contacts that have an address although an erasure deleted it.

    A person who came back has two rows. An erasure by another actor than the retention job deletes
    the address too.
    """
    is_erased = Contact.select(Value(1)).where(
        Contact.subject == Evidence.subject,
        Contact.erased_at.is_null(is_null=False),
        Contact.erased_at >= Evidence.at,
    )
    is_of_person = find_position(EvidencePart.json, Value('"person"')) > 0
    erasures = select_parts(Evidence.list, Evidence.subject, text=Value('"parts":')).where(
        Evidence.event == "erased",
        (Evidence.actor != "job") | is_of_person,
        ~fn.EXISTS(is_erased),
    )
    # Few: people deleted with an undone import. No index finds their contacts.
    erased = set(map(tuple, stream_rows(erasures)))
    if not erased:
        return
    present: Any = Contact.select(Contact.id, MailingList.slug, Contact.subject).join(MailingList)
    has_address = Contact.address.is_null(is_null=False)
    rows = stream_rows(present.where(has_address))
    for number, subject in sorted((row[0], row[2]) for row in rows if row[1:] in erased):
        yield make_contact_fault(number, subject, "that it is erased")


# --- The contacts that the database finds doubtful. -----------------------------------------------


def _iter_doubtful_contacts(newest: Any, *conditions: Any) -> Iterator[_Doubtful]:
    """Yield the contacts that do not plainly match their newest entries."""
    contradicted, named, other_link = _is_contradicted(), _is_plainly_named(), _has_other_link()
    lost_no = _has_lost_no()
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
            _CONSENT.json,
            _make_flag(contradicted),
            _make_flag(named),
            _make_flag(other_link),
            _make_flag(lost_no),
            _make_flag(elsewhere),
        )
        .join(MailingList, JOIN.LEFT_OUTER)
        .switch(Contact)
        .join(newest, JOIN.LEFT_OUTER, on=(newest.c.subject == Contact.subject))
        .join(Evidence, JOIN.LEFT_OUTER, on=(Evidence.seq == newest.c.newest))
        .join(_CONSENT, JOIN.LEFT_OUTER, on=_is_part(_CONSENT, "consent"))
        .join(_PERSON, JOIN.LEFT_OUTER, on=_is_part(_PERSON, "person"))
        .where(contradicted | other_link | lost_no | elsewhere | _is_doubtful(named), *conditions)
        .order_by(Contact.id)
    )
    return map(_Doubtful._make, proxy.obj.execute(query))


def _select_newest_by_subject(*conditions: Any) -> Any:
    return (
        Evidence.select(Evidence.subject, fn.MAX(Evidence.seq).alias("newest"))
        .where(Evidence.event.in_(STATUS_EVENTS), Evidence.subject != "", *conditions)
        .group_by(Evidence.subject)
        .alias("newest_by_subject")
    )


def _is_part(part: Any, name: str) -> Any:
    return (part.seq == Evidence.seq) & (part.part == name)


def _make_flag(condition: Any) -> Any:
    """Return SQL that is 1 where a condition holds, and 0 where it is false or null."""
    return Case(None, ((condition, 1),), 0)


def _is_contradicted() -> Any:
    """Return SQL for whether a contact contradicts its entry.

    An entry whose part `consent` was deleted at the end of its term contradicts no reason or basis.
    """
    expected = Case(
        None,
        (
            (Evidence.event.in_(_STATUSES), Evidence.event),
            (Evidence.event.in_(_UNDONE), Contact.status),
        ),
        "unconfirmed",
    )
    has_reason = _consent_says("reason", Contact.reason)
    has_basis = _consent_says("basis", Contact.basis)
    had_status = _consent_says("status", Contact.status)
    is_held = _CONSENT.json.is_null(is_null=False)
    return (
        (Contact.status != expected)
        | (is_held & Evidence.event.in_(("removed", "sign_up_undone")) & ~has_reason)
        | (is_held & Evidence.event.in_(("confirmed", "customer")) & ~has_basis)
        | (is_held & Evidence.event.in_(_UNDONE) & ~(had_status & has_basis))
    )


def _is_plainly_named() -> Any:
    """Return SQL for whether the entry has a contact's address in the same spelling.

    Also true for a contact without an address.
    """
    is_named = find_position(_PERSON.json, quote_member("address", Contact.address)) > 0
    is_folded = fn.LOWER(Contact.address) == Contact.address_key
    return Contact.address.is_null() | (is_folded & _PERSON.json.is_null(is_null=False) & is_named)


def _has_other_link() -> Any:
    """Return SQL for whether the entry names another `uid` (the number in links) than the contact.

    False for a contact without an address, and for an older entry, which does not name it.
    """
    names_link = find_position(_PERSON.json, Value('"link":"')) > 0
    names_own = find_position(_PERSON.json, quote_member("link", Contact.uid)) > 0
    return Contact.address.is_null(is_null=False) & names_link & ~names_own


def _has_lost_no() -> Any:
    """Return SQL for whether the entry is of a No that the contact's `has_refused` does not show.

    After a No each Yes is asked for twice. A No from a file does not count here, as the import may
    be undone.
    """
    is_own = find_position(_CONSENT.json, Value('"file":"')) == 0
    return (
        ~Contact.has_refused
        & (Evidence.event == "removed")
        & Contact.reason.in_(list(REFUSALS))
        & is_own
    )


def _is_doubtful(named: Any) -> Any:
    """Return SQL for whether a contact's address or times differ from its entry.

    They may still be right: the address was corrected, or a file had the date of a sign-up.
    """
    has_basis_at = _CONSENT.json.is_null(is_null=False) & (
        _consent_says("at", Contact.basis_at) | _consent_says("basis_at", Contact.basis_at)
    )
    return Evidence.seq.is_null(is_null=False) & (
        (_make_flag(named) == 0)
        | (Contact.status_at != Evidence.at)
        | (
            Contact.basis_at.is_null(is_null=False)
            & (Contact.basis_at != Evidence.at)
            & ~has_basis_at
        )
        | (Contact.basis_at.is_null(is_null=False) & Contact.status.not_in(_ON_LIST))
    )


_ON_LIST = (Status.CONFIRMED, Status.CUSTOMER)
"""The statuses with a basis, and with the time since when it holds, if known."""


def _consent_says(name: str, column: Any) -> Any:
    """Return SQL for whether an entry's part `consent` has a column's value under a name."""
    # The JSON is canonical, so a search for the text finds it.
    return find_position(_CONSENT.json, quote_member(name, column)) > 0


# --- Checking one doubtful contact. ---------------------------------------------------------------


def _check_contact(contact: _Doubtful) -> Iterator[Fault]:
    detail = contact.status or "no status"
    if not contact.is_contradicted:
        detail = _find_difference(contact)
    number, subject, address = contact.number, contact.subject, contact.address
    if not detail or (contact.status == "removed" and has_later_contact(number, subject, address)):
        return
    yield make_mismatch(contact.seq or 0, f"contact {number}: {detail}")


def _check_contact_on_own_list(contact: _Doubtful) -> Iterator[Fault]:
    """Yield the faults of a contact whose subject's newest entry is about another list.

    One subject may be on two lists, with entries of its own on each: earlier versions took a
    subject over with a file of suppressions.
    """
    own = (Evidence.subject == contact.subject, Evidence.list == contact.slug)
    if Evidence.select().where(Evidence.event.in_(STATUS_EVENTS), *own).exists():
        newest = _select_newest_by_subject(*own)
        for contact_on_list in _iter_doubtful_contacts(newest, Contact.id == contact.number):
            yield from _check_contact(contact_on_list)
    else:
        yield make_mismatch(contact.seq or 0, f"contact {contact.number}: its list")


def _find_difference(contact: _Doubtful) -> str:
    """Return what about a contact differs from its entries; "" if nothing does."""
    if contact.has_other_link:
        return "the number in its links"
    if contact.has_lost_no:
        return "that they have said No"
    if not contact.is_named and not _is_named(contact):
        return "its address"
    consent: Mapping[str, Any] = json.loads(contact.consent) if contact.consent else {}
    # The entry of an undone import does not say since when the earlier status holds.
    if contact.event == "import_undone" or not consent:
        return ""
    since = consent.get("left_at") or consent.get("status_at") or contact.at
    if _read_time(contact.status_at) != _read_time(since):
        return "since when"
    return "" if _is_named_basis(contact, consent) else "since when"


def _is_named_basis(contact: _Doubtful, consent: Mapping[str, Any]) -> bool:
    """Say whether the entry agrees on since when the contact's basis holds."""
    if not contact.basis_at:
        return True
    if contact.status not in _ON_LIST:
        return False
    # An answer by phone, letter or reply holds since it was given.
    entry_basis_at = next(filter(None, map(consent.get, ("at", "basis_at", "arrived_at"))), None)
    basis_at, recorded_at = _read_time(contact.basis_at), _read_time(contact.at)
    if contact.event == "customer" and "file" in consent and "basis_at" not in consent:
        # Until December 2026 the entry of a customer did not say since when they buy.
        return bool(basis_at and recorded_at and basis_at <= recorded_at)
    if basis_at == recorded_at:
        return True
    return bool(entry_basis_at and basis_at == _read_time(entry_basis_at))


def _read_time(value: Any) -> datetime | None:
    """Return a stored time; None if the value is not a time."""
    try:
        return parse_timestamp(value)
    except (AttributeError, TypeError, ValueError):
        return None


def _is_named(contact: _Doubtful) -> bool:
    """Say whether the subject's newest entry with an address has the contact's address."""
    query: Any = (
        select_parts(EvidencePart.json, text=Value('"address":"'), part="person")
        .where(Evidence.subject == contact.subject, Evidence.list == contact.slug)
        .order_by(Evidence.seq.desc())
        .limit(1)
    )
    keys = {_parse_address_key(json.loads(text)["address"]) for (text,) in fetch_rows(query)}
    return keys | {_parse_address_key(contact.address), contact.address_key} == {
        contact.address_key
    }


def _parse_address_key(address: Any) -> str:
    """Return the key of an address; "" if the value is not an address."""
    try:
        return email_address.parse(address).key
    except (AddressError, AttributeError):
        return ""
