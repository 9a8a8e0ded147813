"""The wish to stop, from a thread or a signal."""

from __future__ import annotations

import signal
import threading

import pytest

from repermit.sending.worker_lock import StopRequest

SIGNS = (signal.SIGTERM, signal.SIGINT)


def handlers() -> list[object]:
    return [signal.getsignal(sign) for sign in SIGNS]


def test_nobody_has_asked_yet() -> None:
    stopping = StopRequest()
    assert not stopping.wait(0.01)
    assert (stopping.is_asked, stopping.exit_code) == (False, 0)


def test_a_wish_is_noticed_before_and_while_somebody_waits() -> None:
    stopping = StopRequest()
    other = threading.Timer(0.05, stopping.ask)
    other.start()
    assert stopping.wait(60)
    assert stopping.wait(60)
    other.join()
    # Nobody has told the process to end.
    assert stopping.exit_code == 0


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_asks_and_the_second_one_would_end(sign: signal.Signals, code: int) -> None:
    before = handlers()
    stopping = StopRequest()
    with stopping.on_signals():
        signal.raise_signal(sign)
        assert stopping.wait(60)
        assert handlers() == [signal.SIG_DFL] * 2
    assert stopping.exit_code == code
    assert handlers() == before


def test_a_signal_that_wakes_no_wait_is_noticed_too() -> None:
    # As one does that comes just before the wait, or is delivered to another thread.
    stopping = StopRequest()
    other = threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
    too_late = threading.Event()

    def give_up() -> None:
        # A lost signal would keep this test for ever.
        too_late.set()
        stopping._wakeups.put(None)

    rescue = threading.Timer(30, give_up)
    with stopping.on_signals():
        other.start()
        rescue.start()
        assert stopping.wait()
    rescue.cancel()
    other.join()
    assert not too_late.is_set()
    assert stopping.exit_code == 143


def test_afterwards_signals_mean_what_they_did_before() -> None:
    before = handlers()

    def fail() -> None:
        with StopRequest().on_signals():
            assert handlers() != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert handlers() == before
