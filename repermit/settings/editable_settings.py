"""The settings that admins may choose in the browser, and applying their choices.

A value in config.toml wins over a choice, and a choice over the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from repermit.settings import mail_account, validation
from repermit.settings.definitions import SETTINGS, TABLES, Origin, Settings
from repermit.settings.setting_type import Setting
from repermit.settings.smtp_presets import PRESETS

EDITABLE: Mapping[str, Setting] = {
    key: setting for key, setting in SETTINGS.items() if setting.section
}
"""The settings that may be chosen, by dotted key, in the order of config.example.toml."""

_TABLES = tuple(
    name for name in TABLES if any(setting.table == name for setting in EDITABLE.values())
)
_SECRETS = tuple(setting for setting in EDITABLE.values() if setting.is_secret)
# A table is built again as a whole, also with the settings that only config.toml may have.
_READ_AGAIN = {
    key: setting for key, setting in SETTINGS.items() if setting.section or setting.table in _TABLES
}


def find_locked_keys(settings: Settings) -> frozenset[str]:
    """Return the dotted keys of the editable settings that only config.toml may change.

    - The settings that it has.
    - If it has a secret of an account: the settings that decide where that secret is sent, since an
      admin of the pages must not get it.
    - If it has the DKIM key: the name of the key's record.
    """
    file_values = _read_file_values(settings)
    with_secrets = {setting.table for setting in _SECRETS if setting.key in file_values}
    locked = {
        setting.key
        for setting in EDITABLE.values()
        if setting.key in file_values or (setting.is_destination and setting.table in with_secrets)
    }
    if "mail.dkim_key" in file_values:
        locked.add("mail.dkim_selector")
    return frozenset(locked)


def find_misdirected_secret(
    before: Settings, after: Settings, kept_keys: Iterable[str]
) -> str | None:
    """Return the first stored secret that would be sent elsewhere or less securely; None for none.

    - `kept_keys`: the dotted keys of the secrets that stay as they are.
    """
    moved_tables = {
        table
        for table in _TABLES
        if _read_destination(table, before) != _read_destination(table, after)
    }
    stored_keys = set(kept_keys)
    return next(
        (
            setting.key
            for setting in _SECRETS
            if setting.key in stored_keys and setting.table in moved_tables
        ),
        None,
    )


def find_effective_defaults(settings: Settings, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default of each editable setting, which depends on the preset and the protocol."""
    defaults = {key: setting.default for key, setting in EDITABLE.items()}
    values_by_key = {**defaults, **chosen, **_read_file_values(settings)}
    if preset := PRESETS.get(values_by_key["mail.preset"]):
        # There is no default for a server's name that a host tells each customer.
        preset_values = {"server": "", **preset.values()}
        defaults.update({f"mail.{name}": value for name, value in preset_values.items()})
    if port := mail_account.find_default_port(
        values_by_key["bounces.protocol"], values_by_key["bounces.tls"]
    ):
        defaults["bounces.port"] = port
    return defaults


def apply_overrides(settings: Settings, chosen: Mapping[str, Any]) -> Settings:
    """Return the settings with the admin's choices, except for the keys of `find_locked_keys`.

    - `chosen`: by dotted key.
    - Raises ConfigError for an invalid value, as reading the file does.
    """
    file_values, locked = _read_file_values(settings), find_locked_keys(settings)
    overrides = {key: chosen[key] for key in EDITABLE if key in chosen and key not in locked}
    values = _nest({**overrides, **file_values})
    mail_account.apply_preset(values["mail"])
    mail_account.set_default_port(values["bounces"])
    composed = replace(
        settings,
        timezone=validation.read_timezone(values),
        **{name: validation.build_table(name, values[name]) for name in _TABLES},
        origins={**settings.origins, **_find_origins(settings, overrides, values)},
        given=file_values,
    )
    mail_account.check_mail(composed.mail)
    mail_account.check_bounces(composed.bounces)
    return composed


def _read_destination(table: str, settings: Settings) -> list[Any]:
    """Return the values that decide where the secrets of a table are sent.

    The preset is left out, since it only sets defaults of the others.
    """
    return [
        setting.get_value(settings)
        for setting in SETTINGS.values()
        if setting.table == table and setting.is_destination and setting.name != "preset"
    ]


def _find_origins(
    settings: Settings, overrides: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Origin]:
    file_values = _read_file_values(settings)
    origins = dict.fromkeys(EDITABLE, Origin.DEFAULT)
    for table in _TABLES:
        origins.update({f"{table}.{name}": Origin.PRESET for name in values[table]})
    origins.update(dict.fromkeys(overrides, Origin.CHOSEN))
    # A value that comes from no file was set by the program that made the settings.
    origins.update({key: settings.origins.get(key, Origin.CONFIG) for key in file_values})
    return origins


def _read_file_values(settings: Settings) -> Mapping[str, Any]:
    """Return config.toml's values in the tables with editable settings, and its time zone."""
    if settings.given is not None:
        return {key: value for key, value in settings.given.items() if key in _READ_AGAIN}
    values = {key: setting.get_value(settings) for key, setting in _READ_AGAIN.items()}
    return {key: value for key, value in values.items() if value != _READ_AGAIN[key].default}


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {table: {} for table in _TABLES}
    for key, value in flat.items():
        table, _, name = key.rpartition(".")
        (values[table] if table else values)[name] = value
    return values
