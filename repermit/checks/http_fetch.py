"""One request to a web server, limited in time, size and network (SSRF)."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from repermit.checks.dns_lookup import DnsResolver
from repermit.smtp.connection import CancelToken
from repermit.web_address import is_public

_SECONDS = 5.0
_MIN_SECONDS = 1.0
_MAX_BYTES = 1000
_PORTS = {"http": 80, "https": 443}

NOT_FOUND_STATUSES = frozenset({404, 410})
"""The statuses of a page that does not exist."""


@dataclass(frozen=True, kw_only=True)
class FetchedPage:
    """The answer of a web server.

    - `headers`: by their names in lower case.
    - `certificate_ends`: aware UTC, None without TLS.
    """

    status: int
    headers: Mapping[str, str]
    beginning: bytes
    certificate_ends: datetime | None


def get_port(url: str) -> int:
    """Return the port of a URL."""
    parts = urlsplit(url)
    return parts.port or _PORTS[parts.scheme]


def fetch(
    url: str,
    addresses: Sequence[str],
    *,
    allow_private: bool,
    form: bytes | None = None,
    max_bytes: int = _MAX_BYTES,
    seconds: float = _SECONDS,
) -> FetchedPage:
    """Request `url` from the first of `addresses` that accepts a connection.

    - `form`: makes it a POST.
    - `seconds`: for the whole request, however slowly the server writes.
    - `max_bytes`: how much of the body is read.
    - `allow_private`: also connect to this machine and private networks.
    - Raises PrivateNetworkError if no address is allowed, FetchTimeout, other OSError (such as
      ssl.SSLError), http.client.HTTPException, and ValueError for an invalid URL.
    """
    allowed_addresses = [address for address in addresses if allow_private or is_public(address)]
    if not allowed_addresses:
        raise PrivateNetworkError
    deadline = time.monotonic() + seconds
    with _connect_to_first(allowed_addresses, get_port(url), deadline) as sock:
        cancel_token = CancelToken()
        cancel_token.register(sock)
        remaining = max(deadline - time.monotonic(), 0)
        timer = threading.Timer(remaining, cancel_token.finish, kwargs={"abort": True})
        timer.start()
        try:
            return _fetch(url, sock, form, max_bytes)
        finally:
            timer.cancel()
            if not cancel_token.finish(abort=False):
                # The headers of a response that was cut off may look complete.
                raise FetchTimeout


class PrivateNetworkError(OSError):
    """The server is on this machine or a private network, from which nothing is fetched."""


class FetchTimeout(OSError):
    """The server accepted the connection, and did not answer in time."""


def _fetch(url: str, sock: socket.socket, form: bytes | None, max_bytes: int) -> FetchedPage:
    parts = urlsplit(url)
    host = str(parts.hostname)
    stream = sock
    ends = None
    if parts.scheme == "https":
        stream = secured = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        ends = _read_certificate_end(secured)
    with stream:
        connection = http.client.HTTPConnection(host, parts.port or None)
        connection.sock = stream
        _send_request(connection, _encode_path(url), form)
        with connection.getresponse() as response:
            beginning = response.read(max_bytes)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return FetchedPage(
            status=response.status, headers=headers, beginning=beginning, certificate_ends=ends
        )


def _connect_to_first(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return _connect(address, port, deadline)
    return _connect(last, port, deadline)


def _connect(address: str, port: int, deadline: float) -> socket.socket:
    remaining = max(deadline - time.monotonic(), _MIN_SECONDS)
    sock = socket.create_connection((address, port), timeout=remaining)
    # From here on the timer of `fetch` ends it first.
    sock.settimeout(remaining + _MIN_SECONDS)
    return sock


def _encode_path(url: str) -> str:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe="/%:@!$&'()*+,;=~-._?")


def _send_request(connection: http.client.HTTPConnection, path: str, form: bytes | None) -> None:
    headers = {"User-Agent": "repermit check", "Connection": "close"}
    if form is None:
        connection.request("GET", path, headers=headers)
        return
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request("POST", path, body=form, headers=headers)


def _read_certificate_end(stream: ssl.SSLSocket) -> datetime:
    certificate = stream.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def find_addresses(resolver: DnsResolver, host: str) -> tuple[str, ...]:
    """Return the addresses of a web server; "localhost" is not in the DNS."""
    return ("127.0.0.1", "::1") if host == "localhost" else resolver.look_up_addresses(host)
