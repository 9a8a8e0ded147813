"""The settings that admins choose on the pages: kept in the database, beneath what the file says.

May import evidence, models, config and what lies below. Every process sees a change without being
started again: `Present` looks at one small row, and composes the settings anew once it differs.
"""

from repermit.choices.keeping import (
    Kept,
    Proposal,
    Typed,
    keep,
    kept_secrets,
    propose,
)
from repermit.choices.presenting import Present, Watch, present, version
from repermit.choices.sealing import Seal, reseal

__all__ = [
    "Kept",
    "Present",
    "Proposal",
    "Seal",
    "Typed",
    "Watch",
    "keep",
    "kept_secrets",
    "present",
    "propose",
    "reseal",
    "version",
]
