"""Changing what is chosen: everything or nothing, with its evidence, secrets under their seal."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from repermit.db.connection import Database
from repermit.db.setting_tables import Chosen
from repermit.errors import ChangedMeanwhile, ChoiceRefused, ConfigError
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.setting_overrides.current_settings import VERSION, chosen, renew, take_turn, version
from repermit.setting_overrides.seal_secrets import Seal
from repermit.settings import config_file, editable_settings
from repermit.settings.definitions import Settings

# Evidence is kept for years and cannot be mended: nothing stands in it that leads to a person, or
# with which somebody could log in. Of all others it has what was and what is.
_WITHOUT_VALUES = frozenset(
    {
        *config_file.secret_names(),
        *(f"organisation.{name}" for name in ("address", "email", "telephone", "officer")),
        *(
            f"{table}.{name}"
            for table in ("mail", "bounces")
            for name in ("username", "oauth_tenant", "oauth_client_id")
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Typed:
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
class Kept:
    """What is now; `changed` names the settings that were not so before."""

    settings: Settings
    changed: tuple[str, ...]


def propose(settings: Settings, typed: Typed) -> Proposal:
    """Say what the settings would be with what was typed; nothing is kept.

    `settings` are the file's, and what it settles stays. A value that is usual is not kept, so that
    it follows the preset. Raises ChoiceRefused with all that speaks against it.
    """
    before = chosen(settings)
    _refuse_single(typed)
    after = _after(settings, before, typed)
    try:
        proposed = editable_settings.compose(settings, after)
        at_present = _compose_or_file(settings, before)
        _refuse_elsewhere(at_present, proposed, typed, after)
    except ConfigError as error:
        raise ChoiceRefused((error,)) from None
    return Proposal(before=at_present, settings=proposed, chosen=after)


def keep(
    database: Database,
    settings: Settings,
    typed: Typed,
    *,
    since: str,
    now: datetime,
    actor: str,
) -> Kept:
    """Keep what was typed, if all of it makes sense; otherwise nothing.

    `settings` are the file's, and `since` is the version that the page was made of. Raises
    ChoiceRefused, and Overtaken.
    """
    with database.atomic():
        take_turn(VERSION)
        if version() != since:
            raise ChangedMeanwhile("somebody else has changed the settings meanwhile")
        proposal = propose(settings, typed)
        changed = _write(settings, proposal.chosen, typed.removed, now=now, actor=actor)
        if changed:
            renew(VERSION)
            chain.append(_entry(proposal, changed, now=now, actor=actor))
    return Kept(settings=proposal.settings, changed=changed)


def kept_secrets(settings: Settings) -> dict[str, tuple[datetime, str, bool]]:
    """Return of each secret that is kept since when, by whom, and whether it can be opened."""
    seal = Seal(settings.secret_keys)
    return {
        row.key: (row.at, row.by, seal.open(row.key, row.value) is not None)
        for row in Chosen.select().where(Chosen.key.in_(config_file.secret_names()))
    }


def _refuse_single(typed: Typed) -> None:
    errors = []
    for key, value in {**typed.values, **typed.secrets}.items():
        try:
            editable_settings.check_value(key, value)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ChoiceRefused(tuple(errors))


def _after(settings: Settings, before: Mapping[str, Any], typed: Typed) -> dict[str, Any]:
    said = {**before, **typed.values, **typed.secrets}
    own = editable_settings.settled(settings)
    known = [key for key in editable_settings.choosable_keys() if key in said]
    usual = editable_settings.usual(settings, said)
    return {
        key: said[key]
        for key in known
        if key not in own and key not in typed.removed and said[key] != usual[key]
    }


def _compose_or_file(settings: Settings, choices: Mapping[str, Any]) -> Settings:
    """Return what holds; where it does not go with the file any more, the file by itself."""
    try:
        return editable_settings.compose(settings, choices)
    except ConfigError:
        return settings


def _refuse_elsewhere(
    before: Settings, after: Settings, typed: Typed, choices: Mapping[str, Any]
) -> None:
    """Refuse to show a kept secret to a server that it was not given for.

    Whoever sits down at an admin's open screen could otherwise send it to a server of their own.
    """
    for table in ("mail", "bounces"):
        stays = [
            key
            for key in editable_settings.secrets_of(table)
            if key in choices and key not in typed.secrets
        ]
        if stays and editable_settings.goes_elsewhere(table, before, after):
            raise ConfigError(
                "give %(key)s again: it would go to another server", key=stays[0], code="again"
            )


def _write(
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
    before, rows = chosen(settings), {row.key for row in Chosen.select()}
    new = {key: value for key, value in choices.items() if before.get(key) != value}
    open_keys = set(editable_settings.choosable_keys()) - editable_settings.settled(settings)
    old = rows & open_keys & ({*before, *removed} - choices.keys())
    Chosen.delete().where(Chosen.key.in_([*old, *new])).execute()
    seal = Seal(settings.secret_keys)
    for key, value in new.items():
        is_secret = key in config_file.secret_names()
        text = seal.close(key, value) if is_secret else json.dumps(value)
        Chosen.create(key=key, value=text, at=now, by=actor)
    return tuple(key for key in editable_settings.choosable_keys() if key in old or key in new)


def _entry(proposal: Proposal, changed: tuple[str, ...], *, now: datetime, actor: str) -> Entry:
    values = {
        key: [editable_settings.value_of(one, key) for one in (proposal.before, proposal.settings)]
        for key in changed
        if key not in _WITHOUT_VALUES
    }
    facts = {"keys": list(changed), "values": values}
    return Entry(event="settings_changed", at=now, actor=actor, consent=facts)
