"""The tables of config.toml: which keys each has, and which values they take.

May import errors and the rooms of this package.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

from repermit.config.presets import PRESETS
from repermit.config.settings import (
    Bounces,
    CampaignRules,
    MailServer,
    Organisation,
    Retention,
    Web,
)
from repermit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TABLES: Mapping[str, type] = {
    "organisation": Organisation,
    "mail": MailServer,
    "bounces": Bounces,
    "campaign": CampaignRules,
    "retention": Retention,
    "web": Web,
}

_CHOICES = {
    "mail.preset": ("", *PRESETS),
    "mail.tls": ("starttls", "tls", "none"),
    "mail.auth": ("password", "xoauth2"),
    "mail.return_path": ("verp", "fixed"),
    "bounces.protocol": ("none", "imap", "pop3"),
    "bounces.tls": ("tls", "starttls", "none"),
    "bounces.auth": ("password", "xoauth2"),
}

_KINDS: Mapping[type, str] = {
    str: "text in quotes",
    int: "a whole number",
    bool: "true or false",
}

# Without an end to its waiting, sending could hang for ever.
_RANGES: Mapping[str, range] = {
    "mail.connections": range(1, 65),
    "mail.connect_timeout": range(1, 86_401),
    "mail.reply_timeout": range(1, 86_401),
    "bounces.every_minutes": range(1, 1441),
    "campaign.pause_at_bounce_percent": range(101),
    "retention.access_days": range(1, 36_501),
    "web.idle_minutes": range(1, 1441),
}


def keys_of(table: str) -> Iterator[str]:
    """Yield the keys of a table, dotted, in the order of the example."""
    return (f"{table}.{item.name}" for item in fields(TABLES[table]))


def build(table: str, values: Mapping[str, Any]) -> Any:
    """Return a table's values as their class; raises ConfigError for one that makes no sense."""
    kind = TABLES[table]
    hints = get_type_hints(kind)
    for key, value in values.items():
        _check(f"{table}.{key}", value, hints[key])
    return kind(**values)


def _check(key: str, value: Any, expected: type) -> None:
    if type(value) is not expected:
        what = _KINDS[expected]
        raise ConfigError(f"{key} must be {what}", key=key)
    if isinstance(value, int) and value < 0:
        raise ConfigError(f"{key} must not be negative", key=key)
    if key in _RANGES and value not in _RANGES[key]:
        first, last = _RANGES[key][0], _RANGES[key][-1]
        raise ConfigError(f"{key} must be from {first} to {last}", key=key)
    choices = _CHOICES.get(key)
    if choices and value not in choices:
        said = ", ".join(choice for choice in choices if choice)
        raise ConfigError(f"{key} must be one of {said}", key=key)
