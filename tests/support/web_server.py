"""A web server on loopback that answers what a test tells it to."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class WebSite:
    """From `with` to its end on 127.0.0.1 and an ephemeral `port`; with a `context` over TLS.

    It answers `status`, `headers` and `body` to everything; what came stands in `asked`: method,
    path, body.
    """

    def __init__(
        self, status: int = 200, body: bytes = b"hello", *, context: ssl.SSLContext | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, str, bytes]] = []
        self._server = _Server(("127.0.0.1", 0), _Asking)
        self._server.site = self
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        port: int = self._server.server_address[1]
        return port

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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: WebSite

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of who hangs up in the middle of a handshake."""


class _Asking(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
        """Write nothing to stderr."""

    def _answer(self) -> None:
        site = self.server.site
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        site.asked.append((self.command, self.path, body))
        self.send_response(site.status)
        for name, value in site.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(site.body)))
        self.end_headers()
        self.wfile.write(site.body)
