"""Settings in the page's language: their values, and the fields of the form on which they stand."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from repermit.errors import ConfigError
from repermit.setting_overrides import change_settings
from repermit.setting_overrides.change_settings import Typed
from repermit.settings.admin_overrides import EDITABLE, locked_keys, usual_values
from repermit.settings.declaration import Section, Setting
from repermit.settings.definitions import PAGES, SETTINGS, Origin, Settings, sections_of
from repermit.settings.smtp_presets import Preset
from repermit.web.admin.log_text import actor_in_words, emails
from repermit.web.admin.rendering import day_in_words, gettext
from repermit.web.admin.result_text import sentence

REMOVE = "remove."
"""Stands before a secret's key in the name of the box that removes it."""

_NUMBER = re.compile(r"-?\d{1,9}")

# --- What a value says. ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FileValue:
    """A setting that config.toml alone may say, as the page of the installation shows it."""

    key: str
    title: str
    text: str
    origin: Origin


def file_values(settings: Settings) -> Iterator[FileValue]:
    """Yield the settings that config.toml alone may say; no secret stands in them."""
    for key, setting in SETTINGS.items():
        if not setting.section:
            title = gettext(setting.label)
            # Two accounts have one.
            if setting.name == "ca_file":
                title = f"{title} ({gettext(PAGES[setting.table])})"
            yield FileValue(
                key=key,
                title=title,
                text=value_in_words(setting, setting.value_in(settings)),
                origin=settings.origins.get(key, Origin.DEFAULT),
            )


def value_in_words(setting: Setting, value: Any) -> str:
    """Return a value as it is shown; of a secret, whether there is one."""
    if setting.is_secret:
        return gettext("set; not shown") if value else ""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if value in setting.choices:
        return gettext(setting.choices[value])
    # Settings that came from no file may name no journal.
    text = "" if value is None else str(value)
    return _without_password(text) if setting.key == "database" else text


def _without_password(url: str) -> str:
    """Return where the database is, without what stands before or behind its name."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


# --- The form of a page. --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting as a form shows it; of one that config.toml settles, its `source` in words.

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
class Form:
    """What stands in the form of a page: `texts` by keys, and what was refused.

    `settings` are those that hold, `file` those of config.toml alone.
    """

    page: str
    settings: Settings
    file: Settings
    texts: Mapping[str, str]
    errors: tuple[ConfigError, ...] = ()

    @cached_property
    def locked(self) -> frozenset[str]:
        """Return the keys that config.toml settles."""
        return locked_keys(self.file)

    @cached_property
    def usual(self) -> Mapping[str, Any]:
        """Return what is usual with what stands in the form."""
        return usual_values(self.file, _choices(self.texts))

    @cached_property
    def kept_secrets(self) -> Mapping[str, tuple[datetime, str, bool]]:
        """Return since when and by whom secrets are kept, and whether they can be opened."""
        return change_settings.kept_secrets(self.file)


def keys_of(page: str) -> list[str]:
    """Return the keys of a page, in the order in which they are shown."""
    return [one.key for settings in sections_of(page).values() for one in settings]


def present_form(page: str, settings: Settings, file: Settings, preset: str | None = None) -> Form:
    """Return the form with what holds now, or with what a preset would fill in."""
    texts = {key: str(EDITABLE[key].value_in(settings)) for key in keys_of(page)}
    locked = locked_keys(file)
    if preset is not None and "mail.preset" not in locked:
        usual = usual_values(file, {"mail.preset": preset})
        filled = {key: str(usual[key]) for key in _PRESET_KEYS if key not in locked}
        texts.update({**filled, "mail.preset": preset})
    return Form(page=page, settings=settings, file=file, texts=texts)


_PRESET_KEYS = tuple(f"mail.{one.name}" for one in fields(Preset))


def fill_in(form: Form, typed: Mapping[str, str]) -> Form:
    """Return a form with what was typed; no secret is shown again."""
    texts = {
        key: typed[key]
        for key in keys_of(form.page)
        if key in typed and key not in form.locked and not EDITABLE[key].is_secret
    }
    return replace(form, texts={**form.texts, **texts})


def read_typed(page: str, form: Mapping[str, str], file: Settings) -> Typed:
    """Return what was typed into a page; an empty field stands for what is usual."""
    locked = locked_keys(file)
    typed = {key: form[key] for key in keys_of(page) if key in form and key not in locked}
    usual = usual_values(file, _choices(typed))
    secrets = {key: text for key, text in typed.items() if EDITABLE[key].is_secret}
    return Typed(
        values={key: _value(key, text, usual) for key, text in typed.items() if key not in secrets},
        secrets={key: text for key, text in secrets.items() if text},
        removed=frozenset(key for key in typed if REMOVE + key in form),
    )


def _choices(texts: Mapping[str, str]) -> dict[str, str]:
    """Return what is chosen among few, by which the usual values of others go."""
    return {key: text for key, text in texts.items() if EDITABLE[key].choices}


def _value(key: str, text: str, usual: Mapping[str, Any]) -> Any:
    """Return what a field's text stands for; what is no number stays text, and is refused."""
    tidy = "\n".join(line.strip() for line in text.strip().splitlines())
    if not tidy:
        return usual[key]
    return int(tidy) if EDITABLE[key].type is int and _NUMBER.fullmatch(tidy) else tidy


