"""Replaying the journals on a restored database: who has left since the backup was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress as without
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from repermit import email_address
from repermit.backups.journal_reader import Departure, JournalContents
from repermit.clock import format_timestamp
from repermit.contacts import erasure, lookup, status_changes
from repermit.contacts.last_ask import Facts
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
    """What the journals brought to a restored database.

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
    """Who has left one list, and who was erased there, by fingerprint and by subject.

    By both, since an address may have been corrected after the backup was made. That it was, is
    said of the former address alone: whoever has the new one, or the former one again, is rightly
    there. `moves` are the last ones, by subject, each with the address that was left.
    """

    mailing_list: MailingList
    left: dict[str, Departure]
    left_subjects: dict[str, Departure]
    moves: dict[str, tuple[str, Departure]]
    erased: set[str]
    at: datetime
    actor: str
    key: bytes

    def left_of(self, contact: Contact, fingerprint: str) -> Departure | None:
        """Return what the journal says of a contact, if it has left the list, or its address."""
        here = self.left.get(fingerprint)
        away_from, move = self.moves.get(contact.subject, ("", None))
        if away_from == fingerprint:
            # Whatever the journal says of the address since, it says of somebody else.
            here = move
        if here is None or here.has_moved:
            return self.left_subjects.get(contact.subject, here)
        return here


def replay(journal: JournalContents, *, key: bytes, now: datetime, actor: str) -> ReplayResult:
    """Take off who has left, suppress the others of whom the journals speak, erase anew.

    In the caller's transaction. Nobody is put back on a list: a Yes that was given since is lost
    with its evidence, and the person can give it again. Who has corrected their address since is
    off the list with the former one, to which nothing may go, and is told of. A list that the
    database does not know is made anew, without anything but who is not to be asked on it.
    """
    remade = _remake_lists(journal, now=now, actor=actor)
    removed: Counter[Reason] = Counter()
    moved: list[MovedContact] = []
    suppressed = erased = 0
    for mailing_list in list(MailingList.select()):
        one = _prepare_list(mailing_list, journal, now=now, actor=actor, key=key)
        for found in _find_matches(one):
            _note_predecessors(one, found)
            _skip_later_yes(one, found)
            moved += _list_moved(one, found)
            removed.update(_remove(one, found))
            erased += _erase(one, found)
        suppressed += _suppress(one)
        erased += _forget_sign_ups(one, journal.sign_ups)
    return ReplayResult(
        removed={reason: removed[reason] for reason in Reason},
        moved=tuple(moved),
        suppressed=suppressed,
        erased=erased,
        remade=remade,
        unreadable=journal.unreadable,
    )


def _remake_lists(journal: JournalContents, *, now: datetime, actor: str) -> tuple[str, ...]:
    """Make the lists that the journals alone know; return their names.

    Who has left one has to be kept somewhere: somebody will describe it again and bring in its
    file. Until it has been described nobody can be asked on it.
    """
    known = {one.slug for one in MailingList.select(MailingList.slug)}
    remade = tuple(sorted(journal.lists - known))
    for slug in remade:
        MailingList.create(slug=slug, name=slug, created_at=now)
        about = {"name": slug, "by": "restored"}
        chain.append(Entry(event="list_added", at=now, actor=actor, list=slug, consent=about))
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
    left = {
        address.fingerprint: one for address, one in journal.left.items() if address.list == slug
    }
    erased = {
        address: subject for address, subject in journal.erased.items() if address.list == slug
    }
    return _ListReplay(
        mailing_list=mailing_list,
        left=left,
        moves={person.subject: one for person, one in journal.moves.items() if person.list == slug},
        left_subjects={one.subject: one for one in left.values() if not one.has_moved},
        erased={*(address.fingerprint for address in erased), *erased.values()},
        at=now,
        actor=actor,
        key=key,
    )


def _find_matches(one: _ListReplay) -> Iterator[list[tuple[Contact, str]]]:
    """Yield the contacts of whom the journals speak, with their fingerprints, some at a time."""
    spoken = {*one.left, *one.left_subjects, *one.moves, *one.erased}
    if not spoken:
        return
    for rows in _pages(one.mailing_list):
        prints = email_address.fingerprints(one.key, [address_key for _, address_key, _ in rows])
        found = {
            number: fingerprint
            for (number, _, subject), fingerprint in zip(rows, prints, strict=True)
            if fingerprint in spoken or subject in spoken
        }
        these = Contact.select().where(Contact.id.in_(list(found))).order_by(Contact.id)
        yield [(contact, found[contact.id]) for contact in these]


def _pages(mailing_list: MailingList) -> Iterator[list[tuple[int, str, str]]]:
    query: Any = (
        Contact.select(Contact.id, Contact.address_key, Contact.subject)
        .where(Contact.list == mailing_list, Contact.erased_at.is_null())
        .tuples()
    )
    return iter_pages(query, Contact.id, size=_CHUNK, read_key=itemgetter(0))


def _note_predecessors(one: _ListReplay, found: Sequence[tuple[Contact, str]]) -> None:
    """Let those be found by their subject who have left another address than the backup has."""
    ids = [
        contact.id
        for contact, fingerprint in found
        if one.left.get(fingerprint) != one.left_subjects.get(contact.subject)
    ]
    Contact.update(has_predecessor=True).where(Contact.id.in_(make_id_list(ids))).execute()


def _skip_later_yes(one: _ListReplay, found: Sequence[tuple[Contact, str]]) -> None:
    """Leave out whoever said Yes later, as the backup knows."""
    for contact, fingerprint in found:
        left = one.left_of(contact, fingerprint)
        if left is not None and _said_yes_later(contact, left):
            one.left.pop(fingerprint, None)
            one.left_subjects.pop(contact.subject, None)
            one.moves.pop(contact.subject, None)


