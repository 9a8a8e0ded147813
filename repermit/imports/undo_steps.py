"""The steps of undoing an import, each in its own transaction.

A million contacts in one transaction would delay everybody's answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

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
"""The fates of rows that an undo has to reverse, besides better bases."""

_CHUNK = 500
_ERASED_PARTS = ("person", "trace")


def begin_undo(record: Import, *, now: datetime, actor: str) -> None:
    """Store the task that undoes an import, in the caller's transaction."""
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


def continue_undo(
    database: Database,
    number: int,
    *,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> bool:
    """Undo an import in steps of at most `step` rows; several processes may do so at once.

    Returns False if it had to stop before the end.
    """
    return run_task(
        database,
        TaskKind.UNDO_IMPORT,
        number,
        *(
            partial(_take_step, kind)
            for kind in (
                Step.delete_contacts,
                Step.restore_contacts,
                Step.delete_suppressions,
                Step.finish,
            )
        ),
        should_stop=should_stop,
        max_rows_per_step=step,
    )


def _take_step(kind: Callable[[Step], bool], task: BackgroundTask, limit: int) -> bool:
    """Take the next step of a kind, in the caller's transaction; return whether there is more."""
    step = Step(task, max_rows=limit)
    is_more = kind(step)
    task.state = asdict(step.progress)
    return is_more


@dataclass
class Progress:
    """The stored progress of an undo.

    - `rows`: the number of rows that the undo has to reverse.
    - `reached`: the id up to which the import's contacts were deleted.
    - `looked_at`: the number of changed contacts that were handled; `put_back_upto` is the id of
      the last one's row.
    - `contacts`, `restored`, `suppressions`: the numbers of deleted contacts, restored contacts and
      deleted suppressions.
    """

    rows: int
    reached: int = 0
    looked_at: int = 0
    put_back_upto: int = 0
    contacts: int = 0
    restored: int = 0
    suppressions: int = 0


class Step:
    """One step of an undo, of about `max_rows` rows; it updates `progress`.

    Each kind of step returns False once there is nothing left for it to do.
    """

    def __init__(self, task: BackgroundTask, *, max_rows: int = MAX_ROWS_PER_STEP) -> None:
        self._task = task
        self._max_rows = max_rows
        self.progress = Progress(**task.state)
        self._record = (
            Import.select(Import.id, Import.file, Import.digest, Import.counts, Import.at)
            .where(Import.id == task.target)
            .get()
        )

    def delete_contacts(self) -> bool:
        """Delete contacts that the import created, except those that have changed since."""
        contacts = list(lock_rows(self.select_contacts()).tuples())
        if not contacts:
            return False
        Contact.delete().where(
            Contact.id.in_(make_id_list(number for number, _ in contacts))
        ).execute()
        request_wiping()
        self.progress.reached = contacts[-1][0]
        self.progress.contacts += len(contacts)
        _append(self._erase([subject for _, subject in contacts]))
        return True

    def select_contacts(self) -> Any:
        """Return the query for the next contacts to delete."""
        return (
            Contact.select(Contact.id, Contact.subject)
            .where(
                Contact.imported_by == self._record,
                Contact.status_at == self._record.at,
                Contact.id > self.progress.reached,
            )
            .order_by(Contact.id)
            .limit(self._max_rows)
        )

    def restore_contacts(self) -> bool:
        """Restore contacts that the import changed, except those that have changed since."""
        changes = list(self.select_changes())
        if not changes:
            return False
        restored = tuple(_restore(self._record, changes))
        _keep_suppressed(self._record, [change.contact for change in changes])
        self.progress.put_back_upto = changes[-1].id
        self.progress.looked_at += len(changes)
        self.progress.restored += len(restored)
        _append(
            self._make_entry(
                "import_undone",
                consent={"status": change.status, "basis": change.basis},
                subject=subject,
            )
            for subject, change in restored
        )
        return True

    def select_changes(self) -> Any:
        """Return the query for the previous states of the next contacts."""
        own = (
            ImportChange.record == self._record,
            ImportChange.id > self.progress.put_back_upto,
        )
        return ImportChange.select().where(*own).order_by(ImportChange.id).limit(self._max_rows)

    def delete_suppressions(self) -> bool:
        """Delete suppressions that the import added."""
        ids = [number for (number,) in self.select_suppressions().tuples()]
        if not ids:
            return False
        # Checked again, as a person's own No meanwhile makes a suppression permanent. `+ 0`
        # excludes the index of the import, so that the ids are used.
        own = Suppression.imported_by + 0 == self._record.id
        self.progress.suppressions += suppression_suppressions.delete_suppressions(
            Suppression.id.in_(make_id_list(ids)), own
        )
        return True

    def select_suppressions(self) -> Any:
        """Return the query for the next suppressions to delete."""
        own = Suppression.select(Suppression.id).where(Suppression.imported_by == self._record)
        return own.limit(self._max_rows)

    def finish(self) -> bool:
        """Mark the import as undone, and append its entry."""
        progress = self.progress
        background_tasks.invalidate_upload_counts(self._task.list_id)
        undone = {
            "contacts": progress.contacts,
            "restored": progress.restored,
            "suppressions": progress.suppressions,
        }
        counts = json.loads(self._record.counts)
        Import.update(
            undone_at=self._task.at, counts=json.dumps({**counts, "undone": undone})
        ).where(Import.id == self._record.id).execute()
        chain.append(self._make_entry("import_undone", consent=undone))
        return False

    def _erase(self, subjects: Sequence[str]) -> Iterator[Entry]:
        """Erase the personal parts of deleted contacts' entries; yield the entries `erased`.

        Most contacts have no entries.
        """
        slug = self._task.list.slug
        for batch in chunks(subjects, _CHUNK):
            seqs_by_subject = chain.erase_parts_by_subject(batch, _ERASED_PARTS, slug=slug)
            for subject, seqs in seqs_by_subject.items():
                if not seqs:
                    continue
                consent = {"seqs": seqs, "parts": _ERASED_PARTS}
                yield self._make_entry("erased", consent=consent, subject=subject)

    def _make_entry(self, event: str, *, consent: Mapping[str, Any], subject: str = "") -> Entry:
        """Return an entry that names the undone import."""
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


def _append(entries: Iterable[Entry]) -> None:
    if all_entries := tuple(entries):
        chain.append(*all_entries)


def _restore(record: Import, changes: Sequence[ImportChange]) -> Iterator[tuple[str, ImportChange]]:
    """Restore contacts, except those that have changed since the import; yield their subjects.

    A contact that the import removed, and that left by itself later, has no suppression of the
    import any more.
    """
    untouched = Contact.select().where(
        Contact.id.in_(make_id_list(change.contact for change in changes)),
        Contact.status_at == record.at,
        Contact.erased_at.is_null(),
    )
    locked = list(lock_rows(untouched.order_by(Contact.id)))
    removed = [contact.subject for contact in locked if contact.status == Status.REMOVED]
    suppressed = _select_suppressed(record, removed)
    to_restore = {
        contact.id: contact
        for contact in locked
        if contact.status != Status.REMOVED or contact.subject in suppressed
    }
    for change in changes:
        contact = to_restore.get(change.contact)
        if contact is None:
            continue
        Contact.update(
            status=change.status,
            status_at=change.status_at,
            reason="",
            basis=change.basis,
            basis_at=change.basis_at,
        ).where(Contact.id == change.contact).execute()
        yield contact.subject, change


def _select_suppressed(record: Import, subjects: Sequence[str]) -> set[str]:
    """Return those of these subjects that an import suppresses."""
    suppressed: set[str] = set()
    for batch in chunks(subjects, _CHUNK):
        own: Any = Suppression.select(Suppression.subject).where(
            Suppression.imported_by == record, Suppression.subject.in_(batch)
        )
        suppressed.update(subject for (subject,) in own.tuples())
    return suppressed


def _keep_suppressed(record: Import, numbers: Sequence[int]) -> None:
    """Make the suppressions of contacts that stay removed independent of the import."""
    removed: Any = Contact.select(Contact.subject).where(
        Contact.id.in_(make_id_list(numbers)), Contact.status == Status.REMOVED
    )
    subjects = [subject for (subject,) in removed.tuples()]
    if subjects:
        suppression_suppressions.detach_from_import(record, subjects)
