"""The Merkle tree over the chain's leaves, as the database keeps it.

May import models and this room's leaves and pure tree. The head holds the frontier, by which the
tree grows, and the root; the larger perfect subtrees are kept too, so that a path to one leaf among
a million takes two short runs of entries and a handful of nodes.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache, reduce
from itertools import chain
from operator import or_
from typing import TYPE_CHECKING, Any

from repermit.errors import Refused
from repermit.evidence.facts import Checkpoint
from repermit.evidence.leaves import NOTHING_BEFORE, is_hash
from repermit.evidence.merkle import (
    SIZE,
    Frontier,
    Node,
    Range,
    additions,
    goes_on,
    join,
    leads_to,
    node_at,
    perfect_parts,
    root_of,
    siblings,
)
from repermit.evidence.reading import STEP, leaf_of, rows_between
from repermit.models import Evidence, EvidenceHead, EvidenceNode, PreparedQuery
from repermit.saying import Said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEPT_LEVEL = 6
"""From this level on, of 64 leaves each, perfect subtrees are kept."""

# Of those that were read last, some hundred kilobytes.
_RUNS = 64
_NODE = (EvidenceNode.level, EvidenceNode.place, EvidenceNode.hash)
_HASH = re.compile(r"[0-9a-f]{64}")


def frontier_of(head: EvidenceHead) -> Frontier:
    """Return the frontier that the head holds.

    Where somebody has damaged it, zeros stand for what cannot be read: answers must go on being
    taken, and the damage is for `verify` to find.
    """
    kept = hashes_in(head.frontier)
    size = max(head.seq, 0)
    wanted = size.bit_count()
    return Frontier(size, [*kept, *[bytes(SIZE)] * wanted][:wanted])


def hashes_in(frontier: str) -> list[bytes]:
    """Return the hashes that a frontier consists of, as far as they can be read."""
    return [bytes.fromhex(one) for one in _HASH.findall(frontier)]


class Growth:
    """The tree while entries are appended, under the lock of the head."""

    def __init__(self, frontier: Frontier) -> None:
        self._frontier = frontier
        self._made: list[Node] = []

    def add(self, its_leaf: str) -> None:
        """Add an entry's leaf."""
        self._made += self._frontier.add(bytes.fromhex(its_leaf), least=KEPT_LEVEL)

    def keep(self, *, seq: int, hash: str) -> None:  # noqa: A002  as the column is named
        """Store the tree, and the newest entry, in the caller's transaction."""
        self.keep_nodes()
        frontier = b"".join(self._frontier.hashes).hex()
        _KEEP_HEAD.execute(seq, hash, self._frontier.root().hex(), frontier)

    def keep_nodes(self) -> None:
        """Store the subtrees that were completed since the last time."""
        # Nothing that stands there already, whoever wrote it, may hold up an answer.
        EvidenceNode.insert_rows(
            _NODE,
            [(node.level, node.place, node.hash.hex()) for node in self._made],
            unique=_NODE[:2],
            replace=_NODE[2:],
        )
        self._made.clear()


_KEEP_HEAD = PreparedQuery(
    lambda seq, hash, root, frontier: EvidenceHead.update(  # noqa: A006  as the column is named
        seq=seq, hash=hash, root=root, frontier=frontier
    ),
    4,
)


def grow_tree() -> None:
    """Build the tree over a chain that has none yet, in the caller's transaction.

    An entry that is missing, or cannot be read, counts as zeros: it is for `verify` to find.
    """
    head = EvidenceHead.get()
    growth = Growth(Frontier())
    for first in range(1, head.seq + 1, STEP):
        last = min(first + STEP - 1, head.seq)
        leaves = {row["seq"]: leaf_of(row) for row in rows_between(first, last)}
        for seq in range(first, last + 1):
            growth.add(leaves.get(seq) or NOTHING_BEFORE)
        growth.keep_nodes()
    growth.keep(seq=head.seq, hash=head.hash)


def checkpoint() -> Checkpoint:
    """Return what fixes the chain as it is now, to be kept elsewhere."""
    head = EvidenceHead.get()
    return Checkpoint(seq=head.seq, hash=head.hash, root=head.root)


def checkpoint_at(seq: int) -> Checkpoint:
    """Return the checkpoint as it was right after an entry; raises Refused if the tree has gaps."""
    parts = perfect_parts(Range(0, seq))
    known = _hashes_of(parts)
    row: Evidence | None = Evidence.get_or_none(Evidence.seq == seq)
    if row is None or len(known) != len(parts):
        raise Refused(_GAPS)
    root = join([known[part] for part in parts])
    return Checkpoint(seq=seq, hash=row.hash, root=root.hex())


