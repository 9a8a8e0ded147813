"""The Merkle tree over the chain's leaves, as the database keeps it.

The head holds the frontier, by which the tree grows, and the root; the larger perfect subtrees are
kept too, so that a path to one leaf among a million takes two short runs of entries and a handful
of nodes.
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
from repermit.evidence.chain_reader import leaf_of, read_rows
from repermit.evidence.entries import Checkpoint, is_hash
from repermit.evidence.merkle import (
    Frontier,
    Node,
    Range,
    combine_hashes,
    compute_root,
    list_consistency_path,
    list_inclusion_path,
    locate_node,
    split_into_perfect_subtrees,
    verify_consistency,
    verify_inclusion,
)
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.i18n.lazy_text import LazyText

# Of those that were read last, some hundred kilobytes.
_RUNS = 64


def checkpoint() -> Checkpoint:
    """Return what fixes the chain as it is now, to be kept elsewhere."""
    head = EvidenceHead.get()
    return Checkpoint(seq=head.seq, hash=head.hash, root=head.root)


def checkpoint_at(seq: int) -> Checkpoint:
    """Return the checkpoint as it was right after an entry; raises Refused if the tree has gaps."""
    parts = split_into_perfect_subtrees(Range(0, seq))
    known = _hashes_of(parts)
    row: Evidence | None = Evidence.get_or_none(Evidence.seq == seq)
    if row is None or len(known) != len(parts):
        raise Refused(GAPS)
    root = combine_hashes([known[part] for part in parts])
    return Checkpoint(seq=seq, hash=row.hash, root=root.hex())


GAPS = LazyText(
    "the chain has gaps, so nothing can be proved by it; see `repermit verify`", code="gaps"
)


def is_of_record(point: Checkpoint) -> bool:
    """Say whether the record, or its beginning, is the one that a checkpoint was taken of."""
    if point.seq == 0:
        return True
    try:
        return checkpoint_at(point.seq) == point
    except Refused:
        return False


class MerkleProofs:
    """The paths of many entries to one checkpoint: what was read for one serves its neighbours."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._leaves = lru_cache(_RUNS)(self._read_leaves)
        # A sixty-fourth of the entries at most, and as many again above them.
        self._large: dict[Range, bytes] = {}

    def path(self, seq: int) -> tuple[str, ...]:
        """Return the path (RFC 9162 §2.1.3) from an entry's leaf to the checkpoint's root, in hex.

        Raises Refused if the checkpoint does not reach to that entry, or the tree has gaps.
        """
        size = self._checkpoint.seq
        if not 1 <= seq <= size:
            raise Refused(
                "a checkpoint at entry %(size)s says nothing of entry %(seq)s",
                size=str(size),
                seq=str(seq),
            )
        return self._hashes(list_inclusion_path(seq - 1, size))

    def from_earlier(self, known: Checkpoint) -> tuple[str, ...]:
        """Return what shows that the record goes on from an earlier checkpoint (RFC 9162 §2.1.4).

        Raises Refused if it does not, or that checkpoint is of no entry yet.
        """
        if not 1 <= known.seq <= self._checkpoint.seq or checkpoint_at(known.seq) != known:
            raise Refused(
                "the record does not go on from that checkpoint, at entry %(seq)s; see "
                "`repermit verify --checkpoint FILE`",
                code="not_gone_on",
                seq=known.seq,
            )
        return self._hashes(list_consistency_path(known.seq, self._checkpoint.seq))

    def _hashes(self, ranges: Sequence[Range]) -> tuple[str, ...]:
        parts = [split_into_perfect_subtrees(one) for one in ranges]
        self._learn([part for some in parts for part in some if not _is_small(part)])
        return tuple(combine_hashes([self._hash(part) for part in some]).hex() for some in parts)

    def _learn(self, parts: Sequence[Range]) -> None:
        missing = [part for part in parts if part not in self._large]
        self._large |= _kept(missing)

    def _hash(self, part: Range) -> bytes:
        """Return the hash of a perfect subtree; raises Refused where it cannot be known."""
        if not _is_small(part):
            found = self._large.get(part)
        else:
            run, place = divmod(part.start, 1 << KEPT_LEVEL)
            leaves = self._leaves(run)[place : place + part.end - part.start]
            read = [one for one in leaves if one]
            found = compute_root(read) if len(read) == part.end - part.start else None
        if found is None:
            raise Refused(GAPS)
        return found

    def _read_leaves(self, run: int) -> list[bytes | None]:
        """Return the leaves of an aligned run, as far as the checkpoint reaches; None for gaps."""
        first = (run << KEPT_LEVEL) + 1
        last = min(first + (1 << KEPT_LEVEL) - 1, self._checkpoint.seq)
        leaves = {row["seq"]: leaf_of(row) for row in read_rows(first, last)}
        found = (leaves.get(seq) for seq in range(first, last + 1))
        return [bytes.fromhex(one) if one else None for one in found]


