"""The output of commands: tables of counts for people, one JSON document for programs.

A function whose lines may go to stdout or stderr takes `to`: `echo` or `warn`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from repermit.errors import Refused

if TYPE_CHECKING:
    Tell = Callable[[str], None]
    from repermit.cli.context import CommandContext


def echo(*lines: str) -> None:
    """Print lines on stdout."""
    for line in lines:
        click.echo(line)


def warn(*lines: str) -> None:
    """Print lines on stderr."""
    for line in lines:
        click.echo(line, err=True)


def pluralize(count: int, noun: str) -> str:
    """Return a number with its noun: 1 row, 2,300 rows."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def echo_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def echo_counts(counts: Mapping[Any, int], *, to: Tell = echo, zeros: bool = False) -> None:
    """Print counts one below another, right-aligned; zeros only if `zeros` is set."""
    counts_text = {str(key): f"{count:,}" for key, count in counts.items() if count or zeros}
    width = max(map(len, counts_text.values()), default=0)
    for key, count in counts_text.items():
        to(f"  {count:>{width}}  {key.replace('_', ' ')}")


def echo_table(titles: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a small table with aligned columns."""
    table = [tuple(titles), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        echo(f"  {line.rstrip()}")


# --- Output files. --------------------------------------------------------------------------------


@contextmanager
def open_output(context: CommandContext, output: Path | None) -> Iterator[BinaryIO]:
    """Open a file, or stdout if `output` is None; it is written whole or not at all."""
    if output is not None:
        with open_private_file(context, output) as file:
            yield file
        return
    # The spool file has no name, so that nothing of it is left if the process is killed.
    with tempfile.TemporaryFile() as spool:
        yield spool
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout.buffer)
    sys.stdout.buffer.flush()


@contextmanager
def open_private_file(context: CommandContext, output: Path) -> Iterator[BinaryIO]:
    """Open a file that appears whole or not at all, and that only its owner can read."""
    from repermit.temporary_files import make_temporary_files

    try:
        with make_temporary_files(context.file).file_for(output) as part, part.open("wb") as file:
            yield file
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror}") from None
