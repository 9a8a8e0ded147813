"""Checking an export of a list's evidence offline. Pure.

The rules are in docs/reference/proof-format.md; the tests have two independent verifiers.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, BinaryIO

from repermit.evidence.entries import NOTHING_BEFORE, Checkpoint, compute_chain_hash
from repermit.evidence.merkle import Frontier
from repermit.evidence.signed_checkpoint import read_stamped
from repermit.evidence.signed_note import PublicKey
from repermit.evidence.verify.cosignatures import check_cosigned_note, read_cosigned
from repermit.evidence.verify.held_entry import (
    HASH,
    check_held_entry,
    compute_proof_leaf,
    format_entry_number,
    iter_missing_parts,
    make_decoder,
    read_with_faults,
    refuse_invalid_json,
    require,
    require_entry,
    require_names,
    require_new_name,
)
from repermit.evidence.verify.json_stream import JsonStream
from repermit.evidence.verify.outcomes import Outcomes
from repermit.evidence.verify.signatures import check_signature, get_checkpoint_names
from repermit.evidence.verify.timestamps import check_stamp
from repermit.evidence.wordings_shown import iter_wordings_in
from repermit.i18n.lazy_text import LazyText

FORMAT = "repermit-evidence/1"

EVENTS_BESIDE = frozenset(
    {
        *("evidence_key", "timestamp_authority", "restored", "settings_changed"),
        *("token_made", "token_revoked"),
        *("user_added", "user_invited", "user_role_changed", "user_removed"),
        *("password_chosen", "password_changed", "second_step_set_up"),
    }
)
"""The events of entries without a list that an export has: keys, authorities, settings, users."""

MAX_SIZE = 2_000_000_000
"""Octets that an export may have; one of a million entries has some 1,200,000,000."""

_NAMES = {"format", "list", "checkpoint", "entries", "wordings", "leaves"}
_OPTIONAL = {"key", "timestamps", "cosigned", "audiences"}
_ERASED_BY_TIME = ("consent", "trace")
_IS_EXPORT = re.compile(rb'"format":\s*"repermit-evidence/')


@dataclass(frozen=True)
class CheckedExport:
    """The result of checking an export: `faults` is empty if it holds.

    - `count`: the number of its entries.
    - `first`: the number of its first entry; 0 without entries.
    - `erased`: the number of erased parts.
    - `absent`: the ranges of entries that it lacks, each as first and last number.
    - `compared`: the number of closed campaigns whose counts were compared with the entries.
    """

    faults: tuple[LazyText, ...]
    document: Mapping[str, Any]
    count: int = 0
    first: int = 0
    erased: int = 0
    absent: tuple[tuple[int, int], ...] = ()
    compared: int = 0


def is_export(octets: bytes) -> bool:
    """Say whether a file claims to be an export of the evidence."""
    # Within a JSON string the quotation marks would be escaped.
    return _IS_EXPORT.search(octets) is not None


def check_export(file: BinaryIO) -> CheckedExport:
    """Check an export by itself: every entry, digest, leaf, signature and timestamp.

    The returned document has no `entries`, as each is checked while it is read and not kept.
    """
    entries = _Entries()

    def read() -> dict[str, Any]:
        with refuse_invalid_json():
            return _read_members(file, entries)

    document, faults = read_with_faults(
        read, lambda document: _check_document(document, entries), form=FORMAT
    )
    first = entries.leaves[0][0] if entries.leaves else 0
    absent = tuple(_find_absent([seq for seq, _ in entries.leaves], document))
    return CheckedExport(
        faults,
        document,
        len(entries.leaves),
        first,
        len(entries.missing),
        absent,
        entries.outcomes.count_closed(),
    )


def _find_absent(seqs: list[int], document: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield the gaps between the numbers of an export's entries, up to its checkpoint."""
    last = document["checkpoint"]["seq"] if document else 0
    for before, after in pairwise([0, *seqs, last + 1]):
        if before + 1 < after:
            yield before + 1, after - 1


def _read_members(file: BinaryIO, entries: _Entries) -> dict[str, Any]:
    document: dict[str, Any] = {}
    stream = JsonStream(file, make_decoder(), max_bytes=MAX_SIZE)
    for name, value in stream.read_members({"entries", "leaves"}):
        require_new_name(name, document)
        if name == "entries":
            require(isinstance(value, Iterator))
            for record in value:
                entries.add(record)
        document[name] = list(value) if isinstance(value, Iterator) else value
    return document


