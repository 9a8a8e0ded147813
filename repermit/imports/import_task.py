"""The task of an import: started once its file is staged, merged in steps, finished or stopped.

No row of it is launched, exported or counted before the last step. A million rows in one
transaction would delay everybody's answers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from repermit.contacts import counts as contacts_counts
from repermit.db import background_tasks
from repermit.db.background_tasks import (
    BackgroundTask,
    TaskKind,
    background_lock,
    find_task,
    list_targets,
    lock_task,
    run_each,
    run_task,
    start_task,
)
from repermit.db.connection import (
    Database,
    FairSqliteDatabase,
    analyze_grown_tables,
    is_postgresql,
    read_data_version,
)
from repermit.db.models.base import parse_timestamp
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList, lock_list
from repermit.db.staged_rows import (
    drop_staged,
    has_staged,
    name_staged_table,
    open_staged,
    sweep_staged,
)
from repermit.db.work_steps import MAX_ROWS_PER_STEP
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.imports import address_fate, import_report, staging
from repermit.imports.merge import ImportMerge, merge
from repermit.imports.undo_steps import begin_undo, continue_undo
from repermit.rules.consent import Basis, Fate
from repermit.settings.definitions import Settings

_log = logging.getLogger(__name__)
_MICROSECOND = timedelta(microseconds=1)

# Adding so many contacts takes less time than the fixed cost of a step, so smaller steps would make
# the import slower and hardly any step shorter. Removing so many takes some 60 ms on a busy
# PostgreSQL, half of which is fixed cost.
_MIN_ROWS_PER_STEP = 100


@dataclass(frozen=True)
class Tally:
    """The counts of a file, see `ImportResult`; `addresses` is the number of its addresses."""

    rows: int
    addresses: int
    fates: dict[Fate, int]
    merged: int
    improved: int


def tally_picked(rows: int, addresses: int, merged: int, bases: Mapping[Fate, Basis]) -> Tally:
    """Return the counts of a file whose addresses are picked."""
    fates = import_report.count_fates(rows, addresses)
    improved = 0
    if fates[Fate.DUPLICATE]:
        improved = sum(address_fate.select_better_bases(*pair).count() for pair in bases.items())
    return Tally(rows, addresses, fates, merged, improved)


@dataclass
class ImportProgress:
    """The stored progress of an import.

    - `token`: names the place of its staged rows: `addresses` rows, the last with number `last`.
    - `facts`: evidence fields of its entry, besides the counts.
    - `shared`: evidence fields of its entry and of the contacts' entries.
    - `bases`: the basis that each fate gives.
    - `reached`: the number of the last merged row; `done` is how many are merged.
    - `fates`, `improved`: the counts of the merged rows, and of rows that were not picked.
    """

    token: str
    rows: int
    lines: int
    addresses: int
    merged: int
    last: int
    facts: dict[str, Any]
    shared: dict[str, Any]
    bases: dict[str, str]
    fates: dict[str, int]
    improved: int = 0
    reached: int = 0
    done: int = 0

    def counts(self, *, rows: int, addresses: int) -> dict[str, Any]:
        """Return the counts that the import and its entry have in common."""
        return {
            "rows": rows,
            "addresses": addresses,
            "fates": self.fates,
            "merged": self.merged,
            "improved": self.improved,
        }


def begin_import(
    database: Database,
    mailing_list: MailingList,
    tally: Tally,
    progress: ImportProgress,
    *,
    now: datetime,
    actor: str,
) -> int:
    """Store the import and the task that merges a staged file; return the import's id.

    In the caller's transaction. Raises Refused while another import into the list is running.
    """
    staging.store_picked(database, name_staged_table(database, progress.token))
    # Pending uploads are counted again only after this import.
    background_tasks.invalidate_upload_counts(mailing_list.id)
    # A launch and an undo lock the list, too.
    lock_list(mailing_list)
    background_tasks.require_no_running_import(mailing_list)
    at = _find_free_time(mailing_list, now)
    record = Import.create(
        list=mailing_list,
        file=progress.facts["name"],
        digest=progress.shared["file"],
        counts=json.dumps(asdict(tally)),
        at=at,
    )
    start_task(
        TaskKind.IMPORT,
        record.id,
        mailing_list=mailing_list,
        actor=actor,
        at=at,
        state=asdict(progress),
    )
    return int(record.id)


def _find_free_time(mailing_list: MailingList, now: datetime) -> datetime:
    """Return the first microsecond from `now` on without another import into the list.

    Entries and the journal identify an import by its list and time.
    """
    later: Any = Import.select(Import.at).where(Import.list == mailing_list, Import.at >= now)
    taken = {parse_timestamp(at) for (at,) in later.tuples()}
    while now in taken:
        now += _MICROSECOND
    return now


def merge_import(
    database: Database,
    number: int,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    step: int = MAX_ROWS_PER_STEP,
    decided_at: int | None = None,
) -> bool:
    """Merge an import in steps of at most `step` rows; several processes may do so at once.

    Returns False if it had to stop before the end. An import whose staged rows are lost is undone.

    - `on_progress`: called between steps with the merged and the total number of addresses.
    - `decided_at`: the version of SQLite's file for which the fates of the rows were resolved.
    """
    task = find_task(TaskKind.IMPORT, number)
    if task is None:
        return True
    token = task.state["token"]
    if not has_staged(database, token):
        _undo_lost_import(database, number, now=now)
        return True
    done = 0

    def take_step(task: BackgroundTask, limit: int) -> bool:
        nonlocal done
        has_more = _take_step(
            task,
            limit,
            database=database,
            key=settings.fingerprint_key,
            is_decided=_is_decided(database, task, decided_at),
        )
        done = task.state["done"]
        return has_more

    def between() -> None:
        on_progress(done, task.state["addresses"])

    with open_staged(database, token), staging.merging_area(database):
        is_whole = run_task(
            database,
            TaskKind.IMPORT,
            number,
            take_step,
            should_stop=should_stop,
            between=between,
            max_rows_per_step=step,
            min_rows_per_step=_MIN_ROWS_PER_STEP,
        )
    if is_whole:
        if not is_postgresql(database):
            drop_staged(database, token)
        # The next launch counts all contacts.
        analyze_grown_tables(database)
    return is_whole


def finish_imports(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> int:
    """Continue interrupted imports; return how many were finished.

    Imports that a foreground process is working on are left alone.
    """
    with background_lock(database, TaskKind.IMPORT, should_stop) as must_stop:
        merge = partial(
            merge_import, database, settings=settings, now=now, should_stop=must_stop, step=step
        )
        ended = run_each(merge, list_targets(TaskKind.IMPORT))
    sweep_staged(database)
    return sum(ended)


def _is_decided(database: Database, task: BackgroundTask, version: int | None) -> bool:
    """Say whether the fates that were resolved while staging are still right.

    They are on SQLite if nobody else has written to the database since. On PostgreSQL they are if
    the list has no suppressions and only contacts of this import, as with a list's first file. A
    corrected address leaves a suppression.
    """
    if isinstance(database, FairSqliteDatabase):
        return read_data_version(database) == version
    return not (
        contacts_counts.has_suppressions(task.list_id)
        or contacts_counts.has_contacts_from_elsewhere(task.list_id, task.target)
    )


def _take_step(
    task: BackgroundTask, limit: int, *, database: Database, key: bytes, is_decided: bool
) -> bool:
    """Take the next step, in the caller's transaction; return whether there is more.

    - `is_decided`: whether the resolved fates are still right, see `_is_decided`.
    """
    progress = ImportProgress(**task.state)
    if progress.reached >= progress.last:
        _end(database, task, progress)
        return False
    with staging.pick_step(
        database,
        name_staged_table(database, progress.token),
        after=progress.reached,
        limit=min(limit, progress.last - progress.reached),
        is_decided=is_decided,
    ) as (progress.reached, picked):
        if not is_decided:
            # People may have signed up or been removed since the file was read.
            address_fate.resolve_fates(task.list_id, key=key)
        _merge_picked(task, progress, picked, key)
    progress.done += picked
    task.state = vars(progress)
    return True


def _merge_picked(task: BackgroundTask, progress: ImportProgress, picked: int, key: bytes) -> None:
    bases = {Fate(fate): Basis(basis) for fate, basis in progress.bases.items()}
    tally = tally_picked(picked, picked, 0, bases)
    merge(
        ImportMerge(
            mailing_list=task.list,
            record=Import(id=task.target, list=task.list, at=task.at),
            actor=task.actor,
            bases=bases,
            fates=tally.fates,
            improved=tally.improved,
            shared=progress.shared,
            fingerprint_key=key,
        )
    )
    for fate, count in tally.fates.items():
        progress.fates[fate] += count
    progress.improved += tally.improved


def _end(database: Database, task: BackgroundTask, progress: ImportProgress) -> None:
    """Finish an import: append its entry, and drop its staged rows on PostgreSQL."""
    background_tasks.invalidate_upload_counts(task.list_id)
    if is_postgresql(database):
        drop_staged(database, progress.token)
    counts = progress.counts(rows=progress.rows, addresses=progress.addresses)
    _record(task, progress, counts)


def _record(task: BackgroundTask, progress: ImportProgress, counts: Mapping[str, Any]) -> None:
    """Store the final counts in the import, and append its entry."""
    Import.update(counts=json.dumps(counts)).where(Import.id == task.target).execute()
    chain.append(
        Entry(
            event="imported",
            at=task.at,
            actor=task.actor,
            list=task.list.slug,
            consent={**counts, **progress.shared, **progress.facts},
        )
    )


def _undo_lost_import(database: Database, number: int, *, now: datetime) -> None:
    """Undo an import whose staged rows were lost."""
    with database.atomic():
        task = lock_task(TaskKind.IMPORT, number)
        if task is not None:
            undo_unfinished_import(database, task, now=now, actor="job")
            _log.warning(
                "the rows of a file that was being taken into %s are lost; what was taken in of it "
                "is taken back",
                task.list.slug,
            )
    continue_undo(database, number)


def undo_unfinished_import(
    database: Database, task: BackgroundTask, *, now: datetime, actor: str
) -> None:
    """Stop an import and begin its undo, in the caller's transaction, which has locked its task.

    The merged rows count as imported, and are undone.
    """
    progress = ImportProgress(**task.state)
    if is_postgresql(database):
        drop_staged(database, progress.token)
    progress.facts["whole"] = False
    rows = sum(progress.fates.values())
    task.delete_instance()
    _record(task, progress, progress.counts(rows=rows, addresses=progress.done))
    begin_undo(Import.get_by_id(task.target), now=now, actor=actor)
