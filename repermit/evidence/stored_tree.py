"""The Merkle tree over the chain's leaves, as the database stores it, and proofs from it.

The head holds the root and the frontier, to which leaves are appended. The larger perfect subtrees
are stored too, so that a proof for one leaf among a million reads two short runs of entries and a
few nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, reduce
from itertools import chain
from operator import or_
from typing import Any

from repermit.db.models.base import PreparedQuery
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidenceNode
from repermit.errors import Refused
from repermit.evidence.chain import KEPT_LEVEL, parse_hashes, read_frontier
from repermit.evidence.chain_reader import read_rows, try_compute_leaf
from repermit.evidence.entries import Checkpoint, is_hash
from repermit.evidence.merkle import (
    Frontier,
    Node,
    Range,
    combine_hashes,
    compute_root,
    hash_leaf,
    hash_node,
    list_consistency_path,
    list_inclusion_path,
    locate_node,
    split_into_perfect_subtrees,
    verify_consistency,
    verify_inclusion,
)
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.i18n.lazy_text import LazyText

# The blocks of leaves that are cached, with the subtrees in them: a few megabytes.
_CACHED_BLOCKS = 64


def checkpoint() -> Checkpoint:
    """Return the checkpoint of the chain as it is now."""
    head = EvidenceHead.get()
    return Checkpoint(seq=head.seq, hash=head.hash, root=head.root)


def compute_checkpoint_at(seq: int) -> Checkpoint:
    """Return the checkpoint right after an entry; raises Refused if the tree has gaps."""
    parts = split_into_perfect_subtrees(Range(0, seq))
    known = _find_subtree_hashes(parts)
    row: Evidence | None = Evidence.get_or_none(Evidence.seq == seq)
    if row is None or len(known) != len(parts):
        raise Refused(GAPS)
    root = combine_hashes([known[part] for part in parts])
    return Checkpoint(seq=seq, hash=row.hash, root=root.hex())


GAPS = LazyText(
    "the record has gaps, so nothing can be proved by it", cli="; see `repermit verify`"
)


def is_of_record(checkpoint: Checkpoint) -> bool:
    """Say whether a checkpoint was taken of this record, now or earlier."""
    if checkpoint.seq == 0:
        return True
    try:
        return compute_checkpoint_at(checkpoint.seq) == checkpoint
    except Refused:
        return False


class MerkleProofs:
    """Merkle proofs for many entries under one checkpoint, which share what they read."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._leaves = lru_cache(_CACHED_BLOCKS)(self._read_leaves)
        self._small = lru_cache(_CACHED_BLOCKS << KEPT_LEVEL + 1)(self._compute_small)
        # A sixty-fourth of the entries at most, and as many again above them.
        self._large: dict[Range, bytes] = {}

    def prove_inclusion(self, seq: int) -> tuple[str, ...]:
        """Return the inclusion proof of an entry (RFC 9162 §2.1.3), a path of hashes in hex.

        Raises Refused if the entry is newer than the checkpoint, or the tree has gaps.
        """
        size = self._checkpoint.seq
        if not 1 <= seq <= size:
            raise Refused(
                "a checkpoint at entry %(size)s says nothing of entry %(seq)s",
                size=str(size),
                seq=str(seq),
            )
        return self._compute_range_hashes(list_inclusion_path(seq - 1, size))

    def prove_consistency(self, earlier: Checkpoint) -> tuple[str, ...]:
        """Return the proof that the record extends an earlier checkpoint (RFC 9162 §2.1.4), in hex.

        Raises Refused if it does not, or if that checkpoint is of the empty record.
        """
        if (
            not 1 <= earlier.seq <= self._checkpoint.seq
            or compute_checkpoint_at(earlier.seq) != earlier
        ):
            raise Refused(
                "the record does not go on from that checkpoint, at entry %(seq)s",
                cli="; see `repermit verify --checkpoint FILE`",
                seq=earlier.seq,
            )
        return self._compute_range_hashes(list_consistency_path(earlier.seq, self._checkpoint.seq))

    def _compute_range_hashes(self, ranges: Sequence[Range]) -> tuple[str, ...]:
        parts = [split_into_perfect_subtrees(subtree) for subtree in ranges]
        self._load_large_hashes(
            [part for subparts in parts for part in subparts if not _is_small(part)]
        )
        return tuple(
            combine_hashes([self._hash(part) for part in subparts]).hex() for subparts in parts
        )

    def _load_large_hashes(self, parts: Sequence[Range]) -> None:
        missing = [part for part in parts if part not in self._large]
        self._large |= _read_stored_hashes(missing)

    def _hash(self, part: Range) -> bytes:
        """Return the hash of a perfect subtree; raises Refused if entries or nodes are missing."""
        digest = self._small(part) if _is_small(part) else self._large.get(part)
        if digest is None:
            raise Refused(GAPS)
        return digest

    def _compute_small(self, part: Range) -> bytes | None:
        """Return the hash of a perfect subtree in a block; None if an entry is missing."""
        if part.end - part.start == 1:
            block, place = divmod(part.start, 1 << KEPT_LEVEL)
            leaf = self._leaves(block)[place]
            return hash_leaf(leaf) if leaf else None
        middle = (part.start + part.end) // 2
        left = self._small(Range(part.start, middle))
        right = self._small(Range(middle, part.end))
        return hash_node(left, right) if left and right else None

    def _read_leaves(self, block: int) -> list[bytes | None]:
        """Return the leaves of an aligned block, up to the checkpoint; None for a missing entry."""
        first = (block << KEPT_LEVEL) + 1
        last = min(first + (1 << KEPT_LEVEL) - 1, self._checkpoint.seq)
        leaves = {row["seq"]: try_compute_leaf(row) for row in read_rows(first, last)}
        in_order = (leaves.get(seq) for seq in range(first, last + 1))
        return [bytes.fromhex(leaf) if leaf else None for leaf in in_order]


