"""Checking a proof of what one person said. Pure.

The rules are in docs/reference/proof-format.md; a test has an independent verifier.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from repermit.errors import Refused
from repermit.evidence.entries import Checkpoint, compute_chain_hash, encode_canonical_json
from repermit.evidence.proof_file import (
    FORMAT,
    MAX_SIZE,
    compose_statement,
    hash_statement,
    list_named_digests,
    unpack_proof,
)
from repermit.evidence.stored_tree import verify_consistency_proof, verify_inclusion_proof
from repermit.evidence.verify.cosignatures import check_cosigned_checkpoints
from repermit.evidence.verify.held_entry import (
    HASH,
    check_held_entry,
    compute_proof_leaf,
    format_entry_number,
    iter_missing_parts,
    read_document,
    read_with_faults,
    require_names,
)
from repermit.evidence.verify.proof_shape import check_shape, require_content
from repermit.evidence.verify.signatures import (
    FORMATS,
    check_signature,
    get_checkpoint_names,
    get_optional_names,
)
from repermit.evidence.verify.timestamps import check_proof_timestamps
from repermit.i18n.lazy_text import LazyText

# --- Agreement with a checkpoint that was stored elsewhere. ---------------------------------------


class Agreement(StrEnum):
    """How a document agrees with a known checkpoint; `untold` if the document does not show it."""

    SAME = "same"
    GOES_ON = "goes_on"
    UNTOLD = "untold"
    DIFFERS = "differs"


def agreement(document: Mapping[str, Any], known: Checkpoint) -> Agreement:
    """Return how a document agrees with a checkpoint that was stored elsewhere.

    The document's own checkpoint and its consistency proof must already be verified.
    """
    own, earlier = document["checkpoint"], (document.get("consistency") or {}).get("earlier", {})
    if known.seq not in {own["seq"], earlier.get("seq")}:
        return Agreement.UNTOLD
    if known == Checkpoint.from_json(own):
        return Agreement.SAME
    goes_on = {"seq": known.seq, "root": known.root} == earlier
    return Agreement.GOES_ON if goes_on else Agreement.DIFFERS


def read_consistency_output(octets: bytes) -> Mapping[str, Any] | None:
    """Return the output of `verify --checkpoint FILE --json`; None for another file."""
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    is_output = isinstance(document, dict) and "format" not in document
    return document if is_output and "consistency" in document else None


# --- A proof of what one person said. -------------------------------------------------------------


_DOCUMENT = {"format", "statement", "seal", "paths", "previous", "checkpoint"}
_WHERE_ASKED = {"last", "consistency"}


@dataclass(frozen=True)
class Checked:
    """The result of checking a proof: `faults` is empty if it holds, and then there is a document.

    - `gone`: the parts that were erased, as (entry, part); the proof claims nothing about them.
    """

    faults: tuple[LazyText, ...]
    document: Mapping[str, Any]
    gone: tuple[tuple[int, str], ...] = ()


def check_proof(octets: bytes, *, max_bytes: int = MAX_SIZE) -> Checked:
    """Check a proof's file by itself, or in a ZIP: every digest, path and claim of it.

    - `octets`: any file; one that is not a proof is a fault, not an error.
    - `max_bytes`: a longer file is a fault.
    """
    try:
        unpacked = unpack_proof(octets, max_bytes=max_bytes)
    except Refused as refusal:
        return Checked((refusal.said,), {})
    document, faults = read_with_faults(
        lambda: read_document(unpacked, max_bytes=max_bytes), _check_document, form=FORMAT
    )
    if not document or faults:
        return Checked(faults, document)
    return Checked((), document, tuple(iter_missing_parts(document["statement"]["entries"])))


def _check_document(document: dict[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of a proof, in the order in which a reader would check it."""
    # When several proofs were sealed in a row, all except the newest name a later last entry.
    allowed = _WHERE_ASKED | get_optional_names(document)
    require_names(document, _DOCUMENT | (allowed & document.keys()))
    if document["format"] not in FORMATS:
        format_name = repr(document["format"])
        yield LazyText("its format is %(found)s, not %(format)s", found=format_name, format=FORMAT)
        return
    statement, seal = document["statement"], document["seal"]
    yield from _check_entries(statement)
    yield from _check_wordings(statement)
    recomputed = compose_statement(
        slug=statement["list"],
        **{name: statement[name] for name in statement.keys() - {"list", "record"}},
    )
    # As canonical JSON, since in Python 0 equals False.
    if encode_canonical_json(statement) != encode_canonical_json(recomputed):
        yield LazyText("the consent record does not say what the entries say")
    last = document.get("last", seal)
    yield from check_shape(document)
    yield from _check_seal(statement, seal)
    yield from _check_last_entry(document, last)
    yield from check_signature(document)
    yield from check_proof_timestamps(document)
    yield from check_cosigned_checkpoints(document)
    held = [*statement["entries"], *statement.get("campaign_entries", ()), seal, last]
    yield from _check_paths(document, held)
    if "consistency" in document:
        yield from check_consistency(document)


