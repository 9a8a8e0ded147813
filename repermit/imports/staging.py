"""The tables in which a file is staged before anything is changed.

The database is not locked meanwhile. The tables are temporary. Only the picked addresses are stored
until all of them are merged, on SQLite in a file of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from peewee import (
    BigAutoField,
    BigIntegerField,
    BooleanField,
    Case,
    CharField,
    IntegerField,
    SmallIntegerField,
    SqliteDatabase,
    TextField,
    fn,
)

from repermit.db.connection import Database, FairSqliteDatabase, is_postgresql, proxy, run_sql
from repermit.db.models.base import Table, UTCDateTimeField
from repermit.db.staged_rows import attach_file
from repermit.imports.classify_row import PLAIN, StagedRow
from repermit.imports.row_batches import Batch
from repermit.imports.row_opt_outs import REMARK
from repermit.rules.consent import Fate

# The cache sizes in KiB: of the temporary tables, which are otherwise in an unnamed file, and of
# the database while a million contacts are added to its indexes.
_CACHE_OF_STAGING = 16_000
_CACHE_OF_MERGE = 100_000
_SMALL_CACHE = 2_000
_PRAGMAS_OF_FILE = {
    "journal_mode": "off",
    "synchronous": "off",
    "cache_size": -(_CACHE_OF_STAGING // 2),
}
_PRAGMAS = {"cache_size": -16_000, "threads": 1, "wal_autocheckpoint": 0}

# https://sqlite.org/pragma.html#pragma_temp_store
_IN_FILE, _IN_MEMORY = 1, 2


class _Temporary(Table):
    """The columns of both tables, see `StagedRow`."""

    class Meta:
        """A table that only this connection sees, and that ends with it."""

        temporary = True

    part = SmallIntegerField()
    line = IntegerField()
    ids = CharField(max_length=64, null=True)
    key = TextField(null=True)
    sending = TextField(null=True)
    name = TextField()
    language = CharField()
    source = TextField()
    since = UTCDateTimeField(null=True)
    fingerprint = CharField(max_length=64, null=True)
    said = CharField()
    mark = CharField(null=True)
    mark_at = UTCDateTimeField(null=True)
    basis_at = UTCDateTimeField(null=True)
    proof = TextField(null=True)


class Staged(_Temporary):
    """All rows of the file; `number` counts from 1."""

    number = BigIntegerField(primary_key=True)
    strength = SmallIntegerField()
    reason = TextField(null=True)
    hint = TextField(null=True)


class Picked(_Temporary):
    """Each address of the file once, with the data of its strongest row.

    - `contact`: its contact if it is on the list already.
    - `merged`: True if its rows have different names.
    """

    id = BigAutoField()
    number = BigIntegerField()
    fate = CharField()
    contact = BigIntegerField(null=True)
    merged = BooleanField(null=True)


_COPIED = (
    "number part line ids said key sending name language source since mark mark_at basis_at proof "
    "fingerprint"
).split()


@contextmanager
def staging_area(database: Database, *, file: Path | None = None) -> Iterator[None]:
    """Create the temporary tables, and drop them at the end of the block.

    - `file`: on SQLite, an empty file that the picked addresses are stored in.
    """
    with _make_room_for_many(database):
        if file is not None and isinstance(database, FairSqliteDatabase):
            with attach_file(database, file):
                database.create_tables([Staged, Picked])
                _move_picked(database)
                yield
            return
        database.create_tables([Staged, Picked])
        run_sql(database, "CREATE UNIQUE INDEX picked_ids ON picked (ids)")
        try:
            yield
        finally:
            # SQLite drops them all at once, which is fast, when its settings are restored.
            if is_postgresql(database):
                database.drop_tables([Staged, Picked])


def _move_picked(database: FairSqliteDatabase) -> None:
    """Create the empty table `picked` in the attached file instead of the temporary database."""
    for name, value in _PRAGMAS_OF_FILE.items():
        database.pragma(name, value, schema="staging")
    query = "SELECT sql FROM temp.sqlite_master WHERE name = 'picked'"
    (statement,) = run_sql(database, query).fetchone()
    database.drop_tables([Picked])
    run_sql(database, statement.replace('"picked"', 'staging."picked"', 1))
    run_sql(database, "CREATE UNIQUE INDEX staging.picked_ids ON picked (ids)")


@contextmanager
def merging_area(database: Database) -> Iterator[None]:
    """Set the database up for the steps of a merge."""
    with (
        # Only the few rows of a step, and the copies of changed pages, need temporary space.
        _make_room_for_many(database, temporary_in=_IN_MEMORY),
        _widen_cache(database),
        _sync_lazily(database),
    ):
        if not is_postgresql(database):
            yield
            return
        database.create_tables([Picked])
        try:
            yield
        finally:
            database.drop_tables([Picked])


@contextmanager
def pick_step(
    database: Database, source: str, *, after: int, limit: int, is_decided: bool
) -> Iterator[tuple[int, int]]:
    """Let `Picked` contain the rows of the next step; yield the last row's number and their count.

    - `source`: the table with all rows.
    - `after`: the number of the row before the first of the step.
    - `limit`: the maximum number of rows; on SQLite, if they are decided, the exact number.
    - `is_decided`: the rows will not be changed. So SQLite need not copy them, which takes a tenth
      of a step.
    """
    following_rows = f"SELECT * FROM {source} WHERE id > {after}"  # noqa: S608
    is_view = is_decided and not is_postgresql(database)
    if is_view:
        # The temporary view hides the stored table of the same name, as a temporary table does.
        run_sql(
            database, f"CREATE TEMPORARY VIEW picked AS {following_rows} AND id <= {after + limit}"
        )
        # SQLite numbers rows without gaps.
        yield after + limit, limit
    else:
        if is_postgresql(database):
            # A DELETE would leave dead rows, which each step reads until they are vacuumed.
            run_sql(database, "TRUNCATE picked")
        else:
            database.create_tables([Picked])
        picked = run_sql(database, f"INSERT INTO picked {following_rows} ORDER BY id LIMIT {limit}")
        yield find_last_picked(), picked.rowcount
    if not is_postgresql(database):
        run_sql(database, f"DROP {'VIEW' if is_view else 'TABLE'} temp.picked")


def find_last_picked() -> int:
    """Return the highest id in `picked`; 0 if it is empty."""
    (last,) = run_sql(proxy.obj, "SELECT MAX(id) FROM picked").fetchone()
    return int(last or 0)


def store_picked(database: Database, table: str) -> None:
    """Store the picked addresses in a table on PostgreSQL, in the caller's transaction."""
    if is_postgresql(database):
        run_sql(database, f"CREATE TABLE {table} AS TABLE picked")
        run_sql(database, f"ALTER TABLE {table} ADD PRIMARY KEY (id)")


