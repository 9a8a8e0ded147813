"""The settings of one installation: reading, checking and writing config.toml.

May import errors only. A setting that is not known is an error that suggests the nearest one.
"""

from __future__ import annotations

import difflib
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from repermit.errors import ConfigError

_PACKAGE = Path(__file__).parent

LANGUAGES = ("nl", "en", "de", "fr")
"""Languages of mails and public pages for which a catalogue exists (ISO 639-1)."""


def asset(name: str) -> Path:
    """Return where `templates`, `static` or `config.example.toml` is, in a wheel or a checkout."""
    packaged = _PACKAGE / name
    return packaged if packaged.exists() else _PACKAGE.parent / name


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """Who asks; stands in every mail and on every page (GDPR art. 13(1)(a) and (b))."""

    name: str = ""
    address: str = ""
    email: str = ""
    telephone: str = ""
    website: str = ""
    officer: str = ""
    authority: str = ""
    authority_url: str = ""

    @property
    def postal_lines(self) -> tuple[str, ...]:
        """Return the postal address, a line each."""
        return tuple(line.strip() for line in self.address.splitlines() if line.strip())


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """How mail gets out. Times in seconds."""

    server: str = "localhost"
    port: int = 587
    tls: str = "starttls"
    ca_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    return_path: str = "fixed"
    return_domain: str = ""
    connect_timeout: int = 30
    reply_timeout: int = 600


@dataclass(frozen=True, kw_only=True)
class CampaignRules:
    """What holds for every campaign. Times in days."""

    minimum_days: int = 14


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long the parts of the evidence are kept."""

    evidence_years: int = 5
    trace_days: int = 90


@dataclass(frozen=True, kw_only=True)
class Web:
    """How the pages are served."""

    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 8
    trusted_proxies: int = 0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Keys are bytes; `secret_keys` has the newest last."""

    public_url: str
    database: str
    timezone: str = "Europe/Amsterdam"
    secret_keys: tuple[bytes, ...] = field(repr=False)
    fingerprint_key: bytes = field(repr=False)
    organisation: Organisation = Organisation()
    mail: MailServer = MailServer()
    campaign: CampaignRules = CampaignRules()
    retention: Retention = Retention()
    web: Web = Web()

    @property
    def zone(self) -> ZoneInfo:
        """Return the organisation's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def sqlite_path(self) -> Path | None:
        """Return where the SQLite file is, or None for another database."""
        prefix = "sqlite:///"
        return Path(self.database.removeprefix(prefix)) if self._is_sqlite(prefix) else None

    def _is_sqlite(self, prefix: str) -> bool:
        return self.database.startswith(prefix)


_TABLES: Mapping[str, type] = {
    "organisation": Organisation,
    "mail": MailServer,
    "campaign": CampaignRules,
    "retention": Retention,
    "web": Web,
}
_TOP = ("public_url", "database", "timezone", "secret_keys", "fingerprint_key")
_FROM_FILES = ("secret_keys", "fingerprint_key", "mail.password")
_CHOICES = {
    "mail.tls": ("starttls", "tls", "none"),
    "mail.return_path": ("verp", "fixed"),
}
_MINIMUM_KEY_BYTES = 16


def known_keys() -> tuple[str, ...]:
    """Return every key that config.toml may hold, dotted, in the order of the example."""
    top = [key for name in _TOP for key in _with_file(name)]
    nested = [
        key
        for table, kind in _TABLES.items()
        for item in fields(kind)
        for key in _with_file(f"{table}.{item.name}")
    ]
    return (*top, *nested)


def load(path: Path) -> Settings:
    """Read the settings in `path`; relative paths in it are relative to its folder.

    Raises ConfigError if the file is missing, is not TOML, or holds what makes no sense.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        message = f"there is no {path}; `repermit init` makes one"
        raise ConfigError(message) from None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise ConfigError(message) from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{path} is not valid TOML: {error}"
        raise ConfigError(message) from None
    return parse(document, folder=path.parent)


def parse(document: Mapping[str, Any], *, folder: Path) -> Settings:
    """Build the settings from a parsed TOML document.

    Raises ConfigError, whose `.key` names the setting.
    """
    _refuse_unknown(document)
    values = _inline_files(document, folder)
    _find_ca_file(values.get("mail", {}), folder)
    tables = {name: _table(name, kind, values.get(name, {})) for name, kind in _TABLES.items()}
    return Settings(
        public_url=_public_url(values),
        database=_database(values, folder),
        timezone=_timezone(values),
        secret_keys=_secret_keys(values),
        fingerprint_key=_key(values.get("fingerprint_key"), "fingerprint_key"),
        **tables,
    )


def fresh_config(example: str) -> str:
    """Return `example` (the text of config.example.toml) with new random keys filled in."""
    return example.replace(
        'secret_keys = ["CHANGE-ME"]', f'secret_keys = ["{secrets.token_urlsafe(32)}"]'
    ).replace('fingerprint_key = "CHANGE-ME"', f'fingerprint_key = "{secrets.token_urlsafe(32)}"')


def _with_file(key: str) -> tuple[str, ...]:
    return (key, f"{key}_file") if key in _FROM_FILES else (key,)


