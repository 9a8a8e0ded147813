"""Wiping SQLite's write-ahead log after an erasure."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from repermit.db import secure_delete
from repermit.db.connection import Database, is_postgresql, open_database, run_sql
from repermit.db.models.accounts import Throttle
from repermit.db.models.base import Meta
from repermit.db.secure_delete import delete_in_steps, request_wiping, wipe_deleted_rows
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from tests.support.builders import NOW, make_contact, make_list, sqlite_path
from tests.support.chain_faults import iter_chain_faults
from tests.support.query_plans import statements_in_transactions

JAN = "a" * 32
SECRET = b"a-name-that-nobody-else-has"
CUT_OFF = "PRAGMA wal_checkpoint(TRUNCATE)"


def log_of(database: Database) -> Path:
    return Path(f"{sqlite_path(database)}-wal")


def erase(database: Database) -> None:
    """Append an entry about somebody, and erase who that is."""
    with database.atomic():
        told: dict[str, Any] = {"event": "removed", "at": NOW, "actor": "person", "subject": JAN}
        chain.append(Entry(**told, person={"name": SECRET.decode()}))
    with database.atomic():
        seqs = chain.erase_parts_by_subject([JAN], ["person"], slug="")[JAN]
        erased = {"seqs": seqs, "parts": ["person"]}
        chain.append(Entry(**{**told, "event": "erased"}, consent=erased))


def is_wiping_owed() -> bool:
    return bool(Meta.select().where(Meta.key == "wipe_owed").exists())


@pytest.mark.parametrize("holds_addresses", [True, False])
@pytest.mark.counted_on_both
def test_what_is_over_is_deleted_in_steps(database: Database, holds_addresses: bool) -> None:
    """And nothing is locked where nothing is over; until the lock is free others cannot write."""
    for number in range(5):
        Throttle.create(scope=f"account:{number}", last_at=NOW, next_at=NOW)
    steps: list[int] = []

    def delete(**more: Any) -> int:
        over = Throttle.scope != "account:4"
        return delete_in_steps(database, Throttle, over, holds_addresses=holds_addresses, **more)

    def stop() -> bool:
        steps.append(int(Throttle.select().count()))
        return len(steps) == 2

    assert delete(max_rows_per_step=2, should_stop=stop) == 2
    assert steps == [5, 3]
    assert delete(max_rows_per_step=2) == 2
    assert [row.scope for row in Throttle.select()] == ["account:4"]
    assert is_wiping_owed() is (holds_addresses and not is_postgresql(database))
    assert statements_in_transactions(database, delete) == []


@pytest.mark.counted_on_both
def test_what_was_erased_stands_in_no_file_once_the_log_is_wiped(database: Database) -> None:
    assert wipe_deleted_rows(database), "nothing is owed"
    erase(database)
    if is_postgresql(database):
        assert not Meta.select().where(Meta.key == "wipe_owed").exists()
        assert wipe_deleted_rows(database)
        return
    files = (sqlite_path(database), log_of(database))
    assert any(SECRET in path.read_bytes() for path in files)
    assert wipe_deleted_rows(database)
    assert not any(SECRET in path.read_bytes() for path in files)
    assert not Meta.select().where(Meta.key == "wipe_owed").exists()
    assert list(iter_chain_faults()) == []


@pytest.mark.exhaustive
def test_while_somebody_reads_what_was_wiping_stays_owed(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        make_contact(database, make_list(database))
        reader = sqlite3.connect(sqlite_path(database), isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT COUNT(*) FROM contact").fetchone() == (1,)
        erase(database)
        assert not wipe_deleted_rows(database)
        assert SECRET in log_of(database).read_bytes()
        reader.execute("COMMIT")
        assert wipe_deleted_rows(database)
        assert SECRET not in log_of(database).read_bytes()
        reader.close()


def test_a_log_that_is_still_read_is_not_cut_off_under_the_lock(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it would be written back under the lock if the reader ended just then."""
    said: list[str] = []

    def say_and_run(database: Database, sql: str, *values: Any) -> Any:
        said.append(sql)
        return run_sql(database, sql, *values)

    monkeypatch.setattr(secure_delete, "run_sql", say_and_run)
    monkeypatch.setattr(secure_delete, "_FEW_PAGES", 0)
    monkeypatch.setattr(secure_delete, "_MAX_TRIES", 2)
    with (
        open_database(sqlite_url) as database,
        closing(sqlite3.connect(sqlite_path(database), isolation_level=None)) as reader,
    ):
        make_contact(database, make_list(database))
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM contact").fetchone()
        erase(database)
        assert not wipe_deleted_rows(database)
        assert CUT_OFF not in said
        reader.execute("COMMIT")
        assert wipe_deleted_rows(database)
        assert CUT_OFF in said


def test_a_wiping_that_is_told_to_stop_stays_owed(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        make_contact(database, make_list(database))
        erase(database)
        assert not wipe_deleted_rows(database, should_stop=lambda: True)
        assert SECRET in log_of(database).read_bytes()
        assert wipe_deleted_rows(database)
        assert SECRET not in log_of(database).read_bytes()


def test_the_wait_for_others_is_afterwards_what_it_was(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        before = run_sql(database, "PRAGMA busy_timeout").fetchone()
        with database.atomic():
            request_wiping()
        assert wipe_deleted_rows(database)
        assert run_sql(database, "PRAGMA busy_timeout").fetchone() == before