class RowCounts(NamedTuple):
    """The numbers of a file's rows and lines; a line with several addresses has several rows."""

    rows: int
    lines: int


_PLACE = itemgetter(*map(StagedRow._fields.index, ("part", "line")))


def stage(database: Database, batches: Iterable[Batch]) -> RowCounts:
    """Stage the rows of a file, which come in its order; return their numbers."""
    put = _copy if is_postgresql(database) else _insert
    connection: Any = database.connection()  # type: ignore[no-untyped-call]
    rows_in_all = lines = 0
    last = None
    for batch in batches:
        for width in (PLAIN, len(StagedRow._fields)):
            if rows := [row for row in batch if len(row) == width]:
                put(connection, StagedRow._fields[:width], rows)
        rows_in_all += len(batch)
        lines += len({last, *map(_PLACE, batch)}) - 1
        last = _PLACE(batch[-1])
    return RowCounts(rows_in_all, lines)


def has_row_with_fate(fate: Fate) -> bool:
    """Say whether any row of the file claims this fate."""
    return bool(Staged.select().where(Staged.said == fate).exists())


def _insert(connection: Any, columns: Sequence[str], rows: Batch) -> None:
    # A transaction of the connection itself: peewee's would take the database's write lock,
    # which a temporary table does not need.
    placeholders = ",".join("?" * len(columns))
    connection.execute("BEGIN")
    with connection:
        connection.executemany(
            f"INSERT INTO staged ({','.join(columns)}) VALUES ({placeholders})",  # noqa: S608
            rows,
        )


