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
    """A witness's cosignature: the entries up to `seq` were in the record at `at`.

    - `origin`: the name under which the witness knows the record.
    - `by`: the witness.
    """

    seq: int
    origin: str
    at: datetime
    by: WitnessKey


def check_cosigned_checkpoints(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of a proof's cosigned checkpoints, except who cosigned them.

    Raises ValueError, LookupError, TypeError or AttributeError for a document of another form.
    """
    checkpoint = Checkpoint.from_json(document["checkpoint"])
    first = document["statement"]["entries"][0]["entry"]["seq"]
    for shown_checkpoint, cosigned in read_cosigned(document, {"note", "path"}):
        path = {
            "earlier": {"seq": cosigned.seq, "root": cosigned.root},
            "path": shown_checkpoint["path"],
        }
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
            yield from check_cosigned_note(document, cosigned)


def read_cosigned(
    document: Mapping[str, Any], names: set[str]
) -> Iterator[tuple[Mapping[str, Any], Checkpoint]]:
    """Yield each object under a document's `cosigned`, with the checkpoint in its note.

    Raises the same errors as `check_cosigned_checkpoints` if an object has other names.
    """
    checkpoints = document.get("cosigned", [])
    require(isinstance(checkpoints, list) and ("cosigned" not in document or checkpoints))
    for checkpoint in checkpoints:
        require_names(checkpoint, names)
        yield checkpoint, signed_checkpoint.read_note(checkpoint["note"])


def check_cosigned_note(document: Mapping[str, Any], cosigned: Checkpoint) -> Iterator[LazyText]:
    """Yield the faults of a cosigned checkpoint's signature lines.

    There must be a line of a witness. A line in the name of the document's key must be signed by
    that key.
    """
    key = PublicKey.read(document["key"]) if "key" in document else None
    if not is_in_order(cosigned, key):
        yield LazyText("a cosigned checkpoint has a wrong signature")
    lines = Note.read(cosigned.note).signatures
    if key and all((one.name, one.id) == (key.name, key.id) for one in lines):
        yield LazyText("a cosigned checkpoint has no line of a witness")


def find_cosigned(document: Mapping[str, Any], witnesses: Sequence[WitnessKey]) -> list[Cosigned]:
    """Return the cosignatures of these witnesses in a valid document.

    Raises ValueError if a cosignature names one of them and is not by it.
    """
    return [
        Cosigned(
            seq=signed_checkpoint.read_note(shown_checkpoint["note"]).seq,
            origin=shown_checkpoint["note"].partition("\n")[0],
            at=min(times),
            by=witness,
        )
        for shown_checkpoint in document.get("cosigned", ())
        for witness in Note.read(shown_checkpoint["note"]).list_signers(witnesses)
        if isinstance(witness, WitnessKey)
        and (times := cosigned_checkpoints.read_cosigned_times(shown_checkpoint["note"], witness))
    ]


def read_cosigners(document: Mapping[str, Any]) -> list[tuple[int, datetime, str]]:
    """Return the entry, time and witness name of each cosignature that a document has.

    No signature is verified, so no key is needed.
    """
    return [
        (
            signed_checkpoint.read_note(shown_checkpoint["note"]).seq,
            datetime.fromtimestamp(seconds, UTC),
            line.name,
        )
        for shown_checkpoint in document.get("cosigned", ())
        for line in Note.read(shown_checkpoint["note"]).signatures
        if (seconds := read_cosigned_at(line.octets))
    ]


# --- Those stored in the database. ----------------------------------------------------------------


def check_stored_cosignatures(witness: WitnessKey | None) -> Iterator[Fault]:
    """Yield a fault for each stored cosigned checkpoint that is forged or of another record.

    The chain must already be verified. Without `witness` no cosignature is verified.
    """
    # It proves nothing, but must be readable too.
    cosigned_checkpoints.read_problem()
    for note in cosigned_checkpoints.read_notes():
        try:
            checkpoint = signed_checkpoint.read_note(note)
            Note.read(note).list_signers([witness] if witness else [])
        except ValueError as error:
            yield Fault(0, How.CONTRADICTED, f"a cosigned checkpoint: {error}")
            continue
        if not (checkpoint.seq and stored_tree.is_of_record(checkpoint)):
            yield Fault(
                checkpoint.seq, How.REWRITTEN, f"at {checkpoint.seq} or before: a witness tells"
            )
