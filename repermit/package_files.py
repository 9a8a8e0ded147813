"""Finding and reading the package's files: templates, static files, data and example settings."""

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


def find_asset(name: str) -> Path:
    """Return the path of a file or folder, such as `templates`, in a wheel or a checkout."""
    packaged = _PACKAGE / name
    return packaged if packaged.exists() else _PACKAGE.parent / name


def load_data(name: str) -> dict[str, Any]:
    """Return the content of a JSON or TOML file in `repermit/data`."""
    text = (_PACKAGE / "data" / name).read_text("utf-8")
    data: dict[str, Any] = json.loads(text) if name.endswith(".json") else tomllib.loads(text)
    return data


LANGUAGE_NAMES: dict[str, str] = load_data("languages.toml")["names"]
"""The native names of the languages of mails and public pages, by code (ISO 639-1).

Asking babel for them took a tenth of a second at each start.
"""

LANGUAGES = tuple(LANGUAGE_NAMES)
"""The codes of these languages; each has a catalogue."""


@cache
def embed_style(name: str) -> dict[str, str]:
    """Return the `style` to embed in a page that loads nothing, and its `digest` for the CSP.

    The digest is the base64 of the SHA-256 of the element's content (CSP 3 §6.7.3.3).
    """
    style = (find_asset("static") / name).read_text("utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {"style": Markup(style), "digest": digest}  # noqa: S704  a file of ours


@cache
def load_newsletter_tool(name: str) -> dict[str, Any]:
    """Return the data of a newsletter tool: its exports, its imports and their steps."""
    return load_data(f"newsletter_tools/{name}.toml")


def make_fresh_config(example: str, public_url: str = "") -> str:
    """Return `example` (the text of config.example.toml) with new random keys.

    - `public_url`: filled in, too, if given; it must be valid for the settings.
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
    # A JSON string is a valid TOML basic string.
    return with_keys.replace(_EXAMPLE_URL, f"public_url = {json.dumps(public_url)}")