def _copy(connection: Any, columns: Sequence[str], rows: Batch) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY staged ({','.join(columns)}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
    connection.commit()


def pick(database: Database) -> int:
    """Pick the strongest row of each address; return how many addresses there are.

    The first row of an address to arrive is the strongest, and the others are then ignored.
    """
    # From here on an opt-out by a remark counts like any other.
    mark = Case(Staged.mark, ((REMARK, "unsubscribed"),), Staged.mark)
    copied = [mark if name == "mark" else getattr(Staged, name) for name in _COPIED]
    strongest_first = (
        Staged.select(*copied, Staged.said)
        .where(~Staged.ids.is_null())
        .order_by(Staged.ids, Staged.strength, Staged.mark_at.desc(), Staged.number)
    )
    fields = [*(getattr(Picked, name) for name in _COPIED), Picked.fate]
    insert = Picked.insert_from(strongest_first, fields).on_conflict_ignore()
    count = int(insert.as_rowcount().execute())
    if is_postgresql(database):
        # Autovacuum ignores temporary tables, so the planner would assume few rows.
        run_sql(database, "ANALYZE picked")
    return count


def merge_names() -> int:
    """Delete the names of addresses whose rows have different names; return how many."""
    folded = fn.LOWER(fn.NULLIF(Staged.name, ""))
    disputed = (
        Staged.select(Staged.ids)
        .where(~Staged.ids.is_null())
        .group_by(Staged.ids)
        .having(fn.MIN(folded) != fn.MAX(folded))
    )
    return int(Picked.update(name="", merged=True).where(Picked.ids.in_(disputed)).execute())


@contextmanager
def _widen_cache(database: Database) -> Iterator[None]:
    """Give SQLite more cache for an index that is filled in random order.

    The staging tables, which are read sequentially, get less.
    """
    if not isinstance(database, SqliteDatabase):
        yield
        return
    database.pragma("cache_size", -_SMALL_CACHE, schema="temp")
    database.pragma("cache_size", -_CACHE_OF_MERGE)
    try:
        yield
    finally:
        database.pragma("cache_size", _PRAGMAS["cache_size"])


@contextmanager
def _sync_lazily(database: Database) -> Iterator[None]:
    """Sync SQLite's log to disk only at the end of the block, as a lost step is repeated.

    A write by another process in between syncs all that was written before it.
    """
    if not isinstance(database, FairSqliteDatabase):
        yield
        return
    former_value = database.pragma("synchronous")
    database.pragma("synchronous", "normal")
    try:
        yield
    finally:
        database.pragma("synchronous", former_value)
        log = database.path.with_name(f"{database.path.name}-wal")
        with log.open("rb") as file:
            os.fsync(file.fileno())


@contextmanager
def _make_room_for_many(database: Database, *, temporary_in: int = _IN_FILE) -> Iterator[None]:
    """Set SQLite up for a million rows in little memory; restore its settings at the end.

    Automatic checkpoints are off, as they would run within a commit and delay other writers. One
    checkpoint runs at the end.
    """
    if not isinstance(database, SqliteDatabase):
        yield
        return
    # Changing `temp_store` deletes all temporary tables, so it is first.
    values = {"temp_store": temporary_in, **_PRAGMAS}
    former_values = {name: database.pragma(name) for name in values}
    for name, value in values.items():
        database.pragma(name, value)
    database.pragma("cache_size", -_CACHE_OF_STAGING, schema="temp")
    try:
        yield
    finally:
        database.pragma("wal_checkpoint(passive)")
        for name, value in former_values.items():
            database.pragma(name, value)
