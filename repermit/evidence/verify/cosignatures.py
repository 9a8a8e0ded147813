"""Whether the cosigned checkpoints that are kept beside the record are of this record."""

from __future__ import annotations

from collections.abc import Iterator

from repermit.evidence import cosignatures, signed_checkpoint, stored_tree
from repermit.evidence.signed_note import Note, WitnessKey
from repermit.evidence.verify.diagnosis import Fault, How


def kept_cosignature_faults(witness: WitnessKey | None) -> Iterator[Fault]:
    """Yield a fault for each cosigned checkpoint that is not of this record, or forged.

    The chain must hold by itself. Without `witness` no cosignature is verified.
    """
    for note in cosignatures.read_notes():
        try:
            point = signed_checkpoint.read_note(note)
            Note.read(note).signers([witness] if witness else [])
        except ValueError as error:
            yield Fault(0, How.CONTRADICTED, f"a cosigned checkpoint: {error}")
            continue
        if not (point.seq and stored_tree.is_of_record(point)):
            yield Fault(point.seq, How.REWRITTEN, f"at {point.seq} or before: a witness tells")
