"""Workers: alive as long as they hold their lock, and not a moment longer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from repermit.db.connection import Database, open_database, run_sql
from repermit.sending.worker_lock import Worker, is_alive
from repermit.settings.definitions import Settings
from tests.support.builders import make_settings


def test_a_worker_lives_until_its_block_ends(database: Database, settings: Settings) -> None:
    with Worker.register(settings) as worker:
        assert is_alive(database, worker.id)
        assert is_alive(database, worker.id), "to ask does not end it"
    assert not is_alive(database, worker.id)
    assert not is_alive(database, worker.id)


def test_workers_do_not_know_each_other(database: Database, settings: Settings) -> None:
    with Worker.register(settings) as one:
        with Worker.register(settings) as other:
            assert one.id != other.id
            assert is_alive(database, one.id)
            assert is_alive(database, other.id)
        assert is_alive(database, one.id)
        assert not is_alive(database, other.id)


def test_who_never_was_is_not_alive(database: Database) -> None:
    assert not is_alive(database, "0" * 32)


def test_what_killed_workers_left_is_taken_away(tmp_path: Path) -> None:
    settings = make_settings(database=f"sqlite:///{tmp_path / 'repermit.db'}")
    folder = tmp_path / "repermit.db.workers"
    folder.mkdir()
    (folder / "killed").touch()
    (folder / ".killed-before-it-was-locked").touch()
    with Worker.register(settings) as one, Worker.register(settings) as other:
        assert {path.name for path in folder.iterdir()} == {one.id, other.id}
    assert not list(folder.iterdir())


def test_many_may_begin_at_once_and_sweep_while_others_do(tmp_path: Path) -> None:
    settings = make_settings(database=f"sqlite:///{tmp_path / 'repermit.db'}")
    begin = threading.Barrier(8)

    def live() -> None:
        begin.wait(10)
        for _ in range(100):
            with Worker.register(settings) as worker:
                assert (folder / worker.id).exists()

    folder = tmp_path / "repermit.db.workers"
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(live) for _ in range(8)]:
            done.result()
    assert not list(folder.iterdir())


def test_nobody_else_may_look_at_the_workers(tmp_path: Path) -> None:
    settings = make_settings(database=f"sqlite:///{tmp_path / 'repermit.db'}")
    with Worker.register(settings):
        assert (tmp_path / "repermit.db.workers").stat().st_mode & 0o077 == 0


def test_a_worker_whose_session_the_server_ended_is_dead(postgresql_url: str) -> None:
    settings = make_settings(database=postgresql_url)
    with open_database(postgresql_url) as database, Worker.register(settings) as worker:
        run_sql(
            database,
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        assert not is_alive(database, worker.id)
