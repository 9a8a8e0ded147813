"""Read a file into rows to stage; a large one in a process of its own.

That process needs no database, and starts twice as fast without.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from repermit.errors import Refused
from repermit.imports.classify_row import Interpreter
from repermit.imports.readers.container import unpacked_size
from repermit.imports.readers.open_file import ListFile, open_list
from repermit.limited_process import LimitedProcess, ProcessDied

_BATCH = 5_000
# Bytes of a file, unpacked, from which on a second process wins back the time that its start takes;
# it alone has a limit on what it may take.
_LARGE = 2_000_000
# A batch takes some MB and a fraction of a second; the rest is for a file full of long cells.
_MOST_MEMORY = 1 << 30
_SECONDS = 120
# Later versions look for values that occur twice, which takes longer than writing them twice.
_MARSHAL_VERSION = 2

Batch = list[tuple[Any, ...]]
"""Rows as they are staged, each the plain tuple of a StagedRow."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to read, and how."""

    path: Path
    mapping: Mapping[str, str]
    zone: ZoneInfo
    interpreter: Interpreter

    def open(self) -> ListFile:
        """Open the file; raises ListFileError."""
        return open_list(self.path, mapping=self.mapping, zone=self.zone)


def read(request: Request, file: ListFile) -> Iterator[Batch]:
    """Yield the rows of `file`, which is what the request opens, in batches.

    Raises ListFileError and Refused as the Interpreter does.
    """
    if unpacked_size(request.path) < _LARGE:
        return batches(request, file)
    return _read_apart(request)


def batches(request: Request, file: ListFile) -> Iterator[Batch]:
    """Yield the rows in batches, read by this process."""
    rows = request.interpreter.read(file)
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _read_apart(request: Request) -> Iterator[Batch]:
    with LimitedProcess(packed_batches, memory=_MOST_MEMORY, seconds=_SECONDS) as process:
        try:
            for batch in process.ask(request):
                yield marshal.loads(batch)  # noqa: S302  packed by `packed_batches`
        except (ProcessDied, OSError):
            raise Refused(
                "reading the file was cut off; nothing has changed, so try again"
            ) from None


def packed_batches(request: Request) -> Iterator[bytes]:
    """Yield the rows of a request in batches, packed for another process."""
    for batch in batches(request, request.open()):
        yield marshal.dumps(batch, _MARSHAL_VERSION)
