"""The settings as they are at this moment: the file's, and beneath them what was chosen."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from repermit.db.connection import Database
from repermit.db.models.base import Meta, PreparedQuery, new_id
from repermit.db.models.settings import Chosen, Correction
from repermit.errors import ConfigError
from repermit.i18n import catalogues
from repermit.settings.definitions import SECRETS, Settings
from repermit.settings.editable_settings import apply_overrides
from repermit.settings.sealed_secrets import SecretCipher

SETTINGS_VERSION_KEY = "settings"
"""The key under which the version of what was chosen stands in Meta."""

TEXTS_VERSION_KEY = "texts"
"""The key under which the version of the corrected texts stands there."""

_WATCH_INTERVAL = 2.0

_log = logging.getLogger(__name__)


def read_versions() -> dict[str, str]:
    """Return what names the state of the settings and of the texts, "" if they never changed."""
    return {SETTINGS_VERSION_KEY: "", TEXTS_VERSION_KEY: ""} | {
        row.key: row.value for row in _VERSIONS.rows()
    }


_VERSIONS = PreparedQuery(
    lambda: Meta.select().where(Meta.key.in_([SETTINGS_VERSION_KEY, TEXTS_VERSION_KEY]))
)


def lock_version(key: str) -> None:
    """Lock the version of what `key` stands for, so that one process at a time changes it."""
    Meta.lock(key, default="")


def renew_version(key: str) -> None:
    """Make every process read again what `key` stands for; call `lock_version` before."""
    Meta.write(key, new_id())


def apply_corrections() -> None:
    """Have mails and pages of this process say what was corrected in the open database."""
    # Before the texts: what is corrected in between is found at the next look.
    version = read_versions()[TEXTS_VERSION_KEY]
    corrections: dict[str, dict[str, tuple[str, ...]]] = {}
    for row in list(Correction.select()):
        corrections.setdefault(row.language, {})[row.source] = tuple(json.loads(row.forms))
    catalogues.install_corrections(corrections, version=version)


def read_choices(settings: Settings) -> dict[str, Any]:
    """Return what was chosen, by dotted keys; a secret that no key opens any more is not there."""
    values = {
        row.key: SecretCipher(settings.secret_keys).decrypt(row.key, row.value)
        if row.key in SECRETS
        else json.loads(row.value)
        for row in Chosen.select()
    }
    return {key: value for key, value in values.items() if value is not None}


def read_current_settings(settings: Settings, database: Database) -> Settings:
    """Return the file's settings with what was chosen, from the open database.

    Corrected texts hold from then on too. An older database, in which nothing can have been chosen,
    will do. Raises ConfigError where the two do not go together.
    """
    if database.table_exists(Correction._meta.table_name):  # noqa: SLF001  peewee's own way
        apply_corrections()
    has_choices = database.table_exists(Chosen._meta.table_name)  # noqa: SLF001  peewee's own way
    choices = read_choices(settings) if has_choices else {}
    if not choices:
        return settings
    try:
        return apply_overrides(settings, choices)
    except ConfigError as error:
        raise ConfigError(
            "%(fault)s (chosen on the admin's pages beside what the file says; what the file says "
            "wins)",
            key=error.key,
            fault=error.said,
        ) from None


class CurrentSettings:
    """The settings of a process as they are now, composed anew when something was chosen.

    `settings` are the file's. Both methods need an open connection, and cost one look-up by a key.
    """

    def __init__(self, settings: Settings) -> None:
        self._file = settings
        # Put in its place as a whole, since threads share it.
        self._found = ("", settings)

    @property
    def file(self) -> Settings:
        """Return what the file says by itself."""
        return self._file

    def settings(self) -> Settings:
        """Return the settings that hold at this moment.

        What cannot be composed is noted, and what held before goes on to hold: answers come in.
        Texts that were corrected meanwhile are in use then too.
        """
        versions = read_versions()
        if versions[TEXTS_VERSION_KEY] != catalogues.get_corrections_version():
            apply_corrections()
        now = versions[SETTINGS_VERSION_KEY]
        known, found = self._found
        if now == known:
            return found
        try:
            found = apply_overrides(self._file, read_choices(self._file))
        except ConfigError as error:
            _log.error("what was chosen on the pages cannot be used: %s", error.key)
        self._found = (now, found)
        return found


class ChangeWatch:
    """Says whether something was chosen or corrected since; looks every few seconds at most."""

    def __init__(self, *, seconds: float = _WATCH_INTERVAL) -> None:
        self._began_with = read_versions()
        self._seconds = seconds
        self._looked_at = time.monotonic()

    def is_past(self) -> bool:
        """Say whether a run that began with it should end, so that the next one knows better."""
        if time.monotonic() - self._looked_at < self._seconds:
            return False
        self._looked_at = time.monotonic()
        return read_versions() != self._began_with
