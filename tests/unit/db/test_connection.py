"""The database: opening either kind, waiting for one's turn, locking rows."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import peewee
import psycopg
import pytest

from repermit.db import migrations
from repermit.db.connection import (
    Database,
    FairSqliteDatabase,
    checkpoint_wal,
    chunks,
    connect,
    is_postgresql,
    lock_rows,
    open_database,
    run_sql,
    set_idle_transaction_timeout,
    stream_rows,
)
from repermit.db.models.base import Meta
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.db.write_lock import WriteLock
from repermit.errors import ConfigError
from tests.support.builders import NOW, make_contact, make_list, sqlite_path


def ask(database: Any, sql: str) -> Any:
    return database.execute_sql(sql)


# --- SQLite's write-ahead log. ------------------------------------------------------------------


def put_much(database: Database, name: str) -> None:
    with database.atomic():
        Meta.create(key=name, value="x" * 8_000_000)


def file_size(database: Database) -> int:
    return int(sqlite_path(database).stat().st_size)


def test_nothing_is_written_back_while_others_wait_for_the_commit(sqlite_url: str) -> None:
    """Nor in a commit at all where people wait for it, however much stands in the log."""
    with open_database(sqlite_url) as database:
        assert isinstance(database, FairSqliteDatabase)
        migrations.upgrade_database(database)
        database.checkpoints_wal = False
        before = file_size(database)
        for name in ("one", "two", "three"):
            put_much(database, name)
        assert file_size(database) == before
        database.checkpoints_wal = True
        held: list[bool] = []
        leave = database.write_lock.release

        def left() -> None:
            held.append(file_size(database) == before)
            leave()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database.write_lock, "release", left)
            put_much(database, "four")
        assert held == [True]
        assert file_size(database) > before + 4 * 8_000_000


def test_a_commit_holds_whether_or_not_it_can_be_written_back(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise peewee.OperationalError("database or disk is full")

    monkeypatch.setattr("repermit.db.connection.checkpoint_wal", full)
    with open_database(sqlite_url) as database:
        migrations.upgrade_database(database)
        put_much(database, "one")
        assert Meta.select().where(Meta.key == "one").exists()


def test_the_log_begins_anew_also_when_others_write_while_it_is_written_back(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would grow as long as a large work goes on, and take long to cut off at its end."""
    with open_database(sqlite_url) as database, ExitStack() as opened:
        assert isinstance(database, FairSqliteDatabase)
        migrations.upgrade_database(database)
        database.checkpoints_wal = False
        put_much(database, "one")
        log = Path(f"{sqlite_path(database)}-wal")
        size = log.stat().st_size
        reader, other = (
            opened.enter_context(
                closing(sqlite3.connect(sqlite_path(database), isolation_level=None))
            )
            for _ in range(2)
        )
        other.execute("PRAGMA wal_autocheckpoint = 0")
        # What comes behind a reader's view is not written back, as what comes meanwhile is not.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meta").fetchone()
        other.execute("INSERT INTO meta (key, value) VALUES ('two', '')")

        def run_once_before_the_reader_ends(run_by: Database, sql: str, *values: Any) -> Any:
            done = run_sql(run_by, sql, *values)
            if reader.in_transaction:
                reader.execute("COMMIT")
            return done

        monkeypatch.setattr("repermit.db.connection.run_sql", run_once_before_the_reader_ends)
        checkpoint_wal(database)
        put_much(database, "three")
        assert log.stat().st_size <= size + 100_000


# --- Opening. -----------------------------------------------------------------------------------


def test_a_database_is_open_for_this_thread_until_the_end(database_url: str) -> None:
    with open_database(database_url) as database:
        assert not database.is_closed()
        assert is_postgresql(database) == database_url.startswith("postgresql")
    assert database.is_closed()


