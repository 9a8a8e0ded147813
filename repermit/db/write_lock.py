"""A fair lock before SQLite's own write lock, with a timeout, released before a process stops."""

from __future__ import annotations

import fcntl
import logging
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

from repermit.errors import DatabaseBusy, Refused
from repermit.temporary_files import open_private

_logger = logging.getLogger(__name__)

LOCK_TIMEOUT = 30.0
"""Seconds that a writer waits for the lock, as long as SQLite itself would."""

# Seconds for which the waiting threads of one process may write before another process does.
_MAX_TURN = 0.05

# Seconds between two tries. The same for all: a process that tries less often would starve.
_INTERVAL = 0.0003

# Seconds for which a job lets pages go first, so that many pages cannot starve the jobs.
_MAX_YIELDING = 0.25


LOCK_SUFFIXES = (".turn-a", ".turn-b", ".turn-pages")
"""Suffixes of the lock's files, added to the database's path: lock, queue, pages."""


class WriteLock:
    """A fair mutex for writers, across threads and processes.

    SQLite's own lock is not fair: a busy writer takes it again before a waiting one wakes up.
    Of the two files, A is the lock and B the queue for it. A process locks B, then A, releases B,
    and writes holding A. To write again it must lock B first, for which another one waits already.
    The waiting threads of a process share its turn, in the order of their arrival, for `_MAX_TURN`.

    Pages come before jobs. A page is a thread whose own timeout is shorter than the lock's. While
    one waits, its process shares a lock on a third file; a process with jobs alone then yields B,
    for at most `_MAX_YIELDING`.

    A process that is stopped keeps the lock, so no thread waits longer than `timeout` seconds.
    """

    def __init__(self, database: Path, *, timeout: float = LOCK_TIMEOUT) -> None:
        self._paths = tuple(Path(f"{database}{suffix}") for suffix in LOCK_SUFFIXES)
        self._timeout = timeout
        self._thread = _ThreadState(timeout)
        # Guards the rest, and is held for an instant only.
        self._mutex = threading.Lock()
        self._queue: deque[threading.Semaphore] = deque()
        self._is_taken = False
        self._waiting_pages = 0
        # Used only by the thread that has set `_is_taken`.
        self._files: tuple[IO[bytes], ...] = ()
        self._turn_began: float | None = None

    def acquire(self) -> None:
        """Acquire the lock for this thread; raises DatabaseBusy after the timeout."""
        deadline = time.monotonic() + self._thread.timeout
        is_page = self._thread.timeout < self._timeout
        with self._mutex:
            self._waiting_pages += is_page
        try:
            while not self._try_acquire(deadline):
                pass
        finally:
            with self._mutex:
                self._waiting_pages -= is_page

    def _try_acquire(self, deadline: float) -> bool:
        """Acquire the lock; return False if the process was asked to stop meanwhile."""
        self._acquire_in_process(deadline)
        try:
            if self._turn_began is None and self._acquire_across_processes(deadline):
                self._turn_began = time.monotonic()
            if self._turn_began is not None and not _stop_signal.is_asked:
                return True
        except BaseException:
            self.release()
            raise
        self.release()
        return False

    def release(self) -> None:
        """Release the lock, or hand it to the next thread; harmless if this thread has none."""
        if not self._thread.has_turn:
            return
        with self._mutex:
            began = self._turn_began
            is_short = began is not None and time.monotonic() - began < _MAX_TURN
            if not (self._queue and is_short) or _stop_signal.is_asked:
                if self._files:
                    fcntl.flock(self._files[0], fcntl.LOCK_UN)
                self._turn_began = None
            if self._queue:
                ticket = self._queue.popleft()
                if self._turn_began is not None:
                    # Before this thread leaves: in between, the process would stop with the lock.
                    _stop_signal.inside.add(ticket)
                ticket.release()
            else:
                self._is_taken = False
            self._thread.has_turn = False
            _stop_signal.inside.discard(threading.get_ident())
        _stop_signal.begin()

    @contextmanager
    def timeout_override(self, seconds: float) -> Iterator[None]:
        """Use another timeout for this thread, in seconds, for the block."""
        before = self._thread.timeout
        self._thread.timeout = seconds
        try:
            yield
        finally:
            self._thread.timeout = before

    def close(self) -> None:
        """Release the lock, and close the files unless another thread uses them.

        The next `acquire` opens them again.
        """
        self.release()
        with self._mutex:
            if self._files and not self._is_taken:
                for file in self._files:
                    file.close()
                self._files = ()

    def _acquire_in_process(self, deadline: float) -> None:
        """Wait until this thread is the first of its process; raises DatabaseBusy."""
        with self._mutex:
            ticket = threading.Semaphore(0)
            if self._is_taken:
                self._queue.append(ticket)
            else:
                self._is_taken = True
                ticket.release()
        try:
            remaining = min(max(deadline - time.monotonic(), 0), threading.TIMEOUT_MAX)
            is_mine = ticket.acquire(timeout=remaining)
        except BaseException:
            if self._leave_queue(ticket):
                raise
            self._thread.has_turn = True
            _stop_signal.inside.discard(ticket)
            self.release()
            raise
        if not is_mine and self._leave_queue(ticket):
            raise self._make_refusal()
        self._thread.has_turn = True
        _stop_signal.inside.add(threading.get_ident())
        _stop_signal.inside.discard(ticket)

    def _leave_queue(self, ticket: threading.Semaphore) -> bool:
        """Leave the queue; return False if the turn came just before."""
        with self._mutex:
            if ticket in self._queue:
                self._queue.remove(ticket)
                return True
            return False

    def _acquire_across_processes(self, deadline: float) -> bool:
        """Lock A for this process; return False if the process is asked to stop meanwhile.

        By polling, since flock(2) has no timeout. Only the holder of B tries to lock A, so no
        other process can overtake it.
        """
        lock_file, queue_file, *page_files = self._files = self._files or self._open()
        began = time.monotonic()
        yields_until, warns_at = began + _MAX_YIELDING, began + self._timeout
        try:
            while not _stop_signal.is_asked:
                now, must_yield = time.monotonic(), False
                for file in page_files:
                    if self._waiting_pages:
                        # Fails while a job tests this file; then at the next try.
                        _try_lock(file, fcntl.LOCK_SH)
                    elif now < yields_until:
                        must_yield = not _try_lock(file, fcntl.LOCK_EX)
                        fcntl.flock(queue_file if must_yield else file, fcntl.LOCK_UN)
                # A lock that this process already holds is taken once more.
                if not must_yield and all(
                    _try_lock(file, fcntl.LOCK_EX) for file in (queue_file, lock_file)
                ):
                    return True
                if now >= deadline:
                    raise self._make_refusal()
                if now >= warns_at:
                    holder = describe_lock_holder(self._paths[:2], self._timeout)
                    _logger.warning("still waiting: %s", holder)
                    warns_at = math.inf
                time.sleep(_INTERVAL)
            return False
        finally:
            for file in (queue_file, *page_files):
                fcntl.flock(file, fcntl.LOCK_UN)

    def _make_refusal(self) -> DatabaseBusy:
        return DatabaseBusy(describe_lock_holder(self._paths[:2], self._thread.timeout))

    def _open(self) -> tuple[IO[bytes], ...]:
        *lock_paths, page_path = self._paths
        files = [open(path, "ab", opener=open_private) for path in lock_paths]  # noqa: SIM115
        # A file of another user is left out: nothing but the order depends on it.
        with suppress(OSError):
            files.append(open(page_path, "ab", opener=open_private))  # noqa: SIM115
        return tuple(files)


