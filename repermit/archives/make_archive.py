"""Making an archive: what goes into it, in which order, and the entry that says so."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, BinaryIO, Self, cast

from repermit.accounts import audit_log
from repermit.archives import archive_readme, static_site
from repermit.db import background_tasks
from repermit.db.connection import Database
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.lists import MailingList
from repermit.email_address import as_people_write
from repermit.errors import Refused
from repermit.evidence import chain, signed_checkpoint
from repermit.evidence.entries import Checkpoint, Entry
from repermit.exports import export
from repermit.exports.export_rows import Format, What
from repermit.exports.file_formats import write_csv
from repermit.privacy import make_proof, printable_proof
from repermit.privacy.make_proof import Proofs
from repermit.reports import make_report as reports_make_report
from repermit.reports.make_report import ReportKind, make_report
from repermit.rules.consent import CampaignState
from repermit.settings.definitions import Settings
from repermit.suppression import fingerprint_files

# --- A ZIP that is written as it comes, to a file or down a line, with its digest. ----------------


_FOR_ITS_OWNER_ALONE = 0o100600


class _Line:
    """Passes on what is written, and takes its digest; it cannot be gone back in."""

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
        """Have nothing wait to be written."""
        if self._out is not None:
            self._out.flush()

    def cut(self) -> None:
        """Pass on nothing more."""
        self._out = None


class Bundle:
    """A ZIP under way, from `with` to its end; where that is an error, the ZIP gets no end.

    Its files are dated `now`, and are unpacked for their owner alone.
    """

    def __init__(self, out: BinaryIO, *, now: datetime) -> None:
        self._line = _Line(out)
        # Nothing is gone back to: sizes stand behind each file. So it can be sent as it is made.
        self._zip = zipfile.ZipFile(cast("BinaryIO", self._line), "w", zipfile.ZIP_DEFLATED)
        self._now = now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # Python would write the end once nobody holds the ZIP any more, though it is not whole.
            self._line.cut()
        self._zip.close()

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Begin a file of the ZIP, which is whole when this is left."""
        info = zipfile.ZipInfo(name, self._now.timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = _FOR_ITS_OWNER_ALONE << 16
        with self._zip.open(info, "w", force_zip64=True) as file:
            yield cast("BinaryIO", file)

    def add(self, name: str, text: str) -> None:
        """Put a text in."""
        with self.open(name) as file:
            file.write(text.encode())

    def close(self) -> str:
        """Write the end, and return the SHA-256 of the whole in hex."""
        self._zip.close()
        return self._line.digest.hexdigest()


# --- Making an archive. ---------------------------------------------------------------------------


_PEOPLE = (What.KEEP, What.REMOVED, What.UNASKED)
_WHOSE = {"address": "address", "folder": "folder"}


@dataclass(frozen=True, kw_only=True)
class Archived:
    """What an archive holds.

    `rows` are those of its lists of people, `erased` how many more were removed whose address is
    held no longer, `unproved` of how many in all the record says nothing. `digest` is
    the SHA-256 of the whole file. `checkpoint` is the one in it, under which all proofs stand.
    """

    rows: dict[What, int]
    erased: int
    suppressions: int
    proofs: int
    unproved: int
    has_report: bool
    checkpoint: Checkpoint
    digest: str


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What everything in an archive is made with."""

    database: Database
    settings: Settings
    now: datetime
    actor: str

    def options(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


def require_over(mailing_list: MailingList) -> None:
    """Raise Refused while a campaign is live: what is to outlast it has not come about yet.

    And while a file of the list is half taken in, or half taken back.
    """
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
) -> Archived:
    """Write the archive of a list to `out`, a ZIP, while everything runs; memory stays flat.

    1. The lists of people and the suppressions, as the exports make and record them.
    2. A seal for each proof, some at a time; then the entry `archived`, by which the checkpoint
       follows that all of them share.
    3. The proofs, up to that checkpoint; the papers; the record; what old links will show.

    Raises Refused while a campaign is live.
    """
    require_over(mailing_list)
    asked = _Asked(database=database, settings=settings, now=now, actor=actor)
    with Bundle(out, now=now) as bundle:
        lists = {
            what: _add_export(bundle, mailing_list, what, Format.CSV, asked) for what in _PEOPLE
        }
        with bundle.open("suppressions.csv") as file:
            suppressions = fingerprint_files.write_suppressions(
                mailing_list=mailing_list, out=file, form="csv", **asked.options()
            )
        with make_proof.proving_all(mailing_list=mailing_list, **asked.options()) as sealed:
            checkpoint = _add_proofs(bundle, mailing_list, sealed, asked)
        has_report = _add_papers(bundle, mailing_list, asked)
        _add_export(bundle, mailing_list, What.EVIDENCE, Format.JSON, asked)
        bundle.add("checkpoint.json", json.dumps(checkpoint.to_json(), indent=1) + "\n")
        for name, content in static_site.files(mailing_list, settings=settings):
            bundle.add(f"site/{name}", content)
        bundle.add("README.txt", archive_readme.text(mailing_list, settings=settings, now=now))
        return Archived(
            rows={what: one.rows for what, one in lists.items()},
            erased=lists[What.REMOVED].erased,
            suppressions=suppressions,
            proofs=sealed.count,
            unproved=sealed.unproved,
            has_report=has_report,
            checkpoint=checkpoint,
            digest=bundle.close(),
        )


def _add_export(
    bundle: Bundle, mailing_list: MailingList, what: What, form: Format, asked: _Asked
) -> export.Exported:
    with bundle.open(f"{what}.{form}") as file:
        return export.export(mailing_list, what, format=form, out=file, **asked.options())


def _add_proofs(
    bundle: Bundle, mailing_list: MailingList, sealed: Proofs, asked: _Asked
) -> Checkpoint:
    """Put the proofs in, and a list of whose each is; return the checkpoint that all share.

    Whose the folders are that the list lacks, since those were erased, stands by fingerprint among
    the suppressions.
    """
    seq, checkpoint = _note(mailing_list, sealed.count, asked)
    language, zone = mailing_list.language, asked.settings.zone

    def added() -> Iterator[dict[str, str]]:
        for address, proof in sealed.closed_by(seq, checkpoint):
            bundle.add(f"proofs/{proof.subject}/proof.json", proof.text)
            page = printable_proof.proof_page(proof.document, language=language, zone=zone)
            bundle.add(f"proofs/{proof.subject}/proof.html", page)
            if address:
                yield {"address": as_people_write(address), "folder": proof.subject}

    # A ZIP takes one file after the other.
    with tempfile.TemporaryFile() as whose:
        write_csv(added(), _WHOSE, whose)
        whose.seek(0)
        with bundle.open("proofs/index.csv") as file:
            shutil.copyfileobj(whose, file)
    return checkpoint


def _note(mailing_list: MailingList, proofs: int, asked: _Asked) -> tuple[int, Checkpoint]:
    """Append that an archive is made; return the entry's number and the checkpoint behind it."""
    facts = {"what": "archive", "format": "zip", "tool": "", "rows": proofs}
    actor, now = asked.actor, asked.now
    entry = Entry(event="archived", at=now, actor=actor, list=mailing_list.slug, consent=facts)
    with asked.database.atomic():
        audit_log.note_access(now=now, actor=actor, act="archived", mailing_list=mailing_list)
        seq = chain.append(entry)
        return seq, signed_checkpoint.take(asked.settings)


def _add_papers(bundle: Bundle, mailing_list: MailingList, asked: _Asked) -> bool:
    """Put the papers in; return whether there was a campaign to report on."""
    has_report = latest_campaign(mailing_list) is not None
    for kind in (ReportKind.REGISTER, *((ReportKind.REPORT,) if has_report else ())):
        report = make_report(mailing_list, kind, settings=asked.settings, now=asked.now)
        bundle.add(f"{kind}.html", reports_make_report.render_page(report))
        bundle.add(f"{kind}.json", reports_make_report.render_json(report))
    return has_report
