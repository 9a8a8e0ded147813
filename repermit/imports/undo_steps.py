"""The steps of undoing an import, each in its own transaction.

A million contacts in one transaction would delay everybody's answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from repermit.clock import format_timestamp
from repermit.db import background_tasks
from repermit.db.background_tasks import BackgroundTask, TaskKind, run_task, start_task
from repermit.db.connection import Database, chunks, lock_rows, make_id_list
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import, ImportChange
from repermit.db.secure_delete import request_wiping
from repermit.db.work_steps import MAX_ROWS_PER_STEP
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.imports.address_fate import NEW
from repermit.rules.consent import Fate, Status
from repermit.suppression import suppressions as suppression_suppressions

FATES = (*NEW, Fate.OPTED_OUT)
"""The fates of rows of which something is to be taken back; so are better bases."""

_CHUNK = 500
_ERASED_PARTS = ("person", "trace")


def begin_reversal(record: Import, *, now: datetime, actor: str) -> None:
    """Note that an import is to be taken back, in the caller's transaction."""
    counts = json.loads(record.counts)
    rows = sum(counts["fates"].get(fate, 0) for fate in FATES) + counts.get("improved", 0)
    start_task(
        TaskKind.UNDO_IMPORT,
        record.id,
        mailing_list=record.list,
        actor=actor,
        at=now,
        state=asdict(Progress(rows=rows)),
    )


