"""An export of the evidence about a list: how it is checked offline. Pure.

docs/reference/proof-format.md tells third parties the same; the tests have two verifiers of theirs.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

from repermit.evidence.entries import NOTHING_BEFORE, Checkpoint, compute_chain_hash
from repermit.evidence.merkle import Frontier
from repermit.evidence.signed_checkpoint import read_stamped
from repermit.evidence.signed_note import PublicKey
from repermit.evidence.verify.cosignatures import cosigned_note_faults, read_cosigned
from repermit.evidence.verify.held_entry import (
    HASH,
    held_faults,
    leaf_of,
    make_decoder,
    missing_parts,
    number_of,
    read_with_faults,
    refusing_other_json,
    require,
    require_entry,
    require_names,
    require_once,
)
from repermit.evidence.verify.json_stream import JsonStream
from repermit.evidence.verify.outcomes import Outcomes
from repermit.evidence.verify.signatures import checkpoint_names, signature_faults
from repermit.evidence.verify.timestamps import stamp_faults
from repermit.evidence.wordings_shown import wordings_in
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
"""The entries of no list that an export has: keys, authorities, what was set, who could log in."""

LARGEST = 2_000_000_000
"""Octets that an export may have; one of a million entries has some 1,200,000,000."""

_NAMES = {"format", "list", "checkpoint", "entries", "wordings", "leaves"}
_OPTIONAL = {"key", "timestamps", "cosigned", "audiences"}
_ERASED_BY_TIME = ("consent", "trace")
_IS_EXPORT = re.compile(rb'"format":\s*"repermit-evidence/')


@dataclass(frozen=True)
class CheckedExport:
    """The result of checking an export: `faults` is empty if it holds.

    `count` is of its entries, `first` the number of the first, `erased` of the parts that erasures
    took; `absent` are the numbers of the entries that it does not have, as ranges, first and last.
    `compared` is of the closed campaigns whose counts were compared with the entries.
    """

    faults: tuple[LazyText, ...]
    document: Mapping[str, Any]
    count: int = 0
    first: int = 0
    erased: int = 0
    absent: tuple[tuple[int, int], ...] = ()
    compared: int = 0


def is_export(octets: bytes) -> bool:
    """Say whether a file is meant to be an export of the evidence."""
    # Within a text of it the quotation marks would be escaped.
    return _IS_EXPORT.search(octets) is not None


def check_export(file: BinaryIO) -> CheckedExport:
    """Check an export by itself: every entry, digest, leaf, signature and timestamp of it.

    The document that is returned has no `entries`: each is looked at as it is read, and let go.
    """
    entries = _Entries()

    def read() -> dict[str, Any]:
        with refusing_other_json():
            return _read_members(file, entries)

    document, faults = read_with_faults(
        read, lambda document: _faults(document, entries), form=FORMAT
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
    stream = JsonStream(file, make_decoder(), most=LARGEST)
    for name, value in stream.read_members({"entries", "leaves"}):
        require_once(name, document)
        if name == "entries":
            require(isinstance(value, Iterator))
            for record in value:
                entries.add(record)
        document[name] = list(value) if isinstance(value, Iterator) else value
    return document


class _Entries:
    """What an export's entries say, as far as it is compared with something else of it."""

    def __init__(self) -> None:
        self.leaves: list[tuple[int, bytes]] = []
        self.missing: list[tuple[int, str, str]] = []
        self.wordings: set[str] = set()
        self.outcomes = Outcomes()
        self.faults: list[LazyText] = []
        self._last = 0
        # Of each list the first entry that is about it.
        self._lists: dict[str, int] = {}
        self._erased: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)

    def add(self, record: dict[str, Any]) -> None:
        """Look at the next entry; raises for one of another form."""
        self.faults += held_faults(record)
        entry = record["entry"]
        require_entry(entry, is_subject=lambda subject: isinstance(subject, str))
        seq = entry["seq"]
        if seq <= self._last:
            self.faults.append(LazyText("entry %(seq)s is out of order", seq=number_of(entry)))
        else:
            self.leaves.append((seq, bytes.fromhex(leaf_of(entry))))
        self._last = max(self._last, seq)
        is_beside = entry["event"] == "erased" or (
            entry["list"] == "" and entry["event"] in EVENTS_BESIDE
        )
        if not is_beside:
            self._lists.setdefault(entry["list"], seq)
        self.missing += [(*one, entry["subject"]) for one in missing_parts([record])]
        for named in _named_by_erasure(record):
            self._erased[named].append(seq)
        consent = record["parts"].get("consent", {}).get("content", {})
        self.wordings.update(wordings_in(consent))
        self.outcomes.add(entry, consent)

    def faults_of_lists(self, slug: str) -> Iterator[LazyText]:
        """Yield the first entry of each list that is not this one."""
        for other, seq in self._lists.items():
            if other != slug:
                yield LazyText("entry %(seq)s is not about this list", seq=str(seq))

    def faults_of_leaves(self, leaves: Sequence[str]) -> Iterator[LazyText]:
        """Yield the entries whose leaf is not among all of these at its place."""
        for seq, leaf in self.leaves:
            if seq > len(leaves) or leaves[seq - 1] != leaf.hex():
                yield LazyText(
                    "entry %(seq)s does not have the leaf that the export says", seq=str(seq)
                )

    def faults_of_erasures(self) -> Iterator[LazyText]:
        """Yield which parts are gone without a later erasure that names them."""
        for seq, name, subject in self.missing:
            may = {subject, ""} if name in _ERASED_BY_TIME else {subject} - {""}
            if not any(
                later > seq for one in may for later in self._erased.get((one, name, seq), ())
            ):
                yield LazyText(
                    "entry %(seq)s: the part %(name)s is gone, and no erasure names it",
                    seq=str(seq),
                    name=name,
                )


