"""Where webhooks may go: which URLs can be added, which addresses may be connected to.

May import errors and normalization only. The machine's own network stays closed to them (OWASP,
Server-Side Request Forgery Prevention), unless the settings open it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from repermit.errors import NotAllowed, Refused
from repermit.normalization import split_url

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST = 2_000
# RFC 6052 §2.1: behind it stands an IPv4 address, to which a gateway of the network passes on.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_CLOSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "64:ff9b:1::/48",  # RFC 8215: NAT64 within a network
            "fec0::/10",  # RFC 3879: once for one site
            "::/96",  # RFC 4291 §2.5.5.1: an IPv4 address behind noughts, no longer used
            "::ffff:0:0:0/96",  # RFC 2765 §2.1: an IPv4 address, translated
            # Azure's own, within each of its networks (Microsoft Learn: "What is IP address
            # 168.63.129.16?").
            "168.63.129.16/32",
        ),
    )
)


def check_url(url: str, *, to_private: bool) -> str:
    """Return the URL of a webhook, tidied; raises Refused for one that cannot be used."""
    parts = _split(url.strip())
    if parts.username is not None or parts.fragment:
        raise Refused("a webhook's URL has no user name, no password and no #")
    if parts.scheme == "http" and not to_private:
        raise Refused("a webhook's URL begins with https://, since mail addresses travel there")
    host = parts.hostname or ""
    if _is_number(host):
        check_address(host, encrypted=parts.scheme == "https", to_private=to_private)
    return parts.geturl()


def host_of(url: str) -> str:
    """Return the host alone: what stands behind it may be secret."""
    return urlsplit(url).hostname or ""


def check_address(text: str, *, encrypted: bool, to_private: bool) -> None:
    """Raise NotAllowed for an IP address that may not be connected to."""
    is_public = _is_public(ipaddress.ip_address(text))
    if not is_public and not to_private:
        raise NotAllowed(
            "a webhook may not go to this machine or to a private network; "
            "webhooks_to_private = true under [web] would allow it"
        )
    if is_public and not encrypted:
        raise NotAllowed("to the internet a webhook needs https")


def _split(url: str) -> SplitResult:
    try:
        parts = split_url(url)
        # What cannot be encoded cannot be looked up either.
        is_whole = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        is_whole, parts = False, urlsplit("")
    plain = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    is_web = parts.scheme in {"http", "https"}
    if not (is_whole and is_web and plain and len(url) <= _LONGEST):
        raise Refused("a webhook's URL looks like https://tool.example.org/hooks/news")
    return parts


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_public(address: Address) -> bool:
    """Say whether an address stands on the internet, also for one that wraps another."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
    if any(address in one for one in _CLOSED):
        return False
    return address.is_global and not address.is_multicast
