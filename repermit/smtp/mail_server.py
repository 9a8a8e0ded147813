"""The mail server that the settings name, through Flask-Mail's configuration and Mail object.

Flask-Mail's own connection has no timeout, checks no certificate and cannot tell "refused" from
"perhaps accepted"; its configuration and its Mail object stay.
"""

from __future__ import annotations

import selectors
import smtplib
import socket
import ssl
from contextlib import closing
from typing import TYPE_CHECKING

import flask_mail
from flask import Flask

from repermit.clock import SystemClock
from repermit.emails.dkim_signature import make_signer
from repermit.emails.mime_encoding import encode_mail
from repermit.errors import ConfigError, OutcomeUnknown, TransportError
from repermit.i18n.lazy_text import LazyText
from repermit.smtp import oauth
from repermit.smtp.connection import CancelToken, SmtpConnection, make_tls_context, run_with_timeout
from repermit.smtp.protocol import Envelope, InvalidReply, MessageAccepted, ReadyForBody
from repermit.smtp.reply_codes import ENDED, GARBLED, PERHAPS, SILENT, Reply, read_reply

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.emails.dkim_signature import Signer
    from repermit.emails.mail_types import Mail
    from repermit.emails.mime_encoding import EncodedMail
    from repermit.settings.definitions import MailServer
    from repermit.smtp.protocol import Event

_MAX_HOST_NAME_LENGTH = 253


class Mailer(flask_mail.Mail):
    """The mail server of the settings; `send` and `connect` come from Flask-Mail.

    - `clock` decides when an OAuth token has expired.
    - Raises ConfigError for a host name, a certificate authority or a password that cannot be used.
    """

    app: Flask

    def __init__(self, server: MailServer, *, clock: Clock | None = None) -> None:
        app = Flask(__name__, static_folder=None)
        app.config.update(
            MAIL_SERVER=_check_host_name(server.server),
            MAIL_PORT=server.port,
            MAIL_USE_TLS=server.tls == "starttls",
            MAIL_USE_SSL=server.tls == "tls",
            MAIL_USERNAME=server.username,
            MAIL_PASSWORD=_require_ascii(server.password),
            # What Flask-Mail would print quotes addresses.
            MAIL_DEBUG=0,
        )
        super().__init__(app)
        self.connect_timeout = server.connect_timeout
        # Reading the certificate authorities takes longer than connecting to a local server.
        is_checking = server.tls != "none" or server.ca_file
        self.tls_context = make_tls_context(server.ca_file) if is_checking else None
        self.clock = clock or SystemClock()
        self.tokens = oauth.get_token_source(server) if server.auth == "xoauth2" else None

    def connect(self) -> Connection:
        """Return a connection of Flask-Mail's that is not open yet."""
        return Connection(self)

    def send(self, message: flask_mail.Message) -> None:
        """Send a Flask-Mail message; raises what `Connection.send` and `configure_host` raise."""
        with self.app.app_context():
            super().send(message)

    def open_connection(self, cancel_token: CancelToken | None = None) -> SmtpConnection:
        """Open a connection and log in; raises TransportError with the step that failed.

        `cancel_token` aborts the attempt from another thread.
        """
        return SmtpConnection(self.connect().configure_host(cancel_token))


def _check_host_name(name: str) -> str:
    try:
        # A longer text is no host name (RFC 1035 §2.3.4), and takes long to encode.
        is_usable = len(name) <= _MAX_HOST_NAME_LENGTH and bool(name.encode("idna"))
    except UnicodeError:
        is_usable = False
    if not is_usable:
        raise ConfigError("mail.server is no name of a server", key="mail.server")
    return name


def _require_ascii(password: str) -> str:
    # smtplib encodes a login in ASCII and would fail at every mail.
    if not password.isascii():
        raise ConfigError(
            "mail.password has letters outside ASCII, which mail servers do not agree on",
            key="mail.password",
        )
    return password


# --- Connecting: each step is checked, and its error says what to look at. ------------------------


