"""Making an archive: what goes into it, in which order, and the entry that says so."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Self, cast

from repermit.accounts import audit_log
from repermit.archives import archive_documents
from repermit.db import background_tasks
from repermit.db.connection import Database
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.lists import MailingList
from repermit.email_address import as_people_write
from repermit.errors import Refused
from repermit.evidence import chain, signed_checkpoint
from repermit.evidence.entries import Checkpoint, Entry
from repermit.exports import export
from repermit.exports.export_rows import ExportKind, FileFormat
from repermit.exports.file_formats import write_csv
from repermit.privacy import make_proof, printable_proof
from repermit.privacy.make_proof import SealedProofs
from repermit.reports import make_report as reports_make_report
from repermit.reports.data_recipients import describe_for_proofs
from repermit.reports.make_report import ReportKind, make_report
from repermit.rules.consent import CampaignState
from repermit.settings.definitions import Settings
from repermit.suppression import fingerprint_files

# --- A ZIP that is written as a stream, with its digest. ------------------------------------------


_OWNER_ONLY = 0o100600


class _HashingWriter:
    """Passes on what is written and hashes it; it has no `seek`, so that ZipFile streams."""

    def __init__(self, out: BinaryIO) -> None:
        self._out: BinaryIO | None = out
        self.digest = hashlib.sha256()

    def write(self, octets: bytes) -> int:
        """Write some octets; return how many."""
        if self._out is None:
            return len(octets)
        self.digest.update(octets)
        return self._out.write(octets)

    def flush(self) -> None:
        """Flush the output."""
        if self._out is not None:
            self._out.flush()

    def cut(self) -> None:
        """Drop whatever is written from now on."""
        self._out = None


class ZipStream:
    """A ZIP that is written as a stream; an error in its `with` leaves it without its end.

    Its files are dated `now`, and only their owner may read them when they are unpacked.
    """

    def __init__(self, out: BinaryIO, *, now: datetime) -> None:
        self._writer = _HashingWriter(out)
        # Without `seek` the sizes stand behind each file, so that it can be sent as it is made.
        self._zip = zipfile.ZipFile(cast("BinaryIO", self._writer), "w", zipfile.ZIP_DEFLATED)
        self._now = now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # ZipFile writes the central directory when it is closed, though the ZIP is not whole.
            self._writer.cut()
        self._zip.close()

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a new file of the ZIP for writing."""
        info = zipfile.ZipInfo(name, self._now.timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = _OWNER_ONLY << 16
        with self._zip.open(info, "w", force_zip64=True) as file:
            yield cast("BinaryIO", file)

    def add(self, name: str, text: str) -> None:
        """Add a file with this text."""
        with self.open(name) as file:
            file.write(text.encode())

    def close(self) -> str:
        """Write the central directory, and return the SHA-256 of the whole in hex."""
        self._zip.close()
        return self._writer.digest.hexdigest()


# --- Making an archive. ---------------------------------------------------------------------------


_EXPORTS = (ExportKind.KEEP, ExportKind.REMOVED, ExportKind.UNASKED)
_INDEX_COLUMNS = {"address": "address", "folder": "folder"}


@dataclass(frozen=True, kw_only=True)
class ArchiveSummary:
    """What an archive holds.

    - `rows`: how many people each of its lists has.
    - `erased`: how many more were removed, but have no address any more.
    - `unproved`: of how many people the record says nothing.
    - `digest`: the SHA-256 of the whole file.
    - `checkpoint`: the one that all its proofs lead to.
    """

    rows: dict[ExportKind, int]
    erased: int
    suppressions: int
    proofs: int
    unproved: int
    has_report: bool
    checkpoint: Checkpoint
    digest: str


@dataclass(frozen=True, kw_only=True)
class _Context:
    """What every part of an archive is made with."""

    database: Database
    settings: Settings
    now: datetime
    actor: str


def require_archivable(mailing_list: MailingList) -> None:
    """Raise Refused while a campaign is live, or an import of the list is unfinished."""
    background_tasks.require_no_unfinished_file(mailing_list)
    campaign = latest_campaign(mailing_list)
    if campaign is not None and CampaignState(campaign.state).is_live:
        raise Refused(
            f"the campaign on {mailing_list.slug} is {campaign.state}: people may still answer, "
            "and nobody is taken off for silence yet. Archive it once it has closed, or `cancel` "
            "it first; for a copy meanwhile there is `backup`"
        )


def archive(
    mailing_list: MailingList,
    *,
    database: Database,
    settings: Settings,
    now: datetime,
    actor: str,
    out: BinaryIO,
) -> ArchiveSummary:
    """Write the archive of a list to `out`, a ZIP, while everything runs; memory stays flat.

    1. The lists of people and the suppressions, as the exports make and record them.
    2. A seal for each proof; then the entry `archived`, and the checkpoint behind it.
    3. The proofs, up to that checkpoint; the reports; the record; the page of old links.

    Raises Refused while a campaign is live.
    """
    require_archivable(mailing_list)
    context = _Context(database=database, settings=settings, now=now, actor=actor)
    with ZipStream(out, now=now) as archive_zip:
        lists = {
            what: _add_export(archive_zip, mailing_list, what, FileFormat.CSV, context)
            for what in _EXPORTS
        }
        with archive_zip.open("suppressions.csv") as file:
            suppressions = fingerprint_files.write_suppressions(
                mailing_list=mailing_list, out=file, form="csv", **vars(context)
            )
        register = describe_for_proofs(mailing_list, settings=settings)
        with make_proof.seal_proofs(
            mailing_list=mailing_list, register=register, **vars(context)
        ) as proofs:
            checkpoint = _add_proofs(archive_zip, mailing_list, proofs, context)
        has_report = _add_reports(archive_zip, mailing_list, context)
        _add_export(archive_zip, mailing_list, ExportKind.EVIDENCE, FileFormat.JSON, context)
        archive_zip.add("checkpoint.json", json.dumps(checkpoint.to_json(), indent=1) + "\n")
        for name, content in archive_documents.make_static_site(mailing_list, settings=settings):
            archive_zip.add(f"site/{name}", content)
        readme = archive_documents.render_readme(mailing_list, settings=settings, now=now)
        archive_zip.add("README.txt", readme)
        return ArchiveSummary(
            rows={what: one.rows for what, one in lists.items()},
            erased=lists[ExportKind.REMOVED].erased,
            suppressions=suppressions,
            proofs=proofs.count,
            unproved=proofs.unproved,
            has_report=has_report,
            checkpoint=checkpoint,
            digest=archive_zip.close(),
        )


def _add_export(
    archive_zip: ZipStream,
    mailing_list: MailingList,
    what: ExportKind,
    form: FileFormat,
    context: _Context,
) -> export.ExportResult:
    with archive_zip.open(f"{what}.{form}") as file:
        return export.write_export(mailing_list, what, format=form, out=file, **vars(context))


def _add_proofs(
    archive_zip: ZipStream, mailing_list: MailingList, proofs: SealedProofs, context: _Context
) -> Checkpoint:
    """Add the proofs and an index of whose they are; return the checkpoint that they share.

    The index leaves out erased people; suppressions.csv has their fingerprints.
    """
    seq, checkpoint = _append_entry(mailing_list, proofs.count, context)
    language, zone = mailing_list.language, context.settings.zone

    def add_each() -> Iterator[dict[str, str]]:
        for address, proof in proofs.closed_by(seq, checkpoint):
            archive_zip.add(f"proofs/{proof.subject}/proof.json", proof.text)
            page = printable_proof.make_proof_page(proof.document, language=language, zone=zone)
            archive_zip.add(f"proofs/{proof.subject}/proof.html", page)
            if address:
                yield {"address": as_people_write(address), "folder": proof.subject}

    # A ZIP takes one file after the other.
    with tempfile.TemporaryFile() as index:
        write_csv(add_each(), _INDEX_COLUMNS, index)
        index.seek(0)
        with archive_zip.open("proofs/index.csv") as file:
            shutil.copyfileobj(index, file)
    return checkpoint


def _append_entry(
    mailing_list: MailingList, proofs: int, context: _Context
) -> tuple[int, Checkpoint]:
    """Append the entry `archived`; return its number and the checkpoint after it."""
    facts = {"what": "archive", "format": "zip", "tool": "", "rows": proofs}
    actor, now = context.actor, context.now
    entry = Entry(event="archived", at=now, actor=actor, list=mailing_list.slug, consent=facts)
    with context.database.atomic():
        audit_log.note_access(now=now, actor=actor, act="archived", mailing_list=mailing_list)
        seq = chain.append(entry)
        return seq, signed_checkpoint.take(context.settings)


def _add_reports(archive_zip: ZipStream, mailing_list: MailingList, context: _Context) -> bool:
    """Add the reports; return whether there was a campaign to report on."""
    has_report = latest_campaign(mailing_list) is not None
    for kind in (ReportKind.REGISTER, *((ReportKind.REPORT,) if has_report else ())):
        report = make_report(mailing_list, kind, settings=context.settings, now=context.now)
        archive_zip.add(f"{kind}.html", reports_make_report.render_page(report))
        archive_zip.add(f"{kind}.json", reports_make_report.render_json(report))
    return has_report
