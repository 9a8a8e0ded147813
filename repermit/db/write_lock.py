"""A fair lock before SQLite's own write lock: fair, bounded, and left before a process stops."""

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
"""Seconds that a writer waits for its turn, as long as SQLite itself would."""

# Seconds for which the threads of a process that wait may write before another process does.
_MAX_TURN = 0.05

# Seconds between two tries. The same for all: who tried less often would be passed by newcomers.
_INTERVAL = 0.0003

# Seconds for which a job lets pages go first, so that jobs come through beside any number of them.
_MAX_YIELDING = 0.25


LOCK_SUFFIXES = (".turn-a", ".turn-b", ".turn-pages")
"""What the names of its files have behind the database's."""


class WriteLock:
    """Let writers through one by one, across processes.

    SQLite's own lock is not fair: a busy writer takes it again before a waiting one wakes up.
    Here a process takes B, then A, gives B back, and writes holding A. Whoever has just written
    must pass B again, where the first to wait stands already. The threads of a process that wait
    write in its turn one after the other, the first to come first, as long as that is short.

    Pages come before jobs: while a thread waits that may wait less long than others, its process
    shares a lock on a third file, and a process of jobs alone neither takes nor keeps B meanwhile.

    A process that is stopped keeps its lock, so that nobody waits longer than `patience` seconds.
    """

    def __init__(self, database: Path, *, patience: float = LOCK_TIMEOUT) -> None:
        self._paths = tuple(Path(f"{database}{suffix}") for suffix in LOCK_SUFFIXES)
        self._patience = patience
        self._mine = _ThreadState(patience)
        # Guards the rest, and is held for an instant only.
        self._mutex = threading.Lock()
        self._queue: deque[threading.Semaphore] = deque()
        self._is_taken = False
        self._waiting_pages = 0
        # Whoever has taken it, and nobody else, uses these.
        self._files: tuple[IO[bytes], ...] = ()
        self._turn_began: float | None = None

    def enter(self) -> None:
        """Wait for this thread's turn to write; raises DatabaseBusy if it does not come."""
        until = time.monotonic() + self._mine.patience
        is_page = self._mine.patience < self._patience
        with self._mutex:
            self._waiting_pages += is_page
        try:
            while not self._take_turn(until):
                pass
        finally:
            with self._mutex:
                self._waiting_pages -= is_page

    def _take_turn(self, until: float) -> bool:
        """Wait for this thread's turn; False if the process was to stop meanwhile."""
        self._come_in(until)
        try:
            if self._turn_began is None and self._pass(until):
                self._turn_began = time.monotonic()
            if self._turn_began is not None and not _stop_signal.is_asked:
                return True
        except BaseException:
            self.leave()
            raise
        self.leave()
        return False

    def leave(self) -> None:
        """Let the next one write; harmless if this thread holds nothing."""
        if not self._mine.is_in:
            return
        with self._mutex:
            began = self._turn_began
            is_short = began is not None and time.monotonic() - began < _MAX_TURN
            if not (self._queue and is_short) or _stop_signal.is_asked:
                if self._files:
                    fcntl.flock(self._files[0], fcntl.LOCK_UN)
                self._turn_began = None
            if self._queue:
                handed_on = self._queue.popleft()
                if self._turn_began is not None:
                    # Before this thread is out: in between, the process would stop with the lock.
                    _stop_signal.inside.add(handed_on)
                handed_on.release()
            else:
                self._is_taken = False
            self._mine.is_in = False
            _stop_signal.inside.discard(threading.get_ident())
        _stop_signal.begin()

    @contextmanager
    def waiting_at_most(self, seconds: float) -> Iterator[None]:
        """Let this thread wait for so many seconds for its turn."""
        before = self._mine.patience
        self._mine.patience = seconds
        try:
            yield
        finally:
            self._mine.patience = before

    def close(self) -> None:
        """Leave, and close the files unless another thread uses them; they are opened again."""
        self.leave()
        with self._mutex:
            if self._files and not self._is_taken:
                for file in self._files:
                    file.close()
                self._files = ()

    def _come_in(self, until: float) -> None:
        """Wait until no thread of this process is before this one."""
        with self._mutex:
            handed_on = threading.Semaphore(0)
            if self._is_taken:
                self._queue.append(handed_on)
            else:
                self._is_taken = True
                handed_on.release()
        try:
            left = min(max(until - time.monotonic(), 0), threading.TIMEOUT_MAX)
            has_come = handed_on.acquire(timeout=left)
        except BaseException:
            if self._gave_up(handed_on):
                raise
            self._mine.is_in = True
            _stop_signal.inside.discard(handed_on)
            self.leave()
            raise
        if not has_come and self._gave_up(handed_on):
            raise self._make_refusal()
        self._mine.is_in = True
        _stop_signal.inside.add(threading.get_ident())
        _stop_signal.inside.discard(handed_on)

    def _gave_up(self, handed_on: threading.Semaphore) -> bool:
        """Leave the queue; False if the turn has come in this very instant."""
        with self._mutex:
            if handed_on in self._queue:
                self._queue.remove(handed_on)
                return True
            return False

    def _pass(self, until: float) -> bool:
        """Wait for this process's turn; False if the process is to stop meanwhile.

        By trying again and again, since no wait for such a lock has a limit. Only who holds B
        tries to take A, so that nobody can be quicker.
        """
        held, door, *pages = self._files = self._files or self._open()
        began = time.monotonic()
        yields_until, warns_at = began + _MAX_YIELDING, began + self._patience
        try:
            while not _stop_signal.is_asked:
                now, must_yield = time.monotonic(), False
                for file in pages:
                    if self._waiting_pages:
                        # Not in the instant in which a job looks; then at the next try.
                        _try_lock(file, fcntl.LOCK_SH)
                    elif now < yields_until:
                        must_yield = not _try_lock(file, fcntl.LOCK_EX)
                        fcntl.flock(door if must_yield else file, fcntl.LOCK_UN)
                # One that this process has already is had once more.
                if not must_yield and all(_try_lock(file, fcntl.LOCK_EX) for file in (door, held)):
                    return True
                if now >= until:
                    raise self._make_refusal()
                if now >= warns_at:
                    holder = describe_lock_holder(self._paths[:2], self._patience)
                    _logger.warning("still waiting: %s", holder)
                    warns_at = math.inf
                time.sleep(_INTERVAL)
            return False
        finally:
            for file in (door, *pages):
                fcntl.flock(file, fcntl.LOCK_UN)

    def _make_refusal(self) -> DatabaseBusy:
        return DatabaseBusy(describe_lock_holder(self._paths[:2], self._mine.patience))

    def _open(self) -> tuple[IO[bytes], ...]:
        *turns, pages = self._paths
        files = [open(path, "ab", opener=open_private) for path in turns]  # noqa: SIM115
        # Made by another user, it is done without: nothing but the order depends on it.
        with suppress(OSError):
            files.append(open(pages, "ab", opener=open_private))  # noqa: SIM115
        return tuple(files)


