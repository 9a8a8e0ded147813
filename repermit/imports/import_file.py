"""Importing a list file: the whole use case."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from repermit import email_address
from repermit.contacts import counts as contacts_counts
from repermit.contacts import lookup
from repermit.db import background_tasks
from repermit.db.background_tasks import (
    BackgroundTask,
    TaskKind,
    find_task,
    find_task_of_list,
    foreground_lock,
)
from repermit.db.connection import Database, FairSqliteDatabase, read_data_version
from repermit.db.lost_suppressions import find_lost_suppressions
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.staged_rows import make_staged_path, sync_staged
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.i18n.lazy_text import LazyJoin, LazyText
from repermit.imports import address_fate, import_report, row_preview, staging
from repermit.imports.classify_row import ASK, LEAVE_OUT, WHOLE_PART, Decisions, Interpreter
from repermit.imports.import_report import ImportResult, Problem
from repermit.imports.import_task import (
    ImportProgress,
    Tally,
    begin_import,
    merge_import,
    tally_picked,
)
from repermit.imports.readers.open_file import ListFile, open_list
from repermit.imports.readers.rows import FilePart
from repermit.imports.row_batches import ReadRequest, open_reader
from repermit.imports.staging import Staged
from repermit.rules.consent import Basis, Fate
from repermit.settings.definitions import Settings
from repermit.temporary_files import make_temporary_files

_TOKEN_BYTES = 16
_SECRET_BYTES = 32


def import_file(
    database: Database,
    mailing_list: MailingList,
    path: Path,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    mapping: Mapping[str, str] | None = None,
    source: str = "",
    customers: bool = False,
    attest: str = "",
    consent_text: str | None = None,
    opted_out: Collection[str] = (),
    asked: Collection[str] = (),
    remarks: Mapping[str, str] = MappingProxyType({}),
    corrected: Collection[str] = (),
    dry_run: bool = False,
    preview_path: Path | None = None,
    on_staged: Callable[[], None] = lambda: None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> ImportResult:
    """Import a list file, or with `dry_run` only report the fates of its rows.

    1. Read the file into staging tables.
    2. Resolve the fate of each address.
    3. Store the task.
    4. Merge in steps, between which others can write.

    Before step 3 nothing is locked, and a failure changes nothing. After a kill later on,
    `finish_imports` or a repeated import of the same file continues.

    - `source`: the source of addresses whose row has none.
    - `customers`: whether all rows are customers; needs `attest`, except for a dry run.
    - `consent_text`: the form with which the contacts with a proof signed up.
    - `opted_out`: lines ("12", or "Sheet1:12" if the file has several parts) not to ask; "Sheet1:*"
      for all of a part.
    - `asked`: lines to ask although a remark opts them out.
    - `corrected`: lines whose domain has a typo that the admin has corrected.
    - `remarks`: decisions ("ask" or "no") about all rows with the same remark.
    - `preview_path`: a file of this process alone, to which a dry run writes the fate of each row;
      see `row_preview`.
    - `on_staged`: called when the file is no longer needed.
    - `on_progress`: called between steps with the merged and the total number of addresses.

    Raises ListFileError for a file that cannot be read. Raises Refused if the customer basis is not
    allowed, if a line of `opted_out`, `asked` or `corrected` has no row, and while another import
    is running.
    """
    under_way = None if dry_run else find_task_of_list(TaskKind.IMPORT, mailing_list)
    if under_way is not None:
        file = open_list(path, mapping=mapping, zone=settings.zone)
        if _get_file(under_way.target).digest == file.digest:
            on_staged()
            return _continue(database, under_way, file, settings=settings, now=now)
    background_tasks.require_no_running_import(mailing_list)
    # Writes from here on may change the fate of a row.
    decided_at = read_data_version(database) if isinstance(database, FairSqliteDatabase) else None
    lost_suppressions = find_lost_suppressions(key=settings.fingerprint_key, slug=mailing_list.slug)
    options = _Options(
        now=now,
        actor=actor,
        source=source,
        customers=customers,
        attest=attest.strip(),
        consent_text=(consent_text or "").strip(),
        fingerprint_key=settings.fingerprint_key,
        dry_run=dry_run,
        kept_off=tuple(suppression.fingerprint for suppression in lost_suppressions),
    )
    token = secrets.token_hex(_TOKEN_BYTES)
    with ExitStack() as until_stored:
        read_rows = until_stored.enter_context(open_reader(path))
        file = open_list(path, mapping=mapping, zone=settings.zone)
        parts_out = {named for named in opted_out if named.endswith(WHOLE_PART)}
        lines_out = [named for named in opted_out if named not in parts_out]
        decided = Decisions(
            opted_out=parse_lines(lines_out, file.parts),
            opted_out_parts=frozenset(_parse_part(named, file.parts) for named in parts_out),
            asked=parse_lines(asked, file.parts),
            corrected=parse_lines(corrected, file.parts),
            remarks=dict(remarks),
        )
        request = ReadRequest(
            path=path,
            mapping=mapping or {},
            zone=settings.zone,
            interpreter=_make_interpreter(mailing_list, file, options, decided),
        )
        staged_path = None
        if isinstance(database, FairSqliteDatabase) and not dry_run:
            target = make_staged_path(database, token)
            staged_path = until_stored.enter_context(
                make_temporary_files(settings).file_for(target)
            )
        with staging.staging_area(database, file=staged_path):
            rows, lines = staging.stage(database, read_rows(request, file))
            _refuse_missing(decided.opted_out | decided.asked | decided.corrected)
            options = replace(options, by_hand=_count_by_hand(decided))
            questions = file.find_ambiguous_columns()
            date_notes, language_notes = file.find_date_notes(), file.find_language_notes()
            addresses = staging.pick(database)
            merged = staging.merge_names() if addresses < rows else 0
            address_fate.resolve_fates(mailing_list.id)
            address_fate.mark_as_suppressed(options.kept_off)
            tally = tally_picked(rows, addresses, merged, options.bases)
            if preview_path is not None:
                row_preview.write(preview_path, file.parts, files=make_temporary_files(settings))
            result = ImportResult(
                list=mailing_list.slug,
                file=path.name,
                rows=rows,
                fates=tally.fates,
                problems=import_report.problems(
                    tally.fates, file.parts, questions, date_notes, language_notes
                ),
                parts=file.parts,
                merged=merged,
                thin=0 if options.consent_text else tally.fates[Fate.CONFIRMED],
                improved=tally.improved,
                additional=rows - lines,
                strangers=address_fate.count_strangers(mailing_list.id) if dry_run else 0,
                dry_run=dry_run,
                unattested=_is_unattested(options),
            )
            if dry_run:
                return result
            if staged_path is not None:
                sync_staged(staged_path)
            with database.atomic():
                number = begin_import(
                    database,
                    mailing_list,
                    tally,
                    _make_progress(mailing_list, file, options, tally, token=token, lines=lines),
                    now=options.now,
                    actor=options.actor,
                )
                # The file is renamed inside the transaction, so that no sweep finds it without a
                # task.
                until_stored.close()
    on_staged()
    with foreground_lock(database, TaskKind.IMPORT):
        merge_import(
            database,
            number,
            settings=settings,
            now=now,
            on_progress=on_progress,
            decided_at=decided_at,
        )
    counts = _read_counts(number)
    return replace(
        result,
        fates=counts.fates,
        thin=0 if options.consent_text else counts.fates[Fate.CONFIRMED],
        improved=counts.improved,
    )


def _continue(
    database: Database, task: BackgroundTask, file: ListFile, *, settings: Settings, now: datetime
) -> ImportResult:
    """Continue the interrupted import of the same file."""
    progress = ImportProgress(**task.state)
    slug = task.list.slug
    with foreground_lock(database, TaskKind.IMPORT):
        merge_import(database, task.target, settings=settings, now=now)
    counts = _read_counts(task.target)
    is_thin = progress.bases[Fate.CONFIRMED] == Basis.THIN
    note = "the import of this file was cut off, and has gone on; its rows are not listed again"
    return ImportResult(
        list=slug,
        file=file.path.name,
        rows=counts.rows,
        fates=counts.fates,
        problems=(Problem(0, "", note),),
        parts=file.parts,
        merged=counts.merged,
        thin=counts.fates[Fate.CONFIRMED] if is_thin else 0,
        improved=counts.improved,
        additional=counts.rows - progress.lines,
        strangers=0,
        dry_run=False,
        unattested=False,
    )


def _get_file(number: int) -> Import:
    record: Import = Import.get_by_id(number)
    return record


def _read_counts(number: int) -> Tally:
    """Return the counts of a file's rows; raises Refused if the import was undone meanwhile."""
    record = _get_file(number)
    if record.undone_at or find_task(TaskKind.UNDO_IMPORT, number):
        raise Refused("this file was taken back while it was taken in")
    counts = json.loads(record.counts)
    return Tally(**{**counts, "fates": {fate: counts["fates"][fate] for fate in Fate}})


