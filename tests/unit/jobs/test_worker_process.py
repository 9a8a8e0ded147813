"""A child process that is looked after: restarted, asked to stop, and never left alone."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from repermit.jobs.worker_process import SupervisedProcess, watch_parent

# Notes when it began and what it was told, and leaves as the last line says.
_CHILD = """\
import os, sys, time
def note(word):
    with open(sys.argv[1], "a") as file:
        file.write(f"{word} {time.monotonic()}\\n")
note("began")
"""
WAITS = "note('told' if os.read(0, 1) else 'alone')"


def command(notes: Path, last: str) -> tuple[str, ...]:
    return (sys.executable, "-c", _CHILD + last, str(notes))


def words(notes: Path, count: int) -> list[tuple[str, float]]:
    """Return what children have noted, once it is so many lines."""
    until = time.monotonic() + 60
    while True:
        lines = notes.read_text("utf-8").splitlines() if notes.exists() else []
        if len(lines) >= count:
            return [(word, float(at)) for word, at in (line.split() for line in lines)]
        assert time.monotonic() < until, lines
        time.sleep(0.01)


def test_a_child_is_asked_to_stop_and_waited_for(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    child = SupervisedProcess(command(notes, f"{WAITS}; time.sleep(0.3); note('ended')"))
    child.start()
    words(notes, 1)
    child.stop()
    assert [word for word, _ in words(notes, 3)] == ["began", "told", "ended"]


@pytest.mark.parametrize(
    ("last", "how"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("sys.exit()", "exit code 0"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
    ],
)
def test_a_child_that_ends_is_followed_by_another_one(
    tmp_path: Path, last: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    notes = tmp_path / "notes"
    child = SupervisedProcess(command(notes, last), first_wait=0.05)
    child.start()
    words(notes, 2)
    child.stop()
    assert f"the worker has ended ({how}); another one in" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


@pytest.mark.exhaustive
def test_the_waits_grow_and_end_at_the_longest(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    child = SupervisedProcess(command(notes, "sys.exit()"), first_wait=0.4, max_wait=0.8)
    child.start()
    times = [at for _, at in words(notes, 4)]
    child.stop()
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[0] >= 0.4
    assert min(gaps[1:]) >= 0.8


@pytest.mark.exhaustive
def test_a_child_that_has_lived_for_long_is_followed_at_once(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    child = SupervisedProcess(command(notes, "time.sleep(0.6)"), first_wait=0.1, max_wait=0.5)
    child.start()
    times = [at for _, at in words(notes, 4)]
    child.stop()
    # 0.6 s of life and 0.1 s of waiting, and what a start takes; not the 0.8 s of a third wait.
    assert all(after - before >= 0.7 for before, after in pairwise(times))


def test_a_child_that_cannot_start_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "program"
    child = SupervisedProcess((str(program),), first_wait=0.05)
    child.start()
    until = time.monotonic() + 20
    said = ""
    while "it cannot start: No such file or directory" not in said:
        assert time.monotonic() < until
        time.sleep(0.01)
        said = caplog.text
    notes = tmp_path / "notes"
    # Under its name only once it is whole.
    making = tmp_path / "making"
    making.write_text(f"#!/bin/sh\necho began 0 >> {notes}\nhead -c 1 > /dev/null\n", "utf-8")
    making.chmod(0o700)
    making.rename(program)
    words(notes, 1)
    child.stop()


def test_nobody_is_started_any_more_once_it_stops(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    child = SupervisedProcess(command(notes, "sys.exit()"), first_wait=30)
    child.start()
    words(notes, 1)
    began = time.monotonic()
    child.stop()
    assert time.monotonic() - began < 10
    assert len(words(notes, 1)) == 1


def test_ctrl_c_is_for_the_parent_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    child = SupervisedProcess(command(notes, f"note(os.getsid(0) == os.getpid()); {WAITS}"))
    child.start()
    assert words(notes, 2)[1][0] == "True"
    child.stop()


# --- The child's side.


def test_a_byte_stops_and_the_end_of_the_pipe_ends() -> None:
    leash, parent = os.pipe()
    heard: list[str] = []
    stopped = threading.Event()

    def stop() -> None:
        heard.append("stop")
        stopped.set()

    thread = watch_parent(leash, stop=stop, end=lambda: heard.append("end"))
    os.write(parent, b"!")
    assert stopped.wait(60)
    assert heard == ["stop"]
    os.close(parent)
    thread.join(10)
    os.close(leash)
    assert heard == ["stop", "end"]


def test_who_is_left_alone_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    held = "from repermit.jobs.worker_process import watch_parent; note('held')"
    held += "; watch_parent(0, stop=lambda: None).join()"
    start = "import subprocess, sys, time; "
    start += "subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); time.sleep(60)"
    with subprocess.Popen(
        (sys.executable, "-c", start, *command(notes, held)), stderr=subprocess.PIPE
    ) as parent:
        # What it imports takes it a while.
        words(notes, 2)
        parent.kill()
        # The child has it too, so that it ends once both are gone.
        _, said = parent.communicate(timeout=60)
    assert said == b""


def test_stopped_before_it_has_begun_there_is_no_child(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    child = SupervisedProcess(command(notes, "sys.exit()"))
    child._stopping.set()
    child.start()
    child.stop()
    assert not notes.exists()