class _ThreadState(threading.local):
    """Whether a thread has its turn, and for how many seconds it waits for it."""

    def __init__(self, patience: float) -> None:
        self.is_in = False
        self.patience = patience


# --- Stopping between two turns.


class _StopSignal:
    """The wish that this process stops, as by Ctrl-Z; it does when no thread has its turn.

    `inside` are the threads that have their turn, or wait for it, and the semaphore of one to which
    a turn is handed on just now. Adding to a set and taking from it need no lock, which a signal
    could find taken.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.inside: set[object] = set()

    def ask(self, _sign: int, _frame: FrameType | None) -> None:
        """Hear the signal."""
        self.is_asked = True
        self.begin()

    def begin(self) -> None:
        """Stop if that is asked for and nobody is inside; goes on with SIGCONT."""
        if self.is_asked and not self.inside:
            # By this thread, so that it has happened when the call is over.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            self.is_asked = False


_stop_signal = _StopSignal()


def stop_between_turns() -> None:
    """Let Ctrl-Z (SIGTSTP) stop this process only while it does not hold the write lock.

    It would hold everybody up who has an answer to write. Harmless outside the main thread, and
    where somebody else sees to the signal.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, _stop_signal.ask)


# --- Who holds everybody up.


def describe_lock_holder(paths: tuple[Path, ...], patience: float) -> str:
    """Return a sentence about the process that holds a lock on one of these files."""
    waited = f"the database is held by another program for more than {round(patience, 1):g} seconds"
    for process in filter(None, map(find_lock_holder, paths)):
        if _is_stopped(process):
            return (
                f"{waited}: process {process}, which is stopped; let it go on "
                f"(`kill -CONT {process}`) or end it (`kill -KILL {process}`)"
            )
        return f"{waited}: process {process}; try again later"
    return f"{waited}; try again later"


def find_lock_holder(path: Path) -> int:
    """Return the process that holds the lock on a file, 0 where the system does not tell.

    By proc_locks(5): "1: FLOCK ADVISORY WRITE 1234 08:02:5678 0 EOF"; the sixth is where the file
    lies, and at the end its number.
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
    """Say whether a process sleeps until SIGCONT, by proc_pid_stat(5): its state is behind ")"."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "T"


# --- Who uses an SQLite database now. -------------------------------------------------------------


RESTORING_SUFFIX = ".restoring"
"""What the name of a database that is being made ready has behind it."""


@contextmanager
def share_database(database: Path | None) -> Iterator[None]:
    """Share the database; raises Refused while it is restored, or if that was broken off.

    None is a database of another kind, in whose place none can be put.
    """
    if database is None:
        yield
        return
    with _lock_database(database, fcntl.LOCK_SH) as is_shared:
        if not is_shared:
            raise Refused("the database is being restored; wait until that is done")
        if Path(f"{database}{RESTORING_SUFFIX}").exists():
            raise Refused(
                "restoring the database was broken off: give `repermit restore` again",
                code="restore_broken",
            )
        yield


@contextmanager
def lock_database_exclusively(database: Path) -> Iterator[None]:
    """Have the database for this process alone; raises Refused, and says which other one has it."""
    with _lock_database(database, fcntl.LOCK_EX) as is_alone:
        if not is_alone:
            raise Refused(
                "process %(process)s works with the database: stop `repermit serve` and every "
                "`repermit worker` first",
                process=str(find_lock_holder(_make_lock_path(database))),
            )
        yield


@contextmanager
def _lock_database(database: Path, how: int) -> Iterator[bool]:
    with ExitStack() as stack:
        try:
            path = _make_lock_path(database)
            file: IO[bytes] | None = stack.enter_context(open(path, "ab", opener=open_private))
        except OSError:
            # The database itself is refused then, in words that say more.
            file = None
        yield file is None or _try_lock(file, how)


def _try_lock(file: IO[bytes], how: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, how | fcntl.LOCK_NB)
        return True
    return False


def _make_lock_path(database: Path) -> Path:
    return Path(f"{database}.in-use")
