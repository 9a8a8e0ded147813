"""One request over HTTP: who answers is checked, nothing is followed, and little is read.

Imports nothing of repermit.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SECONDS = 5
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


def visit(url: str, addresses: Sequence[str], *, form: bytes | None = None) -> Visit:
    """Ask for `url` at the first of `addresses` that takes a connection; a `form` makes it a POST.

    Raises OSError (ssl.SSLError among them), http.client.HTTPException, and ValueError for what is
    no address.
    """
    parts = urlsplit(url)
    host = str(parts.hostname)
    with _dial(addresses, port_of(url)) as plain:
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


def _dial(addresses: Sequence[str], port: int) -> socket.socket:
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), timeout=_SECONDS)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), timeout=_SECONDS)


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
