"""The tables of config.toml: which keys each has, and which values they take."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from repermit.errors import ConfigError
from repermit.lazy_text import Joined
from repermit.settings.definitions import (
    Bounces,
    CampaignRules,
    MailServer,
    Organisation,
    Retention,
    Web,
)
from repermit.settings.mail_account import PRESETS
from repermit.web_address import is_web_address

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

# What may have several lines.
_LINES = ("organisation.address", "mail.dkim_key")

# What pages link to.
_URLS = ("organisation.website", "organisation.authority_url")

_KINDS: Mapping[type, str] = {
    str: "text in quotes",
    int: "a whole number",
    bool: "true or false",
}

# Without an end to its waiting, sending could hang for ever; a deadline is a year away at most; and
# from any moment one must be able to count on, or back, so long.
_RANGES: Mapping[str, range] = {
    "mail.port": range(1, 65_536),
    "bounces.port": range(1, 65_536),
    "mail.connections": range(1, 65),
    "mail.connect_timeout": range(1, 86_401),
    "mail.reply_timeout": range(1, 86_401),
    "bounces.every_minutes": range(1, 1441),
    "campaign.pause_at_bounce_percent": range(101),
    "campaign.minimum_days": range(366),
    "retention.removed_days": range(3661),
    "retention.evidence_years": range(101),
    "retention.trace_days": range(3661),
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


def kind_of(key: str) -> type:
    """Return what a dotted key of a table holds: str, int or bool."""
    table, _, name = key.partition(".")
    kind: type = get_type_hints(TABLES[table])[name]
    return kind


def choices_of(key: str) -> tuple[str, ...]:
    """Return the words that a dotted key may have, none if it may have any."""
    return _CHOICES.get(key, ())


def check(key: str, value: Any) -> None:
    """Refuse a value that makes no sense under its dotted key, whatever the others are."""
    _check(key, value, kind_of(key))


def _check(key: str, value: Any, expected: type) -> None:
    if type(value) is not expected:
        raise ConfigError("%(key)s must be %(what)s", key=key, code="kind", what=_KINDS[expected])
    if isinstance(value, int) and value < 0:
        raise ConfigError("%(key)s must not be negative", key=key, code="negative")
    _check_range(key, value)
    _check_words(key, value)


def _check_range(key: str, value: Any) -> None:
    if key in _RANGES and value not in _RANGES[key]:
        raise ConfigError(
            "%(key)s must be from %(first)s to %(last)s",
            key=key,
            code="range",
            first=str(_RANGES[key][0]),
            last=str(_RANGES[key][-1]),
        )


def _check_words(key: str, value: Any) -> None:
    choices = choices_of(key)
    if choices and value not in choices:
        raise ConfigError(
            "%(key)s must be one of %(choices)s",
            key=key,
            code="choice",
            choices=Joined(tuple(filter(None, choices))),
        )
    # A line break would end a header of a mail, or a command to a server.
    text = "".join(value.splitlines()) if key in _LINES else value
    if isinstance(text, str) and any(unicodedata.category(sign) == "Cc" for sign in text):
        raise ConfigError(
            "%(key)s must be one line, without control signs", key=key, code="one_line"
        )
    if key in _URLS and value and not is_web_address(value):
        raise ConfigError(
            "%(key)s must be a web address such as https://www.example.org",
            key=key,
            code="web_address",
        )
