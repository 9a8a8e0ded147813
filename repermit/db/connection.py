"""The database: SQLite with a fair lock before its own write lock, or PostgreSQL."""

from __future__ import annotations

import errno
import logging
import math
import secrets
import sqlite3
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import peewee

from repermit.db.suppression_journal import Journal
from repermit.db.write_lock import LOCK_TIMEOUT, WriteLock
from repermit.errors import ConfigError, DatabaseBusy

_T = TypeVar("_T")

# At DEBUG it writes every statement with its values, addresses among them, into the log.
logging.getLogger("peewee").setLevel(logging.INFO)

proxy = peewee.DatabaseProxy()
"""Stands for the database in use; the tables are bound to it."""

_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "secure_delete": 1,
    "cache_size": -16_000,
    "temp_store": "memory",
    # Not within a commit, where everybody waits for it, see `checkpoint_wal`.
    "wal_autocheckpoint": 0,
}

_WRITE_BACK_EVERY = 0.5
"""Seconds between two times that a process which writes much writes the log back."""


class _Savepoint(peewee._savepoint):  # noqa: SLF001  there is no other name
    """A savepoint which, rolled back, takes no lifting into the journal that may not have been.

    What the transaction lifted before is left out too: a suppression too many is the safe side.
    """

    def rollback(self, begin: bool = True) -> None:  # noqa: FBT001, FBT002  as peewee has it
        """Roll back to the savepoint, unless the whole transaction is rolled back already."""
        if not self.db.is_transaction_lost():
            super().rollback(begin)
        if self.db.journal:
            self.db.journal.forget_after()


class _JournallingDatabase(peewee.Database):
    """What a transaction has for the journal is written before its commit, and after."""

    journal: Journal | None = None
    before_commit: Callable[[], None] | None = None
    """What is called in the thread that commits, when nothing but the commit is left to do."""
    commit_failed: Callable[[peewee.PeeweeException], None] | None = None
    """What is called in that thread with the error of a commit that failed."""
    writes_back: bool = True
    """Whether commits have SQLite's log written back; where people wait for them, a job does."""
    _committed = threading.local()

    def commit(self) -> Any:
        """Commit between what the journal gets before and what it gets after."""
        if self.journal and (size := self.journal.before_commit()):
            # Whose table is made with what stands here.
            from repermit.db.journal_seal import seal_journal  # noqa: PLC0415

            seal_journal(self.journal, size)
        if self.before_commit:
            self.before_commit()
        try:
            result = super().commit()
        except peewee.PeeweeException as error:
            if self.commit_failed:
                self.commit_failed(error)
            raise
        if self.journal:
            self.journal.after_commit()
        self._committed.at = time.monotonic()
        return result

    @property
    def committed_at(self) -> float:
        """Return when the last transaction of this thread was committed, by time.monotonic."""
        at: float = self._committed.at
        return at

    def rollback(self) -> Any:
        """Roll back, and forget what the journal was to get."""
        if self.journal:
            self.journal.forget()
        # Another error would hide the one that tells why it is lost.
        return None if self.is_transaction_lost() else super().rollback()

    @abstractmethod
    def is_transaction_lost(self) -> bool:
        """Say whether the database itself has rolled back the transaction of this thread."""

    def savepoint(self, sid: str | None = None) -> _Savepoint:
        """Return a savepoint, to be entered."""
        return _Savepoint(self, sid)


