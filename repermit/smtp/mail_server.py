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
from repermit.smtp.connection import CancelToken, SmtpConnection, checking_context, run_with_timeout
from repermit.smtp.protocol import Envelope, InvalidReply, MessageAccepted, ReadyForBody
from repermit.smtp.reply_codes import ENDED, GARBLED, PERHAPS, SILENT, Reply, read_reply

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.emails.dkim_signature import Signer
    from repermit.emails.mail_types import Mail
    from repermit.emails.mime_encoding import EncodedMail
    from repermit.settings.definitions import MailServer
    from repermit.smtp.protocol import Event

_LONGEST_NAME = 253


class Mailer(flask_mail.Mail):
    """The mail server of the settings; `send` and `connect` are Flask-Mail's, `dial` is ours.

    `clock` tells when a token ends. Raises ConfigError for a server's name, an authority or a
    password that cannot be used.
    """

    app: Flask

    def __init__(self, server: MailServer, *, clock: Clock | None = None) -> None:
        app = Flask(__name__, static_folder=None)
        app.config.update(
            MAIL_SERVER=_host_name(server.server),
            MAIL_PORT=server.port,
            MAIL_USE_TLS=server.tls == "starttls",
            MAIL_USE_SSL=server.tls == "tls",
            MAIL_USERNAME=server.username,
            MAIL_PASSWORD=_plain_ascii(server.password),
            # What Flask-Mail would print quotes addresses.
            MAIL_DEBUG=0,
        )
        super().__init__(app)
        self.connect_timeout = server.connect_timeout
        self.tls_context = checking_context(server.ca_file)
        self.clock = clock or SystemClock()
        self.tokens = oauth.token_source(server) if server.auth == "xoauth2" else None

    def connect(self) -> Connection:
        """Return a connection that has not been dialled yet."""
        return Connection(self)

    def send(self, message: flask_mail.Message) -> None:
        """Send one message of Flask-Mail's; raises what `Connection.send` and a dial raise."""
        with self.app.app_context():
            super().send(message)

    def dial(self, cutter: CancelToken | None = None) -> SmtpConnection:
        """Return an open line; raises TransportError that says why there is none.

        `cutter` ends it before its time.
        """
        return SmtpConnection(self.connect().configure_host(cutter))


def _host_name(name: str) -> str:
    try:
        # What is longer is no name (RFC 1035 §2.3.4), and takes long to encode.
        is_usable = len(name) <= _LONGEST_NAME and bool(name.encode("idna"))
    except UnicodeError:
        is_usable = False
    if not is_usable:
        raise ConfigError("mail.server is no name of a server", key="mail.server")
    return name


def _plain_ascii(password: str) -> str:
    # smtplib encodes a login in ASCII and would fail at every mail.
    if not password.isascii():
        raise ConfigError(
            "mail.password has letters outside ASCII, which mail servers do not agree on",
            key="mail.password",
        )
    return password


# --- Dialling: each step is checked, and its fault says what to look at. --------------------------


class Connection(flask_mail.Connection):
    """Flask-Mail's connection; each step is checked, and a fault says which one failed."""

    mail: Mailer
    # What is wrong if the step that is under way takes too long.
    _trouble = LazyText()

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

    def configure_host(self, cutter: CancelToken | None = None) -> smtplib.SMTP:
        """Connect, with every step checked; raises TransportError that says which one failed.

        All of it may take `connect_timeout` seconds, and `cutter` ends it before.
        """
        try:
            return run_with_timeout(
                self._connect, self.mail.connect_timeout, cutter or CancelToken()
            )
        except TimeoutError as error:
            raise self._fault(self._trouble, error) from None

    def _connect(self, cutter: CancelToken) -> smtplib.SMTP:
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

    def _dial(self, cutter: CancelToken) -> smtplib.SMTP:
        mail = self.mail
        try:
            return _TLSClient(mail, cutter) if mail.use_ssl else _Client(mail, cutter)
        except OSError as error:
            raise self._fault(_NOT_REACHED, error) from None

    def _secure(self, host: smtplib.SMTP) -> None:
        try:
            # Raises if STARTTLS is not offered, as when somebody in between has taken it out.
            if self.mail.use_tls:
                host.starttls(context=self.mail.tls_context)
            host.ehlo_or_helo_if_needed()
        except smtplib.SMTPNotSupportedError as error:
            raise self._fault(LazyText("does not offer STARTTLS"), error) from None
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
            raise self._fault(self._explain_login_fault(error), error) from None

    def _explain_login_fault(self, error: OSError) -> LazyText:
        """Return whether the server refused the login, or offers no login of this kind."""
        has_spoken = isinstance(
            error, smtplib.SMTPResponseException | smtplib.SMTPServerDisconnected
        )
        if has_spoken or not isinstance(error, smtplib.SMTPException):
            return _NO_LOGIN
        return _NO_TOKEN if self.mail.tokens is not None else _NO_PASSWORD

    def _fault(self, what: LazyText, error: Exception) -> TransportError:
        """Return the error for a failed step; of the server's reply it has the codes alone."""
        if isinstance(error, ssl.SSLCertVerificationError):
            what = LazyText(
                "has a certificate that cannot be trusted (%(reason)s)", reason=error.verify_message
            )
        reply = Reply(0, "")
        if isinstance(error, smtplib.SMTPResponseException):
            words = error.smtp_error
            reply = read_reply(
                error.smtp_code, words if isinstance(words, bytes) else words.encode()
            )
        reason = LazyText(
            "the mail server %(server)s, port %(port)s, %(what)s",
            server=self.mail.server,
            port=str(self.mail.port),
            what=what,
        )
        return TransportError(max(reply.code, 0), reply.status, reason=reason)


