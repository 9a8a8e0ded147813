"""Wiping the remains of deleted rows from SQLite's pages and its write-ahead log.

For PostgreSQL see docs/explanation/erasing.md.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from repermit.db.connection import Database, FairSqliteDatabase, checkpoint_wal, proxy, run_sql
from repermit.db.models.base import Meta, Table, new_id
from repermit.db.work_steps import MAX_ROWS_PER_STEP, StepSize, run_steps

# --- Overwriting the remains of deleted rows in SQLite's pages. -----------------------------------


# A page without rows begins with the number of another page, whose first octet is none of these
# kinds while there are fewer than 2 << 24 pages.
_INTERIOR_KINDS, _LEAF_KINDS = (2, 5), (10, 13)
_MAX_PAGES = 2 << 24
_HEADER = struct.Struct(">BHHHB")


def scrub_pages(database: Database, *, should_stop: Callable[[], bool] = bool) -> bool:
    """Zero the unallocated part of each page of the open SQLite database; False if stopped.

    In short transactions, so that others can write in between. If SQLite was built without
    `sqlite_dbpage`, or has too many pages, VACUUM rewrites the whole file at once instead.
    """
    (count,) = run_sql(database, "PRAGMA page_count").fetchone()
    if count >= _MAX_PAGES or not _has_page_access(database):
        run_sql(database, "VACUUM")
        return True
    # The first page describes the tables only.
    first: int = 2

    def step(limit: int) -> bool:
        nonlocal first
        _scrub_range(database, range(first, min(first + limit, count + 1)))
        first += limit
        return first <= int(count)

    return run_steps(database, step, should_stop=should_stop)


def scrub_page(page: bytes) -> bytes:
    """Return a page with zeros in its unallocated part; not for the first page."""
    kind, _, cells, content, _ = _HEADER.unpack_from(page)
    if kind not in (*_INTERIOR_KINDS, *_LEAF_KINDS):
        return page
    begin = (12 if kind in _INTERIOR_KINDS else 8) + 2 * cells
    end = content or len(page)
    return page[:begin] + bytes(end - begin) + page[end:]


def _has_page_access(database: Database) -> bool:
    module = "SELECT 1 FROM pragma_module_list WHERE name = 'sqlite_dbpage'"
    return run_sql(database, module).fetchone() is not None


def _scrub_range(database: Database, numbers: range) -> None:
    # Without peewee, which would take longer than all the rest.
    cursor: Any = database.cursor()  # type: ignore[no-untyped-call]
    for number in numbers:
        rows = cursor.execute("SELECT data FROM sqlite_dbpage WHERE pgno = ?", (number,))
        for (page,) in rows.fetchall():
            scrubbed_page = scrub_page(page)
            if scrubbed_page != page:
                cursor.execute(
                    "UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?", (scrubbed_page, number)
                )


# --- Wiping the remains of deleted rows. ----------------------------------------------------------


_WIPE_KEY = "wipe_owed"
_READER_TIMEOUT = 20  # milliseconds to wait for readers at a time, blocking all writers
_MAX_TRIES = 20
_RETRY_DELAY = 0.06  # seconds between two tries
_FEW_PAGES = 250
"""Pages that may be left when the log is truncated; writing them takes a few milliseconds."""


def request_wiping() -> None:
    """Request, in the caller's transaction, that what it deletes is wiped.

    `secure_delete` writes its zeros to the log. Until that is checkpointed and truncated, the
    earlier bytes are still in the file and the log. Pages may hold copies too; see `scrub_pages`.
    """
    if isinstance(proxy.obj, FairSqliteDatabase):
        Meta.write(_WIPE_KEY, new_id())


def delete_in_steps(
    database: Database,
    table: type[Table],
    *conditions: Any,
    holds_addresses: bool = False,
    should_stop: Callable[[], bool] = bool,
    max_rows_per_step: int = MAX_ROWS_PER_STEP,
) -> int:
    """Delete the rows that match the conditions, in steps; return how many there were.

    - `holds_addresses`: also request that their remains are wiped.
    """
    rows: Any = table
    key, total = rows._meta.primary_key, 0  # noqa: SLF001  peewee has no other name for it

    def step(limit: int) -> bool:
        nonlocal total
        batch = rows.select(key).where(*conditions).limit(limit)
        # The conditions again: on PostgreSQL a row may have changed since the SELECT.
        deleted = int(rows.delete().where(key.in_(batch), *conditions).execute())
        if deleted and holds_addresses:
            request_wiping()
        total += deleted
        return deleted == limit

    # Almost always there is nothing; then nothing is locked.
    if rows.select().where(*conditions).exists():
        run_steps(
            database, step, should_stop=should_stop, size=StepSize(max_rows=max_rows_per_step)
        )
    return total


def wipe_deleted_rows(database: Database, *, should_stop: Callable[[], bool] = bool) -> bool:
    """Overwrite the remains of deleted rows, if that was requested; return whether it is done.

    1. Scrub the pages. 2. Checkpoint the log and truncate it. For a million contacts it takes
    seconds, during which others can write.

    Returns False while a reader still needs the log, such as a running export, or once
    `should_stop` does; the job tries again. Must be called outside a transaction.
    """
    request: Meta | None = Meta.get_or_none(Meta.key == _WIPE_KEY)
    if request is None or not isinstance(database, FairSqliteDatabase):
        return True
    if not scrub_pages(database, should_stop=should_stop) or not _truncate_log(database):
        return False
    with database.atomic():
        # Not a later request.
        Meta.delete().where(Meta.key == _WIPE_KEY, Meta.value == request.value).execute()
    return True


def _truncate_log(database: FairSqliteDatabase) -> bool:
    """Try several times to truncate the log; return whether it is empty.

    A log with many pages left is not tried: they would be written under the lock.
    """
    for _ in range(_MAX_TRIES):
        if checkpoint_wal(database) <= _FEW_PAGES and _cut_off_log(database):
            return True
        time.sleep(_RETRY_DELAY)
    return False


def _cut_off_log(database: FairSqliteDatabase) -> bool:
    """Truncate the log; return whether it is empty.

    https://sqlite.org/pragma.html#pragma_wal_checkpoint
    """
    (former_timeout,) = run_sql(database, "PRAGMA busy_timeout").fetchone()
    database.write_lock.acquire()
    try:
        run_sql(database, f"PRAGMA busy_timeout = {_READER_TIMEOUT}")
        is_busy, _, _ = run_sql(database, "PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        run_sql(database, f"PRAGMA busy_timeout = {former_timeout}")
        database.write_lock.release()
    return not is_busy
