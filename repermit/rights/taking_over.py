"""Taking in who is not to be asked: from a system with the same key, or from another tool.

May import contacts, evidence, models, listfile, addresses and what lies below.

Three kinds of files: an export of `sharing`; addresses, in any form that a list has; and hashes of
addresses as Mailchimp (MD5), Brevo, Meta and Google (SHA-256) write them: of the lower-cased
address, without salt. A hash cannot become a fingerprint, for that needs the address. It is held
against the addresses that are on the list now; one that fits none could not be recognised later
either, and is counted as not placed.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from repermit import addresses, contacts, evidence
from repermit.consent import Basis, Reason, Status
from repermit.contacts import Act
from repermit.evidence import Entry
from repermit.models import Contact, StepSize, Suppression, lock_rows, new_id
from repermit.rights.meaning import Meant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from repermit.config import Settings
    from repermit.contacts import Suppressed
    from repermit.models import Database, MailingList
    from repermit.rights.meaning import One

"""How many of a file are taken in by one transaction: whoever answers meanwhile waits for one."""

_LOOKED_AT = 500
_OWN_YES = (Basis.ANSWER, Basis.SIGN_UP)


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """What came of a file; `kind` is "fingerprints", "addresses" or "hashes".

    `rows` are all of it: `added` are suppressed now, `known` were before, `kept` said Yes here
    themselves, which holds, `invalid` are no address, `duplicates` stood there before, `not_placed`
    are hashes that fit nobody on the list. `removed` of the added were on the list, and are off it.
    """

    kind: str
    rows: int
    added: int
    known: int
    kept: int
    invalid: int
    duplicates: int
    not_placed: int
    removed: int


def import_suppressions(
    database: Database,
    mailing_list: MailingList,
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    dry_run: bool = False,
    settings: Settings,
    now: datetime,
    actor: str,
) -> TakenOver:
    """Suppress for a list whom a file names, or only say who that would be; see TakingOver."""
    with taking_over(
        database,
        mailing_list,
        path,
        mapping=mapping,
        dry_run=dry_run,
        settings=settings,
        now=now,
        actor=actor,
    ) as taking:
        while taking.step():
            pass
        return taking.result


@contextmanager
def taking_over(
    database: Database,
    mailing_list: MailingList,
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    dry_run: bool = False,
    settings: Settings,
    now: datetime,
    actor: str,
) -> Iterator[TakingOver]:
    """Read a file whole, and yield what takes it in; nothing is written before all is read.

    Raises ListFileError for a file that cannot be read, and Refused for fingerprints of another
    key, or where one is broken.
    """
    meant = Meant(mailing_list, path, mapping=mapping or {}, settings=settings, now=now)
    try:
        about = {"file": meant.digest, "by": "suppressions"}
        act = Act(at=now, actor=actor, consent=about)
        yield TakingOver(
            database,
            mailing_list,
            meant,
            name=path.name,
            act=act,
            key=settings.fingerprint_key,
            dry_run=dry_run,
        )
    finally:
        meant.close()


@dataclass
class _Counts:
    added: int = 0
    known: int = 0
    kept: int = 0
    removed: int = 0


class TakingOver:
    """A file that is being taken in, a batch at a time, each in a transaction of its own.

    Whoever is on the list is taken off for `request`, unless they said Yes here themselves: after
    an opt-out whose moment the file tells, or at any time where it tells none. Broken off, it can
    be given again: what had been taken in is known then. So is what an import had suppressed, and
    it stays from now on, also if that import is taken back.
    """

    def __init__(
        self,
        database: Database,
        mailing_list: MailingList,
        meant: Meant,
        *,
        name: str,
        act: Act,
        key: bytes,
        dry_run: bool,
    ) -> None:
        self._database = database
        self._list = mailing_list
        self._meant = meant
        self._name = name
        self._act = act
        self._key = key
        self._dry_run = dry_run
        self._reached = 0
        self._size = StepSize()
        self._counts = _Counts()

    @property
    def result(self) -> TakenOver:
        """Return what has come of the file so far."""
        meant = self._meant
        return TakenOver(
            kind=meant.kind,
            rows=meant.rows,
            invalid=meant.invalid,
            duplicates=meant.duplicates,
            not_placed=meant.not_placed,
            **vars(self._counts),
        )

    def step(self) -> bool:
        """Take in the next ones; False once there are none, and the record tells of the file."""
        # Beforehand, and within: who has signed up in the meantime is on the list too.
        self._meant.look_up()
        with self._transaction() as limit:
            self._meant.look_up()
            some = self._meant.behind(self._reached, limit)
            if some:
                self._take(some)
            elif not self._dry_run:
                self._tell()
        if some:
            self._reached = some[-1].number
        return bool(some)

    def _transaction(self) -> AbstractContextManager[int]:
        """Begin one for the next step, unless nothing is written."""
        return nullcontext(_LOOKED_AT) if self._dry_run else self._size.step(self._database)

    def _take(self, some: Sequence[One]) -> None:
        held = self._held(some)
        meant = {one.suppressed.fingerprint: one.suppressed for one in some}
        kept = {one for one in held if self._holds(held[one], meant[one])}
        known = self._known([one for one in meant if one not in kept])
        added = self._with_subjects(
            [one for print_, one in meant.items() if print_ not in kept | known], held
        )
        there = [held[one.fingerprint] for one in added if one.fingerprint in held]
        leaving = [contact for contact in there if contact.status != Status.REMOVED]
        if not self._dry_run:
            claimed = [one for print_, one in held.items() if print_ not in kept]
            again = [contact for contact in claimed if contacts.is_off_by_file(contact)]
            contacts.suppress(self._list, added)
            contacts.remove(
                [*leaving, *again],
                reason=Reason.REQUEST,
                act=self._act,
                fingerprint_key=self._key,
            )
            contacts.stay(self._list, Suppression.fingerprint.in_(list(known)))
        counts = self._counts
        counts.added += len(added)
        counts.known += len(known)
        counts.kept += len(kept)
        counts.removed += len(leaving)

    def _with_subjects(
        self, these: Sequence[Suppressed], held: Mapping[str, Contact]
    ) -> list[Suppressed]:
        """Return these under their own subjects, also where another list's file has brought them.

        Who is held keeps the subject under which their evidence stands. One under which another
        list has a record is that record's alone.
        """
        others = evidence.told_elsewhere([one.subject for one in these], self._list.slug)
        own = {print_: contact.subject for print_, contact in held.items()}
        fresh = {one.fingerprint: new_id() for one in these if one.subject in others}
        subjects = {**fresh, **own}
        return [replace(one, subject=subjects.get(one.fingerprint, one.subject)) for one in these]

    def _held(self, some: Sequence[One]) -> dict[str, Contact]:
        """Return who of them is on the list, by fingerprint, locked; nobody who has moved away."""
        wanted = {one.contact: one.suppressed.fingerprint for one in some if one.contact}
        query = Contact.select().where(Contact.id.in_(list(wanted))).order_by(Contact.id)
        found = list(lock_rows(query))
        prints = addresses.fingerprints(self._key, [contact.address_key for contact in found])
        return {
            print_: contact
            for contact, print_ in zip(found, prints, strict=True)
            if print_ == wanted[contact.id]
        }

    def _holds(self, contact: Contact, one: Suppressed) -> bool:
        """Say whether the contact's own Yes holds; an opt-out without a date counts as earlier."""
        if contact.status != Status.CONFIRMED or contact.basis not in _OWN_YES:
            return False
        is_later: bool = contact.status_at > one.at
        return self._meant.kind != "fingerprints" or is_later

    def _known(self, fingerprints: Sequence[str]) -> set[str]:
        query = Suppression.select(Suppression.fingerprint).where(
            Suppression.fingerprint.in_(fingerprints),
            (Suppression.list == self._list) | Suppression.list.is_null(),
        )
        return {one.fingerprint for one in query}

    def _tell(self) -> None:
        told = {**vars(self.result), "file": self._meant.digest, "name": self._name}
        evidence.append(
            Entry(
                event="suppressions_imported",
                at=self._act.at,
                actor=self._act.actor,
                list=self._list.slug,
                consent=told,
            )
        )
