"""The client's side of SMTP as a state machine without a socket (sans-I/O).

Bytes go in and out; the owner of the socket decides when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from repermit.errors import TransportError
from repermit.i18n.lazy_text import LazyText
from repermit.smtp.reply_codes import (
    ENDED,
    Reply,
    Stage,
    check_envelope,
    make_refusal_error,
    read_reply,
)

DOT = b".\r\n"
"""The line that ends a mail; without it a mail does not count (RFC 5321 §4.1.1.4)."""


class Envelope(NamedTuple):
    """One mail's envelope: addresses, its size in octets, and whether it needs RFC 6531."""

    sender: str
    recipient: str
    size: int
    needs_smtputf8: bool = False


class ReadyForBody:
    """The server accepted the last envelope and waits for the mail's body."""


@dataclass(frozen=True)
class EnvelopeRejected:
    """The server rejected the last envelope; no body is sent.

    `at_once`: the server refused MAIL FROM already, before it knew any recipient.
    """

    error: TransportError
    at_once: bool


class MessageAccepted(NamedTuple):
    """The server accepted the mail whose body was sent last."""

    reply: Reply


@dataclass(frozen=True)
class MessageRejected:
    """The server certainly did not accept the mail whose body was sent last."""

    error: TransportError


class InvalidReply:
    """The server sent something that is no valid reply; the session is over."""


@dataclass(frozen=True)
class ServerClosing:
    """The server ends the session (421), which says nothing about any mail."""

    error: TransportError


Event = (
    ReadyForBody
    | EnvelopeRejected
    | MessageAccepted
    | MessageRejected
    | InvalidReply
    | ServerClosing
)


# The command that a reply answers. Plain strings, as 100,000 of them are looked up per second.
_Step = Literal["MAIL", "RCPT", "DATA", "BODY", "LONE DOT", "RSET"]