class Connection(flask_mail.Connection):
    """Flask-Mail's connection; each step is checked, and an error says which one failed."""

    mail: Mailer
    # The reason to give if the current step times out.
    _timeout_reason = LazyText()

    def send(
        self,
        message: flask_mail.Message,
        envelope_from: str | tuple[str, str] | None = None,
    ) -> None:
        """Send a Flask-Mail message over this connection, within its `with` block.

        - Raises BadHeaderError also for a line end in an extra header.
        - Raises smtplib's errors, which do not tell a refused mail from one that may have been
          accepted; `hand_over` does.
        """
        extra = (message.extra_headers or {}).items()
        if any(end in text for header in extra for text in header for end in "\r\n"):
            raise flask_mail.BadHeaderError
        with self.mail.app.app_context():
            super().send(message, envelope_from)

    def configure_host(self, cancel_token: CancelToken | None = None) -> smtplib.SMTP:
        """Connect and log in; raises TransportError with the step that failed.

        All steps together may take `connect_timeout` seconds; `cancel_token` aborts them earlier.
        """
        try:
            return run_with_timeout(
                self._connect, self.mail.connect_timeout, cancel_token or CancelToken()
            )
        except TimeoutError as error:
            raise self._make_error(self._timeout_reason, error) from None

    def _connect(self, cancel_token: CancelToken) -> smtplib.SMTP:
        self._timeout_reason = _UNREACHABLE
        host = self._open(cancel_token)
        try:
            self._timeout_reason = _NO_CONVERSATION
            self._start_tls_and_ehlo(host)
            self._timeout_reason = _LOGIN_REFUSED
            self._log_in(host)
        except BaseException:
            host.close()
            raise
        # Commands are sent without delay.
        assert host.sock is not None  # noqa: S101  the login has just used it
        host.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return host

    def _open(self, cancel_token: CancelToken) -> smtplib.SMTP:
        mail = self.mail
        try:
            return _TLSClient(mail, cancel_token) if mail.use_ssl else _Client(mail, cancel_token)
        except OSError as error:
            raise self._make_error(_UNREACHABLE, error) from None

    def _start_tls_and_ehlo(self, host: smtplib.SMTP) -> None:
        try:
            # Raises if STARTTLS is not offered, as when an attacker in between has removed it.
            if self.mail.use_tls:
                host.starttls(context=self.mail.tls_context)
            host.ehlo_or_helo_if_needed()
        except smtplib.SMTPNotSupportedError as error:
            raise self._make_error(LazyText("does not offer STARTTLS"), error) from None
        except OSError as error:
            raise self._make_error(_NO_CONVERSATION, error) from None

    def _log_in(self, host: smtplib.SMTP) -> None:
        mail = self.mail
        try:
            if mail.tokens is not None:
                oauth.log_in(host, mail.username, mail.tokens, mail.clock)
            elif mail.username and mail.password:
                host.login(mail.username, mail.password)
        except OSError as error:
            raise self._make_error(self._explain_login_fault(error), error) from None

    def _explain_login_fault(self, error: OSError) -> LazyText:
        """Return whether the server refused the login, or offers no login of this kind."""
        has_spoken = isinstance(
            error, smtplib.SMTPResponseException | smtplib.SMTPServerDisconnected
        )
        if has_spoken or not isinstance(error, smtplib.SMTPException):
            return _LOGIN_REFUSED
        return _NO_TOKEN if self.mail.tokens is not None else _NO_PASSWORD

    def _make_error(self, problem: LazyText, error: Exception) -> TransportError:
        """Return the error for a failed step, with only the codes of the server's reply."""
        if isinstance(error, ssl.SSLCertVerificationError):
            problem = LazyText(
                "has a certificate that cannot be trusted (%(reason)s)", reason=error.verify_message
            )
        reply = Reply(0, "")
        if isinstance(error, smtplib.SMTPResponseException):
            reply_text = error.smtp_error
            reply = read_reply(
                error.smtp_code,
                reply_text if isinstance(reply_text, bytes) else reply_text.encode(),
            )
        reason = LazyText(
            "the mail server %(server)s, port %(port)s, %(what)s",
            server=self.mail.server,
            port=str(self.mail.port),
            what=problem,
        )
        return TransportError(max(reply.code, 0), reply.status, reason=reason)