_NOT_REACHED = LazyText("cannot be reached")
_NOT_TALKED_TO = LazyText("cannot be talked to")
_NO_LOGIN = LazyText("does not take the login")
_NO_TOKEN = LazyText('offers no login with auth = "xoauth2"')
_NO_PASSWORD = LazyText("offers no login with a password")


class _Client(smtplib.SMTP):
    """A client that can be cut off, also while it waits for the greeting."""

    def __init__(self, mail: Mailer, cutter: CancelToken) -> None:
        self._cutter = cutter
        super().__init__(mail.server, mail.port, timeout=mail.connect_timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._cutter.watch(found)
        return found


class _TLSClient(smtplib.SMTP_SSL, _Client):
    """The same in TLS, whose handshake begins once the socket is watched."""

    def __init__(self, mail: Mailer, cutter: CancelToken) -> None:
        self._cutter = cutter
        smtplib.SMTP_SSL.__init__(
            self, mail.server, mail.port, timeout=mail.connect_timeout, context=mail.tls_context
        )


# --- One mail over an open line. ------------------------------------------------------------------


def send_one(server: MailServer, mail: Mail) -> Reply:
    """Send a single mail that nothing is recorded of, such as a preview; signed as all are.

    Raises TransportError, and OutcomeUnknown if it may have gone.
    """
    with closing(Mailer(server).dial()) as line:
        return hand_over(line, mail, patience=server.reply_timeout, signer=make_signer(server))


def hand_over(
    line: SmtpConnection, mail: Mail, *, patience: float, signer: Signer | None = None
) -> Reply:
    """Send a mail and return the reply that accepts it; each may take `patience` seconds.

    `signer` signs it first, None leaves it unsigned. Raises TransportError if the server has surely
    not accepted it, and OutcomeUnknown if the dot may have left but no reply could be read
    (RFC 5321 §4.5.3.2.6).
    """
    letter = encode_mail(mail)
    if signer is not None:
        letter = signer.sign(letter)
    try:
        return _converse(line, letter, patience)
    except TimeoutError:
        raise _lost(line, SILENT) from None
    except OSError:
        raise _lost(line, ENDED) from None


def _converse(line: SmtpConnection, letter: EncodedMail, patience: float) -> Reply:
    line.offer(
        Envelope(letter.envelope_from, letter.envelope_to, letter.size, letter.needs_smtputf8)
    )
    while True:
        for event in _hear(line, patience):
            match event:
                case MessageAccepted(reply):
                    return reply
                case ReadyForBody():
                    line.send_body(letter.wire, None)
                case InvalidReply():
                    raise _lost(line, GARBLED)
                case _:
                    raise event.error


def _hear(line: SmtpConnection, patience: float) -> list[Event]:
    """Wait until the server says something, or the system takes more of what is to be sent."""
    wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.has_more_to_send else 0)
    with selectors.DefaultSelector() as selector:
        selector.register(line, wanted)
        if not selector.select(patience):
            raise TimeoutError
    return line.pull()


def _lost(line: SmtpConnection, why: LazyText) -> TransportError:
    if line.may_have_sent_dot:
        return OutcomeUnknown(0, reason=PERHAPS)
    return TransportError(0, reason=why)
