"""The stored rows of running imports, private to their task until all are merged.

On SQLite they are in a database file of their own, beside the database; on PostgreSQL in a table,
so that any machine can continue. The import's task names them by a token. Imports of suppressions
use this, too, but stage no addresses.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from peewee import ProgrammingError

from repermit.db.background_tasks import BackgroundTask, TaskKind, lock_import_task
from repermit.db.connection import Database, FairSqliteDatabase, run_sql
from repermit.temporary_files import make_private_folder

_SCHEMA = "staging"
_STAGING_KINDS = (TaskKind.IMPORT, TaskKind.IMPORT_SUPPRESSIONS)
_ENDINGS = (".db", ".db-journal")
# The changes of a row that is erased; it then has no effect, like one with a suppressed address.
_ERASED_VALUES = (
    "key = NULL, sending = NULL, name = '', source = '', proof = NULL, fingerprint = '', "
    "fate = 'suppressed'"
)


def make_staged_path(database: FairSqliteDatabase, token: str) -> Path:
    """Return the path of an import's rows on SQLite, in a private folder."""
    folder = database.path.with_name(f"{database.path.name}.imports")
    make_private_folder(folder)
    return folder / f"{token}.db"


@contextmanager
def attach_file(database: FairSqliteDatabase, path: Path) -> Iterator[None]:
    """Attach a file of rows to this thread's connection, for the block."""
    run_sql(database, f"ATTACH DATABASE ? AS {_SCHEMA}", str(path))
    try:
        yield
    finally:
        run_sql(database, f"DETACH DATABASE {_SCHEMA}")


@contextmanager
def open_staged(database: Database, token: str) -> Iterator[None]:
    """Make the rows of an import available to this thread's connection, for the block."""
    if isinstance(database, FairSqliteDatabase):
        with attach_file(database, make_staged_path(database, token)):
            yield
    else:
        yield


def sync_staged(path: Path) -> None:
    """Sync a file of rows to disk, as SQLite writes it without syncing."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def name_staged_table(database: Database, token: str) -> str:
    """Return the name of the table of an import's rows; on SQLite its file is attached."""
    if isinstance(database, FairSqliteDatabase):
        return f"{_SCHEMA}.picked"
    return f"staged_{token}"


def has_staged(database: Database, token: str) -> bool:
    """Say whether the rows of an import exist on this machine."""
    if isinstance(database, FairSqliteDatabase):
        return _is_readable(make_staged_path(database, token))
    return bool(database.table_exists(f"staged_{token}"))


def _is_readable(path: Path) -> bool:
    """Say whether a file of rows exists and can be read."""
    try:
        with closing(_connect_existing(path)) as connection:
            return bool(connection.execute("SELECT MAX(id) FROM picked").fetchone())
    except sqlite3.DatabaseError:
        return False


def _connect_existing(path: Path) -> sqlite3.Connection:
    """Open a file of rows, without a transaction of its own; raises OperationalError if missing."""
    # SQLite would create a missing file. Read-only, it could not roll back a journal.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def drop_staged(database: Database, token: str) -> None:
    """Delete the rows of an import; harmless if there are none.

    On PostgreSQL in the caller's transaction; on SQLite after it.
    """
    if isinstance(database, FairSqliteDatabase):
        for ending in _ENDINGS:
            make_staged_path(database, token).with_suffix(ending).unlink(missing_ok=True)
    else:
        run_sql(database, f"DROP TABLE IF EXISTS staged_{token}")


def sweep_staged(database: Database) -> None:
    """Delete the files that no task names, as their import is finished or undone."""
    if not isinstance(database, FairSqliteDatabase):
        # A table is created and dropped in one transaction with its task.
        return
    folder = make_staged_path(database, "").parent
    if _find_unnamed(folder):
        # A file is renamed in the transaction that stores its task, so the lock avoids a race.
        with database.atomic():
            for path in _find_unnamed(folder):
                path.unlink(missing_ok=True)


def _find_unnamed(folder: Path) -> list[Path]:
    used_tokens = {token for kind in _STAGING_KINDS for token, _ in _list_under_way(kind)}
    return [path for path in folder.glob("[!.]*") if path.name.partition(".")[0] not in used_tokens]


def erase_staged(database: Database, list_id: int, address_key: str) -> None:
    """Erase an address from the rows of a list's running import, in a transaction of its own.

    The search is done before the transaction, as it may take long.
    """
    for token, task_list_id in _list_under_way(TaskKind.IMPORT):
        if task_list_id != list_id or not has_staged(database, token):
            continue
        if isinstance(database, FairSqliteDatabase):
            _erase_from_file(database, token, address_key)
        else:
            _erase_from_table(database, token, list_id, address_key)


def _erase_from_table(database: Database, token: str, list_id: int, address_key: str) -> None:
    table = name_staged_table(database, token)
    query = f"SELECT id FROM {table} WHERE key = %s"  # noqa: S608
    try:
        row_ids = [number for (number,) in run_sql(database, query, address_key).fetchall()]
    except ProgrammingError:
        if has_staged(database, token):
            raise
        # The import has ended meanwhile.
        return
    if not row_ids:
        return
    with database.atomic():
        # The lock keeps steps of the import from reading the rows.
        lock_import_task(list_id)
        if has_staged(database, token):
            statement = f"UPDATE {table} SET {_ERASED_VALUES} WHERE id = ANY(%s)"  # noqa: S608
            run_sql(database, statement, row_ids)


def _erase_from_file(database: FairSqliteDatabase, token: str, address_key: str) -> None:
    with ExitStack() as until_erased:
        try:
            path = make_staged_path(database, token)
            connection = until_erased.enter_context(closing(_connect_existing(path)))
            query = "SELECT id FROM picked WHERE key = ?"
            row_ids = connection.execute(query, (address_key,)).fetchall()
        except sqlite3.OperationalError:
            if any(token == used_token for used_token, _ in _list_under_way(TaskKind.IMPORT)):
                raise
            # The import has ended meanwhile.
            return
        if not row_ids:
            return
        connection.execute("PRAGMA secure_delete = 1")
        # A journal on disk would contain the erased data.
        connection.execute("PRAGMA journal_mode = MEMORY")
        # The database's write lock keeps steps of the import from reading the rows.
        with database.atomic():
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"UPDATE picked SET {_ERASED_VALUES} WHERE id = ?", row_ids)  # noqa: S608
            connection.execute("COMMIT")


def _list_under_way(kind: TaskKind) -> list[tuple[str, int]]:
    """Return the token and list id of each running import of a kind."""
    tasks: Any = BackgroundTask.select().where(BackgroundTask.kind == kind)
    return [(task.state["token"], task.list_id) for task in tasks]
