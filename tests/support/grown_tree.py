"""The tree over a chain that a test has rewritten, as whoever forges the record would make it."""

from __future__ import annotations

from repermit.db.models.evidence import EvidenceHead
from repermit.evidence.chain import KEPT_LEVEL, store_tree
from repermit.evidence.chain_reader import read_rows, try_compute_leaf
from repermit.evidence.entries import NOTHING_BEFORE
from repermit.evidence.merkle import Frontier, Node


def grow_tree() -> None:
    """Build the tree, in the caller's transaction; an entry that is missing counts as zeros."""
    head = EvidenceHead.get()
    leaves = {row["seq"]: try_compute_leaf(row) for row in read_rows(1, head.seq)}
    frontier = Frontier()
    nodes: list[Node] = []
    for seq in range(1, head.seq + 1):
        leaf = bytes.fromhex(leaves.get(seq) or NOTHING_BEFORE)
        nodes += frontier.add(leaf, min_level=KEPT_LEVEL)
    store_tree(frontier, nodes, head.seq, head.hash)
