"""Checking that no time is in the future, and that the times of entries are in order."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from repermit.clock import format_timestamp
from repermit.db.background_tasks import BackgroundTask, TaskKind
from repermit.db.connection import is_postgresql, proxy
from repermit.db.models.base import Table, parse_timestamp
from repermit.db.models.campaigns import Campaign, HandedOver
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidenceTimestamp
from repermit.db.models.imports import Import
from repermit.db.models.mails import Mail
from repermit.evidence.chain_reader import EntryPart, read_consent, read_consents
from repermit.evidence.verify.diagnosis import Fault, How

AHEAD = timedelta(minutes=5)
"""The maximum difference between the clocks of several machines."""

BEHIND_OF_PEOPLE = timedelta(minutes=10)
"""An entry of an answer has the time of its arrival, and may be appended this much later."""

BEHIND = timedelta(hours=1)
"""An entry of an admin or a job has the time of its beginning, and may come this much later."""

PEOPLE = ("person", "reader")
"""The actors who answer; every other actor is an admin or a job."""

# Acts whose entries have the time of the beginning, however long they take: reading a large file,
# or launching, undoing and resolving in steps that continue after a kill.
_LONG_ACTS = (
    "imported",
    "import_undone",
    "suppressions_imported",
    "launched",
    "archived",
    "resolved",
)


def get_tolerance(actor: str) -> timedelta:
    """Return how much earlier than the entries before it an actor's entry may be."""
    return BEHIND_OF_PEOPLE if actor in PEOPLE else BEHIND


class _LateEntry(NamedTuple):
    """An entry whose time is earlier than that of an entry before it.

    - `file`: the digest of the file that it names; "" for none; None if the part was erased.
    """

    seq: int
    at: datetime
    event: str
    list: str
    actor: str
    subject: str
    file: str | None


class _LongAct(NamedTuple):
    """An act that may take long.

    - `seq`: its own entry, which comes last.
    - `file`: the file that this entry names; "" for none; None while the act is under way.
    """

    seq: int
    file: str | None

    def has_part(self, entry: _LateEntry) -> bool:
        """Say whether an entry of the same time may be one that the act made about a contact."""
        files = entry.file, self.file
        is_of_file = "" not in files and (None in files or entry.file == self.file)
        return is_of_file and entry.seq <= self.seq


class EntryTimes:
    """The times of the entries that are walked, in their order.

    - `now`: the present time; with None nothing is in the future.
    """

    def __init__(self, now: datetime | None) -> None:
        self._latest_allowed = None if now is None else _make_database_value(now + AHEAD)
        self._first: Any = None
        self._latest: Any = None
        self._late: list[_LateEntry] = []

    def apply_entry(self, row: Mapping[str, Any], parts: Mapping[str, EntryPart]) -> Fault | None:
        """Apply the next entry; return a fault if its time is in the future."""
        at = row["at"]
        if self._first is None:
            self._first = at
        if self._latest is None or at >= self._latest:
            self._latest = at
            if self._latest_allowed is not None and at > self._latest_allowed:
                return Fault(row["seq"], How.IN_THE_FUTURE, format_timestamp(parse_timestamp(at)))
        elif parse_timestamp(self._latest) - parse_timestamp(at) > get_tolerance(row["actor"]):
            names = ("event", "list", "actor", "subject")
            values = {name: row[name] for name in names} | {"file": _read_file(row, parts)}
            self._late.append(_LateEntry(seq=row["seq"], at=parse_timestamp(at), **values))
        return None

    def find_faults(self) -> Iterator[Fault]:
        """Yield the entries whose time is too early for their place, once all are walked."""
        if not self._late:
            return
        long_acts = _find_long_acts()
        earliest = parse_timestamp(self._first) - BEHIND
        for late in self._late:
            at = format_timestamp(late.at)
            acts = long_acts[late.list, at, late.actor]
            # Only the entry of a long act, and those about contacts that it made before, may be
            # late; answers and single acts of admins may not. No act is older than the record.
            is_act = not late.subject and late.event in _LONG_ACTS
            is_part = any(act.has_part(late) for act in acts)
            if late.actor in PEOPLE or late.at < earliest or not (is_act or is_part):
                yield Fault(late.seq, How.OUT_OF_ORDER, at)


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
"""The columns with the time of a past event."""


def check_future_times(now: datetime | None) -> Iterator[Fault]:
    """Yield the columns that have a time in the future, one fault per table."""
    if now is None:
        return
    for table, names in _PAST.items():
        columns = [getattr(table, name) for name in names]
        later = (
            table.select(*columns)
            .where(_make_any_after_condition(columns, now + AHEAD))
            .limit(1)
            .dicts()
        )
        for row in list(later):
            name = next(
                name for name, at in row.items() if at and parse_timestamp(at) > now + AHEAD
            )
            detail = f"{table._meta.table_name}: {name}"  # noqa: SLF001  peewee's own way
            yield Fault(0, How.IN_THE_FUTURE, detail)


def _make_any_after_condition(columns: Sequence[Any], latest: datetime) -> Any:
    return reduce(or_, (column > latest for column in columns))


def _make_database_value(at: datetime) -> Any:
    """Return a time as the database's driver gives it, without conversion."""
    return at if is_postgresql(proxy.obj) else format_timestamp(at)


def _read_file(row: Mapping[str, Any], parts: Mapping[str, EntryPart]) -> str | None:
    """Return the digest of the file that an entry names; "" for none, None if it was erased."""
    consent = read_consent(parts)
    if consent is None:
        return None if row["consent"] else ""
    return str(consent.get("file", ""))


def _find_long_acts() -> Mapping[tuple[str, str, str], list[_LongAct]]:
    """Return the long acts, done or under way, by list, beginning and actor."""
    acts: dict[tuple[str, str, str], list[_LongAct]] = defaultdict(list)
    query: Any = Evidence.select(Evidence.seq, Evidence.list, Evidence.at, Evidence.actor).where(
        Evidence.event.in_(_LONG_ACTS), Evidence.subject == ""
    )
    done = list(query.tuples())
    consents = read_consents(seq for seq, *_ in done)
    for seq, slug, at, actor in done:
        act = _LongAct(seq, consents.get(seq, {}).get("file", ""))
        acts[slug, format_timestamp(at), actor].append(act)
    tasks = BackgroundTask.select().where(BackgroundTask.kind.in_(_KINDS_OF_FILES))
    for task in list(tasks):
        under_way = _LongAct(sys.maxsize, None)
        acts[task.list.slug, format_timestamp(task.at), task.actor].append(under_way)
    return acts


_KINDS_OF_FILES = (TaskKind.IMPORT, TaskKind.UNDO_IMPORT, TaskKind.IMPORT_SUPPRESSIONS)
