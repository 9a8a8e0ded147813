"""Running a function that reads untrusted input in a process of its own, under limits.

Input that fills the memory or never ends only ends that process. It is started and not forked, as
the processes that need it have threads.
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

_WALL_CLOCK_FACTOR = 5
"""The maximum real time of a value, as a multiple of its maximum processor time.

The processor has other work, too.
"""

_EXIT_TIMEOUT = 10.0
"""The seconds in which a process without further requests must end by itself."""

# The kind of a message, and its length in bytes.
_HEADER = struct.Struct(">cQ")
_READY, _REQUEST, _VALUE, _END, _ERROR, _FAULT = b"R", b"Q", b"V", b"E", b"X", b"F"
_PIECE = 1 << 20


_NICENESS = 10
"""The niceness of the process, which gives others priority on a busy processor."""


class ProcessDied(Exception):
    """The process ended before its answer was complete; the text names the limit or fault."""


class LimitedProcess:
    """Runs a function that yields values, for one request after the other.

    - `function`: a module-level function. Requests and values are pickled; a RepermitError that it
      raises is raised here.
    - `memory`: the maximum address space in bytes (RLIMIT_AS).
    - `seconds`: the maximum processor time of each value (RLIMIT_CPU); the real time may be five
      times as much.

    The process starts with the first request or `start`, and again with the next request after it
    died.
    """

    def __init__(
        self, function: Callable[[Any], Iterator[Any]], *, memory: int, seconds: int
    ) -> None:
        self._command = [
            *(sys.executable, "-P", "-c", f"from {__name__} import main; main()"),
            *(function.__module__, function.__qualname__, str(memory), str(seconds)),
        ]
        self._timeout = _WALL_CLOCK_FACTOR * seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._is_busy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process after its last request."""
        if self._process is not None and self._is_ready and not self._is_busy:
            cast("IO[bytes]", self._process.stdin).close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_TIMEOUT)
        if self._process is not None:
            self._kill(self._process)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it; otherwise the first request starts it."""
        self._is_ready = False
        self._process = subprocess.Popen(  # noqa: S603  our own
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A library's last words do not help, and may quote its input.
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        return self._process

    def ask(self, request: object) -> Iterator[Any]:
        """Yield the values for a request; closing the iterator early ends the process.

        Raises ProcessDied, the RepermitError that the function raises, and OSError if the process
        cannot start, which has nothing to do with the request.
        """
        body = pickle.dumps(request)
        process = self._process or self.start()
        self._await_ready(process)
        self._is_busy = True
        try:
            # If it has just died, `_receive` raises.
            with suppress(BrokenPipeError):
                _write(cast("IO[bytes]", process.stdin), _REQUEST, body)
            while self._is_busy:
                kind, body = self._receive(process)
                self._is_busy = kind in {_VALUE, _FAULT}
                if kind == _VALUE:
                    yield pickle.loads(body)  # noqa: S301  written by the process that we started
                elif kind == _ERROR:
                    raise pickle.loads(body)  # noqa: S301  from that process, too
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
            message = f"the process that reads it cannot start ({death})"
            raise OSError(errno.EAGAIN, message) from None
        self._is_ready = True

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        self._is_busy = False
        process.kill()
        # Leaving the block closes its pipes and waits for it.
        with process:
            pass

    def _receive(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        deadline = time.monotonic() + self._timeout
        kind, length = _HEADER.unpack(_read(process, _HEADER.size, deadline))
        return kind, _read(process, length, deadline)


def _read(process: subprocess.Popen[bytes], length: int, deadline: float) -> bytes:
    source = cast("IO[bytes]", process.stdout).fileno()
    poll = select.poll()
    poll.register(source, select.POLLIN)
    received = bytearray()
    while len(received) < length:
        remaining = max(deadline - time.monotonic(), 0)
        if not poll.poll(math.ceil(remaining * 1000)):
            raise ProcessDied("it has taken too long")
        piece = os.read(source, min(length - len(received), _PIECE))
        if not piece:
            code = process.wait()
            raise ProcessDied(signal.Signals(-code).name if code < 0 else f"exit code {code}")
        received += piece
    return bytes(received)


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
    # The output of libraries must not get between the values.
    with os.fdopen(os.dup(1), "wb", buffering=0) as sink:
        os.dup2(2, 1)
        _set_limits(int(memory))
        _write(sink, _READY, b"")
        serve(function, sys.stdin.buffer, sink, seconds=int(seconds))


def serve(
    function: Callable[[Any], Iterator[Any]], source: IO[bytes], sink: IO[bytes], *, seconds: int
) -> None:
    """Answer the requests from `source`, under the limits of this process."""
    while len(header := source.read(_HEADER.size)) == _HEADER.size:
        request = pickle.loads(source.read(_HEADER.unpack(header)[1]))  # noqa: S301  our parent's
        kind, body = _END, b""
        try:
            _extend_cpu_limit(seconds)
            for value in function(request):
                _write(sink, _VALUE, pickle.dumps(value))
                _extend_cpu_limit(seconds)
        except RepermitError as error:
            kind, body = _ERROR, pickle.dumps(error)
        except Exception as error:  # noqa: BLE001  also a MemoryError; reported as ProcessDied
            kind, body = _FAULT, type(error).__name__.encode()
        _write(sink, kind, body)


def _set_limits(memory: int) -> None:
    # It holds no lock of the database, so its low priority delays nobody's answer.
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
    # If the machine itself runs out of memory, Linux ends this process first.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _extend_cpu_limit(seconds: int) -> None:
    """Allow this process so many more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
