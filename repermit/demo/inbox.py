"""A real SMTP server on loopback that stores the mails it accepts, for the inbox pages."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import socket
import threading
from collections.abc import Awaitable
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from repermit.package_files import load_data

_REFUSALS: dict[str, str] = load_data("demo/sample.toml")["refusals"]
_LINK = re.compile(r"https?://\S+/(yes|no|me)/[\w.~-]+")


@dataclass(frozen=True)
class ReceivedMail:
    """One mail as it was received; `number` counts from 1."""

    number: int
    sender: str
    to: str
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        """The parsed mail."""
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)  # noqa: S101  what this policy builds
        return parsed

    @property
    def subject(self) -> str:
        """The decoded subject."""
        return str(self.message["subject"])

    def part(self, kind: str) -> str:
        """Return the "plain" or the "html" part."""
        body = self.message.get_body((kind,))
        return "" if body is None else str(body.get_content())

    @property
    def links(self) -> dict[str, str]:
        """The links of the text part by their kind: "yes", "no", "me"."""
        return {match[1]: match[0] for match in _LINK.finditer(self.part("plain"))}


class Inbox:
    """An SMTP server on 127.0.0.1 and a free `port` that stores the mails it accepts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mails: list[ReceivedMail] = []
        self._server = _Server(self)

    @property
    def mails(self) -> tuple[ReceivedMail, ...]:
        """The mails received so far, the oldest first."""
        with self._lock:
            return tuple(self._mails)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        port: int = self._server.port
        return port

    def start(self) -> None:
        """Start the server."""
        self._server.start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop()

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Accept a recipient, unless the sample has a refusal for it."""
        if reply := _REFUSALS.get(address):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Store the mail."""
        raw = envelope.original_content or b""
        with self._lock:
            number = len(self._mails) + 1
            to = envelope.rcpt_tos[0]
            self._mails.append(ReceivedMail(number, envelope.mail_from or "", to, raw))
        return "250 2.0.0 kept"


class _Server(Controller):
    """aiosmtpd's server on a socket that is already bound, to any free port."""

    def __init__(self, inbox: Inbox) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        host, port = self._listening.getsockname()
        super().__init__(inbox, hostname=host, port=port, enable_SMTPUTF8=True)

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listening)
