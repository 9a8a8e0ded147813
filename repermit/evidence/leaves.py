"""The one text of an entry and the digests over it: leaf, part, link of the chain. Pure.

May import nothing of repermit. Who checks a proof without repermit does what is written here.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTS = ("consent", "person", "trace")
"""The parts of an entry: what was agreed, who it was, and how the answer reached us."""

NOTHING_BEFORE = "0" * 64
"""What stands for the previous hash in front of the first entry."""


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no escapes beyond need."""
    return _encode(value)


# Made once: json.dumps makes an encoder for each call, which takes longer than the encoding.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_HASH = re.compile(r"[0-9a-f]{64}")


def is_hash(value: object) -> bool:
    """Say whether this is a SHA-256 in hex."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def leaf(row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry's canonical JSON, in hex.

    Its moment may be text already, as SQLite keeps it. Raises TypeError, ValueError or
    AttributeError for what is no entry's.
    """
    at = row["at"]
    if not isinstance(at, str):
        at = at.astimezone(UTC).isoformat(timespec="microseconds")
    # What `canonical` makes of it, which takes three times as long: a million are verified.
    text = (
        f'{{"actor":{_quoted(row["actor"])},"at":{_quoted(at)},"campaign":{row["campaign"]:d},'
        f'"consent":{_quoted(row["consent"])},"event":{_quoted(row["event"])},'
        f'"list":{_quoted(row["list"])},"person":{_quoted(row["person"])},"seq":{row["seq"]:d},'
        f'"subject":{_quoted(row["subject"])},"trace":{_quoted(row["trace"])}}}'
    )
    return hashlib.sha256(text.encode()).hexdigest()


def part_digest(salt: str, text: str) -> str:
    """Return the SHA-256 of a part's salt (16 bytes, given in hex) and JSON, in hex."""
    return hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()


def link(previous: str, its_leaf: str) -> str:
    """Return an entry's hash: SHA-256 of the previous entry's hash and its own leaf, in hex."""
    return hashlib.sha256(bytes.fromhex(previous) + bytes.fromhex(its_leaf)).hexdigest()