def test_sqlite_keeps_what_it_has_committed_and_nothing_it_has_deleted(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        found = {
            name: ask(database, f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_postgresql_without_its_driver_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'repermit\[postgres\]'") as refused:
        connect("postgresql://localhost/repermit")
    assert refused.value.key == "database"


# --- The write lock. -----------------------------------------------------------------------------


def is_free(path: Path) -> bool:
    """Say whether somebody else could write now."""

    def pass_through() -> None:
        other = WriteLock(path)
        other.acquire()
        other.release()
        other.close()

    entering = threading.Thread(target=pass_through)
    entering.start()
    entering.join(0.2)
    return not entering.is_alive()


def test_one_writes_at_a_time(tmp_path: Path) -> None:
    write_lock = WriteLock(tmp_path / "db")
    write_lock.acquire()
    waiting = threading.Thread(target=lambda: is_free(tmp_path / "db"))
    assert not is_free(tmp_path / "db")
    write_lock.release()
    waiting.start()
    waiting.join(5)
    assert is_free(tmp_path / "db")
    write_lock.close()


def test_who_waits_is_next_even_beside_a_busy_writer(tmp_path: Path) -> None:
    path = tmp_path / "db"
    written = 0
    stop = threading.Event()

    def write_without_a_pause() -> None:
        nonlocal written
        write_lock = WriteLock(path)
        while not stop.is_set():
            write_lock.acquire()
            time.sleep(0.002)
            written += 1
            write_lock.release()
        write_lock.close()

    busy = threading.Thread(target=write_without_a_pause)
    busy.start()
    mine = WriteLock(path)
    passed = []
    for _ in range(20):
        before = written
        mine.acquire()
        passed.append(written - before)
        mine.release()
        time.sleep(0.003)
    stop.set()
    busy.join(5)
    mine.close()
    # One is on its way already when we come; a slow machine may let a second one slip in.
    assert sorted(passed)[10] <= 2


def test_leaving_and_closing_without_having_entered_is_harmless(tmp_path: Path) -> None:
    write_lock = WriteLock(tmp_path / "db")
    write_lock.close()
    write_lock.release()
    write_lock.close()
    assert is_free(tmp_path / "db")


def test_the_turn_lasts_from_begin_to_commit(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with open_database(f"sqlite:///{path}") as database:
        with database.atomic():
            assert not is_free(path)
        assert is_free(path)


def test_a_rollback_lets_the_next_one_in(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with open_database(f"sqlite:///{path}") as database:
        with pytest.raises(ZeroDivisionError), database.atomic():
            raise ZeroDivisionError
        assert is_free(path)


def test_a_failed_begin_lets_the_next_one_in(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"This is no database. " * 100)
    database = FairSqliteDatabase(path)
    with pytest.raises(peewee.DatabaseError, match="not a database"):
        database.begin()
    assert is_free(path)
    database.close()


def test_a_failed_commit_lets_the_next_one_in(tmp_path: Path) -> None:
    path = tmp_path / "db"

    def break_a_promise(database: Database) -> None:
        with database.atomic():
            ask(database, "PRAGMA defer_foreign_keys = ON")
            Mail.create(list=999, kind="ask", due_at=NOW, message_id="")

    with open_database(f"sqlite:///{path}") as database:
        migrations.upgrade_database(database)
        with pytest.raises(peewee.IntegrityError, match="FOREIGN KEY"):
            break_a_promise(database)
        assert is_free(path)
        assert not Mail.select().exists()


@pytest.mark.parametrize("depth", [1, 2])
def test_a_full_disk_is_named_and_lets_the_next_one_in(tmp_path: Path, depth: int) -> None:
    """SQLite has rolled back by itself then (https://sqlite.org/lang_transaction.html)."""
    path = tmp_path / "db"

    def write_too_much(database: Database) -> None:
        with ExitStack() as stack:
            for _ in range(depth):
                stack.enter_context(database.atomic())
            ask(database, "CREATE TABLE more (x)")
            ask(database, "INSERT INTO more VALUES (zeroblob(100000))")

    with open_database(f"sqlite:///{path}") as database:
        migrations.upgrade_database(database)
        ((pages,),) = ask(database, "PRAGMA page_count").fetchall()
        ask(database, f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(peewee.OperationalError, match="disk is full"):
            write_too_much(database)
        assert is_free(path)
        ask(database, f"PRAGMA max_page_count = {pages + 100}")
        write_too_much(database)
        assert ask(database, "SELECT count(*) FROM more").fetchall() == [(1,)]


@pytest.mark.parametrize("depth", [1, 2])
def test_a_server_that_breaks_off_is_named(postgresql_url: str, depth: int) -> None:
    with open_database(postgresql_url) as database, ExitStack() as stack:
        stack.enter_context(pytest.raises(peewee.OperationalError, match="terminating connection"))
        for _ in range(depth):
            stack.enter_context(database.atomic())
        ((session,),) = ask(database, "SELECT pg_backend_pid()").fetchall()
        with psycopg.connect(postgresql_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [session])
        ask(database, "SELECT 1")


def test_writers_of_other_programs_are_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with open_database(f"sqlite:///{path}") as database:
        Meta.create_table()
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.2, other.execute, ["COMMIT"])
        ending.start()
        with database.atomic():
            Meta.create(key="a", value="b")
        ending.join()
        other.close()
        assert Meta.get().value == "b"


# --- Rows. --------------------------------------------------------------------------------------


def idleness(database: Database) -> str:
    found: str = ask(database, "SHOW idle_in_transaction_session_timeout").fetchone()[0]
    return found


def fall_asleep(database: Database) -> None:
    with database.atomic():
        time.sleep(0.5)
        ask(database, "SELECT 1")


def test_who_falls_asleep_in_a_transaction_does_not_hold_up_the_others_for_ever(
    postgresql_url: str, sqlite_url: str
) -> None:
    with open_database(postgresql_url) as database:
        set_idle_transaction_timeout(database)
        assert idleness(database) == "30s"
    # Somebody who keeps the server may have laid down another limit.
    own = "&options=-cidle_in_transaction_session_timeout%3D100"
    with open_database(postgresql_url + own) as database:
        set_idle_transaction_timeout(database)
        assert idleness(database) == "100ms"
        with pytest.raises(peewee.InternalError, match="idle-in-transaction timeout"):
            fall_asleep(database)
    with open_database(sqlite_url) as database:
        set_idle_transaction_timeout(database)


def test_a_query_of_postgresql_takes_one_core(postgresql_url: str) -> None:
    with open_database(postgresql_url) as database:
        assert ask(database, "SHOW max_parallel_workers_per_gather").fetchone()[0] == "0"


def test_a_locked_row_is_waited_for(database: Database) -> None:
    contact = make_contact(database, make_list(database), status_at=NOW)

    def take_over() -> str:
        with database.connection_context(), database.atomic():
            found: Contact = lock_rows(Contact.select().where(Contact.id == contact.id)).get()
            return found.source

    with ThreadPoolExecutor(1) as other:
        with database.atomic():
            lock_rows(Contact.select().where(Contact.id == contact.id)).get()
            waiting = other.submit(take_over)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
            Contact.update(source="the first", status_at=NOW + timedelta(days=1)).execute()
        assert waiting.result(30) == "the first"


@pytest.mark.parametrize(
    ("length", "sizes"), [(0, []), (1, [1]), (2, [2]), (3, [2, 1]), (4, [2, 2])]
)
def test_a_sequence_is_cut_into_pieces(length: int, sizes: list[int]) -> None:
    pieces = list(chunks(range(length), 2))
    assert [len(piece) for piece in pieces] == sizes
    assert [item for piece in pieces for item in piece] == list(range(length))


# --- Reading very many rows. ----------------------------------------------------------------------


@pytest.mark.counted_on_both
def test_very_many_rows_are_streamed_in_order(database: Database) -> None:
    keys = [f"row {number:04}" for number in range(4500)]
    with database.atomic():
        for some in chunks([{"key": key, "value": "x"} for key in keys], 500):
            Meta.insert_many(some).execute()
        query = Meta.select(Meta.key).where(Meta.value == "x").order_by(Meta.key)
        # Two of them at once, one of which is left off half-way.
        assert next(stream_rows(query)) == ("row 0000",)
        assert [key for (key,) in stream_rows(query)] == keys


@pytest.mark.parametrize("name", ["a?b#c%20.db", "ü \udcff.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    with open_database(f"sqlite:////{tmp_path / name}") as database:
        migrations.upgrade_database(database)
    with open_database(f"sqlite:///{tmp_path / name}") as database:
        assert migrations.read_version(database) == migrations.NEWEST_VERSION
    assert (tmp_path / name).exists()
