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
from repermit.evidence.entries import Checkpoint, canonical, compute_chain_hash
from repermit.evidence.proof_file import (
    FORMAT,
    LARGEST,
    digest_of,
    digests_named,
    proof_in,
    statement_of,
)
from repermit.evidence.stored_tree import verify_consistency_proof, verify_inclusion_proof
from repermit.evidence.verify.cosignatures import cosigned_faults
from repermit.evidence.verify.held_entry import (
    HASH,
    held_faults,
    leaf_of,
    missing_parts,
    number_of,
    read_document,
    read_with_faults,
    require_names,
)
from repermit.evidence.verify.proof_shape import require_content, shape_faults
from repermit.evidence.verify.signatures import (
    FORMATS,
    checkpoint_names,
    optional_names,
    signature_faults,
)
from repermit.evidence.verify.timestamps import timestamp_faults
from repermit.i18n.lazy_text import LazyText

# --- Whether a checkpoint agrees with one that was kept elsewhere. --------------------------------


class Agreement(StrEnum):
    """How a document agrees with a checkpoint; `untold` where the document does not show it."""

    SAME = "same"
    GOES_ON = "goes_on"
    UNTOLD = "untold"
    DIFFERS = "differs"


def agreement(document: Mapping[str, Any], known: Checkpoint) -> Agreement:
    """Return how a document agrees with a checkpoint that was kept elsewhere.

    The document's own checkpoint, and how that goes on from an earlier one, hold by themselves.
    """
    own, earlier = document["checkpoint"], (document.get("consistency") or {}).get("earlier", {})
    if known.seq not in {own["seq"], earlier.get("seq")}:
        return Agreement.UNTOLD
    if known == Checkpoint.from_json(own):
        return Agreement.SAME
    goes_on = {"seq": known.seq, "root": known.root} == earlier
    return Agreement.GOES_ON if goes_on else Agreement.DIFFERS


def shown_to_go_on(octets: bytes) -> Mapping[str, Any] | None:
    """Return what `verify --checkpoint FILE --json` printed, None if this is something else."""
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

    - `gone`: the parts that are held no longer, as (entry, part); nothing is claimed of them.
    """

    faults: tuple[LazyText, ...]
    document: Mapping[str, Any]
    gone: tuple[tuple[int, str], ...] = ()


def check_proof(octets: bytes, *, max_bytes: int = LARGEST) -> Checked:
    """Check a proof's file by itself, or in a ZIP: every digest, path and claim of it.

    - `octets`: anything; what is no proof is a fault, not an error.
    - `max_bytes`: a longer file is a fault.
    """
    try:
        unpacked = proof_in(octets, max_bytes=max_bytes)
    except Refused as refusal:
        return Checked((refusal.said,), {})
    document, faults = read_with_faults(
        lambda: read_document(unpacked, most=max_bytes), _faults, form=FORMAT
    )
    if not document or faults:
        return Checked(faults, document)
    return Checked((), document, tuple(missing_parts(document["statement"]["entries"])))


def _faults(document: dict[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of a proof, in the order in which a reader would check it."""
    # When several proofs were sealed in a row, all except the newest name a later last entry.
    may = _WHERE_ASKED | optional_names(document)
    require_names(document, _DOCUMENT | (may & document.keys()))
    if document["format"] not in FORMATS:
        format_name = repr(document["format"])
        yield LazyText("its format is %(found)s, not %(format)s", found=format_name, format=FORMAT)
        return
    statement, seal = document["statement"], document["seal"]
    yield from _faults_of_entries(statement)
    yield from _faults_of_wordings(statement)
    recomputed = statement_of(
        slug=statement["list"],
        **{name: statement[name] for name in statement.keys() - {"list", "record"}},
    )
    # As canonical JSON, since in Python 0 equals False.
    if canonical(statement) != canonical(recomputed):
        yield LazyText("the consent record does not say what the entries say")
    last = document.get("last", seal)
    yield from shape_faults(document)
    yield from _faults_of_seal(statement, seal)
    yield from _faults_of_last(document, last)
    yield from signature_faults(document)
    yield from timestamp_faults(document)
    yield from cosigned_faults(document)
    held = [*statement["entries"], *statement.get("campaign_entries", ()), seal, last]
    yield from _faults_of_paths(document, held)
    if "consistency" in document:
        yield from faults_of_consistency(document)


