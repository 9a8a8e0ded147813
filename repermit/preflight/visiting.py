"""One request over HTTP: who answers is checked, nothing is followed, and little is read.

May import public_network. It goes to the very addresses that were looked up and checked: a second
look-up could give others (DNS rebinding).
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from repermit.public_network import is_public

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

_SECONDS = 5.0
_LEAST = 1.0
_READ = 1000
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What a web server answered; `certificate_ends` is aware UTC, None without TLS.

    `headers` are by their names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    beginning: bytes
    certificate_ends: datetime | None


def port_of(url: str) -> int:
    """Return the port that an address is at."""
    parts = urlsplit(url)
    return parts.port or _PORTS[parts.scheme]


def visit(
    url: str,
    addresses: Sequence[str],
    *,
    to_private: bool,
    form: bytes | None = None,
    seconds: float = _SECONDS,
) -> Visit:
    """Ask for `url` at the first of `addresses` that takes a connection; a `form` makes it a POST.

    It ends after `seconds` in all, however slowly the server writes. What stands on this machine or
    a private network is not connected to, unless `to_private`. Raises ClosedNetwork if that leaves
    no address, TooSlow, other OSError (ssl.SSLError among them), http.client.HTTPException, and
    ValueError for what is no address.
    """
    open_ones = [one for one in addresses if to_private or is_public(one)]
    if not open_ones:
        raise ClosedNetwork
    ends_at = time.monotonic() + seconds
    with _dial(open_ones, port_of(url), ends_at) as plain, _Watch(plain, ends_at) as watch:
        try:
            seen = _visit(url, plain, form)
        except (OSError, ValueError, http.client.HTTPException):
            watch.check()
            raise
        # Broken off, its headers look as if they had come to their end.
        watch.check()
        return seen


class ClosedNetwork(OSError):
    """A server stands where nothing is fetched from: on this machine, or a private network."""


class TooSlow(OSError):
    """A server took the connection, and did not answer in time."""


class _Watch:
    """Breaks a connection off at a moment, also while something waits for it."""

    def __init__(self, connection: socket.socket, ends_at: float) -> None:
        # TLS takes the socket over; its twin still reaches the connection.
        self._twin = connection.dup()
        self._is_late = False
        self._timer = threading.Timer(max(ends_at - time.monotonic(), 0), self._break_off)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        self._twin.close()

    def check(self) -> None:
        """Raise TooSlow if the connection was broken off."""
        if self._is_late:
            raise TooSlow

    def _break_off(self) -> None:
        self._is_late = True
        with suppress(OSError):
            self._twin.shutdown(socket.SHUT_RDWR)


def _visit(url: str, plain: socket.socket, form: bytes | None) -> Visit:
    parts = urlsplit(url)
    host = str(parts.hostname)
    line = plain
    ends = None
    if parts.scheme == "https":
        line = secured = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        ends = _end_of(secured)
    with line:
        asking = http.client.HTTPConnection(host, parts.port or None)
        asking.sock = line
        _ask(asking, _path_of(url), form)
        with asking.getresponse() as response:
            beginning = response.read(_READ)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Visit(
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


def _path_of(url: str) -> str:
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


def _end_of(line: ssl.SSLSocket) -> datetime:
    certificate = line.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