def points_at(document: Mapping[str, Any], seqs: Collection[int]) -> dict[int, Checkpoint]:
    """Return the checkpoints after these entries, as far as an export's leaves reach."""
    frontier, chain_hash, found = Frontier(), NOTHING_BEFORE, {}
    for seq, leaf in enumerate(document["leaves"], start=1):
        frontier.add(bytes.fromhex(leaf))
        chain_hash = compute_chain_hash(chain_hash, leaf)
        if seq in seqs:
            found[seq] = Checkpoint(seq, chain_hash, frontier.root().hex())
    return found


def _faults(document: dict[str, Any], entries: _Entries) -> Iterator[LazyText]:
    """Yield what does not hold, in the order in which a reader would look."""
    require_names(document, _NAMES | (_OPTIONAL & document.keys()))
    require(document["format"] == FORMAT)
    checkpoint, leaves = document["checkpoint"], document["leaves"]
    require_names(checkpoint, checkpoint_names(document))
    point = Checkpoint.from_json(checkpoint)
    require(isinstance(document["list"], str) and point.seq > 0)
    require(isinstance(leaves, list) and all(map(HASH.fullmatch, leaves)))
    if len(leaves) != point.seq:
        yield LazyText("it does not have just one leaf for each entry up to its checkpoint")
        return
    yield from entries.faults
    yield from entries.faults_of_leaves(leaves)
    yield from entries.faults_of_lists(document["list"])
    yield from entries.faults_of_erasures()
    yield from entries.outcomes.faults(document.get("audiences", {}))
    yield from _faults_of_wordings(document["wordings"], entries.wordings)
    yield from signature_faults(document)
    yield from _faults_of_leaves(document, point)


def _named_by_erasure(record: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield whose parts an erasure names, which, and of which entries; "" is for anybody's."""
    entry, told = record["entry"], record["parts"].get("consent", {}).get("content", {})
    seqs, names = told.get("seqs"), told.get("parts")
    may = entry["event"] == "erased" and (entry["subject"] or entry["actor"] == "job")
    if may and isinstance(seqs, list) and isinstance(names, list):
        numbers = [seq for seq in seqs if type(seq) is int]
        yield from ((entry["subject"], str(name), seq) for name in names for seq in numbers)


def _faults_of_wordings(wordings: Mapping[str, str], named: set[str]) -> Iterator[LazyText]:
    for digest, content in wordings.items():
        if hashlib.sha256(content.encode()).hexdigest() != digest:
            yield LazyText("the wording %(digest)s does not have that digest", digest=digest)
    for digest in sorted(named ^ wordings.keys()):
        yield LazyText(
            "the wording %(digest)s is named and not there, or there and not named", digest=digest
        )


def _faults_of_leaves(document: Mapping[str, Any], point: Checkpoint) -> Iterator[LazyText]:
    """Yield what of checkpoint, timestamps and cosignatures is over another record."""
    key = PublicKey.read(document["key"]) if "key" in document else None
    shown = document.get("timestamps", [])
    require(isinstance(shown, list) and ("timestamps" not in document or shown))
    stamped = [read_stamped(one["note"]) for one in shown]
    cosigned = [one for _, one in read_cosigned(document, {"note"})]
    points = points_at(document, {point.seq, *(one.seq for one in (*stamped, *cosigned))})
    if points[point.seq] != point:
        yield LazyText("its checkpoint is not that of its leaves")
    for one, checkpoint in zip(shown, stamped, strict=True):
        require_names(one, {"note", "reply"})
        seq = str(checkpoint.seq)
        if points.get(checkpoint.seq) != checkpoint:
            yield LazyText("the timestamp at %(seq)s is over another record", seq=seq)
        else:
            yield from stamp_faults(one, checkpoint, key)
    for one in cosigned:
        if points.get(one.seq) != one:
            yield LazyText("what is cosigned at %(seq)s is another record", seq=str(one.seq))
        else:
            yield from cosigned_note_faults(document, one)
