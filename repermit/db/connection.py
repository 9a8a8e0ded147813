"""The database: SQLite with a fair lock before its own write lock, or PostgreSQL."""

from __future__ import annotations

import errno
import logging
import math
import secrets
import select
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
"""A proxy for the database in use; the tables are bound to it."""

_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "secure_delete": 1,
    "cache_size": -16_000,
    "temp_store": "memory",
    # Not within a commit, which would block all writers; see `checkpoint_wal`.
    "wal_autocheckpoint": 0,
}

_CHECKPOINT_INTERVAL = 0.5
"""Seconds between two checkpoints of a process that writes much."""


class _Savepoint(peewee._savepoint):  # noqa: SLF001  there is no other name
    """A savepoint whose rollback also discards the lifts that wait for the journal.

    Lifts from before the savepoint are discarded too: a suppression too many is the safe side.
    """

    def rollback(self, begin: bool = True) -> None:  # noqa: FBT001, FBT002  as peewee has it
        """Roll back to the savepoint, unless the whole transaction is lost already."""
        if not self.db.is_transaction_lost():
            super().rollback(begin)
        if self.db.journal:
            self.db.journal.discard_lines_after_commit()


class _JournallingDatabase(peewee.Database):
    """A database that writes to the journal of suppressions before and after each commit."""

    journal: Journal | None = None
    before_commit: Callable[[], None] | None = None
    """Called in the committing thread, when only the commit is left to do."""
    commit_failed: Callable[[peewee.PeeweeException], None] | None = None
    """Called in the committing thread with the error of a failed commit."""
    checkpoints_wal: bool = True
    """Whether commits checkpoint SQLite's log; False in the web process, which has a job for it."""
    _committed = threading.local()

    def commit(self) -> Any:
        """Commit; write the journal's suppressions before and its lifts after."""
        if self.journal and (size := self.journal.before_commit()):
            # Imported late: its table is bound to this module's proxy.
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
        """Return when this thread last committed, by time.monotonic."""
        at: float = self._committed.at
        return at

    def rollback(self) -> Any:
        """Roll back, and discard the lines for the journal."""
        if self.journal:
            self.journal.discard_lines()
        # A second error would hide the one that says why it is lost.
        return None if self.is_transaction_lost() else super().rollback()

    @abstractmethod
    def is_transaction_lost(self) -> bool:
        """Say whether the database itself has rolled back the transaction of this thread."""

    def savepoint(self, sid: str | None = None) -> _Savepoint:
        """Return a savepoint, as a context manager."""
        return _Savepoint(self, sid)


