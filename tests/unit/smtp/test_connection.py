"""One open line that never blocks: what it says and hears, and whether a dot can have left."""

from __future__ import annotations

import contextlib
import select
import smtplib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Self

import pytest
import trustme

from repermit.errors import TransportError
from repermit.smtp.connection import SmtpConnection
from repermit.smtp.protocol import (
    Envelope,
    EnvelopeRejected,
    Event,
    MessageAccepted,
    ReadyForBody,
    ServerClosing,
)
from repermit.smtp.reply_codes import Reply

MAIL = b"MAIL FROM:<praktijk@example.org>\r\n"
RCPT = b"RCPT TO:<jan@example.org>\r\n"
ENVELOPE = MAIL + RCPT + b"DATA\r\n"
READY = b"250 OK\r\n250 OK\r\n354 go on\r\n"
BODY = b"Subject: hello\r\n\r\nhello\r\n"
LARGE = b"a line of a mail\r\n" * 200_000
PIPELINING = {"pipelining": ""}


def make_envelope(**overrides: Any) -> Envelope:
    values = {"sender": "praktijk@example.org", "recipient": "jan@example.org", "size": 700}
    return Envelope(**{**values, **overrides})


class Host(smtplib.SMTP):
    """What has been dialled, with what the server has offered."""

    def __init__(self, connected: socket.socket, extensions: dict[str, str]) -> None:
        super().__init__()
        self.sock = connected
        self.file = connected.makefile("rb")
        self.esmtp_features = extensions


class Pair:
    """A line, and the server's end of it, on loopback."""

    def __init__(self, extensions: dict[str, str] = PIPELINING, *, buffer: int = 0) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            if buffer:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            ours = socket.create_connection(listening.getsockname())
            self.theirs, _ = listening.accept()
        if buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.theirs.settimeout(10)
        ours, self.theirs = self._secure(ours, self.theirs)
        self.connection = SmtpConnection(Host(ours, extensions))

    def _secure(
        self, ours: socket.socket, theirs: socket.socket
    ) -> tuple[socket.socket, socket.socket]:
        return ours, theirs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.abort()
        self.theirs.close()

    def say(self, words: bytes) -> None:
        self.theirs.sendall(words)

    def read(self, count: int) -> bytes:
        """Return so many octets that the connection has sent, or fewer if it has ended."""
        read = b""
        # OpenSSL 3.5 tells of a connection that ends without a goodbye as reset.
        with contextlib.suppress(ConnectionResetError):
            while len(read) < count and (piece := self.theirs.recv(count - len(read))):
                read += piece
        return read

    def read_events(self) -> list[Event]:
        """Wait for the line to have something to hear, and hear it."""
        assert select.select([self.connection], [], [], 10)[0]
        return self.connection.read_events()

    def hear(self) -> list[Event]:
        """Wait until something is said that means anything; TLS says this and that of its own."""
        while not (events := self.read_events()):
            pass
        return events

    def read_all(self) -> bytes:
        """Return all that the line still has to send."""
        self.theirs.settimeout(0)
        read = b""
        while True:
            has_more = self.connection.has_more_to_send
            self.connection.flush()
            with suppress(BlockingIOError, ssl.SSLWantReadError):
                while True:
                    read += self.theirs.recv(65_536)
            if not has_more:
                return read

    def start(self, wire: bytes, following: Envelope | None = None) -> None:
        """Bring the line as far as the body, and send that."""
        self.connection.offer(make_envelope())
        self.say(READY)
        assert isinstance(self.hear()[0], ReadyForBody)
        self.connection.send_body(wire, following)

    def reset(self) -> None:
        """Go without a word."""
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.theirs.close()


class SecurePair(Pair):
    """The same through TLS."""

    def _secure(
        self, ours: socket.socket, theirs: socket.socket
    ) -> tuple[socket.socket, socket.socket]:
        authority = trustme.CA()
        at_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(at_server)
        at_client = ssl.create_default_context()
        authority.configure_trust(at_client)
        # The two shake hands in one thread, step by step.
        server = at_server.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False)
        client = at_client.wrap_socket(
            ours, server_hostname="localhost", do_handshake_on_connect=False
        )
        both = [client, server]
        for end in both:
            end.settimeout(0)
        while both:
            both = [end for end in both if not _has_shaken(end)]
        server.settimeout(10)
        return client, server


def _has_shaken(end: ssl.SSLSocket) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@pytest.fixture(params=[Pair, SecurePair])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with request.param() as made:
        yield made


# --- What is sent and heard.


def test_a_mail_goes_and_its_outcome_comes(pair: Pair) -> None:
    pair.start(BODY)
    assert pair.read(len(ENVELOPE + BODY) + 3) == ENVELOPE + BODY + b".\r\n"
    pair.say(b"250 2.0.0 OK\r\n")
    assert pair.hear() == [MessageAccepted(Reply(250, "2.0.0"))]
    assert pair.connection.sent_count == 1
    assert not pair.connection.is_waiting


def test_the_next_envelope_leaves_with_the_body(pair: Pair) -> None:
    pair.start(BODY, make_envelope())
    everything = ENVELOPE + BODY + b".\r\n" + ENVELOPE
    assert pair.read(len(everything)) == everything
    assert pair.connection.is_waiting


def test_with_nothing_said_nothing_is_heard(pair: Pair) -> None:
    assert pair.connection.read_events() == []


def test_what_a_reply_leads_to_is_said_at_once() -> None:
    with Pair({}) as pair:
        pair.connection.offer(make_envelope())
        assert pair.read(len(MAIL)) == MAIL
        pair.say(b"250 OK\r\n")
        assert pair.read_events() == []
        assert pair.read(len(RCPT)) == RCPT
        assert pair.connection.reply_count == 1


