"""Checking that removed contacts are suppressed, and that the journal is complete."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from peewee import JOIN, Case, Value, fn

from repermit.clock import format_timestamp
from repermit.db.connection import chunks, find_position, proxy, stream_rows
from repermit.db.journal_seal import (
    JOURNAL_SEALED_SINCE,
    find_journal_damage,
    is_only_sealed_journal,
)
from repermit.db.lost_suppressions import (
    find_lost_suppressions,
    hash_journal_suppressions,
    hash_suppression,
)
from repermit.db.models.base import Meta, parse_timestamp
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.suppression_journal import Journal
from repermit.evidence.chain_reader import fetch_rows, select_parts
from repermit.evidence.verify.contacts import (
    find_newest_seq,
    has_later_contact,
    make_contact_fault,
    quote_member,
)
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.keyed_hash import KeyedHash

_CHUNK = 500


class _Removed(NamedTuple):
    """A removed contact with one of its suppressions, if there is any.

    - `status_at`: the time of the removal.
    - `kept_for`, `kept_at`: the suppression's reason and time.
    - `is_named`: whether it may be the suppression that an erasure names.
    """

    number: int
    list: int
    subject: str
    address: str | None
    address_key: str
    reason: str
    status_at: Any
    fingerprint: str | None
    kept_for: str | None
    kept_at: Any
    is_named: int


def check_suppressions(key: bytes | None) -> Iterator[Fault]:
    """Yield the removed contacts without the suppression on their list that a removal adds.

    It has their subject and reason. Its fingerprint is that of the address, or after an erasure
    the one in the record. Only the person's own Yes, or the undo of the import that brought it,
    lifts it, and then the contact is no longer removed. Erasures and corrections of the address do
    not lift it.

    - `key`: the key of the fingerprints; None leaves them unchecked.
    """
    mac = KeyedHash(key) if key else None
    # A suppression restored from the journal leaves the contact's status as it was.
    entries = Evidence.select(Evidence.list).where(Evidence.event == "suppressions_put_back")
    put_back = {slug for (slug,) in fetch_rows(entries)}
    others: _Fingerprints = defaultdict(set)
    rows = map(_Removed._make, stream_rows(_select_removed_contacts()))
    for number, group in groupby(rows, attrgetter("number")):
        suppressions = list(group)
        contact = suppressions[0]
        if mac and len(suppressions) > 1:
            others[contact.list].update(_iter_other_fingerprints(suppressions, mac))
        difference = _find_difference(suppressions, mac)
        if difference and not has_later_contact(number, contact.subject, contact.address):
            yield make_contact_fault(
                number, contact.subject, difference, Evidence.event == "removed"
            )
    yield from _check_suppressions_without_contact(put_back)
    if mac:
        yield from _check_list_suppressions(mac, others, put_back)
        yield from _check_deleted_suppressions(mac)


def _select_removed_contacts() -> Any:
    is_named = (
        Contact.erased_at.is_null()
        | ~_erasure_says(Value('"whose":"'))
        | _erasure_says(quote_member("whose", Suppression.fingerprint))
    )
    return (
        Contact.select(
            Contact.id,
            Contact.list,
            Contact.subject,
            Contact.address,
            Contact.address_key,
            Contact.reason,
            Contact.status_at,
            Suppression.fingerprint,
            Suppression.reason,
            Suppression.at,
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
    """Return SQL for whether an erasure of a contact contains a text."""
    own = Evidence.subject == Contact.subject, Evidence.event == "erased"
    return fn.EXISTS(select_parts(Value(1), text=text).where(*own))


def _find_difference(suppressions: Sequence[_Removed], mac: KeyedHash | None) -> str:
    """Return what is wrong with a contact's suppressions; "" if one of them is right.

    A contact may have several, as the suppression of a former address is stored, too.
    """
    contact = suppressions[0]
    own = [row for row in suppressions if row.fingerprint is not None and row.is_named]
    if not own:
        return "that it is not to be asked again"
    if mac and contact.address is not None:
        fingerprint = mac.digest(contact.address_key.encode()).hex()
        own = [row for row in own if row.fingerprint == fingerprint]
        if not own:
            return "the fingerprint by which it is not asked again"
    own = [row for row in own if row.kept_for == row.reason]
    if not own:
        return "why it is not to be asked again"
    is_since = any(row.kept_at == row.status_at for row in own)
    return "" if is_since else "since when it is not to be asked again"


_Fingerprints = dict[int | None, set[str]]
"""Fingerprints of suppressed addresses by list, None for all lists."""


def _iter_other_fingerprints(suppressions: Sequence[_Removed], mac: KeyedHash) -> Iterator[str]:
    """Yield the fingerprints under a removed contact's subject that are not of its address."""
    contact = suppressions[0]
    own = mac.digest(contact.address_key.encode()).hex()
    for row in suppressions:
        is_own = row.is_named if contact.address is None else row.fingerprint == own
        if row.fingerprint and not is_own:
            yield row.fingerprint


