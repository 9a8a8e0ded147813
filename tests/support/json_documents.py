"""What tests of changed JSON documents need: where values stand, and what a change says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from repermit.evidence.entries import encode_canonical_json


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where each value of a document stands: what holds it, and its name or number there."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def says_the_same(octets: bytes, changed: bytes) -> bool:
    """Return whether a change was of no consequence: only blanks between what is said."""
    try:
        return encode_canonical_json(json.loads(octets)) == encode_canonical_json(
            json.loads(changed)
        )
    except ValueError:
        return False