def test_all_that_tls_has_decrypted_is_heard() -> None:
    # One record holds more than is read at once, and the rest is not on the socket any more.
    with SecurePair() as pair:
        pair.connection.offer(make_envelope())
        pair.connection.read_events()
        pair.say(b"".join(b"250-" + b"x" * 60 + b"\r\n" for _ in range(240)) + READY)
        assert isinstance(pair.hear()[0], ReadyForBody)


def test_a_following_mail_that_cannot_be_said_does_not_hold_up_the_body(pair: Pair) -> None:
    following = make_envelope(recipient="jürgen@example.org", needs_smtputf8=True)
    with pytest.raises(TransportError) as refused:
        pair.start(BODY, following)
    assert refused.value.scope == "message"
    assert pair.read(len(ENVELOPE + BODY) + 3).endswith(b"\r\n.\r\n")
    pair.say(b"250 OK\r\n")
    assert isinstance(pair.hear()[0], MessageAccepted)


# --- A server that does not read.


def small_pair(kind: type[Pair]) -> Pair:
    return kind(buffer=4096)


@pytest.mark.parametrize("kind", [Pair, SecurePair])
def test_what_the_system_does_not_take_waits(kind: type[Pair]) -> None:
    with small_pair(kind) as pair:
        pair.start(LARGE)
        assert pair.connection.has_more_to_send
        assert not pair.connection.may_have_sent_dot
        assert pair.read_all() == ENVELOPE + LARGE + b".\r\n"
        assert pair.connection.may_have_sent_dot


def test_a_body_without_any_of_its_dot_is_no_mail() -> None:
    """Just before, exactly and just after the moment when the dot's first octet is taken."""
    with Pair() as pair:
        pair.start(BODY)
        # As if the system had taken just so much.
        for taken, may_have in ((-1, False), (0, False), (1, True), (3, True)):
            pair.connection._sent_bytes = len(ENVELOPE + BODY) + taken
            assert pair.connection.may_have_sent_dot is may_have


def test_before_any_body_no_dot_has_left(pair: Pair) -> None:
    assert not pair.connection.may_have_sent_dot
    pair.connection.offer(make_envelope())
    assert not pair.connection.may_have_sent_dot


def test_a_lone_dot_is_no_mails(pair: Pair) -> None:
    pair.connection.offer(make_envelope())
    pair.say(b"250 OK\r\n550 unknown\r\n354 go on\r\n")
    assert isinstance(pair.hear()[0], EnvelopeRejected)
    assert not pair.connection.may_have_sent_dot
    assert pair.read(len(ENVELOPE) + 3).endswith(b"DATA\r\n.\r\n")


# --- A server that has gone.


@pytest.mark.parametrize("go", [Pair.reset, lambda pair: pair.theirs.close()])
def test_a_server_that_has_gone_is_noticed(go: Callable[[Pair], None], pair: Pair) -> None:
    go(pair)
    with pytest.raises(OSError, match=r".*"):
        pair.hear()


@pytest.mark.parametrize("go", [Pair.reset, lambda pair: pair.theirs.close()])
def test_what_it_said_before_it_went_still_counts(go: Callable[[Pair], None], pair: Pair) -> None:
    # What we say next it never reads, so its end of the line is reset in any case.
    pair.start(BODY, make_envelope())
    pair.say(b"250 2.0.0 OK\r\n")
    go(pair)
    assert pair.hear() == [MessageAccepted(Reply(250, "2.0.0"))]
    with pytest.raises(OSError, match=r".*"):
        pair.hear()


def test_what_it_said_counts_also_where_the_answer_to_it_cannot_be_sent() -> None:
    with Pair({}) as pair:
        pair.connection.offer(make_envelope())
        for reply in (b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n"):
            pair.say(reply)
            pair.read_events()
        pair.connection.send_body(BODY, make_envelope())
        pair.say(b"250 2.0.0 OK\r\n")
        pair.reset()
        # The envelope that has waited would be said now.
        assert pair.hear() == [MessageAccepted(Reply(250, "2.0.0"))]
        with pytest.raises(OSError, match=r".*"):
            pair.read_events()


def test_a_server_that_says_so_and_goes_is_heard(pair: Pair) -> None:
    pair.say(b"421 4.4.2 idle\r\n")
    pair.theirs.close()
    assert [type(event) for event in pair.hear()] == [ServerClosing]


def test_a_body_for_nobody_any_more_is_an_error_and_no_dot() -> None:
    with Pair() as pair:
        pair.connection.offer(make_envelope())
        pair.say(READY)
        pair.read_events()
        pair.reset()
        select.select([pair.connection], [], [], 10)
        with pytest.raises(OSError, match=r".*"):
            pair.connection.send_body(BODY, None)
        assert not pair.connection.may_have_sent_dot
        assert pair.connection.sent_count == 1


# --- Leave.


def test_leave_is_taken_without_waiting(pair: Pair) -> None:
    pair.connection.close()
    assert pair.read(6) == b"QUIT\r\n"
    assert pair.connection.fileno() == -1


def test_a_server_that_went_first_is_no_trouble(pair: Pair) -> None:
    pair.reset()
    pair.connection.close()
    assert pair.connection.fileno() == -1


def test_a_line_that_is_dropped_says_nothing(pair: Pair) -> None:
    pair.connection.abort()
    assert pair.connection.fileno() == -1
    assert pair.read(100) == b""
