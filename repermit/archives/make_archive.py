"""Making an archive of a list: its files, their order, and the entry that records it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, BinaryIO, Self, cast
from urllib.parse import quote, urlsplit

from markupsafe import Markup

from repermit.accounts import audit_log
from repermit.contacts import lookup
from repermit.db import background_tasks
from repermit.db.connection import Database
from repermit.db.models.campaigns import find_live_campaign, latest_campaign
from repermit.db.models.lists import MailingList
from repermit.email_address import to_unicode_address
from repermit.emails import sender_identity, template_engine
from repermit.errors import Refused
from repermit.evidence import chain, signed_checkpoint
from repermit.evidence.entries import Checkpoint, Entry
from repermit.exports import export
from repermit.exports.export_rows import ExportKind, FileFormat
from repermit.exports.file_writers import write_csv
from repermit.i18n import catalogues, dates
from repermit.package_files import embed_style
from repermit.privacy import make_proof, printable_proof
from repermit.privacy.make_proof import SealedProofs
from repermit.reports import make_report as reports_make_report
from repermit.reports.data_recipients import describe_for_proofs
from repermit.reports.make_report import ReportKind, make_report
from repermit.settings.definitions import Settings
from repermit.signed_links import KINDS
from repermit.suppression import fingerprint_files

if TYPE_CHECKING:
    from jinja2 import Environment


# --- A ZIP that is written as a stream, with its digest. ------------------------------------------


_OWNER_ONLY = 0o100600


class _HashingWriter:
    """Hashes octets and writes them to `out`; without `seek`, so that ZipFile streams."""

    def __init__(self, out: BinaryIO) -> None:
        self._out: BinaryIO | None = out
        self.digest = hashlib.sha256()

    def write(self, octets: bytes) -> int:
        """Write octets and return their number."""
        if self._out is None:
            return len(octets)
        self.digest.update(octets)
        return self._out.write(octets)

    def flush(self) -> None:
        """Flush the output."""
        if self._out is not None:
            self._out.flush()

    def discard(self) -> None:
        """Discard everything that is written from now on."""
        self._out = None


class ZipStream:
    """A ZIP that is written as a stream; an error in its `with` block leaves it without its end.

    Its files are dated `now`, and unpack so that only their owner can read them.
    """

    def __init__(self, out: BinaryIO, *, now: datetime) -> None:
        self._writer = _HashingWriter(out)
        # Without `seek` the sizes follow each file, so that the ZIP can be sent while it is made.
        self._zip = zipfile.ZipFile(cast("BinaryIO", self._writer), "w", zipfile.ZIP_DEFLATED)
        self._now = now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # On close, ZipFile would write the central directory of an incomplete ZIP.
            self._writer.discard()
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
    """The content of an archive.

    - `rows`: the number of people in each of its lists.
    - `erased`: further removed people, whose address is erased.
    - `unproved`: people without entries in the record.
    - `checkpoint`: the checkpoint to which all its proofs lead.
    - `digest`: the SHA-256 of the whole file.
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
    """The arguments that every part of an archive needs."""

    database: Database
    settings: Settings
    now: datetime
    actor: str


def require_archivable(mailing_list: MailingList) -> None:
    """Raise Refused while a campaign is live, or an import of the list is unfinished."""
    background_tasks.require_no_running_import(mailing_list)
    if campaign := find_live_campaign(mailing_list):
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
    """Write the archive of a list to `out` as a ZIP, without holding it in memory.

    1. Write the exports of people and the suppressions, which are recorded as usual.
    2. Append a seal for each proof, then the entry `archived`, and take the checkpoint after it.
    3. Write the proofs up to that checkpoint, the reports, the evidence and the static site.

    Raises Refused as `require_archivable`.
    """
    require_archivable(mailing_list)
    context = _Context(database=database, settings=settings, now=now, actor=actor)
    with ZipStream(out, now=now) as archive_zip:
        lists = {
            kind: _add_export(archive_zip, mailing_list, kind, FileFormat.CSV, context)
            for kind in _EXPORTS
        }
        with archive_zip.open("suppressions.csv") as file:
            suppressions = fingerprint_files.write_suppressions(
                mailing_list=mailing_list, out=file, form="csv", **vars(context)
            )
        register = describe_for_proofs(mailing_list.slug, settings=settings)
        with make_proof.seal_proofs(
            mailing_list=mailing_list, register=register, **vars(context)
        ) as proofs:
            checkpoint = _add_proofs(archive_zip, mailing_list, proofs, context)
        has_report = _add_reports(archive_zip, mailing_list, context)
        _add_export(archive_zip, mailing_list, ExportKind.EVIDENCE, FileFormat.JSON, context)
        archive_zip.add("checkpoint.json", json.dumps(checkpoint.to_json(), indent=1) + "\n")
        for name, content in make_static_site(mailing_list, settings=settings):
            archive_zip.add(f"site/{name}", content)
        readme = render_readme(mailing_list, settings=settings, now=now)
        archive_zip.add("README.txt", readme)
        return ArchiveSummary(
            rows={kind: result.rows for kind, result in lists.items()},
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
    kind: ExportKind,
    file_format: FileFormat,
    context: _Context,
) -> export.ExportResult:
    with archive_zip.open(f"{kind}.{file_format}") as file:
        return export.write_export(
            mailing_list, kind, format=file_format, out=file, **vars(context)
        )