def _faults_of_entries(statement: dict[str, Any]) -> Iterator[LazyText]:
    last = 0
    for record in statement["entries"]:
        yield from _person_faults(record)
        entry = record["entry"]
        if entry["seq"] <= last:
            yield LazyText("entry %(seq)s is out of order", seq=number_of(entry))
        last = entry["seq"]
        is_own = entry["list"] == statement["list"] or entry["event"] == "erased"
        if entry["subject"] != statement["subject"] or not is_own:
            yield LazyText("entry %(seq)s is not about this person and list", seq=number_of(entry))


def _person_faults(record: dict[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of one entry about a person in a proof."""
    yield from held_faults(record)
    for part in record["parts"].values():
        require_content(part["content"])


def _faults_of_wordings(statement: dict[str, Any]) -> Iterator[LazyText]:
    wordings = statement["wordings"]
    for digest, content in wordings.items():
        if hashlib.sha256(content.encode()).hexdigest() != digest:
            yield LazyText("the wording %(digest)s does not have that digest", digest=digest)
    named = digests_named(statement["entries"])
    for digest in sorted(named ^ wordings.keys()):
        yield LazyText(
            "the wording %(digest)s is named and not there, or there and not named", digest=digest
        )


def _faults_of_seal(statement: dict[str, Any], seal: dict[str, Any]) -> Iterator[LazyText]:
    """Yield what is wrong with the entry that was made when the proof was, and covers all of it."""
    yield from _person_faults(seal)
    entry, seq = seal["entry"], number_of(seal["entry"])
    about = (entry["event"], entry["list"], entry["subject"])
    if about != ("proved", statement["list"], statement["subject"]):
        yield LazyText("entry %(seq)s does not say that this proof was made", seq=seq)
    if seal["parts"].keys() != {"consent"} or seal["parts"]["consent"]["content"] != {
        "statement": digest_of(statement)
    }:
        yield LazyText(
            "entry %(seq)s was made for another statement than this one", seq=number_of(entry)
        )
    if any(record["entry"]["seq"] >= entry["seq"] for record in statement["entries"]):
        yield LazyText("the proof's own entry does not stand behind those that it proves")


def _faults_of_last(document: dict[str, Any], last: dict[str, Any]) -> Iterator[LazyText]:
    """Yield what is wrong with the entry from which the checkpoint follows, often the seal."""
    if "last" in document:
        yield from _person_faults(last)
    entry, checkpoint, previous = last["entry"], document["checkpoint"], document["previous"]
    require_names(checkpoint, checkpoint_names(document))
    if entry["seq"] != checkpoint["seq"]:
        yield LazyText(
            "entry %(seq)s is not the last one before the checkpoint", seq=number_of(entry)
        )
    if (
        not HASH.fullmatch(previous)
        or compute_chain_hash(previous, leaf_of(entry)) != checkpoint["hash"]
    ):
        yield LazyText(
            "the checkpoint's hash does not follow from entry %(seq)s", seq=number_of(entry)
        )


def _faults_of_paths(
    document: dict[str, Any], entries: Sequence[dict[str, Any]]
) -> Iterator[LazyText]:
    paths, checkpoint = document["paths"], Checkpoint.from_json(document["checkpoint"])
    require_names(paths, {str(record["entry"]["seq"]) for record in entries})
    for record in entries:
        entry = record["entry"]
        path = paths[str(entry["seq"])]
        if not verify_inclusion_proof(leaf_of(entry), entry["seq"], path, checkpoint):
            yield LazyText(
                "entry %(seq)s does not stand under the checkpoint's root", seq=number_of(entry)
            )


def faults_of_consistency(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield what is wrong with how a document's checkpoint goes on from an earlier one.

    Raises ValueError, LookupError, TypeError or AttributeError for what has another form.
    """
    consistency = document["consistency"]
    require_names(consistency, {"earlier", "path"})
    require_names(consistency["earlier"], {"seq", "root"})
    if not verify_consistency_proof(consistency, Checkpoint.from_json(document["checkpoint"])):
        yield LazyText(
            "the checkpoint does not go on from the earlier one, at %(seq)s",
            seq=number_of(consistency["earlier"]),
        )
