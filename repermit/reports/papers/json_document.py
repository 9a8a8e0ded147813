"""The facts of a paper as one JSON document.

Keys are the names of the facts' fields; moments are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from repermit.db.tables import stored


def as_document(value: Any) -> Any:
    """Return a value in JSON's own types: frozen facts, mappings, tuples, moments and words."""
    if is_dataclass(value):
        return {one.name: as_document(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_document(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [as_document(one) for one in value]
    if isinstance(value, datetime):
        return stored(value)
    return str(value) if isinstance(value, StrEnum) else value