def _refuse_unknown(document: Mapping[str, Any]) -> None:
    known = set(known_keys())
    for name, value in document.items():
        if name in _TABLES:
            if not isinstance(value, Mapping):
                message = f"[{name}] must be a table"
                raise ConfigError(message, key=name)
            _refuse_unknown_in(known, (f"{name}.{key}" for key in value))
        else:
            _refuse_unknown_in(known | set(_TABLES), (name,))


def _refuse_unknown_in(known: set[str], names: Any) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            message = f"unknown setting {name}{hint}"
            raise ConfigError(message, key=name)


def _inline_files(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the document with every `…_file` key replaced by what its file holds."""
    values = {k: dict(v) if isinstance(v, Mapping) else v for k, v in document.items()}
    for key in _FROM_FILES:
        table, _, name = key.rpartition(".")
        holder = values.get(table, {}) if table else values
        if f"{name}_file" not in holder:
            continue
        if name in holder:
            message = f"give {key} or {key}_file, not both"
            raise ConfigError(message, key=key)
        holder[name] = _read_secret(folder, holder.pop(f"{name}_file"), f"{key}_file", name)
    return values


def _read_secret(folder: Path, name: object, key: str, kind: str) -> str | list[str]:
    if not isinstance(name, str):
        message = f"{key} must be text"
        raise ConfigError(message, key=key)
    try:
        text = (folder / name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{key} cannot be read: {error}"
        raise ConfigError(message, key=key) from None
    return text.split() if kind == "secret_keys" else text.strip()


def _find_ca_file(mail: dict[str, Any], folder: Path) -> None:
    """Make `ca_file` absolute; what is no text is refused with the rest of its table."""
    name = mail.get("ca_file")
    if not isinstance(name, str) or not name:
        return
    path = (folder / name).absolute()
    if not path.is_file():
        message = f"mail.ca_file: there is no {path}"
        raise ConfigError(message, key="mail.ca_file")
    mail["ca_file"] = str(path)


def _table(name: str, kind: type, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    for key, value in values.items():
        expected = hints[key]
        if type(value) is not expected:
            what = {str: "text in quotes", int: "a whole number"}[expected]
            message = f"{name}.{key} must be {what}"
            raise ConfigError(message, key=f"{name}.{key}")
        if expected is int and value < 0:
            message = f"{name}.{key} must not be negative"
            raise ConfigError(message, key=f"{name}.{key}")
        if key.endswith("_timeout") and value == 0:
            message = f"{name}.{key} must be 1 or more: without an end to it, sending could hang"
            raise ConfigError(message, key=f"{name}.{key}")
        choices = _CHOICES.get(f"{name}.{key}")
        if choices and value not in choices:
            message = f"{name}.{key} must be one of {', '.join(choices)}"
            raise ConfigError(message, key=f"{name}.{key}")
    return kind(**values)


def _text(values: Mapping[str, Any], key: str, default: object = MISSING) -> str:
    value = values.get(key, default)
    if value is MISSING:
        message = f"{key} is missing"
        raise ConfigError(message, key=key)
    if not isinstance(value, str):
        message = f"{key} must be text in quotes"
        raise ConfigError(message, key=key)
    return value


def _public_url(values: Mapping[str, Any]) -> str:
    url = _text(values, "public_url").rstrip("/")
    if not _is_web_address(url):
        message = "public_url must look like https://www.example.org or https://example.org/ask"
        raise ConfigError(message, key="public_url")
    # It stands in header lines of mails, which take nothing else.
    if not url.isascii():
        message = "public_url must be plain ASCII: xn--… for a domain with accents, %C3%A9 for é"
        raise ConfigError(message, key="public_url")
    return url


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    extra = parts.query or parts.fragment or parts.username is not None
    is_whole = parts.scheme in {"http", "https"} and parts.hostname
    return bool(is_whole and not extra and url.isprintable() and " " not in url)


def _database(values: Mapping[str, Any], folder: Path) -> str:
    url = _text(values, "database", "sqlite:///repermit.db")
    if url.startswith(("postgresql://", "postgres://")):
        return url
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url == prefix:
        message = "database must look like sqlite:///repermit.db or postgresql://…"
        raise ConfigError(message, key="database")
    return prefix + str((folder / url.removeprefix(prefix)).absolute())


def _timezone(values: Mapping[str, Any]) -> str:
    name = _text(values, "timezone", "Europe/Amsterdam")
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        message = f"there is no timezone {name!r}; one looks like Europe/Amsterdam"
        raise ConfigError(message, key="timezone") from None
    return name


def _secret_keys(values: Mapping[str, Any]) -> tuple[bytes, ...]:
    keys = values.get("secret_keys")
    # A bare string would silently become a list of its characters in itsdangerous.
    if not isinstance(keys, list) or not keys:
        message = 'secret_keys must be a list such as ["…"], newest last'
        raise ConfigError(message, key="secret_keys")
    return tuple(_key(key, "secret_keys") for key in keys)


def _key(value: object, key: str) -> bytes:
    if not isinstance(value, str) or len(value.encode()) < _MINIMUM_KEY_BYTES:
        message = f"{key} needs a random text of 16 characters or more; `repermit init` makes one"
        raise ConfigError(message, key=key)
    return value.encode()
