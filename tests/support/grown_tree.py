"""The tree over a chain that a test has rewritten, as whoever forges the record would make it."""

from __future__ import annotations

from repermit.db.models.evidence import EvidenceHead
from repermit.evidence.chain_reader import leaf_of, rows_between
from repermit.evidence.entries import NOTHING_BEFORE
from repermit.evidence.merkle import Frontier
from repermit.evidence.stored_tree import Growth


def grow_tree() -> None:
    """Build the tree, in the caller's transaction; an entry that is missing counts as zeros."""
    head = EvidenceHead.get()
    leaves = {row["seq"]: leaf_of(row) for row in rows_between(1, head.seq)}
    growth = Growth(Frontier())
    for seq in range(1, head.seq + 1):
        growth.add(leaves.get(seq) or NOTHING_BEFORE)
    growth.keep(seq=head.seq, hash=head.hash)
