"""One request to a web server, with limits of time, size and network."""

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
_LEAST = 1.0
_READ = 1000
_PORTS = {"http": 80, "https": 443}

GONE = frozenset({404, 410})
"""The statuses by which a server says that a page is not there."""


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


def port_of(url: str) -> int:
    """Return the port that an address is at."""
    parts = urlsplit(url)
    return parts.port or _PORTS[parts.scheme]


def fetch(
    url: str,
    addresses: Sequence[str],
    *,
    to_private: bool,
    form: bytes | None = None,
    most: int = _READ,
    seconds: float = _SECONDS,
) -> FetchedPage:
    """Ask for `url` at the first of `addresses` that takes a connection; a `form` makes it a POST.

    It ends after `seconds` in all, however slowly the server writes, or `most` octets. What stands
    on this machine or a private network is not connected to, unless `to_private`. Raises
    ClosedNetwork if that leaves no address, TooSlow, other OSError (ssl.SSLError among them),
    http.client.HTTPException, and ValueError for what is no address.
    """
    open_ones = [one for one in addresses if to_private or is_public(one)]
    if not open_ones:
        raise PrivateNetworkError
    ends_at = time.monotonic() + seconds
    with _dial(open_ones, port_of(url), ends_at) as plain:
        cutter = CancelToken()
        cutter.watch(plain)
        left = max(ends_at - time.monotonic(), 0)
        timer = threading.Timer(left, cutter.end, kwargs={"cut": True})
        timer.start()
        try:
            return _fetch(url, plain, form, most)
        finally:
            timer.cancel()
            if not cutter.end(cut=False):
                # The headers of an answer that was cut off look as if they were whole.
                raise FetchTimeout


class PrivateNetworkError(OSError):
    """A server stands where nothing is fetched from: on this machine, or a private network."""


class FetchTimeout(OSError):
    """A server took the connection, and did not answer in time."""


def _fetch(url: str, plain: socket.socket, form: bytes | None, most: int) -> FetchedPage:
    parts = urlsplit(url)
    host = str(parts.hostname)
    line = plain
    ends = None
    if parts.scheme == "https":
        line = secured = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        ends = _read_certificate_end(secured)
    with line:
        asking = http.client.HTTPConnection(host, parts.port or None)
        asking.sock = line
        _ask(asking, _encode_path(url), form)
        with asking.getresponse() as response:
            beginning = response.read(most)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return FetchedPage(
            status=response.status, headers=headers, beginning=beginning, certificate_ends=ends
        )


def _dial(addresses: Sequence[str], port: int, ends_at: float) -> socket.socket:
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return _connect(address, port, ends_at)
    return _connect(last, port, ends_at)


def _connect(address: str, port: int, ends_at: float) -> socket.socket:
    left = max(ends_at - time.monotonic(), _LEAST)
    opened = socket.create_connection((address, port), timeout=left)
    # From here on the watch is the first to end it.
    opened.settimeout(left + _LEAST)
    return opened


def _encode_path(url: str) -> str:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe="/%:@!$&'()*+,;=~-._?")


def _ask(asking: http.client.HTTPConnection, path: str, form: bytes | None) -> None:
    headers = {"User-Agent": "repermit check", "Connection": "close"}
    if form is None:
        asking.request("GET", path, headers=headers)
        return
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    asking.request("POST", path, body=form, headers=headers)


def _read_certificate_end(line: ssl.SSLSocket) -> datetime:
    certificate = line.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def find_addresses(resolver: DnsResolver, host: str) -> tuple[str, ...]:
    """Return the addresses of a web server; this machine's own name is not in the DNS."""
    return ("127.0.0.1", "::1") if host == "localhost" else resolver.addresses(host)
