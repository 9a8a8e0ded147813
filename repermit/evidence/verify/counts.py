"""Whether the counts that the database keeps, also by day, are what rows and entries say.

What pages and papers show is read from these counts.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate, chain, groupby
from operator import itemgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from peewee import DoesNotExist, Value, fn

from repermit.db.background_tasks import BackgroundTask, TaskKind
from repermit.db.connection import position, proxy, streamed
from repermit.db.journal_seal import JOURNAL_SEALED_SINCE, what_is_cut
from repermit.db.lost_suppressions import lost_suppressions
from repermit.db.models.base import Meta, read_moment, stored
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.mails import Mail
from repermit.db.row_counts import Tally, changed_counts
from repermit.evidence.chain_reader import Part
from repermit.evidence.verify.diagnosis import Fault, How

TALLIED_UPTO = "tallied_upto"
"""The fact under which a database keeps up to which entry answers and removals are tallied."""

_TURNS = ("confirmed", "removed")
_UNDOING = ("import_undone", "sign_up_undone")
_WHATS = ("", "yes", "no", "withdrawn", "no_response", "bounce", "complaint", "request")
_CODES = {what: code for code, what in enumerate(_WHATS)}

_Kind = tuple[str, int, str]
"""List, campaign and turn, by which tallies are kept: see Tally."""


class KeptCounts:
    """What the entries that are walked say of the counts that are kept of them."""

    def __init__(self) -> None:
        kept = Meta.get_or_none(Meta.key == TALLIED_UPTO)
        self._upto = int(kept.value) if kept else 0
        self._parts: Counter[tuple[str, str, bool]] = Counter()
        # The turn of each entry, one octet each, so that a million take a megabyte.
        self._turns = bytearray()
        self._days = TalliedDays(self._upto)
        self._untold: Counter[tuple[str, int]] = Counter()
        self._undoable: dict[tuple[str, str, str], int] = {}

    def take(self, row: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
        """Take in an entry with its parts, by their names."""
        for name in parts:
            self._parts[row["list"], name, row["subject"] != ""] += 1
        if row["seq"] <= self._upto:
            self._take_turn(row, parts)

    def faults(self) -> Iterator[Fault]:
        """Yield what is kept and is not so, once all entries are walked."""
        for table in changed_counts(proxy.obj, self._parts):
            yield Fault(0, How.MISCOUNTED, table)
        yield from self._of_tallies()

    def _take_turn(self, row: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
        self._turns.extend(bytes(row["seq"] - len(self._turns) + 1))
        if row["event"] not in (*_TURNS, *_UNDOING):
            return
        part = parts.get("consent")
        if part is None:
            if row["event"] in _TURNS:
                whose = row["list"], row["campaign"]
                self._untold[whose] += 1
                self._days.count_untallied(whose, row["seq"], row["at"])
            return
        # What is no JSON is altered, and that is a fault of its own.
        with suppress(ValueError, AttributeError):
            said = json.loads(part.json)
            if row["event"] in _TURNS:
                self._turn(row, said)
            else:
                self._undo(row, said)

    def _turn(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        what = said.get("reason") or ("yes" if said.get("answer") == "yes" else "")
        code = self._turns[row["seq"]] = _CODES.get(what, 0)
        if code and ("file" in said or "signed_up_at" in said):
            at = stored(read_moment(row["at"]))
            self._undoable[row["list"], row["subject"], at] = row["seq"]
        if code:
            self._days.count((row["list"], row["campaign"], what), row["seq"], row["at"])

    def _undo(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        at = said.get("imported_at") or said.get("confirmed_at", "")
        seq = self._undoable.pop((row["list"], row["subject"], at), None)
        if seq is not None:
            undone: Evidence = Evidence.get(Evidence.seq == seq)
            what = _WHATS[self._turns[seq]]
            self._turns[seq] = 0
            self._days.take_back((undone.list, undone.campaign, what), row["seq"], undone.at)

    def _of_tallies(self) -> Iterator[Fault]:
        if not self._days.is_zone_known:
            yield Fault(0, How.MISCOUNTED, "tally by day: in which time zone")
            return
        by_day: dict[_Kind, Counter[str]] = defaultdict(Counter)
        kept: Counter[_Kind] = Counter()
        for row in list(Tally.select()):
            kind = row.list, row.campaign, row.what
            if row.day:
                by_day[kind][row.day] += row.count
            else:
                kept[kind] += row.count
        for (slug, _, what), day in self._days.wrong(by_day):
            yield Fault(0, How.MISCOUNTED, f"tally by day: {slug}, {what}, {day}")
        real = self._standing()
        for kind in sorted(kept.keys() | real.keys()):
            # What a proof said whose time is over is counted still.
            untold = self._untold[kind[:2]]
            if not real[kind] - untold <= kept[kind] <= real[kind] + untold:
                yield Fault(0, How.MISCOUNTED, f"tally: {kind[0]}, {kind[2]}")

    def _standing(self) -> Counter[_Kind]:
        """Count where the people of each campaign came to stand last."""
        found: Counter[_Kind] = Counter()
        query: Any = (
            Evidence.select(Evidence.campaign, Evidence.subject, Evidence.list, Evidence.seq)
            .where(Evidence.event.in_(_TURNS), Evidence.campaign != 0, Evidence.seq <= self._upto)
            .order_by(Evidence.campaign, Evidence.subject, Evidence.seq)
        )
        for _, rows in groupby(streamed(query), itemgetter(0, 1)):
            told = [row for row in rows if self._turns[row[3]]]
            if told:
                campaign, _, slug, seq = told[-1]
                found[slug, campaign, _WHATS[self._turns[seq]]] += 1
        return found


# --- Whether each campaign has as many asks as its launch froze. ----------------------------------


@dataclass(frozen=True, kw_only=True)
class _Launch:
    """The entry `seq` of a launch on a list, which asked so many."""

    seq: int
    list: str
    at: str
    asked: int


@dataclass(frozen=True, kw_only=True)
class _TakenBack:
    """A file of which so many contacts were deleted, as the entry `seq` says, None if not yet."""

    seq: int | None
    list: str
    imported_at: str
    contacts: int

    def reduces(self, launch: _Launch) -> bool:
        """Say whether there may be people among them whom a launch had asked."""
        is_later = self.seq is None or self.seq > launch.seq
        return is_later and self.list == launch.list and self.imported_at < launch.at


class Audiences:
    """How many the launches that are walked have asked."""

    def __init__(self) -> None:
        self._launches: dict[int, _Launch] = {}
        self._taken_back: list[_TakenBack] = []

    def take(self, row: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
        """Take in an entry with its parts, by their names."""
        if row["event"] not in ("launched", "import_undone") or "consent" not in parts:
            return
        # What is no JSON is altered, and that is a fault of its own.
        with suppress(ValueError):
            said = json.loads(parts["consent"].json)
            if row["event"] == "import_undone":
                self._take_back(row, said)
            elif "asked" in said:
                self._launches[row["campaign"]] = _Launch(
                    seq=row["seq"],
                    list=row["list"],
                    at=stored(read_moment(row["at"])),
                    asked=said["asked"],
                )

    def faults(self) -> Iterator[Fault]:
        """Yield the launches of which there are fewer asks or more, once all entries are walked."""
        there = dict(_asks().tuples())
        gone = [*self._taken_back, *_under_way()]
        for campaign, launch in self._launches.items():
            count = there.get(campaign, 0)
            fewest = launch.asked - sum(one.contacts for one in gone if one.reduces(launch))
            if not fewest <= count <= launch.asked:
                what = f"campaign {campaign}: {launch.asked:,} were asked, and {count:,} are there"
                yield Fault(launch.seq, How.CONTRADICTED, what)

    def _take_back(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        if not row["subject"]:
            self._taken_back.append(
                _TakenBack(
                    seq=row["seq"],
                    list=row["list"],
                    imported_at=said.get("imported_at", ""),
                    contacts=said.get("contacts", 0),
                )
            )


def _asks() -> Any:
    """Return how many asks each campaign has to people who are there."""
    return (
        Mail.select(Mail.campaign, fn.COUNT(Mail.id))
        .join(Contact, on=(Contact.id == Mail.contact))
        .where(Mail.kind == "ask", Mail.campaign.is_null(is_null=False))
        .group_by(Mail.campaign)
    )


def _under_way() -> Iterable[_TakenBack]:
    """Return the files that are being taken back."""
    tasks = BackgroundTask.select().where(BackgroundTask.kind == TaskKind.UNDO_IMPORT)
    for task in list(tasks):
        record = Import.select(Import.at).where(Import.id == task.target).get()
        yield _TakenBack(
            seq=None,
            list=task.list.slug,
            imported_at=stored(record.at),
            contacts=task.state["contacts"],
        )


# --- Whether the journal of suppressions is whole. ------------------------------------------------


def journal_findings(key: bytes | None, size: int) -> Iterator[Fault]:
    """Yield what the journal lacks, and whom it alone still knows; nothing without a journal.

    - `size`: octets that it had before the database was read as it is seen here.
    """
    journal = proxy.obj.journal
    if journal is None:
        return
    if what := what_is_cut(journal, noted=_count_noted()):
        yield Fault(0, How.JOURNAL_CUT, what)
    if key is None:
        return
    for one in lost_suppressions(key=key, size=size):
        own = (Evidence.subject == one.subject, Evidence.list == one.list)
        seq = Evidence.select(fn.MAX(Evidence.seq)).where(*own).scalar() or 0
        yield Fault(seq, How.SUPPRESSION_DELETED, f"{one.list}, line {one.line} of the journal")


def _count_noted() -> int:
    """Count the entries each of which came with a line of the journal that the database sealed.

    Those since the database was restored, or came from a version that sealed nothing, of which also
    a launch may have been under way.
    """
    row = Meta.get_or_none(Meta.key == JOURNAL_SEALED_SINCE)
    since = [Evidence.seq > int(row.value)] if row else []
    restored = Evidence.select().where(Evidence.event == "restored").order_by(Evidence.seq.desc())
    if last := restored.first():
        since += [Evidence.seq > last.seq, Evidence.at > last.at]
    events = ("removed",) if row else ("removed", "launched")
    count: int = Evidence.select().where(Evidence.event.in_(events), *since).count()
    return count


# --- Whether answers and removals are counted on the days of their entries. -----------------------


TALLIED_IN = "tallied_in"
"""The fact under which a database keeps in which time zone it first counted days, and since when.

