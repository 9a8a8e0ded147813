"""Importing suppressions from a system with the same key, or from another tool.

Three kinds of files: an export of `sharing`; addresses, in any form that a list has; and hashes of
addresses as Mailchimp (MD5), Brevo, Meta and Google (SHA-256) write them: of the lower-cased
address, without salt. A hash cannot become a fingerprint, which needs the address. It is compared
with the addresses that are on the list now; a hash that matches none could not be recognised later
either, and is counted as not placed.

A file is staged completely before anything is changed, and then merged in steps. If the process is
killed, the next sweep continues.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from repermit import email_address
from repermit.contacts import lookup, status_changes
from repermit.contacts.status_changes import Act
from repermit.db.background_tasks import (
    BackgroundTask,
    TaskKind,
    background_lock,
    foreground_lock,
    lock_task,
    run_each,
    run_task,
    start_task,
)
from repermit.db.connection import (
    Database,
    FairSqliteDatabase,
    is_postgresql,
    make_value_list,
    run_sql,
)
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList, lock_list
from repermit.db.staged_rows import (
    drop_staged,
    has_staged,
    make_staged_path,
    name_staged_table,
    sync_staged,
)
from repermit.db.work_steps import MAX_ROWS_PER_STEP
from repermit.errors import Refused
from repermit.evidence import chain, chain_reader
from repermit.evidence.entries import Entry
from repermit.imports.suppression_staging import (
    Newcomers,
    StagedFacts,
    StagedSuppression,
    Staging,
    SuppressionRows,
    digest_file,
    open_rows,
    opted_out,
)
from repermit.rules.consent import OWN_YES, Reason, Status
from repermit.settings.definitions import Settings
from repermit.suppression import suppressions
from repermit.suppression.fingerprint_files import SUBJECT
from repermit.suppression.suppressions import NewSuppression
from repermit.temporary_files import make_temporary_files

_log = logging.getLogger(__name__)

_PREVIEWED = 500
_TOKEN_BYTES = 16
_TARGET_BYTES = 7  # of the token: a number that fits into the database's
_EVENT = "suppressions_imported"


@dataclass(frozen=True, kw_only=True)
class SuppressionImportResult:
    """The result of importing a file of suppressions, in numbers of rows.

    - `kind`: "fingerprints", "addresses" or "hashes".
    - `rows`: all rows, the sum of the following up to `not_placed`.
    - `added`: newly suppressed; `known`: suppressed before.
    - `kept`: not suppressed, because of the contact's own valid Yes.
    - `invalid`: not an address; `duplicates`: in an earlier row of the file.
    - `not_placed`: hashes that match nobody on the list.
    - `removed`: those of `added` that were removed from the list.
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


@dataclass
class SuppressionProgress:
    """The progress of a suppression import, and its counts so far.

    - `token`: names the place where its rows are staged.
    - `file`, `name`, `mapping`: the digest, name and column mapping of the file.
    - `facts`: the fields of StagedFacts.
    - `reached`: the number of the last merged row.
    - `newcomer`: the last merged contact that came after staging and matches one of the hashes.
    - `placed`: the number of these hashes.
    """

    token: str
    file: str
    name: str
    mapping: dict[str, str]
    facts: dict[str, Any]
    reached: int = 0
    newcomer: int = 0
    placed: int = 0
    added: int = 0
    known: int = 0
    kept: int = 0
    removed: int = 0

    @property
    def result(self) -> SuppressionImportResult:
        """Return the counts of the file so far."""
        facts = self.staged_facts
        return SuppressionImportResult(
            kind=facts.kind,
            rows=facts.rows,
            added=self.added,
            known=self.known,
            kept=self.kept,
            invalid=facts.invalid,
            duplicates=facts.duplicates,
            not_placed=max(facts.not_placed - self.placed, 0),
            removed=self.removed,
        )

    @property
    def staged_facts(self) -> StagedFacts:
        """Return the facts of the staged file."""
        return StagedFacts(**self.facts)


