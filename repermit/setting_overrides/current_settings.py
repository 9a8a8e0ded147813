"""The current settings: those of the file, and for all others the admin's choices."""

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
"""The key in Meta of the version of the stored choices."""

TEXTS_VERSION_KEY = "texts"
"""The key in Meta of the version of the corrected texts."""

_WATCH_INTERVAL = 2.0

_log = logging.getLogger(__name__)


def read_versions() -> dict[str, str]:
    """Return the versions of the settings and of the texts; "" for one that never changed."""
    return {SETTINGS_VERSION_KEY: "", TEXTS_VERSION_KEY: ""} | {
        row.key: row.value for row in _VERSIONS.rows()
    }


_VERSIONS = PreparedQuery(
    lambda: Meta.select().where(Meta.key.in_([SETTINGS_VERSION_KEY, TEXTS_VERSION_KEY]))
)


def lock_version(key: str) -> None:
    """Lock a version until the transaction ends, so that one process at a time changes it."""
    Meta.lock(key, default="")


def renew_version(key: str) -> None:
    """Change a version, so that every process reads again; call `lock_version` before."""
    Meta.write(key, new_id())


def apply_corrections() -> None:
    """Use the corrections of the open database in mails and pages of this process."""
    # Before the texts: a correction in between is found the next time.
    version = read_versions()[TEXTS_VERSION_KEY]
    corrections: dict[str, dict[str, tuple[str, ...]]] = {}
    for row in list(Correction.select()):
        corrections.setdefault(row.language, {})[row.source] = tuple(json.loads(row.forms))
    catalogues.install_corrections(corrections, version=version)


def read_choices(settings: Settings) -> dict[str, Any]:
    """Return the stored choices by dotted key, without secrets that no key decrypts any more."""
    values = {
        row.key: SecretCipher(settings.secret_keys).decrypt(row.key, row.value)
        if row.key in SECRETS
        else json.loads(row.value)
        for row in Chosen.select()
    }
    return {key: value for key, value in values.items() if value is not None}


def read_current_settings(settings: Settings, database: Database) -> Settings:
    """Return the file's settings with the choices in the open database.

    From then on this process also uses its corrected texts. An older database without these tables
    has no choices. Raises ConfigError if file and choices do not fit together.
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
    """The current settings of a process, composed again after each change.

    - `settings`: those of the file.

    `settings()` needs an open connection, and costs one look-up by key.
    """

    def __init__(self, settings: Settings) -> None:
        self._file = settings
        # A tuple, so that threads replace both at once.
        self._found = ("", settings)

    @property
    def file(self) -> Settings:
        """Return the file's settings, without choices."""
        return self._file

    def settings(self) -> Settings:
        """Return the current settings, and use the corrected texts from then on.

        If choices do not fit the file, that is logged and the former settings stay in use: answers
        come in meanwhile.
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
    """Detects changes of settings and texts since it was made; reads every few seconds at most."""

    def __init__(self, *, seconds: float = _WATCH_INTERVAL) -> None:
        self._began_with = read_versions()
        self._seconds = seconds
        self._looked_at = time.monotonic()

    def is_past(self) -> bool:
        """Return whether they have changed, so that a long run should end and begin again."""
        if time.monotonic() - self._looked_at < self._seconds:
            return False
        self._looked_at = time.monotonic()
        return read_versions() != self._began_with
