"""A sign-in service on loopback that gives tokens, or says what a test tells it to."""

from __future__ import annotations

import json
import secrets
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

TENANT = "example.onmicrosoft.com"

Said = dict[str, Any] | tuple[int, bytes]


def granted(token: str, seconds: object = 3600, **more: object) -> dict[str, Any]:
    """Return what a service says when it gives a token."""
    return {"token_type": "Bearer", "access_token": token, "expires_in": seconds, **more}


def refused(error: str, **more: object) -> tuple[int, bytes]:
    """Return what a service says when it gives none."""
    return 400, json.dumps({"error": error, **more}).encode()


class TokenEndpoint:
    """From `with` to its end on 127.0.0.1 and an ephemeral port, under an address of its own.

    `answers` come in their order, of which the last stays: a document, or a status and a body;
    without any, tokens of an hour called token-1, token-2 and so on. `asked` is what came, form by
    form. With a `context` it speaks TLS under the name of localhost, and as Microsoft does: `url`
    is then what comes before the tenant, and `tenant` what it says of it.
    """

    def __init__(
        self,
        *answers: Said,
        context: ssl.SSLContext | None = None,
        tenant: Said | None = None,
    ) -> None:
        self._answers = list(answers)
        self._tenant = tenant
        self._server = _Server(("127.0.0.1", 0), _Asking)
        self._server.endpoint = self
        self._context = context
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        # No other test's tokens are kept under it, also where the port is the same.
        self._path = f"/{secrets.token_hex(8)}"
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        base = f"127.0.0.1:{self._server.server_port}{self._path}"
        return (
            f"https://{base.replace('127.0.0.1', 'localhost')}"
            if self._context
            else (f"http://{base}")
        )

    def answer(self, form: dict[str, str]) -> Said:
        """Return the next answer to a form."""
        self.asked.append(form)
        if not self._answers:
            return granted(f"token-{len(self.asked)}")
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def describe(self) -> Said:
        """Return where a tenant's tokens come from."""
        own = f"{self.url}/{TENANT}"
        return self._tenant or {
            "issuer": own,
            "authorization_endpoint": f"{own}/authorize",
            "token_endpoint": f"{own}/token",
        }

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
    block_on_close = False
    endpoint: TokenEndpoint

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that does not trust this server."""


class _Asking(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._say(self.server.endpoint.describe())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._say(self.server.endpoint.answer(dict(parse_qsl(body.decode()))))

    def _say(self, said: Said) -> None:
        status, body = said if isinstance(said, tuple) else (200, json.dumps(said).encode())
        self.send_response(status)
        # Where a redirect would lead, if it was followed.
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
