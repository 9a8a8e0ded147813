"""The settings of one installation: reading, checking and writing config.toml.

May import errors only; this module imports the rooms of this package alone. A setting that is not
known is an error that suggests the nearest one.
"""

from repermit.config.assets import LANGUAGES, asset, fresh_config
from repermit.config.checking import public_url
from repermit.config.choosing import (
    check_value,
    choosable_keys,
    compose,
    goes_elsewhere,
    secrets_of,
    settled,
    usual,
    value_of,
)
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
from repermit.config.tables import choices_of, kind_of

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
    "check_value",
    "choices_of",
    "choosable_keys",
    "compose",
    "fresh_config",
    "goes_elsewhere",
    "kind_of",
    "known_keys",
    "load",
    "parse",
    "public_url",
    "secret_names",
    "secrets_of",
    "settled",
    "usual",
    "value_of",
]
