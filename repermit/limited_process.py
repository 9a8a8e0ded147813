"""A function that reads input from outside, in a process of its own under limits.

What fills the memory or never ends then ends that process and nothing else. It is started afresh
and never forked, since the processes that need it have threads.
"""

from __future__ import annotations

import errno
import math
import os
import pickle
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Self, cast

from repermit.errors import RepermitError

_PATIENCE = 5
"""Seconds of the clock that a value may take for each of the processor, which has other work."""

_FAREWELL = 10.0
"""Seconds of the clock in which a process without further requests ends by itself."""

# What follows, and how many bytes it has.
_HEADER = struct.Struct(">cQ")
_READY, _REQUEST, _VALUE, _END, _ERROR, _FAULT = b"R", b"Q", b"V", b"E", b"X", b"F"
_PIECE = 1 << 20


_NICENESS = 10
"""How far behind others the process stands where the processor is busy."""


class ProcessDied(Exception):
    """The process ended before its answer did, by a limit or a fault; the text says by which."""


class LimitedProcess:
    """Runs a function, which yields values, for one request after the other.

    - `function` stands at the top of a module; requests and values are pickled, and a RepermitError
      that it raises is raised here.
    - `memory` is in bytes of address space (RLIMIT_AS).
    - `seconds` is the processor time for each value (RLIMIT_CPU); of the clock it is five times as
      much.

    The process starts with the first request or before, and again with the next one after it died.
    """

    def __init__(
        self, function: Callable[[Any], Iterator[Any]], *, memory: int, seconds: int
    ) -> None:
        self._command = [
            *(sys.executable, "-P", "-c", f"from {__name__} import main; main()"),
            *(function.__module__, function.__qualname__, str(memory), str(seconds)),
        ]
        self._longest_wait = _PATIENCE * seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._is_busy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, which has no further request."""
        if self._process is not None and self._is_ready and not self._is_busy:
            cast("IO[bytes]", self._process.stdin).close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_FAREWELL)
        if self._process is not None:
            self._kill(self._process)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process, which the first request else does; this does not wait for it."""
        self._is_ready = False
        self._process = subprocess.Popen(  # noqa: S603  our own
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What a library says when it dies helps nobody, and may quote what it read.
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        return self._process

    def ask(self, request: object) -> Iterator[Any]:
        """Yield the values for a request; whoever stops before the last one ends the process.

        Raises ProcessDied, the RepermitError that the function raises, and OSError if the process
        cannot start, which has nothing to do with the request.
        """
        body = pickle.dumps(request)
        process = self._process or self.start()
        self._await_ready(process)
        self._is_busy = True
        try:
            # If it has just died, there is nothing to receive from it either.
            with suppress(BrokenPipeError):
                _write(cast("IO[bytes]", process.stdin), _REQUEST, body)
            while self._is_busy:
                kind, body = self._receive(process)
                self._is_busy = kind in {_VALUE, _FAULT}
                if kind == _VALUE:
                    yield pickle.loads(body)  # noqa: S301  written by the process that we started
                elif kind == _ERROR:
                    raise pickle.loads(body)  # noqa: S301  likewise
                elif kind == _FAULT:
                    raise ProcessDied(body.decode())
        finally:
            if self._is_busy:
                self._kill(process)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        if self._is_ready:
            return
        try:
            self._receive(process)
        except ProcessDied as death:
            self._kill(process)
            what = f"the process that reads it cannot start ({death})"
            raise OSError(errno.EAGAIN, what) from None
        self._is_ready = True

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        self._is_busy = False
        process.kill()
        # Leaving the block closes its pipes and waits for it.
        with process:
            pass

    def _receive(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        deadline = time.monotonic() + self._longest_wait
        kind, length = _HEADER.unpack(_read(process, _HEADER.size, deadline))
        return kind, _read(process, length, deadline)


def _read(process: subprocess.Popen[bytes], length: int, deadline: float) -> bytes:
    source = cast("IO[bytes]", process.stdout).fileno()
    poll = select.poll()
    poll.register(source, select.POLLIN)
    read = bytearray()
    while len(read) < length:
        left = max(deadline - time.monotonic(), 0)
        if not poll.poll(math.ceil(left * 1000)):
            raise ProcessDied("it has taken too long")
        piece = os.read(source, min(length - len(read), _PIECE))
        if not piece:
            code = process.wait()
            raise ProcessDied(signal.Signals(-code).name if code < 0 else f"exit code {code}")
        read += piece
    return bytes(read)


def _write(sink: IO[bytes], kind: bytes, body: bytes) -> None:
    for part in (_HEADER.pack(kind, len(body)), body):
        view = memoryview(part)
        # An unbuffered pipe may take less than it is given.
        while view:
            view = view[sink.write(view) :]


# --- In the process itself.


def main() -> None:
    """Answer the requests on standard input until there are no more."""
    module, name, memory, seconds = sys.argv[1:]
    function = getattr(import_module(module), name)
    # What a library prints must not end up between the values.
    with os.fdopen(os.dup(1), "wb", buffering=0) as sink:
        os.dup2(2, 1)
        _limit(int(memory))
        _write(sink, _READY, b"")
        serve(function, sys.stdin.buffer, sink, seconds=int(seconds))


def serve(
    function: Callable[[Any], Iterator[Any]], source: IO[bytes], sink: IO[bytes], *, seconds: int
) -> None:
    """Answer the requests that come from `source`, under the limits of this process."""
    while len(header := source.read(_HEADER.size)) == _HEADER.size:
        request = pickle.loads(source.read(_HEADER.unpack(header)[1]))  # noqa: S301  our parent's
        kind, body = _END, b""
        try:
            _allow(seconds)
            for value in function(request):
                _write(sink, _VALUE, pickle.dumps(value))
                _allow(seconds)
        except RepermitError as error:
            kind, body = _ERROR, pickle.dumps(error)
        except Exception as error:  # noqa: BLE001  among them a MemoryError; it is told as a death
            kind, body = _FAULT, type(error).__name__.encode()
        _write(sink, kind, body)


def _limit(memory: int) -> None:
    # It holds no lock of the database, for which those would wait who answer meanwhile.
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
    # Where the machine itself runs out of memory, Linux ends this process before any other.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _allow(seconds: int) -> None:
    """Let this process have so many seconds more of the processor."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
