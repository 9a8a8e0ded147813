"""Connections to servers: TLS contexts, a time limit, and a non-blocking SMTP connection."""

from __future__ import annotations

import contextlib
import queue
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from repermit.errors import ConfigError
from repermit.smtp.protocol import SmtpClientProtocol

if TYPE_CHECKING:
    from repermit.smtp.protocol import Envelope, Event


def make_tls_context(ca_file: str, *, key: str = "mail.ca_file") -> ssl.SSLContext:
    """Return a TLS context that checks the certificate and the host name.

    - `ca_file` adds a certificate authority; "" adds none.
    - Raises ConfigError, for the setting `key`, if that file cannot be read.
    """
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
    except OSError as error:
        raise ConfigError(
            "%(key)s holds no certificate that can be read: %(reason)s",
            key=key,
            reason=str(error.strerror),
        ) from None
    return context


# --- A time limit for a whole connection attempt. -------------------------------------------------

# A socket's timeout restarts with each octet received, and a DNS lookup has none.


class _SupportsClose(Protocol):
    def close(self) -> None: ...


_Result = TypeVar("_Result", bound=_SupportsClose)


class CancelToken:
    """Aborts connections from another thread, even in the middle of a reply."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._is_over = False

    def register(self, sock: socket.socket) -> None:
        """Register a socket to abort; close it and raise TimeoutError if this is finished.

        A duplicate of the socket is stored, since TLS takes over the original.
        """
        with self._lock:
            if not self._is_over:
                self._handles.append(sock.dup())
                return
        sock.close()
        raise TimeoutError

    def finish(self, *, abort: bool) -> bool:
        """Release the sockets, shut them down if `abort`; return False if already finished."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
            handles, self._handles = self._handles, []
        for handle in handles:
            if abort:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
            handle.close()
        return not was_over


def run_with_timeout(
    function: Callable[[CancelToken], _Result], seconds: float, cancel_token: CancelToken
) -> _Result:
    """Run a function in its own thread; raise TimeoutError if it takes too many seconds.

    - `function` gets `cancel_token`, with which it registers its sockets. A result that comes too
      late is closed; an exception is raised here.
    - `cancel_token` may be finished by any thread, and the waiting thread may be interrupted.
    """
    results: queue.SimpleQueue[_Result | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            result = function(cancel_token)
        except BaseException as error:  # noqa: BLE001  raised again where somebody waits
            cancel_token.finish(abort=False)
            results.put(error)
            return
        if cancel_token.finish(abort=False):
            results.put(result)
        else:
            result.close()
            results.put(TimeoutError())

    thread = threading.Thread(target=run, name="connecting", daemon=True)
    try:
        thread.start()
        result = _await(results, seconds, cancel_token)
    except BaseException:
        cancel_token.finish(abort=True)
        raise
    if isinstance(result, BaseException):
        raise result
    return result


def _await(
    results: queue.SimpleQueue[_Result | BaseException], seconds: float, cancel_token: CancelToken
) -> _Result | BaseException:
    try:
        return results.get(timeout=seconds)
    except queue.Empty:
        # The function may have returned at the same instant.
        return TimeoutError() if cancel_token.finish(abort=True) else results.get()


# --- A non-blocking SMTP connection: a socket and its protocol. -----------------------------------


# More than a TLS record holds (RFC 8446 §5.1): a selector does not see data that is decrypted but
# not yet read.
_READ_SIZE = 65_536
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class SmtpConnection:
    """A non-blocking SMTP connection, opened and logged in by `Connection.configure_host`.

    - `sent_count`: the number of mails whose body was sent.
    - `read_events` returns what the server replies.
    - An OSError from any method that reads or writes means that the connection is lost.
    """

    def __init__(self, host: smtplib.SMTP) -> None:
        assert host.sock is not None  # noqa: S101  it has just spoken
        self._socket = host.sock
        self._socket.settimeout(0)
        # smtplib's reader would keep the socket open when it is closed.
        assert host.file is not None  # noqa: S101
        host.file.close()
        self._protocol = SmtpClientProtocol(host.esmtp_features)
        self._unsent = b""
        self._queued_bytes = 0
        self._sent_bytes = 0
        self._dot_position: int | None = None
        self.sent_count = 0

    def fileno(self) -> int:
        """Return the file descriptor of the socket, for a selector; -1 once it is closed."""
        return self._socket.fileno()

    @property
    def has_more_to_send(self) -> bool:
        """Return whether output is left that the system has not accepted; `flush` sends it."""
        return bool(self._unsent)

    @property
    def is_waiting(self) -> bool:
        """Return whether a reply is still expected."""
        return self._protocol.is_waiting

    @property
    def reply_count(self) -> int:
        """Return how many complete replies were received."""
        return self._protocol.reply_count

    @property
    def may_have_sent_dot(self) -> bool:
        """Return whether any part of the last body's final dot may have been sent."""
        return self._dot_position is not None and self._sent_bytes > self._dot_position

    def offer(self, envelope: Envelope) -> None:
        """Send a mail's envelope; raises TransportError as `SmtpClientProtocol.offer` does."""
        self._protocol.offer(envelope)
        self.flush()

    def send_body(self, wire: bytes, following: Envelope | None) -> None:
        """Send a body with its final dot, and the next envelope in the same packet if it fits.

        Raises TransportError as `SmtpClientProtocol.offer` does; the body is sent all the same.
        """
        self.sent_count += 1
        self._protocol.send_body(wire)
        self._dot_position = self._queued_bytes + len(wire)
        try:
            if following is not None:
                self._protocol.offer(following)
        finally:
            self.flush()

    def flush(self) -> None:
        """Send as much of the pending output as the system accepts now."""
        pending = b"".join(self._protocol.take_output())
        self._queued_bytes += len(pending)
        if self._unsent:
            pending = self._unsent + pending
        elif not pending:
            return
        self._unsent = pending
        try:
            sent = self._socket.send(pending)
        except _WOULD_BLOCK:
            return
        self._sent_bytes += sent
        self._unsent = pending[sent:]

    def read_events(self) -> list[Event]:
        """Return the events of the replies received, and send the commands that follow.

        Raises ConnectionResetError if the server has closed the connection, after all its replies
        were read.
        """
        try:
            data = self._socket.recv(_READ_SIZE)
        except _WOULD_BLOCK:
            self.flush()
            return []
        if not data:
            raise ConnectionResetError
        events = self._protocol.receive(data)
        if self._unsent or self._protocol.has_output:
            # A lost connection is noticed at the next read; the replies received still count.
            with contextlib.suppress(OSError):
                self.flush()
        return events

    def abort(self) -> None:
        """Close the connection without QUIT; a mail without its final dot is not accepted."""
        self._socket.close()

    def close(self) -> None:
        """Send QUIT and close the connection without waiting for the reply."""
        with contextlib.suppress(OSError):
            self._socket.send(b"QUIT\r\n")
            self._socket.shutdown(socket.SHUT_WR)
        self._socket.close()
