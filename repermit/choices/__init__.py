"""The settings that admins choose on the pages: kept in the database, beneath what the file says.

And the texts of mails and pages that they correct. May import evidence, messages, models, config
and what lies below. Every process sees a change without being started again: `Present` looks at two
small rows, and composes the settings, or puts the texts in use, anew once one of them differs.
"""

from repermit.choices.correcting import correct, corrections_in
from repermit.choices.keeping import (
    Kept,
    Proposal,
    Typed,
    keep,
    kept_secrets,
    propose,
)
from repermit.choices.presenting import Present, Watch, present, version, version_of_texts
from repermit.choices.sealing import Seal, reseal

__all__ = [
    "Kept",
    "Present",
    "Proposal",
    "Seal",
    "Typed",
    "Watch",
    "correct",
    "corrections_in",
    "keep",
    "kept_secrets",
    "present",
    "propose",
    "reseal",
    "version",
    "version_of_texts",
]
