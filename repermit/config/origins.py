"""Where the value of each setting comes from, so that whoever reads it knows where to change it.

May import nothing of repermit.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Origin(StrEnum):
    """Where a value comes from; `USUAL` is what goes with the preset or protocol that was chosen.

    `CHOSEN` is from the admin's pages, kept in the database.

    A setting that is not known to come from elsewhere has its default.
    """

    CONFIG = "config"
    FILE = "file"
    CHOSEN = "chosen"
    USUAL = "usual"
    DEFAULT = "default"


def origins(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Origin]:
    """Return the origin of every key that has not its default, dotted.

    `document` is config.toml as it stands, `values` what it came to with files and presets.
    """
    written = dict(flat(document))
    return {key: _origin(key, written) for key, _ in flat(values)}


def _origin(key: str, written: Mapping[str, Any]) -> Origin:
    if key in written:
        return Origin.CONFIG
    return Origin.FILE if f"{key}_file" in written else Origin.USUAL


def flat(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the settings of a document with dotted names."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += [(f"{name}.{key}", one) for key, one in value.items()]
        else:
            found.append((name, value))
    return found
