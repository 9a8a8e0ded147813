"""Validating and converting the values of settings.

An invalid value raises ConfigError, whose `.key` names the setting.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cryptography.x509 import load_pem_x509_certificates

from repermit.errors import ConfigError
from repermit.i18n.lazy_text import LazyJoin, LazyText
from repermit.settings.definitions import SETTINGS, TABLES, EvidenceRules
from repermit.settings.setting_type import Limits, Setting
from repermit.web_address import is_web_address

# --- The values in the tables of config.toml. -----------------------------------------------------

_TYPES: Mapping[type, LazyText] = {
    str: LazyText("text in quotes"),
    int: LazyText("a whole number"),
    bool: LazyText("true or false"),
}


def build_table(table: str, values: Mapping[str, Any]) -> Any:
    """Return a table's values as an instance of its class."""
    built = {
        # TOML has lists only, and settings are immutable.
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
    }
    for name, value in built.items():
        check_value(SETTINGS[f"{table}.{name}"], value)
    return TABLES[table](**built)


def check_value(setting: Setting, value: Any) -> None:
    """Raise ConfigError for a value that is invalid for a setting, whatever the other values."""
    if setting.kind == "list":
        _check_addresses(setting.key, value)
        return
    if type(value) is not setting.type:
        raise ConfigError("%(key)s must be %(what)s", key=setting.key, what=_TYPES[setting.type])
    if setting.limits:
        _check_limits(setting.key, value, setting.limits)
    if setting.choices and value not in setting.choices:
        raise ConfigError(
            "%(key)s must be one of %(choices)s",
            key=setting.key,
            choices=LazyJoin(tuple(filter(None, setting.error_order or setting.choices))),
        )
    if isinstance(value, str):
        _check_text(setting, value)


def _check_limits(key: str, value: Any, limits: Limits) -> None:
    minimum, maximum = limits
    if value < 0:
        raise ConfigError("%(key)s may not be less than 0", key=key)
    if maximum is not None and not minimum <= value <= maximum:
        raise ConfigError(
            "%(key)s must be from %(first)s to %(last)s",
            key=key,
            first=str(minimum),
            last=str(maximum),
        )


def _check_text(setting: Setting, value: str) -> None:
    if setting.kind == "timezone":
        _check_timezone(value)
    # A line break would end a header of a mail, or a command to a server.
    text = "".join(value.splitlines()) if setting.kind == "lines" else value
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ConfigError("%(key)s must be plain text on one line", key=setting.key)
    if setting.kind == "url" and value and not is_web_address(value):
        raise ConfigError(
            "%(key)s must be a web address such as https://www.example.org", key=setting.key
        )


def _check_addresses(key: str, value: object) -> None:
    """Raise ConfigError unless the value is a list of things that look like addresses."""
    if not isinstance(value, tuple) or not all(map(_is_like_an_address, value)):
        raise ConfigError('%(key)s must be a list such as ["officer@example.org"]', key=key)


