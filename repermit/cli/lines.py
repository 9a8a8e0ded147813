"""How results look: tables of counts for people, one JSON document for programs.

May import click only. Whatever may go to stdout or stderr takes `to`: `say` or `warn`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Tell = Callable[[str], None]


def say(*lines: str) -> None:
    """Print lines on stdout."""
    for line in lines:
        click.echo(line)


def warn(*lines: str) -> None:
    """Print lines on stderr."""
    for line in lines:
        click.echo(line, err=True)


def several(n: int, one: str) -> str:
    """Return a number with its noun: 1 row, 2,300 rows."""
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def say_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def tell_counts(counts: Mapping[Any, int], *, to: Tell = say, zeros: bool = False) -> None:
    """Print counts one below another, right-aligned; those that are zero only if asked for."""
    shown = {str(key): f"{n:,}" for key, n in counts.items() if n or zeros}
    width = max(map(len, shown.values()), default=0)
    for key, n in shown.items():
        to(f"  {n:>{width}}  {key.replace('_', ' ')}")


def say_table(titles: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a small table with aligned columns."""
    table = [tuple(titles), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say(f"  {line.rstrip()}")
