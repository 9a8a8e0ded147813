"""Laying out a report's paragraphs, fields and tables as plain text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest

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
