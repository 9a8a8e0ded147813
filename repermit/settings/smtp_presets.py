"""The mail accounts that people have: what is known of each provider, and what it is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repermit import package_files
from repermit.i18n.lazy_text import N_


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a provider's accounts have in common.

    - `server` and what follows it are the keys of `[mail]`. An empty `server` is one that only the
      customer knows; a rate of 0 is none.
    - `spf_includes`: what a customer's SPF record has to include; the first is the one to add.
    - `dkim_selectors`: the names under which the provider publishes its customers' keys.
    """

    provider: str = ""
    spf_includes: Sequence[str] = ()
    dkim_selectors: Sequence[str] = ()

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
        return {
            key: value for key, value in vars(self).items() if value and key not in _NOT_IN_MAIL
        }


_NOT_IN_MAIL = ("provider", "spf_includes", "dkim_selectors")


PRESETS = {
    name: Preset(**values) for name, values in package_files.data("smtp_presets.toml").items()
}
"""What is known of each provider, by the name that `[mail] preset` takes."""

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