def parts_of(form: Form) -> list[Part]:
    """Return the sections of a form; the kind of account has a form of its own."""
    return [
        _part(section, settings, form)
        for section, settings in sections_of(form.page).items()
        if settings != [EDITABLE["mail.preset"]]
    ]


def _part(section: Section, settings: Iterable[Setting], form: Form) -> Part:
    shown = tuple(field_of(one, form) for one in settings)
    origins = {form.settings.origins.get(one.key) for one in shown}
    return Part(
        title=gettext(section.title),
        hint=gettext(section.hint) if section.hint else "",
        fields=shown,
        is_folded=section.is_folded,
        is_open=Origin.CHOSEN in origins or any(one.error or one.kept for one in shown),
    )


def field_of(setting: Setting, form: Form) -> Field:
    """Return one setting as the form shows it."""
    is_locked = setting.key in form.locked
    return Field(
        key=setting.key,
        title=gettext(setting.label),
        hint="" if is_locked else " ".join(_hints(setting, form)),
        kind=_kind(setting),
        text=_text(setting, form, is_locked=is_locked),
        options=tuple(_options(setting, form.texts[setting.key])),
        error=" ".join(sentence(one.said) for one in form.errors if one.key == setting.key),
        source=_source(setting.key, form) if is_locked else "",
        kept="" if is_locked else _kept(setting.key, form),
    )


def errors_elsewhere(form: Form) -> list[str]:
    """Return what speaks against a choice that is about no field of this page."""
    return [
        f"{gettext(SETTINGS[one.key].label)}: {sentence(one.said)}"
        for one in form.errors
        if one.key not in keys_of(form.page)
    ]


def _text(setting: Setting, form: Form, *, is_locked: bool) -> str:
    if is_locked:
        return value_in_words(setting, setting.value_in(form.settings))
    return "" if setting.is_secret else form.texts[setting.key]


def _kind(setting: Setting) -> str:
    if setting.is_secret:
        return "secret"
    return {"timezone": "choice", "url": "text"}.get(setting.kind, setting.kind)


def _options(setting: Setting, at_present: str) -> Iterator[tuple[str, str]]:
    if setting.kind == "timezone":
        yield from ((zone, zone.replace("_", " ")) for zone in _zones(at_present))
    for value, title in setting.choices.items():
        yield value, gettext(title)


def _zones(at_present: str) -> list[str]:
    places = (zone for zone in zoneinfo.available_timezones() if "/" in zone)
    others = ("Etc/", "SystemV/", "posix/", "right/")
    return sorted({at_present, *(zone for zone in places if not zone.startswith(others))})


def _hints(setting: Setting, form: Form) -> Iterator[str]:
    if setting.help:
        yield gettext(setting.help)
    usual = form.usual[setting.key]
    if _kind(setting) != "choice" and usual != "" and form.texts[setting.key] != str(usual):
        yield gettext("Usual: %(value)s.", value=usual)


def _source(key: str, form: Form) -> str:
    """Return where a setting that cannot be chosen here is to be changed."""
    origin = form.settings.origins.get(key)
    if origin is Origin.CONFIG or (origin is None and form.file.given is None):
        return gettext("Stands in config.toml as %(key)s, and is changed there.", key=key)
    if origin is Origin.FILE:
        return gettext("Stands in a file of its own, which %(key)s names.", key=f"{key}_file")
    return gettext(
        "Is chosen in config.toml alone, as %(key)s, since the account’s secret stands there.",
        key=key,
    )


def _kept(key: str, form: Form) -> str:
    """Return what is told of a secret that is kept; "" if there is none."""
    if key not in form.kept_secrets:
        return ""
    at, by, opens = form.kept_secrets[key]
    values = {"day": day_in_words(at), "who": actor_in_words(by, emails())}
    if opens:
        return gettext("Set on %(day)s by %(who)s; it is not shown.", **values)
    return gettext(
        "Set on %(day)s by %(who)s, but the key that it was kept under is gone from secret_keys: "
        "give it again.",
        **values,
    )
