"""Opening connections to the mail server, each in its own thread, since that may take long."""

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
    """Opens SMTP connections in threads, and wakes the send loop's selector for each.

    `count`: how many connections are being opened. The selector's key has no data.
    """

    def __init__(self, mailer: Mailer, selector: selectors.BaseSelector) -> None:
        self._mailer = mailer
        self._lock = threading.Lock()
        self._cancel_tokens: set[CancelToken] = set()
        self._is_closed = False
        self._results: queue.SimpleQueue[SmtpConnection | TransportError | BaseException] = (
            queue.SimpleQueue()
        )
        self._wake_sender, self._wake_receiver = socket.socketpair()
        selector.register(self._wake_receiver, selectors.EVENT_READ, None)
        self.count = 0

    def open_connections(self, count: int) -> None:
        """Start to open so many more connections."""
        for _ in range(count):
            self.count += 1
            cancel_token = CancelToken()
            with self._lock:
                self._cancel_tokens.add(cancel_token)
            # A daemon thread, which the process does not wait for: a DNS lookup cannot be aborted.
            threading.Thread(
                target=self._open_connection, args=(cancel_token,), daemon=True
            ).start()

    def take_results(self) -> Iterator[SmtpConnection | TransportError]:
        """Yield the connections opened since the last call, and the errors of those that failed."""
        self._wake_receiver.recv(64)
        while not self._results.empty():
            result = self._results.get()
            self.count -= 1
            if not isinstance(result, SmtpConnection | TransportError):
                raise result
            yield result

    def close(self) -> None:
        """Stop at once; close connections that are being opened or were never taken."""
        with self._lock:
            self._is_closed = True
            self._wake_sender.close()
            self._wake_receiver.close()
            cancel_tokens = list(self._cancel_tokens)
        for cancel_token in cancel_tokens:
            cancel_token.finish(abort=True)
        while not self._results.empty():
            _close_connection(self._results.get())

    def _open_connection(self, cancel_token: CancelToken) -> None:
        result: SmtpConnection | BaseException
        try:
            result = self._mailer.open_connection(cancel_token)
        except BaseException as error:  # noqa: BLE001  raised again by `take_results`
            result = error
        with self._lock:
            self._cancel_tokens.remove(cancel_token)
            if not self._is_closed:
                self._results.put(result)
                self._wake_sender.send(b"!")
                return
        _close_connection(result)


def _close_connection(result: SmtpConnection | BaseException) -> None:
    if isinstance(result, SmtpConnection):
        result.close()