_GAPS = Said(
    "the chain has gaps, so nothing can be proved by it; see `repermit verify`", code="gaps"
)


def inclusion(seq: int, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the path (RFC 9162 §2.1.3) from an entry's leaf to a checkpoint's root, in hex.

    Raises Refused if the checkpoint does not reach to that entry, or the tree has gaps.
    """
    return Paths(checkpoint).path(seq)


class Paths:
    """The paths of many entries to one checkpoint: what was read for one serves its neighbours."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._leaves = lru_cache(_RUNS)(self._read_leaves)
        # A sixty-fourth of the entries at most, and as many again above them.
        self._large: dict[Range, bytes] = {}

    def path(self, seq: int) -> tuple[str, ...]:
        """Return the path of one entry, as `inclusion` does."""
        size = self._checkpoint.seq
        if not 1 <= seq <= size:
            raise Refused(
                "a checkpoint at entry %(size)s says nothing of entry %(seq)s",
                size=str(size),
                seq=str(seq),
            )
        return self._hashes(siblings(seq - 1, size))

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
        return self._hashes(additions(known.seq, self._checkpoint.seq))

    def _hashes(self, ranges: Sequence[Range]) -> tuple[str, ...]:
        parts = [perfect_parts(one) for one in ranges]
        self._learn([part for some in parts for part in some if not _is_small(part)])
        return tuple(join([self._hash(part) for part in some]).hex() for some in parts)

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
            found = root_of(read) if len(read) == part.end - part.start else None
        if found is None:
            raise Refused(_GAPS)
        return found

    def _read_leaves(self, run: int) -> list[bytes | None]:
        """Return the leaves of an aligned run, as far as the checkpoint reaches; None for gaps."""
        first = (run << KEPT_LEVEL) + 1
        last = min(first + (1 << KEPT_LEVEL) - 1, self._checkpoint.seq)
        leaves = {row["seq"]: leaf_of(row) for row in rows_between(first, last)}
        found = (leaves.get(seq) for seq in range(first, last + 1))
        return [bytes.fromhex(one) if one else None for one in found]


def check_inclusion(leaf: str, seq: int, path: Sequence[str], checkpoint: Checkpoint) -> bool:
    """Say whether a path proves that an entry with this leaf stands under a checkpoint's root.

    Pure; what is no hex of the right length proves nothing.
    """
    texts = (leaf, checkpoint.root, *path)
    if not all(map(is_hash, texts)):
        return False
    its_leaf, root, *steps = map(bytes.fromhex, texts)
    return leads_to(root, its_leaf, seq - 1, checkpoint.seq, steps)


def consistency(known: Checkpoint, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what shows a third party that one checkpoint goes on from an earlier one.

    Raises Refused as `Paths.from_earlier` does.
    """
    path = Paths(checkpoint).from_earlier(known)
    return {"earlier": {"seq": known.seq, "root": known.root}, "path": list(path)}


def check_consistency(shown: Mapping[str, Any], checkpoint: Checkpoint) -> bool:
    """Say whether what `consistency` returned proves that a checkpoint goes on from the earlier.

    Pure. Raises what a document of another form raises.
    """
    seq, texts = shown["earlier"]["seq"], (shown["earlier"]["root"], *shown["path"])
    if type(seq) is not int or not all(map(is_hash, (*texts, checkpoint.root))):
        return False
    older, *path = map(bytes.fromhex, texts)
    root = bytes.fromhex(checkpoint.root)
    return goes_on(root, checkpoint.seq, path, older=older, first=seq)


def _hashes_of(parts: Sequence[Range]) -> dict[Range, bytes]:
    """Return the hashes of perfect subtrees: the large ones as kept, the small ones made anew."""
    small = list(filter(_is_small, parts))
    large = [part for part in parts if part not in small]
    return _kept(large) | _made(small)


def _is_small(part: Range) -> bool:
    return part.end - part.start < 1 << KEPT_LEVEL


def _kept(parts: Sequence[Range]) -> dict[Range, bytes]:
    wanted = {node_at(part): part for part in parts}
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
        leaves = [leaf_of(row) for row in rows_between(part.start + 1, part.end)]
        read = [bytes.fromhex(one) for one in leaves if one]
        if len(read) == part.end - part.start:
            made[part] = root_of(read)
    return made
