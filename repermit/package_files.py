"""What comes with the package: templates, static files, the example of the settings, languages."""

from __future__ import annotations

import json
import secrets
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_EXAMPLE_URL = 'public_url = "https://ask.example.org"'

_PACKAGE = Path(__file__).parent

LANGUAGES = (
    "nl", "en", "de", "fr", "bg", "cs", "da", "el", "es", "et", "fi", "ga", "hr", "hu", "it", "lt",
    "lv", "mt", "pl", "pt", "ro", "sk", "sl", "sv",
)  # fmt: skip
"""Languages of mails and public pages that are in use (ISO 639-1); each has a catalogue.

The official languages of the European Union (Regulation No 1 of 1958, art. 1, as amended).
"""


def asset(name: str) -> Path:
    """Return where `templates`, `static` or `config.example.toml` is, in a wheel or a checkout."""
    packaged = _PACKAGE / name
    return packaged if packaged.exists() else _PACKAGE.parent / name


def data(name: str) -> dict[str, Any]:
    """Return a file of `repermit/data`, words and values that no code decides on."""
    text = (_PACKAGE / "data" / name).read_text("utf-8")
    found: dict[str, Any] = json.loads(text) if name.endswith(".json") else tomllib.loads(text)
    return found


@cache
def newsletter_tool(name: str) -> dict[str, Any]:
    """Return what is known of a newsletter tool: its exports, its imports and their steps."""
    return data(f"newsletter_tools/{name}.toml")


def fresh_config(example: str, public_url: str = "") -> str:
    """Return `example` (the text of config.example.toml) with new random keys filled in.

    And with `public_url`, if it is known already; it must be one that the settings take.
    """
    with_keys = example.replace(
        'secret_keys = ["CHANGE-ME"]', f'secret_keys = ["{secrets.token_urlsafe(32)}"]'
    )
    for name in ("fingerprint_key", "evidence_key"):
        with_keys = with_keys.replace(
            f'{name} = "CHANGE-ME"', f'{name} = "{secrets.token_urlsafe(32)}"'
        )
    if not public_url:
        return with_keys
    # A basic string of JSON's is one of TOML's.
    return with_keys.replace(_EXAMPLE_URL, f"public_url = {json.dumps(public_url)}")
