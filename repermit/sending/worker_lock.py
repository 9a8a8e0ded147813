"""The lock that each sending worker holds while it lives, and the request to stop.

The system gives the lock back however the process ends; a clock could not tell a dead worker from a
slow one.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import queue
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import peewee

from repermit.db.connection import Database, run_sql
from repermit.db.models.base import new_id
from repermit.settings.definitions import Settings


@dataclass(frozen=True)
class Worker:
    """One run of sending; `id` stands at the mails that it has claimed."""

    id: str

    @classmethod
    @contextmanager
    def register(cls, settings: Settings) -> Iterator[Worker]:
        """Be a new worker, alive until the end of the block or of the process."""
        worker = cls(new_id())
        path = settings.sqlite_path
        lock = (
            _hold_session_lock(settings.database, worker.id)
            if path is None
            else _hold_file_lock(_lock_folder(path), worker.id)
        )
        with lock:
            yield worker


def is_alive(database: Database, worker_id: str) -> bool:
    """Say whether a worker's lock is held; works from any process, its own too."""
    if isinstance(database, peewee.PostgresqlDatabase):
        return not _is_session_lock_free(database, worker_id)
    return _is_held(_lock_folder(Path(database.database)) / worker_id)


def _lock_folder(database: Path) -> Path:
    return Path(f"{database}.workers")


@contextmanager
def _hold_file_lock(folder: Path, name: str) -> Iterator[None]:
    # Who may open a worker's file may hold its lock, and so keep a dead one alive.
    folder.mkdir(mode=0o700, exist_ok=True)
    _remove_dead_files(folder)
    path = folder / name
    with _make_locked_file(path):
        try:
            yield
        finally:
            path.unlink()


def _make_locked_file(path: Path) -> IO[bytes]:
    """Make a file under its name only once it is locked: nobody sees it free while it is held."""
    temporary = path.with_name(f".{path.name}")
    while True:
        file = temporary.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            temporary.rename(path)
        except FileNotFoundError:
            # Somebody who swept came by before it was locked.
            file.close()
        else:
            return file


def _remove_dead_files(folder: Path) -> None:
    """Take away what workers that were killed have left, also before they had begun."""
    for path in folder.iterdir():
        if not _is_held(path):
            path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    # A shared lock, so that two who look at once do not take each other for the worker.
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def _hold_session_lock(url: str, name: str) -> Iterator[None]:
    import psycopg  # noqa: PLC0415  an optional extra

    # A connection of its own: the lock must not end with the one that mails are marked on.
    with closing(psycopg.connect(url, autocommit=True)) as session:
        session.execute("SELECT pg_advisory_lock(%s)", (_make_lock_key(name),))
        try:
            yield
        finally:
            # The server notices the end of a session a moment late. One that it has ended itself
            # holds nothing any more.
            with suppress(psycopg.Error):
                session.execute("SELECT pg_advisory_unlock(%s)", (_make_lock_key(name),))


def _is_session_lock_free(database: Database, name: str) -> bool:
    key = _make_lock_key(name)
    cursor = run_sql(
        database,
        "SELECT CASE WHEN pg_try_advisory_lock_shared(%s)"
        " THEN pg_advisory_unlock_shared(%s) ELSE false END",
        key,
        key,
    )
    return bool(cursor.fetchone()[0])


def _make_lock_key(name: str) -> int:
    """Return the 64 bits that PostgreSQL names an advisory lock by."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


# --- How a process that sends is told to stop. ----------------------------------------------------


_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIGNAL_EXIT_BASE = 128
_LOOK_SECONDS = 1.0


class StopRequest:
    """The wish that something stops, from any thread or from a signal; one thread waits for it.

    `is_asked` says whether it has come.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._sign = 0
        # A signal may come while the same thread waits, where it must not take an Event's lock.
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def exit_code(self) -> int:
        """Return the exit code of the process: 130 for Ctrl-C, 143 for SIGTERM, 0 for neither."""
        return _SIGNAL_EXIT_BASE + self._sign if self._sign else 0

    def ask(self) -> None:
        """Wish it; more than once does no harm."""
        self.is_asked = True
        self._wakeups.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is asked for, so many seconds at most; say whether it was."""
        ends_at = math.inf if timeout is None else time.monotonic() + timeout
        while not self.is_asked and (left := ends_at - time.monotonic()) > 0:
            # A signal wakes no wait that begins at that very instant: its handler runs after it.
            with suppress(queue.Empty):
                self._wakeups.get(timeout=min(left, _LOOK_SECONDS))
        return self.is_asked

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ask at the first SIGTERM or SIGINT of the block; at the second one the process ends.

        Must be entered in the main thread.
        """
        handlers = {signum: signal.signal(signum, self._handle_signal) for signum in _STOP_SIGNALS}
        try:
            yield
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)

    def _handle_signal(self, signum: int, _frame: FrameType | None) -> None:
        # Whoever asks again does not want to wait; killed at any instant, nothing is lost.
        for stop_signal in _STOP_SIGNALS:
            signal.signal(stop_signal, signal.SIG_DFL)
        self._sign = signum
        self.ask()
