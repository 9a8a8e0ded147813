"""A quick SMTP server on loopback that keeps books of what it was given, for tests that compare."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail whose final dot has come: `asked_at` is when DATA was answered with 354.

    Moments are seconds of time.monotonic.
    """

    recipient: str
    message_id: str
    asked_at: float
    came_at: float


class Sink:
    """From `with` to its end on 127.0.0.1 and an ephemeral `port`; it takes every mail.

    `slowness` tells how many seconds to wait before each mail is accepted, none by default.
    `asked_for` are the recipients for whose mail DATA was answered with 354, `taken` the mails
    that came with their dot, `accepted` the recipients for whom that was confirmed.
    """

    def __init__(self, slowness: Callable[[], float] = lambda: 0) -> None:
        self.slowness = slowness
        self.asked_for: set[str] = set()
        self.taken: list[Taken] = []
        self.accepted: set[str] = set()
        self.open: set[asyncio.Transport] = set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.host, self.port = self._listening.getsockname()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve)
        self._is_ready = threading.Event()

    def wait_for(self, count: int) -> None:
        """Wait until so many mails have come, however they are spread over the senders."""
        wait_until(lambda: len(self.taken) >= count)

    def wait_for_silence(self) -> None:
        """Wait until everybody has gone, and all that they left on the wire is read."""
        wait_until(lambda: not self.open)

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_ready.wait()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        serving = self._loop.create_server(lambda: _Conversation(self), sock=self._listening)
        server = self._loop.run_until_complete(serving)
        self._loop.call_soon(self._is_ready.set)
        self._loop.run_forever()
        server.close()
        for transport in list(self.open):
            transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


class _Conversation(asyncio.Protocol):
    """What came is answered in its order; behind a mail, only once that mail has its answer."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pending = b""
        self._replies: list[bytes] = []
        self._recipient = ""
        self._asked_at = 0.0
        self._takes_mail = False
        self._thinks = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sink.open.add(transport)
        transport.write(b"220 sink.example.org\r\n")

    def connection_lost(self, _why: Exception | None) -> None:
        self._sink.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._pending += data
        self._go_on()

    def _go_on(self) -> None:
        while not self._thinks and (self._take_mail() if self._takes_mail else self._obey()):
            pass
        replies, self._replies = self._replies, []
        self._transport.write(b"".join(replies))

    def _obey(self) -> bool:
        """Answer one command; False if none has come whole."""
        line, end, rest = self._pending.partition(b"\r\n")
        if not end:
            return False
        self._pending = rest
        command = line[:4].upper()
        if command == b"RCPT":
            self._recipient = line[line.index(b"<") + 1 : line.index(b">")].decode()
        elif command == b"DATA":
            self._takes_mail = True
            self._asked_at = time.monotonic()
            self._sink.asked_for.add(self._recipient)
        self._replies.append(_REPLIES[command])
        return True

    def _take_mail(self) -> bool:
        """Take a mail; False if it has not come whole."""
        body, end, rest = self._pending.partition(b"\r\n.\r\n")
        if not end:
            return False
        self._pending = rest
        self._takes_mail = False
        message_id = body.partition(b"\r\nMessage-ID: ")[2].partition(b"\r\n")[0].decode()
        now = time.monotonic()
        self._sink.taken.append(Taken(self._recipient, message_id, self._asked_at, now))
        self._thinks = True
        asyncio.get_running_loop().call_later(self._sink.slowness(), self._accept)
        return True

    def _accept(self) -> None:
        self._thinks = False
        # Whoever has gone, which only some runs see, is not told.
        told = [] if self._transport.is_closing() else [self._recipient]
        self._sink.accepted.update(told)
        self._replies += [b"250 2.0.0 OK\r\n"] * len(told)
        self._go_on()


_REPLIES = {
    b"EHLO": b"250-sink.example.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"MAIL": b"250 2.1.0 OK\r\n",
    b"RCPT": b"250 2.1.5 OK\r\n",
    b"DATA": b"354 go on\r\n",
    b"RSET": b"250 2.0.0 OK\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
_PATIENCE = 60


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)