JSON: `after` is the entry after which that was, and `zone` its name, "" before the first count.
"""

TALLIED_AFTER = "tallied_after"
"""What an entry `settings_changed` has that tells of days counted in another time zone since."""

_WESTMOST, _EASTMOST = timedelta(hours=-12), timedelta(hours=14)
_MINUTE = len("2026-03-02T09:00")

_TalliedKind = tuple[str, int, str]
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
        self._counted: dict[_TalliedKind, Counter[_Window]] = defaultdict(Counter)
        self._taken_back: dict[_TalliedKind, Counter[_Window]] = defaultdict(Counter)
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

    def count(self, kind: _TalliedKind, seq: int, at: Any) -> None:
        """Count a turn of the entry `seq`, of the moment `at`."""
        self._counted[kind][self._window(seq, at)] += 1

    def take_back(self, kind: _TalliedKind, seq: int, at: Any) -> None:
        """Count one less of the moment `at`, as the entry `seq` says."""
        self._taken_back[kind][self._window(seq, at)] += 1

    def count_untallied(self, whose: tuple[str, int], seq: int, at: Any) -> None:
        """Count an entry that no longer says which turn it was; `whose` is list and campaign."""
        self._untold[whose][self._window(seq, at)] += 1

    def wrong(
        self, kept: Mapping[_TalliedKind, Mapping[str, int]]
    ) -> Iterator[tuple[_TalliedKind, str]]:
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

    def _first_wrong(self, kind: _TalliedKind, kept: Mapping[str, int]) -> str | None:
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
