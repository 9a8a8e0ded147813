"""Where the value of each setting comes from, so that whoever reads it knows where to change it.

May import nothing of repermit.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Origin(StrEnum):
    """Where a value comes from; `USUAL` is what goes with the preset or protocol that was chosen.

    A setting that is not known to come from elsewhere has its default.
    """

    CONFIG = "config"
    FILE = "file"
    USUAL = "usual"
    DEFAULT = "default"


def origins(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Origin]:
    """Return the origin of every key that has not its default, dotted.

    `document` is config.toml as it stands, `values` what it came to with files and presets.
    """
    written = dict(_flat(document))
    return {key: _origin(key, written) for key, _ in _flat(values)}


def _origin(key: str, written: Mapping[str, Any]) -> Origin:
    if key in written:
        return Origin.CONFIG
    return Origin.FILE if f"{key}_file" in written else Origin.USUAL


def _flat(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat += [(f"{name}.{key}", one) for key, one in value.items()]
        else:
            flat.append((name, value))
    return flat
