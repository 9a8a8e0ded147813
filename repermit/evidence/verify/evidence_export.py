"""An export of the evidence about a list: how it is checked offline. Pure.

docs/reference/proof-format.md tells third parties the same; the tests have two verifiers of theirs.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repermit.evidence.entries import NOTHING_BEFORE, Checkpoint, link
from repermit.evidence.merkle import Frontier
from repermit.evidence.signed_checkpoint import read_stamped
from repermit.evidence.signed_note import PublicKey
from repermit.evidence.verify.cosignatures import cosigned_note_faults, read_cosigned
from repermit.evidence.verify.held_entry import (
    HASH,
    held_faults,
    leaf_of,
    missing_parts,
    number_of,
    read_with_faults,
    require,
    require_entry,
    require_names,
)
from repermit.evidence.verify.signatures import checkpoint_names, signature_faults
from repermit.evidence.verify.timestamps import stamp_faults
from repermit.evidence.wordings_shown import wordings_in
from repermit.i18n.lazy_text import Said

FORMAT = "repermit-evidence/1"

USER_EVENTS = ("user_added", "user_role_changed", "user_removed", "erased")
"""The entries about a user that an export has: who it was, and what was erased of that."""

LARGEST = 2_000_000_000
"""Octets that an export may have; one of a million entries has some 1,200,000,000."""

_NAMES = {"format", "list", "checkpoint", "entries", "wordings", "leaves"}
_OPTIONAL = {"key", "timestamps", "cosigned"}
_BESIDE = {*USER_EVENTS, "evidence_key"}
_ERASED_BY_TIME = ("consent", "trace")
_IS_EXPORT = re.compile(rb'"format":\s*"repermit-evidence/')


@dataclass(frozen=True)
class CheckedExport:
    """The result of checking an export: `faults` is empty if it holds.

    `erased` counts the parts that erasures took.
    """

    faults: tuple[Said, ...]
    document: Mapping[str, Any]
    erased: int = 0


def is_export(octets: bytes) -> bool:
    """Say whether a file is meant to be an export of the evidence."""
    # Within a text of it the quotation marks would be escaped.
    return _IS_EXPORT.search(octets) is not None


def check_export(octets: bytes) -> CheckedExport:
    """Check an export by itself: every entry, digest, leaf, signature and timestamp of it."""
    document, faults = read_with_faults(octets, _faults, form=FORMAT, most=LARGEST)
    if not document or faults:
        return CheckedExport(faults, document)
    return CheckedExport((), document, len(list(missing_parts(document["entries"]))))


def points_at(document: Mapping[str, Any], seqs: Collection[int]) -> dict[int, Checkpoint]:
    """Return the checkpoints after these entries, as far as an export's leaves reach."""
    frontier, its_hash, found = Frontier(), NOTHING_BEFORE, {}
    for seq, its_leaf in enumerate(document["leaves"], start=1):
        frontier.add(bytes.fromhex(its_leaf))
        its_hash = link(its_hash, its_leaf)
        if seq in seqs:
            found[seq] = Checkpoint(seq, its_hash, frontier.root().hex())
    return found


def _faults(document: dict[str, Any]) -> Iterator[Said]:
    """Yield what does not hold, in the order in which a reader would look."""
    require_names(document, _NAMES | (_OPTIONAL & document.keys()))
    require(document["format"] == FORMAT)
    checkpoint, leaves, entries = document["checkpoint"], document["leaves"], document["entries"]
    require_names(checkpoint, checkpoint_names(document))
    point = Checkpoint.from_json(checkpoint)
    require(isinstance(document["list"], str) and isinstance(entries, list) and point.seq > 0)
    require(isinstance(leaves, list) and all(map(HASH.fullmatch, leaves)))
    if len(leaves) != point.seq:
        yield Said("it does not have just one leaf for each entry up to its checkpoint")
        return
    yield from _faults_of_entries(entries, document["list"], leaves)
    yield from _faults_of_erasures(entries)
    yield from _faults_of_wordings(document)
    yield from signature_faults(document)
    yield from _faults_of_leaves(document, point)


