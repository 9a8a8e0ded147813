"""A connection that hands mails over in two steps, between which the caller commits.

May import messages and errors. Flask-Mail's own connection has no timeout, checks no certificate
and cannot tell "refused" from "perhaps accepted"; its configuration and its Mail object stay.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from typing import TYPE_CHECKING, NoReturn

import flask_mail

from repermit.errors import OutcomeUnknown, TransportError
from repermit.mailer import oauth
from repermit.mailer.replies import (
    ENDED,
    PERHAPS,
    Reply,
    Stage,
    check_envelope,
    read_reply,
    refusal,
)
from repermit.messages import on_the_wire

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from repermit.mailer.door import Mailer


class Connection(flask_mail.Connection):
    """One conversation with the mail server, for many mails; not for several threads at once.

    A mail takes `prepare`, then `commit_body` or `hang_up`. Every refusal is a TransportError; one
    whose scope is "server" says in its text what to look at.
    """

    mail: Mailer

    def __init__(self, mail: Mailer) -> None:
        super().__init__(mail)
        self._is_data_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(
        self,
        message: flask_mail.Message,
        envelope_from: str | tuple[str, str] | None = None,
    ) -> NoReturn:
        """Refuse: one step cannot tell a mail that was refused from one that may have gone."""
        raise NotImplementedError

    def prepare(
        self, envelope_from: str, envelope_to: str, *, size: int = 0, smtputf8: bool = False
    ) -> None:
        """Go as far as the server's 354; nothing has been sent then, and `hang_up` undoes it.

        Connects if need be. `size` is that of the mail in octets (RFC 1870), `smtputf8` says that
        it needs RFC 6531. Raises TransportError, after which the connection can be used again.
        """
        check_envelope(envelope_from, envelope_to)
        is_fresh = self.host is None
        try:
            self._mail_from(envelope_from, size=size, smtputf8=smtputf8)
        except TransportError as error:
            if is_fresh or error.permanent:
                raise
            # Servers end a connection that was idle or has carried enough mails; that says nothing
            # of this mail.
            self.hang_up()
            self._mail_from(envelope_from, size=size, smtputf8=smtputf8)
        self._ask(f"RCPT TO:<{envelope_to}>", stage="recipient")
        self._ask("DATA", stage="message", wanted=3)
        self._is_data_open = True

    def commit_body(self, raw: bytes) -> Reply:
        """Send the mail and its final dot, and return the reply that accepts it.

        Raises TransportError if the server has surely not accepted it, and OutcomeUnknown if the
        dot has left but no reply could be read (RFC 5321 §4.5.3.2.6).
        """
        host = self._connected()
        try:
            host.send(on_the_wire(raw))
        except OSError:
            # Without its dot a mail does not count (RFC 5321 §4.1.1.4).
            self._lost()
        code, words = self._end(host)
        if code // 100 == 2:  # noqa: PLR2004  RFC 5321 §4.2.1
            return read_reply(code, words)
        if code // 100 not in {4, 5}:
            self.hang_up()
            raise OutcomeUnknown(0, reason=PERHAPS)
        if code == _CLOSING:
            self.hang_up()
        raise refusal(code, words, stage="message")

    def hang_up(self) -> None:
        """Drop the connection as it stands: a mail without its dot is none."""
        if self.host is not None:
            self.host.close()
        self.host = None
        self._is_data_open = False

    def close(self) -> None:
        """Take leave of the server; in the middle of a mail, without a word."""
        if self.host is not None and not self._is_data_open:
            # It may have gone already.
            with contextlib.suppress(OSError):
                self.host.quit()
        self.hang_up()

    def configure_host(self) -> smtplib.SMTP:
        """Connect, with every step checked; raises TransportError that says which one failed."""
        host = self._dial()
        try:
            self._secure(host)
            self._log_in(host)
        except BaseException:
            host.close()
            raise
        # The answer to a handshake may be waited for less long than the one to a mail. And the
        # dot goes out at once, in a packet of its own.
        assert host.sock is not None  # noqa: S101  it has just spoken
        host.sock.settimeout(self.mail.reply_timeout)
        host.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return host

    def _dial(self) -> smtplib.SMTP:
        mail = self.mail
        try:
            if mail.use_ssl:
                return smtplib.SMTP_SSL(
                    mail.server,
                    mail.port,
                    timeout=mail.connect_timeout,
                    context=mail.tls_context,
                )
            return smtplib.SMTP(mail.server, mail.port, timeout=mail.connect_timeout)
        except OSError as error:
            raise self._fault("cannot be reached", error) from None

    def _secure(self, host: smtplib.SMTP) -> None:
        try:
            # Raises if STARTTLS is not offered, as when somebody in between has taken it out.
            if self.mail.use_tls:
                host.starttls(context=self.mail.tls_context)
            host.ehlo_or_helo_if_needed()
        except smtplib.SMTPNotSupportedError as error:
            raise self._fault("does not offer STARTTLS", error) from None
        except OSError as error:
            raise self._fault("cannot be talked to", error) from None

    def _log_in(self, host: smtplib.SMTP) -> None:
        mail = self.mail
        try:
            if mail.tokens is not None:
                oauth.log_in(host, mail.username, mail.tokens, mail.clock)
            elif mail.username and mail.password:
                host.login(mail.username, mail.password)
        except OSError as error:
            raise self._fault("does not take the login", error) from None

    def _fault(self, what: str, error: Exception) -> TransportError:
        """Return a fault of the server in words of ours, with its codes alone."""
        if isinstance(error, ssl.SSLCertVerificationError):
            what = f"has a certificate that cannot be trusted ({error.verify_message})"
        reply = Reply(0, "")
        if isinstance(error, smtplib.SMTPResponseException):
            words = error.smtp_error
            reply = read_reply(
                error.smtp_code, words if isinstance(words, bytes) else words.encode()
            )
        where = f"the mail server {self.mail.server}, port {self.mail.port},"
        return TransportError(max(reply.code, 0), reply.status, reason=f"{where} {what}")

    def _connected(self) -> smtplib.SMTP:
        if self.host is None:
            self.host = self.configure_host()
        return self.host

    def _mail_from(self, envelope_from: str, *, size: int, smtputf8: bool) -> None:
        host = self._connected()
        if smtputf8 and not host.has_extn("smtputf8"):
            raise TransportError(0, _NEEDS_SMTPUTF8, scope="message", permanent=True)
        host.command_encoding = "utf-8" if smtputf8 else "ascii"
        options = f" SIZE={size}" if size and host.has_extn("size") else ""
        # A server that offers SMTPUTF8 has to offer 8BITMIME too (RFC 6531 §3.1).
        options += " BODY=8BITMIME SMTPUTF8" if smtputf8 else ""
        self._ask(f"MAIL FROM:<{envelope_from}>{options}", stage="server")

    def _ask(self, command: str, *, stage: Stage, wanted: int = 2) -> None:
        """Say a command; raises TransportError unless the reply is of the class that is wanted."""
        try:
            code, words = self._connected().docmd(command)
        except OSError:
            self._lost()
        if code // 100 != wanted:
            self._forget(code)
            raise refusal(code, words, stage=stage)

    def _forget(self, code: int) -> None:
        """Have the server forget the mail that it has refused, or drop the connection."""
        if code != _CLOSING and code // 100 in {4, 5} and self._has_reset():
            return
        self.hang_up()

    def _has_reset(self) -> bool:
        try:
            return self._connected().rset()[0] // 100 == 2  # noqa: PLR2004
        except OSError:
            return False

    def _end(self, host: smtplib.SMTP) -> tuple[int, bytes]:
        self._is_data_open = False
        try:
            host.send(b".\r\n")
            return host.getreply()
        except OSError:
            self.hang_up()
            raise OutcomeUnknown(0, reason=PERHAPS) from None

    def _lost(self) -> NoReturn:
        self.hang_up()
        raise TransportError(0, reason=ENDED) from None


_CLOSING = 421
_NEEDS_SMTPUTF8 = "5.6.7"  # RFC 6531 §3.2
