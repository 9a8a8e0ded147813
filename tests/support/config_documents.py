"""Documents of settings to be parsed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repermit.settings import config_file
from repermit.settings.definitions import Settings

FOLDER = Path("/srv/repermit")
KEY = "0123456789abcdef"


def make_document(**overrides: Any) -> dict[str, Any]:
    """Return a document with what must be there; None leaves a key out."""
    document = {
        "public_url": "https://ask.example.org",
        "secret_keys": [KEY],
        "fingerprint_key": KEY,
        **overrides,
    }
    return {key: value for key, value in document.items() if value is not None}


def parse(**overrides: Any) -> Settings:
    return config_file.parse_config(make_document(**overrides), folder=FOLDER)