_UNREACHABLE = LazyText("cannot be reached")
_NO_CONVERSATION = LazyText("cannot be talked to")
_LOGIN_REFUSED = LazyText("does not take the login")
_NO_TOKEN = LazyText('offers no login with auth = "xoauth2"')
_NO_PASSWORD = LazyText("offers no login with a password")


class _Client(smtplib.SMTP):
    """A client that can be aborted, even while it waits for the greeting."""

    def __init__(self, mail: Mailer, cancel_token: CancelToken) -> None:
        self._cancel_token = cancel_token
        super().__init__(mail.server, mail.port, timeout=mail.connect_timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        new_socket: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._cancel_token.register(new_socket)
        return new_socket


class _TLSClient(smtplib.SMTP_SSL, _Client):
    """The same over TLS; the handshake starts once the socket is registered."""

    def __init__(self, mail: Mailer, cancel_token: CancelToken) -> None:
        self._cancel_token = cancel_token
        smtplib.SMTP_SSL.__init__(
            self, mail.server, mail.port, timeout=mail.connect_timeout, context=mail.tls_context
        )


# --- One mail over an open connection. ------------------------------------------------------------


def send_one(server: MailServer, mail: Mail) -> Reply:
    """Send a single mail that is not recorded, such as a preview; it is signed like all others.

    Raises TransportError, or OutcomeUnknown if the server may have accepted it.
    """
    with closing(Mailer(server).open_connection()) as connection:
        return hand_over(connection, mail, timeout=server.reply_timeout, signer=make_signer(server))


def hand_over(
    connection: SmtpConnection, mail: Mail, *, timeout: float, signer: Signer | None = None
) -> Reply:
    """Send a mail and return the reply that accepts it.

    - `timeout`: seconds to wait for each reply.
    - `signer` signs the mail first; None leaves it unsigned.
    - Raises TransportError if the server certainly has not accepted the mail.
    - Raises OutcomeUnknown if the final dot may have been sent but no reply could be read
      (RFC 5321 §4.5.3.2.6).
    """
    encoded_mail = encode_mail(mail)
    if signer is not None:
        encoded_mail = signer.sign(encoded_mail)
    try:
        return _exchange(connection, encoded_mail, timeout)
    except TimeoutError:
        raise _make_lost_error(connection, SILENT) from None
    except OSError:
        raise _make_lost_error(connection, ENDED) from None


def _exchange(connection: SmtpConnection, encoded_mail: EncodedMail, timeout: float) -> Reply:
    connection.offer(
        Envelope(
            encoded_mail.envelope_from,
            encoded_mail.envelope_to,
            encoded_mail.size,
            encoded_mail.needs_smtputf8,
        )
    )
    while True:
        for event in _wait_for_events(connection, timeout):
            match event:
                case MessageAccepted(reply):
                    return reply
                case ReadyForBody():
                    connection.send_body(encoded_mail.wire, None)
                case InvalidReply():
                    raise _make_lost_error(connection, GARBLED)
                case _:
                    raise event.error


def _wait_for_events(connection: SmtpConnection, timeout: float) -> list[Event]:
    """Wait until the server replies or the system accepts more output; return the events."""
    selected_events = selectors.EVENT_READ | (
        selectors.EVENT_WRITE if connection.has_more_to_send else 0
    )
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selected_events)
        if not selector.select(timeout):
            raise TimeoutError
    return connection.read_events()


def _make_lost_error(connection: SmtpConnection, reason: LazyText) -> TransportError:
    if connection.may_have_sent_dot:
        return OutcomeUnknown(0, reason=PERHAPS)
    return TransportError(0, reason=reason)
