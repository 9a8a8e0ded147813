"""Making a report that the law asks for, as text, HTML or JSON, and noting who took it along."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from itertools import zip_longest
from typing import Any, Literal

from jinja2 import Environment
from markupsafe import Markup

from repermit.clock import format_timestamp
from repermit.db import background_tasks
from repermit.db.connection import Database
from repermit.db.models.base import parse_timestamp
from repermit.db.models.lists import MailingList
from repermit.emails import template_engine
from repermit.evidence import chain
from repermit.evidence.entries import Checkpoint, Entry
from repermit.package_files import embed_style
from repermit.reports.breach_report import BreachReport, gather_breach_report, read_user_emails
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

    `emails` are the addresses of users by their name in the evidence. The record of processing
    shows none, and JSON keeps the names of the evidence.
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
        background_tasks.require_no_running_import(mailing_list)
    wording = ReportWording(choose_language(language or mailing_list.language), settings.zone)
    if kind is ReportKind.REGISTER:
        record = gather_processing_record(mailing_list, settings=settings, now=now)
        return Report(kind=kind, facts=record, wording=wording)
    if kind is ReportKind.REPORT:
        closing = gather_closing_report(mailing_list, settings=settings, now=now)
        return Report(kind=kind, facts=closing, wording=wording, emails=read_user_emails())
    breach = gather_breach_report(mailing_list, settings=settings, now=now, discovered=discovered)
    return Report(kind=kind, facts=breach, wording=wording, emails=read_user_emails())


def note_made(
    database: Database,
    mailing_list: MailingList,
    report: Report,
    *,
    content: str,
    form: str,
    now: datetime,
    actor: str,
) -> None:
    """Append that somebody has taken a report along: in which form, and its digest."""
    with database.atomic():
        chain.append(
            Entry(
                event="paper_made",
                at=now,
                actor=actor,
                list=mailing_list.slug,
                consent={
                    "paper": str(report.kind),
                    "format": form,
                    "language": report.language,
                    "sha256": chain.digest_wording(content),
                },
            )
        )


# --- A report as text, as HTML or as JSON. --------------------------------------------------------


_TEMPLATES = {
    ReportKind.REGISTER: "processing_record.jinja",
    ReportKind.REPORT: "closing_report.jinja",
    ReportKind.BREACH: "breach_report.jinja",
}


def render_text(report: Report) -> str:
    """Return the report for a terminal, with a newline at its end."""
    lines = _render(report, _TEMPLATES[report.kind], form="txt").split("\n")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def render_article(report: Report) -> Markup:
    """Return the report as an `article`, to stand on a page with static/papers.css."""
    return Markup(_render(report, _TEMPLATES[report.kind], form="html"))  # noqa: S704  everything in it was escaped


def render_page(report: Report) -> str:
    """Return the report as a whole page, which prints well on A4 and needs nothing but itself."""
    return _render(
        report,
        "page.html",
        form="html",
        article=render_article(report),
        **embed_style("papers.css"),
    )


def render_json(report: Report) -> str:
    """Return the report's facts as one JSON document, with a newline at its end."""
    return json.dumps(as_document(report.facts), ensure_ascii=False, indent=2) + "\n"


def as_document(value: Any) -> Any:
    """Return a value in JSON's own types: keys are names of fields, moments RFC 3339 in UTC."""
    if isinstance(value, Checkpoint):
        return value.to_json()
    if is_dataclass(value):
        return {one.name: as_document(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_document(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [as_document(one) for one in value]
    if isinstance(value, datetime):
        return format_timestamp(value)
    return str(value) if isinstance(value, StrEnum) else value


def _render(report: Report, template: str, *, form: Literal["html", "txt"], **more: object) -> str:
    def name_actor(actor: str) -> str:
        return report.emails.get(actor) or report.wording.actor(actor)

    environment = _environment(report.wording, form)
    more = {"actor": name_actor, **more}
    return environment.get_template(template).render(report=report, **more)


@cache
def _environment(wording: ReportWording, form: Literal["html", "txt"]) -> Environment:
    environment = template_engine.make_environment("reports", wording.language)
    environment.autoescape = form == "html"
    environment.add_extension("jinja2.ext.do")
    environment.filters.update(wrap=wrap, quote=quote)
    environment.globals.update(
        form=form,
        lay_out_field=lay_out_field,
        lay_out_table=lay_out_table,
        read_moment=parse_timestamp,
        country=wording.country,
        language_name=wording.language_name,
        moment=wording.moment,
        number=wording.number,
        question=wording.question,
        role_name=wording.role_name,
        short_moment=wording.short_moment,
        span=wording.span,
        translate_paragraphs=wording.translate_paragraphs,
    )
    return environment


# --- Laying out a report's paragraphs, fields and tables as plain text, for a terminal. -----------


_WIDTH = 92
_LABEL = 30
_LEAST = 12


def wrap(text: str, *, first: str = "") -> str:
    """Return a text in lines of 92 characters; `first` stands before it, and blanks below that."""
    return "\n".join(_wrap_lines(text, first=first))


def quote(text: str) -> str:
    """Return a text as it stands, each of its lines behind a bar."""
    lines = text.strip().splitlines()
    bar = "    | "
    return "\n".join(
        "\n".join(_wrap_lines(line, first=bar, rest=bar)) if line else bar.rstrip()
        for line in lines
    )


def lay_out_field(name: str, value: str) -> str:
    """Return a name with its value beside it; a long name stands above it."""
    lines = [line for part in value.split("\n") for line in _wrap_lines(part, less=_LABEL)] or [""]
    label, margin = f"{name}:", " " * _LABEL
    above = [] if len(label) < _LABEL else [label]
    beside = margin if above else f"{label:<{_LABEL}}"
    return "\n".join([*above, beside + lines[0], *(margin + line for line in lines[1:])])


def lay_out_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Collection[int] = (),
    total: Sequence[str] = (),
) -> str:
    """Return a table; `numbers` are the columns that hold numbers, from 0; `total` may be empty."""
    every_row = [titles, *rows, *([total] if total else [])]
    widths = _column_widths(every_row)
    rule = "  ".join("-" * width for width in widths)
    lines = []
    for number, row in enumerate(every_row):
        if number == 1 or (total and number == len(every_row) - 1):
            lines.append(rule)
        lines += _row_lines(row, widths, numbers)
    return "\n".join(lines)


def _column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is: as its longest cell, cut where the line would be too long."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * len(widths) > _WIDTH and max(widths) > _LEAST:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _row_lines(
    row: Sequence[str], widths: Sequence[int], numbers: Collection[int]
) -> Iterator[str]:
    cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
    for line in zip_longest(*cells, fillvalue=""):
        yield "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )


def _wrap_lines(text: str, *, first: str = "", rest: str = "", less: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH - less,
        initial_indent=first,
        subsequent_indent=rest or " " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