def _check_list_suppressions(
    mac: KeyedHash, others: _Fingerprints, put_back: Collection[str]
) -> Iterator[Fault]:
    """Yield contacts that are not removed although their address is suppressed, by any subject.

    Their own Yes would have lifted it; it also overrides a suppression for all lists.

    - `others`: fingerprints under subjects of removed contacts that are not of their address.
    - `put_back`: the lists whose suppressions were restored from a journal.
    """
    for list_id, fingerprint in stream_rows(_select_suppressions_of_nobody_removed()):
        others[list_id].add(fingerprint)
    if not others:
        return
    query: Any = (
        Contact.select(
            Contact.id, Contact.list, Contact.subject, Contact.status, Contact.address_key
        )
        .join(MailingList)
        .where(Contact.status != "removed", MailingList.slug.not_in(sorted(put_back)))
    )
    for number, list_id, subject, status, address_key in stream_rows(query):
        fingerprint = mac.digest(address_key.encode()).hex()
        is_off_all = fingerprint in others[None] and status != "confirmed"
        if is_off_all or fingerprint in others[list_id]:
            yield make_contact_fault(number, subject, "that it was not taken off")


def _select_suppressions_of_nobody_removed() -> Any:
    # By the subject: `+ 0` keeps the index of the list from being used.
    same = (Contact.subject == Suppression.subject) & (Contact.list + 0 == Suppression.list)
    return (
        Suppression.select(Suppression.list, Suppression.fingerprint)
        .join(Contact, JOIN.LEFT_OUTER, on=same & (Contact.status == "removed"))
        .where(Contact.id.is_null())
    )


def _check_suppressions_without_contact(put_back: Collection[str]) -> Iterator[Fault]:
    """Yield the suppressions of addresses never on the list that contradict their entries.

    The reason is compared if the time is the entry's: if a contact with that address comes and
    leaves later, the suppression has the reason of that removal. A suppression whose time is in no
    entry is yielded, too.

    - `put_back`: lists whose suppressions were restored from a journal, with the journal's times.
    """
    own = Evidence.subject == Suppression.subject
    entry_at_time = Evidence.alias()
    has_entry_at_time = fn.EXISTS(
        entry_at_time.select(Value(1)).where(
            entry_at_time.subject == Suppression.subject, entry_at_time.at == Suppression.at
        )
    )
    query: Any = (
        Suppression.select(Suppression.id, Evidence.seq, Evidence.at == Suppression.at)
        .join(Evidence, on=own & ((Evidence.at == Suppression.at) | ~has_entry_at_time))
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(
            Evidence.event == "suppressed",
            Evidence.list.not_in(sorted(put_back)) | (Evidence.at == Suppression.at),
            EvidencePart.part == "consent",
            (Evidence.at != Suppression.at)
            | (find_position(EvidencePart.json, quote_member("reason", Suppression.reason)) == 0),
        )
        .order_by(Evidence.seq)
    )
    for number, seq, has_entry_time in fetch_rows(query):
        detail = "why it is kept" if has_entry_time else "since when it is kept"
        yield Fault(seq, How.CONTRADICTED, f"suppression {number}: {detail}")


def _check_deleted_suppressions(mac: KeyedHash) -> Iterator[Fault]:
    """Yield suppressions of addresses never on the list that are missing without a Yes."""
    recorded: Any = select_parts(
        Evidence.seq, Evidence.list, EvidencePart.json, text=Value('"whose":"')
    ).where(Evidence.event == "suppressed")
    for slug, rows in groupby(sorted(recorded.tuples(), key=itemgetter(1)), itemgetter(1)):
        seq_by_fingerprint = {json.loads(text)["whose"]: seq for seq, _, text in rows}
        stored: Any = Suppression.select(Suppression.fingerprint).join(MailingList)
        for batch in chunks(sorted(seq_by_fingerprint), _CHUNK):
            own = stored.where(MailingList.slug == slug, Suppression.fingerprint.in_(list(batch)))
            for (fingerprint,) in own.tuples():
                seq_by_fingerprint.pop(fingerprint, None)
        if seq_by_fingerprint:
            for fingerprint in _select_confirmed(mac, slug, seq_by_fingerprint):
                seq_by_fingerprint.pop(fingerprint, None)
        for seq in sorted(seq_by_fingerprint.values()):
            yield Fault(seq, How.CONTRADICTED, "that an address is not to be asked again")


