"""The database: SQLite with a fair turnstile before its one write lock, or PostgreSQL.

May import config and errors only.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import peewee

from repermit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_T = TypeVar("_T")

# At DEBUG it writes every statement with its values, addresses among them, into the log.
logging.getLogger("peewee").setLevel(logging.INFO)

Database = peewee.SqliteDatabase | peewee.PostgresqlDatabase

proxy = peewee.DatabaseProxy()
"""Stands for the database in use; the tables are bound to it."""

_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "secure_delete": 1,
    "cache_size": -16_000,
    "temp_store": "memory",
}
_TIMEOUT = 30


class Turnstile:
    """Let writers through one by one in the order of their coming, across processes.

    SQLite's own lock is not fair: a busy writer takes it again before a waiting one wakes up.
    Here a writer takes B, then A, gives B back, and writes holding A. Whoever has just written
    must pass B again, where the first to wait stands already.
    """

    def __init__(self, database: Path) -> None:
        self._paths = (Path(f"{database}.turn-a"), Path(f"{database}.turn-b"))
        self._mine = threading.local()

    def enter(self) -> None:
        """Wait for this thread's turn to write."""
        held, door = self._files()
        fcntl.flock(door, fcntl.LOCK_EX)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
        finally:
            fcntl.flock(door, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Let the next one write; harmless if this thread holds nothing."""
        fcntl.flock(self._files()[0], fcntl.LOCK_UN)

    def close(self) -> None:
        """Close this thread's files; they are opened again at its next turn."""
        if hasattr(self._mine, "files"):
            for file in self._mine.files:
                file.close()
            del self._mine.files

    def _files(self) -> tuple[IO[bytes], IO[bytes]]:
        # A lock belongs to an open file, so each thread needs its own.
        if not hasattr(self._mine, "files"):
            self._mine.files = tuple(
                open(path, "ab", opener=_privately)  # noqa: SIM115  until `close`
                for path in self._paths
            )
        files: tuple[IO[bytes], IO[bytes]] = self._mine.files
        return files


def _privately(path: str, flags: int) -> int:
    # Whoever may open such a file may hold the lock, and so everybody up.
    return os.open(path, flags, mode=0o600)


class TurnstileDatabase(peewee.SqliteDatabase):
    """SQLite whose every transaction passes the turnstile."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            str(path),
            pragmas=_PRAGMAS,
            timeout=_TIMEOUT,
            lock_type="IMMEDIATE",
            field_types={"UTCDATETIME": "TEXT"},
        )
        self.path = path
        self._turnstile = Turnstile(path)

    def begin(self, lock_type: str | None = None) -> None:
        """Wait for the turn, then begin."""
        self._turnstile.enter()
        try:
            super().begin(lock_type)
        except BaseException:
            self._turnstile.leave()
            raise

    def commit(self) -> Any:
        """Commit, then let the next one in; after a failure the rollback that follows does."""
        result = super().commit()
        self._turnstile.leave()
        return result

    def rollback(self) -> Any:
        """Roll back, then let the next one in."""
        try:
            return super().rollback()
        finally:
            self._turnstile.leave()

    def close(self) -> bool:
        """Close this thread's connection and its files of the turnstile."""
        was_open = super().close()
        self._turnstile.close()
        return was_open


def connect(url: str) -> Database:
    """Make the database at `url` the one in use; see Settings.database for its form."""
    database: Database
    if url.startswith("sqlite:///"):
        database = TurnstileDatabase(Path(url.removeprefix("sqlite:///")))
    else:
        database = _postgresql(url)
    proxy.initialize(database)
    return database


@contextmanager
def open_database(url: str) -> Iterator[Database]:
    """Open the database at `url` for this thread, and close it at the end."""
    database = connect(url)
    with database.connection_context():
        yield database


def is_postgresql(database: Database) -> bool:
    """Say whether this is PostgreSQL rather than SQLite."""
    return isinstance(database, peewee.PostgresqlDatabase)


def run_sql(database: Database, statement: str, *values: object) -> Any:
    """Run a statement that peewee has no words for; return its cursor."""
    return database.execute_sql(statement, values)  # type: ignore[no-untyped-call]


def lock_rows(query: Any) -> Any:
    """Lock the rows that a query finds until the transaction ends.

    On SQLite the transaction itself holds the one write lock already.
    """
    return query.for_update() if is_postgresql(proxy.obj) else query


def position(text: Any, sign: str) -> Any:
    """Return the SQL for where in a text a sign stands first, counting from 1."""
    name = "STRPOS" if is_postgresql(proxy.obj) else "INSTR"
    return getattr(peewee.fn, name)(text, sign)


def literal(numbers: Iterable[int]) -> peewee.SQL:
    """Return numbers as a list in SQL: bound one by one, hundreds of them take peewee long."""
    return peewee.SQL(f"({', '.join(map(str, map(int, numbers)))})")


def chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Cut a sequence into pieces of `size` at most, since a statement has a limited length."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _postgresql(url: str) -> peewee.PostgresqlDatabase:
    try:
        import psycopg  # noqa: F401, PLC0415  an optional extra
    except ImportError:
        message = "PostgreSQL needs the extra: pip install 'repermit[postgres]'"
        raise ConfigError(message, key="database") from None
    return peewee.PostgresqlDatabase(
        url, prefer_psycopg3=True, field_types={"UTCDATETIME": "TIMESTAMPTZ"}
    )
