"""A program that webhooks tell: a real HTTP server on a port of loopback."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Told:
    """One request as it came; `peer` is the port that it came from."""

    path: str
    headers: dict[str, str]
    body: bytes
    peer: int


@dataclass
class Answer:
    """What the receiver says: a status, headers and a body, some of it late.

    `before` is done first, by the thread that answers.
    """

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    before: Callable[[], object] = bool


class Receiver:
    """Listens from `with` to its end; `told` is what came, `answers` what is said, then 204s."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.told: list[Told] = []
        self.answers = list(answers)
        self._server = _Server(("127.0.0.1", 0), _handler_for(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https" if tls else "http"
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def url(self, host: str = "127.0.0.1", path: str = "/hooks?key=s3cret") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

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
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of who hung up."""


def _handler_for(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.told.append(Told(self.path, headers, body, self.client_address[1]))
            answer = receiver.answers.pop(0) if receiver.answers else Answer()
            answer.before()
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Write no line for each request."""

    return Handler
