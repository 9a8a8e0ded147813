"""What comes with the package: templates, static files, the example of the settings, languages.

Imports nothing of repermit.
"""

from __future__ import annotations

import secrets
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent

LANGUAGES = ("nl", "en", "de", "fr")
"""Languages of mails and public pages for which a catalogue exists (ISO 639-1)."""


def asset(name: str) -> Path:
    """Return where `templates`, `static` or `config.example.toml` is, in a wheel or a checkout."""
    packaged = _PACKAGE / name
    return packaged if packaged.exists() else _PACKAGE.parent / name


def fresh_config(example: str) -> str:
    """Return `example` (the text of config.example.toml) with new random keys filled in."""
    return example.replace(
        'secret_keys = ["CHANGE-ME"]', f'secret_keys = ["{secrets.token_urlsafe(32)}"]'
    ).replace('fingerprint_key = "CHANGE-ME"', f'fingerprint_key = "{secrets.token_urlsafe(32)}"')
