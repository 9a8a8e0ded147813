"""Whether answers and removals are counted on the days of their entries."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from peewee import DoesNotExist, Value

from repermit.db.connection import position
from repermit.db.models.base import Meta, read_moment
from repermit.db.models.evidence import Evidence, EvidencePart

TALLIED_IN = "tallied_in"
"""The fact under which a database keeps in which time zone it first counted days, and since when.

JSON: `after` is the entry after which that was, and `zone` its name, "" before the first count.
"""

TALLIED_AFTER = "tallied_after"
"""What an entry `settings_changed` has that tells of days counted in another time zone since."""

_WESTMOST, _EASTMOST = timedelta(hours=-12), timedelta(hours=14)
_MINUTE = len("2026-03-02T09:00")

_Kind = tuple[str, int, str]
"""List, campaign and turn, by which tallies are kept: see Tally."""


def tallied_zones() -> list[tuple[int, str]]:
    """Return in which time zones days were counted, each after which entry, the first one first.

    "" stands for one that an earlier version did not keep. Raises ValueError if that is not known.
    """
    try:
        first = json.loads(Meta.get(Meta.key == TALLIED_IN).value)
        found = [(int(first["after"]), str(first["zone"]))]
        for (text,) in _changes().tuples():
            said = json.loads(text)
            found.append((int(said[TALLIED_AFTER]), str(said["values"]["timezone"][1])))
        for zone in filter(None, (zone for _, zone in found)):
            ZoneInfo(zone)
    except (DoesNotExist, LookupError, OSError, TypeError, ValueError):
        raise ValueError("in which time zone days were counted is not known") from None
    return found


class _Window(NamedTuple):
    """The first and the last day that a moment may have been; the same if the zone is known."""

    first: str
    last: str


class TalliedDays:
    """The days on which the entries that are walked are to be counted."""

    def __init__(self, upto: int) -> None:
        self.is_zone_known = True
        self._afters: list[int] = []
        self._zones: list[str] = []
        self._counted: dict[_Kind, Counter[_Window]] = defaultdict(Counter)
        self._taken_back: dict[_Kind, Counter[_Window]] = defaultdict(Counter)
        self._untold: dict[tuple[str, int], Counter[_Window]] = defaultdict(Counter)
        if not upto:
            return
        try:
            known = [(after, zone) for after, zone in tallied_zones() if zone]
        except ValueError:
            self.is_zone_known = False
        else:
            self._afters = [after for after, _ in known]
            self._zones = [zone for _, zone in known]

    def count(self, kind: _Kind, seq: int, at: Any) -> None:
        """Count a turn of the entry `seq`, of the moment `at`."""
        self._counted[kind][self._window(seq, at)] += 1

    def take_back(self, kind: _Kind, seq: int, at: Any) -> None:
        """Count one less of the moment `at`, as the entry `seq` says."""
        self._taken_back[kind][self._window(seq, at)] += 1

    def count_untallied(self, whose: tuple[str, int], seq: int, at: Any) -> None:
        """Count an entry that no longer says which turn it was; `whose` is list and campaign."""
        self._untold[whose][self._window(seq, at)] += 1

    def wrong(self, kept: Mapping[_Kind, Mapping[str, int]]) -> Iterator[tuple[_Kind, str]]:
        """Yield each kind whose kept counts by day cannot be right, with the first such day."""
        for kind in sorted({*kept, *self._counted}):
            day = self._first_wrong(kind, kept.get(kind, {}))
            if day is not None:
                yield kind, day

    def _window(self, seq: int, at: Any) -> _Window:
        # Every offset is of whole minutes, and many a thousand entries are of the same one.
        minute = at[:_MINUTE] if isinstance(at, str) else at.replace(second=0, microsecond=0)
        place = bisect_left(self._afters, seq) - 1
        return _window(minute, self._zones[place] if place >= 0 else "")

    def _first_wrong(self, kind: _Kind, kept: Mapping[str, int]) -> str | None:
        """Return the first day whose count, or whose sum up to there, is out of its bounds."""
        counted, back, untold = self._counted[kind], self._taken_back[kind], self._untold[kind[:2]]
        days = sorted({*kept, *chain.from_iterable(chain(counted, back, untold))})
        places = {day: place for place, day in enumerate(days)}
        least, most = _Bound(len(days)), _Bound(len(days))
        for (first, last), count in counted.items():
            most.add_anywhere(places[first], places[last], count)
            least.add_certain(places[first], places[last], count)
        for (first, last), count in back.items():
            most.add_certain(places[first], places[last], -count)
            least.add_anywhere(places[first], places[last], -count)
        for (first, last), count in untold.items():
            most.add_anywhere(places[first], places[last], count)
        found = [kept.get(day, 0) for day in days]
        bounds = zip(
            zip(least.by_day(), found, most.by_day(), strict=True),
            zip(least.up_to(), accumulate(found), most.up_to(), strict=True),
            strict=True,
        )
        for day, of_it in zip(days, bounds, strict=True):
            if any(not low <= count <= high for low, count, high in of_it):
                return str(day)
        return None


class _Bound:
    """How many there can be at the least, or at the most, on each day and up to it."""

    def __init__(self, days: int) -> None:
        self._by_day = [0] * (days + 1)
        self._up_to = [0] * days

    def add_anywhere(self, first: int, last: int, count: int) -> None:
        """Add what may be on any day from the first to the last."""
        self._by_day[first] += count
        self._by_day[last + 1] -= count
        self._up_to[first] += count

    def add_certain(self, first: int, last: int, count: int) -> None:
        """Add what is on a day for certain: that one alone, or else by the last."""
        if first == last:
            self._by_day[first] += count
            self._by_day[first + 1] -= count
        self._up_to[last] += count

    def by_day(self) -> Iterator[int]:
        """Return the bound for each day."""
        return accumulate(self._by_day[:-1])

    def up_to(self) -> Iterator[int]:
        """Return the bound for all days up to each."""
        return accumulate(self._up_to)


@lru_cache(maxsize=10_000)
def _window(minute: Any, zone: str) -> _Window:
    at = read_moment(minute if isinstance(minute, datetime) else f"{minute}+00:00")
    if zone:
        day = at.astimezone(ZoneInfo(zone)).date().isoformat()
        return _Window(day, day)
    first, last = ((at + offset).date().isoformat() for offset in (_WESTMOST, _EASTMOST))
    return _Window(first, last)


def _changes() -> Any:
    """Return what entries say of days that were counted in another time zone since."""
    return (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            # About nobody: the index of subjects finds them among a million answers.
            Evidence.subject == "",
            Evidence.event == "settings_changed",
            Evidence.actor == "job",
            EvidencePart.part == "consent",
            position(EvidencePart.json, Value(f'"{TALLIED_AFTER}":')) > 0,
        )
        .order_by(Evidence.seq)
    )
