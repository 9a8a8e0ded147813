"""The checkpoints that a witness has cosigned, as they are kept, and why no more come."""

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

KEPT = "cosigned "
"""What the key of a kept checkpoint begins with, before its occasion."""

_PROBLEM = "cosigning"


def witness_of(settings: Settings) -> WitnessKey | None:
    """Return the key of the witness that the settings name, None if they name none."""
    key = settings.evidence.witness_key
    return WitnessKey.read(key) if key else None


@dataclass(frozen=True)
class CosigningProblem:
    """Why the last request failed, and when that was."""

    at: datetime
    reason: str


def read_problem() -> CosigningProblem | None:
    """Return why no cosignature comes, None if the last one came."""
    value = Meta.read(_PROBLEM)
    if value is None:
        return None
    kept = json.loads(value)
    return CosigningProblem(parse_timestamp(kept["at"]), kept["reason"])


def note_problem(reason: str, *, now: datetime) -> None:
    """Note why a request failed, in the caller's transaction."""
    Meta.write(_PROBLEM, json.dumps({"at": format_timestamp(now), "reason": reason}))


def keep_note(note: str, occasions: Iterable[str]) -> None:
    """Keep what was cosigned on these occasions, in the caller's transaction."""
    for occasion in occasions:
        Meta.insert(key=f"{KEPT}{occasion}", value=note).on_conflict_ignore().execute()
    Meta.delete().where(Meta.key == _PROBLEM).execute()


def read_notes() -> list[str]:
    """Return the cosigned notes that are kept, whatever somebody has made of them."""
    rows = Meta.select(Meta.value).where(Meta.key.startswith(KEPT))
    return sorted({row.value for row in rows})


def read_occasion(occasion: str) -> Checkpoint | None:
    """Return the checkpoint that was cosigned on an occasion, None if none was or it is none."""
    with suppress(ValueError):
        return signed_checkpoint.read_note(Meta.read(f"{KEPT}{occasion}") or "")
    return None


def read_kept() -> list[Checkpoint]:
    """Return the checkpoints that were cosigned, each with its note, the earliest first.

    Of several over one checkpoint, that which was cosigned first.
    Without notes that are none any more, which are for `verify` to find.
    """
    found = []
    for note in read_notes():
        with suppress(ValueError):
            found.append(signed_checkpoint.read_note(note))
    return sorted(found, key=lambda one: (one.seq, min(_list_seconds(one.note), default=0)))


class CosignedCheckpoints:
    """The checkpoints that were cosigned, for the proofs under one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, paths: MerkleProofs) -> None:
        self._paths = paths
        # Of several over one checkpoint the first.
        kept = reversed(read_kept())
        self._notes = {one.seq: one for one in kept if 0 < one.seq <= checkpoint.seq}

    def of(self, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return, for each entry of a proof, the first cosigned checkpoint that has it.

        Each is {"note": with its cosignature, "path": how the proof's checkpoint goes on from
        that}, by its entry and none twice.
        """
        shown = []
        for seq in find_first_covering(sorted(self._notes), entries):
            # One that the record does not go on from is for `verify` to find.
            with suppress(Refused):
                path = self._paths.from_earlier(self._notes[seq])
                shown.append({"note": self._notes[seq].note, "path": list(path)})
        return shown


def read_cosigned_times(note: str, witness: WitnessKey) -> Sequence[datetime]:
    """Return when a witness cosigned a note, as it says itself; nothing where it did not."""
    return [datetime.fromtimestamp(one, UTC) for one in _list_seconds(note, witness)]


def _list_seconds(note: str, witness: WitnessKey | None = None) -> list[int]:
    """Return the POSIX times that cosignatures in a note tell; None for those of any witness."""
    return [
        seconds
        for one in Note.read(note).signatures
        if witness is None or (one.name, one.id) == (witness.name, witness.id)
        if (seconds := read_cosigned_at(one.octets))
    ]
