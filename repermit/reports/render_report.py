"""A report as text, as HTML or as JSON.

The text and the HTML of a report come from one template of templates/reports/, which is made of the
macros of elements.txt or elements.html.
"""

from __future__ import annotations

import base64
import hashlib
import json
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from itertools import zip_longest
from typing import Any, Literal

from jinja2 import Environment
from markupsafe import Markup

from repermit.db.models.base import read_moment, stored
from repermit.emails import template_engine
from repermit.package_files import asset
from repermit.reports.make_report import Report, ReportKind
from repermit.reports.report_wording import ReportWording

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
    style = (asset("static") / "papers.css").read_text("utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _render(
        report,
        "page.html",
        form="html",
        article=render_article(report),
        style=Markup(style),  # noqa: S704  a file of ours
        digest=digest,
    )


def render_json(report: Report) -> str:
    """Return the report's facts as one JSON document, with a newline at its end."""
    return json.dumps(as_document(report.facts), ensure_ascii=False, indent=2) + "\n"


def as_document(value: Any) -> Any:
    """Return a value in JSON's own types: keys are names of fields, moments RFC 3339 in UTC."""
    if is_dataclass(value):
        return {one.name: as_document(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_document(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [as_document(one) for one in value]
    if isinstance(value, datetime):
        return stored(value)
    return str(value) if isinstance(value, StrEnum) else value


def _render(report: Report, template: str, *, form: Literal["html", "txt"], **more: object) -> str:
    return _environment(report.wording, form).get_template(template).render(report=report, **more)


@cache
def _environment(wording: ReportWording, form: Literal["html", "txt"]) -> Environment:
    environment = template_engine.environment("reports", wording.language)
    environment.autoescape = form == "html"
    environment.add_extension("jinja2.ext.do")
    environment.filters.update(wrap=wrap, quote=quote)
    environment.globals.update(
        form=form,
        lay_out_field=lay_out_field,
        lay_out_table=lay_out_table,
        read_moment=read_moment,
        actor=wording.actor,
        country=wording.country,
        language_name=wording.language_name,
        moment=wording.moment,
        number=wording.number,
        question=wording.question,
        role_name=wording.role_name,
        short_moment=wording.short_moment,
        span=wording.span,
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