def _faults_of_entries(
    entries: Sequence[dict[str, Any]], slug: str, leaves: Sequence[str]
) -> Iterator[Said]:
    last = 0
    for record in entries:
        yield from held_faults(record)
        entry = record["entry"]
        require_entry(entry, is_subject=lambda subject: isinstance(subject, str))
        seq = number_of(entry)
        if entry["seq"] <= last:
            yield Said("entry %(seq)s is out of order", seq=seq)
        elif entry["seq"] > len(leaves) or leaf_of(entry) != leaves[entry["seq"] - 1]:
            yield Said("entry %(seq)s does not have the leaf that the export says", seq=seq)
        last = max(last, entry["seq"])
        is_beside = entry["event"] == "erased" or (
            entry["list"] == "" and entry["event"] in _BESIDE
        )
        if entry["list"] != slug and not is_beside:
            yield Said("entry %(seq)s is not about this list", seq=seq)


def _faults_of_erasures(entries: Sequence[dict[str, Any]]) -> Iterator[Said]:
    """Yield which parts are gone without a later erasure that names them."""
    erased: Mapping[tuple[str, str, int], list[int]] = defaultdict(list)
    subjects = {record["entry"]["seq"]: record["entry"]["subject"] for record in entries}
    for record in entries:
        for whose, name, seq in _named_by_erasure(record):
            erased[whose, name, seq].append(record["entry"]["seq"])
    for seq, name in missing_parts(entries):
        may = [subjects[seq], *(["job"] if name in _ERASED_BY_TIME else [])]
        if not any(later > seq for one in may for later in erased.get((one, name, seq), ())):
            yield Said(
                "entry %(seq)s: the part %(name)s is gone, and no erasure names it",
                seq=str(seq),
                name=name,
            )


def _named_by_erasure(record: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield whose parts an erasure names, which, and of which entries; "job" is for anybody's."""
    entry, told = record["entry"], record["parts"].get("consent", {}).get("content", {})
    seqs, names = told.get("seqs"), told.get("parts")
    whose = entry["subject"] or (entry["actor"] == "job" and "job")
    if entry["event"] == "erased" and whose and isinstance(seqs, list) and isinstance(names, list):
        numbers = [seq for seq in seqs if type(seq) is int]
        yield from ((whose, str(name), seq) for name in names for seq in numbers)


def _faults_of_wordings(document: Mapping[str, Any]) -> Iterator[Said]:
    wordings = document["wordings"]
    consents = [
        record["parts"].get("consent", {}).get("content", {}) for record in document["entries"]
    ]
    named = {digest for told in consents for digest in wordings_in(told)}
    for digest, content in wordings.items():
        if hashlib.sha256(content.encode()).hexdigest() != digest:
            yield Said("the wording %(digest)s does not have that digest", digest=digest)
    for digest in sorted(named ^ wordings.keys()):
        yield Said(
            "the wording %(digest)s is named and not there, or there and not named", digest=digest
        )


def _faults_of_leaves(document: Mapping[str, Any], point: Checkpoint) -> Iterator[Said]:
    """Yield what of checkpoint, timestamps and cosignatures is over another record."""
    key = PublicKey.read(document["key"]) if "key" in document else None
    shown = document.get("timestamps", [])
    require(isinstance(shown, list) and ("timestamps" not in document or shown))
    stamped = [read_stamped(one["note"]) for one in shown]
    cosigned = [one for _, one in read_cosigned(document, {"note"})]
    points = points_at(document, {point.seq, *(one.seq for one in (*stamped, *cosigned))})
    if points[point.seq] != point:
        yield Said("its checkpoint is not that of its leaves")
    for one, its_point in zip(shown, stamped, strict=True):
        require_names(one, {"note", "reply"})
        seq = str(its_point.seq)
        if points.get(its_point.seq) != its_point:
            yield Said("the timestamp at %(seq)s is over another record", seq=seq)
        else:
            yield from stamp_faults(one, its_point, key)
    for one in cosigned:
        if points.get(one.seq) != one:
            yield Said("what is cosigned at %(seq)s is another record", seq=str(one.seq))
        else:
            yield from cosigned_note_faults(document, one)
