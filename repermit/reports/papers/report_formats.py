"""A paper as plain text, for a terminal."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING

from markupsafe import Markup

from repermit.emails import template_engine
from repermit.reports.papers.blocks import (
    Block,
    Fields,
    Gap,
    Grid,
    Letter,
    Paper,
    Points,
    Section,
    Text,
    Value,
)
from repermit.settings.package_files import asset

if TYPE_CHECKING:
    from jinja2 import Environment

_WIDTH = 92
_LABEL = 30
_LEAST = 12


def as_text(paper: Paper) -> str:
    """Return the whole paper, wrapped, with a newline at its end."""
    lines = [paper.title, "=" * len(paper.title), *_wrapped(paper.subtitle), paper.made_line]
    for section in paper.sections:
        lines += ["", *_section(section)]
    lines += ["", *_wrapped(paper.foot)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    source = f" ({section.source})" if section.source else ""
    yield f"{section.title}{source}"
    yield "-" * len(f"{section.title}{source}")
    for number, block in enumerate(section.blocks):
        if number:
            yield ""
        yield from _lines(block)


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield from _wrapped(block.text)
    elif isinstance(block, Fields):
        for name, value in block.rows:
            yield from _field(name, value)
    elif isinstance(block, Grid):
        yield from _grid(block)
    elif isinstance(block, Points):
        mark = "[ ] " if block.ticks else "- "
        for item in block.items:
            yield from _wrapped(item, first=mark)
    else:
        yield from _letter(block)


def _letter(block: Letter) -> Iterator[str]:
    for line in block.text.strip().splitlines():
        yield from _wrapped(line, first="    | ", rest="    | ") if line else ["    |"]


def _field(name: str, value: Value) -> Iterator[str]:
    """Yield a name with its value beside it; a long name stands above it."""
    text = _cell(value)
    first, *more = [line for part in text.split("\n") for line in _wrapped(part, less=_LABEL)] or [
        ""
    ]
    if len(name) + 2 > _LABEL:
        yield f"{name}:"
        yield f"{'':<{_LABEL}}{first}"
    else:
        yield f"{name + ':':<{_LABEL}}{first}"
    yield from (f"{'':<{_LABEL}}{line}" for line in more)


def _cell(value: Value) -> str:
    return f"[ ? {value.question}: {value.key} ]" if isinstance(value, Gap) else value


def _grid(grid: Grid) -> Iterator[str]:
    rows = [grid.titles, *(tuple(map(_cell, row)) for row in grid.rows)]
    rows += [grid.total] if grid.total else []
    widths = _widths(rows)
    for number, row in enumerate(rows):
        is_total = bool(grid.total) and number == len(rows) - 1
        if number == 1 or is_total:
            yield "  ".join("-" * width for width in widths)
        yield from _row(row, widths, grid.numbers)


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is: as its longest cell, cut where the line would be too long."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * len(widths) > _WIDTH and max(widths) > _LEAST:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _row(row: Sequence[str], widths: Sequence[int], numbers: frozenset[int]) -> Iterator[str]:
    cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
    for line in zip_longest(*cells, fillvalue=""):
        yield "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )


def _wrapped(text: str, *, first: str = "", rest: str = "", less: int = 0) -> Iterable[str]:
    return textwrap.wrap(
        text,
        _WIDTH - less,
        initial_indent=first,
        subsequent_indent=rest or " " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


# --- A paper as HTML. -----------------------------------------------------------------------------


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
    environment = template_engine.environment("papers", language)
    environment.tests["gap"] = _is_gap
    environment.filters["kind"] = _kind
    return environment


def _is_gap(value: Value) -> bool:
    return isinstance(value, Gap)


def _kind(block: Block) -> str:
    return type(block).__name__.lower()
