"""Import who is not to be asked: from a system with the same key, or from another tool.

Three kinds of files: an export of `sharing`; addresses, in any form that a list has; and hashes of
addresses as Mailchimp (MD5), Brevo, Meta and Google (SHA-256) write them: of the lower-cased
address, without salt. A hash cannot become a fingerprint, for that needs the address. It is held
against the addresses that are on the list now; one that fits none could not be recognised later
either, and is counted as not placed.

A file is staged whole before anything is changed, and merged in steps then, which a kill interrupts
and the next sweep takes up.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
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
    run_task,
    start_task,
)
from repermit.db.connection import (
    Database,
    FairSqliteDatabase,
    is_postgresql,
    lock_rows,
    make_value_list,
    run_sql,
)
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
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
from repermit.suppression.suppressions import NewSuppression
from repermit.temporary_files import make_temporary_files

_log = logging.getLogger(__name__)

_PREVIEWED = 500
_TOKEN_BYTES = 16
_TARGET_BYTES = 7  # of the token: a number that fits into the database's
_EVENT = "suppressions_imported"


@dataclass(frozen=True, kw_only=True)
class SuppressionImportResult:
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


@dataclass
class SuppressionProgress:
    """How far a suppression import is, and what has come of it.

    - `token` names where its rows are staged; `file`, `name` and `mapping` say what was read.
    - `facts` are those of the staged file, see StagedFacts.
    - `reached` is the number of the last row that is merged, `newcomer` that of the last contact
      who has come since, and whom one of its hashes fits; `placed` counts these hashes.
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
        """Return what has come of the file so far."""
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
    """The same file is under way already, as `task`; what was staged of it again goes."""

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
    """Suppress for a list whom a file names, or only say who that would be.

    1. Read the file whole, and stage it; 2. note that it is under way; 3. merge it in steps that
    let others write in between. Until the second nothing is changed; from then on a kill is taken
    up, by `finish_suppression_imports` or whoever gives the same file again.

    Whoever is on the list is taken off for `request`, unless they said Yes here themselves: after
    an opt-out whose moment the file tells, or at any time where it tells none. What an import had
    suppressed stays from now on, also if that import is taken back.

    Raises ListFileError for a file that cannot be read, and Refused for fingerprints of another
    key, or where one is broken.
    """
    if dry_run:
        return _preview(
            mailing_list, path, mapping=mapping or {}, settings=settings, now=now, actor=actor
        )
    # Where rows of before are lost, as by a backup that was restored, the file itself is here.
    for _ in range(2):
        task = begin_suppression_import(
            database, mailing_list, path, mapping=mapping, settings=settings, now=now, actor=actor
        )
        if finished := _finish(database, task, settings=settings):
            return finished
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
    """Stage a file, and note that it is to be merged; return the task.

    That of the same file, if it is under way already.
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
    except _UnderWay as found:
        return found.task


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
    """Stage a file, and note that it is to be merged; raises _UnderWay if somebody was quicker."""
    token = secrets.token_hex(_TOKEN_BYTES)
    with ExitStack() as until_kept:
        kept_in = None
        if isinstance(database, FairSqliteDatabase):
            target = make_staged_path(database, token)
            kept_in = until_kept.enter_context(make_temporary_files(settings).file_for(target))
        staging = until_kept.enter_context(
            Staging(
                mailing_list, path, kept_in=kept_in, mapping=mapping, settings=settings, now=now
            )
        )
        if kept_in is not None:
            sync_staged(kept_in)
        progress = SuppressionProgress(
            token=token,
            file=digest,
            name=path.name,
            mapping=mapping,
            facts=asdict(staging.facts),
        )
        with database.atomic():
            if is_postgresql(database):
                staging.copy_to_table(database, name_staged_table(database, token))
            # Whoever launches, or begins with the same file, locks it too.
            lock_rows(MailingList.select().where(MailingList.id == mailing_list.id)).get()
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
            # The file gets its name while nobody looks for files that no task names.
            until_kept.close()
    return task


def finish_suppression_imports(
    database: Database,
    *,
    settings: Settings,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> int:
    """Go on with the suppression imports, as after a kill; return how many have come to their end.

    Nobody is disturbed who imports by hand.
    """
    tasks: Any = BackgroundTask.select().where(BackgroundTask.kind == TaskKind.IMPORT_SUPPRESSIONS)
    ended = 0
    with background_lock(database, TaskKind.IMPORT_SUPPRESSIONS, should_stop) as must_stop:
        for task in list(tasks):
            merged = _merge(database, task, settings=settings, should_stop=must_stop, step=step)
            ended += merged is not None
    return ended


def _find_under_way(
    mailing_list: MailingList, digest: str, mapping: Mapping[str, str]
) -> BackgroundTask | None:
    """Return the task of this very file, read in the same way, if one is under way."""
    tasks: Any = BackgroundTask.select().where(
        BackgroundTask.kind == TaskKind.IMPORT_SUPPRESSIONS, BackgroundTask.list == mailing_list
    )
    for task in tasks:
        progress = SuppressionProgress(**task.state)
        if (progress.file, progress.mapping) == (digest, mapping):
            found: BackgroundTask = task
            return found
    return None


def _preview(
    mailing_list: MailingList,
    path: Path,
    *,
    mapping: Mapping[str, str],
    settings: Settings,
    now: datetime,
    actor: str,
) -> SuppressionImportResult:
    """Say what would come of a file; nothing is written."""
    with Staging(
        mailing_list, path, kept_in=None, mapping=mapping, settings=settings, now=now
    ) as staging:
        progress = SuppressionProgress(
            token="",
            file="",
            name=path.name,
            mapping=dict(mapping),
            facts=asdict(staging.facts),
        )
        suppressing = _Suppressing(
            mailing_list=mailing_list,
            progress=progress,
            act=Act(at=now, actor=actor),
            key=settings.fingerprint_key,
            dry_run=True,
        )
        while some := staging.rows.after(progress.reached, _PREVIEWED):
            suppressing.take(some)
            progress.reached = some[-1].number
        return progress.result


def _finish(
    database: Database, task: BackgroundTask, *, settings: Settings
) -> SuppressionImportResult | None:
    """Merge all of a file, and return what has come of it; None if its rows were lost."""
    with foreground_lock(database, TaskKind.IMPORT_SUPPRESSIONS):
        return _merge(database, task, settings=settings) or _read_recorded(task)


def _read_recorded(task: BackgroundTask) -> SuppressionImportResult | None:
    """Return what the record says of a file whose last step somebody else has taken.

    None if its rows were lost.
    """
    entries: Any = (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=EvidencePart.seq == Evidence.seq)
        .where(
            # About nobody: the index of subjects finds them among a million answers.
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
    told = next(said for (text,) in entries if (said := json.loads(text))["file"] == file)
    if not told.get("whole", True):
        return None
    return SuppressionImportResult(**{one.name: told[one.name] for one in _RESULT_FIELDS})


_RESULT_FIELDS = fields(SuppressionImportResult)


def _merge(
    database: Database,
    task: BackgroundTask,
    *,
    settings: Settings,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> SuppressionImportResult | None:
    """Merge a file in steps, `step` rows at a time at most; several may at once.

    Returns what has come of it, None if the last step was taken by somebody else or not at all.
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
                # A plan that was made for few suppressions reads all of them once they are many.
                run_sql(database, "SET LOCAL plan_cache_mode = force_custom_plan")
            # Within too: whoever has signed up in the meantime is on the list.
            newcomers.look_up()
            progress = SuppressionProgress(**task.state)
            some = _next_rows(progress, limit, rows=rows, newcomers=newcomers, at=task.at)
            if not some:
                _end(database, task, progress)
                result = progress.result
                return False
            suppressing = _Suppressing(
                mailing_list=task.list,
                progress=progress,
                act=Act(
                    at=task.at,
                    actor=task.actor,
                    consent={"file": progress.file, "by": "suppressions"},
                ),
                key=key,
            )
            suppressing.take(some)
            task.state = asdict(progress)
            return True

        # Beforehand, where nobody waits for it.
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