class _UnderWay(Exception):
    """The same file is already being imported, as `task`; its second staging is discarded."""

    def __init__(self, task: BackgroundTask) -> None:
        super().__init__()
        self.task = task


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
) -> SuppressionImportResult:
    """Suppress the addresses in a file on a list, or with `dry_run` only count them.

    1. Read and stage the whole file. 2. Store the task. 3. Merge the rows in steps, between which
    others can write. Before step 2 nothing is changed. After a kill later on,
    `finish_suppression_imports` or a repeated import of the same file continues.

    A contact on the list is removed for `request`, unless its own Yes is valid: it is later than
    the opt-out in the file, or the file has no time. Suppressions that came with a list import
    become permanent: they stay if that import is undone.

    Raises ListFileError for a file that cannot be read, and Refused for fingerprints of another
    key or for a malformed one.
    """
    if dry_run:
        return _preview_import(
            mailing_list, path, mapping=mapping or {}, settings=settings, now=now, actor=actor
        )
    # If staged rows were lost, for example by restoring a backup, the file is still here.
    for _ in range(2):
        task = begin_suppression_import(
            database, mailing_list, path, mapping=mapping, settings=settings, now=now, actor=actor
        )
        with foreground_lock(database, TaskKind.IMPORT_SUPPRESSIONS):
            result = _merge(database, task, settings=settings) or _read_recorded(task)
        if result:
            return result
    raise Refused("the rows of this file were lost while it was taken in: give it again")


def begin_suppression_import(
    database: Database,
    mailing_list: MailingList,
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    settings: Settings,
    now: datetime,
    actor: str,
) -> BackgroundTask:
    """Stage a file and store the task that merges it; return the task.

    If the same file is already being imported, return that task.
    """
    mapping, digest = dict(mapping or {}), digest_file(path)
    under_way = _find_under_way(mailing_list, digest, mapping)
    if under_way is not None:
        return under_way
    try:
        return _begin(
            database,
            mailing_list,
            path,
            digest=digest,
            mapping=mapping,
            settings=settings,
            now=now,
            actor=actor,
        )
    except _UnderWay as under_way_elsewhere:
        return under_way_elsewhere.task


def _begin(
    database: Database,
    mailing_list: MailingList,
    path: Path,
    *,
    digest: str,
    mapping: dict[str, str],
    settings: Settings,
    now: datetime,
    actor: str,
) -> BackgroundTask:
    """Stage a file and store its task; raises _UnderWay if another process was faster."""
    token = secrets.token_hex(_TOKEN_BYTES)
    with ExitStack() as until_stored:
        staged_path = None
        if isinstance(database, FairSqliteDatabase):
            target = make_staged_path(database, token)
            staged_path = until_stored.enter_context(
                make_temporary_files(settings).file_for(target)
            )
        staging = until_stored.enter_context(
            Staging(
                mailing_list, path, kept_in=staged_path, mapping=mapping, settings=settings, now=now
            )
        )
        if staged_path is not None:
            sync_staged(staged_path)
        progress = SuppressionProgress(
            token=token,
            file=digest,
            name=email_address.mask_addresses_in_name(path.name),
            mapping=mapping,
            facts=asdict(staging.facts),
        )
        with database.atomic():
            if is_postgresql(database):
                staging.copy_to_table(database, name_staged_table(database, token))
            # A launch, or another import of the same file, locks the list too.
            lock_list(mailing_list)
            under_way = _find_under_way(mailing_list, digest, mapping)
            if under_way is not None:
                raise _UnderWay(under_way)
            task = start_task(
                TaskKind.IMPORT_SUPPRESSIONS,
                int.from_bytes(bytes.fromhex(token)[:_TARGET_BYTES]),
                mailing_list=mailing_list,
                actor=actor,
                at=now,
                state=asdict(progress),
            )
            # The file is renamed inside the transaction, so that no sweep finds it without a task.
            until_stored.close()
    return task