class _Entries:
    """The data of an export's entries that are compared with the rest of the export."""

    def __init__(self) -> None:
        self.leaves: list[tuple[int, bytes]] = []
        self.missing: list[tuple[int, str, str]] = []
        self.wordings: set[str] = set()
        self.outcomes = Outcomes()
        self.faults: list[LazyText] = []
        self._last = 0
        # The first entry about each list.
        self._lists: dict[str, int] = {}
        self._erased: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)

    def add(self, record: dict[str, Any]) -> None:
        """Check the next entry; raises as `check_shape` for one of another form."""
        self.faults += check_held_entry(record)
        entry = record["entry"]
        require_entry(entry, is_subject=lambda subject: isinstance(subject, str))
        seq = entry["seq"]
        if seq <= self._last:
            self.faults.append(
                LazyText("entry %(seq)s is out of order", seq=format_entry_number(entry))
            )
        else:
            self.leaves.append((seq, bytes.fromhex(compute_proof_leaf(entry))))
        self._last = max(self._last, seq)
        is_beside = entry["event"] == "erased" or (
            entry["list"] == "" and entry["event"] in EVENTS_BESIDE
        )
        if not is_beside:
            self._lists.setdefault(entry["list"], seq)
        self.missing += [(*part, entry["subject"]) for part in iter_missing_parts([record])]
        for erased_part in _iter_erased_parts(record):
            self._erased[erased_part].append(seq)
        consent = record["parts"].get("consent", {}).get("content", {})
        self.wordings.update(iter_wordings_in(consent))
        self.outcomes.add(entry, consent)

    def check_lists(self, slug: str) -> Iterator[LazyText]:
        """Yield a fault for the first entry of each other list."""
        for other, seq in self._lists.items():
            if other != slug:
                yield LazyText("entry %(seq)s is not about this list", seq=str(seq))

    def check_leaves(self, leaves: Sequence[str]) -> Iterator[LazyText]:
        """Yield a fault for each entry whose leaf is not at its place among the export's leaves."""
        for seq, leaf in self.leaves:
            if seq > len(leaves) or leaves[seq - 1] != leaf.hex():
                yield LazyText(
                    "entry %(seq)s does not have the leaf that the export says", seq=str(seq)
                )

    def check_erasures(self) -> Iterator[LazyText]:
        """Yield a fault for each part that is gone without a later erasure that names it."""
        for seq, name, subject in self.missing:
            subjects = {subject, ""} if name in _ERASED_BY_TIME else {subject} - {""}
            erasures = (self._erased.get((erased, name, seq), ()) for erased in subjects)
            if not any(later > seq for later in chain.from_iterable(erasures)):
                yield LazyText(
                    "entry %(seq)s: the part %(name)s is gone, and no erasure names it",
                    seq=str(seq),
                    name=name,
                )


def compute_checkpoints(
    document: Mapping[str, Any], seqs: Collection[int]
) -> dict[int, Checkpoint]:
    """Return the checkpoint after each of these entries that an export has leaves for."""
    frontier, chain_hash, checkpoints = Frontier(), NOTHING_BEFORE, {}
    for seq, leaf in enumerate(document["leaves"], start=1):
        frontier.add(bytes.fromhex(leaf))
        chain_hash = compute_chain_hash(chain_hash, leaf)
        if seq in seqs:
            checkpoints[seq] = Checkpoint(seq, chain_hash, frontier.root().hex())
    return checkpoints


def _check_document(document: dict[str, Any], entries: _Entries) -> Iterator[LazyText]:
    """Yield the faults of an export, in the order in which a reader would check it."""
    require_names(document, _NAMES | (_OPTIONAL & document.keys()))
    require(document["format"] == FORMAT)
    require_names(document["checkpoint"], get_checkpoint_names(document))
    checkpoint, leaves = Checkpoint.from_json(document["checkpoint"]), document["leaves"]
    require(isinstance(document["list"], str) and checkpoint.seq > 0)
    require(isinstance(leaves, list) and all(map(HASH.fullmatch, leaves)))
    if len(leaves) != checkpoint.seq:
        yield LazyText("it does not have just one leaf for each entry up to its checkpoint")
        return
    yield from entries.faults
    yield from entries.check_leaves(leaves)
    yield from entries.check_lists(document["list"])
    yield from entries.check_erasures()
    yield from entries.outcomes.find_faults(document.get("audiences", {}))
    yield from _check_wordings(document["wordings"], entries.wordings)
    yield from check_signature(document)
    yield from _check_checkpoints(document, checkpoint)


def _iter_erased_parts(record: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield the parts that an erasure names, as (subject, part, entry); subject "" for anybody."""
    entry, consent = record["entry"], record["parts"].get("consent", {}).get("content", {})
    seqs, names = consent.get("seqs"), consent.get("parts")
    may_erase = entry["event"] == "erased" and (entry["subject"] or entry["actor"] == "job")
    if may_erase and isinstance(seqs, list) and isinstance(names, list):
        numbers = [seq for seq in seqs if type(seq) is int]
        yield from ((entry["subject"], str(name), seq) for name in names for seq in numbers)


def _check_wordings(wordings: Mapping[str, str], named: set[str]) -> Iterator[LazyText]:
    for digest, content in wordings.items():
        if hashlib.sha256(content.encode()).hexdigest() != digest:
            yield LazyText("the wording %(digest)s does not have that digest", digest=digest)
    for digest in sorted(named ^ wordings.keys()):
        yield LazyText(
            "the wording %(digest)s is named and not there, or there and not named", digest=digest
        )


def _check_checkpoints(document: Mapping[str, Any], own: Checkpoint) -> Iterator[LazyText]:
    """Yield the faults of checkpoint, timestamps and cosignatures that are over another record.

    - `own`: the checkpoint of the export itself.
    """
    key = PublicKey.read(document["key"]) if "key" in document else None
    timestamps = document.get("timestamps", [])
    require(isinstance(timestamps, list) and ("timestamps" not in document or timestamps))
    stamped = [read_stamped(timestamp["note"]) for timestamp in timestamps]
    cosigned = [checkpoint for _, checkpoint in read_cosigned(document, {"note"})]
    seqs = {checkpoint.seq for checkpoint in (own, *stamped, *cosigned)}
    computed = compute_checkpoints(document, seqs)
    if computed[own.seq] != own:
        yield LazyText("its checkpoint is not that of its leaves")
    for timestamp, checkpoint in zip(timestamps, stamped, strict=True):
        require_names(timestamp, {"note", "reply"})
        seq = str(checkpoint.seq)
        if computed.get(checkpoint.seq) != checkpoint:
            yield LazyText("the timestamp at %(seq)s is over another record", seq=seq)
        else:
            yield from check_stamp(timestamp, checkpoint, key)
    for checkpoint in cosigned:
        if computed.get(checkpoint.seq) != checkpoint:
            seq = str(checkpoint.seq)
            yield LazyText("what is cosigned at %(seq)s is another record", seq=seq)
        else:
            yield from check_cosigned_note(document, checkpoint)
