"""Whether the fingerprint key is the one that a database was used with."""

from __future__ import annotations

from repermit import email_address
from repermit.db.connection import Database
from repermit.db.tables import Meta, Suppression
from repermit.errors import ConfigError
from repermit.settings.definitions import Settings

_NAME = "fingerprint_key_check"


def recognise_key(database: Database, settings: Settings) -> None:
    """Raise ConfigError if the fingerprints in the database were made with another key.

    Nobody who said No would be recognised, and nobody would notice. The database remembers not the
    key, only by what it is recognised: the first one that it was used with, or a later one as long
    as there is no fingerprint.
    """
    if _is_remembered(settings.fingerprint_key):
        return
    if is_other_key(settings.fingerprint_key):
        raise ConfigError(
            "fingerprint_key is not the one that this database was used with, and with another one "
            "nobody who said No would be recognised: put the former key back, from the copy of "
            "your settings",
            key="fingerprint_key",
        )
    with database.atomic():
        Meta.insert(key=_NAME, value=email_address.key_check(settings.fingerprint_key)).on_conflict(
            conflict_target=[Meta.key], preserve=[Meta.value]
        ).execute()


def is_other_key(key: bytes) -> bool:
    """Say whether there are fingerprints, made with another key than this."""
    is_known = Meta.select().where(Meta.key == _NAME).exists()
    return bool(is_known and not _is_remembered(key) and Suppression.select().exists())


def _is_remembered(key: bytes) -> bool:
    check = email_address.key_check(key)
    return bool(Meta.select().where(Meta.key == _NAME, Meta.value == check).exists())
