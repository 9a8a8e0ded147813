"""The lock that each sending worker holds while it is alive, and the request to stop.

The operating system releases the lock however the process ends; a timeout could not tell a dead
worker from a slow one.
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
    """One run of sending; `id` is stored in the mails that it has claimed."""

    id: str

    @classmethod
    @contextmanager
    def register(cls, settings: Settings) -> Iterator[Worker]:
        """Register a new worker, alive until the end of the block or of the process."""
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
    """Return whether a worker's lock is held; works from any process, its own too."""
    if isinstance(database, peewee.PostgresqlDatabase):
        return not _is_session_lock_free(database, worker_id)
    return _is_held(_lock_folder(database.path) / worker_id)


def _lock_folder(database: Path) -> Path:
    return Path(f"{database}.workers")


@contextmanager
def _hold_file_lock(folder: Path, name: str) -> Iterator[None]:
    # Private: anybody who can open the file could lock it, and make a dead worker look alive.
    folder.mkdir(mode=0o700, exist_ok=True)
    _remove_dead_files(folder)
    path = folder / name
    with _make_locked_file(path):
        try:
            yield
        finally:
            path.unlink()


def _make_locked_file(path: Path) -> IO[bytes]:
    """Create a file that gets its name only once it is locked, so that nobody sees it unlocked."""
    temporary = path.with_name(f".{path.name}")
    while True:
        file = temporary.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            temporary.rename(path)
        except FileNotFoundError:
            # Another worker's clean-up removed it before it was locked.
            file.close()
        else:
            return file


def _remove_dead_files(folder: Path) -> None:
    """Delete the files of killed workers, including those killed before they were registered."""
    for path in folder.iterdir():
        if not _is_held(path):
            path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    # A shared lock, so that two processes checking at once do not take each other for the worker.
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
            # PostgreSQL notices the end of a session late. A session that it has ended itself holds
            # no lock any more.
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


# --- The request that a sending process stops. ----------------------------------------------------


_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SIGNAL_EXIT_BASE = 128
_WAIT_SLICE = 1.0


class StopRequest:
    """A request to stop, from any thread or from a signal, for which one thread waits.

    `is_asked`: whether the request was made.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._signal_number = 0
        # A signal may come while the same thread waits, where it must not take an Event's lock.
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def exit_code(self) -> int:
        """Return the exit code of the process: 130 for Ctrl-C, 143 for SIGTERM, 0 for neither."""
        return _SIGNAL_EXIT_BASE + self._signal_number if self._signal_number else 0

    def ask(self) -> None:
        """Request the stop; may be called more than once."""
        self.is_asked = True
        self._wakeups.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds for the request; return whether it was made."""
        ends_at = math.inf if timeout is None else time.monotonic() + timeout
        while not self.is_asked and (remaining := ends_at - time.monotonic()) > 0:
            # A signal does not wake a wait that starts at the same instant, so waits are short.
            with suppress(queue.Empty):
                self._wakeups.get(timeout=min(remaining, _WAIT_SLICE))
        return self.is_asked

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Request a stop at the first SIGTERM or SIGINT in the block; the second one kills.

        Must be entered in the main thread.
        """
        handlers = {signum: signal.signal(signum, self._handle_signal) for signum in _STOP_SIGNALS}
        try:
            yield
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)

    def _handle_signal(self, signum: int, _frame: FrameType | None) -> None:
        # A second signal kills the process at once; nothing is lost at any instant.
        for stop_signal in _STOP_SIGNALS:
            signal.signal(stop_signal, signal.SIG_DFL)
        self._signal_number = signum
        self.ask()
