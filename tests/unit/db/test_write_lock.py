"""The write lock: nobody waits without end, and Ctrl-Z does not take it along."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from repermit.db import write_lock as write_lock_module
from repermit.db.connection import FairSqliteDatabase, open_database
from repermit.db.write_lock import WriteLock, describe_lock_holder, stop_between_turns
from repermit.errors import DatabaseBusy
from tests.support.smtp_sink import wait_until

_PREFACE = """\
import sys, time
from functools import partial
from pathlib import Path
from repermit.db.write_lock import WriteLock, stop_between_turns
write_lock = WriteLock(Path(sys.argv[1]))
"""


@contextmanager
def process(path: Path, *lines: str) -> Iterator[subprocess.Popen[str]]:
    """Run lines of Python with a `write lock`, until the end of the block."""
    code = _PREFACE + "\n".join(lines)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            # Gently, so that what it ran counts as tested.
            running.send_signal(signal.SIGCONT)
            running.terminate()


def hear(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def state(running: subprocess.Popen[str]) -> str:
    """Return a process's state, as "T" for one that is stopped."""
    return Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_state(running: subprocess.Popen[str], wanted: str) -> None:
    until = time.monotonic() + 10
    while state(running) != wanted:
        assert time.monotonic() < until
        time.sleep(0.001)


def refused(path: Path) -> str:
    """Try to enter with little patience; return why that fails."""
    write_lock = WriteLock(path, timeout=0.2)
    began = time.monotonic()
    with pytest.raises(DatabaseBusy) as error:
        write_lock.acquire()
    assert 0.2 <= time.monotonic() - began < 2
    write_lock.close()
    return str(error.value)


def write(order: list[str], who: WriteLock, name: str) -> None:
    """Take a turn, and note whose it was."""
    who.acquire()
    order.append(name)
    who.release()


HOLD = ("write_lock.acquire()", "print('in', flush=True)", "time.sleep(60)")


# --- Nobody waits without end. ------------------------------------------------------------------


def test_who_waits_too_long_is_told_who_holds_the_database(tmp_path: Path) -> None:
    with process(tmp_path / "db", *HOLD) as other:
        assert hear(other) == "in"
        assert refused(tmp_path / "db") == (
            "the database is held by another program for more than 0.2 seconds: process "
            f"{other.pid}; try again later"
        )
    # The door has not stayed locked, nor has what a dead process held.
    write_lock = WriteLock(tmp_path / "db", timeout=0.2)
    write_lock.acquire()
    write_lock.close()


@pytest.mark.parametrize("holds", ["another process", "another thread"])
def test_who_may_wait_only_shortly_is_told_for_how_long_that_was(
    tmp_path: Path, holds: str
) -> None:
    mine = WriteLock(tmp_path / "db")
    other = mine if holds == "another thread" else WriteLock(tmp_path / "db")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(other.acquire).result(10)
        with mine.timeout_override(0.21), pytest.raises(DatabaseBusy) as error:
            mine.acquire()
        pool.submit(other.close).result(10)
    assert "for more than 0.2 seconds" in str(error.value)
    mine.close()


def test_a_process_that_was_stopped_holds_nobody_up_without_end(tmp_path: Path) -> None:
    with process(tmp_path / "db", *HOLD) as other:
        assert hear(other) == "in"
        other.send_signal(signal.SIGSTOP)
        wait_for_state(other, "T")
        words = refused(tmp_path / "db")
        assert (
            f"process {other.pid}, which is stopped; let it go on (`kill -CONT {other.pid}`)"
            in (words)
        )


def test_one_that_was_stopped_while_it_waited_does_neither(tmp_path: Path) -> None:
    mine = WriteLock(tmp_path / "db")
    mine.acquire()
    with process(tmp_path / "db", "print('ready', flush=True)", "write_lock.acquire()") as other:
        assert hear(other) == "ready"
        time.sleep(0.2)
        other.send_signal(signal.SIGSTOP)
        wait_for_state(other, "T")
        mine.release()
        assert f"process {other.pid}, which is stopped" in refused(tmp_path / "db")
    mine.close()


