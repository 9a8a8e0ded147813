"""How fast mails leave, as two looks at the page have it.

May import nothing of repermit. What a page saw before stays in this process, and nowhere else.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

_LONGEST = timedelta(minutes=2)
_SHORTEST = timedelta(seconds=2)


@dataclass(frozen=True)
class _Look:
    at: datetime
    sent: int


class Speed:
    """Remembers, for each campaign, how many mails had left at earlier looks."""

    def __init__(self) -> None:
        self._looks: dict[int, list[_Look]] = {}
        self._lock = threading.Lock()

    def per_second(self, campaign: int, *, sent: int, now: datetime) -> float | None:
        """Return how many leave in a second by now; None for a first look, or a standstill."""
        with self._lock:
            looks = [one for one in self._looks.get(campaign, []) if one.at >= now - _LONGEST]
            if not looks or now - looks[-1].at >= _SHORTEST:
                looks.append(_Look(now, sent))
            self._looks[campaign] = looks
        first = looks[0]
        took = (now - first.at).total_seconds()
        return (sent - first.sent) / took if took and sent > first.sent else None


def time_left(left: int, *, interval: timedelta, per_second: float | None) -> timedelta | None:
    """Return how long `left` mails take: by the rates of the settings, else as measured."""
    if interval:
        return left * interval
    return timedelta(seconds=left / per_second) if per_second else None
