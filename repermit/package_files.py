"""What comes with the package: templates, static files, the example of the settings, languages."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

_EXAMPLE_URL = 'public_url = "https://ask.example.org"'

_PACKAGE = Path(__file__).parent

LANGUAGE_NAMES = {
    "nl": "Nederlands",
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "bg": "Български",
    "cs": "Čeština",
    "da": "Dansk",
    "el": "Ελληνικά",
    "es": "Español",
    "et": "Eesti",
    "fi": "Suomi",
    "ga": "Gaeilge",
    "hr": "Hrvatski",
    "hu": "Magyar",
    "it": "Italiano",
    "lt": "Lietuvių",
    "lv": "Latviešu",
    "mt": "Malti",
    "pl": "Polski",
    "pt": "Português",
    "ro": "Română",
    "sk": "Slovenčina",
    "sl": "Slovenščina",
    "sv": "Svenska",
}
"""The own name of each language of mails and public pages, by its code (ISO 639-1).

The official languages of the European Union (Regulation No 1 of 1958, art. 1, as amended). The
Unicode consortium writes the names so, but for the capital; to ask babel, which reads all that it
knows of each language, took a tenth of a second at each start.
"""

LANGUAGES = tuple(LANGUAGE_NAMES)
"""The languages that are in use; each has a catalogue."""


def find_asset(name: str) -> Path:
    """Return where `templates`, `static` or `config.example.toml` is, in a wheel or a checkout."""
    packaged = _PACKAGE / name
    return packaged if packaged.exists() else _PACKAGE.parent / name


def load_data(name: str) -> dict[str, Any]:
    """Return a file of `repermit/data`, words and values that no code decides on."""
    text = (_PACKAGE / "data" / name).read_text("utf-8")
    found: dict[str, Any] = json.loads(text) if name.endswith(".json") else tomllib.loads(text)
    return found


@cache
def embed_style(name: str) -> dict[str, str]:
    """Return the `style` of a page that loads nothing, and its `digest` for that page's CSP.

    CSP 3 §6.7.3.3: the digest is the base64 of the SHA-256 of what stands in the element.
    """
    style = (find_asset("static") / name).read_text("utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {"style": Markup(style), "digest": digest}  # noqa: S704  a file of ours


@cache
def newsletter_tool(name: str) -> dict[str, Any]:
    """Return what is known of a newsletter tool: its exports, its imports and their steps."""
    return load_data(f"newsletter_tools/{name}.toml")


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
