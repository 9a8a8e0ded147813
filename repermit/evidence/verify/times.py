"""Whether the times of entries and rows have come, and those of entries follow one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from repermit.clock import format_timestamp
from repermit.db.background_tasks import BackgroundTask
from repermit.db.connection import is_postgresql, proxy
from repermit.db.models.base import Table, parse_timestamp
from repermit.db.models.campaigns import Campaign, HandedOver
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidenceTimestamp
from repermit.db.models.imports import Import
from repermit.db.models.mails import Mail
from repermit.evidence.verify.diagnosis import Fault, How

AHEAD = timedelta(minutes=5)
"""By so much the clocks of several machines may differ."""

BEHIND_OF_PEOPLE = timedelta(minutes=10)
"""An answer has the time at which it came in, and may wait for its turn for a while."""

BEHIND = timedelta(hours=1)
"""An act of an admin or a job has the time at which it began, and may take a while."""

PEOPLE = ("person", "reader")
"""The actors who answer, and wait for their turn; all else is an act of an admin or a job."""

# Acts that have the time of their beginning, however long they take: reading a large file, or
# launching, taking back and deciding on mails in doubt in steps that go on after a kill.
_LONG_ACTS = (
    "imported",
    "import_undone",
    "suppressions_imported",
    "launched",
    "archived",
    "resolved",
)


def tolerance(actor: str) -> timedelta:
    """Return how much earlier than the entries before it the time of an actor's entry may be."""
    return BEHIND_OF_PEOPLE if actor in PEOPLE else BEHIND


class EntryTimes:
    """The times of the entries that are walked, in their order.

    - `now`: the present time; with None nothing is in the future.
    """

    def __init__(self, now: datetime | None) -> None:
        self._latest_allowed = None if now is None else _database_value(now + AHEAD)
        self._first: Any = None
        self._latest: Any = None
        self._late: list[Mapping[str, Any]] = []

    def apply_entry(self, row: Mapping[str, Any]) -> Fault | None:
        """Note the time of the next entry; return a fault if it is in the future."""
        at = row["at"]
        if self._first is None:
            self._first = at
        if self._latest is None or at >= self._latest:
            self._latest = at
            if self._latest_allowed is not None and at > self._latest_allowed:
                return Fault(row["seq"], How.IN_THE_FUTURE, format_timestamp(parse_timestamp(at)))
        elif parse_timestamp(self._latest) - parse_timestamp(at) > tolerance(row["actor"]):
            self._late.append(row)
        return None

    def faults(self) -> Iterator[Fault]:
        """Yield the entries whose time is too early for their place, once all are walked."""
        if not self._late:
            return
        long_acts = _beginnings_of_long_acts()
        earliest = parse_timestamp(self._first) - BEHIND
        for row in self._late:
            moment = parse_timestamp(row["at"])
            at = format_timestamp(moment)
            # A long act is its entry, and those of people that it makes; not what they do
            # themselves. None is older than the record.
            is_part = row["subject"] or row["event"] in _LONG_ACTS
            may_be_long = is_part and row["actor"] not in PEOPLE and moment >= earliest
            if not may_be_long or (row["list"], at) not in long_acts:
                yield Fault(row["seq"], How.OUT_OF_ORDER, at)


_PAST: Mapping[type[Table], tuple[str, ...]] = {
    Contact: ("status_at", "erased_at"),
    Suppression: ("at",),
    SignUp: ("at", "confirmed_at", "declined_at", "doubted_at"),
    Opening: ("yes_last_at", "no_last_at", "yes_at", "no_at", "held_at", "began_at"),
    Campaign: ("launched_at", "opened_at", "closed_at", "reminded_at"),
    Mail: ("started_at", "sent_at", "bounced_at"),
    Import: ("at", "undone_at"),
    HandedOver: ("at",),
    EvidenceTimestamp: ("stamped_at",),
}
"""The columns that tell when something happened."""


def moments_to_come(now: datetime | None) -> Iterator[Fault]:
    """Yield the columns of tables that tell of something later than the present time."""
    if now is None:
        return
    for table, names in _PAST.items():
        columns = [getattr(table, name) for name in names]
        later = table.select(*columns).where(_any_after(columns, now + AHEAD)).limit(1).dicts()
        for row in list(later):
            name = next(
                name for name, at in row.items() if at and parse_timestamp(at) > now + AHEAD
            )
            what = f"{table._meta.table_name}: {name}"  # noqa: SLF001  peewee's own way
            yield Fault(0, How.IN_THE_FUTURE, what)


def _any_after(columns: Sequence[Any], latest: datetime) -> Any:
    return reduce(or_, (column > latest for column in columns))


def _database_value(at: datetime) -> Any:
    """Return a time as the database gives it unread."""
    return at if is_postgresql(proxy.obj) else format_timestamp(at)


def _beginnings_of_long_acts() -> set[tuple[str, str]]:
    """Return list and beginning of each act that may take long, done or under way."""
    entries: Any = Evidence.select(Evidence.list, Evidence.at).where(
        Evidence.event.in_(_LONG_ACTS), Evidence.subject == ""
    )
    done = {(slug, format_timestamp(at)) for slug, at in entries.tuples().iterator()}
    return done | {(task.list.slug, format_timestamp(task.at)) for task in BackgroundTask.select()}
