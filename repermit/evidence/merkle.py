"""The Merkle tree of RFC 9162 §2.1: root, growth, inclusion and consistency proofs. Pure.

A leaf of the tree is the leaf of an entry, 32 bytes. Places count from 0, so entry `seq` has place
`seq - 1`. Hashes are bytes here, and hex everywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

SIZE = 32
"""The number of bytes of a hash."""

EMPTY_ROOT = hashlib.sha256().hexdigest()
"""The root of a tree without leaves, in hex."""


def hash_leaf(leaf: bytes) -> bytes:
    """Return the hash of a leaf; its prefix keeps it different from the hash of any node."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node with these two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Node(NamedTuple):
    """A perfect subtree: the 2^level leaves that begin at leaf place · 2^level."""

    level: int
    place: int
    hash: bytes


class Range(NamedTuple):
    """The leaves from `start` up to, but not including, `end`."""

    start: int
    end: int


@dataclass
class Frontier:
    """The roots of the perfect subtrees that make up a tree of `size` leaves, the largest first.

    Nothing else is needed to append leaves (a "compact range"). There is one root for each 1 in the
    binary form of the size.
    """

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes, *, min_level: int = 1) -> list[Node]:
        """Append a leaf; return the perfect subtrees that it completes, the smallest first.

        - `min_level`: leaves out subtrees below this level.
        """
        level, place, node = 0, self.size, hash_leaf(leaf)
        completed = []
        while place & 1:
            level, place, node = level + 1, place >> 1, hash_node(self.hashes.pop(), node)
            if level >= min_level:
                completed.append(Node(level, place, node))
        self.hashes.append(node)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the root of the tree."""
        return combine_hashes(self.hashes)


def compute_root(leaves: Iterable[bytes]) -> bytes:
    """Return the root of the tree over leaves."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root()


def locate_node(part: Range) -> tuple[int, int]:
    """Return the level and the place of a perfect subtree."""
    level = (part.end - part.start).bit_length() - 1
    return level, part.start >> level


def combine_hashes(hashes: Sequence[bytes]) -> bytes:
    """Return the root over neighbouring perfect subtrees, the largest first."""
    if not hashes:
        return bytes.fromhex(EMPTY_ROOT)
    *others, combined = hashes
    for left in reversed(others):
        combined = hash_node(left, combined)
    return combined


def split_into_perfect_subtrees(leaves: Range) -> list[Range]:
    """Return the perfect subtrees that make up a range of leaves, from left to right.

    - `leaves`: begins at a multiple of the size of the largest of these subtrees.
    """
    width = leaves.end - leaves.start
    sizes = [1 << level for level in reversed(range(width.bit_length())) if width >> level & 1]
    bounds = [leaves.start]
    for size in sizes:
        bounds.append(bounds[-1] + size)
    return [Range(*pair) for pair in pairwise(bounds)]


def list_inclusion_path(place: int, size: int) -> list[Range]:
    """Return the subtrees whose roots are the inclusion path of a leaf, the nearest first.

    RFC 9162 §2.1.3.1. `place` must lie in a tree of `size` leaves.
    """
    path: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if place < middle:
            path.append(Range(middle, end))
            end = middle
        else:
            path.append(Range(start, middle))
            start = middle
    return path[::-1]


def verify_inclusion(
    root: bytes, leaf: bytes, place: int, size: int, path: Sequence[bytes]
) -> bool:
    """Say whether a path proves that the tree with this root has a leaf at a place.

    RFC 9162 §2.1.3.2.
    """
    if not 0 <= place < size:
        return False
    index, last, computed = place, size - 1, hash_leaf(leaf)
    for sibling in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            computed = hash_node(sibling, computed)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            computed = hash_node(computed, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and computed == root


def list_consistency_path(first: int, size: int) -> list[Range]:
    """Return the subtrees whose roots prove that a tree extends its first `first` leaves.

    RFC 9162 §2.1.4.1, in its order. `first` is at least 1 and at most `size`.
    """
    path: list[Range] = []
    start, end = 0, size
    while first < end:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if first <= middle:
            path.append(Range(middle, end))
            end = middle
        else:
            path.append(Range(start, middle))
            start = middle
    # A subtree that is the whole older tree is left out: the verifier knows its root.
    return [*([Range(start, end)] if start else []), *path[::-1]]


def verify_consistency(
    root: bytes, size: int, path: Sequence[bytes], *, older: bytes, first: int
) -> bool:
    """Say whether a path proves that a tree extends the one with root `older`, of `first` leaves.

    RFC 9162 §2.1.4.2.
    """
    if not 0 < first < size:
        return first == size > 0 and not path and older == root
    index, last = first - 1, size - 1
    steps = [older, *path] if first.bit_count() == 1 else list(path)
    while index & 1:
        index, last = index >> 1, last >> 1
    if not steps:
        return False
    old_root = new_root = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            old_root, new_root = hash_node(sibling, old_root), hash_node(sibling, new_root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            new_root = hash_node(new_root, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and old_root == older and new_root == root