def _said_yes_later(contact: Contact, one: Departure) -> bool:
    """Say whether the backup knows a Yes by the person that came after they left.

    Only of a line that may be older than the backup: its transaction may have failed, or its
    lifting may be lacking because the process was killed before it wrote it.
    """
    own = contact.status == Status.CONFIRMED and contact.basis in OWN_YES
    return bool(not one.is_later and own and contact.status_at > one.at)


def _list_moved(one: _ListReplay, found: Sequence[tuple[Contact, str]]) -> list[MovedContact]:
    """Return who is still on the list under an address that they have corrected since."""
    return [
        MovedContact(list=one.mailing_list.slug, address=contact.address or "")
        for contact, fingerprint in found
        if (left := one.left_of(contact, fingerprint))
        and left.has_moved
        and contact.status != Status.REMOVED
    ]


def _remove(one: _ListReplay, found: Sequence[tuple[Contact, str]]) -> Counter[Reason]:
    """Remove who has left, as of that moment; count those that `_list_moved` leaves out."""
    facts: dict[int, Facts] = {}
    moved: set[int] = set()
    moments: dict[int, datetime] = {}
    by_reason: dict[Reason, list[Contact]] = {}
    for contact, fingerprint in found:
        left = one.left_of(contact, fingerprint)
        if left is None or not _is_to_leave(contact, left):
            continue
        told = {"left_at": format_timestamp(left.at), "left_for": left.reason}
        facts[contact.id] = Facts({**told, "moved": True} if left.has_moved else told)
        if left.has_moved:
            moved.add(contact.id)
        moments[contact.id] = left.at
        by_reason.setdefault(_reason(contact, left.reason), []).append(contact)
    for reason, these in by_reason.items():
        act = Act(at=one.at, actor=one.actor, consent={"by": "restored"})
        status_changes.remove_contacts(
            these,
            reason=reason,
            act=act,
            fingerprint_key=one.key,
            facts=facts,
            moments=moments,
            moved=moved,
        )
    return Counter(
        reason
        for reason, these in by_reason.items()
        for contact in these
        if contact.id not in moved
    )


def _is_to_leave(contact: Contact, left: Departure) -> bool:
    """Say whether a contact is on the list, or off it by a file alone before they left themselves.

    That file may be taken back, and must not put them back.
    """
    if contact.status != Status.REMOVED:
        return True
    is_later: bool = left.at > contact.status_at
    return is_later and not left.has_moved and lookup.is_off_by_file(contact)


def _reason(contact: Contact, noted: str) -> Reason:
    """Return for what a contact, as the backup knows it, is taken off.

    What was withdrawn since may be a Yes of which the backup does not know either; then it is a No.
    An import notes why somebody had left elsewhere.
    """
    first, by_file = LEFT_ELSEWHERE.get(noted, noted), lookup.is_off_by_file(contact)
    for reason in (first, _OTHERWISE.get(first, first)):
        with without(ValueError, TransitionRefused):
            possible = Reason(reason)
            status = Status(contact.status)
            require_removal(status, possible, basis=contact.basis, by_file=by_file)
            return possible
    return Reason.REQUEST


_OTHERWISE: dict[str, str] = {Reason.NO: Reason.WITHDRAWN, Reason.WITHDRAWN: Reason.NO}


def _erase(one: _ListReplay, found: Sequence[tuple[Contact, str]]) -> int:
    """Erase anew who was erased since, unless they have come back."""
    ids = [
        contact.id
        for contact, fingerprint in found
        if fingerprint in one.erased or contact.subject in one.erased
    ]
    gone = Contact.select().where(Contact.id.in_(ids), Contact.status == Status.REMOVED)
    these = list(gone.order_by(Contact.id))
    if these:
        act = Act(at=one.at, actor=one.actor, consent={"by": "restored"})
        erasure.erase_contacts(these, act=act, fingerprint_key=one.key)
    return len(these)


def _forget_sign_ups(one: _ListReplay, uids: Collection[str]) -> int:
    """Delete anew what was deleted of who had only signed up; return of how many addresses."""
    own: Any = SignUp.select(SignUp.uid, SignUp.address_key).where(SignUp.list == one.mailing_list)
    found = {uid: key for uid, key in own.tuples().iterator() if uid in uids}
    if found:
        for some in chunks(list(found), _CHUNK):
            erasure.delete_restored_sign_ups(list(some))
        told = {"seqs": [], "parts": [], "sign_ups": len(found), "by": "restored"}
        chain.append(
            Entry(
                event="erased",
                at=one.at,
                actor=one.actor,
                list=one.mailing_list.slug,
                consent=told,
            )
        )
    return len(set(found.values()))


def _suppress(one: _ListReplay) -> int:
    """Suppress who is in no contact of this list, or is suppressed no more; return how many."""
    made = 0
    for prints in chunks(list(one.left), _CHUNK):
        query: Any = (
            Suppression.select(Suppression.fingerprint)
            .where(
                Suppression.list == one.mailing_list,
                Suppression.fingerprint.in_(list(prints)),
            )
            .tuples()
        )
        known = {fingerprint for (fingerprint,) in query}
        lacking = [fingerprint for fingerprint in prints if fingerprint not in known]
        these = [
            NewSuppression(
                fingerprint=fingerprint,
                subject=one.left[fingerprint].subject,
                reason=one.left[fingerprint].reason,
                at=one.left[fingerprint].at,
                has_moved=one.left[fingerprint].has_moved,
            )
            for fingerprint in lacking
        ]
        suppressions.add_suppressions(one.mailing_list, these)
        made += len(these)
    return made
