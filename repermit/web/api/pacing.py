"""How often a program may ask, or a network sign people up: so many a minute, with a small burst.

Imports nothing of repermit. It is kept in memory: what it saves is work and strangers' mailboxes,
and a token has too many bits to be guessed at any rate.
"""

from __future__ import annotations

import math
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

PER_MINUTE = 120
BURST = 60

_EACH = timedelta(minutes=1) / PER_MINUTE
_MOST_KEPT = 10_000


class Allowances:
    """What each asker has left; one for the whole application, used by many threads."""

    def __init__(self, *, burst: int = BURST, each: timedelta = _EACH) -> None:
        self._each = each
        self._room = burst * each
        self._lock = threading.Lock()
        self._full_at: dict[str, datetime] = {}

    def take(self, asker: str, *, now: datetime) -> int:
        """Take one request; return 0, or how many seconds to wait if there is none left."""
        with self._lock:
            if len(self._full_at) >= _MOST_KEPT:
                self._full_at = {who: at for who, at in self._full_at.items() if at > now}
            full_at = max(self._full_at.get(asker, now), now) + self._each
            wait = full_at - now - self._room
            if wait > timedelta(0):
                return math.ceil(wait.total_seconds())
            self._full_at[asker] = full_at
            return 0
