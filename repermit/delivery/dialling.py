"""Making lines to the mail server, each in a thread of its own, since that may take long.

May import mailer and what lies below.
"""

from __future__ import annotations

import queue
import selectors
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from repermit.errors import TransportError
from repermit.mailer import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.mailer import Mailer


class Dialling:
    """Dials lines beside the engine's loop, whose selector wakes up (with no data) for each.

    `count` is how many are being dialled.
    """

    def __init__(self, mailer: Mailer, selector: selectors.BaseSelector, *, most: int) -> None:
        self._mailer = mailer
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="dialling")
        self._done: queue.SimpleQueue[Line | TransportError | BaseException] = queue.SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        selector.register(self._ear, selectors.EVENT_READ, None)
        self.count = 0

    def dial(self, count: int) -> None:
        """Begin to dial so many lines more."""
        for _ in range(count):
            self.count += 1
            self._pool.submit(self._dial)

    def take(self) -> Iterator[Line | TransportError]:
        """Yield what has come of it since: lines, and why others could not be made."""
        self._ear.recv(64)
        while not self._done.empty():
            one = self._done.get()
            self.count -= 1
            if not isinstance(one, Line | TransportError):
                raise one
            yield one

    def close(self) -> None:
        """End; lines that nobody has taken are closed."""
        self._pool.shutdown(cancel_futures=True)
        while not self._done.empty():
            one = self._done.get()
            if isinstance(one, Line):
                one.close()
        self._bell.close()
        self._ear.close()

    def _dial(self) -> None:
        try:
            self._done.put(Line(self._mailer.connect().configure_host()))
        except BaseException as error:  # noqa: BLE001  raised again where it can be seen to
            self._done.put(error)
        self._bell.send(b"!")