class _ThreadState(threading.local):
    """Whether a thread has the lock's turn in its process, and its timeout in seconds."""

    def __init__(self, timeout: float) -> None:
        self.has_turn = False
        self.timeout = timeout


# --- Stopping between two turns.


class _StopSignal:
    """A request to stop this process, as by Ctrl-Z; it stops once no thread has a turn.

    `inside` has each thread that is the first of its process, and the ticket of the next one.
    Adding to a set and removing from it need no lock, which a signal handler could find taken.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.inside: set[object] = set()

    def ask(self, _signal_number: int, _frame: FrameType | None) -> None:
        """Handle the signal."""
        self.is_asked = True
        self.begin()

    def begin(self) -> None:
        """Stop the process if that is asked for and no thread is inside; SIGCONT resumes it."""
        if self.is_asked and not self.inside:
            # By this thread, so that it has happened when the call is over.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            self.is_asked = False


_stop_signal = _StopSignal()


def stop_between_turns() -> None:
    """Let Ctrl-Z (SIGTSTP) stop this process only while it does not hold the write lock.

    A stopped process with the lock would block every answer. Does nothing outside the main thread,
    or where the signal has another handler already.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, _stop_signal.ask)


# --- Which process holds the lock.


def describe_lock_holder(paths: tuple[Path, ...], timeout: float) -> str:
    """Return a sentence about the process that holds a lock on one of these files."""
    waited = f"the database is held by another program for more than {round(timeout, 1):g} seconds"
    for process in filter(None, map(find_lock_holder, paths)):
        if _is_stopped(process):
            return (
                f"{waited}: process {process}, which is stopped; let it go on "
                f"(`kill -CONT {process}`) or end it (`kill -KILL {process}`)"
            )
        return f"{waited}: process {process}; try again later"
    return f"{waited}; try again later"