def _add_proofs(
    archive_zip: ZipStream, mailing_list: MailingList, proofs: SealedProofs, context: _Context
) -> Checkpoint:
    """Add the proofs and an index of them by address; return their common checkpoint.

    The index leaves out erased people; suppressions.csv has their fingerprints.
    """
    seq, checkpoint = _append_entry(mailing_list, proofs.count, context)
    language, zone = mailing_list.language, context.settings.zone

    def add_proofs() -> Iterator[dict[str, str]]:
        for address, proof in proofs.closed_by(seq, checkpoint):
            archive_zip.add(f"proofs/{proof.subject}/proof.json", proof.text)
            page = printable_proof.make_proof_page(proof.document, language=language, zone=zone)
            archive_zip.add(f"proofs/{proof.subject}/proof.html", page)
            if address:
                yield {"address": to_unicode_address(address), "folder": proof.subject}

    # A ZIP is written one file at a time, so the index goes to a temporary file first.
    with tempfile.TemporaryFile() as index:
        write_csv(add_proofs(), _INDEX_COLUMNS, index)
        index.seek(0)
        with archive_zip.open("proofs/index.csv") as file:
            shutil.copyfileobj(index, file)
    return checkpoint


def _append_entry(
    mailing_list: MailingList, proofs: int, context: _Context
) -> tuple[int, Checkpoint]:
    """Append the entry `archived`; return its number and the checkpoint after it."""
    content = {"what": "archive", "format": "zip", "tool": "", "rows": proofs}
    actor, now = context.actor, context.now
    entry = Entry(event="archived", at=now, actor=actor, list=mailing_list.slug, consent=content)
    with context.database.atomic():
        audit_log.record_access(now=now, actor=actor, act="archived", mailing_list=mailing_list)
        seq = chain.append(entry)
        return seq, signed_checkpoint.make_signed_checkpoint(context.settings)


def _add_reports(archive_zip: ZipStream, mailing_list: MailingList, context: _Context) -> bool:
    """Add the reports; return whether there was a campaign to report on."""
    has_report = latest_campaign(mailing_list) is not None
    for kind in (ReportKind.REGISTER, *((ReportKind.REPORT,) if has_report else ())):
        report = make_report(mailing_list, kind, settings=context.settings, now=context.now)
        archive_zip.add(f"{kind}.html", reports_make_report.render_page(report))
        archive_zip.add(f"{kind}.json", reports_make_report.render_json(report))
    return has_report


# --- The texts of an archive: README, duties, and the page for old links. -------------------------


_WIDTH = 76
_LINK_PATHS = (*KINDS, "join")
"""The first parts that the path of an old link may have."""


def render_readme(mailing_list: MailingList, *, settings: Settings, now: datetime) -> str:
    """Return README.txt in the list's language, with CRLF line ends for Windows."""
    language = mailing_list.language
    text = _render(
        "readme.txt",
        language,
        name=mailing_list.name,
        moment=dates.format_local_datetime(now, language=language, zone=settings.zone),
        has_report=latest_campaign(mailing_list) is not None,
        lost=list_lost_functions(language),
        duties=list_duties(mailing_list, settings=settings, language=language),
    )
    return text.replace("\n", "\r\n")


def list_lost_functions(language: str) -> list[str]:
    """Return a line for each function that ends when the server is switched off."""
    return _render("lost_functions.txt", language).splitlines()


def list_duties(mailing_list: MailingList, *, settings: Settings, language: str) -> list[str]:
    """Return a line for each duty that the organisation then has to do by hand."""
    return _render(
        "duties.txt",
        language,
        url=settings.public_url,
        email=_choose_reply_address(mailing_list, settings),
        years=settings.retention.evidence_years,
    ).splitlines()


def make_static_site(mailing_list: MailingList, *, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the name and content of each file of the static site that old links lead to.

    The page names no list, since the links of the server's other lists lead there too, and being
    on a list may be private.
    """
    language = mailing_list.language
    page = _render_page(mailing_list, settings)
    base = urlsplit(settings.public_url).path.rstrip("/")
    values = {"base": re.escape(base), "pages": "|".join(_LINK_PATHS)}
    yield "index.html", page
    # Hosts without settings, such as GitHub Pages, show this file for every missing page.
    yield "404.html", page
    for name in ("nginx.conf", "apache.conf"):
        yield name, _render(name, language, **values) + "\n"
    yield "_redirects", "".join(f"{base}/{path}/* {base}/index.html 200\n" for path in _LINK_PATHS)


def _render_page(mailing_list: MailingList, settings: Settings) -> str:
    facts = lookup.read_list_facts(mailing_list)
    fields = {
        "organisation": settings.organisation,
        "email": _choose_reply_address(mailing_list, settings),
    }
    sections = []
    for language in facts.languages:
        privacy_url = facts.in_language(language).privacy_url
        section = _render("old_links_page.html", language, privacy_url=privacy_url, **fields)
        sections.append((language, Markup(section)))  # noqa: S704  everything in it was escaped
    return _render(
        "old_links_page_frame.html",
        mailing_list.language,
        names={code: catalogues.language_name(code) for code in facts.languages},
        sections=sections,
        **fields,
        **embed_style("public.css"),
    )


def _choose_reply_address(mailing_list: MailingList, settings: Settings) -> str:
    facts = lookup.read_list_facts(mailing_list)
    return sender_identity.choose_reply_address(facts, settings.organisation)


def _render(template: str, language: str, **fields: object) -> str:
    return _get_environment(language).get_template(template).render(language=language, **fields)


@cache
def _get_environment(language: str) -> Environment:
    environment = template_engine.make_environment("archives", language)
    environment.filters.update(in_url=lambda text: quote(text, safe="@"), wrap=_wrap)
    return environment


def _wrap(text: str, first: str = "", continuation: str = "") -> str:
    """Wrap a text at 76 characters; `first` precedes its first line, `continuation` the others."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=continuation or first,
        break_long_words=False,
        break_on_hyphens=False,
    )
