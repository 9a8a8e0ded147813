"""Counts of a great many rows, kept for a moment: pages are looked at more often than they change.

May import nothing of repermit. What is kept stays in this process.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

_Key = TypeVar("_Key")

_MANY = 100_000
_SECONDS = 5.0


@dataclass(frozen=True)
class _Kept:
    counts: Mapping[Any, int]
    until: float


class Memory:
    """Remembers counts, by what they are about; `many` rows are many, and kept for `seconds`."""

    def __init__(self, *, many: int = _MANY, seconds: float = _SECONDS) -> None:
        self._many = many
        self._seconds = seconds
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def recall(
        self, about: Hashable, count: Callable[[], Mapping[_Key, int]]
    ) -> Mapping[_Key, int]:
        """Return the counts; few rows are always counted anew."""
        now = time.monotonic()
        with self._lock:
            kept = self._kept.get(about)
        if kept is not None and now < kept.until:
            return kept.counts
        counts = count()
        if sum(counts.values()) >= self._many:
            with self._lock:
                self._kept[about] = _Kept(counts, time.monotonic() + self._seconds)
        return counts