class FairSqliteDatabase(_JournallingDatabase, peewee.SqliteDatabase):
    """SQLite with a fair write lock; `begin` raises DatabaseBusy after the timeout."""

    def __init__(self, path: Path, *, timeout: float = LOCK_TIMEOUT) -> None:
        uri = path.absolute().as_uri()
        super().__init__(
            uri,
            uri=True,
            pragmas=_PRAGMAS,
            timeout=LOCK_TIMEOUT,
            lock_type="IMMEDIATE",
            field_types={"UTCDATETIME": "TEXT"},
        )
        self.path = path
        self.write_lock = WriteLock(path, timeout=timeout)
        self._existing_uri = f"{uri}?mode=rw"
        self._opened = threading.local()
        self._checkpoint_at = 0.0

    def _connect(self) -> Any:
        # Read before opening: a file that replaces it in between is then opened again.
        before = self._identify_file()
        connection = super()._connect()  # type: ignore[misc]
        self._opened.file = before or self._identify_file()
        # From now on a missing file is an error, and no empty one is created in its place.
        self.database = self._existing_uri
        return connection

    def is_connection_usable(self) -> bool:
        """Say whether this thread's connection is open, to the file that is there now.

        After a restore has replaced the file, writes to the former one would be lost.
        """
        return bool(super().is_connection_usable()) and self._opened.file == self._identify_file()

    def _identify_file(self) -> tuple[int, int] | None:
        with suppress(OSError):
            status = self.path.stat()
            return status.st_dev, status.st_ino
        return None

    def dispose(self) -> None:
        """Forget this thread's connection, and close the write lock's files."""
        super().dispose()
        self.write_lock.close()

    def begin(self, lock_type: str | None = None) -> None:
        """Acquire the write lock, then begin."""
        self.write_lock.acquire()
        try:
            super().begin(lock_type)
        except BaseException:
            self.write_lock.release()
            raise

    def commit(self) -> Any:
        """Commit, then release the write lock; after a failure the rollback releases it.

        The journal is written under the lock, so its lines are in the order of the transactions.
        """
        result = super().commit()
        self.write_lock.release()
        if self.checkpoints_wal and time.monotonic() > self._checkpoint_at:
            self._checkpoint_now()
        return result

    def _checkpoint_now(self) -> None:
        # One thread is enough.
        self._checkpoint_at = math.inf
        try:
            # The commit holds even if the checkpoint fails, as on a full disk.
            with suppress(peewee.PeeweeException):
                checkpoint_wal(self)
        finally:
            self._checkpoint_at = time.monotonic() + _CHECKPOINT_INTERVAL

    def rollback(self) -> Any:
        """Roll back, then release the write lock."""
        try:
            return super().rollback()
        finally:
            self.write_lock.release()

    def is_transaction_lost(self) -> bool:
        """Say whether SQLite has rolled back by itself, as when the disk is full.

        https://sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
        """
        connection = self.connection()  # type: ignore[no-untyped-call]
        return not connection.in_transaction

    def close(self) -> bool:
        """Close this thread's connection; close the lock's files unless another thread writes."""
        was_open = super().close()
        self.write_lock.close()
        return was_open


class JournallingPostgresql(_JournallingDatabase, peewee.PostgresqlDatabase):
    """PostgreSQL with the journal of this machine.

    A server may take connections and say nothing, as when its machine is stopped. Once a thread has
    found that, one at a time tries to connect, and the others are refused at once.
    """

    _silent_until = 0.0

    def connect(self, reuse_if_open: bool = False) -> bool:  # noqa: FBT001, FBT002  as peewee has it
        """Connect this thread; raises DatabaseBusy at once while the server says nothing."""
        if self.is_closed():
            # Before peewee's lock, which is held while another thread tries.
            self._refuse_while_silent()
        return bool(super().connect(reuse_if_open))

    def _connect(self) -> Any:
        self._refuse_while_silent()
        if self._silent_until:
            self._silent_until = math.inf
        try:
            connection = super()._connect()  # type: ignore[misc]
        except BaseException as error:
            self._silent_until = 0.0
            if type(error).__name__ == "ConnectionTimeout":
                self._note_silence()
            raise
        self._silent_until = 0.0
        return connection

    def _refuse_while_silent(self) -> None:
        if time.monotonic() < self._silent_until:
            raise DatabaseBusy("the database server says nothing")

    def _note_silence(self) -> None:
        self._silent_until = time.monotonic() + _SILENCE

    def is_answering(self, seconds: float, statement: str) -> bool:
        """Say whether the server runs a statement within so many seconds; outside a transaction."""
        from psycopg.pq import ExecStatus  # noqa: PLC0415  an optional extra

        connection = self.connection()  # type: ignore[no-untyped-call]
        pgconn, until = connection.pgconn, time.monotonic() + seconds
        arrival = select.poll()
        arrival.register(pgconn.socket, select.POLLIN)
        # Not by psycopg, which waits without end.
        pgconn.send_query(statement.encode())
        is_answered = False
        while True:
            while pgconn.is_busy():
                if not arrival.poll(max(until - time.monotonic(), 0) * 1000):
                    self._note_silence()
                    return False
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                return is_answered
            is_answered = result.status in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}

    def _initialize_connection(self, conn: Any) -> None:
        """Use one core a query, so that large counts leave the others to answers.

        A tenth of the default sample is enough for the planner after an ANALYZE.
        """
        conn.execute("SET max_parallel_workers_per_gather = 0; SET default_statistics_target = 10")

    def is_transaction_lost(self) -> bool:
        """Say whether the connection is lost, and with it the transaction."""
        connection = self.connection()  # type: ignore[no-untyped-call]
        return bool(connection.closed)


