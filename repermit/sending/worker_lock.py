"""Who sends: each worker holds a lock for as long as it lives, and is told when to stop.

The system gives the lock back however the process ends; a clock could not tell a dead worker from a
slow one.
"""

from __future__ import annotations

import fcntl
import hashlib
import queue
import signal
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
    def enter(cls, settings: Settings) -> Iterator[Worker]:
        """Be a new worker, alive until the end of the block or of the process."""
        worker = cls(new_id())
        path = settings.sqlite_path
        lock = (
            _session_lock(settings.database, worker.id)
            if path is None
            else _file_lock(_folder(path), worker.id)
        )
        with lock:
            yield worker


def is_alive(database: Database, worker_id: str) -> bool:
    """Say whether a worker's lock is held; works from any process, its own too."""
    if isinstance(database, peewee.PostgresqlDatabase):
        return not _is_session_lock_free(database, worker_id)
    return _is_held(_folder(Path(database.database)) / worker_id)


def _folder(database: Path) -> Path:
    return Path(f"{database}.workers")


@contextmanager
def _file_lock(folder: Path, name: str) -> Iterator[None]:
    # Who may open a worker's file may hold its lock, and so keep a dead one alive.
    folder.mkdir(mode=0o700, exist_ok=True)
    _sweep(folder)
    path = folder / name
    with _locked_file(path):
        try:
            yield
        finally:
            path.unlink()


def _locked_file(path: Path) -> IO[bytes]:
    """Make a file under its name only once it is locked: nobody sees it free while it is held."""
    making = path.with_name(f".{path.name}")
    while True:
        file = making.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            making.rename(path)
        except FileNotFoundError:
            # Somebody who swept came by before it was locked.
            file.close()
        else:
            return file


def _sweep(folder: Path) -> None:
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
def _session_lock(url: str, name: str) -> Iterator[None]:
    import psycopg  # noqa: PLC0415  an optional extra

    # A connection of its own: the lock must not end with the one that mails are marked on.
    with closing(psycopg.connect(url, autocommit=True)) as session:
        session.execute("SELECT pg_advisory_lock(%s)", (_lock_key(name),))
        try:
            yield
        finally:
            # The server notices the end of a session a moment late. One that it has ended itself
            # holds nothing any more.
            with suppress(psycopg.Error):
                session.execute("SELECT pg_advisory_unlock(%s)", (_lock_key(name),))


def _is_session_lock_free(database: Database, name: str) -> bool:
    key = _lock_key(name)
    cursor = run_sql(
        database,
        "SELECT CASE WHEN pg_try_advisory_lock_shared(%s)"
        " THEN pg_advisory_unlock_shared(%s) ELSE false END",
        key,
        key,
    )
    return bool(cursor.fetchone()[0])


def _lock_key(name: str) -> int:
    """Return the 64 bits that PostgreSQL names an advisory lock by."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


# --- How a process that sends is told to stop. ----------------------------------------------------


_SIGNS = (signal.SIGTERM, signal.SIGINT)
_SIGNALLED = 128


class Stopping:
    """The wish that something stops, from any thread or from a signal; one thread waits for it.

    `is_asked` says whether it has come.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._sign = 0
        # A signal may come while the same thread waits, where it must not take an Event's lock.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def exit_code(self) -> int:
        """Return what the process ends with: 130 for Ctrl-C, 143 for SIGTERM, 0 for neither."""
        return _SIGNALLED + self._sign if self._sign else 0

    def ask(self) -> None:
        """Wish it; more than once does no harm."""
        self.is_asked = True
        self._bell.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is asked for, so many seconds at most; say whether it was."""
        if not self.is_asked:
            with suppress(queue.Empty):
                self._bell.get(timeout=timeout)
        return self.is_asked

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ask at the first SIGTERM or SIGINT of the block; at the second one the process ends.

        Must be entered in the main thread.
        """
        before = {sign: signal.signal(sign, self._hear) for sign in _SIGNS}
        try:
            yield
        finally:
            for sign, once in before.items():
                signal.signal(sign, once)

    def _hear(self, sign: int, _frame: FrameType | None) -> None:
        # Whoever asks again does not want to wait; killed at any instant, nothing is lost.
        for one in _SIGNS:
            signal.signal(one, signal.SIG_DFL)
        self._sign = sign
        self.ask()
