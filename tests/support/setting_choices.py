"""Choosing settings as the admin's pages do, for tests of what follows."""

from __future__ import annotations

from typing import Any

from repermit.db.connection import Database
from repermit.setting_overrides import change_settings
from repermit.setting_overrides.change_settings import ChangeResult, SettingsInput
from repermit.setting_overrides.current_settings import SETTINGS_VERSION_KEY, read_versions
from repermit.settings.definitions import Settings
from tests.support.builders import NOW


def choose(
    database: Database,
    settings: Settings,
    secrets: dict[str, str] | None = None,
    removed: tuple[str, ...] = (),
    **values: Any,
) -> ChangeResult:
    """Keep what was typed; two underscores in a name stand for the dot after the table."""
    typed = SettingsInput(
        values={name.replace("__", "."): value for name, value in values.items()},
        secrets=secrets or {},
        removed=frozenset(removed),
    )
    since = read_versions()[SETTINGS_VERSION_KEY]
    return change_settings.save_settings(
        database, settings, typed, since=since, now=NOW, actor="user:1"
    )