def _check_entries(statement: dict[str, Any]) -> Iterator[LazyText]:
    last = 0
    for record in statement["entries"]:
        yield from _check_person_entry(record)
        entry = record["entry"]
        if entry["seq"] <= last:
            yield LazyText("entry %(seq)s is out of order", seq=format_entry_number(entry))
        last = entry["seq"]
        is_own = entry["list"] == statement["list"] or entry["event"] == "erased"
        if entry["subject"] != statement["subject"] or not is_own:
            yield LazyText(
                "entry %(seq)s is not about this person and list", seq=format_entry_number(entry)
            )


def _check_person_entry(record: dict[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of one entry about a person in a proof."""
    yield from check_held_entry(record)
    for part in record["parts"].values():
        require_content(part["content"])


def _check_wordings(statement: dict[str, Any]) -> Iterator[LazyText]:
    wordings = statement["wordings"]
    for digest, content in wordings.items():
        if hashlib.sha256(content.encode()).hexdigest() != digest:
            yield LazyText("the wording %(digest)s does not have that digest", digest=digest)
    named = list_named_digests(statement["entries"])
    for digest in sorted(named ^ wordings.keys()):
        yield LazyText(
            "the wording %(digest)s is named and not there, or there and not named", digest=digest
        )


def _check_seal(statement: dict[str, Any], seal: dict[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of the seal: the entry that was made with the proof and covers all of it."""
    yield from _check_person_entry(seal)
    entry, seq = seal["entry"], format_entry_number(seal["entry"])
    about = (entry["event"], entry["list"], entry["subject"])
    if about != ("proved", statement["list"], statement["subject"]):
        yield LazyText("entry %(seq)s does not say that this proof was made", seq=seq)
    if seal["parts"].keys() != {"consent"} or seal["parts"]["consent"]["content"] != {
        "statement": hash_statement(statement)
    }:
        yield LazyText(
            "entry %(seq)s was made for another statement than this one",
            seq=format_entry_number(entry),
        )
    if any(record["entry"]["seq"] >= entry["seq"] for record in statement["entries"]):
        yield LazyText("the proof's own entry does not stand behind those that it proves")


def _check_last_entry(document: dict[str, Any], last: dict[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of the checkpoint's last entry, which is often the seal."""
    if "last" in document:
        yield from _check_person_entry(last)
    entry, checkpoint, previous = last["entry"], document["checkpoint"], document["previous"]
    require_names(checkpoint, get_checkpoint_names(document))
    if entry["seq"] != checkpoint["seq"]:
        yield LazyText(
            "entry %(seq)s is not the last one before the checkpoint",
            seq=format_entry_number(entry),
        )
    if (
        not HASH.fullmatch(previous)
        or compute_chain_hash(previous, compute_proof_leaf(entry)) != checkpoint["hash"]
    ):
        yield LazyText(
            "the checkpoint's hash does not follow from entry %(seq)s",
            seq=format_entry_number(entry),
        )


def _check_paths(document: dict[str, Any], entries: Sequence[dict[str, Any]]) -> Iterator[LazyText]:
    paths, checkpoint = document["paths"], Checkpoint.from_json(document["checkpoint"])
    require_names(paths, {str(record["entry"]["seq"]) for record in entries})
    for record in entries:
        entry = record["entry"]
        path = paths[str(entry["seq"])]
        if not verify_inclusion_proof(compute_proof_leaf(entry), entry["seq"], path, checkpoint):
            yield LazyText(
                "entry %(seq)s does not stand under the checkpoint's root",
                seq=format_entry_number(entry),
            )


def check_consistency(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of a document's consistency proof from an earlier checkpoint.

    Raises ValueError, LookupError, TypeError or AttributeError for another form.
    """
    consistency = document["consistency"]
    require_names(consistency, {"earlier", "path"})
    require_names(consistency["earlier"], {"seq", "root"})
    if not verify_consistency_proof(consistency, Checkpoint.from_json(document["checkpoint"])):
        yield LazyText(
            "the checkpoint does not go on from the earlier one, at %(seq)s",
            seq=format_entry_number(consistency["earlier"]),
        )
