"""A real SMTP server on loopback that keeps what it accepts, for tests."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HANG_UP = "hang up"
"""As a reply: close the connection without any."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """One accepted mail as it came over the wire; `raw` has CRLF line ends, undone dots."""

    mail_from: str
    mail_options: tuple[str, ...]
    rcpt_tos: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """Return the mail, parsed."""
        message = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message


class Inbox:
    """An SMTP server on 127.0.0.1 and an ephemeral `port`, from `start` to `stop`.

    What it answers can be changed at any time. `reply_to_rcpt` gets each recipient's address,
    `reply_to_data` each mail once it has arrived whole; None accepts, a text such as
    "550 5.1.1 unknown" is the reply instead, and HANG_UP closes the connection without one.
    They run in the server's thread, so one that waits makes the server slow.
    """

    def __init__(self, **smtp_options: Any) -> None:
        self.reply_to_rcpt: Callable[[str], str | None] = lambda _address: None
        self.reply_to_data: Callable[[Received], str | None] = lambda _mail: None
        self._arrived = threading.Condition()
        self._mails: list[Received] = []
        self._server = _Server(self, smtp_options)

    @property
    def host(self) -> str:
        return self._server.hostname

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def mails(self) -> tuple[Received, ...]:
        """Return what was accepted so far, in order."""
        with self._arrived:
            return tuple(self._mails)

    def to(self, address: str) -> tuple[Received, ...]:
        """Return what was accepted so far for one recipient, in order."""
        return tuple(mail for mail in self.mails if address in mail.rcpt_tos)

    def clear(self) -> None:
        """Forget what was accepted so far."""
        with self._arrived:
            self._mails.clear()

    def wait_for(self, count: int, timeout: float = 10) -> tuple[Received, ...]:
        """Return the mails once there are `count` of them; fail after `timeout` seconds."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._mails) >= count, timeout)
            came = tuple(self._mails)
        assert len(came) >= count, f"{len(came)} mails came within {timeout} s, not {count}"
        return came

    def keep(self, mail: Received) -> None:
        """Put a mail in."""
        with self._arrived:
            self._mails.append(mail)
            self._arrived.notify_all()

    def start(self) -> Self:
        """Listen."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop listening and drop open connections; a second time does nothing."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Server(Controller):
    """aiosmtpd's server, on a socket bound beforehand, so that nobody else can take the port."""

    def __init__(self, inbox: Inbox, smtp_options: dict[str, Any]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        host, port = self._listening.getsockname()
        self._conversations: list[SMTP] = []
        super().__init__(_Conversation(inbox), hostname=host, port=port, **smtp_options)

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(
            self._factory_invoker, sock=self._listening, ssl=self.ssl_context
        )

    def factory(self) -> SMTP:
        conversation: SMTP = super().factory()  # type: ignore[no-untyped-call]
        self._conversations.append(conversation)
        return conversation

    def stop(self, no_assert: bool = False) -> None:
        if self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result(10)
        super().stop(no_assert)

    async def _hang_up(self) -> None:
        # Left open, a connection would be found by the garbage collector, with a warning.
        for conversation in self._conversations:
            _cut(conversation)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


class _Conversation:
    """The hooks that aiosmtpd calls by their names."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._inbox.reply_to_rcpt(address)
        if reply is None:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return _said(server, reply)

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        mail = Received(
            mail_from=envelope.mail_from or "",
            mail_options=tuple(envelope.mail_options),
            rcpt_tos=tuple(envelope.rcpt_tos),
            raw=bytes(envelope.original_content or b""),
        )
        reply = self._inbox.reply_to_data(mail)
        if reply is None:
            self._inbox.keep(mail)
        return _said(server, reply)


def _said(conversation: SMTP, reply: str | None) -> str:
    if reply == HANG_UP:
        _cut(conversation)
    return reply or "250 2.0.0 OK"


def _cut(conversation: SMTP) -> None:
    if isinstance(conversation.transport, asyncio.WriteTransport):
        conversation.transport.abort()
