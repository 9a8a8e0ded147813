"""Connections to servers: trusted certificates, a time limit, and an open SMTP connection."""

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


def checking_context(ca_file: str, *, key: str = "mail.ca_file") -> ssl.SSLContext:
    """Return a context that checks certificate and name; `ca_file` adds an authority, "" none.

    Raises ConfigError, for the setting `key`, if that file cannot be used.
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


# --- A time limit on what a server may take, whatever it does. ------------------------------------

# A timeout of a socket begins anew with each octet that comes, and looking up a name has none.


class _SupportsClose(Protocol):
    def close(self) -> None: ...


_Result = TypeVar("_Result", bound=_SupportsClose)


class CancelToken:
    """Cuts connections off from another thread, also in the middle of a reply."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._is_over = False

    def watch(self, sock: socket.socket) -> None:
        """Watch a socket; closes it and raises TimeoutError if the end has come already.

        It keeps a handle of its own, since TLS takes over the first one.
        """
        with self._lock:
            if not self._is_over:
                self._handles.append(sock.dup())
                return
        sock.close()
        raise TimeoutError

    def end(self, *, cut: bool) -> bool:
        """Stop watching, and cut the sockets off if `cut`; return False if it had ended before."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
            handles, self._handles = self._handles, []
        for handle in handles:
            if cut:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
            handle.close()
        return not was_over


def run_with_timeout(
    work: Callable[[CancelToken], _Result], seconds: float, cutter: CancelToken
) -> _Result:
    """Return what `work` returns; raises what it raises, and TimeoutError after so many seconds.

    - `work` runs in a thread of its own, and is given `cutter` to watch its sockets. What it
      returns too late is closed.
    - `cutter` may be ended by any thread; whoever waits here may be interrupted.
    """
    done: queue.SimpleQueue[_Result | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            found = work(cutter)
        except BaseException as error:  # noqa: BLE001  raised again where somebody waits
            cutter.end(cut=False)
            done.put(error)
            return
        if cutter.end(cut=False):
            done.put(found)
        else:
            found.close()
            done.put(TimeoutError())

    thread = threading.Thread(target=run, name="dialling", daemon=True)
    try:
        thread.start()
        found = _await(done, seconds, cutter)
    except BaseException:
        cutter.end(cut=True)
        raise
    if isinstance(found, BaseException):
        raise found
    return found


def _await(
    done: queue.SimpleQueue[_Result | BaseException], seconds: float, cutter: CancelToken
) -> _Result | BaseException:
    try:
        return done.get(timeout=seconds)
    except queue.Empty:
        # In the same moment it may have come to its end.
        return TimeoutError() if cutter.end(cut=True) else done.get()


# --- An open SMTP connection that never blocks: a socket and its dialogue. ------------------------


# More than a TLS record holds (RFC 8446 §5.1), since no selector would see what is decrypted and
# not yet read.
_AT_ONCE = 65_536
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class SmtpConnection:
    """A connection that has been dialled, secured and logged in by `Connection.configure_host`.

    `carried` counts the mails that it has carried. What the server says comes from `pull`; an
    OSError there, or in anything that says something, means that the line is dead.
    """

    def __init__(self, host: smtplib.SMTP) -> None:
        assert host.sock is not None  # noqa: S101  it has just spoken
        self._socket = host.sock
        self._socket.settimeout(0)
        # smtplib's reader would keep the socket open when it is closed.
        assert host.file is not None  # noqa: S101
        host.file.close()
        self._dialogue = SmtpClientProtocol(host.esmtp_features)
        self._unsent = b""
        self._given = 0
        self._taken = 0
        self._dot_at: int | None = None
        self.carried = 0

    def fileno(self) -> int:
        """Return the number of its socket, for a selector; -1 once it is closed."""
        return self._socket.fileno()

    @property
    def has_more_to_send(self) -> bool:
        """Say whether the system has not taken everything yet; `flush` goes on."""
        return bool(self._unsent)

    @property
    def is_waiting(self) -> bool:
        """Say whether a reply is still to come."""
        return self._dialogue.is_waiting

    @property
    def heard(self) -> int:
        """Return how many replies have come whole."""
        return self._dialogue.heard

    @property
    def may_have_sent_dot(self) -> bool:
        """Say whether any of the dot of the body that was sent last may have left."""
        return self._dot_at is not None and self._taken > self._dot_at

    def offer(self, envelope: Envelope) -> None:
        """Ask the server to take a mail; raises TransportError as Dialogue.offer does."""
        self._dialogue.offer(envelope)
        self.flush()

    def send_body(self, wire: bytes, following: Envelope | None) -> None:
        """Send a body with its dot, and behind it the next envelope, in one packet if it fits.

        Raises TransportError as Dialogue.offer does, when the body is on its way.
        """
        self.carried += 1
        self._dialogue.send_body(wire)
        self._dot_at = self._given + len(wire)
        try:
            if following is not None:
                self._dialogue.offer(following)
        finally:
            self.flush()

    def flush(self) -> None:
        """Send what the system takes of what is still to be sent."""
        pending = b"".join(self._dialogue.take_output())
        self._given += len(pending)
        if self._unsent:
            pending = self._unsent + pending
        elif not pending:
            return
        self._unsent = pending
        try:
            taken = self._socket.send(pending)
        except _NOT_NOW:
            return
        self._taken += taken
        self._unsent = pending[taken:]

    def pull(self) -> list[Event]:
        """Return what the server has said, and send what follows from it.

        Raises ConnectionResetError if it has gone; what it said before that comes first.
        """
        try:
            data = self._socket.recv(_AT_ONCE)
        except _NOT_NOW:
            self.flush()
            return []
        if not data:
            raise ConnectionResetError
        events = self._dialogue.receive(data)
        if self._unsent or self._dialogue.has_output:
            # If it is dead, that is found at the next look; what it has said counts.
            with contextlib.suppress(OSError):
                self.flush()
        return events

    def hang_up(self) -> None:
        """Drop the connection as it stands: a mail without its dot is none."""
        self._socket.close()

    def close(self) -> None:
        """Take leave without waiting for the answer; it has nothing left to say."""
        with contextlib.suppress(OSError):
            self._socket.send(b"QUIT\r\n")
            self._socket.shutdown(socket.SHUT_WR)
        self._socket.close()
