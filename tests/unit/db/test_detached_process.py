"""Work in a process of its own: its lock, its progress and its result."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from repermit.db import detached_process
from repermit.db.connection import Database
from repermit.db.detached_process import DetachedTask
from repermit.db.models.lists import MailingList, find_list
from repermit.settings.definitions import Settings
from tests.support.builders import make_list

ROOT = Path(__file__).parents[3]
PATIENCE = 60  # seconds


@pytest.fixture
def task(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DetachedTask:
    # The process calls functions of this module, which it finds here alone.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return task_in(tmp_path, settings)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Return the processes that are started from now on."""
    return started_processes(monkeypatch)


def started_processes(
    monkeypatch: pytest.MonkeyPatch, *, are_stopped: bool = False
) -> list[subprocess.Popen[bytes]]:
    """Return the processes that are started from now on, stopped before they do anything or not."""
    started: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            if are_stopped:
                self.send_signal(signal.SIGSTOP)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return started


def task_in(folder: Path, settings: Settings) -> DetachedTask:
    return DetachedTask(folder=folder, result_name="found.json", settings=settings)


def find_name(_: Database, *, settings: Settings, folder: str, slug: str) -> None:
    """Save what the database holds."""
    task_in(Path(folder), settings).save_result({"name": find_list(slug).name})


def read_pipe(_: Database, *, settings: Settings, folder: str) -> None:
    """Say that it is half done, and save what then comes through a pipe."""
    task = task_in(Path(folder), settings)
    task.save_progress({"done": 50})
    task.save_result({"read": (task.folder / "pipe").read_text()})


def fail(_: Database, *, settings: Settings) -> None:
    """Fail with a text that quotes something."""
    raise ValueError(settings.public_url)


def start(task: DetachedTask, function: Any, database: Database, **options: Any) -> bool:
    lock = task.lock()
    if lock is None:
        return False
    with closing(lock):
        task.forget_result()
        task.start(function, lock=lock, database=database, **options)
    return True


def wait_until_free(task: DetachedTask) -> None:
    until = time.monotonic() + PATIENCE
    while task.is_busy:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.counted_on_both
@pytest.mark.parametrize("is_long", [False, True])
def test_what_is_short_is_done_here_and_what_is_long_in_a_process(
    database: Database,
    task: DetachedTask,
    processes: list[subprocess.Popen[bytes]],
    is_long: bool,
) -> None:
    make_list(database)
    about = {"folder": str(task.folder), "slug": "news"}
    assert start(task, find_name, database, is_long=is_long, **about)
    assert len(processes) == is_long
    wait_until_free(task)
    assert task.result == {"name": MailingList.get().name}


def test_before_it_ran_there_is_neither_progress_nor_result(task: DetachedTask) -> None:
    assert (task.is_busy, task.progress, task.result) == (False, None, None)
    elsewhere = task_in(task.folder / "nowhere", task.settings)
    assert (elsewhere.is_busy, elsewhere.progress, elsewhere.result) == (False, None, None)
    assert not elsewhere.folder.exists()


def test_one_runs_at_a_time_says_how_far_it_is_and_is_begun_again_after_a_kill(
    database: Database, task: DetachedTask, processes: list[subprocess.Popen[bytes]]
) -> None:
    about = {"folder": str(task.folder)}
    os.mkfifo(task.folder / "pipe")
    assert start(task, read_pipe, database, is_long=True, **about)
    until = time.monotonic() + PATIENCE
    while task.progress is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert (task.is_busy, task.progress, task.result) == (True, {"done": 50}, None)
    assert not start(task, read_pipe, database, is_long=True, **about)
    (process,) = processes
    process.kill()
    process.wait()
    assert (task.is_busy, task.result) == (False, None), "it was cut off"
    assert start(task, read_pipe, database, is_long=True, **about)
    (task.folder / "pipe").write_text("the rest")
    wait_until_free(task)
    assert task.result == {"read": "the rest"}


def test_whoever_has_saved_a_result_is_waited_for_but_not_for_ever(
    task: DetachedTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = task.lock()
    assert held is not None
    assert task.lock() is None
    task.save_result({"rows": 1})
    assert not task.is_busy
    monkeypatch.setattr(detached_process, "_MAX_ENDING_SECONDS", 0.1)
    assert task.lock() is None
    monkeypatch.setattr(detached_process, "_MAX_ENDING_SECONDS", PATIENCE)
    threading.Timer(0.2, held.close).start()
    with closing(task.lock()):  # type: ignore[type-var]
        assert held.closed


def test_what_fails_in_it_is_told_without_its_text(
    database: Database,
    task: DetachedTask,
    processes: list[subprocess.Popen[bytes]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert start(task, fail, database, is_long=True)
    (process,) = processes
    assert process.wait(PATIENCE) == 0
    assert (task.is_busy, task.result) == (False, None)
    told = capfd.readouterr().err
    assert told.endswith("ValueError\n")
    assert "in fail" in told
    assert task.settings.public_url not in told
