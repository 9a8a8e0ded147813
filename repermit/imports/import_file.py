"""Take a list file in: the whole use case."""

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
from repermit.imports.classify_row import ASK, LEAVE_OUT, Decisions, Interpreter
from repermit.imports.import_report import ImportResult, Problem
from repermit.imports.import_task import (
    ImportProgress,
    StagedFile,
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
    rows_to: Path | None = None,
    staged: Callable[[], None] = lambda: None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> ImportResult:
    """Take a list file in, or with `dry_run` only say what would become of its rows.

    1. Read the file into tables of its own; 2. find out what becomes of each address; 3. note that
    the file is under way; 4. merge it in steps that let others write in between. Until the third
    nothing is locked, and whatever fails changes nothing; from then on a kill is taken up, by
    `finish_imports` or whoever takes the same file in again. `staged` is called in between, when
    the file is needed no more; `tell` between two steps, with how many addresses are merged, of how
    many. `source` tells where addresses come from whose row does not say so;
    `customers` holds for every row, and needs `attest` unless nothing is written; `consent_text` is
    the form by which the proven signed up. `opted_out` names lines ("12", or "Sheet1:12" where the
    file has several parts) that the admin has decided not to ask, `asked` those to ask although a
    remark opts them out, and `remarks` what is decided of all rows with the same words ("ask" or
    "no"); `corrected` names lines whose domain has a slip that the admin has mended. `rows_to` is a
    file of this process's alone to which a dry run writes what would become of each row, see
    `row_preview`.

    Raises ListFileError for a file that cannot be read, Refused where the customer basis does
    not hold, for a line of `opted_out` that holds no row, and while another file is under way.
    """
    options = _Options(
        now=now,
        actor=actor,
        source=source,
        customers=customers,
        attest=attest.strip(),
        consent_text=(consent_text or "").strip(),
        fingerprint_key=settings.fingerprint_key,
        dry_run=dry_run,
    )
    under_way = None if dry_run else find_task_of_list(TaskKind.IMPORT, mailing_list)
    if under_way is not None:
        file = open_list(path, mapping=mapping, zone=settings.zone)
        if _file_of(under_way.target).digest == file.digest:
            staged()
            return _go_on(database, under_way, file, settings=settings, now=now)
    background_tasks.require_no_running_import(mailing_list)
    # What is written from here on may change what becomes of a row.
    decided_at = read_data_version(database) if isinstance(database, FairSqliteDatabase) else None
    lost = find_lost_suppressions(key=options.fingerprint_key, slug=mailing_list.slug)
    options = replace(options, kept_off=tuple(one.fingerprint for one in lost))
    token = secrets.token_hex(_TOKEN_BYTES)
    with ExitStack() as until_kept:
        read = until_kept.enter_context(open_reader(path))
        file = open_list(path, mapping=mapping, zone=settings.zone)
        decided = Decisions(
            opted_out=places_of(opted_out, file.parts),
            asked=places_of(asked, file.parts),
            corrected=places_of(corrected, file.parts),
            remarks=dict(remarks),
        )
        request = ReadRequest(
            path=path,
            mapping=mapping or {},
            zone=settings.zone,
            interpreter=_interpreter(mailing_list, file, options, decided),
        )
        kept_in = None
        if isinstance(database, FairSqliteDatabase) and not dry_run:
            target = make_staged_path(database, token)
            kept_in = until_kept.enter_context(make_temporary_files(settings).file_for(target))
        with staging.staging_area(database, file=kept_in):
            rows, lines = staging.stage(database, read(request, file))
            _refuse_missing(decided.opted_out | decided.asked | decided.corrected)
            options = replace(options, by_hand=_count_by_hand(decided))
            questions, date_notes = file.questions(), file.date_notes()
            addresses = staging.pick(database)
            merged = staging.merge_names() if addresses < rows else 0
            address_fate.resolve_fates(mailing_list.id)
            address_fate.mark_as_suppressed(options.kept_off)
            tally = tally_picked(rows, addresses, merged, options.bases)
            if rows_to is not None:
                row_preview.write(rows_to, file.parts, files=make_temporary_files(settings))
            result = ImportResult(
                list=mailing_list.slug,
                file=path.name,
                rows=rows,
                fates=tally.fates,
                problems=import_report.problems(tally.fates, file.parts, questions, date_notes),
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
            if kept_in is not None:
                sync_staged(kept_in)
            with database.atomic():
                number = begin_import(
                    database,
                    mailing_list,
                    _staged_file(mailing_list, file, options, tally, lines),
                    token=token,
                    now=options.now,
                    actor=options.actor,
                )
                # The file gets its name while nobody looks for files that no task names.
                until_kept.close()
    staged()
    with foreground_lock(database, TaskKind.IMPORT):
        merge_import(database, number, settings=settings, now=now, tell=tell, decided_at=decided_at)
    counts = _counts_of(number)
    return replace(
        result,
        fates=counts.fates,
        thin=0 if options.consent_text else counts.fates[Fate.CONFIRMED],
        improved=counts.improved,
    )


def _go_on(
    database: Database, task: BackgroundTask, file: ListFile, *, settings: Settings, now: datetime
) -> ImportResult:
    """Go on with the import of this very file, which a kill may have cut off."""
    progress = ImportProgress(**task.state)
    slug = task.list.slug
    with foreground_lock(database, TaskKind.IMPORT):
        merge_import(database, task.target, settings=settings, now=now)
    counts = _counts_of(task.target)
    is_thin = progress.bases[Fate.CONFIRMED] == Basis.THIN
    said = "the import of this file was cut off, and has gone on; its rows are not listed again"
    return ImportResult(
        list=slug,
        file=file.path.name,
        rows=counts.rows,
        fates=counts.fates,
        problems=(Problem(0, "", said),),
        parts=file.parts,
        merged=counts.merged,
        thin=counts.fates[Fate.CONFIRMED] if is_thin else 0,
        improved=counts.improved,
        additional=counts.rows - progress.lines,
        strangers=0,
        dry_run=False,
        unattested=False,
    )


def _file_of(number: int) -> Import:
    found: Import = Import.get_by_id(number)
    return found


def _counts_of(number: int) -> Tally:
    """Return what became of a file's rows; raises Refused if it was taken back meanwhile."""
    record = _file_of(number)
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
    """What the caller chose; texts are stripped and "" if not given.

    `kept_off` are the fingerprints of whom the journal alone still knows as suppressed.
    `by_hand` counts the rows that the admin has decided on.
    """

    now: datetime
    actor: str
    source: str
    customers: bool
    attest: str
    consent_text: str
    fingerprint_key: bytes = field(repr=False)
    dry_run: bool
    kept_off: tuple[str, ...] = ()
    by_hand: Mapping[str, int] = field(default_factory=dict)

    @property
    def may_be_customers(self) -> bool:
        """Say whether rows may be taken for customers: attested, or nothing is written anyway."""
        return self.dry_run or bool(self.attest)

    @property
    def bases(self) -> dict[Fate, Basis]:
        """Return the basis that each fate gives."""
        proven = Basis.IMPORTED if self.consent_text else Basis.THIN
        return {Fate.CONFIRMED: proven, Fate.CUSTOMER: Basis.CUSTOMER}


def places_of(lines: Collection[str], parts: Sequence[FilePart]) -> frozenset[tuple[int, int]]:
    """Return lines such as "12" or "Sheet1:12" as place of the part and number of the line.

    Raises Refused for what names no line of one part.
    """
    return frozenset(_place_of(line, parts) for line in lines)


def _place_of(named: str, parts: Sequence[FilePart]) -> tuple[int, int]:
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


def _refuse_missing(decided: Iterable[tuple[int, int]]) -> None:
    """Raise Refused for a line with no row: a slip in its number would ask somebody after all."""
    for place, line in sorted(decided):
        if not Staged.select().where(Staged.part == place, Staged.line == line).exists():
            raise Refused("there is no row in line %(line)s of this file", line=str(line))


def _interpreter(
    mailing_list: MailingList, file: ListFile, options: _Options, decided: Decisions
) -> Interpreter:
    return Interpreter(
        secret=secrets.token_bytes(_SECRET_BYTES),
        source=options.source,
        all_customers=options.customers,
        sensitive=mailing_list.sensitive,
        attested=options.may_be_customers,
        now=options.now,
        known_at=_known_at(mailing_list, file, options.now),
        fingerprint_key=options.fingerprint_key,
        fingerprint_all=bool(options.kept_off) or contacts_counts.has_suppressions(mailing_list.id),
        decided=decided if decided != Decisions() else None,
    )


def _shared(mailing_list: MailingList, file: ListFile, options: _Options) -> dict[str, Any]:
    """Return what the evidence of each contact says of the import; "" where there is nothing.

    Nobody of them has seen what the list says today, so it stands apart from what they agreed to,
    which the form's text shows where it is there.
    """
    texts = {"wording": options.consent_text, "attest": options.attest}
    digests = {name: chain.store_wording(text) if text else "" for name, text in texts.items()}
    unseen = lookup.describe_unseen_list(lookup.read_list_facts(mailing_list))
    return {"file": file.digest, **unseen, **digests}


def _staged_file(
    mailing_list: MailingList, file: ListFile, options: _Options, tally: Tally, lines: int
) -> StagedFile:
    columns = [
        {
            "part": email_address.mask_addresses_in_file_name(part.name),
            "column": column.title or str(column.index + 1),
            "field": column.field,
        }
        for part in file.parts
        for column in part.columns
        if column.field
    ]
    name = email_address.mask_addresses_in_file_name(file.path.name)
    return StagedFile(
        name=name,
        digest=file.digest,
        tally=tally,
        lines=lines,
        facts={
            "name": name,
            "size": file.path.stat().st_size,
            "source": options.source,
            "customers": options.customers,
            **options.by_hand,
            "columns": columns,
        },
        shared=_shared(mailing_list, file, options),
        bases=options.bases,
    )


def _count_by_hand(decided: Decisions) -> dict[str, int]:
    """Return how many rows were decided on, by line or by remark, as the evidence has it."""
    rows_by_decision = {}
    for decision in (LEAVE_OUT, ASK):
        said = [text for text, one in decided.remarks.items() if one == decision]
        rows = Staged.select(Staged.part, Staged.line).where(Staged.reason.in_(said))
        rows_by_decision[decision] = frozenset(rows.tuples())
    counts = {
        "opted_out_by_hand": len(decided.opted_out | rows_by_decision[LEAVE_OUT] - decided.asked),
        "asked_by_hand": len((decided.asked | rows_by_decision[ASK]) - decided.opted_out),
        "corrected_by_hand": len(decided.corrected),
    }
    return {name: count for name, count in counts.items() if count}


def _known_at(mailing_list: MailingList, file: ListFile, now: datetime) -> datetime:
    """Return since when this very file's marks are known: since it first came in."""
    first = (
        Import.select(Import.at)
        .where(Import.list == mailing_list, Import.digest == file.digest)
        .order_by(Import.at)
        .first()
    )
    return first.at if first else now
