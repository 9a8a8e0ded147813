"""Take a list file in: the whole use case.

May import contacts, evidence, listfile and all of this room.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from repermit import addresses, contacts, evidence
from repermit.consent import Basis, Fate, require_customer_basis
from repermit.errors import Refused
from repermit.evidence import Entry
from repermit.importing import deciding, reporting, sights, staging
from repermit.importing.interpreting import Interpreter
from repermit.importing.merging import Taking, merge
from repermit.importing.reader import Request, read
from repermit.importing.results import ImportResult
from repermit.importing.staging import Staged
from repermit.listfile import open_list
from repermit.models import Import, TaskKind, lost_suppressions, task_on, temporary_files
from repermit.saying import Joined, Said

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from repermit.config import Settings
    from repermit.listfile import ListFile, Part
    from repermit.models import Database, MailingList

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
    dry_run: bool = False,
    rows_to: Path | None = None,
) -> ImportResult:
    """Take a list file in, or with `dry_run` only say what would become of its rows.

    1. Read the file into temporary tables; 2. find out what becomes of each address; 3. write all
    of it in one transaction. Until the third step nothing is locked, and whatever fails changes
    nothing. `source` tells where addresses come from whose row does not say so; `customers` holds
    for every row, and needs `attest` unless nothing is written; `consent_text` is the form by which
    the proven signed up. `opted_out` names lines ("12", or "Sheet1:12" where the file has several
    parts) that the admin has decided not to ask. `rows_to` is a file of this process's alone to
    which a dry run writes what would become of each row, see `sights`.

    Raises ListFileError for a file that cannot be read, Refused where the customer basis does
    not hold, for a line of `opted_out` that holds no row, and while an import is being taken back.
    """
    options = _Options(
        now=now,
        actor=actor,
        source=source,
        customers=customers,
        attest=attest.strip(),
        consent_text=(consent_text or "").strip(),
        fingerprint_key=settings.fingerprint_key,
        opted_out=len(set(opted_out)),
        dry_run=dry_run,
    )
    _refuse_while_undoing(mailing_list)
    if customers:
        require_customer_basis(sensitive=mailing_list.sensitive, attested=options.may_be_customers)
    lost = lost_suppressions(key=options.fingerprint_key, slug=mailing_list.slug)
    options = replace(options, kept_off=tuple(one.fingerprint for one in lost))
    file = open_list(path, mapping=mapping, zone=settings.zone)
    decided = places_of(opted_out, file.parts)
    request = Request(
        path=path,
        mapping=mapping or {},
        zone=settings.zone,
        interpreter=_interpreter(mailing_list, file, options, decided),
    )
    with staging.staging_area(database):
        rows, lines = staging.stage(database, read(request, file))
        _refuse_missing(decided)
        questions, date_notes = file.questions(), file.date_notes()
        addresses = staging.pick(database)
        merged = staging.merge_names() if addresses < rows else 0
        deciding.decide(mailing_list.id)
        deciding.keep_off(options.kept_off)
        tally = _tally(rows, addresses, merged, options)
        if rows_to is not None:
            sights.write(rows_to, file.parts, files=temporary_files(settings))
        if not dry_run:
            with staging.wide_cache(database), database.atomic():
                tally = _write(database, mailing_list, file, options, tally)
        return ImportResult(
            list=mailing_list.slug,
            file=path.name,
            rows=rows,
            fates=tally.fates,
            problems=reporting.problems(tally.fates, file.parts, questions, date_notes),
            parts=file.parts,
            merged=merged,
            thin=0 if options.consent_text else tally.fates[Fate.CONFIRMED],
            improved=tally.improved,
            additional=rows - lines,
            strangers=deciding.count_strangers(mailing_list.id) if dry_run else 0,
            dry_run=dry_run,
            unattested=_is_unattested(options),
        )


def _refuse_while_undoing(mailing_list: MailingList) -> None:
    """Raise Refused: who is on the list now may be gone in a moment."""
    if task_on(TaskKind.UNDO_IMPORT, mailing_list):
        raise Refused("a file is being taken back from this list; wait until that is done")


def _is_unattested(options: _Options) -> bool:
    if options.attest or not options.dry_run:
        return False
    return options.customers or staging.has_said(Fate.CUSTOMER)


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What the caller chose; texts are stripped and "" if not given.

    `kept_off` are the fingerprints of whom the journal alone still knows as suppressed.
    """

    now: datetime
    actor: str
    source: str
    customers: bool
    attest: str
    consent_text: str
    fingerprint_key: bytes = field(repr=False)
    opted_out: int
    dry_run: bool
    kept_off: tuple[str, ...] = ()

    @property
    def may_be_customers(self) -> bool:
        """Say whether rows may be taken for customers: attested, or nothing is written anyway."""
        return self.dry_run or bool(self.attest)

    @property
    def bases(self) -> dict[Fate, Basis]:
        """Return the basis that each fate gives."""
        proven = Basis.IMPORTED if self.consent_text else Basis.THIN
        return {Fate.CONFIRMED: proven, Fate.CUSTOMER: Basis.CUSTOMER}


