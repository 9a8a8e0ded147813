"""Making a paper, and noting that somebody took it along.

May import evidence and this package.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from repermit import contacts, evidence
from repermit.evidence import Entry
from repermit.reports.papers.breach import breach_of
from repermit.reports.papers.breach_words import breach_paper
from repermit.reports.papers.closing import closing_report
from repermit.reports.papers.closing_words import closing_paper
from repermit.reports.papers.model import Kind
from repermit.reports.papers.register import register_of
from repermit.reports.papers.register_words import register_paper
from repermit.reports.papers.traces import emails
from repermit.reports.papers.words import Words, paper_language

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database, MailingList
    from repermit.reports.papers.model import Paper


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
        contacts.require_no_unfinished_file(mailing_list)
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
        evidence.append(
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