def _is_like_an_address(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[^\s@]+@[^\s@]+", value))


def _check_timezone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ConfigError(
            "there is no timezone %(name)s; one looks like Europe/Amsterdam",
            key="timezone",
            name=repr(name),
        ) from None


# --- The top-level values of config.toml. ---------------------------------------------------------


_MIN_KEY_BYTES = 16
_SEED_BYTES = 32
_JOURNAL_NAME = "suppressions.journal"


def read_text(values: Mapping[str, Any], key: str, default: object = MISSING) -> str:
    """Return a text value; without a default the key is required."""
    value = values.get(key, default)
    if value is MISSING:
        raise ConfigError("%(key)s is missing", key=key)
    if not isinstance(value, str):
        raise ConfigError("%(key)s must be text in quotes", key=key)
    return value


def read_public_url(values: Mapping[str, Any]) -> str:
    """Return the URL of the pages, without a slash at its end."""
    url = read_text(values, "public_url").rstrip("/")
    if not _is_web_address(url):
        raise ConfigError(
            "public_url must look like https://www.example.org or https://example.org/ask",
            key="public_url",
        )
    # It is part of mail headers, which must be ASCII.
    if not url.isascii():
        raise ConfigError(
            "public_url must be plain ASCII: xn--… for a domain with accents, %C3%A9 for é",
            key="public_url",
        )
    return url


def is_safe_url(url: str) -> bool:
    """Return whether secrets may be sent to a URL: by https, or to this machine."""
    parts = urlsplit(url) if _is_web_address(url) and url.isascii() else None
    return parts is not None and (parts.scheme == "https" or _is_loopback(parts.hostname or ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_web_address(url: str) -> bool:
    return is_web_address(url) and not (urlsplit(url).query or urlsplit(url).fragment)


def read_database(values: Mapping[str, Any], folder: Path) -> str:
    """Return the URL of the database, with an absolute path for a file."""
    url = read_text(values, "database", SETTINGS["database"].default)
    if url.startswith(("postgresql://", "postgres://")):
        # The driver's own error would quote a part of the password.
        if not _POSTGRESQL_URL.fullmatch(url) or _BAD_PERCENT.search(url):
            raise ConfigError(
                "database must be a URL of PostgreSQL, with the signs in its password "
                "percent-encoded (%40 for @)",
                key="database",
            )
        return url
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == prefix:
        raise ConfigError(
            "database must look like sqlite:///repermit.db or postgresql://…",
            key="database",
        )
    return prefix + str((folder / url.removeprefix(prefix)).absolute())


# As libpq reads it, https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
_HOST = r"(?:\[[^]@/?\s]*\]|[^]\[@/?:,\s]*)(?::\d*)?"
_PARAMETER = r"[^=@/&\s]+=[^&\s]*"
# Without a user's name no "@" follows: it would end a password with bare signs.
_POSTGRESQL_URL = re.compile(
    rf"postgres(?:ql)?://(?:[^@/\s]*@|(?!.*@)){_HOST}(?:,{_HOST})*(?:/[^@?\s]*)?"
    rf"(?:\?(?:{_PARAMETER}(?:&{_PARAMETER})*)?)?"
)
_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})|%00")


def read_timezone(values: Mapping[str, Any]) -> str:
    """Return the name of the time zone, which must exist."""
    name = read_text(values, "timezone", SETTINGS["timezone"].default)
    _check_timezone(name)
    return name


def read_secret_keys(values: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Return the keys that sign links, the newest last."""
    keys = values.get("secret_keys")
    # A bare string would silently become a list of its characters in itsdangerous.
    if not isinstance(keys, list) or not keys:
        raise ConfigError(
            'secret_keys must be a list such as ["…"], newest last',
            key="secret_keys",
        )
    return tuple(parse_random_key(key, "secret_keys") for key in keys)


def find_journal(values: Mapping[str, Any], folder: Path) -> Path:
    """Return the file of the suppression journal; by default beside the fingerprint key.

    - `values`: as in config.toml, where `fingerprint_key_file` is still a name.
    """
    if "journal" not in values:
        key_file = str(values.get("fingerprint_key_file", "config.toml"))
        return (folder / key_file).absolute().with_name(_JOURNAL_NAME)
    name = read_text(values, "journal")
    if not name:
        raise ConfigError("journal must name a file", key="journal")
    return (folder / name).absolute()


def parse_random_key(value: object, key: str) -> bytes:
    """Return a key as bytes; it must be too long to be guessed."""
    if not isinstance(value, str) or len(value.encode()) < _MIN_KEY_BYTES:
        raise ConfigError(
            "%(key)s needs a random text of 16 characters or more; `repermit init` makes one",
            key=key,
        )
    return value.encode()


def check_timestamps(rules: EvidenceRules) -> None:
    """Raise ConfigError for a timestamp authority without a readable certificate."""
    key = "evidence.timestamp_ca_file"
    if rules.timestamp_url and not rules.timestamp_ca_file:
        raise ConfigError(
            "%(key)s is missing: the certificate, as PEM, by which timestamps are checked", key=key
        )
    if not rules.timestamp_ca_file:
        return
    try:
        load_pem_x509_certificates(Path(rules.timestamp_ca_file).read_bytes())
    except (ValueError, OSError):
        raise ConfigError("%(key)s holds no certificate as PEM", key=key) from None


# name+id+base64 of an octet 0x04 and the 32 of an Ed25519 key (https://c2sp.org/signed-note).
_WITNESS_KEY = re.compile(r"([^+\s]+)\+([0-9a-f]{8})\+(B[A-P][A-Za-z0-9+/]{42})")


def check_witness(rules: EvidenceRules) -> None:
    """Raise ConfigError for a witness without a key, or with a key that is invalid."""
    key = "evidence.witness_key"
    if rules.witness_url and not rules.witness_key:
        raise ConfigError("%(key)s is missing: by it cosignatures are checked", key=key)
    if rules.witness_key and not _is_witness_key(rules.witness_key):
        raise ConfigError("%(key)s is no verifier key of a witness: name+id+base64", key=key)


def _is_witness_key(text: str) -> bool:
    match = _WITNESS_KEY.fullmatch(text)
    if not match:
        return False
    name, key_id, encoded = match.groups()
    digest = hashlib.sha256(f"{name}\n".encode() + base64.b64decode(encoded)).hexdigest()
    return digest.startswith(key_id)


def read_evidence_key(values: Mapping[str, Any]) -> bytes | None:
    """Return the 32 octets that sign checkpoints; None if there is no key."""
    if "evidence_key" not in values:
        return None
    encoded_key = values["evidence_key"]
    try:
        # Both alphabets of base64: `init` writes one, `openssl rand -base64 32` the other.
        base64_text = str(encoded_key).rstrip("=").replace("-", "+").replace("_", "/")
        octets = base64.b64decode(f"{base64_text}=", validate=True)
    except ValueError:
        octets = b""
    if not isinstance(encoded_key, str) or len(octets) != _SEED_BYTES:
        raise ConfigError(
            "evidence_key must be 32 random octets in base64; `openssl rand -base64 32` makes it",
            key="evidence_key",
        )
    return octets
