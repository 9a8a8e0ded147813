"""Which URLs pages and mails may link to. May import normalization."""

from __future__ import annotations

from repermit.normalization import split_url

# RFC 3986 §2 has none of these in a URL; browsers take a backslash for a slash.
_NOT_IN_URLS = frozenset(' "<>\\^`{|}')


def is_web_address(url: str) -> bool:
    """Say whether this is a whole http or https URL, with a host and without a user's name.

    So no link runs a script (`javascript:`), and none shows another host than it leads to
    (`https://bank.example@evil.example`).
    """
    try:
        parts = split_url(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        return False
    is_plain = url.isprintable() and not _NOT_IN_URLS & set(url)
    is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return is_plain and is_whole and "@" not in parts.netloc
