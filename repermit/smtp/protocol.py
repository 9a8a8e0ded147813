"""What is said to a mail server and what its replies mean, without the line that carries it.

Bytes go in and out; who owns the socket decides when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from repermit.errors import TransportError
from repermit.i18n.lazy_text import LazyText
from repermit.smtp.reply_codes import ENDED, Reply, Stage, check_envelope, read_reply, refusal

DOT = b".\r\n"
"""The line that ends a mail; without it a mail does not count (RFC 5321 §4.1.1.4)."""


class Envelope(NamedTuple):
    """One mail's envelope: addresses, its size in octets, and whether it needs RFC 6531."""

    sender: str
    recipient: str
    size: int
    needs_smtputf8: bool = False


class ReadyForBody:
    """The server waits for the body of the mail whose envelope was sent last."""


@dataclass(frozen=True)
class EnvelopeRejected:
    """The server wants no body for the envelope that was sent last.

    `at_once` says that it refused before it had heard of any recipient.
    """

    error: TransportError
    at_once: bool


class MessageAccepted(NamedTuple):
    """The server has the mail whose body was sent last."""

    reply: Reply


@dataclass(frozen=True)
class MessageRejected:
    """The server has surely not taken the mail whose body was sent last."""

    error: TransportError


class InvalidReply:
    """What came is no reply that can be understood; the conversation is over."""


@dataclass(frozen=True)
class ServerClosing:
    """The server ends the conversation (421), which says nothing of any mail."""

    error: TransportError


Event = (
    ReadyForBody
    | EnvelopeRejected
    | MessageAccepted
    | MessageRejected
    | InvalidReply
    | ServerClosing
)


# What a reply is to. Plain words, as a hundred thousand of them a second are looked up.
_Step = Literal["MAIL", "RCPT", "DATA", "BODY", "LONE DOT", "RSET"]


