"""Replaying the journals on a restored database, for what happened since the backup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from repermit import email_address
from repermit.backups.journal_reader import Departure, JournalContents
from repermit.clock import format_timestamp
from repermit.contacts import erasure, lookup, status_changes
from repermit.contacts.last_ask import EvidenceFields
from repermit.contacts.status_changes import Act
from repermit.db.connection import chunks, iter_pages, make_id_list
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.lists import MailingList
from repermit.errors import TransitionRefused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import LEFT_ELSEWHERE, OWN_YES, Reason, Status, require_removal
from repermit.suppression import suppressions
from repermit.suppression.suppressions import NewSuppression

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class MovedContact:
    """A contact whose address has changed since the backup: its list, and the former address."""

    list: str
    address: str


@dataclass(frozen=True, kw_only=True)
class ReplayResult:
    """What a replay of the journals changed.

    - `removed`: how many contacts were removed again, by reason.
    - `moved`: contacts that were removed under an address that they have corrected since.
    - `suppressed`: how many addresses of no contact were suppressed again.
    - `erased`: how many people's data were deleted again.
    - `remade`: the lists that the backup does not know.
    - `unreadable`: how many lines were cut off.
    """

    removed: Mapping[Reason, int]
    moved: tuple[MovedContact, ...]
    suppressed: int
    erased: int
    remade: tuple[str, ...]
    unreadable: int


@dataclass(frozen=True, kw_only=True)
class _ListReplay:
    """The departures from one list and its erasures, by fingerprint and by subject.

    By both, since an address may have been corrected after the backup. Such a move is a departure
    of the former address only: a contact under the new one, or again under the former one, stays.

    - `moves`: each subject's last move, with the fingerprint that it moved away from.
    """

    mailing_list: MailingList
    departures: dict[str, Departure]
    departures_by_subject: dict[str, Departure]
    moves: dict[str, tuple[str, Departure]]
    erased: set[str]
    at: datetime
    actor: str
    key: bytes

    def find_departure(self, contact: Contact, fingerprint: str) -> Departure | None:
        """Return the departure of a contact from the list or from its address, None if it stays."""
        departure = self.departures.get(fingerprint)
        moved_from, move = self.moves.get(contact.subject, ("", None))
        if moved_from == fingerprint:
            # A later line about this address is about another person.
            departure = move
        if departure is None or departure.has_moved:
            return self.departures_by_subject.get(contact.subject, departure)
        return departure


def replay(journal: JournalContents, *, key: bytes, now: datetime, actor: str) -> ReplayResult:
    """Apply the journals to a restored database: remove, suppress and erase again.

    In the caller's transaction.

    - Nobody is put back on a list: a Yes given after the backup is lost with its evidence, and the
      person can give it again.
    - A contact that corrected its address after the backup is removed under the former one, and
      reported in `moved`.
    - A list that only the journals know is created, with its suppressions alone.
    """
    remade = _remake_lists(journal, now=now, actor=actor)
    removed: Counter[Reason] = Counter()
    moved: list[MovedContact] = []
    suppressed = erased = 0
    for mailing_list in list(MailingList.select()):
        list_replay = _prepare_list(mailing_list, journal, now=now, actor=actor, key=key)
        for matches in _find_matches(list_replay):
            _mark_predecessors(list_replay, matches)
            _skip_later_yes(list_replay, matches)
            moved += _list_moved(list_replay, matches)
            removed.update(_remove(list_replay, matches))
            erased += _erase(list_replay, matches)
        suppressed += _suppress(list_replay)
        erased += _forget_sign_ups(list_replay, journal.sign_ups)
    return ReplayResult(
        removed={reason: removed[reason] for reason in Reason},
        moved=tuple(moved),
        suppressed=suppressed,
        erased=erased,
        remade=remade,
        unreadable=journal.unreadable,
    )


def _remake_lists(journal: JournalContents, *, now: datetime, actor: str) -> tuple[str, ...]:
    """Create the lists that only the journals know; return their slugs.

    Their suppressions must be stored before somebody imports the list's file again. Until the list
    is described, nobody can be asked on it.
    """
    known = {row.slug for row in MailingList.select(MailingList.slug)}
    remade = tuple(sorted(journal.lists - known))
    for slug in remade:
        MailingList.create(slug=slug, name=slug, created_at=now)
        content = {"name": slug, "by": "restored"}
        chain.append(Entry(event="list_added", at=now, actor=actor, list=slug, consent=content))
    return remade


def _prepare_list(
    mailing_list: MailingList,
    journal: JournalContents,
    *,
    now: datetime,
    actor: str,
    key: bytes,
) -> _ListReplay:
    slug = mailing_list.slug
    departures = {
        address.fingerprint: departure
        for address, departure in journal.departures.items()
        if address.list == slug
    }
    erased = {
        address: subject for address, subject in journal.erased.items() if address.list == slug
    }
    return _ListReplay(
        mailing_list=mailing_list,
        departures=departures,
        moves={
            person.subject: move for person, move in journal.moves.items() if person.list == slug
        },
        departures_by_subject={
            departure.subject: departure
            for departure in departures.values()
            if not departure.has_moved
        },
        erased={*(address.fingerprint for address in erased), *erased.values()},
        at=now,
        actor=actor,
        key=key,
    )


def _find_matches(list_replay: _ListReplay) -> Iterator[list[tuple[Contact, str]]]:
    """Yield the contacts that the journals name, with their fingerprints, in batches."""
    known = {
        *list_replay.departures,
        *list_replay.departures_by_subject,
        *list_replay.moves,
        *list_replay.erased,
    }
    if not known:
        return
    for rows in _iter_contact_pages(list_replay.mailing_list):
        fingerprints = email_address.fingerprints(
            list_replay.key, [address_key for _, address_key, _ in rows]
        )
        fingerprint_by_id = {
            number: fingerprint
            for (number, _, subject), fingerprint in zip(rows, fingerprints, strict=True)
            if fingerprint in known or subject in known
        }
        contacts = (
            Contact.select().where(Contact.id.in_(list(fingerprint_by_id))).order_by(Contact.id)
        )
        yield [(contact, fingerprint_by_id[contact.id]) for contact in contacts]


def _iter_contact_pages(mailing_list: MailingList) -> Iterator[list[tuple[int, str, str]]]:
    query: Any = (
        Contact.select(Contact.id, Contact.address_key, Contact.subject)
        .where(Contact.list == mailing_list, Contact.erased_at.is_null())
        .tuples()
    )
    return iter_pages(query, Contact.id, size=_CHUNK, read_key=itemgetter(0))


def _mark_predecessors(list_replay: _ListReplay, matches: Sequence[tuple[Contact, str]]) -> None:
    """Set `has_predecessor` on contacts whose address is not the one that they left.

    They are then found by their subject.
    """
    ids = [
        contact.id
        for contact, fingerprint in matches
        if list_replay.departures.get(fingerprint)
        != list_replay.departures_by_subject.get(contact.subject)
    ]
    Contact.update(has_predecessor=True).where(Contact.id.in_(make_id_list(ids))).execute()


def _skip_later_yes(list_replay: _ListReplay, matches: Sequence[tuple[Contact, str]]) -> None:
    """Drop the departures of contacts with a later Yes in the backup."""
    for contact, fingerprint in matches:
        departure = list_replay.find_departure(contact, fingerprint)
        if departure is not None and _said_yes_later(contact, departure):
            list_replay.departures.pop(fingerprint, None)
            list_replay.departures_by_subject.pop(contact.subject, None)
            list_replay.moves.pop(contact.subject, None)


def _said_yes_later(contact: Contact, departure: Departure) -> bool:
    """Say whether the backup has a Yes of the person after a departure.

    Only for a line that may be older than the backup: its transaction may have failed, or a killed
    process may not have written its lift.
    """
    has_own_yes = contact.status == Status.CONFIRMED and contact.basis in OWN_YES
    return bool(not departure.is_later and has_own_yes and contact.status_at > departure.at)


def _list_moved(
    list_replay: _ListReplay, matches: Sequence[tuple[Contact, str]]
) -> list[MovedContact]:
    """Return the contacts still on the list under an address that they have corrected since."""
    return [
        MovedContact(list=list_replay.mailing_list.slug, address=contact.address or "")
        for contact, fingerprint in matches
        if (departure := list_replay.find_departure(contact, fingerprint))
        and departure.has_moved
        and contact.status != Status.REMOVED
    ]


def _remove(list_replay: _ListReplay, matches: Sequence[tuple[Contact, str]]) -> Counter[Reason]:
    """Remove the contacts that have left, as of then; count them by reason, without the moved."""
    evidence_by_id: dict[int, EvidenceFields] = {}
    moved: set[int] = set()
    removed_at_by_id: dict[int, datetime] = {}
    by_reason: dict[Reason, list[Contact]] = {}
    for contact, fingerprint in matches:
        departure = list_replay.find_departure(contact, fingerprint)
        if departure is None or not _is_to_leave(contact, departure):
            continue
        fields = {"left_at": format_timestamp(departure.at), "left_for": departure.reason}
        evidence_by_id[contact.id] = EvidenceFields(
            {**fields, "moved": True} if departure.has_moved else fields
        )
        if departure.has_moved:
            moved.add(contact.id)
        removed_at_by_id[contact.id] = departure.at
        by_reason.setdefault(_choose_removal_reason(contact, departure.reason), []).append(contact)
    for reason, contacts in by_reason.items():
        act = Act(at=list_replay.at, actor=list_replay.actor, consent={"by": "restored"})
        status_changes.remove_contacts(
            contacts,
            reason=reason,
            act=act,
            fingerprint_key=list_replay.key,
            evidence_by_id=evidence_by_id,
            removed_at_by_id=removed_at_by_id,
            moved=moved,
        )
    return Counter(
        reason
        for reason, contacts in by_reason.items()
        for contact in contacts
        if contact.id not in moved
    )


def _is_to_leave(contact: Contact, departure: Departure) -> bool:
    """Say whether a contact is on the list, or was only removed by a file, and is to be removed.

    Undoing that import must not put it back.
    """
    if contact.status != Status.REMOVED:
        return True
    is_later: bool = departure.at > contact.status_at
    return is_later and not departure.has_moved and lookup.is_off_by_file(contact)


def _choose_removal_reason(contact: Contact, journal_reason: str) -> Reason:
    """Return a reason that allows removing a contact in its status of the backup.

    A Yes that was withdrawn may be missing from the backup too; then it is a No. Reasons from an
    import are mapped (`LEFT_ELSEWHERE`).
    """
    first_reason, by_file = (
        LEFT_ELSEWHERE.get(journal_reason, journal_reason),
        lookup.is_off_by_file(contact),
    )
    for reason in (first_reason, _ALTERNATIVE_REASONS.get(first_reason, first_reason)):
        with suppress(ValueError, TransitionRefused):
            possible = Reason(reason)
            status = Status(contact.status)
            require_removal(status, possible, basis=contact.basis, by_file=by_file)
            return possible
    return Reason.REQUEST


_ALTERNATIVE_REASONS: dict[str, str] = {Reason.NO: Reason.WITHDRAWN, Reason.WITHDRAWN: Reason.NO}


def _erase(list_replay: _ListReplay, matches: Sequence[tuple[Contact, str]]) -> int:
    """Erase again the contacts that were erased since, unless they are on the list."""
    ids = [
        contact.id
        for contact, fingerprint in matches
        if fingerprint in list_replay.erased or contact.subject in list_replay.erased
    ]
    query = Contact.select().where(Contact.id.in_(ids), Contact.status == Status.REMOVED)
    contacts = list(query.order_by(Contact.id))
    if contacts:
        act = Act(at=list_replay.at, actor=list_replay.actor, consent={"by": "restored"})
        erasure.erase_contacts(contacts, act=act, fingerprint_key=list_replay.key)
    return len(contacts)


def _forget_sign_ups(list_replay: _ListReplay, uids: Collection[str]) -> int:
    """Delete again the unconfirmed sign-ups deleted since; return how many addresses they had."""
    query: Any = SignUp.select(SignUp.uid, SignUp.address_key).where(
        SignUp.list == list_replay.mailing_list
    )
    key_by_uid = {uid: key for uid, key in query.tuples().iterator() if uid in uids}
    if key_by_uid:
        for uid_chunk in chunks(list(key_by_uid), _CHUNK):
            erasure.delete_restored_sign_ups(list(uid_chunk))
        content = {"seqs": [], "parts": [], "sign_ups": len(key_by_uid), "by": "restored"}
        chain.append(
            Entry(
                event="erased",
                at=list_replay.at,
                actor=list_replay.actor,
                list=list_replay.mailing_list.slug,
                consent=content,
            )
        )
    return len(set(key_by_uid.values()))


def _suppress(list_replay: _ListReplay) -> int:
    """Add the list's suppressions that are missing; return how many."""
    count = 0
    for batch in chunks(list(list_replay.departures), _CHUNK):
        query: Any = (
            Suppression.select(Suppression.fingerprint)
            .where(
                Suppression.list == list_replay.mailing_list,
                Suppression.fingerprint.in_(list(batch)),
            )
            .tuples()
        )
        known = {fingerprint for (fingerprint,) in query}
        missing = [fingerprint for fingerprint in batch if fingerprint not in known]
        new_suppressions = [
            NewSuppression(
                fingerprint=fingerprint,
                subject=list_replay.departures[fingerprint].subject,
                reason=list_replay.departures[fingerprint].reason,
                at=list_replay.departures[fingerprint].at,
                has_moved=list_replay.departures[fingerprint].has_moved,
            )
            for fingerprint in missing
        ]
        suppressions.add_suppressions(list_replay.mailing_list, new_suppressions)
        count += len(new_suppressions)
    return count