def finish_suppression_imports(
    database: Database,
    *,
    settings: Settings,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> int:
    """Continue interrupted suppression imports; return how many were finished.

    Imports that a foreground process is working on are left alone.
    """
    tasks: Any = BackgroundTask.select().where(BackgroundTask.kind == TaskKind.IMPORT_SUPPRESSIONS)
    with background_lock(database, TaskKind.IMPORT_SUPPRESSIONS, should_stop) as must_stop:
        merge = partial(_merge, database, settings=settings, should_stop=must_stop, step=step)
        results = run_each(merge, list(tasks))
    return sum(result is not None for result in results)


def _find_under_way(
    mailing_list: MailingList, digest: str, mapping: Mapping[str, str]
) -> BackgroundTask | None:
    """Return the running task of the same file with the same mapping, if there is one."""
    tasks: Any = BackgroundTask.select().where(
        BackgroundTask.kind == TaskKind.IMPORT_SUPPRESSIONS, BackgroundTask.list == mailing_list
    )
    for task in tasks:
        progress = SuppressionProgress(**task.state)
        if (progress.file, progress.mapping) == (digest, mapping):
            same_task: BackgroundTask = task
            return same_task
    return None


def _preview_import(
    mailing_list: MailingList,
    path: Path,
    *,
    mapping: Mapping[str, str],
    settings: Settings,
    now: datetime,
    actor: str,
) -> SuppressionImportResult:
    """Return what importing a file would do; nothing is written."""
    with Staging(
        mailing_list, path, kept_in=None, mapping=mapping, settings=settings, now=now
    ) as staging:
        progress = SuppressionProgress(
            token="",
            file="",
            name=email_address.mask_addresses_in_name(path.name),
            mapping=dict(mapping),
            facts=asdict(staging.facts),
        )
        batch_merger = _BatchMerger(
            mailing_list=mailing_list,
            progress=progress,
            act=Act(at=now, actor=actor),
            key=settings.fingerprint_key,
            dry_run=True,
        )
        while batch := staging.rows.after(progress.reached, _PREVIEWED):
            batch_merger.merge(batch)
            progress.reached = batch[-1].number
        return progress.result


def _read_recorded(task: BackgroundTask) -> SuppressionImportResult | None:
    """Return the recorded result of a file that another process has finished.

    None if its rows were lost.
    """
    entries: Any = (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=EvidencePart.seq == Evidence.seq)
        .where(
            # Without a subject: the index of subjects finds them among a million answers.
            Evidence.subject == "",
            Evidence.event == _EVENT,
            Evidence.list == task.list.slug,
            Evidence.at == task.at,
            EvidencePart.part == "consent",
        )
        .order_by(Evidence.seq.desc())
        .tuples()
    )
    file = task.state["file"]
    content = next(
        recorded for (text,) in entries if (recorded := json.loads(text))["file"] == file
    )
    if not content.get("whole", True):
        return None
    names = (result_field.name for result_field in fields(SuppressionImportResult))
    return SuppressionImportResult(**{name: content[name] for name in names})