def _is_unattested(options: _Options) -> bool:
    if options.attest or not options.dry_run:
        return False
    return options.customers or staging.has_row_with_fate(Fate.CUSTOMER)


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The caller's options; texts are stripped, and "" if not given.

    - `kept_off`: the fingerprints of suppressions that only the journal still has.
    - `by_hand`: the numbers of rows that the admin has decided on.
    """

    now: datetime
    actor: str
    source: str
    customers: bool
    attest: str
    consent_text: str
    fingerprint_key: bytes = field(repr=False)
    dry_run: bool
    kept_off: tuple[str, ...]
    by_hand: Mapping[str, int] = field(default_factory=dict)

    @property
    def may_be_customers(self) -> bool:
        """Say whether rows may be customers: this is attested, or nothing is written anyway."""
        return self.dry_run or bool(self.attest)

    @property
    def bases(self) -> dict[Fate, Basis]:
        """Return the basis that each fate gives."""
        proven = Basis.IMPORTED if self.consent_text else Basis.THIN
        return {Fate.CONFIRMED: proven, Fate.CUSTOMER: Basis.CUSTOMER}


def parse_lines(lines: Collection[str], parts: Sequence[FilePart]) -> frozenset[tuple[int, int]]:
    """Return lines such as "12" or "Sheet1:12" as (index of the part, number of the line).

    Raises Refused for a text that does not name a line of exactly one part.
    """
    return frozenset(_parse_line(line, parts) for line in lines)


def _parse_line(named: str, parts: Sequence[FilePart]) -> tuple[int, int]:
    name, _, digits = named.rpartition(":")
    places = [at for at, part in enumerate(parts) if part.name == name or len(parts) == 1]
    if len(places) != 1 or not (digits.isascii() and digits.isdigit()):
        raise Refused(
            "%(named)s names no line of this file: give its number%(parts)s",
            named=repr(named),
            parts=LazyText(
                ", after its part and a colon: %(names)s",
                names=LazyJoin(tuple(part.name for part in parts)),
            )
            if len(parts) > 1
            else "",
        )
    return places[0], int(digits)


def _parse_part(named: str, parts: Sequence[FilePart]) -> int:
    """Return the index of a part named as "Sheet1:*"; raises Refused unless it is exactly one."""
    name = named.removesuffix(WHOLE_PART)
    places = [at for at, part in enumerate(parts) if part.name == name]
    if len(places) != 1:
        raise Refused("%(name)s is no part of this file", name=repr(name))
    return places[0]


def _refuse_missing(decided: Iterable[tuple[int, int]]) -> None:
    """Raise Refused for a line without a row; a typo in its number would ask the wrong person."""
    for place, line in sorted(decided):
        if not Staged.select().where(Staged.part == place, Staged.line == line).exists():
            raise Refused("there is no row in line %(line)s of this file", line=str(line))


def _make_interpreter(
    mailing_list: MailingList, file: ListFile, options: _Options, decided: Decisions
) -> Interpreter:
    return Interpreter(
        secret=secrets.token_bytes(_SECRET_BYTES),
        source=options.source,
        all_customers=options.customers,
        sensitive=mailing_list.sensitive,
        attested=options.may_be_customers,
        now=options.now,
        known_at=_find_known_time(mailing_list, file, options.now),
        fingerprint_key=options.fingerprint_key,
        fingerprint_all=bool(options.kept_off) or contacts_counts.has_suppressions(mailing_list.id),
        decided=decided if decided != Decisions() else None,
    )


def _make_shared_evidence(
    mailing_list: MailingList, file: ListFile, options: _Options
) -> dict[str, Any]:
    """Return what the evidence of each contact says about the import; "" for missing texts.

    The contacts have not seen the list's present description, so it is marked as unseen. What they
    agreed to is in the form's text, if there is one.
    """
    texts = {"wording": options.consent_text, "attest": options.attest}
    digests = {name: chain.store_wording(text) if text else "" for name, text in texts.items()}
    unseen = lookup.describe_unseen_list(lookup.read_list_facts(mailing_list))
    return {"file": file.digest, **unseen, **digests}


def _make_progress(
    mailing_list: MailingList,
    file: ListFile,
    options: _Options,
    tally: Tally,
    *,
    token: str,
    lines: int,
) -> ImportProgress:
    columns = [
        {
            "part": email_address.mask_addresses_in_name(part.name),
            "column": email_address.mask_addresses_in_name(column.title) or str(column.index + 1),
            "field": column.field,
        }
        for part in file.parts
        for column in part.columns
        if column.field
    ]
    # Rows that are not picked are counted here, the others when they are merged.
    invalid = tally.fates[Fate.INVALID]
    fates = dict.fromkeys(map(str, Fate), 0)
    fates |= {Fate.INVALID: invalid, Fate.DUPLICATE: tally.rows - tally.addresses - invalid}
    return ImportProgress(
        token=token,
        rows=tally.rows,
        lines=lines,
        addresses=tally.addresses,
        merged=tally.merged,
        last=staging.find_last_picked(),
        facts={
            "name": email_address.mask_addresses_in_name(file.path.name),
            "size": file.path.stat().st_size,
            "source": email_address.mask_addresses_in_name(options.source),
            "customers": options.customers,
            **options.by_hand,
            "columns": columns,
        },
        shared=_make_shared_evidence(mailing_list, file, options),
        bases={str(fate): str(basis) for fate, basis in options.bases.items()},
        fates=fates,
    )


def _count_by_hand(decided: Decisions) -> dict[str, int]:
    """Return the numbers of rows decided on, by line or by remark, as evidence fields."""
    rows_by_decision = {}
    for decision in (LEAVE_OUT, ASK):
        remarks = [
            text for text, remark_decision in decided.remarks.items() if remark_decision == decision
        ]
        is_decided = Staged.reason.in_(remarks)
        if decision == LEAVE_OUT:
            is_decided |= Staged.part.in_(decided.opted_out_parts)
        rows = Staged.select(Staged.part, Staged.line).where(is_decided)
        rows_by_decision[decision] = frozenset(rows.tuples())
    counts = {
        "opted_out_by_hand": len(decided.opted_out | rows_by_decision[LEAVE_OUT] - decided.asked),
        "asked_by_hand": len((decided.asked | rows_by_decision[ASK]) - decided.opted_out),
        "corrected_by_hand": len(decided.corrected),
    }
    return {name: count for name, count in counts.items() if count}


def _find_known_time(mailing_list: MailingList, file: ListFile, now: datetime) -> datetime:
    """Return since when this file's opt-out marks are known: since its first import."""
    first = (
        Import.select(Import.at)
        .where(Import.list == mailing_list, Import.digest == file.digest)
        .order_by(Import.at)
        .first()
    )
    return first.at if first else now
