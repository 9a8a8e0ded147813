"""Settings that may be chosen on the admin's pages: which those are, and what comes of a choice.

What the file says wins over what was chosen, and that over what is usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from repermit.settings import mail_account, toml_tables, validation
from repermit.settings.definitions import Origin, Settings
from repermit.settings.mail_account import PRESETS

_TABLES = ("organisation", "mail", "bounces", "campaign", "retention")
_ACCOUNTS = ("mail", "bounces")

# Files of the server's own are named by whoever keeps the server: a page that took any path would
# tell which files there are.
_BY_PATH = ("mail.ca_file", "bounces.ca_file")
# A key to sign with belongs beside no database, and its record in the DNS is not to be chosen.
_SIGNING = ("mail.dkim_key", "mail.dkim_domain")

_SECRETS = ("password", "oauth_client_secret", "oauth_refresh_token")

_DESTINATION = (
    "preset",
    "protocol",
    "server",
    "port",
    "tls",
    "ca_file",
    "oauth_tenant",
    "oauth_authority",
)


def choosable_keys() -> tuple[str, ...]:
    """Return the settings that may be chosen on the pages, dotted, in the order of the example."""
    keys = (key for table in _TABLES for key in toml_tables.keys_of(table))
    return ("timezone", *(key for key in keys if key not in _BY_PATH + _SIGNING))


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of a dotted key."""
    table, _, name = key.rpartition(".")
    return getattr(getattr(settings, table) if table else settings, name)


def check_value(key: str, value: Any) -> None:
    """Refuse a value that makes no sense, whatever the others are; raises ConfigError."""
    if key == "timezone":
        validation.timezone({key: value})
    else:
        toml_tables.check(key, value)


def settled(settings: Settings) -> frozenset[str]:
    """Return the choosable settings that are the file's to say.

    Those that it says; and where a secret of an account stands in it, also where that secret goes,
    since who keeps the file has not given it to whoever may change a page; and under which name
    the key of its signatures is found.
    """
    given = _given(settings)
    bound = {
        f"{table}.{name}"
        for table in _ACCOUNTS
        if any(f"{table}.{secret}" in given for secret in _SECRETS)
        for name in _DESTINATION
    }
    if "mail.dkim_key" in given:
        bound.add("mail.dkim_selector")
    return frozenset(choosable_keys()) & (given.keys() | bound)


def goes_elsewhere(table: str, before: Settings, after: Settings) -> bool:
    """Say whether an account's secrets would be shown to another server, or less well guarded."""
    old, new = getattr(before, table), getattr(after, table)
    return any(
        getattr(old, name, None) != getattr(new, name, None)
        for name in _DESTINATION
        if name != "preset"
    )


def secrets_of(table: str) -> tuple[str, ...]:
    """Return the secrets of an account, dotted; none for what is no account."""
    return tuple(f"{table}.{name}" for name in _SECRETS) if table in _ACCOUNTS else ()


def usual(settings: Settings, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each choosable setting comes to where nobody says it, by preset and protocol."""
    found = {key: _default(key) for key in choosable_keys()}
    said = {**found, **chosen, **_given(settings)}
    if preset := PRESETS.get(said["mail.preset"]):
        # A server that the host tells its customer has no usual name.
        values = {"server": "", **preset.values()}
        found.update({f"mail.{name}": value for name, value in values.items()})
    if port := mail_account.usual_port(said["bounces.protocol"], said["bounces.tls"]):
        found["bounces.port"] = port
    return found


def compose(settings: Settings, chosen: Mapping[str, Any]) -> Settings:
    """Return the settings with what was chosen, by dotted keys, where the file does not say it.

    Raises ConfigError, as the file's own would, for what makes no sense.
    """
    given, own = _given(settings), settled(settings)
    choices = {key: chosen[key] for key in choosable_keys() if key in chosen and key not in own}
    values = _nested({**choices, **given})
    mail_account.fill_in(values["mail"])
    mail_account.choose_port(values["bounces"])
    composed = replace(
        settings,
        timezone=validation.timezone(values),
        **{name: toml_tables.build(name, values[name]) for name in _TABLES},
        origins={**settings.origins, **_origins(settings, choices, values)},
        given=given,
    )
    mail_account.check_mail(composed.mail)
    mail_account.check_bounces(composed.bounces)
    return composed


def _origins(
    settings: Settings, choices: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Origin]:
    given = _given(settings)
    found = dict.fromkeys(choosable_keys(), Origin.DEFAULT)
    for table in _TABLES:
        found.update({f"{table}.{name}": Origin.USUAL for name in values[table]})
    found.update(dict.fromkeys(choices, Origin.CHOSEN))
    # What comes from no file was given by the program that made the settings.
    found.update({key: settings.origins.get(key, Origin.CONFIG) for key in given})
    return found


def _given(settings: Settings) -> Mapping[str, Any]:
    """Return what the file says in the tables from which may be chosen, and of the time zone."""
    if settings.given is not None:
        return {key: value for key, value in settings.given.items() if _is_of_ours(key)}
    keys = ("timezone", *(key for table in _TABLES for key in toml_tables.keys_of(table)))
    values = {key: value_of(settings, key) for key in keys}
    return {key: value for key, value in values.items() if value != _default(key)}


def _is_of_ours(key: str) -> bool:
    return key == "timezone" or key.partition(".")[0] in _TABLES


def _default(key: str) -> Any:
    table, _, name = key.rpartition(".")
    kind = toml_tables.TABLES[table] if table else Settings
    (default,) = (one.default for one in fields(kind) if one.name == name)
    assert default is not MISSING  # noqa: S101  all that may be chosen has one
    return default


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {table: {} for table in _TABLES}
    for key, value in flat.items():
        table, _, name = key.rpartition(".")
        (values[table] if table else values)[name] = value
    return values
