"""Documents of settings to be parsed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from repermit import config

if TYPE_CHECKING:
    from repermit.config import Settings

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
    return config.parse(make_document(**overrides), folder=FOLDER)
