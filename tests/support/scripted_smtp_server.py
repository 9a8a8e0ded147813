"""An SMTP server on loopback that says what a test tells it to, for servers that misbehave."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tests.support.inbox import HANG_UP

if TYPE_CHECKING:
    Line = str | Callable[[], str]

SILENCE = "silence"
"""As a reply: say nothing until the other side goes away."""

_USUAL: dict[str, Line | Sequence[Line]] = {
    "greeting": "220 mail.example.org",
    "EHLO": "250-mail.example.org\r\n250 SIZE 1000000",
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 go on",
    "dot": "250 2.0.0 OK",
    "RSET": "250 2.0.0 OK",
    "QUIT": "221 2.0.0 bye",
}


def slowly(seconds: float, reply: str) -> Callable[[], str]:
    """Return a reply that takes a while."""

    def say() -> str:
        time.sleep(seconds)
        return reply

    return say


class ScriptedServer:
    """From `with` to its end on 127.0.0.1 and an ephemeral `port`.

    `lines` gives other replies than the usual ones, by the command's first word ("" for an empty
    line), "greeting", or "dot" for a mail's end; also, since a server may go there, "body" before
    a mail's first line and "middle" behind it. A reply, or several in the order of their use, of
    which the last stays. A reply may be a function, which is called in the server's thread,
    HANG_UP or SILENCE. `scripts` are such lines for each connection by itself, in the order in
    which they come; the last one is for all that follow.

    `packets` is into how many packets each reply is cut. Replies to what stands in `held` wait for
    the next one, and go with it in one packet. One that is `naive` wants the body of a mail of
    which it has taken no recipient.

    `said` is what came, `mails` the mails that came with their dot, `accepted` those of them that
    were answered with 2xx, `unfinished` those that came without, `connections` how often somebody
    came.
    """

    def __init__(
        self,
        *scripts: Mapping[str, Line | Sequence[Line]],
        # Of any type, so that a dict of lines can be given too.
        packets: Any = 1,
        held: Any = (),
        naive: Any = False,
        **lines: Line | Sequence[Line],
    ) -> None:
        self._lines = _script({**_USUAL, **lines})
        self._scripts = [_script(script) for script in scripts]
        self._lock = threading.Lock()
        self.packets = packets
        self.held = frozenset(held)
        self.naive = naive
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.script = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.said: list[str] = []
        self.mails: list[bytes] = []
        self.accepted: list[bytes] = []
        self.connections = 0
        self.unfinished: list[bytes] = []
        self.has_hung_up = threading.Event()
        self.has_been_cut_off = threading.Event()

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        port: int = self._server.server_address[1]
        return port

    def meet(self) -> dict[str, list[Line]]:
        """Count somebody who comes; return the lines that are for them alone."""
        with self._lock:
            self.connections += 1
            if not self._scripts:
                return {}
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            return {key: list(lines) for key, lines in script.items()}

    def next_line(self, key: str, own: dict[str, list[Line]]) -> str:
        """Return the next reply under this key, from `own` if it is there."""
        with self._lock:
            lines = own.get(key) or self._lines.get(key, ["502 5.5.1 not known"])
            line = lines.pop(0) if len(lines) > 1 else lines[0]
        return line if isinstance(line, str) else line()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _script(lines: Mapping[str, Line | Sequence[Line]]) -> dict[str, list[Line]]:
    return {
        key: [line] if isinstance(line, str) or callable(line) else list(line)
        for key, line in lines.items()
    }


class DrippingServer:
    """From `with` to its end: says what stands in `begin`, a line each, then `drop` for ever.

    Each line but the first of `begin` answers one that came; a `drop` comes every 50 ms, so that no
    timeout of a socket ends. `is_dialled` and `gone` are set when the other side has come, and when
    it has gone away.
    """

    def __init__(self, drop: bytes, *begin: str) -> None:
        self._drop = drop
        self._begin = begin
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.port: int = self._server.getsockname()[1]
        self.is_dialled = threading.Event()
        self.gone = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        # Ends the waiting for somebody, too, which closing does not.
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        try:
            other, _ = self._server.accept()
        except OSError:
            return
        self.is_dialled.set()
        with other, contextlib.suppress(OSError):
            for number, line in enumerate(self._begin):
                if number:
                    other.recv(1000)
                other.sendall(line.encode() + b"\r\n")
            while True:
                other.sendall(self._drop)
                time.sleep(0.05)
        self.gone.set()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    script: ScriptedServer


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self._script = self.server.script
        self._own = self._script.meet()
        self._waiting = b""
        self._has_sender = self._has_recipient = False
        with contextlib.suppress(ConnectionError):
            self._talk()

    def _talk(self) -> None:
        goes_on = self._say("greeting")
        while goes_on and (line := self.rfile.readline()):
            self._script.said.append(line.decode().rstrip("\r\n"))
            # What answers a challenge may be an empty line.
            goes_on = self._say((line.decode().split() or [""])[0].upper())

    def _say(self, key: str) -> bool:
        """Reply; False if the conversation is over."""
        line = self._refusal_of(key) or self._script.next_line(key, self._own)
        if not self._stays(line):
            return False
        if key == "MAIL":
            self._has_sender, self._has_recipient = line.startswith("2"), False
        if key == "RCPT":
            self._has_recipient = line.startswith("2")
        if key == "dot" and line.startswith("2") and self._has_recipient:
            self._script.accepted.append(self._mail)
        self._waiting += line.encode() + b"\r\n"
        if key not in self._script.held:
            self._write()
        return self._take_mail() if line.startswith("354") else True

    def _refusal_of(self, key: str) -> str:
        """Return what is said to a command that cannot follow what has been; "" to any other."""
        if key == "RCPT" and not self._has_sender:
            return "503 5.5.1 MAIL first"
        if key == "DATA" and not self._has_recipient and not self._script.naive:
            return "554 5.5.1 no valid recipients"
        return ""

    def _stays(self, line: str) -> bool:
        if line == HANG_UP:
            self._hang_up()
        elif line == SILENCE:
            self.rfile.read()
        return line not in {HANG_UP, SILENCE}

    def _write(self) -> None:
        replies, self._waiting = self._waiting, b""
        count = self._script.packets
        for number in range(count):
            # Packets that follow each other at once would be read as one.
            time.sleep(0.002 if number else 0)
            start, end = (len(replies) * at // count for at in (number, number + 1))
            self.wfile.write(replies[start:end])

    def _take_mail(self) -> bool:
        script = self._script
        lines: list[bytes] = []
        while True:
            where = ("body", "middle")[len(lines)] if len(lines) <= 1 else ""
            if where and not self._stays(script.next_line(where, self._own)):
                return False
            line = self.rfile.readline()
            if line in {b".\r\n", b""}:
                break
            lines.append(line)
        if not line:
            script.unfinished.append(b"".join(lines))
            script.has_been_cut_off.set()
            return False
        self._mail = b"".join(lines)
        script.mails.append(self._mail)
        return self._say("dot")

    def _hang_up(self) -> None:
        # Reset rather than closed, so that the other side learns it at once.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        self._script.has_hung_up.set()
