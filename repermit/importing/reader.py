"""Read a file into rows to stage; a large one in a process of its own.

May import listfile and this room's interpreting. Reading takes as long as storing, so with two
cores both are done at once: the other process takes a Request on its standard input and gives
back batches of rows, and at the end the exception, if one ended the reading.
"""

from __future__ import annotations

import marshal
import pickle
import struct
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

from repermit.errors import Refused, RepermitError
from repermit.listfile import open_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from repermit.importing.interpreting import Interpreter
    from repermit.listfile import ListFile

_BATCH = 5_000
# Bytes of a file from which on a second process wins back the time that its start takes.
_LARGE = 2_000_000
# What follows, and how many bytes it has.
_HEADER = struct.Struct(">cQ")
# Later versions look for values that occur twice, which takes longer than writing them twice.
_MARSHAL_VERSION = 2
_ROWS, _END, _ERROR = b"R", b"E", b"X"

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
    if request.path.stat().st_size < _LARGE:
        return batches(request, file)
    return _read_apart(request)


def batches(request: Request, file: ListFile) -> Iterator[Batch]:
    """Yield the rows in batches, read by this process."""
    rows = request.interpreter.read(file)
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _read_apart(request: Request) -> Iterator[Batch]:
    command = [sys.executable, "-P", "-c", _SERVE]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as reader:  # noqa: S603  our own
        try:
            # If it could not even start, there is nothing to receive from it either.
            with suppress(BrokenPipeError), cast("IO[bytes]", reader.stdin) as sink:
                pickle.dump(request, sink)
            yield from receive(cast("IO[bytes]", reader.stdout))
        finally:
            reader.kill()


_SERVE = f"import sys; from {__name__} import serve; serve(sys.stdin.buffer, sys.stdout.buffer)"


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer the one request that comes from `source`."""
    request: Request = pickle.load(source)  # noqa: S301  written by the process that started us
    try:
        for batch in batches(request, request.open()):
            _send(sink, _ROWS, marshal.dumps(batch, _MARSHAL_VERSION))
    except RepermitError as error:
        _send(sink, _ERROR, pickle.dumps(error))
    else:
        _send(sink, _END, b"")


def _send(sink: IO[bytes], kind: bytes, body: bytes) -> None:
    sink.write(_HEADER.pack(kind, len(body)))
    sink.write(body)


def receive(source: IO[bytes]) -> Iterator[Batch]:
    """Yield the batches that `serve` sends, and raise what it met; Refused if it was cut off."""
    while len(header := source.read(_HEADER.size)) == _HEADER.size:
        kind, length = _HEADER.unpack(header)
        body = source.read(length)
        if len(body) < length:
            break
        if kind == _END:
            return
        if kind == _ERROR:
            raise pickle.loads(body)  # noqa: S301  written by the process that we started
        yield marshal.loads(body)  # noqa: S302  likewise
    raise Refused("reading the file was cut off; nothing has changed, so try again")
