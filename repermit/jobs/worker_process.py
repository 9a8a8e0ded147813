"""Running the periodic jobs, in threads of this process or in a supervised child process."""

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
    """Runs jobs in threads of this process, from `start` to `stop`.

    - `database`: the one in use.
    - `names`: the jobs to run; None for all.
    - `openings`: the link openings of the pages of this process.
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
        """Start the job threads."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop the jobs after their current step: a mail that is being sent is finished."""
        self._stopping.set()
        self._scheduler.shutdown(wait=True)


def run_worker(
    settings: Settings, database: Database, *, clock: Clock, control_pipe: int | None = None
) -> None:
    """Run a worker until SIGTERM or SIGINT; must be called in the main thread.

    - `control_pipe`: the file descriptor from which its supervisor writes; see SupervisedProcess.
    """
    stopping = StopRequest()
    runner = JobRunner(settings, database, clock=clock, names=WORKER_JOBS)
    with stopping.on_signals(), heap_frozen():
        if control_pipe is not None:
            # Not at a lower priority than the pages: a slow worker that holds the write lock, or a
            # lock of PostgreSQL's, blocks them too.
            watch_parent(control_pipe, stop=stopping.ask)
        runner.start()
        stopping.wait()
        runner.stop()


# --- A worker as a child process. -----------------------------------------------------------------


_FIRST_WAIT = 1.0
_MAX_WAIT = 60.0

_log = logging.getLogger(__name__)


class SupervisedProcess:
    """Runs a command as a child, and restarts it when it ends, from `start` to `stop`.

    - `first_wait`: seconds before the first restart; doubled each time, up to `max_wait`. A child
      that has lived for `max_wait` resets it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        first_wait: float = _FIRST_WAIT,
        max_wait: float = _MAX_WAIT,
    ) -> None:
        self._command = command
        self._first_wait = first_wait
        self._max_wait = max_wait
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._control_pipe: IO[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="child", daemon=True)

    def start(self) -> None:
        """Start the supervisor thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the child to stop, and wait until it has ended."""
        with self._lock:
            self._stopping.set()
            if self._control_pipe is not None:
                # It may have ended by itself.
                with suppress(BrokenPipeError):
                    self._control_pipe.write(b"!")
        self._thread.join()

    def _supervise(self) -> None:
        wait = self._first_wait
        while True:
            began = time.monotonic()
            outcome = self._run()
            if self._stopping.is_set():
                return
            if time.monotonic() - began >= self._max_wait:
                wait = self._first_wait
            _log.error("the worker has ended (%s); another one in %.0f s", outcome, wait)
            self._stopping.wait(wait)
            wait = min(2 * wait, self._max_wait)

    def _run(self) -> str:
        """Run the command once, to its end; return how it ended."""
        try:
            child = self._start_process()
        except OSError as error:
            return f"it cannot start: {error.strerror}"
        if child is None:
            return "not needed"
        code = child.wait()
        with self._lock:
            cast("IO[bytes]", self._control_pipe).close()
            self._control_pipe = None
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def _start_process(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            # A session of its own: Ctrl-C is for the parent, which then asks the child.
            child = subprocess.Popen(  # noqa: S603  our own
                self._command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True
            )
            self._control_pipe = child.stdin
            return child


_END_AT_ONCE = partial(signal.raise_signal, signal.SIGKILL)


def watch_parent(
    control_pipe: int,
    *,
    stop: Callable[[], None],
    end: Callable[[], None] = _END_AT_ONCE,
) -> threading.Thread:
    """Watch the parent process, in a thread that reads its end of the pipe.

    - `control_pipe`: a file descriptor.
    - `stop`: called when the parent asks to stop; `end`: called when the parent has ended.
    """

    def listen() -> None:
        # Not through sys.stdin, whose lock would block the process's exit.
        while os.read(control_pipe, 1):
            stop()
        end()

    thread = threading.Thread(target=listen, name="control_pipe", daemon=True)
    thread.start()
    return thread
