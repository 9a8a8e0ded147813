"""A report as text, as HTML or as JSON.

The text and the HTML of a report come from one template of templates/reports/, which is made of the
macros of elements.txt or elements.html.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Literal

from jinja2 import Environment
from markupsafe import Markup

from repermit.db.models.base import read_moment, stored
from repermit.emails import template_engine
from repermit.package_files import asset
from repermit.reports.make_report import Report, ReportKind
from repermit.reports.report_wording import ReportWording
from repermit.reports.text_layout import lay_out_field, lay_out_table, quote, wrap

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