def verify_inclusion_proof(
    leaf: str, seq: int, path: Sequence[str], checkpoint: Checkpoint
) -> bool:
    """Say whether a path proves that an entry with this leaf stands under a checkpoint's root.

    Pure; what is no hex of the right length proves nothing.
    """
    texts = (leaf, checkpoint.root, *path)
    if not all(map(is_hash, texts)):
        return False
    its_leaf, root, *steps = map(bytes.fromhex, texts)
    return verify_inclusion(root, its_leaf, seq - 1, checkpoint.seq, steps)


def make_consistency_proof(known: Checkpoint, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what shows a third party that one checkpoint goes on from an earlier one.

    Raises Refused as `Paths.from_earlier` does.
    """
    path = MerkleProofs(checkpoint).from_earlier(known)
    return {"earlier": {"seq": known.seq, "root": known.root}, "path": list(path)}


def verify_consistency_proof(shown: Mapping[str, Any], checkpoint: Checkpoint) -> bool:
    """Say whether a proof of `make_consistency_proof` shows that a checkpoint extends an earlier.

    Pure. Raises what a document of another form raises.
    """
    seq, path = shown["earlier"]["seq"], shown["path"]
    texts = (shown["earlier"]["root"], *path, checkpoint.root)
    if not (type(seq) is int and isinstance(path, list) and all(map(is_hash, texts))):
        return False
    older, *steps, root = map(bytes.fromhex, texts)
    return verify_consistency(root, checkpoint.seq, steps, older=older, first=seq)


def _hashes_of(parts: Sequence[Range]) -> dict[Range, bytes]:
    """Return the hashes of perfect subtrees: the large ones as kept, the small ones made anew."""
    small = list(filter(_is_small, parts))
    large = [part for part in parts if part not in small]
    return _kept(large) | _made(small)


def _is_small(part: Range) -> bool:
    return part.end - part.start < 1 << KEPT_LEVEL


def _kept(parts: Sequence[Range]) -> dict[Range, bytes]:
    wanted = {locate_node(part): part for part in parts}
    found = _nodes(len(wanted)).rows(*chain.from_iterable(wanted)) if wanted else ()
    return {
        wanted[node.level, node.place]: bytes.fromhex(node.hash)
        for node in found
        if is_hash(node.hash)
    }


@cache
def _nodes(count: int) -> PreparedQuery:
    """Return the query for so many nodes, by the level and place of each."""

    def compose(*places: Any) -> Any:
        one_by_one = zip(places[::2], places[1::2], strict=True)
        stands_there = (
            (EvidenceNode.level == level) & (EvidenceNode.place == place)
            for level, place in one_by_one
        )
        return EvidenceNode.select().where(reduce(or_, stands_there))

    return PreparedQuery(compose, 2 * count)


def _made(parts: Sequence[Range]) -> dict[Range, bytes]:
    """Make small subtrees from their entries; those of one path lie in two short runs at most."""
    made: dict[Range, bytes] = {}
    for part in parts:
        leaves = [leaf_of(row) for row in read_rows(part.start + 1, part.end)]
        read = [bytes.fromhex(one) for one in leaves if one]
        if len(read) == part.end - part.start:
            made[part] = compute_root(read)
    return made


# --- Whether the Merkle tree that is kept is the one that the entries make. -----------------------


class StoredTree:
    """The tree as it is kept, beside the one that the entries make while they are walked."""

    def __init__(self, head: EvidenceHead) -> None:
        self._head = head
        query: Any = EvidenceNode.select(EvidenceNode.level, EvidenceNode.place, EvidenceNode.hash)
        self._nodes: dict[tuple[int, int], str] = {
            (level, place): kept for level, place, kept in query.tuples()
        }
        kept = read_frontier(head)
        self._roots = dict(zip(map(locate_node, _parts(kept.size)), kept.hashes, strict=True))
        self._last = next(reversed(parse_hashes(head.frontier)), None)
        self._made = Frontier()

    def root(self) -> str:
        """Return the root over the entries so far, in hex."""
        return self._made.root().hex()

    def add(self, its_leaf: str) -> Fault | None:
        """Add an entry's leaf; return what is wrong with the tree up to there."""
        hashes = self._made.hashes
        # The first is the quick way to say no.
        if hashes and hashes[-1] == self._last and self._is_complete():
            what = "the Merkle tree knows nothing of it"
            return Fault(self._made.size + 1, How.INSERTED, what)
        for node in self._made.add(bytes.fromhex(its_leaf), least=KEPT_LEVEL):
            kept = self._nodes.get((node.level, node.place))
            if kept != node.hash.hex():
                return self._wrong(node, kept)
        return None

    def end(self) -> Fault | None:
        """Return what is wrong with the tree now that all entries are in it."""
        frontier = b"".join(self._made.hashes).hex()
        if (self._head.frontier, self._head.root) == (frontier, self.root()):
            return self._beyond()
        if self._head.frontier == frontier:
            return Fault(self._made.size, How.HEAD, "the root")
        part = self._first_difference()
        is_kept = part.end - part.start >= 1 << KEPT_LEVEL
        is_of_one_piece = self._head.root == combine_hashes(parse_hashes(self._head.frontier)).hex()
        if is_of_one_piece and not is_kept:
            return _rewritten(part.start + 1, self._made.size)
        return Fault(part.start + 1, How.TREE, "the frontier")

    def matches(self) -> bool:
        """Say whether the root that is kept is that of the entries."""
        return self._head.root == self.root()

    def _is_complete(self) -> bool:
        """Say whether the entries so far are all those that the tree was built over."""
        made = b"".join(self._made.hashes).hex()
        return self._head.frontier == made and self._head.root == self.root()

    def _wrong(self, node: Node, kept: str | None) -> Fault:
        first = (node.place << node.level) + 1
        if kept is None:
            return Fault(first, How.TREE, "a subtree is missing")
        # The subtrees in a larger one hold, so it must have been altered itself.
        if node.level == KEPT_LEVEL and self._is_vouched_for(node, kept):
            return _rewritten(first, first - 1 + (1 << node.level))
        return Fault(first, How.TREE, "a subtree")

    def _is_vouched_for(self, node: Node, kept: str) -> bool:
        """Say whether what stands above a subtree was built over it as it is kept."""
        above = self._nodes.get((node.level + 1, node.place >> 1))
        if above is None:
            root = self._roots.get((node.level, node.place))
            return root is not None and root.hex() == kept
        pair = (self._nodes.get((node.level, node.place & ~1 | side), "") for side in (0, 1))
        try:
            return combine_hashes([bytes.fromhex(one) for one in pair]).hex() == above
        except ValueError:
            return False

    def _beyond(self) -> Fault | None:
        """Return the first subtree over entries that there are not."""
        size = self._made.size
        beyond = [place << level for level, place in self._nodes if (place + 1) << level > size]
        if not beyond:
            return None
        return Fault(min(beyond) + 1, How.TREE, "a subtree over entries that there are not")

    def _first_difference(self) -> Range:
        """Return the first part of the frontier that is not as it is kept."""
        parts = zip(_parts(self._made.size), self._made.hashes, strict=True)
        differ = (part for part, made in parts if self._roots.get(locate_node(part)) != made)
        return next(differ, Range(self._made.size, self._made.size))


def _rewritten(first: int, last: int) -> Fault:
    return Fault(first, How.REWRITTEN, f"from {first} to {last}, or one of them")


def _parts(size: int) -> list[Range]:
    return split_into_perfect_subtrees(Range(0, size))
