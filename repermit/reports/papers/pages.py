"""A paper as HTML: its body for a page of ours, or a file of its own that loads nothing.

May import config, messages and the rooms of this package.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from repermit import messages
from repermit.config import asset
from repermit.reports.papers.model import Gap

if TYPE_CHECKING:
    from jinja2 import Environment

    from repermit.reports.papers.model import Block, Paper, Value


def body_of(paper: Paper) -> Markup:
    """Return the paper as an `article`, to stand on a page with static/papers.css."""
    return Markup(_render("body.html", paper))  # noqa: S704  everything in it was escaped


def page_of(paper: Paper) -> str:
    """Return the paper as a whole page, which prints well on A4 and needs nothing but itself."""
    return _render("page.html", paper)


def _render(template: str, paper: Paper) -> str:
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment(paper.language)
        .get_template(template)
        .render(paper=paper, style=Markup(style), digest=digest)  # noqa: S704  a file of ours
    )


@cache
def _style() -> str:
    return (asset("static") / "papers.css").read_text("utf-8").strip()


@cache
def _environment(language: str) -> Environment:
    environment = messages.environment("papers", language)
    environment.tests["gap"] = _is_gap
    environment.filters["kind"] = _kind
    return environment


def _is_gap(value: Value) -> bool:
    return isinstance(value, Gap)


def _kind(block: Block) -> str:
    return type(block).__name__.lower()
