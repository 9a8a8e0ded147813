"""The mail accounts that people have: what is known of each provider, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from repermit import package_files
from repermit.i18n.lazy_text import N_


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a provider's accounts have in common; the fields are those of `[mail]`.

    An empty `server` is one that only the customer knows. Rates: 0 is none.
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
        """Return what it says under `[mail]`."""
        return {key: value for key, value in asdict(self).items() if value}


@dataclass(frozen=True, kw_only=True)
class Provider:
    """What a provider publishes for its customers; all empty where nothing is known.

    - `provider`: its name.
    - `spf_includes`: what a customer's SPF record has to include; the first is the one to add.
    - `dkim_selectors`: the names under which it publishes its customers' keys.
    """

    provider: str = ""
    spf_includes: Sequence[str] = ()
    dkim_selectors: Sequence[str] = ()


_DATA = package_files.load_data("smtp_presets.toml")


def _select_fields(values: Mapping[str, Any], kind: type[Preset | Provider]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


PRESETS = {name: Preset(**_select_fields(values, Preset)) for name, values in _DATA.items()}
"""What is known of each provider's accounts, by the name that `[mail] preset` takes."""

_PROVIDERS = {name: Provider(**_select_fields(values, Provider)) for name, values in _DATA.items()}


def find_provider(preset: str) -> Provider:
    """Return what the provider of a preset publishes; nothing for one that is not known."""
    return _PROVIDERS.get(preset, Provider())


_PANELS = {"cpanel": "cPanel", "plesk": "Plesk", "directadmin": "DirectAdmin"}


def name_provider(preset: str) -> str:
    """Return what a sentence calls the provider of a preset, or the panel of an unnamed host."""
    return find_provider(preset).provider or _PANELS.get(preset, preset)


PRESET_LABELS = {
    "": N_("Another one"),
    "office365": N_("Microsoft 365"),
    "gmail": N_("Gmail"),
    "google-workspace": N_("Google Workspace"),
    "google-relay": N_("Google Workspace, through its relay"),
    "transip": "TransIP",
    "hostnet": "Hostnet",
    "strato": "Strato",
    "ionos": "IONOS",
    "one.com": "one.com",
    "ovh": "OVH",
    "hetzner": "Hetzner",
    "domainfactory": "DomainFactory",
    "gandi": "Gandi",
    "infomaniak": "Infomaniak",
    "hostinger": "Hostinger",
    "cpanel": N_("A host with cPanel"),
    "plesk": N_("A host with Plesk"),
    "directadmin": N_("A host with DirectAdmin"),
}
"""What a form calls them, in its order; a provider's name is the same in every language."""