Database = FairSqliteDatabase | JournallingPostgresql


def connect(url: str, *, journal: Journal | None = None) -> Database:
    """Make the database at `url` the one in use; see Settings.database for its form.

    - `journal`: where its suppressions are journalled; None to journal none.
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
    """Run an SQL statement that peewee cannot build; return its cursor."""
    return database.execute_sql(statement, values)  # type: ignore[no-untyped-call]


def lock_rows(query: Any) -> Any:
    """Lock the rows that a query finds until the transaction ends.

    On SQLite the transaction itself holds the one write lock already.
    """
    return query.for_update() if is_postgresql(proxy.obj) else query


def set_idle_transaction_timeout(database: Database) -> None:
    """Have PostgreSQL end this connection if it stays idle in a transaction.

    Otherwise a stopped process or a lost machine would hold its locks, such as that of the rates,
    for ever. A timeout that the database or the URL sets already is left as it is.
    """
    if is_postgresql(database):
        run_sql(database, _SET_IDLE_TIMEOUT, _IDLE_TIMEOUT)


_IDLE_TIMEOUT = "30s"
_SET_IDLE_TIMEOUT = """\
SELECT set_config('idle_in_transaction_session_timeout', %s, false)
WHERE current_setting('idle_in_transaction_session_timeout') = '0'"""


@contextmanager
def without_lock_timeout(database: Database) -> Iterator[None]:
    """Let this thread wait for the write lock without a timeout, for the block."""
    if isinstance(database, FairSqliteDatabase):
        with database.write_lock.timeout_override(math.inf):
            yield
    else:
        yield


def checkpoint_wal(database: Database) -> int:
    """Checkpoint SQLite's write-ahead log (PASSIVE); return how many pages are left.

    Pages are left while a reader still needs them. Must be called outside a transaction.

    Others can write meanwhile, which they cannot while a commit does it: after a long read that may
    take seconds. A second checkpoint writes their pages too, so that the log starts over instead of
    growing: truncating a gigabyte blocks everybody for half a second.

    https://sqlite.org/wal.html#checkpointing
    """
    remaining = 0
    if isinstance(database, FairSqliteDatabase):
        for _ in range(2):
            is_busy, pages, written = run_sql(database, "PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            # While another process checkpoints, nothing is known.
            remaining = _UNKNOWN_PAGES if is_busy else pages - written
    return remaining


_UNKNOWN_PAGES = 1 << 32


def analyze_grown_tables(database: Database) -> None:
    """Run ANALYZE on PostgreSQL tables that have grown since the last; outside a transaction.

    Until then the planner assumes the former size and scans the whole table for each row of a step.
    Autovacuum looks once a minute only.
    https://www.postgresql.org/docs/current/planner-stats.html
    """
    if is_postgresql(database):
        for (table,) in run_sql(database, _SELECT_GROWN_TABLES).fetchall():
            # Another process may have dropped it since, such as the staged rows of an import.
            with suppress(peewee.ProgrammingError):
                # Skipped where another process analyzes it already.
                run_sql(database, f'ANALYZE (SKIP_LOCKED) "{table}"')


_SELECT_GROWN_TABLES = """\
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
AND pg_relation_size(oid) > relpages * current_setting('block_size')::bigint"""


def read_data_version(database: FairSqliteDatabase) -> int:
    """Return a number that changes when another connection has written to SQLite's file.

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
    """Say whether any PostgreSQL connection waits for a lock."""
    return is_postgresql(database) and bool(run_sql(database, _HAS_LOCK_WAITERS).fetchone()[0])


_HAS_LOCK_WAITERS = """\
SELECT EXISTS (
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
)"""


