"""A process, or a part of one, that runs sweeps until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import IO, cast

from repermit.clock import Clock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import Database
from repermit.garbage_collection import heap_frozen
from repermit.jobs.periodic_jobs import WORKER_JOBS, Jobs, make_scheduler
from repermit.sending.worker_lock import StopRequest
from repermit.settings.definitions import Settings


class JobRunner:
    """Sweeps in threads of this process, all or those of these names, from `start` to `stop`.

    `database` is the one in use; `openings` are those of the pages of this process.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        clock: Clock,
        names: Collection[str] | None = None,
        openings: PendingOpenings | None = None,
    ) -> None:
        self._stopping = threading.Event()
        jobs = Jobs(settings, database, clock=clock, stopping=self._stopping, openings=openings)
        self._scheduler = make_scheduler(jobs, names)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """End, once what is under way has been finished: a mail on the wire is marked."""
        self._stopping.set()
        self._scheduler.shutdown(wait=True)


def run_worker(
    settings: Settings, database: Database, *, clock: Clock, leash: int | None = None
) -> None:
    """Run a worker until SIGTERM or SIGINT; must be called in the main thread.

    `leash` is where it hears from the process that looks after it, a file descriptor; see Child.
    """
    stopping = StopRequest()
    everything = JobRunner(settings, database, clock=clock, names=WORKER_JOBS)
    with stopping.on_signals(), heap_frozen():
        if leash is not None:
            # Not at a lower priority than the pages: what is slow while it holds the write lock, or
            # a lock of PostgreSQL's, holds them up too.
            hold(leash, stop=stopping.ask)
        everything.start()
        stopping.wait()
        everything.stop()


# --- A worker as a child process. -----------------------------------------------------------------


_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0

_log = logging.getLogger(__name__)


class SupervisedProcess:
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
