"""An SMTP server on loopback that says what a test tells it to, for servers that misbehave.

Imports nothing of repermit.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from typing import TYPE_CHECKING

from tests.inbox import HANG_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

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


class ScriptedServer:
    """From `with` to its end on 127.0.0.1 and an ephemeral `port`.

    `lines` gives other replies than the usual ones, by the command's first word, "greeting", or
    "dot" for a mail's end: a reply, or several in the order of their use, of which the last
    stays. A reply may be a function, which is called in the server's thread, HANG_UP or SILENCE.
    `said` is what came, `mails` the mails that came with their dot and `unfinished` those that
    came without, `connections` how often somebody came.
    """

    def __init__(self, **lines: Line | Sequence[Line]) -> None:
        self._lines = {key: _as_list(line) for key, line in {**_USUAL, **lines}.items()}
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.script = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.said: list[str] = []
        self.mails: list[bytes] = []
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

    def next_line(self, key: str) -> str:
        """Return the next reply under this key."""
        lines = self._lines.get(key, ["502 5.5.1 not known"])
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


def _as_list(lines: Line | Sequence[Line]) -> list[Line]:
    return [lines] if isinstance(lines, str) or callable(lines) else list(lines)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    script: ScriptedServer


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.server.script.connections += 1
        with contextlib.suppress(ConnectionError):
            self._talk()

    def _talk(self) -> None:
        script = self.server.script
        goes_on = self._say("greeting")
        while goes_on and (line := self.rfile.readline()):
            script.said.append(line.decode().rstrip("\r\n"))
            goes_on = self._say(line.decode().split()[0].upper())

    def _say(self, key: str) -> bool:
        """Reply; False if the conversation is over."""
        line = self.server.script.next_line(key)
        if line == HANG_UP:
            self._hang_up()
            return False
        if line == SILENCE:
            self.rfile.read()
            return False
        self.wfile.write(line.encode() + b"\r\n")
        return self._take_mail() if line.startswith("354") else True

    def _take_mail(self) -> bool:
        script = self.server.script
        if script.next_line("body") == HANG_UP:
            self._hang_up()
            return False
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line)
        if not line:
            script.unfinished.append(b"".join(lines))
            script.has_been_cut_off.set()
            return False
        script.mails.append(b"".join(lines))
        return self._say("dot")

    def _hang_up(self) -> None:
        # Reset rather than closed, so that the other side learns it at once.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        self.server.script.has_hung_up.set()
