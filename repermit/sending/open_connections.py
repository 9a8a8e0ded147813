"""Making lines to the mail server, each in a thread of its own, since that may take long."""

from __future__ import annotations

import queue
import selectors
import socket
import threading
from collections.abc import Iterator

from repermit.errors import TransportError
from repermit.smtp.connection import CancelToken, SmtpConnection
from repermit.smtp.mail_server import Mailer


class Connector:
    """Dials lines beside the engine's loop, whose selector wakes up (with no data) for each.

    `count` is how many are being dialled.
    """

    def __init__(self, mailer: Mailer, selector: selectors.BaseSelector) -> None:
        self._mailer = mailer
        self._lock = threading.Lock()
        self._cutters: set[CancelToken] = set()
        self._is_closed = False
        self._results: queue.SimpleQueue[SmtpConnection | TransportError | BaseException] = (
            queue.SimpleQueue()
        )
        self._wake_sender, self._wake_receiver = socket.socketpair()
        selector.register(self._wake_receiver, selectors.EVENT_READ, None)
        self.count = 0

    def open_connections(self, count: int) -> None:
        """Begin to dial so many lines more."""
        for _ in range(count):
            self.count += 1
            cutter = CancelToken()
            with self._lock:
                self._cutters.add(cutter)
            # Nobody waits for its end, also not the process: looking up a name cannot be cut off.
            threading.Thread(target=self._open_connection, args=(cutter,), daemon=True).start()

    def take_results(self) -> Iterator[SmtpConnection | TransportError]:
        """Yield what has come of it since: lines, and why others could not be made."""
        self._wake_receiver.recv(64)
        while not self._results.empty():
            result = self._results.get()
            self.count -= 1
            if not isinstance(result, SmtpConnection | TransportError):
                raise result
            yield result

    def close(self) -> None:
        """End at once; lines that are still dialled, or that nobody has taken, are closed."""
        with self._lock:
            self._is_closed = True
            self._wake_sender.close()
            self._wake_receiver.close()
            cutters = list(self._cutters)
        for cutter in cutters:
            cutter.end(cut=True)
        while not self._results.empty():
            _close_connection(self._results.get())

    def _open_connection(self, cutter: CancelToken) -> None:
        result: SmtpConnection | BaseException
        try:
            result = self._mailer.dial(cutter)
        except BaseException as error:  # noqa: BLE001  raised again where it can be seen to
            result = error
        with self._lock:
            self._cutters.remove(cutter)
            if not self._is_closed:
                self._results.put(result)
                self._wake_sender.send(b"!")
                return
        _close_connection(result)


def _close_connection(result: SmtpConnection | BaseException) -> None:
    if isinstance(result, SmtpConnection):
        result.close()
