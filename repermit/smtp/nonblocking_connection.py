"""One open connection to the mail server that never blocks: a socket and its dialogue.

It knows one thing for certain: whether a mail's final dot can have left.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from typing import TYPE_CHECKING

from repermit.smtp.protocol import Dialogue

if TYPE_CHECKING:
    from repermit.smtp.protocol import Envelope, Event

# More than a TLS record holds (RFC 8446 §5.1), since no selector would see what is decrypted and
# not yet read.
_AT_ONCE = 65_536
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line:
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
        self._dialogue = Dialogue(host.esmtp_features)
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
