"""Reading a file into rows to stage; a large file in a process of its own.

That process does not import the database modules, so that it starts twice as fast.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from repermit.errors import Refused
from repermit.imports.classify_row import Interpreter
from repermit.imports.readers.container import compute_unpacked_size, is_packed
from repermit.imports.readers.open_file import ListFile, open_list
from repermit.limited_process import LimitedProcess, ProcessDied

_BATCH = 5_000
# The unpacked bytes from which a second process saves more time than its start takes. Only that
# process has limits.
_LARGE = 2_000_000
# A batch takes some MB and a fraction of a second; files with long cells need more.
_MAX_MEMORY = 1 << 30
_MAX_SECONDS = 120
# Later versions search for equal values, which takes longer than writing them twice.
_MARSHAL_VERSION = 2

Batch = list[tuple[Any, ...]]
"""Rows as they are staged, each a `StagedRow` as a plain tuple."""


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """The file to read, and how to read it."""

    path: Path
    mapping: Mapping[str, str]
    zone: ZoneInfo
    interpreter: Interpreter

    def open(self) -> ListFile:
        """Open the file; raises ListFileError."""
        return open_list(self.path, mapping=self.mapping, zone=self.zone)


Read = Callable[[ReadRequest, ListFile], Iterator[Batch]]


@contextmanager
def open_reader(path: Path) -> Iterator[Read]:
    """Yield the function that yields the rows of a file in batches.

    The function takes a request and the file that it opens. It raises ListFileError and Refused as
    `Interpreter.read` does.
    """
    with LimitedProcess(read_packed_batches, memory=_MAX_MEMORY, seconds=_MAX_SECONDS) as process:
        if _is_large_text(path):
            # It starts while the file is opened here; the first request reports a failure.
            with suppress(OSError):
                process.start()
        yield partial(_read, process)


def _is_large_text(path: Path) -> bool:
    try:
        return path.stat().st_size >= _LARGE and not is_packed(path)
    except OSError:
        return False


def _read(process: LimitedProcess, request: ReadRequest, file: ListFile) -> Iterator[Batch]:
    if compute_unpacked_size(request.path) < _LARGE:
        return batches(request, file)
    return _read_in_process(process, request)


def batches(request: ReadRequest, file: ListFile) -> Iterator[Batch]:
    """Yield the rows in batches, read by this process."""
    rows = request.interpreter.read(file)
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _read_in_process(process: LimitedProcess, request: ReadRequest) -> Iterator[Batch]:
    try:
        for batch in process.ask(request):
            yield marshal.loads(batch)  # noqa: S302  packed by `read_packed_batches`
    except (ProcessDied, OSError):
        raise Refused("reading the file was cut off; nothing has changed, so try again") from None
    finally:
        process.close()


def read_packed_batches(request: ReadRequest) -> Iterator[bytes]:
    """Yield the rows of a request in batches, packed for another process."""
    for batch in batches(request, request.open()):
        yield marshal.dumps(batch, _MARSHAL_VERSION)
