"""The fields of a page of settings: what stands in them, where it comes from, what is wrong."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.errors import ConfigError
from repermit.setting_overrides import change_settings
from repermit.setting_overrides.change_settings import Typed
from repermit.settings import config_file, editable_settings, toml_tables
from repermit.settings.definitions import Origin, Settings
from repermit.web.admin.log_text import actor_in_words, emails
from repermit.web.admin.rendering import day_in_words, gettext
from repermit.web.admin.result_text import sentence
from repermit.web.admin.setting_groups import GROUPS, HINTS, Section
from repermit.web.admin.setting_text import OPTIONS, in_words, title_of

REMOVE = "remove."
"""Stands before a secret's key in the name of the box that removes it."""

_NUMBER = re.compile(r"-?\d{1,9}")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting as a form shows it; of one that the file settles, its `source` in words.

    `kind` is text, lines, number, choice or secret. What is kept of a secret is told, never shown.
    """

    key: str
    title: str
    hint: str
    kind: str
    text: str
    options: tuple[tuple[str, str], ...] = ()
    error: str = ""
    source: str = ""
    kept: str = ""

    @property
    def id(self) -> str:
        """Return what the label and the errors name it by."""
        return self.key.replace(".", "-")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section with its fields; a folded one is open if somebody has to see what is in it."""

    title: str
    hint: str
    fields: tuple[Field, ...]
    is_folded: bool
    is_open: bool


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What stands in a form: `texts` by keys, what was refused, and the settings beneath."""

    settings: Settings
    file: Settings
    texts: Mapping[str, str]
    errors: tuple[ConfigError, ...] = ()


def keys_of(group: str) -> tuple[str, ...]:
    """Return the keys of a page, dotted."""
    sections = tuple(key for section in GROUPS[group] for key in section.keys)
    return ("mail.preset", *sections) if group == "mail" else sections


def as_it_is(group: str, settings: Settings, file: Settings, preset: str | None = None) -> Filled:
    """Return the form with what holds now, or with what a preset would fill in."""
    texts = {key: _text(editable_settings.value_of(settings, key)) for key in keys_of(group)}
    own = editable_settings.settled(file)
    if preset is not None and "mail.preset" not in own:
        with_it = editable_settings.usual(file, {"mail.preset": preset})
        filled = {key: _text(with_it[key]) for key in _OF_A_PRESET if key not in own}
        texts.update({**filled, "mail.preset": preset})
    return Filled(settings=settings, file=file, texts=texts)


_OF_A_PRESET = tuple(
    f"mail.{name}"
    for name in (
        "server",
        "port",
        "tls",
        "connections",
        "return_path",
        "rate_per_minute",
        "rate_per_hour",
        "rate_per_day",
    )
)


def read_typed(group: str, form: Mapping[str, str], file: Settings) -> Typed:
    """Return what a form says; an empty field stands for what is usual."""
    own, secrets = editable_settings.settled(file), config_file.secret_names()
    keys = [key for key in keys_of(group) if key not in own and key in form]
    usual = editable_settings.usual(file, {key: form[key] for key in keys if key in OPTIONS})
    return Typed(
        values={key: _value(key, form[key], usual) for key in keys if key not in secrets},
        secrets={key: form[key] for key in keys if key in secrets and form[key]},
        removed=frozenset(key for key in keys if REMOVE + key in form),
    )


def as_typed(group: str, form: Mapping[str, str], filled: Filled) -> dict[str, str]:
    """Return what was typed, for the form to show again; no secret is."""
    own = {*editable_settings.settled(filled.file), *config_file.secret_names()}
    typed = {key: form[key] for key in keys_of(group) if key in form and key not in own}
    return {**filled.texts, **typed}


def parts_of(group: str, filled: Filled) -> list[Part]:
    """Return the sections of a page."""
    return [_part(section, filled) for section in GROUPS[group]]


def field_of(key: str, filled: Filled) -> Field:
    """Return one setting as the form shows it."""
    is_settled = key in editable_settings.settled(filled.file)
    return Field(
        key=key,
        title=title_of(key),
        hint=" ".join(_hints(key, filled)) if not is_settled else "",
        kind=_kind(key),
        text=_shown(key, filled, is_settled=is_settled),
        options=tuple(_options(key, filled.texts[key])),
        error=" ".join(sentence(one.said) for one in filled.errors if one.key == key),
        source=_source(key, filled) if is_settled else "",
        kept=_kept(key, filled.file)
        if key in config_file.secret_names() and not is_settled
        else "",
    )


def errors_elsewhere(group: str, errors: Iterable[ConfigError]) -> list[str]:
    """Return what speaks against a choice that is about no field of this page."""
    return [
        f"{title_of(one.key)}: {sentence(one.said)}"
        for one in errors
        if one.key not in keys_of(group)
    ]


def _part(section: Section, filled: Filled) -> Part:
    fields = tuple(field_of(key, filled) for key in section.keys)
    needs_a_look = any(one.error or one.kept for one in fields) or any(
        filled.settings.origins.get(key) is Origin.CHOSEN for key in section.keys
    )
    return Part(
        title=gettext(section.title),
        hint=gettext(section.hint) if section.hint else "",
        fields=fields,
        is_folded=section.is_folded,
        is_open=needs_a_look,
    )


def _text(value: Any) -> str:
    return str(value)


def _value(key: str, text: str, usual: Mapping[str, Any]) -> Any:
    """Return what a field's text stands for; what is no number stays text, and is refused."""
    tidy = "\n".join(line.strip() for line in text.strip().splitlines())
    if not tidy:
        return usual[key]
    is_number = key in OPTIONS or key == "timezone" or toml_tables.kind_of(key) is not int
    return tidy if is_number or not _NUMBER.fullmatch(tidy) else int(tidy)


