"""Wiping what SQLite still holds of deleted rows: in its pages, and in its write-ahead log.

May import the tables, the database and the scrubbing of this room. PostgreSQL has its own ways; see
the README.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit.models.background_tasks import LARGEST_STEP, run_steps
from repermit.models.database import TurnstileDatabase, proxy, run_sql, write_back
from repermit.models.scrubbing import scrub
from repermit.models.tables import Meta, Table, new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from repermit.models.database import Database

_KEY = "wipe_owed"
_PATIENCE = 20  # milliseconds that readers are waited for at a time, holding everybody up
_TRIES = 50


def owe_wiping() -> None:
    """Note, in the caller's transaction, that file and log hold what this transaction deletes.

    Deleting overwrites with zeros (`secure_delete`), but in the log: until that is written back to
    the file and cut to nothing, the earlier bytes stand in both; and copies may stand elsewhere in
    the pages, see `scrubbing`.
    """
    if isinstance(proxy.obj, TurnstileDatabase):
        Meta.insert(key=_KEY, value=new_id()).on_conflict(
            conflict_target=[Meta.key], preserve=[Meta.value]
        ).execute()


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
            owe_wiping()
        total += gone
        return gone == limit

    # Nothing is locked where there is nothing, as almost always.
    if rows.select().where(*conditions).exists():
        run_steps(database, step, should_stop=should_stop, most_a_step=most_a_step)
    return total


def wipe(database: Database, *, should_stop: Callable[[], bool] = bool) -> bool:
    """Overwrite what is left of deleted rows, if that is owed; say whether nothing is owed now.

    1. Scrub the pages; 2. write the log back and cut it to nothing. It takes seconds for a million
    contacts, during which others go on.

    False while somebody reads what the log still has to keep, such as an export under way, or once
    `should_stop` says so; it is tried again by the job. Must be called outside a transaction.
    """
    owed: Meta | None = Meta.get_or_none(Meta.key == _KEY)
    if owed is None or not isinstance(database, TurnstileDatabase):
        return True
    is_scrubbed = scrub(database, should_stop=should_stop)
    if not is_scrubbed or not any(_cut_log(database) for _ in range(_TRIES)):
        return False
    with database.atomic():
        # Not one that was owed meanwhile.
        Meta.delete().where(Meta.key == _KEY, Meta.value == owed.value).execute()
    return True


def _cut_log(database: TurnstileDatabase) -> bool:
    """Return whether the log is empty: https://sqlite.org/pragma.html#pragma_wal_checkpoint.

    Most of it is written back before, while others write.
    """
    write_back(database)
    (usual,) = run_sql(database, "PRAGMA busy_timeout").fetchone()
    database.turnstile.enter()
    try:
        run_sql(database, f"PRAGMA busy_timeout = {_PATIENCE}")
        is_busy, _, _ = run_sql(database, "PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        run_sql(database, f"PRAGMA busy_timeout = {usual}")
        database.turnstile.leave()
    return not is_busy
