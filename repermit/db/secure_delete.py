"""Wiping what SQLite still holds of deleted rows: in its pages, and in its write-ahead log.

PostgreSQL has its own ways; see docs/explanation/erasing.md.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from repermit.db.connection import Database, FairSqliteDatabase, checkpoint_wal, proxy, run_sql
from repermit.db.models.base import Meta, Table, new_id
from repermit.db.work_steps import LARGEST_STEP, StepSize, run_steps

# --- Overwriting what SQLite leaves of deleted rows within its pages. -----------------------------


# A page that holds no rows begins with the number of another page. While there are fewer than
# 2 << 24 of them its first octet is none of these.
_INTERIOR_KINDS, _LEAF_KINDS = (2, 5), (10, 13)
_MAX_PAGES = 2 << 24
_HEADER = struct.Struct(">BHHHB")


def scrub_pages(database: Database, *, should_stop: Callable[[], bool] = bool) -> bool:
    """Overwrite the unallocated part of each page of the open SQLite database; False if stopped.

    In short transactions, so that others write in between. Where SQLite was built without the means
    (`sqlite_dbpage`), or has too many pages, it writes the whole file anew instead, in one.
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
    """Return a page, of any kind but the first, with zeros in its unallocated part."""
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
    # Past peewee, which would take longer than all the rest.
    cursor: Any = database.cursor()  # type: ignore[no-untyped-call]
    for number in numbers:
        rows = cursor.execute("SELECT data FROM sqlite_dbpage WHERE pgno = ?", (number,))
        for (page,) in rows.fetchall():
            clean_page = scrub_page(page)
            if clean_page != page:
                cursor.execute(
                    "UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?", (clean_page, number)
                )


# --- Wiping what SQLite still holds of deleted rows. ----------------------------------------------


_WIPE_KEY = "wipe_owed"
_READER_TIMEOUT = 20  # milliseconds that readers are waited for at a time, holding everybody up
_MAX_TRIES = 20
_REST = 0.06  # seconds between two tries
_FEW_PAGES = 250
"""So many may be written back while the log is cut off, which takes a few milliseconds."""


def request_wiping() -> None:
    """Note, in the caller's transaction, that file and log hold what this transaction deletes.

    Deleting overwrites with zeros (`secure_delete`), but in the log: until that is written back to
    the file and cut to nothing, the earlier bytes stand in both; and copies may stand elsewhere in
    the pages, see `scrub_pages`.
    """
    if isinstance(proxy.obj, FairSqliteDatabase):
        Meta.write(_WIPE_KEY, new_id())


def delete_in_steps(
    database: Database,
    table: type[Table],
    *conditions: Any,
    holds_addresses: bool = False,
    should_stop: Callable[[], bool] = bool,
    most_a_step: int = LARGEST_STEP,
) -> int:
    """Delete the rows for which these conditions hold; return how many there were.

    - `holds_addresses`: what SQLite still holds of them is to be wiped.
    """
    rows: Any = table
    key, total = rows._meta.primary_key, 0  # noqa: SLF001  peewee has no other name for it

    def step(limit: int) -> bool:
        nonlocal total
        some = rows.select(key).where(*conditions).limit(limit)
        # On PostgreSQL one of them may have changed in this very moment.
        gone = int(rows.delete().where(key.in_(some), *conditions).execute())
        if gone and holds_addresses:
            request_wiping()
        total += gone
        return gone == limit

    # Nothing is locked where there is nothing, as almost always.
    if rows.select().where(*conditions).exists():
        run_steps(database, step, should_stop=should_stop, size=StepSize(most=most_a_step))
    return total


def wipe_deleted_rows(database: Database, *, should_stop: Callable[[], bool] = bool) -> bool:
    """Overwrite what is left of deleted rows, if that is owed; say whether nothing is owed now.

    1. Scrub the pages; 2. write the log back and cut it to nothing. It takes seconds for a million
    contacts, during which others go on.

    False while somebody reads what the log still has to keep, such as an export under way, or once
    `should_stop` says so; it is tried again by the job. Must be called outside a transaction.
    """
    request: Meta | None = Meta.get_or_none(Meta.key == _WIPE_KEY)
    if request is None or not isinstance(database, FairSqliteDatabase):
        return True
    if not scrub_pages(database, should_stop=should_stop) or not _truncate_log(database):
        return False
    with database.atomic():
        # Not one that was owed meanwhile.
        Meta.delete().where(Meta.key == _WIPE_KEY, Meta.value == request.value).execute()
    return True


def _truncate_log(database: FairSqliteDatabase) -> bool:
    """Try some times to cut the log to nothing; return whether it is empty.

    A log of which much is left would be written back under the lock as soon as its reader ends.
    """
    for _ in range(_MAX_TRIES):
        if checkpoint_wal(database) <= _FEW_PAGES and _cut_off_log(database):
            return True
        time.sleep(_REST)
    return False


def _cut_off_log(database: FairSqliteDatabase) -> bool:
    """Return whether the log is empty: https://sqlite.org/pragma.html#pragma_wal_checkpoint."""
    (usual_timeout,) = run_sql(database, "PRAGMA busy_timeout").fetchone()
    database.write_lock.enter()
    try:
        run_sql(database, f"PRAGMA busy_timeout = {_READER_TIMEOUT}")
        is_busy, _, _ = run_sql(database, "PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        run_sql(database, f"PRAGMA busy_timeout = {usual_timeout}")
        database.write_lock.leave()
    return not is_busy
