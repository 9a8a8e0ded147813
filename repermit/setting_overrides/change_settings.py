"""Changing what is chosen: everything or nothing, with its evidence, secrets under their seal.

And sealing anew whatever stands in the database under a seal, or should.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.db.models.base import Table
from repermit.db.models.settings import Chosen
from repermit.db.models.webhooks import Webhook
from repermit.errors import ChangedMeanwhile, ChoiceRefused, ConfigError
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
    """What was typed on a page, by dotted keys.

    `secrets` are new ones alone, and `removed` names those that are to go; all others stay.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    removed: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What the settings would be, and what would then be kept as chosen."""

    before: Settings
    settings: Settings
    chosen: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ChangeResult:
    """What is now; `changed` names the settings that were not so before."""

    settings: Settings
    changed: tuple[str, ...]


def propose_settings(settings: Settings, typed: SettingsInput) -> Proposal:
    """Say what the settings would be with what was typed; nothing is kept.

    `settings` are the file's, and what it settles stays. A value that is usual is not kept, so that
    it follows the preset. Raises ChoiceRefused with all that speaks against it.
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
    """Keep what was typed, if all of it makes sense; otherwise nothing.

    `settings` are the file's, and `since` is the version that the page was made of. Raises
    ChoiceRefused, and ChangedMeanwhile.
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
    """Return of each secret that is kept since when, by whom, and whether it can be opened."""
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
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ChoiceRefused(tuple(errors))


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
    """Return what holds; where it does not go with the file any more, the file by itself."""
    try:
        return apply_overrides(settings, choices)
    except ConfigError:
        return settings


def _refuse_misdirected(before: Settings, after: Settings, kept_keys: Collection[str]) -> None:
    """Refuse to show a kept secret to a server that it was not given for.

    Whoever sits down at an admin's open screen could otherwise send it to a server of their own.
    """
    if key := find_misdirected_secret(before, after, kept_keys):
        raise ConfigError(
            "give %(key)s again: it would go to another server", key=key, code="again"
        )


def _write_choices(
    settings: Settings,
    choices: Mapping[str, Any],
    removed: Collection[str],
    *,
    now: datetime,
    actor: str,
) -> tuple[str, ...]:
    """Bring the table to what is chosen; return the keys that differ.

    What the file settles stays as it is, and so does a secret that cannot be opened and was not
    removed: a key that is put back opens it again.
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
    # Evidence is kept for years and cannot be mended: nothing stands in it that leads to a person,
    # or with which somebody could log in. Of all others it has what was and what is.
    values = {
        key: [
            EDITABLE[key].get_value(settings) for settings in (proposal.before, proposal.settings)
        ]
        for key in changed
        if not (EDITABLE[key].is_personal or EDITABLE[key].is_secret)
    }
    facts = {"keys": list(changed), "values": values}
    return Entry(event="settings_changed", at=now, actor=actor, consent=facts)


# --- Sealing anew. --------------------------------------------------------------------------------


def reseal_secrets(database: Database, secret_keys: Sequence[bytes]) -> int:
    """Seal under the newest key what older ones have sealed, and what nothing has sealed yet.

    Returns how many secrets those were.
    """
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
    """Yield each row with a secret, its key's and its secret's column, and the seal's name."""
    for chosen_row in list(Chosen.select().where(Chosen.key.in_(SECRETS))):
        yield chosen_row, Chosen.key, Chosen.value, chosen_row.key
    for user in list(User.select().where(User.totp_secret != "")):
        yield user, User.id, User.totp_secret, make_totp_name(user.id)
    for webhook in list(Webhook.select()):
        yield webhook, Webhook.id, Webhook.secret, make_webhook_name(webhook.id)
