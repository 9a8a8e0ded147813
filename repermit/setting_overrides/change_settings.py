"""Changing settings in the browser: all of a page or nothing, with evidence, secrets encrypted.

And encrypting stored secrets again after a new key.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from repermit import email_address
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.db.models.base import Table
from repermit.db.models.settings import Chosen
from repermit.db.models.webhooks import Webhook
from repermit.errors import AddressError, ChangedMeanwhile, ChoiceRefused, ConfigError
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.setting_overrides.current_settings import (
    SETTINGS_VERSION_KEY,
    lock_version,
    read_choices,
    read_versions,
    renew_version,
)
from repermit.settings.definitions import SECRETS, SETTINGS, Settings
from repermit.settings.editable_settings import (
    EDITABLE,
    apply_overrides,
    find_effective_defaults,
    find_locked_keys,
    find_misdirected_secret,
)
from repermit.settings.sealed_secrets import SecretCipher, make_totp_name, make_webhook_name
from repermit.settings.validation import check_value


@dataclass(frozen=True, kw_only=True)
class SettingsInput:
    """The input of a page, by dotted keys.

    - `secrets`: new ones only; `removed`: the keys of those to delete. All others stay.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    removed: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The settings that a change would give, and the values that would be stored for it."""

    before: Settings
    settings: Settings
    chosen: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ChangeResult:
    """The settings after a change, and the keys of those that it changed."""

    settings: Settings
    changed: tuple[str, ...]


def propose_settings(settings: Settings, typed: SettingsInput) -> Proposal:
    """Return the settings that an input would give; nothing is stored.

    - `settings`: those of the file, whose values stay.

    A default value is not stored, so that it follows the preset. Raises ChoiceRefused with all
    errors.
    """
    old_choices = read_choices(settings)
    _check_values(typed)
    new_choices = _merge_choices(settings, old_choices, typed)
    try:
        proposed = apply_overrides(settings, new_choices)
        current = _compose_or_file(settings, old_choices)
        _refuse_misdirected(current, proposed, new_choices.keys() - typed.secrets.keys())
    except ConfigError as error:
        raise ChoiceRefused((error,)) from None
    return Proposal(before=current, settings=proposed, chosen=new_choices)


def save_settings(
    database: Database,
    settings: Settings,
    typed: SettingsInput,
    *,
    since: str,
    now: datetime,
    actor: str,
) -> ChangeResult:
    """Store an input if all of it is valid, otherwise nothing.

    - `settings`: those of the file.
    - `since`: the version that the page showed.

    Raises ChoiceRefused, and ChangedMeanwhile.
    """
    with database.atomic():
        lock_version(SETTINGS_VERSION_KEY)
        if read_versions()[SETTINGS_VERSION_KEY] != since:
            raise ChangedMeanwhile("somebody else has changed the settings meanwhile")
        proposal = propose_settings(settings, typed)
        changed = _write_choices(settings, proposal.chosen, typed.removed, now=now, actor=actor)
        if changed:
            renew_version(SETTINGS_VERSION_KEY)
            chain.append(_make_entry(proposal, changed, now=now, actor=actor))
    return ChangeResult(settings=proposal.settings, changed=changed)


def list_secrets(settings: Settings) -> dict[str, tuple[datetime, str, bool]]:
    """Return the time, the actor and whether it can be decrypted, of each stored secret by key."""
    cipher = SecretCipher(settings.secret_keys)
    return {
        row.key: (row.at, row.by, cipher.decrypt(row.key, row.value) is not None)
        for row in Chosen.select().where(Chosen.key.in_(SECRETS))
    }


def _check_values(typed: SettingsInput) -> None:
    errors = []
    for key, value in {**typed.values, **typed.secrets}.items():
        try:
            check_value(SETTINGS[key], value)
            _check_email_address(key, value)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ChoiceRefused(tuple(errors))


def _check_email_address(key: str, value: Any) -> None:
    # Not where settings are read: one that was chosen before this check would stop the service.
    if SETTINGS[key].kind != "email" or not value:
        return
    try:
        email_address.parse(value)
    except AddressError:
        raise ConfigError(
            "%(key)s must be an e-mail address such as info@example.org", key=key
        ) from None


def _merge_choices(
    settings: Settings, before: Mapping[str, Any], typed: SettingsInput
) -> dict[str, Any]:
    values = {**before, **typed.values, **typed.secrets}
    excluded = find_locked_keys(settings) | typed.removed
    usual = find_effective_defaults(settings, values)
    return {
        key: values[key]
        for key in EDITABLE
        if key in values and key not in excluded and values[key] != usual[key]
    }


def _compose_or_file(settings: Settings, choices: Mapping[str, Any]) -> Settings:
    """Return the settings with the choices, or the file's alone if they no longer fit together."""
    try:
        return apply_overrides(settings, choices)
    except ConfigError:
        return settings


