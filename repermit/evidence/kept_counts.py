"""Whether the counts that the database keeps are what its rows and entries say.

May import models and this room's faults. What pages and papers show is read from these counts.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from repermit.evidence.faults import Fault, How
from repermit.evidence.tallied_days import TalliedDays
from repermit.models import (
    Evidence,
    Meta,
    Tally,
    changed_counts,
    proxy,
    read_moment,
    stored,
    streamed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from repermit.evidence.reading import Part

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
                self._days.count_untold(whose, row["seq"], row["at"])
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
