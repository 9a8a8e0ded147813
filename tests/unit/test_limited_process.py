"""Functions in a process of their own, and what becomes of one that passes its limits."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from repermit import email_address
from repermit.errors import AddressError
from repermit.limited_process import LimitedProcess, ProcessDied

MEMORY = 1 << 29


def process(function: Callable[..., Any], *, seconds: int = 20) -> LimitedProcess:
    return LimitedProcess(function, memory=MEMORY, seconds=seconds)


def death(function: Callable[..., Any], request: object, *, seconds: int = 20) -> str:
    with process(function, seconds=seconds) as limited, pytest.raises(ProcessDied) as caught:
        list(limited.ask(request))
    return str(caught.value)


def test_the_values_come_back_in_order_for_one_request_after_the_other() -> None:
    with process(email_address.parse) as limited:
        assert list(limited.ask("Jan@Example.org")) == ["Jan@example.org", "jan@example.org"]
        assert list(limited.ask("an@example.org")) == ["an@example.org", "an@example.org"]


def test_a_process_that_was_started_before_answers_and_one_that_is_not_asked_ends_at_once() -> None:
    with process(email_address.parse) as limited:
        started = limited.start()
        assert list(limited.ask("an@example.org")) == ["an@example.org", "an@example.org"]
        assert started.poll() is None
    with process(email_address.parse) as limited:
        started = limited.start()
    assert started.returncode == -signal.SIGKILL


def test_what_is_large_goes_there_and_comes_back() -> None:
    large = ["x" * 3_000_000, "é" * 3_000_000]
    with process(iter) as limited:
        assert list(limited.ask(large)) == large


def test_an_error_of_ours_is_raised_here_and_the_process_goes_on() -> None:
    with process(email_address.parse) as limited:
        with pytest.raises(AddressError, match="no @ in the address"):
            list(limited.ask("nobody"))
        assert "an@example.org" in limited.ask("an@example.org")


@pytest.mark.parametrize(
    ("function", "request_", "how"),
    [
        (bytearray, 1 << 40, "MemoryError"),
        (iter, 5, "TypeError"),
        (signal.raise_signal, signal.SIGABRT, "SIGABRT"),
        (os._exit, 3, "exit code 3"),
    ],
)
def test_a_process_that_fails_is_told_of_and_the_next_request_is_answered_by_another(
    function: Callable[..., Any], request_: object, how: str
) -> None:
    assert death(function, request_) == how


def test_after_a_death_another_process_answers() -> None:
    with process(bytearray) as limited:
        for _ in range(2):
            with pytest.raises(ProcessDied):
                list(limited.ask(1 << 40))
        assert list(limited.ask(b"ab")) == [97, 98]


def test_what_never_ends_is_ended_by_the_processors_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # The machine may be so busy that the clock is the first to end it.
    monkeypatch.setattr("repermit.limited_process._WALL_CLOCK_FACTOR", 600)
    assert death(max, range(10**15), seconds=1) == "SIGXCPU"


@pytest.mark.exhaustive
def test_what_waits_for_ever_is_ended_by_the_clock() -> None:
    assert death(time.sleep, 1000, seconds=1) == "it has taken too long"


def test_whoever_stops_before_the_last_value_ends_the_process() -> None:
    with process(itertools.repeat) as limited:
        assert next(limited.ask("one")) == "one"
        assert list(itertools.islice(limited.ask("other"), 2)) == ["other", "other"]


def test_a_process_that_cannot_start_has_nothing_to_do_with_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with process(iter) as limited:
        with monkeypatch.context() as patch:
            patch.setattr(limited, "_command", ["/bin/false"])
            with pytest.raises(OSError, match=r"cannot start \(exit code 1\)") as caught:
                list(limited.ask("x" * 1_000_000))
        assert caught.value.strerror
        assert list(limited.ask([1])) == [1]


def test_many_threads_have_a_process_each() -> None:
    answers: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        with process(iter) as limited:
            answers[number] = list(limited.ask([number]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [number] for number in range(4)}
