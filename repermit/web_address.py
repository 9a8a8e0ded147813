"""Which URLs pages and mails may link to, and which hosts stand on the internet."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import unquote

from repermit.unicode_limits import split_url

# RFC 3986 §2 has none of these in a URL; browsers take a backslash for a slash.
_NOT_IN_URLS = frozenset(' "<>\\^`{|}')


def is_web_address(url: str) -> bool:
    """Say whether this is a whole http or https URL, with a host and without a user's name.

    So no link runs a script (`javascript:`), and none shows another host than it leads to
    (`https://bank.example@evil.example`, `https://2130706433`).
    """
    try:
        parts = split_url(url)
        _ = parts.port
        host = (parts.hostname or "").encode("idna").decode()
        if ip_address_of(host):
            ipaddress.ip_address(host)
    except ValueError:
        return False
    is_plain = url.isprintable() and not _NOT_IN_URLS & set(url)
    is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return is_plain and is_whole and "@" not in parts.netloc


# --- Which hosts stand on the internet, and which on this machine or a private network. -----------


Address = ipaddress.IPv4Address | ipaddress.IPv6Address

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

# RFC 6761 §6.3, RFC 6762 §3, RFC 8375 and ICANN's resolution 2024.07.29.06; what Debian calls this
# machine besides.
_PRIVATE_NAMES = (
    *("localhost", "local", "home.arpa", "internal"),
    *("localdomain", "ip6-localhost", "ip6-loopback"),
)


def ip_address_of(host: str) -> str:
    """Return the IP address that the host of a URL is, in whatever spelling; "" for a name.

    Browsers and libraries also take 127.1, 2130706433 and 0x7f.0.0.1 for one (WHATWG URL, "host
    parsing"; inet_aton(3)).
    """
    bare = _bare(host)
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(bare))
    except (OSError, ValueError):
        return ""


def is_private_name(host: str) -> bool:
    """Say whether a name can only be of this machine or of a private network."""
    bare = f".{_bare(host)}"
    return any(bare.endswith(f".{name}") for name in _PRIVATE_NAMES)


def _bare(host: str) -> str:
    """Return a host as a look-up takes it: percent signs decoded, without the dot of the root."""
    return unquote(host).removesuffix(".").lower()


def is_public(text: str) -> bool:
    """Say whether an IP address stands on the internet, also one that wraps another."""
    return _is_public(ipaddress.ip_address(text))


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
    if any(address in one for one in _CLOSED):
        return False
    return address.is_global and not address.is_multicast
