"""Timestamps over checkpoints: owing one, what was kept, and which of them a proof shows."""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from repermit.db.connection import Database
from repermit.db.models.evidence import EvidenceTimestamp
from repermit.errors import Refused
from repermit.evidence import signed_checkpoint
from repermit.evidence.checkpoint_occasions import claim_occasions, find_new_occasions
from repermit.evidence.entries import Checkpoint
from repermit.evidence.signed_checkpoint import read_stamped
from repermit.evidence.stored_tree import MerkleProofs
from repermit.settings.definitions import Settings

# --- When one is owed. ----------------------------------------------------------------------------

_OWED = "timestamp "


def enqueue_timestamps(database: Database, *, settings: Settings, now: datetime) -> bool:
    """Owe a timestamp over the checkpoint of now if occasions have come; say whether any have.

    One serves all that have come at once. Nothing is owed twice, however many processes do this at
    once.
    """
    if not settings.evidence.timestamp_url:
        return False
    new = find_new_occasions(settings, now, prefix=_OWED)
    if not new:
        return False
    with database.atomic():
        claimed = {occasion for occasion, _ in claim_occasions(new, now, prefix=_OWED)}
        # Before one served several, each had a row and no key of `meta`.
        own = EvidenceTimestamp.occasion
        claimed -= {row.occasion for row in EvidenceTimestamp.select(own).where(own << claimed)}
        if not claimed:
            return False
        point = signed_checkpoint.make_signed_checkpoint(settings)
        EvidenceTimestamp.create(
            occasion=min(claimed),
            due_at=now,
            next_at=now,
            seq=point.seq,
            note=signed_checkpoint.note_text(point, settings),
        )
        return True


# --- What was kept. -------------------------------------------------------------------------------


def list_pending() -> list[EvidenceTimestamp]:
    """Return the timestamps that are owed and have not come yet, the oldest first."""
    query = EvidenceTimestamp.select().where(EvidenceTimestamp.reply == "")
    return list(query.order_by(EvidenceTimestamp.id))


def list_received() -> list[EvidenceTimestamp]:
    """Return the timestamps that have come, by the entry of their checkpoint, without texts."""
    model = EvidenceTimestamp
    query = model.select(model.id, model.seq, model.stamped_at).where(model.reply != "")
    return list(query.order_by(model.seq, model.id))


# --- Which of them a proof shows. -----------------------------------------------------------------


class Timestamps:
    """The timestamps that have come, for the proofs under one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, paths: MerkleProofs) -> None:
        self._paths = paths
        # Of several over one checkpoint the first that came.
        self._numbers = {
            row.seq: row.id for row in reversed(list_received()) if row.seq <= checkpoint.seq
        }
        self._seqs = sorted(self._numbers)
        self._show = cache(self._make)

    def of(self, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return, for each entry of a proof, the first timestamp over a checkpoint that has it.

        Each is {"note": the text that is stamped, "path": how the proof's checkpoint goes on from
        that, "reply": the authority's reply (DER) in base64}, by its entry and none twice.
        """
        seqs = find_first_covering(self._seqs, entries)
        return [shown for seq in seqs if (shown := self._show(seq))]

    def _make(self, seq: int) -> dict[str, Any] | None:
        """Return what a proof shows of a timestamp, None if the record does not go on from it."""
        row = EvidenceTimestamp.get_by_id(self._numbers[seq])
        try:
            path = self._paths.from_earlier(read_stamped(row.note))
        except (Refused, ValueError):
            return None
        return {"note": row.note, "path": list(path), "reply": row.reply}


def find_first_covering(seqs: Sequence[int], entries: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return, for each entry, the first of some checkpoints that has it, none twice.

    - `seqs`: the numbers of the checkpoints' last entries, rising.
    """
    places = {bisect_left(seqs, one["entry"]["seq"]) for one in entries}
    return [seqs[place] for place in sorted(places) if place < len(seqs)]


def encode(reply: bytes) -> str:
    """Return an authority's reply as it is kept."""
    return base64.b64encode(reply).decode()


def decode(kept_reply: Any) -> bytes:
    """Return the octets of a reply; raises ValueError for what is no base64."""
    if not isinstance(kept_reply, str):
        raise ValueError("no text")  # noqa: TRY004  as for any other that is no reply
    octets = base64.b64decode(kept_reply, validate=True)
    if encode(octets) != kept_reply:
        raise ValueError("base64 in another form")
    return octets
