"""A connection to the mail server: dialled, secured and logged in, then a line that never blocks.

Flask-Mail's own connection has no timeout, checks no certificate and cannot tell "refused" from
"perhaps accepted"; its configuration and its Mail object stay.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from typing import TYPE_CHECKING

import flask_mail

from repermit.errors import TransportError
from repermit.i18n.lazy_text import Said
from repermit.smtp import oauth
from repermit.smtp.protocol import Dialogue
from repermit.smtp.reply_codes import Reply, read_reply
from repermit.smtp.time_limit import Cutter, in_time

if TYPE_CHECKING:
    from repermit.smtp.mail_server import Mailer
    from repermit.smtp.protocol import Envelope, Event


class Connection(flask_mail.Connection):
    """The beginning of a conversation; every fault says in its text what to look at."""

    mail: Mailer
    # What is wrong if the step that is under way takes too long.
    _trouble = Said()

    def send(
        self,
        message: flask_mail.Message,
        envelope_from: str | tuple[str, str] | None = None,
    ) -> None:
        """Send a message of Flask-Mail's over this connection, within `with`.

        Raises BadHeaderError also for a line end in an extra header, and smtplib's errors, which
        cannot tell a mail that was refused from one that may have gone: `hand_over` can.
        """
        extra = (message.extra_headers or {}).items()
        if any(end in text for header in extra for text in header for end in "\r\n"):
            raise flask_mail.BadHeaderError
        with self.mail.app.app_context():
            super().send(message, envelope_from)

    def configure_host(self, cutter: Cutter | None = None) -> smtplib.SMTP:
        """Connect, with every step checked; raises TransportError that says which one failed.

        All of it may take `connect_timeout` seconds, and `cutter` ends it before.
        """
        try:
            return in_time(self._connect, self.mail.connect_timeout, cutter or Cutter())
        except TimeoutError as error:
            raise self._fault(self._trouble, error) from None

    def _connect(self, cutter: Cutter) -> smtplib.SMTP:
        self._trouble = _NOT_REACHED
        host = self._dial(cutter)
        try:
            self._trouble = _NOT_TALKED_TO
            self._secure(host)
            self._trouble = _NO_LOGIN
            self._log_in(host)
        except BaseException:
            host.close()
            raise
        # What is said goes out at once.
        assert host.sock is not None  # noqa: S101  it has just spoken
        host.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return host

    def _dial(self, cutter: Cutter) -> smtplib.SMTP:
        mail = self.mail
        try:
            return _TLSHost(mail, cutter) if mail.use_ssl else _Host(mail, cutter)
        except OSError as error:
            raise self._fault(_NOT_REACHED, error) from None

    def _secure(self, host: smtplib.SMTP) -> None:
        try:
            # Raises if STARTTLS is not offered, as when somebody in between has taken it out.
            if self.mail.use_tls:
                host.starttls(context=self.mail.tls_context)
            host.ehlo_or_helo_if_needed()
        except smtplib.SMTPNotSupportedError as error:
            raise self._fault(Said("does not offer STARTTLS"), error) from None
        except OSError as error:
            raise self._fault(_NOT_TALKED_TO, error) from None

    def _log_in(self, host: smtplib.SMTP) -> None:
        mail = self.mail
        try:
            if mail.tokens is not None:
                oauth.log_in(host, mail.username, mail.tokens, mail.clock)
            elif mail.username and mail.password:
                host.login(mail.username, mail.password)
        except OSError as error:
            raise self._fault(self._about_the_login(error), error) from None

    def _about_the_login(self, error: OSError) -> Said:
        """Say whether the server has refused the login, or has no way for it to be given."""
        has_spoken = isinstance(
            error, smtplib.SMTPResponseException | smtplib.SMTPServerDisconnected
        )
        if has_spoken or not isinstance(error, smtplib.SMTPException):
            return _NO_LOGIN
        return _NO_TOKEN if self.mail.tokens is not None else _NO_PASSWORD

    def _fault(self, what: Said, error: Exception) -> TransportError:
        """Return a fault of the server in words of ours, with its codes alone."""
        if isinstance(error, ssl.SSLCertVerificationError):
            what = Said(
                "has a certificate that cannot be trusted (%(reason)s)", reason=error.verify_message
            )
        reply = Reply(0, "")
        if isinstance(error, smtplib.SMTPResponseException):
            words = error.smtp_error
            reply = read_reply(
                error.smtp_code, words if isinstance(words, bytes) else words.encode()
            )
        reason = Said(
            "the mail server %(server)s, port %(port)s, %(what)s",
            server=self.mail.server,
            port=str(self.mail.port),
            what=what,
        )
        return TransportError(max(reply.code, 0), reply.status, reason=reason)


_NOT_REACHED = Said("cannot be reached")
_NOT_TALKED_TO = Said("cannot be talked to")
_NO_LOGIN = Said("does not take the login")
_NO_TOKEN = Said('offers no login with auth = "xoauth2"')
_NO_PASSWORD = Said("offers no login with a password")


class _Host(smtplib.SMTP):
    """A conversation that can be cut off, also while its greeting is still to come."""

    def __init__(self, mail: Mailer, cutter: Cutter) -> None:
        self._cutter = cutter
        super().__init__(mail.server, mail.port, timeout=mail.connect_timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._cutter.watch(found)
        return found


class _TLSHost(smtplib.SMTP_SSL, _Host):
    """The same in TLS, whose handshake begins once the socket is watched."""

    def __init__(self, mail: Mailer, cutter: Cutter) -> None:
        self._cutter = cutter
        smtplib.SMTP_SSL.__init__(
            self, mail.server, mail.port, timeout=mail.connect_timeout, context=mail.tls_context
        )


# --- One open connection to the mail server that never blocks: a socket and its dialogue. ---------


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
