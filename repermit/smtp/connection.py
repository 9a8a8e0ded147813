"""A connection to the mail server that is dialled, secured and logged in, for a line to take over.

Flask-Mail's own connection has no timeout, checks no certificate and cannot tell "refused" from
"perhaps accepted"; its configuration and its Mail object stay.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from typing import TYPE_CHECKING, NoReturn

import flask_mail

from repermit.errors import TransportError
from repermit.i18n.lazy_text import Said
from repermit.smtp import oauth
from repermit.smtp.reply_codes import Reply, read_reply
from repermit.smtp.time_limit import Cutter, in_time

if TYPE_CHECKING:
    from repermit.smtp.mail_server import Mailer


class Connection(flask_mail.Connection):
    """The beginning of a conversation; every fault says in its text what to look at."""

    mail: Mailer
    # What is wrong if the step that is under way takes too long.
    _trouble = Said()

    def send(
        self,
        message: flask_mail.Message,
        envelope_from: str | tuple[str, str] | None = None,
    ) -> NoReturn:
        """Refuse: one step cannot tell a mail that was refused from one that may have gone."""
        raise NotImplementedError

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
