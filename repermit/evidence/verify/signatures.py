"""Checking the signatures of proofs and checkpoints. Pure, except `check_known_checkpoints`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repermit.evidence import signed_checkpoint, stored_tree
from repermit.evidence.entries import Checkpoint
from repermit.evidence.proof_file import FORMAT, SIGNED_FORMAT
from repermit.evidence.signed_note import PublicKey
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.i18n.lazy_text import LazyText

# --- Proofs. --------------------------------------------------------------------------------------

FORMATS = (FORMAT, SIGNED_FORMAT)
_OPTIONAL: Mapping[str, frozenset[str]] = {
    SIGNED_FORMAT: frozenset({"key", "timestamps", "cosigned"})
}


def get_optional_names(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the names that a proof may have because of its format."""
    return _OPTIONAL.get(str(document.get("format")), frozenset())


def get_checkpoint_names(document: Mapping[str, Any]) -> set[str]:
    """Return the names that a proof's checkpoint must have."""
    return {"seq", "hash", "root"} | ({"note"} if "key" in document else set())


def check_signature(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield a fault if a proof that names a key is not signed by it.

    Raises TypeError for a document of another form.
    """
    if "key" not in document:
        return
    note = document["checkpoint"]["note"]
    if not isinstance(document["key"], str) or not isinstance(note, str):
        raise TypeError
    try:
        key = PublicKey.read(document["key"])
        is_signed = bool(signed_checkpoint.list_signers(_read_checkpoint(document), [key]))
    except ValueError:
        is_signed = False
    if not is_signed:
        yield LazyText("the checkpoint is not signed by the key that the proof names")


def is_in_order(checkpoint: Checkpoint, key: PublicKey | None) -> bool:
    """Say whether a note has no wrong signature in the name of a document's key."""
    try:
        signed_checkpoint.list_signers(checkpoint, [key] if key else [])
    except ValueError:
        return False
    return True


def list_signers(document: Mapping[str, Any], keys: Sequence[PublicKey]) -> list[PublicKey]:
    """Return the keys, of those given, that signed the checkpoint of a valid document."""
    try:
        return signed_checkpoint.list_signers(_read_checkpoint(document), keys)
    except ValueError:
        return []


def _read_checkpoint(document: Mapping[str, Any]) -> Checkpoint:
    fields = document["checkpoint"]
    return Checkpoint(fields["seq"], fields["hash"], fields["root"], fields.get("note", ""))


# --- Several checkpoints that were stored elsewhere. ----------------------------------------------


def check_known_checkpoints(checkpoints: Sequence[Checkpoint]) -> Iterator[Fault]:
    """Yield a fault for the first checkpoint, by its entry, that the chain does not agree with.

    The chain must already be verified, so that its tree matches its entries.
    """
    last = stored_tree.checkpoint().seq
    for known in sorted(checkpoints, key=lambda checkpoint: checkpoint.seq):
        if known.seq > last:
            yield Fault(last + 1, How.CUT, f"the checkpoint knows {known.seq}")
            return
        if not stored_tree.is_of_record(known):
            detail = f"at {known.seq} or before: the checkpoint says otherwise"
            yield Fault(known.seq, How.REWRITTEN, detail)
            return
