"""Whether the times of entries have come, and follow one another.

May import models and this room's faults.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from repermit.evidence.faults import Fault, How
from repermit.models import BackgroundTask, Evidence, is_postgresql, proxy, read_moment, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

AHEAD = timedelta(minutes=5)
"""By so much the clocks of several machines may differ."""

BEHIND_OF_PEOPLE = timedelta(minutes=10)
"""An answer has the time at which it came in, and may wait for its turn for a while."""

BEHIND = timedelta(hours=1)
"""An act of an admin or a job has the time at which it began, and may take a while."""

_PEOPLE = ("person", "reader")
# Acts that have the time of their beginning, however long they take: reading a large file, or
# launching and taking back in steps that go on after a kill.
_LONG_ACTS = ("imported", "import_undone", "suppressions_imported", "launched", "archived")


def tolerance(actor: str) -> timedelta:
    """Return how much earlier than the entries before it the time of an actor's entry may be."""
    return BEHIND_OF_PEOPLE if actor in _PEOPLE else BEHIND


class EntryTimes:
    """The times of the entries that are walked, in their order.

    `now` is the present moment; None if nobody tells it, and then nothing is in the future.
    """

    def __init__(self, now: datetime | None) -> None:
        self._latest_allowed = None if now is None else _raw(now + AHEAD)
        self._latest: Any = None
        self._late: list[Mapping[str, Any]] = []

    def take(self, row: Mapping[str, Any]) -> Fault | None:
        """Take the time of the next entry; return a fault if it is in the future."""
        at = row["at"]
        if self._latest is None or at >= self._latest:
            self._latest = at
            if self._latest_allowed is not None and at > self._latest_allowed:
                return Fault(row["seq"], How.IN_THE_FUTURE, f"{stored(read_moment(at))}")
        elif read_moment(self._latest) - read_moment(at) > tolerance(row["actor"]):
            self._late.append(row)
        return None

    def faults(self) -> Iterator[Fault]:
        """Yield the entries whose time is too early for their place, once all are walked."""
        if not self._late:
            return
        long_acts = _beginnings_of_long_acts()
        for row in self._late:
            if (row["list"], stored(read_moment(row["at"]))) not in long_acts:
                at = stored(read_moment(row["at"]))
                yield Fault(row["seq"], How.OUT_OF_ORDER, at)


def _raw(moment: datetime) -> Any:
    """Return a moment as the database gives it unread."""
    return moment if is_postgresql(proxy.obj) else stored(moment)


def _beginnings_of_long_acts() -> set[tuple[str, str]]:
    """Return list and beginning of each act that may take long, done or under way."""
    done: Any = Evidence.select(Evidence.list, Evidence.at).where(
        Evidence.event.in_(_LONG_ACTS), Evidence.subject == ""
    )
    found = {(slug, stored(at)) for slug, at in done.tuples().iterator()}
    return found | {(row.list.slug, stored(row.at)) for row in BackgroundTask.select()}
