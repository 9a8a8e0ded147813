"""Timestamps over checkpoints: enqueueing one, those stored, and which of them a proof shows."""

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

# --- Enqueueing. ----------------------------------------------------------------------------------

_ENQUEUED_PREFIX = "timestamp "


def enqueue_timestamps(database: Database, *, settings: Settings, now: datetime) -> bool:
    """Enqueue a timestamp over the present checkpoint if there are new occasions; say whether.

    One timestamp serves all new occasions. None is enqueued twice, however many processes run this
    at once.
    """
    if not settings.evidence.timestamp_url:
        return False
    new_occasions = find_new_occasions(settings, now, prefix=_ENQUEUED_PREFIX)
    if not new_occasions:
        return False
    with database.atomic():
        claimed = {
            occasion for occasion, _ in claim_occasions(new_occasions, now, prefix=_ENQUEUED_PREFIX)
        }
        # In earlier versions each occasion had a row, and no key in `meta`.
        column = EvidenceTimestamp.occasion
        claimed -= {
            row.occasion for row in EvidenceTimestamp.select(column).where(column << claimed)
        }
        if not claimed:
            return False
        checkpoint = signed_checkpoint.make_signed_checkpoint(settings)
        EvidenceTimestamp.create(
            occasion=min(claimed),
            due_at=now,
            next_at=now,
            seq=checkpoint.seq,
            note=signed_checkpoint.note_text(checkpoint, settings),
        )
        return True


# --- Stored timestamps. ---------------------------------------------------------------------------


def list_pending() -> list[EvidenceTimestamp]:
    """Return the timestamps that are enqueued and not received yet, the oldest first."""
    query = EvidenceTimestamp.select().where(EvidenceTimestamp.reply == "")
    return list(query.order_by(EvidenceTimestamp.id))


def list_received() -> list[EvidenceTimestamp]:
    """Return the received timestamps, sorted by their checkpoint's entry, without their texts."""
    model = EvidenceTimestamp
    query = model.select(model.id, model.seq, model.stamped_at).where(model.reply != "")
    return list(query.order_by(model.seq, model.id))


# --- The timestamps that a proof shows. -----------------------------------------------------------


class Timestamps:
    """The received timestamps, for the proofs under one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, paths: MerkleProofs) -> None:
        self._paths = paths
        # The first received of several timestamps over one checkpoint.
        self._ids = {
            row.seq: row.id for row in reversed(list_received()) if row.seq <= checkpoint.seq
        }
        self._seqs = sorted(self._ids)
        self._show = cache(self._make)

    def list_covering(self, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return, for each entry of a proof, the first timestamp over a checkpoint that covers it.

        Each is {"note": the stamped text, "path": the consistency proof from that checkpoint to the
        proof's, "reply": the authority's reply (DER) in base64}. Sorted by entry, without
        duplicates.
        """
        seqs = find_first_covering(self._seqs, entries)
        return [timestamp for seq in seqs if (timestamp := self._show(seq))]

    def _make(self, seq: int) -> dict[str, Any] | None:
        """Return a timestamp as a proof shows it; None if the record does not extend it."""
        row = EvidenceTimestamp.get_by_id(self._ids[seq])
        try:
            path = self._paths.prove_consistency(read_stamped(row.note))
        except (Refused, ValueError):
            return None
        return {"note": row.note, "path": list(path), "reply": row.reply}


def find_first_covering(seqs: Sequence[int], entries: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return, for each entry, the first checkpoint that covers it, without duplicates.

    - `seqs`: the numbers of the checkpoints' last entries, in ascending order.
    """
    places = {bisect_left(seqs, item["entry"]["seq"]) for item in entries}
    return [seqs[place] for place in sorted(places) if place < len(seqs)]


def encode(reply: bytes) -> str:
    """Return an authority's reply in the form in which it is stored (base64)."""
    return base64.b64encode(reply).decode()


def decode(stored_reply: Any) -> bytes:
    """Return the bytes of a stored reply; raises ValueError if it is not canonical base64."""
    if not isinstance(stored_reply, str):
        raise ValueError("no text")  # noqa: TRY004  as for any other that is no reply
    octets = base64.b64decode(stored_reply, validate=True)
    if encode(octets) != stored_reply:
        raise ValueError("base64 in another form")
    return octets
