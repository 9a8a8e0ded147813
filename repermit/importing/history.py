"""Which files came onto a list.

May import models, consent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repermit.consent import Fate
from repermit.importing.import_task import ImportProgress
from repermit.importing.reversal import Progress
from repermit.models import Import, TaskKind, targets_of, task_on

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import MailingList


@dataclass(frozen=True, kw_only=True)
class PastImport:
    """A file that was taken in; `fates` has every fate and adds up to `rows`."""

    file: str
    at: datetime
    undone_at: datetime | None
    rows: int
    fates: dict[Fate, int]


def past_imports(mailing_list: MailingList) -> tuple[PastImport, ...]:
    """Return the files that were taken into a list, the last one first."""
    whole = Import.id.not_in(targets_of(TaskKind.IMPORT))
    own = Import.select().where(Import.list == mailing_list, whole).order_by(Import.id.desc())
    return tuple(map(_facts, own))


@dataclass(frozen=True, kw_only=True)
class TakingBack:
    """A file that is being taken back: so much of it has been, of so much that is to be."""

    file: str
    done: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class UnfinishedImport:
    """A file that is being taken in: so many of its addresses have been looked at, of so many."""

    file: str
    done: int
    addresses: int


def unfinished_import(mailing_list: MailingList) -> UnfinishedImport | None:
    """Return how far the import of a list's file is, None if none is under way."""
    task = task_on(TaskKind.IMPORT, mailing_list)
    if task is None:
        return None
    progress = ImportProgress(**task.state)
    file = Import.get_by_id(task.target).file
    return UnfinishedImport(file=file, done=progress.done, addresses=progress.addresses)


def being_taken_back(mailing_list: MailingList) -> TakingBack | None:
    """Return how far the taking back of a list's last import is, None if none is under way."""
    task = task_on(TaskKind.UNDO_IMPORT, mailing_list)
    if task is None:
        return None
    file = Import.select(Import.file).where(Import.id == task.target).get().file
    progress = Progress(**task.state)
    done = progress.contacts + progress.looked_at + progress.suppressions
    # Who was taken off by the file has a suppression as well.
    return TakingBack(file=file, done=min(done, progress.rows), rows=progress.rows)


def _facts(record: Import) -> PastImport:
    counts = json.loads(record.counts)
    return PastImport(
        file=record.file,
        at=record.at,
        undone_at=record.undone_at,
        rows=counts["rows"],
        fates={fate: counts["fates"].get(fate, 0) for fate in Fate},
    )