def _refuse_misdirected(before: Settings, after: Settings, kept_keys: Collection[str]) -> None:
    """Refuse to send a stored secret to another server than it was entered for.

    Otherwise anybody at an admin's unlocked screen could send it to a server of their own.
    """
    if key := find_misdirected_secret(before, after, kept_keys):
        raise ConfigError(
            "give %(key)s again, or remove it: it would go to another server than the one that it "
            "was given for",
            key=key,
        )


def _write_choices(
    settings: Settings,
    choices: Mapping[str, Any],
    removed: Collection[str],
    *,
    now: datetime,
    actor: str,
) -> tuple[str, ...]:
    """Make the stored rows those of `choices`; return the keys that differ.

    Rows of settings that the file has stay. So does a secret that cannot be decrypted and is not in
    `removed`: a key that is put back decrypts it again.
    """
    old_choices, rows = read_choices(settings), {row.key for row in Chosen.select()}
    new_choices = {key: value for key, value in choices.items() if old_choices.get(key) != value}
    open_keys = EDITABLE.keys() - find_locked_keys(settings)
    old_keys = rows & open_keys & ({*old_choices, *removed} - choices.keys())
    Chosen.delete().where(Chosen.key.in_([*old_keys, *new_choices])).execute()
    cipher = SecretCipher(settings.secret_keys)
    for key, value in new_choices.items():
        is_secret = key in SECRETS
        text = cipher.encrypt(key, value) if is_secret else json.dumps(value)
        Chosen.create(key=key, value=text, at=now, by=actor)
    return tuple(key for key in EDITABLE if key in old_keys or key in new_choices)


def _make_entry(
    proposal: Proposal, changed: tuple[str, ...], *, now: datetime, actor: str
) -> Entry:
    # Evidence is kept for years and cannot be corrected, so it gets no value that identifies a
    # person or lets somebody log in. Of other settings it gets the old and the new value.
    values = {
        key: [
            EDITABLE[key].get_value(settings) for settings in (proposal.before, proposal.settings)
        ]
        for key in changed
        if not (EDITABLE[key].is_personal or EDITABLE[key].is_secret)
    }
    facts = {"keys": list(changed), "values": values}
    return Entry(event="settings_changed", at=now, actor=actor, consent=facts)


# --- Encrypting again. ----------------------------------------------------------------------------


def reseal_secrets(database: Database, secret_keys: Sequence[bytes]) -> int:
    """Encrypt with the newest key all secrets that are not; return how many there were."""
    cipher = SecretCipher(secret_keys)
    resealed = 0
    with database.atomic():
        for row, key, column, name in _iter_secrets():
            value: str = getattr(row, column.name)
            text = (
                None
                if cipher.is_encrypted_with_newest_key(value)
                else cipher.decrypt_stored(name, value)
            )
            if text is not None:
                # Unless somebody has put another in its place meanwhile.
                same = (key == getattr(row, key.name), column == value)
                sealed = {column: cipher.encrypt(name, text)}
                resealed += type(row).update(sealed).where(*same).execute()
    return resealed


def _iter_secrets() -> Iterator[tuple[Table, Any, Any, str]]:
    """Yield each row with a secret, the columns of key and secret, and the name of the secret."""
    for chosen_row in list(Chosen.select().where(Chosen.key.in_(SECRETS))):
        yield chosen_row, Chosen.key, Chosen.value, chosen_row.key
    for user in list(User.select().where(User.totp_secret != "")):
        yield user, User.id, User.totp_secret, make_totp_name(user.id)
    for webhook in list(Webhook.select()):
        yield webhook, Webhook.id, Webhook.secret, make_webhook_name(webhook.id)
