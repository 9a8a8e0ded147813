"""Making a report that the law asks for, and noting that somebody took it along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from repermit.db import background_tasks
from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.reports.breach import BreachReport, gather_breach_report, read_user_emails
from repermit.reports.closing_report import ClosingReport, gather_closing_report
from repermit.reports.processing_record import ProcessingRecord, gather_processing_record
from repermit.reports.report_wording import ReportWording, choose_language
from repermit.settings.definitions import Settings


class ReportKind(StrEnum):
    """Which report it is: the record of processing, the closing report, the breach report."""

    REGISTER = "register"
    REPORT = "report"
    BREACH = "breach"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a report says, and in which language.

    `emails` are the addresses of users by their name in the evidence. Only a breach report shows
    them, and its JSON does not.
    """

    kind: ReportKind
    facts: ProcessingRecord | ClosingReport | BreachReport
    wording: ReportWording
    emails: Mapping[str, str] = field(default_factory=dict)

    @property
    def language(self) -> str:
        """Return the language that the report is written in."""
        return self.wording.language

    @property
    def title(self) -> str:
        """Return what the report is called."""
        gettext = self.wording.gettext
        return {
            ReportKind.REGISTER: gettext("Record of processing activities"),
            ReportKind.REPORT: gettext("Report of the campaign"),
            ReportKind.BREACH: gettext("If data have leaked"),
        }[self.kind]

    @property
    def gaps(self) -> dict[str, str]:
        """Return what is still to be filled in: a question for each key."""
        missing = self.facts.missing if isinstance(self.facts, ProcessingRecord) else ()
        return {key: self.wording.question(key) for key in missing}


def make_report(
    mailing_list: MailingList,
    kind: ReportKind,
    *,
    settings: Settings,
    now: datetime,
    language: str = "",
    discovered: datetime | None = None,
) -> Report:
    """Return a report as things stand, in a language of LANGUAGES; by itself in the list's.

    `discovered` (aware) is when a breach was noticed. Raises NotFound for the closing report of a
    list that has had no campaign, and Refused, except of a breach, while a file of the list is
    under way.
    """
    if kind is not ReportKind.BREACH:
        background_tasks.require_no_unfinished_file(mailing_list)
    wording = ReportWording(choose_language(language or mailing_list.language), settings.zone)
    if kind is ReportKind.REGISTER:
        record = gather_processing_record(mailing_list, settings=settings, now=now)
        return Report(kind=kind, facts=record, wording=wording)
    if kind is ReportKind.REPORT:
        closing = gather_closing_report(mailing_list, now=now, zone=settings.zone)
        return Report(kind=kind, facts=closing, wording=wording)
    breach = gather_breach_report(mailing_list, settings=settings, now=now, discovered=discovered)
    return Report(kind=kind, facts=breach, wording=wording, emails=read_user_emails())


def note_made(
    database: Database,
    mailing_list: MailingList,
    report: Report,
    *,
    form: str,
    now: datetime,
    actor: str,
) -> None:
    """Append that somebody has taken a report along, and in which form."""
    with database.atomic():
        chain.append(
            Entry(
                event="paper_made",
                at=now,
                actor=actor,
                list=mailing_list.slug,
                consent={"paper": str(report.kind), "format": form, "language": report.language},
            )
        )
