"""The mail server that the settings name, through Flask-Mail's configuration and Mail object."""

from __future__ import annotations

import selectors
from contextlib import closing
from typing import TYPE_CHECKING

import flask_mail
from flask import Flask

from repermit.clock import SystemClock
from repermit.emails.dkim_signature import make_signer
from repermit.emails.mime_encoding import make_letter
from repermit.errors import ConfigError, OutcomeUnknown, TransportError
from repermit.smtp.connection import Connection, Line
from repermit.smtp.oauth import token_source
from repermit.smtp.protocol import Accepted, Envelope, Garbled, Ready
from repermit.smtp.reply_codes import ENDED, GARBLED, PERHAPS, SILENT
from repermit.smtp.tls import checking_context

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.emails.dkim_signature import Signer
    from repermit.emails.mail_values import Mail
    from repermit.emails.mime_encoding import Letter
    from repermit.i18n.lazy_text import Said
    from repermit.settings.definitions import MailServer
    from repermit.smtp.connection import Line
    from repermit.smtp.protocol import Event
    from repermit.smtp.reply_codes import Reply
    from repermit.smtp.time_limit import Cutter

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
        self.tokens = token_source(server) if server.auth == "xoauth2" else None

    def connect(self) -> Connection:
        """Return a connection that has not been dialled yet."""
        return Connection(self)

    def send(self, message: flask_mail.Message) -> None:
        """Send one message of Flask-Mail's; raises what `Connection.send` and a dial raise."""
        with self.app.app_context():
            super().send(message)

    def dial(self, cutter: Cutter | None = None) -> Line:
        """Return an open line; raises TransportError that says why there is none.

        `cutter` ends it before its time.
        """
        return Line(self.connect().configure_host(cutter))


def send_one(server: MailServer, mail: Mail) -> Reply:
    """Send a single mail that nothing is recorded of, such as a preview; signed as all are.

    Raises TransportError, and OutcomeUnknown if it may have gone.
    """
    with closing(Mailer(server).dial()) as line:
        return hand_over(line, mail, patience=server.reply_timeout, signer=make_signer(server))


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


# --- One mail over a line, and wait for what becomes of it. ---------------------------------------


def hand_over(line: Line, mail: Mail, *, patience: float, signer: Signer | None = None) -> Reply:
    """Send a mail and return the reply that accepts it; each may take `patience` seconds.

    `signer` signs it first, None leaves it unsigned. Raises TransportError if the server has surely
    not accepted it, and OutcomeUnknown if the dot may have left but no reply could be read
    (RFC 5321 §4.5.3.2.6).
    """
    letter = make_letter(mail)
    if signer is not None:
        letter = signer.sign(letter)
    try:
        return _converse(line, letter, patience)
    except TimeoutError:
        raise _lost(line, SILENT) from None
    except OSError:
        raise _lost(line, ENDED) from None


def _converse(line: Line, letter: Letter, patience: float) -> Reply:
    line.offer(
        Envelope(letter.envelope_from, letter.envelope_to, letter.size, letter.needs_smtputf8)
    )
    while True:
        for event in _hear(line, patience):
            match event:
                case Accepted(reply):
                    return reply
                case Ready():
                    line.send_body(letter.wire, None)
                case Garbled():
                    raise _lost(line, GARBLED)
                case _:
                    raise event.error


def _hear(line: Line, patience: float) -> list[Event]:
    """Wait until the server says something, or the system takes more of what is to be sent."""
    wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.has_more_to_send else 0)
    with selectors.DefaultSelector() as selector:
        selector.register(line, wanted)
        if not selector.select(patience):
            raise TimeoutError
    return line.pull()


def _lost(line: Line, why: Said) -> TransportError:
    if line.may_have_sent_dot:
        return OutcomeUnknown(0, reason=PERHAPS)
    return TransportError(0, reason=why)
