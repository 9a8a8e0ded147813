"""Settings in the page's language: their values, and the form in which they are changed."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from repermit.errors import ConfigError
from repermit.setting_overrides import change_settings
from repermit.setting_overrides.change_settings import SettingsInput
from repermit.settings.definitions import SETTINGS, Origin, Settings, list_sections
from repermit.settings.editable_settings import EDITABLE, find_effective_defaults, find_locked_keys
from repermit.settings.setting_type import Section, Setting
from repermit.settings.smtp_presets import Preset
from repermit.web.admin.audit_log import describe_actor, list_emails
from repermit.web.admin.rendering import gettext
from repermit.web.admin.result_text import format_value, make_sentence

# The prefix of a secret's key in the name of the checkbox that removes it.
_REMOVE = "remove."
_NUMBER = re.compile(r"-?\d{1,9}")


def describe_value(setting: Setting, value: Any) -> str:
    """Return a value as text; for a secret only whether it is set."""
    if setting.is_secret:
        return gettext("set; not shown") if value else ""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if value in setting.choices:
        return gettext(setting.choices[value])
    if isinstance(value, tuple):
        return ", ".join(value)
    # Settings that were not read from a file may have no journal.
    text = "" if value is None else str(value)
    return _hide_password(text) if setting.key == "database" else text


def _hide_password(url: str) -> str:
    """Return the URL of the database without user, password and query."""
    parts = urlsplit(url)
    if not parts.netloc:  # Reassembled, it would lose slashes.
        return url.partition("?")[0]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


# --- The form of a page. --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class KeptSecret:
    """The state of a secret that is stored in the database; `opens`: its key is available."""

    at: datetime
    who: str
    opens: bool


@dataclass(frozen=True, kw_only=True)
class SettingsForm:
    """The form of a page of settings.

    - `settings`: the settings in force.
    - `file`: those of config.toml alone.
    - `texts`: the texts of the fields by setting key.
    - `errors`: what was refused.
    """

    page: str
    settings: Settings
    file: Settings
    texts: Mapping[str, str]
    errors: tuple[ConfigError, ...] = ()

    @cached_property
    def sections(self) -> dict[Section, list[Setting]]:
        """Return the settings by section; without the mail preset, which has its own form."""
        page_sections = list_sections(self.page).items()
        return {
            section: settings
            for section, settings in page_sections
            if settings[0].key != "mail.preset"
        }

    @cached_property
    def locked(self) -> frozenset[str]:
        """Return the keys that config.toml sets, and the page cannot change."""
        return find_locked_keys(self.file)

    @cached_property
    def kept_secrets(self) -> dict[str, KeptSecret]:
        """Return the stored secrets that may be changed here, by key."""
        emails = list_emails()
        return {
            key: KeptSecret(at=stored_at, who=describe_actor(actor, emails), opens=opens)
            for key, (stored_at, actor, opens) in change_settings.list_secrets(self.file).items()
            if key not in self.locked
        }

    @property
    def can_change(self) -> bool:
        """Return whether any setting of the page may be changed."""
        return any(
            setting.key not in self.locked
            for settings in self.sections.values()
            for setting in settings
        )

    @property
    def errors_here(self) -> list[tuple[Setting, str]]:
        """Return the settings of the page that have errors, with the errors."""
        settings = [EDITABLE[key] for key in list_keys(self.page)]
        return [(setting, error) for setting in settings if (error := self.error_at(setting))]

    @property
    def errors_elsewhere(self) -> list[str]:
        """Return the errors that belong to no field of this page."""
        return [
            f"{gettext(SETTINGS[error.key].label)}: {_describe_error(error)}"
            for error in self.errors
            if error.key not in self.texts
        ]

    def error_at(self, setting: Setting) -> str:
        """Return the error of a setting, "" if there is none."""
        return " ".join(_describe_error(error) for error in self.errors if error.key == setting.key)

    def is_open(self, settings: Iterable[Setting]) -> bool:
        """Return whether a section is expanded: a setting is chosen, a secret, or has an error."""
        return any(
            self.settings.origins.get(setting.key) is Origin.CHOSEN
            or setting.key in self.kept_secrets
            or self.error_at(setting)
            for setting in settings
        )

    def value(self, setting: Setting) -> str:
        """Return a setting's present value as text."""
        return describe_value(setting, setting.get_value(self.settings))

    def other_default(self, setting: Setting) -> str:
        """Return the default of a setting, "" if it has none or if the field has it already."""
        if setting.kind in {"choice", "timezone"}:
            return ""
        default = str(self._defaults[setting.key])
        return default if default != self.texts[setting.key] else ""

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return find_effective_defaults(self.file, _read_choices(self.texts))

    def options(self, setting: Setting) -> list[tuple[str, str]]:
        """Return the choices of a setting, each as value and title."""
        if setting.kind == "timezone":
            return [(zone, zone.replace("_", " ")) for zone in _list_zones(self.texts[setting.key])]
        return [(value, gettext(title)) for value, title in setting.choices.items()]


