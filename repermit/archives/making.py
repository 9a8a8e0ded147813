"""Making an archive: what goes into it, in which order, and the entry that says so.

May import exports, rights, reports, accounts and what lies below.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, BinaryIO

from repermit import accounts, contacts, evidence, exports, rights
from repermit.addresses import as_people_write
from repermit.archives import guide, site
from repermit.archives.bundle import Bundle
from repermit.consent import CampaignState
from repermit.errors import Refused
from repermit.evidence import Checkpoint, Entry
from repermit.exports import Format, What
from repermit.exports.writing import write_csv
from repermit.models import latest_campaign
from repermit.reports import papers
from repermit.reports.papers import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from typing import Any

    from repermit.config import Settings
    from repermit.models import Database, MailingList
    from repermit.rights import Proofs

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
    contacts.require_no_unfinished_file(mailing_list)
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
            suppressions = rights.write_suppressions(
                mailing_list=mailing_list, out=file, form="csv", **asked.options()
            )
        with rights.proving_all(mailing_list=mailing_list, **asked.options()) as sealed:
            checkpoint = _add_proofs(bundle, mailing_list, sealed, asked)
        has_report = _add_papers(bundle, mailing_list, asked)
        _add_export(bundle, mailing_list, What.EVIDENCE, Format.JSON, asked)
        bundle.add("checkpoint.json", json.dumps(checkpoint.to_json(), indent=1) + "\n")
        for name, content in site.files(mailing_list, settings=settings):
            bundle.add(f"site/{name}", content)
        bundle.add("README.txt", guide.text(mailing_list, settings=settings, now=now))
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
) -> exports.Exported:
    with bundle.open(f"{what}.{form}") as file:
        return exports.export(mailing_list, what, format=form, out=file, **asked.options())


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
            page = rights.proof_page(proof.document, language=language, zone=zone)
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
        accounts.note_access(now=now, actor=actor, act="archived", mailing_list=mailing_list)
        seq = evidence.append(entry)
        return seq, evidence.checkpoint()


def _add_papers(bundle: Bundle, mailing_list: MailingList, asked: _Asked) -> bool:
    """Put the papers in; return whether there was a campaign to report on."""
    has_report = latest_campaign(mailing_list) is not None
    for kind in (Kind.REGISTER, *((Kind.REPORT,) if has_report else ())):
        paper = papers.make_paper(mailing_list, kind, settings=asked.settings, now=asked.now)
        bundle.add(f"{kind}.html", papers.page_of(paper))
        bundle.add(f"{kind}.json", papers.document_of(paper))
    return has_report
