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
_REREAD = {key: one for key, one in SETTINGS.items() if one.section or one.table in _TABLES}


def find_locked_keys(settings: Settings) -> frozenset[str]:
    """Return the editable settings that are config.toml's to say.

    Those that it says; and where a secret of an account stands in it, also where that secret goes,
    since who keeps the file has not given it to whoever may change a page; and under which name
    the key of its signatures is found.
    """
    given = _given_values(settings)
    with_secrets = {setting.table for setting in _SECRETS if setting.key in given}
    locked = {
        setting.key
        for setting in EDITABLE.values()
        if setting.key in given or (setting.is_destination and setting.table in with_secrets)
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
    moved_tables = {
        table
        for table in _TABLES
        if _read_destination(table, before) != _read_destination(table, after)
    }
    kept = set(kept_keys)
    return next(
        (
            setting.key
            for setting in _SECRETS
            if setting.key in kept and setting.table in moved_tables
        ),
        None,
    )


def find_effective_defaults(settings: Settings, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each editable setting comes to where nobody says it, by preset and protocol."""
    usual_values = {key: setting.default for key, setting in EDITABLE.items()}
    values_by_key = {**usual_values, **chosen, **_given_values(settings)}
    if preset := PRESETS.get(values_by_key["mail.preset"]):
        # A server that the host tells its customer has no usual name.
        preset_values = {"server": "", **preset.values()}
        usual_values.update({f"mail.{name}": value for name, value in preset_values.items()})
    if port := mail_account.find_default_port(
        values_by_key["bounces.protocol"], values_by_key["bounces.tls"]
    ):
        usual_values["bounces.port"] = port
    return usual_values


def apply_overrides(settings: Settings, chosen: Mapping[str, Any]) -> Settings:
    """Return the settings with what was chosen, by dotted keys, where config.toml is silent.

    Raises ConfigError, as the file's own would, for what makes no sense.
    """
    given, locked = _given_values(settings), find_locked_keys(settings)
    overrides = {key: chosen[key] for key in EDITABLE if key in chosen and key not in locked}
    values = _nest({**overrides, **given})
    mail_account.apply_preset(values["mail"])
    mail_account.set_default_port(values["bounces"])
    composed = replace(
        settings,
        timezone=validation.read_timezone(values),
        **{name: validation.build_table(name, values[name]) for name in _TABLES},
        origins={**settings.origins, **_find_origins(settings, overrides, values)},
        given=given,
    )
    mail_account.check_mail(composed.mail)
    mail_account.check_bounces(composed.bounces)
    return composed


def _read_destination(table: str, settings: Settings) -> list[Any]:
    """Return where the secrets of a table go: a preset only says what else is usual."""
    return [
        setting.value_in(settings)
        for setting in SETTINGS.values()
        if setting.table == table and setting.is_destination and setting.name != "preset"
    ]


def _find_origins(
    settings: Settings, overrides: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Origin]:
    given = _given_values(settings)
    origins = dict.fromkeys(EDITABLE, Origin.DEFAULT)
    for table in _TABLES:
        origins.update({f"{table}.{name}": Origin.USUAL for name in values[table]})
    origins.update(dict.fromkeys(overrides, Origin.CHOSEN))
    # What comes from no file was given by the program that made the settings.
    origins.update({key: settings.origins.get(key, Origin.CONFIG) for key in given})
    return origins


def _given_values(settings: Settings) -> Mapping[str, Any]:
    """Return what config.toml says in the tables with editable settings, and of the time zone."""
    if settings.given is not None:
        return {key: value for key, value in settings.given.items() if key in _REREAD}
    values = {key: setting.value_in(settings) for key, setting in _REREAD.items()}
    return {key: value for key, value in values.items() if value != _REREAD[key].default}


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {table: {} for table in _TABLES}
    for key, value in flat.items():
        table, _, name = key.rpartition(".")
        (values[table] if table else values)[name] = value
    return values