def _next_rows(
    progress: SuppressionProgress,
    limit: int,
    *,
    rows: SuppressionRows,
    newcomers: Newcomers,
    at: datetime,
) -> list[StagedSuppression]:
    """Return so many of the next rows at most, and note in `progress` how far that is.

    At the end come those newcomers whom only a hash names.
    """
    some = rows.after(progress.reached, limit)
    if some:
        progress.reached = some[-1].number
        fresh = newcomers.contacts_of([one.suppressed.fingerprint for one in some])
        return [
            one._replace(contact=fresh.get(one.suppressed.fingerprint, one.contact)) for one in some
        ]
    placed = newcomers.placed_after(progress.newcomer, limit)
    if placed:
        progress.newcomer = placed[-1][0]
    progress.placed += sum(hashes for _, _, hashes in placed)
    return [
        StagedSuppression(number=0, suppressed=opted_out(print_, at), contact=contact)
        for contact, print_, _ in placed
    ]


def _end(database: Database, task: BackgroundTask, progress: SuppressionProgress) -> None:
    """Record that all of a file is taken in."""
    if is_postgresql(database):
        drop_staged(database, progress.token)
    _record(task, progress, asdict(progress.result))


def _end_lost(database: Database, number: int) -> None:
    """Record that only a part of a file was taken in; what was stays, as opt-outs do."""
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