def test_without_knowledge_of_the_holder_it_says_so(tmp_path: Path) -> None:
    nowhere = (tmp_path / "a", tmp_path / "b")
    nowhere[0].touch()
    assert describe_lock_holder(nowhere, 30) == (
        "the database is held by another program for more than 30 seconds; try again later"
    )


def test_a_transaction_that_does_not_get_its_turn_has_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with open_database(f"sqlite:///{path}"):
        pass
    database = FairSqliteDatabase(path, timeout=0.2)
    other = WriteLock(path)
    other.acquire()
    with database.connection_context():
        with pytest.raises(DatabaseBusy):
            database.atomic().__enter__()
        other.release()
        with database.atomic():
            assert database.transaction_depth() == 1
    other.close()


def test_a_thread_of_the_same_process_is_not_waited_for_without_end(tmp_path: Path) -> None:
    write_lock = WriteLock(tmp_path / "db", timeout=0.2)
    refusals: list[str] = []

    def write() -> None:
        try:
            write_lock.acquire()
        except DatabaseBusy as error:
            refusals.append(str(error))
        write_lock.close()

    for holds in (True, False):
        if holds:
            write_lock.acquire()
        writing = threading.Thread(target=write)
        writing.start()
        writing.join(5)
        write_lock.close()
    assert len(refusals) == 1
    assert f"process {os.getpid()}; try again later" in refusals[0]


@pytest.mark.exhaustive
def test_many_writers_in_a_hurry_all_get_their_turn(tmp_path: Path) -> None:
    waits: list[float] = []
    until = time.monotonic() + 1.5

    def write() -> None:
        write_lock = WriteLock(tmp_path / "db")
        while time.monotonic() < until:
            began = time.monotonic()
            write_lock.acquire()
            waits.append(time.monotonic() - began)
            time.sleep(0.001)
            write_lock.release()
        write_lock.close()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(10)
    assert len(waits) > 100
    assert sorted(waits)[int(len(waits) * 0.99)] < 0.5