def find_lock_holder(path: Path) -> int:
    """Return the id of the process that holds the lock on a file, 0 if it is unknown.

    proc_locks(5): "1: FLOCK ADVISORY WRITE 1234 08:02:5678 0 EOF"; the sixth field is the device
    and, last, the inode.
    """
    with suppress(OSError):
        number = str(path.stat().st_ino)
        for line in _PROC_LOCKS.read_text("ascii").splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == number:
                return int(fields[4])
    return 0


_PROC_LOCKS = Path("/proc/locks")


def _is_stopped(process: int) -> bool:
    """Say whether a process is stopped; its state stands behind ")" in proc_pid_stat(5)."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "T"


# --- Which processes use an SQLite database now. --------------------------------------------------


RESTORING_SUFFIX = ".restoring"
"""Suffix of the path of a database that is being prepared for a restore."""


@contextmanager
def share_database(database: Path | None) -> Iterator[None]:
    """Share the database for the block; raises Refused while a restore runs or is unfinished.

    `database` is None for PostgreSQL, which `repermit restore` does not replace.
    """
    if database is None:
        yield
        return
    with _lock_database(database, fcntl.LOCK_SH) as is_shared:
        if not is_shared:
            raise Refused("the database is being restored; wait until that is done")
        if Path(f"{database}{RESTORING_SUFFIX}").exists():
            raise Refused(
                "putting a backup back was broken off: whoever looks after the server has to do "
                "it again",
                cli=" (`repermit restore`)",
            )
        yield


@contextmanager
def lock_database_exclusively(database: Path) -> Iterator[None]:
    """Have the database for this process alone; raises Refused, naming another one that uses it."""
    with _lock_database(database, fcntl.LOCK_EX) as is_alone:
        if not is_alone:
            raise Refused(
                "process %(process)s works with the database: stop `repermit serve` and every "
                "`repermit worker` first",
                process=str(find_lock_holder(_make_lock_path(database))),
            )
        yield


@contextmanager
def _lock_database(database: Path, operation: int) -> Iterator[bool]:
    with ExitStack() as stack:
        path = _make_lock_path(database)
        try:
            file: IO[bytes] | None = stack.enter_context(open(path, "ab", opener=open_private))
        except OSError as error:
            if isinstance(error, PermissionError) and path.exists():
                raise Refused(
                    "the lock %(path)s cannot be opened (%(reason)s): it has to belong to the user "
                    "that repermit runs as",
                    path=str(path),
                    reason=str(error.strerror),
                ) from None
            # Opening the database itself fails then, with a message that says more.
            file = None
        yield file is None or _try_lock(file, operation)


def _try_lock(file: IO[bytes], operation: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, operation | fcntl.LOCK_NB)
        return True
    return False


def _make_lock_path(database: Path) -> Path:
    return Path(f"{database}.in-use")
