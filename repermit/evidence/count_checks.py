"""Whether the counts that the database keeps are what its rows and entries say.

What pages and papers show is read from these counts.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from peewee import fn

from repermit.db.background_tasks import BackgroundTask, TaskKind
from repermit.db.connection import proxy, streamed
from repermit.db.journal_seal import JOURNAL_SEALED_SINCE, what_is_cut
from repermit.db.lost_suppressions import lost_suppressions
from repermit.db.models.base import Meta, read_moment, stored
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.mails import Mail
from repermit.db.row_counts import Tally, changed_counts
from repermit.evidence.chain_reader import Part
from repermit.evidence.diagnosis import Fault, How
from repermit.evidence.tallied_days import TalliedDays

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
