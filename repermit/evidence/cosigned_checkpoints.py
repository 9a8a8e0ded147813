"""The stored checkpoints that a witness has cosigned, and the last failure of a request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from repermit.clock import format_timestamp
from repermit.db.models.base import Meta, parse_timestamp
from repermit.errors import Refused
from repermit.evidence import signed_checkpoint
from repermit.evidence.entries import Checkpoint
from repermit.evidence.signed_note import Note, WitnessKey, read_cosigned_at
from repermit.evidence.stored_tree import MerkleProofs
from repermit.evidence.timestamps import find_first_covering
from repermit.settings.definitions import Settings

KEY_PREFIX = "cosigned "
"""The prefix of the keys of `meta` that hold cosigned checkpoints; the occasion follows."""

_PROBLEM = "cosigning"


def read_witness_key(settings: Settings) -> WitnessKey | None:
    """Return the key of the witness in the settings; None without a witness."""
    key = settings.evidence.witness_key
    return WitnessKey.read(key) if key else None


@dataclass(frozen=True)
class CosigningProblem:
    """The reason and time of the last failed request."""

    at: datetime
    reason: str


def read_problem() -> CosigningProblem | None:
    """Return the failure of the last request; None if it succeeded."""
    value = Meta.read(_PROBLEM)
    if value is None:
        return None
    stored = json.loads(value)
    return CosigningProblem(parse_timestamp(stored["at"]), stored["reason"])


def note_problem(reason: str, *, now: datetime) -> None:
    """Store the failure of a request, in the caller's transaction."""
    Meta.write(_PROBLEM, json.dumps({"at": format_timestamp(now), "reason": reason}))


def store_note(note: str, occasions: Iterable[str]) -> None:
    """Store a cosigned note under its occasions, in the caller's transaction."""
    for occasion in occasions:
        Meta.insert(key=f"{KEY_PREFIX}{occasion}", value=note).on_conflict_ignore().execute()
    Meta.delete().where(Meta.key == _PROBLEM).execute()


def read_notes() -> list[str]:
    """Return the stored cosigned notes, without checking them."""
    rows = Meta.select(Meta.value).where(Meta.key.startswith(KEY_PREFIX))
    return sorted({row.value for row in rows})


def read_occasion(occasion: str) -> Checkpoint | None:
    """Return the checkpoint cosigned on an occasion; None without one or if it is malformed."""
    with suppress(ValueError):
        return signed_checkpoint.read_note(Meta.read(f"{KEY_PREFIX}{occasion}") or "")
    return None


def read_stored_checkpoints() -> list[Checkpoint]:
    """Return the cosigned checkpoints, each with its note, the earliest first.

    Several over one checkpoint are sorted by the time of cosigning. Malformed notes are left out;
    `verify` reports them.
    """
    checkpoints = []
    for note in read_notes():
        with suppress(ValueError):
            checkpoints.append(signed_checkpoint.read_note(note))
    return sorted(
        checkpoints,
        key=lambda checkpoint: (checkpoint.seq, min(_list_seconds(checkpoint.note), default=0)),
    )


class CosignedCheckpoints:
    """The cosigned checkpoints, for the proofs under one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, paths: MerkleProofs) -> None:
        self._paths = paths
        # The first of several cosigned notes over one checkpoint.
        cosigned = reversed(read_stored_checkpoints())
        self._notes = {item.seq: item for item in cosigned if 0 < item.seq <= checkpoint.seq}

    def list_covering(self, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return, for each entry of a proof, the first cosigned checkpoint that covers it.

        Each is {"note": the note with its cosignature, "path": the consistency proof from that
        checkpoint to the proof's}. Sorted by entry, without duplicates.
        """
        cosigned = []
        for seq in find_first_covering(sorted(self._notes), entries):
            # A checkpoint that the record does not extend is left out; `verify` reports it.
            with suppress(Refused):
                path = self._paths.prove_consistency(self._notes[seq])
                cosigned.append({"note": self._notes[seq].note, "path": list(path)})
        return cosigned


def read_cosigned_times(note: str, witness: WitnessKey) -> Sequence[datetime]:
    """Return the times at which a witness says that it cosigned a note; empty if it did not."""
    return [datetime.fromtimestamp(seconds, UTC) for seconds in _list_seconds(note, witness)]


def _list_seconds(note: str, witness: WitnessKey | None = None) -> list[int]:
    """Return the POSIX times of a note's cosignatures by a witness; None for any witness."""
    return [
        seconds
        for line in Note.read(note).signatures
        if witness is None or (line.name, line.id) == (witness.name, witness.id)
        if (seconds := read_cosigned_at(line.octets))
    ]
