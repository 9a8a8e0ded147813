"""The tables in which a file is staged before anything is changed.

The database is not locked meanwhile. The tables are temporary; only the picked addresses are
stored, on SQLite in a file of its own, until all of them are merged.
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

# KiB of memory for the pages of the temporary tables, the rest of which is in a file that has no
# name, and for those of the database while a million contacts go into its indexes.
_CACHE_OF_STAGING = 16_000
_CACHE_OF_MERGE = 100_000
_LITTLE_CACHE = 2_000
_PRAGMAS_OF_FILE = {
    "journal_mode": "off",
    "synchronous": "off",
    "cache_size": -(_CACHE_OF_STAGING // 2),
}
_PRAGMAS = {"cache_size": -16_000, "threads": 1, "wal_autocheckpoint": 0}

# https://sqlite.org/pragma.html#pragma_temp_store
_IN_FILE, _IN_MEMORY = 1, 2


class _Temporary(Table):
    """What the rows of both tables hold; see StagedRow."""

    class Meta:
        """Lives as long as the connection, and is seen by it alone."""

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
    """Every row of the file, `number` counting from 1."""

    number = BigIntegerField(primary_key=True)
    strength = SmallIntegerField()
    reason = TextField(null=True)
    hint = TextField(null=True)


class Picked(_Temporary):
    """Every address of the file once, by its strongest row.

    `fate` is what becomes of it, `contact` its contact if it is on the list already, and `merged`
    is true if it stands under different names.
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
    """Make the temporary tables, and leave nothing of them behind.

    - `file`: an empty file on SQLite in which what is picked stays.
    """
    with _room_for_many(database):
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
            # SQLite throws them away whole, which takes no time, when its settings are restored.
            if is_postgresql(database):
                database.drop_tables([Staged, Picked])


def _move_picked(database: FairSqliteDatabase) -> None:
    """Have the empty table stand in the attached file, which a kill leaves to nobody."""
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
        # The rows of a step are few, and before each page is changed it is copied there too.
        _room_for_many(database, temporary_in=_IN_MEMORY),
        _wide_cache(database),
        _lazily_synced(database),
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
def picked_step(
    database: Database, source: str, *, after: int, limit: int, is_decided: bool
) -> Iterator[tuple[int, int]]:
    """Have `Picked` be the rows of the next step.

    - `source`: the table in which all of them are kept.
    - `after`: the number of the row before the first of them.
    - `limit`: how many they are at most; on SQLite, if they are decided, how many they are.
    - `is_decided`: nothing will be changed in them, so that SQLite need not copy them, which takes
      a tenth of a step.

    Yields the number of the last one, and how many they are.
    """
    kept = f"SELECT * FROM {source} WHERE id > {after}"  # noqa: S608
    is_view = is_decided and not is_postgresql(database)
    if is_view:
        # The view stands before the kept table, as a temporary table does.
        run_sql(database, f"CREATE TEMPORARY VIEW picked AS {kept} AND id <= {after + limit}")
        # SQLite has left no number out.
        yield after + limit, limit
    else:
        if is_postgresql(database):
            # It would read what is deleted again at each step, until it is vacuumed.
            run_sql(database, "TRUNCATE picked")
        else:
            database.create_tables([Picked])
        picked = run_sql(database, f"INSERT INTO picked {kept} ORDER BY id LIMIT {limit}")
        yield last_picked(), picked.rowcount
    if not is_postgresql(database):
        run_sql(database, f"DROP {'VIEW' if is_view else 'TABLE'} temp.picked")


def last_picked() -> int:
    """Return the highest number of an address, 0 if there is none."""
    (last,) = run_sql(proxy.obj, "SELECT MAX(id) FROM picked").fetchone()
    return int(last or 0)


def keep_picked(database: Database, table: str) -> None:
    """Keep what is picked in a table on PostgreSQL, in the caller's transaction."""
    if is_postgresql(database):
        run_sql(database, f"CREATE TABLE {table} AS TABLE picked")
        run_sql(database, f"ALTER TABLE {table} ADD PRIMARY KEY (id)")


class RowCounts(NamedTuple):
    """How many rows a file has, and on how many lines; a line with several addresses is several."""

    rows: int
    lines: int


_PLACE = itemgetter(*map(StagedRow._fields.index, ("part", "line")))


def stage(database: Database, batches: Iterable[Batch]) -> RowCounts:
    """Stage the rows of a file, which come in its order; return how many there are."""
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
    """Say whether any row of the file says this of its address."""
    return bool(Staged.select().where(Staged.said == fate).exists())


def _insert(connection: Any, columns: Sequence[str], rows: Batch) -> None:
    # A transaction of the connection itself: peewee's would take the database's write lock,
    # which a temporary table does not need.
    marks = ",".join("?" * len(columns))
    connection.execute("BEGIN")
    with connection:
        connection.executemany(
            f"INSERT INTO staged ({','.join(columns)}) VALUES ({marks})",  # noqa: S608
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
    # From here on a remark is what it says: that the person wants no mail.
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
        # Nobody else counts what a temporary table holds, and the planner would take it for small.
        run_sql(database, "ANALYZE picked")
    return count


def merge_names() -> int:
    """Take the name from addresses that stand under different ones; return how many do."""
    folded = fn.LOWER(fn.NULLIF(Staged.name, ""))
    disputed = (
        Staged.select(Staged.ids)
        .where(~Staged.ids.is_null())
        .group_by(Staged.ids)
        .having(fn.MIN(folded) != fn.MAX(folded))
    )
    return int(Picked.update(name="", merged=True).where(Picked.ids.in_(disputed)).execute())


@contextmanager
def _wide_cache(database: Database) -> Iterator[None]:
    """Give SQLite the memory for an index that is filled in random order.

    It comes from the tables of the file, which are read from one end to the other meanwhile.
    """
    if not isinstance(database, SqliteDatabase):
        yield
        return
    database.pragma("cache_size", -_LITTLE_CACHE, schema="temp")
    database.pragma("cache_size", -_CACHE_OF_MERGE)
    try:
        yield
    finally:
        database.pragma("cache_size", _PRAGMAS["cache_size"])


@contextmanager
def _lazily_synced(database: Database) -> Iterator[None]:
    """Let SQLite's log come to the disk at the end: a step that is lost is taken again.

    Whoever writes in between waits until all before it has come there too.
    """
    if not isinstance(database, FairSqliteDatabase):
        yield
        return
    usual = database.pragma("synchronous")
    database.pragma("synchronous", "normal")
    try:
        yield
    finally:
        database.pragma("synchronous", usual)
        log = database.path.with_name(f"{database.path.name}-wal")
        with log.open("rb") as file:
            os.fsync(file.fileno())


@contextmanager
def _room_for_many(database: Database, *, temporary_in: int = _IN_FILE) -> Iterator[None]:
    """Set SQLite up for a million rows in little memory; at the end all is as it was.

    The pages go from the log into the database by a step of their own: as a part of the commit
    it would hold up everybody who waits to write.
    """
    if not isinstance(database, SqliteDatabase):
        yield
        return
    # Changing it empties the temporary database, so that goes first.
    values = {"temp_store": temporary_in, **_PRAGMAS}
    usual = {name: database.pragma(name) for name in values}
    for name, value in values.items():
        database.pragma(name, value)
    database.pragma("cache_size", -_CACHE_OF_STAGING, schema="temp")
    try:
        yield
    finally:
        database.pragma("wal_checkpoint(passive)")
        for name, value in usual.items():
            database.pragma(name, value)
