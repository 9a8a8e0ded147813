"""Making a report that the law requires, as text, HTML or JSON, and recording that it was made."""

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
from repermit.i18n import dates
from repermit.package_files import embed_style
from repermit.reports.breach_report import BreachReport, gather_breach_report, read_user_emails
from repermit.reports.closing_report import ClosingReport, gather_closing_report
from repermit.reports.processing_record import ProcessingRecord, gather_processing_record
from repermit.reports.report_formatting import ReportWording, choose_language
from repermit.rules.why_no_reminder import explain_missing_reminder
from repermit.settings.definitions import Settings


class ReportKind(StrEnum):
    """The kinds of report: record of processing, closing report, breach report."""

    REGISTER = "register"
    REPORT = "report"
    BREACH = "breach"


@dataclass(frozen=True, kw_only=True)
class Report:
    """The content of a report, and the wording in its language.

    - `emails`: the addresses of users by their actor name in the evidence; empty for the record of
      processing. JSON has the actor names.
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
        """Return the report's title."""
        gettext = self.wording.gettext
        return {
            ReportKind.REGISTER: gettext("Record of processing activities"),
            ReportKind.REPORT: gettext("Report of the campaign"),
            ReportKind.BREACH: gettext("If data have leaked"),
        }[self.kind]

    @property
    def gaps(self) -> dict[str, str]:
        """Return a question for each key that is still to be filled in."""
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
    """Return a report on the present state, in one of LANGUAGES, by default the list's.

    - `discovered`: when the breach was noticed, an aware datetime.

    Raises NotFound for the closing report of a list without a campaign. Raises Refused while an
    import is running, except for the breach report.
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


def record_report(
    database: Database,
    mailing_list: MailingList,
    report: Report,
    *,
    content: str,
    file_format: str,
    now: datetime,
    actor: str,
) -> None:
    """Append an entry that a report was made, with its format and its digest."""
    with database.atomic():
        chain.append(
            Entry(
                event="paper_made",
                at=now,
                actor=actor,
                list=mailing_list.slug,
                consent={
                    "paper": str(report.kind),
                    "format": file_format,
                    "language": report.language,
                    "sha256": chain.digest_wording(content),
                },
            )
        )


# --- Rendering a report as text, HTML or JSON. ----------------------------------------------------


_TEMPLATES = {
    ReportKind.REGISTER: "processing_record.jinja",
    ReportKind.REPORT: "closing_report.jinja",
    ReportKind.BREACH: "breach_report.jinja",
}


def render_text(report: Report) -> str:
    """Return the report as plain text for a terminal, with a newline at its end."""
    lines = _render(report, _TEMPLATES[report.kind], template_format="txt").split("\n")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def render_article(report: Report) -> Markup:
    """Return the report as an HTML `article`, for a page with static/papers.css."""
    return Markup(_render(report, _TEMPLATES[report.kind], template_format="html"))  # noqa: S704  everything in it was escaped


def render_page(report: Report) -> str:
    """Return the report as a self-contained HTML page, which prints well on A4."""
    return _render(
        report,
        "page.html",
        template_format="html",
        article=render_article(report),
        **embed_style("papers.css"),
    )


def render_json(report: Report) -> str:
    """Return the report's facts as one JSON document, with a newline at its end."""
    return json.dumps(to_document(report.facts), ensure_ascii=False, indent=2) + "\n"


def to_document(value: Any) -> Any:
    """Convert a value to JSON types: keys are field names, timestamps RFC 3339 in UTC."""
    if isinstance(value, Checkpoint):
        return value.to_json()
    if is_dataclass(value):
        return {item.name: to_document(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_document(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_document(item) for item in value]
    if isinstance(value, datetime):
        return format_timestamp(value)
    return str(value) if isinstance(value, StrEnum) else value


def _render(
    report: Report,
    template: str,
    *,
    template_format: Literal["html", "txt"],
    **extra_fields: object,
) -> str:
    def name_actor(actor: str) -> str:
        return report.emails.get(actor) or report.wording.actor(actor)

    environment = _get_environment(report.wording, template_format)
    extra_fields = {"actor": name_actor, **extra_fields}
    return environment.get_template(template).render(report=report, **extra_fields)


@cache
def _get_environment(
    wording: ReportWording, template_format: Literal["html", "txt"]
) -> Environment:
    environment = template_engine.make_environment("reports", wording.language)
    environment.autoescape = template_format == "html"
    environment.add_extension("jinja2.ext.do")
    environment.filters.update(wrap=wrap, quote=quote)
    environment.globals.update(
        form=template_format,
        lay_out_field=lay_out_field,
        lay_out_table=lay_out_table,
        read_moment=parse_timestamp,
        country=wording.country,
        explain_missing_reminder=explain_missing_reminder,
        language_name=wording.language_name,
        moment=wording.moment,
        number=wording.number,
        question=wording.question,
        role_name=wording.role_name,
        short_moment=wording.short_moment,
        span=wording.span,
        translate_paragraphs=wording.translate_paragraphs,
        zone=dates.name_zone(wording.zone),
    )
    return environment


# --- Plain-text layout of paragraphs, fields and tables. ------------------------------------------


_WIDTH = 92
_LABEL = 30
_MIN_COLUMN_WIDTH = 12


def wrap(text: str, *, first: str = "") -> str:
    """Wrap a text at 92 characters; `first` precedes it, and further lines are indented alike."""
    return "\n".join(_wrap_lines(text, first=first))


def quote(text: str) -> str:
    """Return a text with a bar before each of its lines, as a quotation."""
    lines = text.strip().splitlines()
    bar = "    | "
    return "\n".join(
        "\n".join(_wrap_lines(line, first=bar, continuation=bar)) if line else bar.rstrip()
        for line in lines
    )


def lay_out_field(name: str, value: str) -> str:
    """Return a field's name with its value beside it, or below it if the name is long."""
    lines = [line for part in value.split("\n") for line in _wrap_lines(part, reserved=_LABEL)] or [
        ""
    ]
    label, margin = f"{name}:", " " * _LABEL
    label_lines = [] if len(label) < _LABEL else [label]
    first_margin = margin if label_lines else f"{label:<{_LABEL}}"
    value_lines = [first_margin + lines[0], *(margin + line for line in lines[1:])]
    return "\n".join([*label_lines, *value_lines])


def lay_out_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Collection[int] = (),
    total: Sequence[str] = (),
) -> str:
    """Return a table as plain text.

    - `numbers`: the indexes of columns with numbers, which are right-aligned.
    - `total`: the last row, below a rule; none if empty.
    """
    every_row = [titles, *rows, *([total] if total else [])]
    widths = _compute_column_widths(every_row)
    rule = "  ".join("-" * width for width in widths)
    lines = []
    for number, row in enumerate(every_row):
        if number == 1 or (total and number == len(every_row) - 1):
            lines.append(rule)
        lines += _iter_row_lines(row, widths, numbers)
    return "\n".join(lines)


def _compute_column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column: its longest cell, narrower if the line gets too long."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * len(widths) > _WIDTH and max(widths) > _MIN_COLUMN_WIDTH:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _iter_row_lines(
    row: Sequence[str], widths: Sequence[int], numbers: Collection[int]
) -> Iterator[str]:
    cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
    for line in zip_longest(*cells, fillvalue=""):
        yield "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )


def _wrap_lines(
    text: str, *, first: str = "", continuation: str = "", reserved: int = 0
) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH - reserved,
        initial_indent=first,
        subsequent_indent=continuation or " " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
