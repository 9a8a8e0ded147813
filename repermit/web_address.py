"""Which URLs pages and mails may link to."""

from __future__ import annotations

import ipaddress

from repermit.public_network import ip_address_of
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