@contextmanager
def limit_lock_wait(database: Database, seconds: float) -> Iterator[None]:
    """Limit for the block how long this thread waits for locks; its connection is open.

    After that SQLite raises DatabaseBusy, or its own error if another program holds its lock
    without our write lock. For PostgreSQL's errors see `is_busy`.
    """
    if not isinstance(database, FairSqliteDatabase):
        with _override_setting(database, "SET lock_timeout = {}", _NO_LIMIT, seconds):
            yield
        return
    pragma = "PRAGMA busy_timeout = {}"
    with (
        _override_setting(database, pragma, pragma.format(round(LOCK_TIMEOUT * 1000)), seconds),
        database.write_lock.timeout_override(seconds),
    ):
        yield


_NO_LIMIT = "RESET lock_timeout"


@contextmanager
def _override_setting(
    database: Database, change: str, reset: str, seconds: float
) -> Iterator[None]:
    """Change the database's own lock timeout for the block; in milliseconds, 0 is no limit."""
    run_sql(database, change.format(max(1, round(seconds * 1000))))
    try:
        yield
    finally:
        end_lock_wait_limit(database, reset)


def end_lock_wait_limit(database: Database, statement: str = _NO_LIMIT) -> None:
    """Take back this thread's limit; by default PostgreSQL's."""
    # A closed connection has lost the setting, and a broken one cannot reset it.
    if not database.is_closed():
        with suppress(peewee.PeeweeException):
            run_sql(database, statement)


@contextmanager
def skip_reference_checks(database: Database) -> Iterator[None]:
    """Turn SQLite's foreign key checks off for the block.

    For deletions whose check would scan a table of a million rows without an index, where the same
    transaction has made sure that nothing refers to them. Cascades do not run either. On PostgreSQL
    the check blocks nobody and stays on. Must be entered and left outside a transaction.
    """
    if not isinstance(database, FairSqliteDatabase):
        yield
        return
    run_sql(database, "PRAGMA foreign_keys = 0")
    try:
        yield
    finally:
        # A connection that was closed turns it on when it is opened.
        if not database.is_closed():
            run_sql(database, "PRAGMA foreign_keys = 1")


@contextmanager
def read_snapshot(database: Database) -> Iterator[None]:
    """Run the block in a read-only snapshot transaction, which blocks nobody.

    Inside a transaction it does nothing.
    """
    if database.in_transaction():
        yield
        return
    snapshot = " ISOLATION LEVEL REPEATABLE READ READ ONLY" if is_postgresql(database) else ""
    # Without the write lock, which is for writers.
    run_sql(database, f"BEGIN{snapshot}")
    try:
        yield
    finally:
        run_sql(database, "ROLLBACK")


def stream_rows(query: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query in constant memory; must be called in a transaction.

    PostgreSQL needs a cursor for it: it sends the rows of a plain query all at once.
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


def find_position(text: Any, part: Any) -> Any:
    """Return SQL for the first position of a part in a text, counting from 1; 0 if not found."""
    name = "STRPOS" if is_postgresql(proxy.obj) else "INSTR"
    return getattr(peewee.fn, name)(text, part)


def make_id_list(numbers: Iterable[int]) -> peewee.SQL:
    """Return numbers as an SQL list, not bound: peewee is slow at binding hundreds of values."""
    # Nothing is equal to null, and PostgreSQL knows no list of nothing.
    return peewee.SQL(f"({', '.join(map(str, map(int, numbers))) or 'NULL'})")


def make_value_list(values: Iterable[Any]) -> peewee.SQL:
    """Return values as an SQL list, bound in their stored form; see `make_id_list`."""
    bound = tuple(values) or (None,)
    return peewee.SQL(f"({', '.join([proxy.obj.param] * len(bound))})", bound)


def iter_pages(
    query: Any, key: Any, *, size: int, read_key: Callable[[Any], Any], after: object = 0
) -> Iterator[list[Any]]:
    """Yield the rows of a query in pages, in the order of a key, without an open cursor.

    - `key`: a unique column; `read_key` reads it from a row.
    - `after`: the key after which to begin.
    """
    while page := list(query.where(key > after).order_by(key).limit(size)):
        yield page
        after = read_key(page[-1])


@dataclass
class RowCounter:
    """A count of the rows that an iterator has yielded so far, also if it ends early."""

    rows: int = 0

    def count(self, items: Iterable[_T]) -> Iterator[_T]:
        """Yield the rows, and count each before it is yielded."""
        for row in items:
            self.rows += 1
            yield row


def chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Yield slices of at most `size` items, since a statement has a limited length."""
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


_SILENCE = 1.0
"""Seconds without another try once a server has said nothing."""

_NETWORK_LIMITS = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
"""How long to wait for a server that does not answer, unless the URL sets it: s and ms.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""


# --- Whether an error says that the database is busy or unavailable. ------------------------------


# https://www.sqlite.org/rescode.html; the low octet of an extended code is its primary one.
_PRIMARY = 0xFF
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_SQLITE_UNAVAILABLE = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
)
# A failed write; in a commit, one before the frame that ends it in the log. If something fails
# after that frame, such as the log's index, a crash may still keep the commit or lose it.
# https://sqlite.org/fileformat.html#walformat
_SQLITE_UNWRITTEN = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})