def _record(task: BackgroundTask, progress: SuppressionProgress, told: dict[str, Any]) -> None:
    chain.append(
        Entry(
            event=_EVENT,
            at=task.at,
            actor=task.actor,
            list=task.list.slug,
            consent={**told, "file": progress.file, "name": progress.name},
        )
    )


@dataclass(frozen=True, kw_only=True)
class _Suppressing:
    """What is done with the rows of a file: who is suppressed and taken off, in steps."""

    mailing_list: MailingList
    progress: SuppressionProgress
    act: Act
    key: bytes = field(repr=False)
    dry_run: bool = False

    def take(self, some: Sequence[StagedSuppression]) -> None:
        """Suppress these, in the caller's transaction, and count them."""
        held = self._held(some)
        meant = {one.suppressed.fingerprint: one.suppressed for one in some}
        kept = {one for one in held if self._holds(held[one], meant[one])}
        known = self._known([one for one in meant if one not in kept])
        added = self._with_subjects(
            [one for print_, one in meant.items() if print_ not in kept | known], held
        )
        there = [held[one.fingerprint] for one in added if one.fingerprint in held]
        leaving = [contact for contact in there if contact.status != Status.REMOVED]
        if not self.dry_run:
            claimed = [one for print_, one in held.items() if print_ not in kept]
            again = [contact for contact in claimed if lookup.is_off_by_file(contact)]
            # Those get theirs as they leave; whoever corrected their address has one more.
            gone = {contact.id for contact in (*leaving, *again)}
            got = {print_ for print_, contact in held.items() if contact.id in gone}
            suppressions.add_suppressions(
                self.mailing_list, [one for one in added if one.fingerprint not in got]
            )
            status_changes.remove_contacts(
                [*leaving, *again], reason=Reason.REQUEST, act=self.act, fingerprint_key=self.key
            )
            if known:
                suppressions.keep_suppressions_of_addresses(self.mailing_list, list(known))
        progress = self.progress
        progress.added += len(added)
        progress.known += len(known)
        progress.kept += len(kept)
        progress.removed += len(leaving)

    def _with_subjects(
        self, these: Sequence[NewSuppression], held: Mapping[str, Contact]
    ) -> list[NewSuppression]:
        """Return these under their own subjects, also where another list's file has brought them.

        Who is held keeps the subject under which their evidence stands. One under which another
        list has a record is that record's alone.
        """
        others = chain_reader.find_subjects_of_other_lists(
            [one.subject for one in these], self.mailing_list.slug
        )
        own = {print_: contact.subject for print_, contact in held.items()}
        fresh = {one.fingerprint: new_id() for one in these if one.subject in others}
        subjects = {**fresh, **own}
        return [one._replace(subject=subjects.get(one.fingerprint, one.subject)) for one in these]

    def _held(self, some: Sequence[StagedSuppression]) -> dict[str, Contact]:
        """Return who of them is on the list, by fingerprint, locked; nobody who has moved away."""
        wanted = {one.contact: one.suppressed.fingerprint for one in some if one.contact}
        found = lookup.lock_contacts(wanted)
        prints = email_address.fingerprints(self.key, [contact.address_key for contact in found])
        return {
            print_: contact
            for contact, print_ in zip(found, prints, strict=True)
            if print_ == wanted[contact.id]
        }

    def _holds(self, contact: Contact, one: NewSuppression) -> bool:
        """Say whether the contact's own Yes holds; an opt-out without a date counts as earlier."""
        if contact.status != Status.CONFIRMED or contact.basis not in OWN_YES:
            return False
        is_later: bool = contact.status_at > one.at
        return self.progress.staged_facts.kind != "fingerprints" or is_later

    def _known(self, fingerprints: Sequence[str]) -> set[str]:
        query = Suppression.select(Suppression.fingerprint).where(
            Suppression.fingerprint.in_(make_value_list(fingerprints)),
            (Suppression.list == self.mailing_list) | Suppression.list.is_null(),
        )
        return {fingerprint for (fingerprint,) in query.tuples()}