def verify_inclusion_proof(
    leaf: str, seq: int, path: Sequence[str], checkpoint: Checkpoint
) -> bool:
    """Say whether a path proves that a checkpoint covers an entry with this leaf.

    Pure. False if any value is not a SHA-256 in hex.
    """
    texts = (leaf, checkpoint.root, *path)
    if not all(map(is_hash, texts)):
        return False
    leaf_bytes, root, *steps = map(bytes.fromhex, texts)
    return verify_inclusion(root, leaf_bytes, seq - 1, checkpoint.seq, steps)


def make_consistency_proof(earlier: Checkpoint, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the document that proves to a third party that a checkpoint extends an earlier one.

    Raises Refused as `MerkleProofs.prove_consistency` does.
    """
    path = MerkleProofs(checkpoint).prove_consistency(earlier)
    return {"earlier": {"seq": earlier.seq, "root": earlier.root}, "path": list(path)}


def verify_consistency_proof(consistency: Mapping[str, Any], checkpoint: Checkpoint) -> bool:
    """Say whether a document of `make_consistency_proof` proves that a checkpoint extends another.

    Pure. Raises KeyError, TypeError or ValueError for a document of another form.
    """
    seq, path = consistency["earlier"]["seq"], consistency["path"]
    texts = (consistency["earlier"]["root"], *path, checkpoint.root)
    if not (type(seq) is int and isinstance(path, list) and all(map(is_hash, texts))):
        return False
    older, *steps, root = map(bytes.fromhex, texts)
    return verify_consistency(root, checkpoint.seq, steps, older=older, first=seq)


def _find_subtree_hashes(parts: Sequence[Range]) -> dict[Range, bytes]:
    """Return the hashes of perfect subtrees: large ones as stored, small ones computed."""
    small = list(filter(_is_small, parts))
    large = [part for part in parts if part not in small]
    return _read_stored_hashes(large) | _compute_hashes(small)


def _is_small(part: Range) -> bool:
    return part.end - part.start < 1 << KEPT_LEVEL


def _read_stored_hashes(parts: Sequence[Range]) -> dict[Range, bytes]:
    part_by_node = {locate_node(part): part for part in parts}
    rows = (
        _make_node_query(len(part_by_node)).rows(*chain.from_iterable(part_by_node))
        if part_by_node
        else ()
    )
    return {
        part_by_node[node.level, node.place]: bytes.fromhex(node.hash)
        for node in rows
        if is_hash(node.hash)
    }


@cache
def _make_node_query(count: int) -> PreparedQuery:
    """Return the query for `count` nodes, by the level and place of each."""

    def compose(*places: Any) -> Any:
        one_by_one = zip(places[::2], places[1::2], strict=True)
        is_at_place = (
            (EvidenceNode.level == level) & (EvidenceNode.place == place)
            for level, place in one_by_one
        )
        return EvidenceNode.select().where(reduce(or_, is_at_place))

    return PreparedQuery(compose, 2 * count)


def _compute_hashes(parts: Sequence[Range]) -> dict[Range, bytes]:
    """Compute small subtrees from their entries; a path needs two short runs of them at most."""
    digests: dict[Range, bytes] = {}
    for part in parts:
        leaves = [try_compute_leaf(row) for row in read_rows(part.start + 1, part.end)]
        readable = [bytes.fromhex(leaf) for leaf in leaves if leaf]
        if len(readable) == part.end - part.start:
            digests[part] = compute_root(readable)
    return digests


# --- Checking the stored Merkle tree against the entries. -----------------------------------------


class StoredTree:
    """The stored tree, compared with the tree that is computed while the entries are read."""

    def __init__(self, head: EvidenceHead) -> None:
        self._head = head
        query: Any = EvidenceNode.select(EvidenceNode.level, EvidenceNode.place, EvidenceNode.hash)
        self._nodes: dict[tuple[int, int], str] = {
            (level, place): digest for level, place, digest in query.tuples()
        }
        digest = read_frontier(head)
        self._roots = dict(
            zip(map(locate_node, _split_tree(digest.size)), digest.hashes, strict=True)
        )
        self._last = next(reversed(parse_hashes(head.frontier)), None)
        self._made = Frontier()

    def root(self) -> str:
        """Return the computed root over the entries so far, in hex."""
        return self._made.root().hex()

    def add(self, leaf: str) -> Fault | None:
        """Add an entry's leaf; return the first fault of the stored tree up to there."""
        hashes = self._made.hashes
        # The first comparison is fast and nearly always false.
        if hashes and hashes[-1] == self._last and self._is_complete():
            detail = "the Merkle tree knows nothing of it"
            return Fault(self._made.size + 1, How.INSERTED, detail)
        for node in self._made.add(bytes.fromhex(leaf), min_level=KEPT_LEVEL):
            stored = self._nodes.get((node.level, node.place))
            if stored != node.hash.hex():
                return self._wrong(node, stored)
        return None

    def end(self) -> Fault | None:
        """Return the first fault of the stored tree once all entries were added."""
        frontier = b"".join(self._made.hashes).hex()
        if (self._head.frontier, self._head.root) == (frontier, self.root()):
            return self._find_subtree_beyond()
        if self._head.frontier == frontier:
            return Fault(self._made.size, How.HEAD, "the root")
        part = self._find_first_difference()
        is_stored_level = part.end - part.start >= 1 << KEPT_LEVEL
        is_consistent = self._head.root == combine_hashes(parse_hashes(self._head.frontier)).hex()
        if is_consistent and not is_stored_level:
            return _make_rewrite_fault(part.start + 1, self._made.size)
        return Fault(part.start + 1, How.TREE, "the frontier")

    def matches(self) -> bool:
        """Say whether the stored root is that of the entries."""
        return self._head.root == self.root()

    def _is_complete(self) -> bool:
        """Say whether the entries so far are all those that the tree was built over."""
        made = b"".join(self._made.hashes).hex()
        return self._head.frontier == made and self._head.root == self.root()

    def _wrong(self, node: Node, stored: str | None) -> Fault:
        first = (node.place << node.level) + 1
        if stored is None:
            return Fault(first, How.TREE, "a subtree is missing")
        # The subtrees in a larger one hold, so it must have been altered itself.
        if node.level == KEPT_LEVEL and self._is_vouched_for(node, stored):
            return _make_rewrite_fault(first, first - 1 + (1 << node.level))
        return Fault(first, How.TREE, "a subtree")

    def _is_vouched_for(self, node: Node, stored: str) -> bool:
        """Say whether the node above a subtree was computed from the subtree as it is stored."""
        above = self._nodes.get((node.level + 1, node.place >> 1))
        if above is None:
            root = self._roots.get((node.level, node.place))
            return root is not None and root.hex() == stored
        pair = (self._nodes.get((node.level, node.place & ~1 | side), "") for side in (0, 1))
        try:
            return combine_hashes([bytes.fromhex(digest) for digest in pair]).hex() == above
        except ValueError:
            return False

    def _find_subtree_beyond(self) -> Fault | None:
        """Return a fault for the first stored subtree over entries that do not exist."""
        size = self._made.size
        beyond = [place << level for level, place in self._nodes if (place + 1) << level > size]
        if not beyond:
            return None
        return Fault(min(beyond) + 1, How.TREE, "a subtree over entries that there are not")

    def _find_first_difference(self) -> Range:
        """Return the first part of the frontier that differs from the stored one."""
        parts = zip(_split_tree(self._made.size), self._made.hashes, strict=True)
        differ = (part for part, made in parts if self._roots.get(locate_node(part)) != made)
        return next(differ, Range(self._made.size, self._made.size))


def _make_rewrite_fault(first: int, last: int) -> Fault:
    return Fault(first, How.REWRITTEN, f"from {first} to {last}, or one of them")


def _split_tree(size: int) -> list[Range]:
    return split_into_perfect_subtrees(Range(0, size))