def _merge(
    database: Database,
    task: BackgroundTask,
    *,
    settings: Settings,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> SuppressionImportResult | None:
    """Merge a file in steps of at most `step` rows; several processes may do so at once.

    Returns the result; None if another process took the last step, or nobody did.
    """
    number, key = task.target, settings.fingerprint_key
    progress = SuppressionProgress(**task.state)
    if not has_staged(database, progress.token):
        _end_lost(database, number)
        return None
    result = None
    with (
        open_rows(database, progress.token) as rows,
        Newcomers(task.list_id, rows, facts=progress.staged_facts, key=key) as newcomers,
    ):

        def take_step(task: BackgroundTask, limit: int) -> bool:
            nonlocal result
            if is_postgresql(database):
                # A plan made for few suppressions reads the whole table once there are many.
                run_sql(database, "SET LOCAL plan_cache_mode = force_custom_plan")
            # Again within the transaction: somebody may have signed up in the meantime.
            newcomers.look_up()
            progress = SuppressionProgress(**task.state)
            batch = _read_next_rows(progress, limit, rows=rows, newcomers=newcomers, at=task.at)
            if not batch:
                if is_postgresql(database):
                    drop_staged(database, progress.token)
                result = progress.result
                _record(task, progress, asdict(result))
                return False
            batch_merger = _BatchMerger(
                mailing_list=task.list,
                progress=progress,
                act=Act(
                    at=task.at,
                    actor=task.actor,
                    consent={"file": progress.file, "by": "suppressions"},
                ),
                key=key,
            )
            batch_merger.merge(batch)
            task.state = asdict(progress)
            return True

        # Outside of a transaction first, where nobody waits for it.
        newcomers.look_up()
        is_whole = run_task(
            database,
            TaskKind.IMPORT_SUPPRESSIONS,
            number,
            take_step,
            should_stop=should_stop,
            between=newcomers.look_up,
            max_rows_per_step=step,
        )
    if is_whole and not is_postgresql(database):
        drop_staged(database, progress.token)
    return result


def _read_next_rows(
    progress: SuppressionProgress,
    limit: int,
    *,
    rows: SuppressionRows,
    newcomers: Newcomers,
    at: datetime,
) -> list[StagedSuppression]:
    """Return at most `limit` of the next rows, and update `progress`.

    The last rows are newcomers that match a hash.
    """
    batch = rows.after(progress.reached, limit)
    if batch:
        progress.reached = batch[-1].number
        newcomer_by_fingerprint = newcomers.find_newcomers(
            [row.suppressed.fingerprint for row in batch]
        )
        return [
            row._replace(
                contact=newcomer_by_fingerprint.get(row.suppressed.fingerprint, row.contact)
            )
            for row in batch
        ]
    placed = newcomers.list_placed_newcomers(progress.newcomer, limit)
    if placed:
        progress.newcomer = placed[-1][0]
    progress.placed += sum(hashes for _, _, hashes in placed)
    return [
        StagedSuppression(number=0, suppressed=opted_out(fingerprint, at), contact=contact)
        for contact, fingerprint, _ in placed
    ]


def _end_lost(database: Database, number: int) -> None:
    """Append the entry of a file that was imported in part; its suppressions stay."""
    with database.atomic():
        task = lock_task(TaskKind.IMPORT_SUPPRESSIONS, number)
        if task is None:
            return
        progress = SuppressionProgress(**task.state)
        result = progress.result
        rows = result.added + result.known + result.kept + result.invalid + result.duplicates
        _record(task, progress, {**asdict(result), "rows": rows, "whole": False})
        slug = task.list.slug
        task.delete_instance()
    _log.warning(
        "the rows of a file of suppressions that was being taken into %s are lost; give it again",
        slug,
    )


def _record(task: BackgroundTask, progress: SuppressionProgress, counts: dict[str, Any]) -> None:
    chain.append(
        Entry(
            event=_EVENT,
            at=task.at,
            actor=task.actor,
            list=task.list.slug,
            consent={**counts, "file": progress.file, "name": progress.name},
        )
    )


@dataclass(frozen=True, kw_only=True)
class _BatchMerger:
    """Merges batches of a file's rows: adds suppressions and removes contacts."""

    mailing_list: MailingList
    progress: SuppressionProgress
    act: Act
    key: bytes = field(repr=False)
    dry_run: bool = False

    def merge(self, batch: Sequence[StagedSuppression]) -> None:
        """Suppress the rows of a batch, in the caller's transaction, and count them."""
        contacts_by_fingerprint = self._lock_held_contacts(batch)
        rows_by_fingerprint = {row.suppressed.fingerprint: row.suppressed for row in batch}
        own_yes = {
            row
            for row in contacts_by_fingerprint
            if self._has_valid_own_yes(contacts_by_fingerprint[row], rows_by_fingerprint[row])
        }
        already_suppressed = self._find_suppressed(
            [row for row in rows_by_fingerprint if row not in own_yes]
        )
        new_suppressions = self._with_subjects(
            [
                row
                for fingerprint, row in rows_by_fingerprint.items()
                if fingerprint not in own_yes | already_suppressed
            ],
            contacts_by_fingerprint,
        )
        contacts_on_list = [
            contacts_by_fingerprint[row.fingerprint]
            for row in new_suppressions
            if row.fingerprint in contacts_by_fingerprint
        ]
        contacts_to_remove = [
            contact for contact in contacts_on_list if contact.status != Status.REMOVED
        ]
        if not self.dry_run:
            not_own_yes = [
                row
                for fingerprint, row in contacts_by_fingerprint.items()
                if fingerprint not in own_yes
            ]
            contacts_removed_by_file = [
                contact for contact in not_own_yes if lookup.is_off_by_file(contact)
            ]
            # Removing a contact adds its suppression, and one more for a corrected address.
            removed_ids = {
                contact.id for contact in (*contacts_to_remove, *contacts_removed_by_file)
            }
            removed_fingerprints = {
                fingerprint
                for fingerprint, contact in contacts_by_fingerprint.items()
                if contact.id in removed_ids
            }
            suppressions.add_suppressions(
                self.mailing_list,
                [row for row in new_suppressions if row.fingerprint not in removed_fingerprints],
            )
            status_changes.remove_contacts(
                [*contacts_to_remove, *contacts_removed_by_file],
                reason=Reason.REQUEST,
                act=self.act,
                fingerprint_key=self.key,
            )
            if already_suppressed:
                suppressions.keep_suppressions_of_addresses(
                    self.mailing_list, list(already_suppressed)
                )
        progress = self.progress
        progress.added += len(new_suppressions)
        progress.known += len(already_suppressed)
        progress.kept += len(own_yes)
        progress.removed += len(contacts_to_remove)

    def _with_subjects(
        self,
        new_suppressions: Sequence[NewSuppression],
        contacts_by_fingerprint: Mapping[str, Contact],
    ) -> list[NewSuppression]:
        """Return suppressions with a subject that belongs to this list.

        A contact on the list keeps its subject, under which its evidence is stored. A subject that
        has evidence on other lists only is replaced by a new one. So is a malformed one, as
        earlier versions staged it.
        """
        subjects_elsewhere = chain_reader.find_subjects_of_other_lists(
            [row.subject for row in new_suppressions], self.mailing_list.slug
        )
        held_subjects = {
            fingerprint: contact.subject for fingerprint, contact in contacts_by_fingerprint.items()
        }
        fresh_subjects = {
            row.fingerprint: new_id()
            for row in new_suppressions
            if row.subject in subjects_elsewhere or not SUBJECT.fullmatch(row.subject or "")
        }
        subjects = {**fresh_subjects, **held_subjects}
        return [
            row._replace(subject=subjects.get(row.fingerprint, row.subject))
            for row in new_suppressions
        ]

    def _lock_held_contacts(self, batch: Sequence[StagedSuppression]) -> dict[str, Contact]:
        """Lock and return a batch's contacts by fingerprint, if they still have that address."""
        fingerprint_by_contact = {
            row.contact: row.suppressed.fingerprint for row in batch if row.contact
        }
        contacts = lookup.lock_contacts(fingerprint_by_contact)
        fingerprints = email_address.fingerprints(
            self.key, [contact.address_key for contact in contacts]
        )
        return {
            fingerprint: contact
            for contact, fingerprint in zip(contacts, fingerprints, strict=True)
            if fingerprint == fingerprint_by_contact[contact.id]
        }

    def _has_valid_own_yes(self, contact: Contact, row: NewSuppression) -> bool:
        """Say whether the contact's own Yes is valid; an undated opt-out counts as earlier."""
        if contact.status != Status.CONFIRMED or contact.basis not in OWN_YES:
            return False
        is_later: bool = contact.status_at > row.at
        return self.progress.staged_facts.kind != "fingerprints" or is_later

    def _find_suppressed(self, fingerprints: Sequence[str]) -> set[str]:
        query = Suppression.select(Suppression.fingerprint).where(
            Suppression.fingerprint.in_(make_value_list(fingerprints)),
            (Suppression.list == self.mailing_list) | Suppression.list.is_null(),
        )
        return {fingerprint for (fingerprint,) in query.tuples()}