class FairSqliteDatabase(_JournallingDatabase, peewee.SqliteDatabase):
    """SQLite whose every transaction passes a fair lock; DatabaseBusy if that takes too long."""

    def __init__(self, path: Path, *, patience: float = LOCK_TIMEOUT) -> None:
        super().__init__(
            str(path),
            pragmas=_PRAGMAS,
            timeout=LOCK_TIMEOUT,
            lock_type="IMMEDIATE",
            field_types={"UTCDATETIME": "TEXT"},
        )
        self.path = path
        self.write_lock = WriteLock(path, patience=patience)
        self._opened = threading.local()
        self._write_back_at = 0.0

    def _connect(self) -> Any:
        # Looked at before it is opened: what is put in its place in between is opened then.
        before = self._file()
        connection = super()._connect()  # type: ignore[misc]
        self._opened.file = before or self._file()
        return connection

    def is_connection_usable(self) -> bool:
        """Say whether this thread's connection is open, to the file that lies there now.

        What was written to a file that another was put in place of would be lost.
        """
        return bool(super().is_connection_usable()) and self._opened.file == self._file()

    def _file(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = self.path.stat()
            return found.st_dev, found.st_ino
        return None

    def dispose(self) -> None:
        """Forget this thread's connection; the write lock's files may be others from now on."""
        super().dispose()
        self.write_lock.close()

    def begin(self, lock_type: str | None = None) -> None:
        """Wait for the turn, then begin."""
        self.write_lock.enter()
        try:
            super().begin(lock_type)
        except BaseException:
            self.write_lock.leave()
            raise

    def commit(self) -> Any:
        """Commit, then let the next one in; after a failure the rollback that follows does.

        The journal's lines stand in the order of the transactions, since they are written in turn.
        """
        result = super().commit()
        self.write_lock.leave()
        if self.writes_back and time.monotonic() > self._write_back_at:
            self._write_back_now()
        return result

    def _write_back_now(self) -> None:
        # One thread is enough.
        self._write_back_at = math.inf
        try:
            # What is committed stays so, whether or not there is room for it in the file by now.
            with suppress(peewee.PeeweeException):
                checkpoint_wal(self)
        finally:
            self._write_back_at = time.monotonic() + _WRITE_BACK_EVERY

    def rollback(self) -> Any:
        """Roll back, then let the next one in."""
        try:
            return super().rollback()
        finally:
            self.write_lock.leave()

    def is_transaction_lost(self) -> bool:
        """Say whether SQLite has rolled back by itself, as when the disk is full.

        https://sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
        """
        connection = self.connection()  # type: ignore[no-untyped-call]
        return not connection.in_transaction

    def close(self) -> bool:
        """Close this thread's connection, and the write lock's files if no other thread writes."""
        was_open = super().close()
        self.write_lock.close()
        return was_open


class JournallingPostgresql(_JournallingDatabase, peewee.PostgresqlDatabase):
    """PostgreSQL with the journal of this machine."""

    def _initialize_connection(self, conn: Any) -> None:
        """Let a query that counts a million rows leave the other cores to those who answer.

        A tenth of the usual sample tells the planner enough, where ANALYZE is asked for.
        """
        conn.execute("SET max_parallel_workers_per_gather = 0; SET default_statistics_target = 10")

    def is_transaction_lost(self) -> bool:
        """Say whether the connection is lost, and the transaction with it."""
        connection = self.connection()  # type: ignore[no-untyped-call]
        return bool(connection.closed)


Database = FairSqliteDatabase | JournallingPostgresql


def connect(url: str, *, journal: Journal | None = None) -> Database:
    """Make the database at `url` the one in use; see Settings.database for its form.

    `journal` is where its suppressions are journalled; without one they are not.
    """
    database: Database
    if url.startswith("sqlite:///"):
        database = FairSqliteDatabase(Path(url.removeprefix("sqlite:///")))
    else:
        database = _connect_postgresql(url)
    database.journal = journal
    proxy.initialize(database)
    return database


@contextmanager
def open_database(url: str, *, journal: Journal | None = None) -> Iterator[Database]:
    """Open the database at `url` for this thread, and close it at the end; see `connect`."""
    database = connect(url, journal=journal)
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


def set_idle_transaction_timeout(database: Database) -> None:
    """Have PostgreSQL end this connection if it falls asleep in the middle of a transaction.

    A process that is stopped, or a machine that is gone, would hold its locks for ever, and up all
    who need them, such as that of the rates. A limit that stands in the database, or comes with its
    address, stays.
    """
    if is_postgresql(database):
        run_sql(database, _SET_IDLE_TIMEOUT, _IDLE_TIMEOUT)


_IDLE_TIMEOUT = "30s"
_SET_IDLE_TIMEOUT = """\
SELECT set_config('idle_in_transaction_session_timeout', %s, false)
WHERE current_setting('idle_in_transaction_session_timeout') = '0'"""


@contextmanager
def without_lock_timeout(database: Database) -> Iterator[None]:
    """Let this thread wait for its turn to write for however long others hold the database."""
    if isinstance(database, FairSqliteDatabase):
        with database.write_lock.waiting_at_most(math.inf):
            yield
    else:
        yield


def checkpoint_wal(database: Database) -> int:
    """Write SQLite's write-ahead log into its file, as far as it can be; outside a transaction.

    Returns how many pages of it are left, for which somebody who reads has to end first.

    Others write meanwhile, unlike where a commit does it: after a long reading, up to which nothing
    can be written back, that may be seconds. What they write is written back too, so that the log
    begins anew instead of growing: cutting off a gigabyte holds everybody up for half a second.

    https://sqlite.org/wal.html#checkpointing
    """
    left = 0
    if isinstance(database, FairSqliteDatabase):
        for _ in range(2):
            is_busy, pages, written = run_sql(database, "PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            # While another process is at it, nothing is known.
            left = _MANY_PAGES if is_busy else pages - written
    return left


_MANY_PAGES = 1 << 32


def analyze_grown_tables(database: Database) -> None:
    """Have PostgreSQL count the tables that have grown since it did; outside a transaction.

    Its planner goes on taking a table, or a list in it, for as small as it was when it was last
    counted, and reads all of it for each row of a step. Autovacuum looks once a minute.
    https://www.postgresql.org/docs/current/planner-stats.html
    """
    if is_postgresql(database):
        for (table,) in run_sql(database, _SELECT_GROWN_TABLES).fetchall():
            # Another process may have dropped it since, such as the rows of a file that is merged.
            with suppress(peewee.ProgrammingError):
                # Another process that is at it is enough.
                run_sql(database, f'ANALYZE (SKIP_LOCKED) "{table}"')


_SELECT_GROWN_TABLES = """\
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
AND pg_relation_size(oid) > relpages * current_setting('block_size')::bigint"""


def read_data_version(database: FairSqliteDatabase) -> int:
    """Return what changes when others have written into SQLite's file.

    https://sqlite.org/pragma.html#pragma_data_version
    """
    (version,) = run_sql(database, "PRAGMA data_version").fetchone()
    return int(version)


def is_used_by_others(database: Database, seconds: float) -> bool:
    """Say whether other connections have run anything on PostgreSQL in the last `seconds`.

    https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
    """
    (is_used,) = run_sql(database, _IS_USED_BY_OTHERS, seconds).fetchone()
    return bool(is_used)


_IS_USED_BY_OTHERS = """\
SELECT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
    AND (state <> 'idle' OR state_change > statement_timestamp() - make_interval(secs => %s))
)"""


def has_lock_waiters(database: Database) -> bool:
    """Say whether anybody waits on PostgreSQL for a lock that another connection holds."""
    return is_postgresql(database) and bool(run_sql(database, _IS_AWAITED).fetchone()[0])


_IS_AWAITED = """\
SELECT EXISTS (
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
)"""


@contextmanager
def limit_lock_wait(database: Database, seconds: float) -> Iterator[None]:
    """Let this thread, whose connection is open, wait for so many seconds for what others hold.

    On SQLite it is DatabaseBusy that is raised then, unless the one who holds it passes no
    write lock; see `is_busy` for what PostgreSQL raises.
    """
    if not isinstance(database, FairSqliteDatabase):
        with _lock_limit(database, "SET lock_timeout = {}", "RESET lock_timeout", seconds):
            yield
        return
    limit = "PRAGMA busy_timeout = {}"
    with (
        _lock_limit(database, limit, limit.format(round(LOCK_TIMEOUT * 1000)), seconds),
        database.write_lock.waiting_at_most(seconds),
    ):
        yield


@contextmanager
def _lock_limit(database: Database, change: str, back: str, seconds: float) -> Iterator[None]:
    """Change how long the database itself waits, and back; it counts in milliseconds, 0 is none."""
    run_sql(database, change.format(max(1, round(seconds * 1000))))
    try:
        yield
    finally:
        # A connection that is broken, or was closed, knows nothing of it any more.
        if not database.is_closed():
            with suppress(peewee.PeeweeException):
                run_sql(database, back)


@contextmanager
def skip_reference_checks(database: Database) -> Iterator[None]:
    """Delete rows without SQLite's search for others that refer to them.

    For tables of a million rows that no index finds them in, where the same transaction has made
    sure that there are none. On PostgreSQL such a search holds up nobody. Nor does anything cascade
    on SQLite meanwhile. Must be entered and left outside a transaction.
    """
    if not isinstance(database, FairSqliteDatabase):
        yield
        return
    run_sql(database, "PRAGMA foreign_keys = 0")
    try:
        yield
    finally:
        # A connection that was closed is opened with it.
        if not database.is_closed():
            run_sql(database, "PRAGMA foreign_keys = 1")


@contextmanager
def read_snapshot(database: Database) -> Iterator[None]:
    """Show this thread the database as it is now, whatever others write; nothing may be written.

    Nobody is kept waiting by it. Inside a transaction it leaves things as they are.
    """
    if database.in_transaction():
        yield
        return
    snapshot = " ISOLATION LEVEL REPEATABLE READ READ ONLY" if is_postgresql(database) else ""
    # Past the write lock, which is for those who write.
    run_sql(database, f"BEGIN{snapshot}")
    try:
        yield
    finally:
        run_sql(database, "ROLLBACK")


def stream_rows(query: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query, in a transaction; memory stays flat however many there are.

    PostgreSQL would hand over all of them at once.
    """
    database = proxy.obj
    if not is_postgresql(database):
        yield from database.execute(query)
        return
    statement, values = query.sql()
    name = f"rows_{secrets.token_hex(8)}"
    run_sql(database, f"DECLARE {name} NO SCROLL CURSOR FOR {statement}", *values)
    while rows := run_sql(database, f"FETCH {_FETCH_SIZE} FROM {name}").fetchall():
        yield from rows


_FETCH_SIZE = 2000


def find_position(text: Any, sign: Any) -> Any:
    """Return the SQL for where in a text a sign or a text stands first, counting from 1."""
    name = "STRPOS" if is_postgresql(proxy.obj) else "INSTR"
    return getattr(peewee.fn, name)(text, sign)


def make_id_list(numbers: Iterable[int]) -> peewee.SQL:
    """Return numbers as a list in SQL: bound one by one, hundreds of them take peewee long."""
    # Nothing is equal to null, and PostgreSQL knows no list of nothing.
    return peewee.SQL(f"({', '.join(map(str, map(int, numbers))) or 'NULL'})")


def make_value_list(values: Iterable[Any]) -> peewee.SQL:
    """Return values as a list in SQL, bound as the database keeps them: see `make_id_list`."""
    known = tuple(values) or (None,)
    return peewee.SQL(f"({', '.join([proxy.obj.param] * len(known))})", known)


def iter_pages(
    query: Any, key: Any, *, size: int, read_key: Callable[[Any], Any], after: object = 0
) -> Iterator[list[Any]]:
    """Yield the rows of a query a page at a time, in the order of a key; none is held open.

    - `key` is a column that no two of the rows share; `read_key` reads it from a row.
    - `after` is what comes before the first key.
    """
    while page := list(query.where(key > after).order_by(key).limit(size)):
        yield page
        after = read_key(page[-1])


@dataclass
class RowCounter:
    """How many rows have been handed on so far, which may end at any of them."""

    rows: int = 0

    def count(self, found: Iterable[_T]) -> Iterator[_T]:
        """Yield the rows, and count each before it is handed on."""
        for row in found:
            self.rows += 1
            yield row


def chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Cut a sequence into pieces of `size` at most, since a statement has a limited length."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _connect_postgresql(url: str) -> JournallingPostgresql:
    try:
        import psycopg  # noqa: PLC0415  an optional extra
    except ImportError:
        raise ConfigError(
            "PostgreSQL needs the extra: pip install 'repermit[postgres]'", key="database"
        ) from None
    try:
        limits = {**_NETWORK_LIMITS, **psycopg.conninfo.conninfo_to_dict(url)}
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            "the database cannot be used: %(reason)s", key="database", reason=str(error).strip()
        ) from None
    return JournallingPostgresql(
        url,
        prefer_psycopg3=True,
        field_types={"UTCDATETIME": "TIMESTAMPTZ"},
        connect_timeout=limits["connect_timeout"],
        tcp_user_timeout=limits["tcp_user_timeout"],
    )


_NETWORK_LIMITS = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
"""How long to wait for a server that does not answer, in s and ms, unless its address says so.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""


# --- Whether an error says that the database is busy or away. -------------------------------------


# https://www.sqlite.org/rescode.html; the low octet of an extended code is its primary one.
_PRIMARY = 0xFF
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_SQLITE_AWAY = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
# A write that failed, which in a commit is one before the mark that ends it in the log. What fails
# after that, such as the index of the log, leaves open what a crash would make of it.
# https://sqlite.org/fileformat.html#walformat
_SQLITE_UNWRITTEN = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})

# PostgreSQL, appendix A: serialization_failure, deadlock_detected, query_canceled,
# lock_not_available.
_POSTGRESQL_BUSY = ("40001", "40P01", "57014", "55P03")
# Connection exceptions, insufficient resources, operator intervention, system errors; and a
# connection that was ended as it was idle in a transaction.
_POSTGRESQL_AWAY = ("08", "53", "57P", "58", "25P03")
# Insufficient resources, such as a full disk: it ends the transaction, and not the connection.
_POSTGRESQL_UNWRITTEN = "53"

# read_only_sql_transaction: a standby, such as the former primary after a failover. So is refused
# what is written on a connection that was told to read alone.
_POSTGRESQL_READ_ONLY = "25006"

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


def is_busy(error: BaseException) -> bool:
    """Say whether others hold what was to be written, so that trying again soon may help."""
    return any(
        isinstance(cause, DatabaseBusy)
        or _get_sqlite_code(cause) in _SQLITE_BUSY
        or _get_sqlstate(cause).startswith(_POSTGRESQL_BUSY)
        for cause in _iter_causes(error)
    )


def is_database_unavailable(error: BaseException, *, may_write: bool = True) -> bool:
    """Say whether the database cannot be reached or written for now: stopped, cut off, disk full.

    What comes of a program that is wrong is neither busy nor away.

    - `may_write`: whether the connection may write, so that only a standby refuses what is written.
    """
    return any(
        _is_unavailable_error(cause)
        or (may_write and _get_sqlstate(cause) == _POSTGRESQL_READ_ONLY)
        for cause in _iter_causes(error)
    )


def is_rolled_back(error: BaseException) -> bool:
    """Say whether a commit that failed has changed nothing for certain, as when the disk is full.

    Of one that was cut off nobody knows.
    """
    return is_busy(error) or any(
        getattr(cause, "sqlite_errorcode", None) in _SQLITE_UNWRITTEN
        or _get_sqlstate(cause).startswith(_POSTGRESQL_UNWRITTEN)
        for cause in _iter_causes(error)
    )


def _is_unavailable_error(cause: BaseException) -> bool:
    if isinstance(cause, OSError):
        return cause.errno in _DISK_ERRORS
    if _is_without_state(cause):
        # As psycopg has it where no server answered: refused, starting up, gone in the middle.
        return any(kind.__name__ == "OperationalError" for kind in type(cause).__mro__)
    return _get_sqlite_code(cause) in _SQLITE_AWAY or _get_sqlstate(cause).startswith(
        _POSTGRESQL_AWAY
    )


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what peewee has wrapped in it, and those that it came of.

    SQLite ends a transaction by itself when the disk is full, and then has none to roll back.
    """
    pending: list[BaseException | None] = [error]
    while pending:
        if cause := pending.pop():
            yield cause
            pending += (cause.__context__, getattr(cause, "orig", None))


def _get_sqlite_code(cause: BaseException) -> int | None:
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def _get_sqlstate(cause: BaseException) -> str:
    return getattr(cause, "sqlstate", None) or ""


def _is_without_state(cause: BaseException) -> bool:
    return getattr(cause, "sqlstate", "") is None
