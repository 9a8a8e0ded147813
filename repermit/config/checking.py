"""Whether single settings make sense, and what they become. May import errors only.

Each refusal is a ConfigError, whose `.key` names the setting.
"""

from __future__ import annotations

import ipaddress
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from repermit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MINIMUM_KEY_BYTES = 16


def text(values: Mapping[str, Any], key: str, default: object = MISSING) -> str:
    """Return a text; without a default it has to be there."""
    value = values.get(key, default)
    if value is MISSING:
        raise ConfigError(f"{key} is missing", key=key)
    if not isinstance(value, str):
        raise ConfigError(f"{key} must be text in quotes", key=key)
    return value


def public_url(values: Mapping[str, Any]) -> str:
    """Return where the pages are, without a slash at its end."""
    url = text(values, "public_url").rstrip("/")
    if not _is_web_address(url):
        message = "public_url must look like https://www.example.org or https://example.org/ask"
        raise ConfigError(message, key="public_url")
    # It stands in header lines of mails, which take nothing else.
    if not url.isascii():
        message = "public_url must be plain ASCII: xn--… for a domain with accents, %C3%A9 for é"
        raise ConfigError(message, key="public_url")
    return url


def is_safe_address(url: str) -> bool:
    """Say whether secrets may be sent there: by https, or to this very machine."""
    parts = urlsplit(url) if _is_web_address(url) and url.isascii() else None
    return parts is not None and (parts.scheme == "https" or _is_loopback(parts.hostname or ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    extra = parts.query or parts.fragment or parts.username is not None
    is_whole = parts.scheme in {"http", "https"} and parts.hostname
    return bool(is_whole and not extra and url.isprintable() and " " not in url)


def database(values: Mapping[str, Any], folder: Path) -> str:
    """Return the database's address; a file's path made absolute."""
    url = text(values, "database", "sqlite:///repermit.db")
    if url.startswith(("postgresql://", "postgres://")):
        return url
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == prefix:
        message = "database must look like sqlite:///repermit.db or postgresql://…"
        raise ConfigError(message, key="database")
    return prefix + str((folder / url.removeprefix(prefix)).absolute())


def timezone(values: Mapping[str, Any]) -> str:
    """Return the name of a time zone that there is."""
    name = text(values, "timezone", "Europe/Amsterdam")
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        message = f"there is no timezone {name!r}; one looks like Europe/Amsterdam"
        raise ConfigError(message, key="timezone") from None
    return name


def secret_keys(values: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Return the keys that links are signed with, newest last."""
    keys = values.get("secret_keys")
    # A bare string would silently become a list of its characters in itsdangerous.
    if not isinstance(keys, list) or not keys:
        message = 'secret_keys must be a list such as ["…"], newest last'
        raise ConfigError(message, key="secret_keys")
    return tuple(random_key(key, "secret_keys") for key in keys)


def random_key(value: object, key: str) -> bytes:
    """Return a key that is long enough not to be guessed."""
    if not isinstance(value, str) or len(value.encode()) < _MINIMUM_KEY_BYTES:
        message = f"{key} needs a random text of 16 characters or more; `repermit init` makes one"
        raise ConfigError(message, key=key)
    return value.encode()
