"""The published field lists of consent records and receipts, as JSON Schemas to hold ours to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

_SCHEMAS = {
    name: json.loads(
        (Path(__file__).parents[1] / "data/schemas" / f"{name}.json").read_text("utf-8")
    )
    for name in ("consent-record", "consent-receipt")
}
_REGISTRY = jsonschema_rs.Registry([(one["$id"], one) for one in _SCHEMAS.values()])


def problems_of(document: dict[str, Any], kind: str) -> list[str]:
    """Return what a document lacks to be of this kind: `consent-record` or `consent-receipt`."""
    validator = jsonschema_rs.Draft202012Validator(
        _SCHEMAS[kind], registry=_REGISTRY, validate_formats=True
    )
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(document)]
