"""Checking the cosigned checkpoints in a proof, and those stored in the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from repermit.evidence import cosigned_checkpoints, signed_checkpoint, stored_tree
from repermit.evidence.entries import Checkpoint
from repermit.evidence.signed_note import Note, PublicKey, WitnessKey, read_cosigned_at
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.evidence.verify.held_entry import require, require_names
from repermit.evidence.verify.signatures import is_in_order
from repermit.i18n.lazy_text import LazyText

# --- Those in a proof or an export. ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cosigned:
    """That the entries up to `seq` lay in the record at `at`, as the witness `by` says.

    `origin` is the name of the record that the witness knew.
    """

    seq: int
    origin: str
    at: datetime
    by: WitnessKey


def cosigned_faults(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of a proof's cosigned checkpoints, except who cosigned them.

    Raises ValueError, LookupError, TypeError or AttributeError for a document of another form.
    """
    checkpoint = Checkpoint.from_json(document["checkpoint"])
    first = document["statement"]["entries"][0]["entry"]["seq"]
    for one, cosigned in read_cosigned(document, {"note", "path"}):
        path = {"earlier": {"seq": cosigned.seq, "root": cosigned.root}, "path": one["path"]}
        if not stored_tree.verify_consistency_proof(path, checkpoint):
            yield LazyText(
                "the checkpoint does not go on from the one that is cosigned, at %(seq)s",
                seq=str(cosigned.seq),
            )
        elif cosigned.seq < first:
            yield LazyText(
                "what is cosigned, at %(seq)s, has none of its entries", seq=str(cosigned.seq)
            )
        else:
            yield from cosigned_note_faults(document, cosigned)


def read_cosigned(
    document: Mapping[str, Any], names: set[str]
) -> Iterator[tuple[Mapping[str, Any], Checkpoint]]:
    """Yield what a document has under `cosigned`, and the checkpoint of each.

    Raises as `cosigned_faults` for one that has other names.
    """
    shown = document.get("cosigned", [])
    require(isinstance(shown, list) and ("cosigned" not in document or shown))
    for one in shown:
        require_names(one, names)
        yield one, signed_checkpoint.read_note(one["note"])


def cosigned_note_faults(document: Mapping[str, Any], cosigned: Checkpoint) -> Iterator[LazyText]:
    """Yield what is wrong with the signature lines of a cosigned checkpoint.

    One of a witness must be there, and one in the name of the document's own key must be its.
    """
    key = PublicKey.read(document["key"]) if "key" in document else None
    if not is_in_order(cosigned, key):
        yield LazyText("a cosigned checkpoint has a wrong signature")
    lines = Note.read(cosigned.note).signatures
    if key and all((one.name, one.id) == (key.name, key.id) for one in lines):
        yield LazyText("a cosigned checkpoint has no line of a witness")


def find_cosigned(document: Mapping[str, Any], witnesses: Sequence[WitnessKey]) -> list[Cosigned]:
    """Return what these witnesses cosigned of a document that holds.

    Raises ValueError where a cosignature names one of them and is not by it.
    """
    return [
        Cosigned(
            seq=signed_checkpoint.read_note(one["note"]).seq,
            origin=one["note"].partition("\n")[0],
            at=min(times),
            by=witness,
        )
        for one in document.get("cosigned", ())
        for witness in Note.read(one["note"]).signers(witnesses)
        if isinstance(witness, WitnessKey)
        and (times := cosigned_checkpoints.read_cosigned_times(one["note"], witness))
    ]


def read_cosigners(document: Mapping[str, Any]) -> list[tuple[int, datetime, str]]:
    """Return up to which entry a document says that it was cosigned, when and by whom.

    No signature is verified, so that no key need be known.
    """
    return [
        (
            signed_checkpoint.read_note(one["note"]).seq,
            datetime.fromtimestamp(seconds, UTC),
            line.name,
        )
        for one in document.get("cosigned", ())
        for line in Note.read(one["note"]).signatures
        if (seconds := read_cosigned_at(line.octets))
    ]


# --- Those stored in the database. ----------------------------------------------------------------


def kept_cosignature_faults(witness: WitnessKey | None) -> Iterator[Fault]:
    """Yield a fault for each cosigned checkpoint that is not of this record, or forged.

    The chain must hold by itself. Without `witness` no cosignature is verified.
    """
    for note in cosigned_checkpoints.read_notes():
        try:
            checkpoint = signed_checkpoint.read_note(note)
            Note.read(note).signers([witness] if witness else [])
        except ValueError as error:
            yield Fault(0, How.CONTRADICTED, f"a cosigned checkpoint: {error}")
            continue
        if not (checkpoint.seq and stored_tree.is_of_record(checkpoint)):
            yield Fault(
                checkpoint.seq, How.REWRITTEN, f"at {checkpoint.seq} or before: a witness tells"
            )
