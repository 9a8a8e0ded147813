"""Presets for the mail accounts of known providers, and the providers' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from repermit import package_files
from repermit.i18n.lazy_text import N_


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The common settings of a provider's accounts; the fields are those of `[mail]`.

    - `server`: "" if only the customer knows its name.
    - Rates: 0 is no limit.
    """

    server: str
    port: int
    tls: str
    connections: int = 1
    return_path: str = "fixed"
    rate_per_minute: int = 0
    rate_per_hour: int = 0
    rate_per_day: int = 0

    def values(self) -> dict[str, str | int]:
        """Return its settings for `[mail]`, without empty ones."""
        return {key: value for key, value in asdict(self).items() if value}


@dataclass(frozen=True, kw_only=True)
class Provider:
    """The DNS names that a provider publishes for its customers; all empty if nothing is known.

    - `provider`: its name; "" for a host that is known by its `panel` only.
    - `spf_includes`: a customer's SPF record needs one of these domains; the first is to be added.
    - `dkim_selectors`: the selectors of its customers' keys.
    """

    provider: str = ""
    panel: str = ""
    spf_includes: Sequence[str] = ()
    dkim_selectors: Sequence[str] = ()


_DATA = package_files.load_data("smtp_presets.toml")


def _select_fields(values: Mapping[str, Any], kind: type[Preset | Provider]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


PRESETS = {name: Preset(**_select_fields(values, Preset)) for name, values in _DATA.items()}
"""The settings of each provider's accounts, by the name for `[mail] preset`."""

_PROVIDERS = {name: Provider(**_select_fields(values, Provider)) for name, values in _DATA.items()}


def find_provider(preset: str) -> Provider:
    """Return the provider of a preset; an empty one for an unknown preset."""
    return _PROVIDERS.get(preset, Provider())


def name_provider(preset: str) -> str:
    """Return the name for a sentence: the preset's provider, or the panel of an unnamed host."""
    known = find_provider(preset)
    return known.provider or known.panel or preset


PRESET_LABELS = {
    "": N_("Another one"),
    **{name: values.get("label") or values["provider"] for name, values in _DATA.items()},
}
"""The labels of the presets in a form, in its order; a provider's name is not translated."""
