"""Making a paper, and noting that somebody took it along."""

from __future__ import annotations

import json
from datetime import datetime

from repermit.contacts import unfinished_imports
from repermit.db.connection import Database
from repermit.db.tables import MailingList
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.reports.papers.blocks import Kind, Paper
from repermit.reports.papers.breach import breach_of, emails
from repermit.reports.papers.breach_text import breach_paper
from repermit.reports.papers.closing_report import closing_report
from repermit.reports.papers.closing_text import closing_paper
from repermit.reports.papers.processing_record import register_of
from repermit.reports.papers.register_text import register_paper
from repermit.reports.papers.report_wording import Words, paper_language
from repermit.settings.definitions import Settings


def make_paper(
    mailing_list: MailingList,
    kind: Kind,
    *,
    settings: Settings,
    now: datetime,
    language: str = "",
    discovered: datetime | None = None,
) -> Paper:
    """Return a paper as things stand, in a language of LANGUAGES; by itself in the list's.

    `discovered` (aware) is when a breach was noticed. Raises NotFound for the report of a list that
    has had no campaign, and Refused, except of a breach, while a file of the list is under way.
    """
    if kind is not Kind.BREACH:
        unfinished_imports.require_no_unfinished_file(mailing_list)
    words = Words(paper_language(language or mailing_list.language), settings.zone)
    if kind is Kind.REGISTER:
        return register_paper(register_of(mailing_list, settings=settings, now=now), words)
    if kind is Kind.REPORT:
        return closing_paper(closing_report(mailing_list, now=now, zone=settings.zone), words)
    breach = breach_of(mailing_list, settings=settings, now=now, discovered=discovered)
    return breach_paper(breach, words, emails=emails())


def note_made(
    database: Database,
    mailing_list: MailingList,
    paper: Paper,
    *,
    form: str,
    now: datetime,
    actor: str,
) -> None:
    """Append that somebody has taken a paper along, and in which form."""
    with database.atomic():
        chain.append(
            Entry(
                event="paper_made",
                at=now,
                actor=actor,
                list=mailing_list.slug,
                consent={"paper": str(paper.kind), "format": form, "language": paper.language},
            )
        )


def document_of(paper: Paper) -> str:
    """Return a paper for programs: one JSON document, with a newline at its end."""
    return json.dumps(paper.document, ensure_ascii=False, indent=2) + "\n"