def _kind(key: str) -> str:
    if key in config_file.secret_names():
        return "secret"
    if key in OPTIONS or key == "timezone":
        return "choice"
    if key == "organisation.address":
        return "lines"
    return "number" if toml_tables.kind_of(key) is int else "text"


def _shown(key: str, filled: Filled, *, is_settled: bool) -> str:
    if is_settled:
        return in_words(key, editable_settings.value_of(filled.settings, key))
    return "" if key in config_file.secret_names() else filled.texts[key]


def _options(key: str, at_present: str) -> Iterator[tuple[str, str]]:
    if key == "timezone":
        yield from ((zone, zone.replace("_", " ")) for zone in _zones(at_present))
    for value, title in OPTIONS.get(key, {}).items():
        yield value, gettext(title)


def _zones(at_present: str) -> list[str]:
    places = (zone for zone in zoneinfo.available_timezones() if "/" in zone)
    others = ("Etc/", "SystemV/", "posix/", "right/")
    return sorted({at_present, *(zone for zone in places if not zone.startswith(others))})


def _hints(key: str, filled: Filled) -> Iterator[str]:
    if key in HINTS:
        yield gettext(HINTS[key])
    selecting = {name: filled.texts[name] for name in OPTIONS if name in filled.texts}
    usual = editable_settings.usual(filled.file, selecting)[key]
    has_usual = key not in OPTIONS and key != "timezone" and usual != ""
    if has_usual and filled.texts[key] != _text(usual):
        yield gettext("Usual: %(value)s.", value=usual)


def _source(key: str, filled: Filled) -> str:
    """Return where a setting that cannot be chosen here is to be changed."""
    origin = filled.settings.origins.get(key)
    if origin is Origin.CONFIG or (origin is None and filled.file.given is None):
        return gettext("Stands in config.toml as %(key)s, and is changed there.", key=key)
    if origin is Origin.FILE:
        return gettext("Stands in a file of its own, which %(key)s names.", key=f"{key}_file")
    return gettext(
        "Is chosen in config.toml alone, as %(key)s, since the account’s secret stands there.",
        key=key,
    )


def _kept(key: str, file: Settings) -> str:
    """Return what is told of a secret that is kept; "" if there is none."""
    kept = change_settings.kept_secrets(file).get(key)
    return _kept_in_words(*kept) if kept else ""


def _kept_in_words(at: datetime, by: str, opens: bool) -> str:  # noqa: FBT001  as it is kept
    values = {"day": day_in_words(at), "who": actor_in_words(by, emails())}
    if opens:
        return gettext("Set on %(day)s by %(who)s; it is not shown.", **values)
    return gettext(
        "Set on %(day)s by %(who)s, but the key that it was kept under is gone from secret_keys: "
        "give it again.",
        **values,
    )
