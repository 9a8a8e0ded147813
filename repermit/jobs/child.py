"""A worker as a child process: kept running, stopped cleanly, and never left alone.

Imports nothing of repermit. The parent holds one end of a pipe, the child's standard input: a byte
asks the child to stop, and the end of the pipe, which the system brings about however the parent
dies, ends the child at once, so that nobody sends on without being looked after.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0

_log = logging.getLogger(__name__)


class Child:
    """Runs `command`, again and again if it ends, from `start` to `stop`.

    It waits in between, `first_wait` seconds and each time twice as long; from the beginning again
    after a child that has lived for the longest wait.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        first_wait: float = _FIRST_WAIT,
        longest_wait: float = _LONGEST_WAIT,
    ) -> None:
        self._command = command
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._leash: IO[bytes] | None = None
        self._thread = threading.Thread(target=self._look_after, name="child", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the child to stop, and wait until it has finished what is under way."""
        with self._lock:
            self._stopping.set()
            if self._leash is not None:
                # It may have ended by itself.
                with suppress(BrokenPipeError):
                    self._leash.write(b"!")
        self._thread.join()

    def _look_after(self) -> None:
        wait = self._first_wait
        while True:
            began = time.monotonic()
            how = self._run()
            if self._stopping.is_set():
                return
            if time.monotonic() - began >= self._longest_wait:
                wait = self._first_wait
            _log.error("the worker has ended (%s); another one in %.0f s", how, wait)
            self._stopping.wait(wait)
            wait = min(2 * wait, self._longest_wait)

    def _run(self) -> str:
        """Run the command once, to its end, and say how that came."""
        try:
            child = self._begin()
        except OSError as error:
            return f"it cannot start: {error.strerror}"
        if child is None:
            return "not needed"
        code = child.wait()
        with self._lock:
            cast("IO[bytes]", self._leash).close()
            self._leash = None
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def _begin(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            # A session of its own: Ctrl-C is for the parent, which then asks the child.
            child = subprocess.Popen(  # noqa: S603  our own
                self._command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True
            )
            self._leash = child.stdin
            return child


_END_AT_ONCE = partial(signal.raise_signal, signal.SIGKILL)


def hold(
    leash: int,
    *,
    stop: Callable[[], None],
    end: Callable[[], None] = _END_AT_ONCE,
) -> threading.Thread:
    """Listen, in a thread, to the parent at the other end of the pipe, a file descriptor.

    `stop` is called when it asks for that, `end` when it is no more.
    """

    def listen() -> None:
        # Not through sys.stdin, whose lock would keep the process from its exit.
        while os.read(leash, 1):
            stop()
        end()

    thread = threading.Thread(target=listen, name="leash", daemon=True)
    thread.start()
    return thread