def _select_confirmed(mac: KeyedHash, slug: str, fingerprints: Collection[str]) -> list[str]:
    """Return the fingerprints whose address is confirmed on a list by the person's own Yes."""
    query: Any = (
        Contact.select(Contact.address_key)
        .join(MailingList)
        .where(
            MailingList.slug == slug,
            Contact.status == "confirmed",
            Contact.basis.in_(("answer", "sign_up")),
        )
    )
    confirmed = (mac.digest(key.encode()).hex() for (key,) in stream_rows(query))
    return [fingerprint for fingerprint in confirmed if fingerprint in fingerprints]


# --- Checking the journal of suppressions. --------------------------------------------------------


def check_journal(key: bytes | None, size: int) -> Iterator[Fault]:
    """Yield the suppressions that the journal or the database lacks; none without a journal.

    - `size`: the journal's octets before the database snapshot was taken. Only these lines must be
      in the database; the snapshot may lack the suppressions of later ones.
    """
    journal = proxy.obj.journal
    if journal is None:
        return
    if damage := find_journal_damage(journal, noted=_count_journalled()):
        yield Fault(0, How.JOURNAL_CUT, damage)
    yield from _check_journalled_suppressions(journal)
    if key is None:
        return
    for lost in find_lost_suppressions(key=key, size=size):
        seq = find_newest_seq(Evidence.subject == lost.subject, Evidence.list == lost.list)
        detail = f"{lost.list}, line {lost.line} of the journal"
        yield Fault(seq, How.SUPPRESSION_DELETED, detail)


def _count_journalled() -> int:
    """Count the entries that came with a line of the journal that the database sealed.

    Only entries since the last restore, and since the upgrade from a version without seals. Without
    such an upgrade launches count, too; at one, a launch without a sealed line may be under way.
    """
    sealed_since = Meta.read_number(JOURNAL_SEALED_SINCE)
    since = [] if sealed_since is None else [Evidence.seq > sealed_since]
    restored = Evidence.select().where(Evidence.event == "restored").order_by(Evidence.seq.desc())
    if last := restored.first():
        since += [Evidence.seq > last.seq, Evidence.at > last.at]
    events = ("removed", "launched") if sealed_since is None else ("removed",)
    count: int = Evidence.select().where(Evidence.event.in_(events), *since).count()
    return count


def _check_journalled_suppressions(journal: Journal) -> Iterator[Fault]:
    """Yield the first suppression that the journal lacks or has with other values.

    Only if this is the database's only journal since it was created, upgraded or last restored.
    """
    if not is_only_sealed_journal(journal):
        return
    since = _find_journal_start()
    query: Any = Suppression.select(
        Suppression.id,
        MailingList.slug,
        Suppression.fingerprint,
        Suppression.reason,
        Suppression.at,
    ).join(MailingList, JOIN.LEFT_OUTER)
    if since is not None:
        query = query.where(Suppression.at > since)
    journal_hashes: array[int] | None = None
    for number, slug, fingerprint, reason, at in stream_rows(query):
        if journal_hashes is None:
            journal_hashes = hash_journal_suppressions(journal)
        suppression_hash = hash_suppression(
            format_timestamp(parse_timestamp(at)), slug or "", fingerprint, reason
        )
        index = bisect_left(journal_hashes, suppression_hash)
        if index == len(journal_hashes) or journal_hashes[index] != suppression_hash:
            yield Fault(0, How.JOURNAL_CUT, f"suppression {number} does not stand in it")
            return


def _find_journal_start() -> datetime | None:
    """Return until when suppressions may be in another journal or in none; None if never."""
    entries = Evidence.select(fn.MAX(Evidence.at)).where(Evidence.event == "restored")
    times = [entries.scalar()]
    if seq := Meta.read_number(JOURNAL_SEALED_SINCE):
        upgraded = Evidence.select(fn.MAX(Evidence.at)).where(Evidence.seq <= seq)
        times.append(upgraded.scalar())
    return max((parse_timestamp(at) for at in times if at), default=None)