# PostgreSQL, appendix A: serialization_failure, deadlock_detected, query_canceled,
# lock_not_available.
_POSTGRESQL_BUSY = ("40001", "40P01", "57014", "55P03")
# Connection exceptions, insufficient resources, operator intervention, system errors; and a
# connection that was ended as it was idle in a transaction.
_POSTGRESQL_UNAVAILABLE = ("08", "53", "57P", "58", "25P03")
# Insufficient resources, such as a full disk: it ends the transaction, and not the connection.
_POSTGRESQL_UNWRITTEN = "53"

# read_only_sql_transaction: a standby, such as the former primary after a failover. Also a write on
# a connection that was opened for reading only.
_POSTGRESQL_READ_ONLY = "25006"

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


def is_busy(error: BaseException) -> bool:
    """Say whether others hold a lock, so that trying again soon may help."""
    return any(
        isinstance(cause, DatabaseBusy)
        or _get_sqlite_code(cause) in _SQLITE_BUSY
        or _get_sqlstate(cause).startswith(_POSTGRESQL_BUSY)
        for cause in _iter_causes(error)
    )


def is_database_unavailable(error: BaseException, *, may_write: bool = True) -> bool:
    """Say whether the database cannot be reached or written now: stopped, cut off, disk full.

    An error in the program is neither busy nor unavailable.

    - `may_write`: whether the connection may write; then "read-only" means a standby.
    """
    return any(
        _is_unavailable_error(cause)
        or (may_write and _get_sqlstate(cause) == _POSTGRESQL_READ_ONLY)
        for cause in _iter_causes(error)
    )


def is_rolled_back(error: BaseException) -> bool:
    """Say whether a failed commit has certainly changed nothing, as when the disk is full.

    If the connection was lost, nobody knows.
    """
    return is_busy(error) or any(
        getattr(cause, "sqlite_errorcode", None) in _SQLITE_UNWRITTEN
        or _get_sqlstate(cause).startswith(_POSTGRESQL_UNWRITTEN)
        for cause in _iter_causes(error)
    )


def describe_error(error: BaseException) -> str:
    """Return the type of an error, with the database's code, for a log: a text may hold addresses.

    Such as "OperationalError (SQLITE_FULL)", or with PostgreSQL's SQLSTATE.
    """
    codes = (
        getattr(cause, "sqlite_errorname", None) or _get_sqlstate(cause)
        for cause in _iter_causes(error)
    )
    code = next(filter(None, codes), "")
    return f"{type(error).__name__} ({code})" if code else type(error).__name__


def _is_unavailable_error(cause: BaseException) -> bool:
    if isinstance(cause, OSError):
        return cause.errno in _DISK_ERRORS
    if _is_without_state(cause):
        # psycopg's error where no server answered: refused, starting up, or lost.
        return any(kind.__name__ == "OperationalError" for kind in type(cause).__mro__)
    return _get_sqlite_code(cause) in _SQLITE_UNAVAILABLE or _get_sqlstate(cause).startswith(
        _POSTGRESQL_UNAVAILABLE
    )


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, the one that peewee wrapped in it, and its causes.

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
