"""What may take so long and no longer: it ends in time, and leaves nothing open."""

from __future__ import annotations

import signal
import socket
import threading
import time

import pytest

from repermit.smtp.connection import CancelToken, run_with_timeout


class Thing:
    """Something to be found; `closed` says that nobody wanted it."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_what_comes_in_time_is_returned_open() -> None:
    thing = Thing()
    assert run_with_timeout(lambda _cancel_token: thing, 5, CancelToken()) is thing
    assert not thing.closed.is_set()


def test_what_goes_wrong_is_raised_where_somebody_waits() -> None:
    def work(_cancel_token: CancelToken) -> Thing:
        raise LookupError

    with pytest.raises(LookupError):
        run_with_timeout(work, 5, CancelToken())


def test_what_comes_too_late_is_closed() -> None:
    thing, go_on = Thing(), threading.Event()

    def work(_cancel_token: CancelToken) -> Thing:
        go_on.wait(5)
        return thing

    with pytest.raises(TimeoutError):
        run_with_timeout(work, 0.1, CancelToken())
    go_on.set()
    assert thing.closed.wait(60)


def test_what_comes_once_it_was_cut_off_is_closed() -> None:
    thing = Thing()

    def work(cancel_token: CancelToken) -> Thing:
        assert cancel_token.finish(abort=True)
        return thing

    with pytest.raises(TimeoutError):
        run_with_timeout(work, 5, CancelToken())
    assert thing.closed.is_set()


def test_who_waits_longer_than_that_for_what_was_cut_off_hears_how_it_ends() -> None:
    def work(cancel_token: CancelToken) -> Thing:
        cancel_token.finish(abort=True)
        time.sleep(0.3)
        raise LookupError

    with pytest.raises(LookupError):
        run_with_timeout(work, 0.1, CancelToken())


def test_an_interrupt_ends_the_waiting_and_the_work() -> None:
    near, far = socket.socketpair()
    has_ended = threading.Event()

    def work(cancel_token: CancelToken) -> Thing:
        cancel_token.register(near)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        near.recv(1)
        has_ended.set()
        raise LookupError

    with near, far:
        with pytest.raises(KeyboardInterrupt):
            run_with_timeout(work, 5, CancelToken())
        assert has_ended.wait(60)
        assert far.recv(1) == b""


def test_a_socket_is_left_alone_at_a_good_end() -> None:
    near, far = socket.socketpair()
    cancel_token = CancelToken()
    with near, far:
        cancel_token.register(near)
        assert cancel_token.finish(abort=False)
        assert not cancel_token.finish(abort=True)
        near.send(b"x")
        assert far.recv(1) == b"x"


def test_a_socket_that_comes_after_the_end_is_closed() -> None:
    near, far = socket.socketpair()
    cancel_token = CancelToken()
    cancel_token.finish(abort=True)
    with far, pytest.raises(TimeoutError):
        cancel_token.register(near)
    assert near.fileno() == -1


def test_a_socket_that_is_gone_is_no_trouble() -> None:
    near, far = socket.socketpair()
    far.close()
    cancel_token = CancelToken()
    with near:
        cancel_token.register(near)
        near.shutdown(socket.SHUT_RDWR)
        assert cancel_token.finish(abort=True)
