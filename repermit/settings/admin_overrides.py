"""Settings that admins may choose in the browser: which those are, and what comes of a choice.

What config.toml says wins over what was chosen, and that over what is usual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from repermit.settings import mail_account, validation
from repermit.settings.definitions import SETTINGS, TABLES, Origin, Settings
from repermit.settings.setting_type import Setting
from repermit.settings.smtp_presets import PRESETS

EDITABLE: Mapping[str, Setting] = {key: one for key, one in SETTINGS.items() if one.section}
"""The settings that may be chosen, by their dotted keys, in the order of the example."""

_TABLES = tuple(name for name in TABLES if any(one.table == name for one in EDITABLE.values()))
_SECRETS = tuple(one for one in EDITABLE.values() if one.is_secret)
# What config.toml says is read anew for all of a table, also for what it alone may say.
_READ_ANEW = {key: one for key, one in SETTINGS.items() if one.section or one.table in _TABLES}


def locked_keys(settings: Settings) -> frozenset[str]:
    """Return the editable settings that are config.toml's to say.

    Those that it says; and where a secret of an account stands in it, also where that secret goes,
    since who keeps the file has not given it to whoever may change a page; and under which name
    the key of its signatures is found.
    """
    given = _given_values(settings)
    with_secrets = {one.table for one in _SECRETS if one.key in given}
    locked = {
        one.key
        for one in EDITABLE.values()
        if one.key in given or (one.is_destination and one.table in with_secrets)
    }
    if "mail.dkim_key" in given:
        locked.add("mail.dkim_selector")
    return frozenset(locked)


def find_misdirected_secret(
    before: Settings, after: Settings, kept_keys: Iterable[str]
) -> str | None:
    """Return the first of the kept secrets that would go to another server, None for none.

    Or that would be less well guarded on its way.
    """
    moved = {
        table for table in _TABLES if _destination(table, before) != _destination(table, after)
    }
    kept = set(kept_keys)
    return next((one.key for one in _SECRETS if one.key in kept and one.table in moved), None)


def usual_values(settings: Settings, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each editable setting comes to where nobody says it, by preset and protocol."""
    usual = {key: one.default for key, one in EDITABLE.items()}
    said = {**usual, **chosen, **_given_values(settings)}
    if preset := PRESETS.get(said["mail.preset"]):
        # A server that the host tells its customer has no usual name.
        values = {"server": "", **preset.values()}
        usual.update({f"mail.{name}": value for name, value in values.items()})
    if port := mail_account.usual_port(said["bounces.protocol"], said["bounces.tls"]):
        usual["bounces.port"] = port
    return usual


def apply_overrides(settings: Settings, chosen: Mapping[str, Any]) -> Settings:
    """Return the settings with what was chosen, by dotted keys, where config.toml is silent.

    Raises ConfigError, as the file's own would, for what makes no sense.
    """
    given, locked = _given_values(settings), locked_keys(settings)
    overrides = {key: chosen[key] for key in EDITABLE if key in chosen and key not in locked}
    values = _nest({**overrides, **given})
    mail_account.fill_in(values["mail"])
    mail_account.choose_port(values["bounces"])
    composed = replace(
        settings,
        timezone=validation.timezone(values),
        **{name: validation.build_table(name, values[name]) for name in _TABLES},
        origins={**settings.origins, **_origins(settings, overrides, values)},
        given=given,
    )
    mail_account.check_mail(composed.mail)
    mail_account.check_bounces(composed.bounces)
    return composed


def _destination(table: str, settings: Settings) -> list[Any]:
    """Return where the secrets of a table go: a preset only says what else is usual."""
    return [
        one.value_in(settings)
        for one in SETTINGS.values()
        if one.table == table and one.is_destination and one.name != "preset"
    ]


def _origins(
    settings: Settings, overrides: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Origin]:
    given = _given_values(settings)
    found = dict.fromkeys(EDITABLE, Origin.DEFAULT)
    for table in _TABLES:
        found.update({f"{table}.{name}": Origin.USUAL for name in values[table]})
    found.update(dict.fromkeys(overrides, Origin.CHOSEN))
    # What comes from no file was given by the program that made the settings.
    found.update({key: settings.origins.get(key, Origin.CONFIG) for key in given})
    return found


def _given_values(settings: Settings) -> Mapping[str, Any]:
    """Return what config.toml says in the tables with editable settings, and of the time zone."""
    if settings.given is not None:
        return {key: value for key, value in settings.given.items() if key in _READ_ANEW}
    values = {key: one.value_in(settings) for key, one in _READ_ANEW.items()}
    return {key: value for key, value in values.items() if value != _READ_ANEW[key].default}


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {table: {} for table in _TABLES}
    for key, value in flat.items():
        table, _, name = key.rpartition(".")
        (values[table] if table else values)[name] = value
    return values
