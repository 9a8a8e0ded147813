"""Checking the URLs that pages and mails link to, and whether hosts are public."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import unquote

from repermit.unicode_limits import split_url

# RFC 3986 §2 allows none of these in a URL; browsers read a backslash as a slash.
_NOT_IN_URLS = frozenset(' "<>\\^`{|}')


def is_web_address(url: str) -> bool:
    """Say whether a text is a complete http or https URL, with a host and without a user name.

    So no link runs a script (`javascript:`) or shows another host than its own
    (`https://bank.example@evil.example`, `https://2130706433`).
    """
    try:
        parts = split_url(url)
        _ = parts.port
        host = (parts.hostname or "").encode("idna").decode()
        if read_ip_address(host):
            ipaddress.ip_address(host)
    except ValueError:
        return False
    is_plain = url.isprintable() and not _NOT_IN_URLS & set(url)
    is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return is_plain and is_whole and "@" not in parts.netloc


# --- Public hosts, and those of this machine or a private network. --------------------------------


Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 6052 §2.1: it is followed by an IPv4 address, to which a gateway forwards.
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

# RFC 6761 §6.3, RFC 6762 §3, RFC 8375 and ICANN's resolution 2024.07.29.06; and Debian's names of
# this machine.
_PRIVATE_NAMES = (
    *("localhost", "local", "home.arpa", "internal"),
    *("localdomain", "ip6-localhost", "ip6-loopback"),
)


def read_ip_address(host: str) -> str:
    """Return the IP address of a URL's host in any spelling; "" for a name.

    Browsers and libraries also read 127.1, 2130706433 and 0x7f.0.0.1 as addresses (WHATWG URL,
    "host parsing"; inet_aton(3)).
    """
    bare = _normalize_host(host)
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(bare))
    except (OSError, ValueError):
        return ""


def is_private_name(host: str) -> bool:
    """Say whether a host name is always of this machine or of a private network."""
    bare = f".{_normalize_host(host)}"
    return any(bare.endswith(f".{name}") for name in _PRIVATE_NAMES)


def _normalize_host(host: str) -> str:
    """Return a host in the form of a look-up: percent-decoded, without the root's dot."""
    return unquote(host).removesuffix(".").lower()


def is_public(text: str) -> bool:
    """Say whether an IP address is public, also one that contains another."""
    return _is_public(ipaddress.ip_address(text))


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
    if any(address in network for network in _CLOSED):
        return False
    return address.is_global and not address.is_multicast
