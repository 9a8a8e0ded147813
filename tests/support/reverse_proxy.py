"""A web server in front of another one, which says whom it asks for."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def relaying(port: int, *, says_for_whom: bool = True) -> Iterator[int]:
    """Hand POSTs on to a port of 127.0.0.1, and yield the one that they are sent to.

    With `says_for_whom` who asks is added to X-Forwarded-For, as Apache and Caddy do.
    """

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = dict(self.headers)
            if says_for_whom:
                before = headers.get("X-Forwarded-For")
                named = [before, self.client_address[0]] if before else [self.client_address[0]]
                headers["X-Forwarded-For"] = ", ".join(named)
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            asking.request("POST", self.path, body=body, headers=headers)
            with asking.getresponse() as answer:
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.read())
            asking.close()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
            """Write nothing to stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