class SmtpClientProtocol:
    """An SMTP session after the login, which sends one mail after the other.

    - `extensions`: what EHLO offered, names in lower case (RFC 5321 §4.1.1.1).
    - With PIPELINING (RFC 2920) all commands of an envelope are sent at once, right after the
      previous body. Without it each command waits for the reply to the one before.
    - `take_output` returns the bytes to send; `receive` turns received bytes into events.
    """

    def __init__(self, extensions: Mapping[str, str]) -> None:
        self._may_pipeline = "pipelining" in extensions
        self._supports_size = "size" in extensions
        self._size_limit = _parse_number(extensions.get("size", ""))
        self._supports_smtputf8 = "smtputf8" in extensions
        self._awaited_replies: deque[_Step] = deque()
        self._waiting_commands: deque[tuple[_Step, bytes]] = deque()
        self._output: list[bytes] = []
        self._failure: TransportError | None = None
        self._failed_at: _Step = "MAIL"
        self._recipient = self._recipient_of_body = ""
        self._buffer = b""
        self._reply_text = b""
        self.reply_count = 0

    @property
    def is_waiting(self) -> bool:
        """Return whether any reply is still expected."""
        return bool(self._awaited_replies)

    @property
    def has_output(self) -> bool:
        """Return whether there are bytes to send."""
        return bool(self._output)

    def offer(self, envelope: Envelope) -> None:
        """Send a mail's envelope; a ReadyForBody or an EnvelopeRejected follows.

        - May be called after a body whose reply is still expected.
        - Raises TransportError, and sends nothing, if this server cannot be offered the mail.
        """
        mail = self._make_mail_command(envelope)
        recipient = b"RCPT TO:<%b>\r\n" % envelope.recipient.encode()
        self._failure, self._recipient = None, envelope.recipient
        if self._may_pipeline:
            self._awaited_replies += _ENVELOPE
            self._output += (mail, recipient, b"DATA\r\n")
            return
        self._waiting_commands += zip(_ENVELOPE, (mail, recipient, b"DATA\r\n"), strict=True)
        self._write_commands()

    def send_body(self, wire: bytes) -> None:
        """Send the body that the server is ready for, and its final dot.

        `wire` has CRLF everywhere and its dots doubled (RFC 5321 §4.5.2).
        """
        self._recipient_of_body = self._recipient
        self._awaited_replies.append("BODY")
        self._output += (wire, DOT)

    def take_output(self) -> list[bytes]:
        """Return the bytes to send now, and clear them."""
        output, self._output = self._output, []
        return output

    def receive(self, data: bytes) -> list[Event]:
        """Return the events of received bytes in order; an incomplete line is buffered."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        events: list[Event] = []
        for line in lines:
            if self._is_common_reply(line):
                event = self._handle_common_reply(line)
                if event is not None:
                    events.append(event)
                continue
            code, separator = line[:3], line[3:4]
            if not code.isdigit() or separator not in _SEPARATORS:
                return [*events, InvalidReply()]
            if separator == b"-":
                # With a space, so that lines without text count towards the size limit too.
                self._reply_text += line[4:].rstrip() + b" "
            else:
                text, self._reply_text = self._reply_text + line[4:], b""
                self.reply_count += 1
                events += self._handle_reply(int(code), text)
        if len(self._buffer) + len(self._reply_text) > _MAX_REPLY_SIZE:
            events.append(InvalidReply())
        return events

    def _is_common_reply(self, line: bytes) -> bool:
        """Return whether a line is a complete reply with the code of success."""
        return bool(
            self._may_pipeline
            and self._awaited_replies
            and line[:4] == _COMMON_PREFIX.get(self._awaited_replies[0])
            and not self._reply_text
            and self._failure is None
        )

    def _handle_common_reply(self, line: bytes) -> Event | None:
        """Handle a common reply without the checks of `_handle_reply`; nearly all replies are."""
        self.reply_count += 1
        step = self._awaited_replies.popleft()
        if step == "BODY":
            return MessageAccepted(read_reply(_ACCEPTED_CODE, line[4:]))
        return _READY_FOR_BODY if step == "DATA" else None

    def _make_mail_command(self, envelope: Envelope) -> bytes:
        check_envelope(envelope.sender, envelope.recipient)
        if envelope.needs_smtputf8 and not self._supports_smtputf8:
            raise TransportError(0, _NEEDS_SMTPUTF8, scope="message", permanent=True)
        if 0 < self._size_limit < envelope.size:
            # Each mail of a campaign is about as large: a fault of the whole server, not of this
            # recipient.
            reason = LazyText(
                "the mail server takes mails of %(most)s octets at most", most=self._size_limit
            )
            raise TransportError(_EXCEEDED, _TOO_LARGE, reason=reason)
        options = f" SIZE={envelope.size}" if self._supports_size else ""
        # A server that offers SMTPUTF8 has to offer 8BITMIME too (RFC 6531 §3.1).
        options += " BODY=8BITMIME SMTPUTF8" if envelope.needs_smtputf8 else ""
        return f"MAIL FROM:<{envelope.sender}>{options}\r\n".encode()

    def _write_commands(self) -> None:
        while self._waiting_commands and (self._may_pipeline or not self._awaited_replies):
            step, command = self._waiting_commands.popleft()
            self._awaited_replies.append(step)
            self._output.append(command)

    def _handle_reply(self, code: int, text: bytes) -> Iterator[Event]:
        if not self._awaited_replies:
            # Unsolicited: the server is closing, or the session is out of step.
            yield _make_closing(code, text) if code == _CLOSING else InvalidReply()
            return
        step = self._awaited_replies.popleft()
        if step == "BODY":
            yield _make_outcome(code, text, recipient=self._recipient_of_body)
        elif step in _ENVELOPE_STEPS and code != _CLOSING:
            yield from self._handle_envelope_reply(step, code, text)
        elif step == "RSET" and code // 100 != 2:  # noqa: PLR2004
            yield _make_closing(code, text)
            return
        if code == _CLOSING:
            yield _make_closing(code, text)
        self._write_commands()

    def _handle_envelope_reply(self, step: _Step, code: int, text: bytes) -> Iterator[Event]:
        """Handle a reply to MAIL, RCPT or DATA; the last of them decides.

        RFC 2920 §3.1: after recipients were refused, DATA may still be answered with 354, and then
        a lone dot has to follow.
        """
        kind = code // 100
        if kind not in {_EXPECTED_CLASS[step], 4, 5}:
            yield InvalidReply()
            return
        if kind != _EXPECTED_CLASS[step] and self._failure is None:
            self._failure = make_refusal_error(
                code, text, stage=_STAGES[step], recipient=self._recipient
            )
            self._failed_at = step
        if step != "DATA":
            if self._failure is None or self._may_pipeline:
                return
            self._waiting_commands.clear()
        elif self._failure is None:
            yield ReadyForBody()
            return
        assert self._failure is not None  # noqa: S101  both exits above have made sure of it
        if step == "DATA" and kind == _EXPECTED_CLASS[step]:
            self._awaited_replies.append("LONE DOT")
            self._output.append(DOT)
        else:
            self._waiting_commands.appendleft(("RSET", b"RSET\r\n"))
        yield EnvelopeRejected(self._failure, at_once=self._failed_at == "MAIL")


_EXPECTED_CLASS = {"MAIL": 2, "RCPT": 2, "DATA": 3}
_ENVELOPE_STEPS = frozenset(_EXPECTED_CLASS)
_STAGES: dict[_Step, Stage] = {"MAIL": "server", "RCPT": "recipient", "DATA": "message"}
_ENVELOPE: tuple[_Step, ...] = ("MAIL", "RCPT", "DATA")
_COMMON_PREFIX: dict[_Step, bytes] = {
    "MAIL": b"250 ",
    "RCPT": b"250 ",
    "DATA": b"354 ",
    "BODY": b"250 ",
}
_ACCEPTED_CODE = 250
_READY_FOR_BODY = ReadyForBody()
_SEPARATORS = frozenset((b" ", b"-", b"\r", b""))
_MAX_REPLY_SIZE = 65_536
_CLOSING = 421
_NEEDS_SMTPUTF8 = "5.6.7"  # RFC 6531 §3.2
_EXCEEDED = 552  # RFC 1870 §6.1
_TOO_LARGE = "5.3.4"  # RFC 3463 §3.4


def _make_outcome(code: int, text: bytes, *, recipient: str) -> Event:
    if code // 100 == 2:  # noqa: PLR2004  RFC 5321 §4.2.1
        return MessageAccepted(read_reply(code, text))
    if code // 100 in {4, 5}:
        return MessageRejected(make_refusal_error(code, text, stage="message", recipient=recipient))
    return InvalidReply()


def _make_closing(code: int, text: bytes) -> ServerClosing:
    reply = read_reply(code, text)
    return ServerClosing(TransportError(reply.code, reply.status, reason=ENDED))


def _parse_number(text: str) -> int:
    # "SIZE" alone, and "SIZE 0", set no limit (RFC 1870 §3).
    return int(text) if text.isascii() and text.isdigit() else 0
