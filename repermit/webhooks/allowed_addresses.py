"""Where webhooks may go: which URLs can be added, which addresses may be connected to.

The machine's own network stays closed to them (OWASP, Server-Side Request Forgery Prevention),
unless the settings open it.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from repermit.errors import NotAllowed, Refused
from repermit.public_network import ip_address_of, is_private_name, is_public
from repermit.unicode_limits import split_url

_LONGEST = 2_000


def check_url(url: str, *, to_private: bool) -> str:
    """Return the URL of a webhook, tidied; raises Refused for one that cannot be used."""
    parts = _split(url.strip())
    if parts.username is not None or parts.fragment:
        raise Refused("a webhook's URL has no user name, no password and no #")
    if parts.scheme == "http" and not to_private:
        raise Refused("a webhook's URL begins with https://, since mail addresses travel there")
    host = parts.hostname or ""
    if address := ip_address_of(host):
        check_address(address, encrypted=parts.scheme == "https", to_private=to_private)
    elif is_private_name(host) and not to_private:
        raise _closed()
    return parts.geturl()


def host_of(url: str) -> str:
    """Return the host alone: what stands behind it may be secret."""
    return urlsplit(url).hostname or ""


def check_address(text: str, *, encrypted: bool, to_private: bool) -> None:
    """Raise NotAllowed for an IP address that may not be connected to."""
    is_of_the_internet = is_public(text)
    if not is_of_the_internet and not to_private:
        raise _closed()
    if is_of_the_internet and not encrypted:
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


def _closed() -> NotAllowed:
    return NotAllowed(
        "a webhook may not go to this machine or to a private network; "
        "webhooks_to_private = true under [web] would allow it"
    )