def go_on(
    database: Database,
    number: int,
    *,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> bool:
    """Take steps of an undoing, of `step` rows at most, until it is done; several may at once.

    False if it was to stop before.
    """
    return run_task(
        database,
        TaskKind.UNDO_IMPORT,
        number,
        *(
            partial(_take_step, kind)
            for kind in (Step.take_back, Step.put_back, Step.lift, Step.end)
        ),
        should_stop=should_stop,
        max_rows_per_step=step,
    )


def _take_step(kind: Callable[[Step], _Entries | None], task: BackgroundTask, limit: int) -> bool:
    """Take the next step of a kind, in the caller's transaction; return whether there is more."""
    step = Step(task, most=limit)
    entries = kind(step)
    if entries is None:
        return False
    task.state = asdict(step.progress)
    if entries.all:
        chain.append(*entries.all)
    return not entries.are_last


@dataclass
class Progress:
    """How far an undoing is.

    Contacts up to the number `reached` have been looked at, and of those that the import had
    changed as many as `looked_at`, whose rows go up to `put_back_upto`; `rows` is of how many rows
    of its file something is taken back.
    """

    rows: int
    reached: int = 0
    looked_at: int = 0
    put_back_upto: int = 0
    contacts: int = 0
    restored: int = 0
    suppressions: int = 0


@dataclass(frozen=True)
class _Entries:
    """What a step has to say; the last one says it of all."""

    all: tuple[Entry, ...] = ()
    are_last: bool = False


class _Restored(NamedTuple):
    """A contact that is again what it was."""

    subject: str
    status: str
    basis: str


class Step:
    """One step of an undoing of about `most` rows; `progress` says how far that is then.

    Each kind of step returns None where nothing of its kind is left.
    """

    def __init__(self, task: BackgroundTask, *, most: int = MAX_ROWS_PER_STEP) -> None:
        self._task = task
        self._most = most
        self.progress = Progress(**task.state)
        self._record = (
            Import.select(Import.id, Import.file, Import.digest, Import.counts, Import.at)
            .where(Import.id == task.target)
            .get()
        )

    def take_back(self) -> _Entries | None:
        """Delete contacts that the import brought, but for those to whom something has happened."""
        found = list(lock_rows(self.brought()).tuples())
        if not found:
            return None
        Contact.delete().where(
            Contact.id.in_(make_id_list(number for number, _ in found))
        ).execute()
        request_wiping()
        self.progress.reached = found[-1][0]
        self.progress.contacts += len(found)
        return _Entries(tuple(self._erase([subject for _, subject in found])))

    def brought(self) -> Any:
        """Return the query for the next contacts."""
        return (
            Contact.select(Contact.id, Contact.subject)
            .where(
                Contact.imported_by == self._record,
                Contact.status_at == self._record.at,
                Contact.id > self.progress.reached,
            )
            .order_by(Contact.id)
            .limit(self._most)
        )

    def put_back(self) -> _Entries | None:
        """Make contacts that the import changed what they were, if they are as it left them."""
        some = list(self.changed())
        if not some:
            return None
        restored = tuple(_restore(self._record, some))
        _keep_suppressed(self._record, [image.contact for image in some])
        self.progress.put_back_upto = some[-1].id
        self.progress.looked_at += len(some)
        self.progress.restored += len(restored)
        return _Entries(tuple(map(self._restored, restored)))

    def changed(self) -> Any:
        """Return the query for how the next contacts were."""
        own = (
            ImportChange.record == self._record,
            ImportChange.id > self.progress.put_back_upto,
        )
        return ImportChange.select().where(*own).order_by(ImportChange.id).limit(self._most)

    def lift(self) -> _Entries | None:
        """Delete suppressions that the import made."""
        found = [number for (number,) in self.made().tuples()]
        if not found:
            return None
        # Who has left by themselves in this very moment stays so. By number: `+ 0` keeps the index
        # from being used that finds all of the file.
        own = Suppression.imported_by + 0 == self._record.id
        self.progress.suppressions += suppression_suppressions.delete_suppressions(
            Suppression.id.in_(make_id_list(found)), own
        )
        return _Entries()

    def made(self) -> Any:
        """Return the query for the next suppressions."""
        own = Suppression.select(Suppression.id).where(Suppression.imported_by == self._record)
        return own.limit(self._most)

    def end(self) -> _Entries:
        """Note that the import is taken back."""
        progress = self.progress
        background_tasks.invalidate_upload_counts(self._task.list_id)
        done = {
            "contacts": progress.contacts,
            "restored": progress.restored,
            "suppressions": progress.suppressions,
        }
        counts = json.loads(self._record.counts)
        Import.update(undone_at=self._task.at, counts=json.dumps({**counts, "undone": done})).where(
            Import.id == self._record.id
        ).execute()
        return _Entries((self._entry("import_undone", consent=done),), are_last=True)

    def _erase(self, subjects: Sequence[str]) -> Iterator[Entry]:
        """Delete the names and addresses from the entries of contacts that are gone, and say so.

        Most have no entry; a file that is taken back may have left one.
        """
        slug = self._task.list.slug
        for some in chunks(subjects, _CHUNK):
            found = chain.erase_parts_by_subject(some, _ERASED_PARTS, slug=slug)
            for subject, seqs in found.items():
                if not seqs:
                    continue
                said = {"seqs": seqs, "parts": _ERASED_PARTS}
                yield self._entry("erased", consent=said, subject=subject)

    def _restored(self, contact: _Restored) -> Entry:
        """Return the entry that says what a contact is again."""
        was = {"status": contact.status, "basis": contact.basis}
        return self._entry("import_undone", consent=was, subject=contact.subject)

    def _entry(self, event: str, *, consent: Mapping[str, Any], subject: str = "") -> Entry:
        """Return an entry, which says what import is taken back."""
        record = self._record
        return Entry(
            event=event,
            at=self._task.at,
            actor=self._task.actor,
            list=self._task.list.slug,
            subject=subject,
            consent={
                **consent,
                "file": record.digest,
                "name": record.file,
                "imported_at": format_timestamp(record.at),
            },
        )


def _restore(record: Import, images: Sequence[ImportChange]) -> Iterator[_Restored]:
    """Make contacts what they were, but for whom more than the file has happened to since.

    Who has left by themselves after it had taken them off is suppressed by it no more.
    """
    untouched = Contact.select().where(
        Contact.id.in_(make_id_list(image.contact for image in images)),
        Contact.status_at == record.at,
        Contact.erased_at.is_null(),
    )
    locked = list(lock_rows(untouched.order_by(Contact.id)))
    off = _off_by(record, [one.subject for one in locked if one.status == Status.REMOVED])
    found = {
        contact.id: contact
        for contact in locked
        if contact.status != Status.REMOVED or contact.subject in off
    }
    for image in images:
        contact = found.get(image.contact)
        if contact is None:
            continue
        Contact.update(
            status=image.status,
            status_at=image.status_at,
            reason="",
            basis=image.basis,
            basis_at=image.basis_at,
        ).where(Contact.id == image.contact).execute()
        yield _Restored(contact.subject, image.status, image.basis)


def _off_by(record: Import, subjects: Sequence[str]) -> set[str]:
    """Return which of these an import suppresses."""
    found: set[str] = set()
    for some in chunks(subjects, _CHUNK):
        own: Any = Suppression.select(Suppression.subject).where(
            Suppression.imported_by == record, Suppression.subject.in_(some)
        )
        found.update(subject for (subject,) in own.tuples())
    return found


def _keep_suppressed(record: Import, numbers: Sequence[int]) -> None:
    """Let the suppressions of who has been taken off for good no longer be the import's."""
    removed: Any = Contact.select(Contact.subject).where(
        Contact.id.in_(make_id_list(numbers)), Contact.status == Status.REMOVED
    )
    subjects = [subject for (subject,) in removed.tuples()]
    if subjects:
        suppression_suppressions.detach_from_import(record, subjects)
