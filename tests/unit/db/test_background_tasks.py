"""Who does a large work by hand, and the worker that leaves it alone meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from repermit.db.background_tasks import JobKind, background_lock, foreground_lock
from repermit.db.connection import Database, open_database
from repermit.privacy import forget
from tests.support.builders import NOW, make_contact, make_list, make_settings, sqlite_path

_HELD = """\
import sys, time
from repermit.db.connection import open_database
from repermit.db.background_tasks import JobKind, foreground_lock
with open_database(sys.argv[1]) as database, foreground_lock(database, JobKind.EXPIRE):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def by_hand(database: Database, work: JobKind) -> Iterator[None]:
    """Let somebody else do a work by hand, in a thread with a connection of its own."""
    has_begun, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with database.connection_context(), foreground_lock(database, work):
            has_begun.set()
            is_over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert has_begun.wait(60)
        yield
    finally:
        is_over.set()
        thread.join()


def stops(database: Database, work: JobKind = JobKind.EXPIRE) -> bool:
    """Say whether a worker that would begin with a work now leaves it alone."""
    with background_lock(database, work) as should_stop:
        return should_stop()


def elsewhere(database: Database, look: Callable[[], bool]) -> bool:
    """Return what another thread finds, with a connection of its own."""
    found: list[bool] = []

    def run() -> None:
        with database.connection_context():
            found.append(look())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@contextmanager
def asking_at_each_commit(database: Database, work: JobKind) -> Iterator[list[bool]]:
    """Yield whether a worker would leave a work alone, at each commit of the block."""
    found: list[bool] = []
    database.before_commit = lambda: found.append(
        elsewhere(database, lambda: stops(database, work))
    )
    try:
        yield found
    finally:
        database.before_commit = None


def test_a_worker_leaves_alone_what_somebody_does_by_hand(database: Database) -> None:
    assert not stops(database)
    with by_hand(database, JobKind.EXPIRE):
        assert stops(database)
        assert not stops(database, JobKind.ERASE)
    assert not stops(database)


def test_a_worker_that_has_begun_stops_for_good_when_somebody_begins_by_hand(
    database: Database,
) -> None:
    with background_lock(database, JobKind.EXPIRE) as should_stop:
        assert not should_stop()
        with by_hand(database, JobKind.EXPIRE):
            assert should_stop()
        assert should_stop()


def test_a_worker_stops_when_its_process_is_to_end(database: Database) -> None:
    is_to_end = threading.Event()
    with background_lock(database, JobKind.EXPIRE, is_to_end.is_set) as should_stop:
        assert not should_stop()
        is_to_end.set()
        assert should_stop()


def test_of_two_workers_one_does_a_work(database: Database) -> None:
    with background_lock(database, JobKind.EXPIRE) as should_stop:
        assert elsewhere(database, lambda: stops(database))
        assert not elsewhere(database, lambda: stops(database, JobKind.ERASE))
        assert not should_stop()
    assert not elsewhere(database, lambda: stops(database))


def test_two_may_do_a_work_by_hand_at_once(database: Database) -> None:
    with by_hand(database, JobKind.EXPIRE):
        with by_hand(database, JobKind.EXPIRE):
            assert stops(database)
        assert stops(database)


def test_what_fails_by_hand_is_left_to_the_worker_again(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), foreground_lock(database, JobKind.EXPIRE):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), background_lock(database, JobKind.EXPIRE):
        raise ZeroDivisionError
    assert not elsewhere(database, lambda: stops(database))


def test_whoever_forgets_somebody_wipes_alone(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        make_contact(database, make_list(database), "jan@example.org")
        with asking_at_each_commit(database, JobKind.ERASE) as left_alone:
            forget.erase_address(
                database,
                "jan@example.org",
                mailing_list=None,
                settings=make_settings(),
                now=NOW,
                actor="cli:els",
            )
    # Of the erasure itself, and of the steps of wiping.
    assert (left_alone[0], left_alone[-1]) == (False, True)


def test_without_its_files_a_work_is_done_all_the_same(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        for name in (JobKind.EXPIRE, f"{JobKind.EXPIRE}-by-hand"):
            Path(f"{sqlite_path(database)}.lock-{name}").mkdir()
        with foreground_lock(database, JobKind.EXPIRE):
            assert not stops(database)


def test_after_a_kill_the_worker_takes_over(database: Database, database_url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HELD, database_url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        assert stops(database)
        process.send_signal(signal.SIGKILL)
    until = time.monotonic() + 60
    while stops(database):
        assert time.monotonic() < until, "nobody takes over"
        time.sleep(0.05)
