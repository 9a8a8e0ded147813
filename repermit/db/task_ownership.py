"""Locks by which a worker leaves alone a large work that somebody does by hand.

They only spare everybody waiting: all may take steps of the same work at once. A lock goes with its
process, so that after a kill the worker goes on at its next sweep.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from typing import IO

from peewee import PeeweeException

from repermit.db.background_tasks import TaskKind
from repermit.db.connection import Database, FairSqliteDatabase, run_sql
from repermit.db.write_lock import open_private


class Work(StrEnum):
    """What is done in steps, both by hand and by a worker, beside the kinds of tasks."""

    EXPIRE = "expire"
    ERASE = "erase"
    DROP_MAILS = "drop_mails"  # of a campaign that is over
    END_PILOT = "end_pilot"


@contextmanager
def foreground_work(database: Database, work: Work | TaskKind) -> Iterator[None]:
    """Do a work by hand: for the block no worker begins it, and one that has begun stops.

    Several may do so at once. Must be entered and left outside a transaction.
    """
    # Only a worker that looks whether anybody is at it is ever waited for.
    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, f"{work}-by-hand") as file:
            if file is not None:
                fcntl.flock(file, fcntl.LOCK_SH)
            yield
    else:
        number = _make_lock_number(f"{work}-by-hand")
        run_sql(database, "SELECT pg_advisory_lock_shared(%s)", number)
        with _unlock_at_end(database, "pg_advisory_unlock_shared", number):
            yield


@contextmanager
def background_work(
    database: Database, work: Work | TaskKind, should_stop: Callable[[], bool] = bool
) -> Iterator[Callable[[], bool]]:
    """Do a work as a worker does; yield what says, before each step, whether to stop.

    That is when `should_stop` says so, when somebody does the work by hand, and from the beginning
    where another worker is at it. Must be entered and left outside a transaction.
    """
    is_over = False

    def must_stop() -> bool:
        nonlocal is_over
        # Once and for all: what was to be done may be done in part then.
        is_over = is_over or should_stop() or _is_done_by_hand(database, work)
        return is_over

    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, work) as file:
            yield must_stop if _try_lock(file) else lambda: True
        return
    number = _make_lock_number(work)
    (is_mine,) = run_sql(database, "SELECT pg_try_advisory_lock(%s)", number).fetchone()
    if not is_mine:
        yield lambda: True
        return
    with _unlock_at_end(database, "pg_advisory_unlock", number):
        yield must_stop


def _is_done_by_hand(database: Database, work: Work | TaskKind) -> bool:
    name = f"{work}-by-hand"
    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, name) as file:
            return not _try_lock(file)
    # Released with the statement, which is a transaction of its own.
    query = "SELECT pg_try_advisory_xact_lock(%s)"
    (is_free,) = run_sql(database, query, _make_lock_number(name)).fetchone()
    return not is_free


@contextmanager
def _open_lock_file(database: FairSqliteDatabase, name: str) -> Iterator[IO[bytes] | None]:
    """Open the file of a lock; None if it cannot be, as one that another user has made."""
    with ExitStack() as stack:
        file = None
        with suppress(OSError):
            path = f"{database.path}.lock-{name}"
            file = stack.enter_context(open(path, "ab", opener=open_private))
        yield file


def _try_lock(file: IO[bytes] | None) -> bool:
    """Take the lock on a file, which is held until it is closed; False if another has it."""
    if file is None:
        return True
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _make_lock_number(name: str) -> int:
    digest = hashlib.sha256(f"repermit work {name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


@contextmanager
def _unlock_at_end(database: Database, function: str, number: int) -> Iterator[None]:
    """Give a lock of PostgreSQL's back at the end; it is gone already with a broken connection."""
    try:
        yield
    finally:
        with suppress(PeeweeException):
            run_sql(database, f"SELECT {function}(%s)", number)