class SmtpClientProtocol:
    """The conversation from after the login to its end, with one mail after the other.

    `extensions` is what EHLO offered, names in lower case (RFC 5321 §4.1.1.1). Where PIPELINING
    is among it (RFC 2920), everything is said at once, the next envelope behind the body before;
    elsewhere every command waits for the reply to the one before. `take_output` returns what is to
    be sent; `receive` takes what came and returns what it means.
    """

    def __init__(self, extensions: Mapping[str, str]) -> None:
        self._may_pipeline = "pipelining" in extensions
        self._knows_size = "size" in extensions
        self._size_limit = _number(extensions.get("size", ""))
        self._knows_smtputf8 = "smtputf8" in extensions
        self._said: deque[_Step] = deque()
        self._to_say: deque[tuple[_Step, bytes]] = deque()
        self._output: list[bytes] = []
        self._failure: TransportError | None = None
        self._failed_at: _Step = "MAIL"
        self._recipient = self._recipient_of_body = ""
        self._rest = b""
        self._words = b""
        self.heard = 0

    @property
    def is_waiting(self) -> bool:
        """Say whether any reply is still to come."""
        return bool(self._said)

    @property
    def has_output(self) -> bool:
        """Say whether anything is to be sent."""
        return bool(self._output)

    def offer(self, envelope: Envelope) -> None:
        """Ask the server to take a mail; a Ready or a Refused will tell what it says.

        May be called behind a body whose reply is still to come. Raises TransportError, and says
        nothing, for what cannot be said to this server.
        """
        mail = self._mail_from(envelope)
        recipient = b"RCPT TO:<%b>\r\n" % envelope.recipient.encode()
        self._failure, self._recipient = None, envelope.recipient
        if self._may_pipeline:
            self._said += _ENVELOPE
            self._output += (mail, recipient, b"DATA\r\n")
            return
        self._to_say += zip(_ENVELOPE, (mail, recipient, b"DATA\r\n"), strict=True)
        self._say()

    def send_body(self, wire: bytes) -> None:
        """Send the body that the server is Ready for, and its final dot.

        `wire` has CRLF everywhere and its dots doubled (RFC 5321 §4.5.2).
        """
        self._recipient_of_body = self._recipient
        self._said.append("BODY")
        self._output += (wire, DOT)

    def take_output(self) -> list[bytes]:
        """Return what is to be sent now, and forget it."""
        output, self._output = self._output, []
        return output

    def receive(self, data: bytes) -> list[Event]:
        """Return what the bytes that have come mean, in their order; incomplete lines wait."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        events: list[Event] = []
        for line in lines:
            if self._is_usual(line):
                event = self._hear_usual(line)
                if event is not None:
                    events.append(event)
                continue
            code, mark = line[:3], line[3:4]
            if not code.isdigit() or mark not in _MARKS:
                return [*events, InvalidReply()]
            if mark == b"-":
                # With a space, so that lines without words do not go on for ever either.
                self._words += line[4:].rstrip() + b" "
            else:
                words, self._words = self._words + line[4:], b""
                self.heard += 1
                events += self._hear(int(code), words)
        if len(self._rest) + len(self._words) > _LONGEST_REPLY:
            events.append(InvalidReply())
        return events

    def _is_usual(self, line: bytes) -> bool:
        """Say whether a line is all of the reply that everybody hopes for."""
        return bool(
            self._may_pipeline
            and self._said
            and line[:4] == _USUAL.get(self._said[0])
            and not self._words
            and self._failure is None
        )

    def _hear_usual(self, line: bytes) -> Event | None:
        """Hear such a reply: nearly all are, and all that `_hear` looks at is known of them."""
        self.heard += 1
        step = self._said.popleft()
        if step == "BODY":
            return MessageAccepted(read_reply(_TAKEN, line[4:]))
        return _READY if step == "DATA" else None

    def _mail_from(self, envelope: Envelope) -> bytes:
        check_envelope(envelope.sender, envelope.recipient)
        if envelope.needs_smtputf8 and not self._knows_smtputf8:
            raise TransportError(0, _NEEDS_SMTPUTF8, scope="message", permanent=True)
        if 0 < self._size_limit < envelope.size:
            # Each mail of a campaign is about as large: a fault of the whole server, not of this
            # recipient.
            reason = LazyText(
                "the mail server takes mails of %(most)s octets at most", most=self._size_limit
            )
            raise TransportError(_EXCEEDED, _TOO_LARGE, reason=reason)
        options = f" SIZE={envelope.size}" if self._knows_size else ""
        # A server that offers SMTPUTF8 has to offer 8BITMIME too (RFC 6531 §3.1).
        options += " BODY=8BITMIME SMTPUTF8" if envelope.needs_smtputf8 else ""
        return f"MAIL FROM:<{envelope.sender}>{options}\r\n".encode()

    def _say(self) -> None:
        while self._to_say and (self._may_pipeline or not self._said):
            step, command = self._to_say.popleft()
            self._said.append(step)
            self._output.append(command)

    def _hear(self, code: int, words: bytes) -> Iterator[Event]:
        if not self._said:
            # Unasked for: a server that goes, or one that nobody understands any more.
            yield _closing(code, words) if code == _CLOSING else InvalidReply()
            return
        step = self._said.popleft()
        if step == "BODY":
            yield _outcome(code, words, recipient=self._recipient_of_body)
        elif step in _OF_ENVELOPE and code != _CLOSING:
            yield from self._hear_of_envelope(step, code, words)
        elif step == "RSET" and code // 100 != 2:  # noqa: PLR2004
            yield _closing(code, words)
            return
        if code == _CLOSING:
            yield _closing(code, words)
        self._say()

    def _hear_of_envelope(self, step: _Step, code: int, words: bytes) -> Iterator[Event]:
        """Hear a reply to MAIL, RCPT or DATA; the last of them decides.

        RFC 2920 §3.1: after recipients were refused, DATA may still be answered with 354, and then
        a lone dot has to follow.
        """
        kind = code // 100
        if kind not in {_WANTED[step], 4, 5}:
            yield InvalidReply()
            return
        if kind != _WANTED[step] and self._failure is None:
            self._failure = refusal(code, words, stage=_STAGES[step], recipient=self._recipient)
            self._failed_at = step
        if step != "DATA":
            if self._failure is None or self._may_pipeline:
                return
            self._to_say.clear()
        elif self._failure is None:
            yield ReadyForBody()
            return
        assert self._failure is not None  # noqa: S101  both ways out above have seen to it
        if step == "DATA" and kind == _WANTED[step]:
            self._said.append("LONE DOT")
            self._output.append(DOT)
        else:
            self._to_say.appendleft(("RSET", b"RSET\r\n"))
        yield EnvelopeRejected(self._failure, at_once=self._failed_at == "MAIL")


_WANTED = {"MAIL": 2, "RCPT": 2, "DATA": 3}
_OF_ENVELOPE = frozenset(_WANTED)
_STAGES: dict[_Step, Stage] = {"MAIL": "server", "RCPT": "recipient", "DATA": "message"}
_ENVELOPE: tuple[_Step, ...] = ("MAIL", "RCPT", "DATA")
_USUAL: dict[_Step, bytes] = {
    "MAIL": b"250 ",
    "RCPT": b"250 ",
    "DATA": b"354 ",
    "BODY": b"250 ",
}
_TAKEN = 250
_READY = ReadyForBody()
_MARKS = frozenset((b" ", b"-", b"\r", b""))
_LONGEST_REPLY = 65_536
_CLOSING = 421
_NEEDS_SMTPUTF8 = "5.6.7"  # RFC 6531 §3.2
_EXCEEDED = 552  # RFC 1870 §6.1
_TOO_LARGE = "5.3.4"  # RFC 3463 §3.4


def _outcome(code: int, words: bytes, *, recipient: str) -> Event:
    if code // 100 == 2:  # noqa: PLR2004  RFC 5321 §4.2.1
        return MessageAccepted(read_reply(code, words))
    if code // 100 in {4, 5}:
        return MessageRejected(refusal(code, words, stage="message", recipient=recipient))
    return InvalidReply()


def _closing(code: int, words: bytes) -> ServerClosing:
    reply = read_reply(code, words)
    return ServerClosing(TransportError(reply.code, reply.status, reason=ENDED))


def _number(text: str) -> int:
    # "SIZE" alone, and "SIZE 0", set no limit (RFC 1870 §3).
    return int(text) if text.isascii() and text.isdigit() else 0