@dataclass(frozen=True)
class _Tally:
    """What is counted of a file, see ImportResult; `addresses` is how many it has."""

    rows: int
    addresses: int
    fates: dict[Fate, int]
    merged: int
    improved: int


def _tally(rows: int, addresses: int, merged: int, options: _Options) -> _Tally:
    fates = reporting.count_fates(rows, addresses)
    improved = 0
    if fates[Fate.DUPLICATE]:
        improved = sum(deciding.improvable(*pair).count() for pair in options.bases.items())
    return _Tally(rows, addresses, fates, merged, improved)


def places_of(lines: Collection[str], parts: Sequence[Part]) -> frozenset[tuple[int, int]]:
    """Return lines such as "12" or "Sheet1:12" as place of the part and number of the line.

    Raises Refused for what names no line of one part.
    """
    return frozenset(_place_of(line, parts) for line in lines)


def _place_of(named: str, parts: Sequence[Part]) -> tuple[int, int]:
    name, _, digits = named.rpartition(":")
    places = [at for at, part in enumerate(parts) if part.name == name or len(parts) == 1]
    if len(places) != 1 or not (digits.isascii() and digits.isdigit()):
        raise Refused(
            "%(named)s names no line of this file: give its number%(parts)s",
            named=repr(named),
            parts=Said(
                ", after its part and a colon: %(names)s",
                names=Joined(tuple(part.name for part in parts)),
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
    mailing_list: MailingList,
    file: ListFile,
    options: _Options,
    decided: frozenset[tuple[int, int]],
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
        fingerprint_all=bool(options.kept_off) or deciding.has_suppressions(mailing_list.id),
        opted_out=decided,
    )


def _write(
    database: Database, mailing_list: MailingList, file: ListFile, options: _Options, tally: _Tally
) -> _Tally:
    """Write everything, in the transaction that is open; return how it counts up by then."""
    deciding.fill_in_fingerprints(database, mailing_list.id, options.fingerprint_key)
    if deciding.decide(mailing_list.id):
        # Somebody signed up or was taken off while the file was read.
        tally = _tally(tally.rows, tally.addresses, tally.merged, options)
    counts = asdict(tally)
    record = Import.create(
        list=mailing_list,
        file=addresses.masked(file.path.name),
        digest=file.digest,
        counts=json.dumps(counts),
        at=options.now,
    )
    # On PostgreSQL whoever decides to take one back waits for this row's transaction.
    _refuse_while_undoing(mailing_list)
    shared = _shared(mailing_list, file, options)
    merge(
        Taking(
            mailing_list=mailing_list,
            record=record,
            actor=options.actor,
            bases=options.bases,
            fates=tally.fates,
            improved=tally.improved,
            shared=shared,
            fingerprint_key=options.fingerprint_key,
        )
    )
    evidence.append(_entry(mailing_list, file, options, {**counts, **shared}))
    return tally


def _shared(mailing_list: MailingList, file: ListFile, options: _Options) -> dict[str, Any]:
    """Return what the evidence of each contact says of the import; "" where there is nothing.

    Nobody of them has seen what the list says today, so it stands apart from what they agreed to,
    which the form's text shows where it is there.
    """
    texts = {"wording": options.consent_text, "attest": options.attest}
    digests = {name: evidence.keep_wording(text) if text else "" for name, text in texts.items()}
    unseen = contacts.list_unseen(contacts.list_facts(mailing_list))
    return {"file": file.digest, **unseen, **digests}


def _entry(
    mailing_list: MailingList, file: ListFile, options: _Options, facts: Mapping[str, Any]
) -> Entry:
    columns = [
        {
            "part": addresses.masked(part.name),
            "column": column.title or str(column.index + 1),
            "field": column.field,
        }
        for part in file.parts
        for column in part.columns
        if column.field
    ]
    return Entry(
        event="imported",
        at=options.now,
        actor=options.actor,
        list=mailing_list.slug,
        consent={
            **facts,
            "name": addresses.masked(file.path.name),
            "source": options.source,
            "customers": options.customers,
            **({"opted_out_by_hand": options.opted_out} if options.opted_out else {}),
            "columns": columns,
        },
    )


def _known_at(mailing_list: MailingList, file: ListFile, now: datetime) -> datetime:
    """Return since when this very file's marks are known: since it first came in."""
    first = (
        Import.select(Import.at)
        .where(Import.list == mailing_list, Import.digest == file.digest)
        .order_by(Import.at)
        .first()
    )
    return first.at if first else now
