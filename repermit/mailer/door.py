"""The mail server that the settings name, through Flask-Mail's configuration and its Mail object.

May import messages, config, clock and errors.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import flask_mail
from flask import Flask

from repermit.clock import SystemClock
from repermit.errors import ConfigError
from repermit.mailer.certificates import checking_context
from repermit.mailer.connection import Connection
from repermit.mailer.line import Line
from repermit.mailer.oauth import token_source
from repermit.mailer.single import hand_over
from repermit.messages.signing import signer_of

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.config import MailServer
    from repermit.mailer.cutting import Cutter
    from repermit.mailer.replies import Reply
    from repermit.messages import Mail


_LONGEST_NAME = 253


class Mailer(flask_mail.Mail):
    """The mail server of the settings; `connect` leads to it.

    `clock` tells when a token ends. Raises ConfigError for a server's name, an authority or a
    password that cannot be used.
    """

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
        return hand_over(line, mail, patience=server.reply_timeout, signer=signer_of(server))


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
