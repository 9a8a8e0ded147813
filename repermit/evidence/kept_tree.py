"""Whether the Merkle tree that is kept is the one that the entries make.

May import models and this room's faults and trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit.evidence.faults import Fault, How
from repermit.evidence.merkle import Frontier, Range, join, node_at, perfect_parts
from repermit.evidence.tree import KEPT_LEVEL, frontier_of, hashes_in
from repermit.models import EvidenceNode

if TYPE_CHECKING:
    from repermit.evidence.merkle import Node
    from repermit.models import EvidenceHead


class KeptTree:
    """The tree as it is kept, beside the one that the entries make while they are walked."""

    def __init__(self, head: EvidenceHead) -> None:
        self._head = head
        query: Any = EvidenceNode.select(EvidenceNode.level, EvidenceNode.place, EvidenceNode.hash)
        self._nodes: dict[tuple[int, int], str] = {
            (level, place): kept for level, place, kept in query.tuples()
        }
        kept = frontier_of(head)
        self._roots = dict(zip(map(node_at, _parts(kept.size)), kept.hashes, strict=True))
        self._last = next(reversed(hashes_in(head.frontier)), None)
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
        is_of_one_piece = self._head.root == join(hashes_in(self._head.frontier)).hex()
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
            return join([bytes.fromhex(one) for one in pair]).hex() == above
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
        differ = (part for part, made in parts if self._roots.get(node_at(part)) != made)
        return next(differ, Range(self._made.size, self._made.size))


def _rewritten(first: int, last: int) -> Fault:
    return Fault(first, How.REWRITTEN, f"from {first} to {last}, or one of them")


def _parts(size: int) -> list[Range]:
    return perfect_parts(Range(0, size))
