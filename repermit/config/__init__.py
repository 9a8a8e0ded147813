"""The settings of one installation: reading, checking and writing config.toml.

May import errors only; this module imports the rooms of this package alone. A setting that is not
known is an error that suggests the nearest one.
"""

from repermit.config.assets import LANGUAGES, asset, fresh_config
from repermit.config.origins import Origin
from repermit.config.presets import PRESETS, Preset
from repermit.config.reading import known_keys, load, parse, secret_names
from repermit.config.settings import (
    Bounces,
    CampaignRules,
    MailServer,
    Organisation,
    Retention,
    Settings,
    Web,
)

__all__ = [
    "LANGUAGES",
    "PRESETS",
    "Bounces",
    "CampaignRules",
    "MailServer",
    "Organisation",
    "Origin",
    "Preset",
    "Retention",
    "Settings",
    "Web",
    "asset",
    "fresh_config",
    "known_keys",
    "load",
    "parse",
    "secret_names",
]
