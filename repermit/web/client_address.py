"""The client's address of a request, and the relays that forwarded it.

Anybody can send X-Forwarded-For; each web server in front appends one entry.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask
    from werkzeug.routing import MapAdapter

# --- The path of `public_url`. --------------------------------------------------------------------


class StripPublicPath:
    """Remove the path of `public_url` from the path of a request, if a proxy has not.

    A path that is a page already is not changed, even if it begins like that of `public_url`.
    """

    def __init__(self, inner: WSGIApplication, *, app: Flask, public_path: str) -> None:
        self._inner = inner
        self._pages: MapAdapter = app.url_map.bind("")
        self._public_path = public_path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, without the path of `public_url`."""
        path: str = environ["PATH_INFO"]
        if path.startswith(self._public_path + "/") and not self._pages.allowed_methods(path):
            environ["PATH_INFO"] = path.removeprefix(self._public_path)
        return self._inner(environ, start_response)


# --- The client's address. ------------------------------------------------------------------------


_FORWARDED_HEADER = "HTTP_X_FORWARDED_FOR"
_ROUTE_KEY = "repermit.route"
_MAX_ENTRIES = 16
_MAX_ENTRY_LENGTH = 100
_NETWORK_BITS = {4: 24, 6: 48}
_OWN_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8",
        "::1/128",
        # RFC 1918, RFC 6598, RFC 3927; RFC 4193, RFC 4291 §2.5.6.
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """The client of a request, and the relays that forwarded it.

    - `relays`: the nearest first.
    - `trusted`: how many relays the setting `trusted_proxies` trusts.
    """

    client: str
    relays: tuple[str, ...]
    trusted: int

    @property
    def doubtful_relays(self) -> tuple[str, ...]:
        """Return the relays that may be the client itself, which then invented its address.

        These are the untrusted relays, and those with a public address: if `trusted_proxies` is too
        high, one of them is the client.
        """
        return tuple(
            relay
            for index, relay in enumerate(self.relays)
            if index >= self.trusted or not is_local_address(relay)
        )


class ReadClientAddress:
    """Set REMOTE_ADDR to the client's address, as told by `trusted` web servers in front.

    If an address is invalid, the last valid one before it is used.
    """

    def __init__(self, inner: WSGIApplication, *, trusted: int) -> None:
        self._inner = inner
        self._trusted = trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, with the address of its client."""
        peer, forwarded = environ.get("REMOTE_ADDR", ""), environ.get(_FORWARDED_HEADER, "")
        chain = _read_chain(peer, forwarded)
        environ[_ROUTE_KEY] = _find_client(chain, trusted=self._trusted)
        environ["REMOTE_ADDR"] = chain[: self._trusted + 1][-1]
        return self._inner(environ, start_response)


def read_route(environ: WSGIEnvironment) -> Route:
    """Return the route of a request, for rate limits."""
    route: Route = environ[_ROUTE_KEY]
    return route


def is_local_address(address: str) -> bool:
    """Return whether an IP address is this machine's or one of a local network.

    Both an own web server in front and a client in the same building may have such an address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True  # a socket in the file system
    return any(parsed in network for network in _OWN_NETWORKS)


def mask_network(address: str) -> str:
    """Return the network of an IP address, /24 or /48, so that it identifies no household."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    return str(ipaddress.ip_network((parsed.packed, _NETWORK_BITS[parsed.version]), strict=False))


def _find_client(chain: list[str], *, trusted: int) -> Route:
    """Return the route to the first public address after the trusted relays, or to the last one.

    A private address is taken for a relay even if no proxy is configured; otherwise all people
    would count as one client.
    """
    end = next(
        (index for index in range(trusted, len(chain)) if not is_local_address(chain[index])),
        len(chain) - 1,
    )
    return Route(client=chain[end], relays=tuple(chain[:end]), trusted=trusted)


def _read_chain(peer: str, forwarded: str) -> list[str]:
    """Return the addresses from the peer to the client, as far as they can be parsed."""
    return [_parse_address(peer) or peer, *islice(_split_forwarded(forwarded), _MAX_ENTRIES)]


def _split_forwarded(forwarded: str) -> Iterator[str]:
    for entry in reversed(forwarded.rsplit(",", _MAX_ENTRIES)):
        address = _parse_address(entry)
        if not address:
            return
        yield address


def _parse_address(entry: str) -> str:
    """Return the IP address of an entry, without port, brackets, quotes and zone; "" for none."""
    text = entry.strip(' \t"')
    if len(text) > _MAX_ENTRY_LENGTH:
        return ""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
