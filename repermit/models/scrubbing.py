"""Overwriting what SQLite leaves of deleted rows within its pages.

May import this room's database and background tasks. `secure_delete` overwrites a row where it is
deleted, but when SQLite moves rows within a page or to its neighbour, copies may stay behind in the
page's unallocated middle (https://sqlite.org/fileformat2.html, "B-tree Pages"), and a copy that
stayed behind before the row was deleted is overwritten by nobody.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from repermit.models.background_tasks import run_steps
from repermit.models.database import run_sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from repermit.models.database import Database

# A page that holds no rows begins with the number of another page. While there are fewer than
# 2 << 24 of them its first octet is none of these.
_INTERIOR, _LEAF = (2, 5), (10, 13)
_MOST_PAGES = 2 << 24
_HEADER = struct.Struct(">BHHHB")


def scrub(database: Database, *, should_stop: Callable[[], bool] = bool) -> bool:
    """Overwrite the unallocated part of each page of the open SQLite database; False if stopped.

    In short transactions, so that others write in between. Where SQLite was built without the means
    (`sqlite_dbpage`), or has too many pages, it writes the whole file anew instead, in one.
    """
    (count,) = run_sql(database, "PRAGMA page_count").fetchone()
    if count >= _MOST_PAGES or not _has_pages(database):
        run_sql(database, "VACUUM")
        return True
    # The first page describes the tables only.
    first: int = 2

    def step(limit: int) -> bool:
        nonlocal first
        _scrub_some(database, range(first, min(first + limit, count + 1)))
        first += limit
        return first <= int(count)

    return run_steps(database, step, should_stop=should_stop)


def scrubbed(page: bytes) -> bytes:
    """Return a page, of any kind but the first, with zeros in its unallocated part."""
    kind, _, cells, content, _ = _HEADER.unpack_from(page)
    if kind not in (*_INTERIOR, *_LEAF):
        return page
    begin = (12 if kind in _INTERIOR else 8) + 2 * cells
    end = content or len(page)
    return page[:begin] + bytes(end - begin) + page[end:]


def _has_pages(database: Database) -> bool:
    module = "SELECT 1 FROM pragma_module_list WHERE name = 'sqlite_dbpage'"
    return run_sql(database, module).fetchone() is not None


def _scrub_some(database: Database, numbers: range) -> None:
    # Past peewee, which would take longer than all the rest.
    cursor: Any = database.cursor()  # type: ignore[no-untyped-call]
    for number in numbers:
        found = cursor.execute("SELECT data FROM sqlite_dbpage WHERE pgno = ?", (number,))
        for (page,) in found.fetchall():
            clean = scrubbed(page)
            if clean != page:
                cursor.execute("UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?", (clean, number))