def test_who_has_waited_long_tries_as_often_as_who_has_just_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or newcomers would pass, again and again."""
    holder, waiter = WriteLock(tmp_path / "db"), WriteLock(tmp_path / "db", timeout=1.5)
    pauses: set[float] = set()
    sleep = time.sleep

    def note(seconds: float) -> None:
        pauses.add(seconds)
        sleep(seconds)

    holder.acquire()
    monkeypatch.setattr(time, "sleep", note)
    with pytest.raises(DatabaseBusy):
        waiter.acquire()
    assert len(pauses) == 1
    holder.close()
    waiter.close()


# --- Pages before jobs. -------------------------------------------------------------------------


@pytest.fixture
def patient_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs give way for as long as a loaded machine needs until the page waits."""
    monkeypatch.setattr(write_lock_module, "_MAX_YIELDING", 20.0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Counter[int | None]:
    """Count how often each thread has paused between two tries."""
    counts: Counter[int | None] = Counter()
    sleep = time.sleep

    def pause(seconds: float) -> None:
        counts[threading.get_ident()] += 1
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", pause)
    return counts


def have_paused_twice(threads: list[threading.Thread], pauses: Counter[int | None]) -> bool:
    return all(pauses[thread.ident] > 1 for thread in threads)


@pytest.mark.usefixtures("patient_jobs")
def test_a_page_comes_before_the_jobs_that_wait_in_other_processes(
    tmp_path: Path, pauses: Counter[int | None]
) -> None:
    order: list[str] = []
    for _ in range(5):
        holder, page = WriteLock(tmp_path / "db"), WriteLock(tmp_path / "db")
        jobs = [WriteLock(tmp_path / "db") for _ in range(5)]

        def answer(page: WriteLock = page) -> None:
            with page.timeout_override(20):
                write(order, page, "page")

        holder.acquire()
        threads = [threading.Thread(target=write, args=(order, job, "job")) for job in jobs]
        threads.append(threading.Thread(target=answer))
        for thread in threads:
            thread.start()
        with (tmp_path / "db.turn-pages").open("ab") as of_pages:
            wait_until(partial(is_shared, of_pages))
        # A job that had looked for pages before may still take the lock; after two pauses none.
        pauses.clear()
        wait_until(partial(have_paused_twice, threads[:-1], pauses))
        order.clear()
        holder.release()
        for thread in threads:
            thread.join(20)
        assert order == ["page", *["job"] * 5]
        for lock in (holder, page, *jobs):
            lock.close()


@pytest.mark.usefixtures("patient_jobs")
def test_a_page_comes_first_also_behind_a_job_of_its_own_process(
    tmp_path: Path, pauses: Counter[int | None]
) -> None:
    """Which then waits in its stead, and lets it go next."""
    order: list[str] = []
    holder, server = WriteLock(tmp_path / "db"), WriteLock(tmp_path / "db")
    jobs = [WriteLock(tmp_path / "db") for _ in range(5)]

    def answer() -> None:
        with server.timeout_override(20):
            write(order, server, "page")

    holder.acquire()
    threads = [threading.Thread(target=write, args=(order, job, "job")) for job in jobs]
    threads.append(threading.Thread(target=write, args=(order, server, "its own")))
    for thread in threads:
        thread.start()
    wait_until(lambda: server._is_taken)
    threads.append(threading.Thread(target=answer))
    threads[-1].start()
    with (tmp_path / "db.turn-pages").open("ab") as of_pages:
        wait_until(partial(is_shared, of_pages))
    pauses.clear()
    wait_until(partial(have_paused_twice, threads[: len(jobs)], pauses))
    holder.release()
    for thread in threads:
        thread.join(20)
    assert order[:2] == ["its own", "page"]
    for lock in (holder, server, *jobs):
        lock.close()


def test_without_the_file_of_pages_everybody_writes(tmp_path: Path) -> None:
    """As where a command of another user, who alone may open it, made it."""
    (tmp_path / "db.turn-pages").mkdir()
    lock = WriteLock(tmp_path / "db")
    with lock.timeout_override(2):
        lock.acquire()
    lock.close()


def test_jobs_come_through_however_many_pages_wait(tmp_path: Path) -> None:
    job = WriteLock(tmp_path / "db", timeout=20)
    with (tmp_path / "db.turn-pages").open("ab") as pages:
        fcntl.flock(pages, fcntl.LOCK_SH)
        job.acquire()
    job.close()


def is_shared(file: IO[bytes]) -> bool:
    """Say whether somebody shares the lock, rather than have it alone."""
    return not _try_lock(file, fcntl.LOCK_EX) and _try_lock(file, fcntl.LOCK_SH)


def _try_lock(file: IO[bytes], how: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, how | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        return True
    return False


# --- Ctrl-Z. ------------------------------------------------------------------------------------


WRITE = (
    "stop_between_turns()",
    "print('ready', flush=True)",
    "while True:",
    "    write_lock.acquire()",
    "    time.sleep(0.01)",
    "    write_lock.release()",
)


def test_ctrl_z_stops_between_two_turns(tmp_path: Path) -> None:
    mine = WriteLock(tmp_path / "db", timeout=1)
    with process(tmp_path / "db", *WRITE) as busy:
        assert hear(busy) == "ready"
        for number in range(10):
            time.sleep(0.003 * number)
            busy.send_signal(signal.SIGTSTP)
            wait_for_state(busy, "T")
            mine.acquire()
            mine.release()
            busy.send_signal(signal.SIGCONT)
    mine.close()


def test_ctrl_z_stops_who_waits_for_its_turn(tmp_path: Path) -> None:
    mine = WriteLock(tmp_path / "db")
    mine.acquire()
    with process(tmp_path / "db", *WRITE) as waiting:
        assert hear(waiting) == "ready"
        time.sleep(0.2)
        waiting.send_signal(signal.SIGTSTP)
        wait_for_state(waiting, "T")
        mine.release()
        other = WriteLock(tmp_path / "db", timeout=1)
        other.acquire()
        other.close()
        waiting.send_signal(signal.SIGCONT)
        wait_for_state(waiting, "S")
    mine.close()


def test_ctrl_z_stops_several_threads_together(tmp_path: Path) -> None:
    lines = (
        "import threading",
        "def write():",
        *(f"    {line}" for line in WRITE[2:]),
        "stop_between_turns()",
        "for _ in range(3): threading.Thread(target=write, daemon=True).start()",
        "print('ready', flush=True)",
        "time.sleep(60)",
    )
    mine = WriteLock(tmp_path / "db", timeout=1)
    with process(tmp_path / "db", *lines) as busy:
        assert hear(busy) == "ready"
        for _ in range(5):
            time.sleep(0.05)
            busy.send_signal(signal.SIGTSTP)
            wait_for_state(busy, "T")
            mine.acquire()
            mine.release()
            busy.send_signal(signal.SIGCONT)
    mine.close()


def test_a_turn_that_is_handed_on_is_never_without_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal in that instant would stop the process while it holds the lock."""
    mine = WriteLock(tmp_path / "db")
    seen: list[bool] = []

    class Watched(set[object]):
        def discard(self, element: object) -> None:
            super().discard(element)
            if mine._turn_began is not None:
                seen.append(bool(self))

    monkeypatch.setattr(write_lock_module._stop_signal, "inside", Watched())

    def write() -> None:
        for _ in range(20):
            mine.acquire()
            time.sleep(0.001)
            mine.release()

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    mine.close()
    assert seen
    assert all(seen)


def test_ctrl_z_stops_at_once_who_writes_nothing(tmp_path: Path) -> None:
    lines = ("stop_between_turns()", "print('ready', flush=True)", "time.sleep(60)")
    with process(tmp_path / "db", *lines) as idle:
        assert hear(idle) == "ready"
        idle.send_signal(signal.SIGTSTP)
        wait_for_state(idle, "T")


def test_whoever_sees_to_the_signal_already_goes_on_doing_so() -> None:
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        stop_between_turns()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        elsewhere = threading.Thread(target=stop_between_turns)
        elsewhere.start()
        elsewhere.join()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
        stop_between_turns()
        assert callable(signal.getsignal(signal.SIGTSTP))
    finally:
        signal.signal(signal.SIGTSTP, before)


def test_ctrl_z_in_this_process_waits_for_the_turns_end(tmp_path: Path) -> None:
    """As a process of its own: in this one the tests would stop."""
    lines = (
        "import os, signal, threading",
        "stop_between_turns()",
        "write_lock.acquire()",
        "signal.raise_signal(signal.SIGTSTP)",
        "print('still in', flush=True)",
        "time.sleep(0.3)",
        "write_lock.release()",
        "print('on again', flush=True)",
        "write_lock.acquire()",
        "print('in again', flush=True)",
        "time.sleep(60)",
    )
    with process(tmp_path / "db", *lines) as other:
        assert hear(other) == "still in"
        assert state(other) != "T"
        wait_for_state(other, "T")
        mine = WriteLock(tmp_path / "db", timeout=1)
        mine.acquire()
        mine.close()
        os.kill(other.pid, signal.SIGCONT)
        assert (hear(other), hear(other)) == ("on again", "in again")


# --- Threads of one process. --------------------------------------------------------------------


def test_all_who_wait_in_a_process_write_in_its_turn(tmp_path: Path) -> None:
    """Another process, which came before most of them, has to wait for one turn only."""
    write_lock, order = WriteLock(tmp_path / "db"), list[str]()
    other = WriteLock(tmp_path / "db")

    write_lock.acquire()
    writers = []
    for who, name in [(write_lock, "1"), (other, "other"), (write_lock, "2"), (write_lock, "3")]:
        writers.append(threading.Thread(target=write, args=(order, who, name)))
        writers[-1].start()
        time.sleep(0.1)
    # The turn is so long by now that the others of this process have to let the other one in.
    write_lock.release()
    for writer in writers:
        writer.join(10)
    assert order == ["other", "1", "2", "3"]
    write_lock.close()
    other.close()


def test_a_thread_that_gives_up_holds_nobody_up(tmp_path: Path) -> None:
    write_lock, other = WriteLock(tmp_path / "db", timeout=0.1), WriteLock(tmp_path / "db")
    write_lock.acquire()

    def give_up() -> None:
        with pytest.raises(DatabaseBusy):
            write_lock.acquire()

    waiting = threading.Thread(target=give_up)
    waiting.start()
    waiting.join(10)
    write_lock.release()
    other.acquire()
    other.close()
    write_lock.acquire()
    write_lock.close()
