"""Whether an error says that the database is busy, or away, rather than that a program is wrong.

May import errors only.
"""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

from repermit.errors import DatabaseBusy

if TYPE_CHECKING:
    from collections.abc import Iterator

# https://www.sqlite.org/rescode.html; the low octet of an extended code is its primary one.
_PRIMARY = 0xFF
_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_SQLITE_AWAY = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})

# PostgreSQL, appendix A: serialization_failure, deadlock_detected, query_canceled,
# lock_not_available.
_POSTGRESQL_BUSY = ("40001", "40P01", "57014", "55P03")
# Connection exceptions, insufficient resources, operator intervention, system errors; and a
# connection that was ended as it was idle in a transaction.
_POSTGRESQL_AWAY = ("08", "53", "57P", "58", "25P03")

# read_only_sql_transaction: a standby, such as the former primary after a failover. So is refused
# what is written on a connection that was told to read alone.
_POSTGRESQL_READ_ONLY = "25006"

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


def is_busy(error: BaseException) -> bool:
    """Say whether others hold what was to be written, so that trying again soon may help."""
    return any(
        isinstance(cause, DatabaseBusy)
        or _sqlite_code(cause) in _SQLITE_BUSY
        or _sqlstate(cause).startswith(_POSTGRESQL_BUSY)
        for cause in _causes(error)
    )


def is_away(error: BaseException, *, may_write: bool = True) -> bool:
    """Say whether the database cannot be reached or written for now: stopped, cut off, disk full.

    What comes of a program that is wrong is neither busy nor away.

    - `may_write`: whether the connection may write, so that only a standby refuses what is written.
    """
    return any(
        _means_away(cause) or (may_write and _sqlstate(cause) == _POSTGRESQL_READ_ONLY)
        for cause in _causes(error)
    )


def _means_away(cause: BaseException) -> bool:
    if isinstance(cause, OSError):
        return cause.errno in _DISK
    if _is_without_state(cause):
        # As psycopg has it where no server answered: refused, starting up, gone in the middle.
        return any(kind.__name__ == "OperationalError" for kind in type(cause).__mro__)
    return _sqlite_code(cause) in _SQLITE_AWAY or _sqlstate(cause).startswith(_POSTGRESQL_AWAY)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what peewee has wrapped in it, and those that it came of.

    SQLite ends a transaction by itself when the disk is full, and then has none to roll back.
    """
    pending: list[BaseException | None] = [error]
    while pending:
        if cause := pending.pop():
            yield cause
            pending += (cause.__context__, getattr(cause, "orig", None))


def _sqlite_code(cause: BaseException) -> int | None:
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def _sqlstate(cause: BaseException) -> str:
    return getattr(cause, "sqlstate", None) or ""


def _is_without_state(cause: BaseException) -> bool:
    return getattr(cause, "sqlstate", "") is None