def _describe_error(error: ConfigError) -> str:
    """Return an error as a sentence beside its field: its setting is "this" there."""
    return make_sentence(
        error.said.render(
            gettext, lambda value: gettext("this") if value == error.key else format_value(value)
        )
    )


def _list_zones(current: str) -> list[str]:
    zones = (zone for zone in zoneinfo.available_timezones() if "/" in zone)
    excluded_prefixes = ("Etc/", "SystemV/", "posix/", "right/")
    return sorted({current, *(zone for zone in zones if not zone.startswith(excluded_prefixes))})


def list_keys(page: str) -> list[str]:
    """Return the keys of a page's settings, in the order of the page."""
    return [setting.key for settings in list_sections(page).values() for setting in settings]


def make_form(
    page: str, settings: Settings, file: Settings, preset: str | None = None
) -> SettingsForm:
    """Return the form with the present values, or with those that a preset fills in."""
    texts = {key: str(EDITABLE[key].get_value(settings)) for key in list_keys(page)}
    locked = find_locked_keys(file)
    if preset is not None and "mail.preset" not in locked:
        defaults = find_effective_defaults(file, {"mail.preset": preset})
        filled = {key: str(defaults[key]) for key in _PRESET_KEYS if key not in locked}
        texts.update({**filled, "mail.preset": preset})
    return SettingsForm(page=page, settings=settings, file=file, texts=texts)


_PRESET_KEYS = tuple(f"mail.{preset_field.name}" for preset_field in fields(Preset))


def fill_form(form: SettingsForm, typed: Mapping[str, str]) -> SettingsForm:
    """Return the form with the typed texts, without secrets and unknown choices."""
    texts = {
        key: typed[key]
        for key in list_keys(form.page)
        if key in typed
        and key not in form.locked
        and not EDITABLE[key].is_secret
        and (not EDITABLE[key].choices or typed[key] in EDITABLE[key].choices)
    }
    return replace(form, texts={**form.texts, **texts})


def read_form(page: str, form_data: Mapping[str, str], file: Settings) -> SettingsInput:
    """Return the typed values of a page; an empty field means the default."""
    locked = find_locked_keys(file)
    typed = {
        key: form_data[key] for key in list_keys(page) if key in form_data and key not in locked
    }
    defaults = find_effective_defaults(file, _read_choices(typed))
    secrets = {key: text for key, text in typed.items() if EDITABLE[key].is_secret}
    return SettingsInput(
        values={
            key: _parse_value(key, text, defaults)
            for key, text in typed.items()
            if key not in secrets
        },
        secrets={key: text for key, text in secrets.items() if text},
        removed=frozenset(key for key in typed if _REMOVE + key in form_data),
    )


def _read_choices(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the typed values of choices, on which other settings' defaults depend."""
    return {key: text for key, text in texts.items() if EDITABLE[key].choices}


def _parse_value(key: str, text: str, defaults: Mapping[str, Any]) -> Any:
    """Parse a field's text; text in place of a number stays text, and is refused later."""
    tidy = "\n".join(line.strip() for line in text.strip().splitlines())
    if not tidy:
        return defaults[key]
    return int(tidy) if EDITABLE[key].type is int and _NUMBER.fullmatch(tidy) else tidy
