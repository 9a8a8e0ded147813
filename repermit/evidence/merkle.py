"""The Merkle tree of RFC 9162 §2.1: root, growth, paths to a leaf and from an older root. Pure.

A leaf of the tree is the leaf of an entry, 32 bytes; places count from 0, so entry `seq` stands at
place `seq - 1`. Hashes are bytes here, and hex everywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

SIZE = 32
"""Octets of a hash."""

EMPTY_ROOT = hashlib.sha256().hexdigest()
"""The root of a tree without leaves, in hex."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf; its prefix tells it from a node's."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Node(NamedTuple):
    """A perfect subtree: the 2^level leaves from place · 2^level on."""

    level: int
    place: int
    hash: bytes


class Range(NamedTuple):
    """The leaves from `start` up to `end`, without it."""

    start: int
    end: int


@dataclass
class Frontier:
    """The perfect subtrees of which a tree of `size` leaves consists, the largest first.

    They are all that is needed to let it grow (a "compact range"), one for each 1 in the binary
    form of its size.
    """

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def add(self, leaf: bytes, *, least: int = 1) -> list[Node]:
        """Append a leaf; return the perfect subtrees that it completes, the smallest first.

        But for those below the level `least`.
        """
        level, place, found = 0, self.size, leaf_hash(leaf)
        completed = []
        while place & 1:
            level, place, found = level + 1, place >> 1, node_hash(self.hashes.pop(), found)
            if level >= least:
                completed.append(Node(level, place, found))
        self.hashes.append(found)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the root of the tree."""
        return combine_hashes(self.hashes)


def compute_root(leaves: Iterable[bytes]) -> bytes:
    """Return the root of the tree over these leaves."""
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
    *others, found = hashes
    for left in reversed(others):
        found = node_hash(left, found)
    return found


def split_into_perfect_subtrees(leaves: Range) -> list[Range]:
    """Return the perfect subtrees that make up a subtree of a tree, from left to right.

    A subtree begins at a multiple of the largest of them.
    """
    width = leaves.end - leaves.start
    sizes = [1 << level for level in reversed(range(width.bit_length())) if width >> level & 1]
    bounds = [leaves.start]
    for size in sizes:
        bounds.append(bounds[-1] + size)
    return [Range(*pair) for pair in pairwise(bounds)]


def list_inclusion_path(place: int, size: int) -> list[Range]:
    """Return the subtrees whose roots are the path from a leaf to the root, the nearest first.

    RFC 9162 §2.1.3.1. `place` must lie in a tree of `size` leaves.
    """
    found: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if place < middle:
            found.append(Range(middle, end))
            end = middle
        else:
            found.append(Range(start, middle))
            start = middle
    return found[::-1]


def verify_inclusion(
    root: bytes, leaf: bytes, place: int, size: int, path: Sequence[bytes]
) -> bool:
    """Say whether a path proves that a leaf stands at a place of the tree with this root.

    RFC 9162 §2.1.3.2.
    """
    if not 0 <= place < size:
        return False
    index, last, found = place, size - 1, leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            found = node_hash(sibling, found)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and found == root


def list_consistency_path(first: int, size: int) -> list[Range]:
    """Return the subtrees whose roots show that a tree goes on from its first `first` leaves.

    RFC 9162 §2.1.4.1, in its order. `first` must be one at least, and `size` no fewer.
    """
    found: list[Range] = []
    start, end = 0, size
    while first < end:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if first <= middle:
            found.append(Range(middle, end))
            end = middle
        else:
            found.append(Range(start, middle))
            start = middle
    # What is the whole of the older tree needs no telling: its root is known.
    return [*([Range(start, end)] if start else []), *found[::-1]]


def verify_consistency(
    root: bytes, size: int, path: Sequence[bytes], *, older: bytes, first: int
) -> bool:
    """Say whether a path proves that a tree goes on from the older root over `first` leaves.

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
    was = found = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            was, found = node_hash(sibling, was), node_hash(sibling, found)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and was == older and found == root
