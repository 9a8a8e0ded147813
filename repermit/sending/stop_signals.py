"""How a process that sends is told to stop: once to finish what is on the wire, twice at once."""

from __future__ import annotations

import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNS = (signal.SIGTERM, signal.SIGINT)
_SIGNALLED = 128


class Stopping:
    """The wish that something stops, from any thread or from a signal; one thread waits for it.

    `is_asked` says whether it has come.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._sign = 0
        # A signal may come while the same thread waits, where it must not take an Event's lock.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def exit_code(self) -> int:
        """Return what the process ends with: 130 for Ctrl-C, 143 for SIGTERM, 0 for neither."""
        return _SIGNALLED + self._sign if self._sign else 0

    def ask(self) -> None:
        """Wish it; more than once does no harm."""
        self.is_asked = True
        self._bell.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is asked for, so many seconds at most; say whether it was."""
        if not self.is_asked:
            with suppress(queue.Empty):
                self._bell.get(timeout=timeout)
        return self.is_asked

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ask at the first SIGTERM or SIGINT of the block; at the second one the process ends.

        Must be entered in the main thread.
        """
        before = {sign: signal.signal(sign, self._hear) for sign in _SIGNS}
        try:
            yield
        finally:
            for sign, once in before.items():
                signal.signal(sign, once)

    def _hear(self, sign: int, _frame: FrameType | None) -> None:
        # Whoever asks again does not want to wait; killed at any instant, nothing is lost.
        for one in _SIGNS:
            signal.signal(one, signal.SIG_DFL)
        self._sign = sign
        self.ask()
