"""What is told of the chain, and what it takes in: entries, checkpoints.

May import nothing of this room but its leaves.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from repermit.evidence.leaves import is_hash

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry to append.

    `list` is the slug; `actor` is "person", "reader" (of the mail to an address, who is not the
    person meant), "job", or who acted. The parts are what JSON can hold; an empty part is not
    written.
    """

    event: str
    at: datetime
    actor: str
    list: str = ""
    campaign: int = 0
    subject: str = ""
    consent: Mapping[str, Any] = field(default_factory=dict)
    person: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """What fixes the whole chain up to an entry; kept elsewhere, it shows a cut or rewritten tail.

    `seq` is the entry's number, which is how many there are; `hash` is its hash, and `root` that of
    the RFC 9162 Merkle tree over all leaves up to it, both in hex.
    """

    seq: int
    hash: str
    root: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Any) -> Checkpoint:
        """Read it from such a document, or from one that holds it under the key `checkpoint`.

        Raises ValueError.
        """
        found = document.get("checkpoint", document) if isinstance(document, dict) else None
        if not isinstance(found, dict) or not _is_checkpoint(found):
            raise ValueError("there is no checkpoint in it: seq, hash and root")
        return cls(seq=found["seq"], hash=found["hash"], root=found["root"])


def _is_checkpoint(found: Mapping[str, Any]) -> bool:
    seq = found.get("seq")
    hashes = (found.get("hash"), found.get("root"))
    return type(seq) is int and seq >= 0 and all(map(is_hash, hashes))
