"""Checking the stored counts and tallies against rows and entries.

Pages and reports show these counts.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from peewee import DoesNotExist, Value

from repermit.db.connection import proxy, stream_rows
from repermit.db.models.base import Meta
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.row_counts import Tally, find_changed_counts
from repermit.evidence.chain_reader import select_parts
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.evidence.verify.replay import TURN_EVENTS, ExpectedTallies, Replay, TallyKey

TALLIED_UPTO = "tallied_upto"
"""The key of `meta` for the last entry whose answer or removal is tallied."""

TALLIED_IN = "tallied_in"
"""The key of `meta` for the time zone in which the days of tallies were counted first.

JSON: `zone` is its name, "" before the first count; it counts for the entries after `after`.
"""

TALLIED_AFTER = "tallied_after"
"""The name in an entry `settings_changed` for the entry after which another time zone counts."""


def start_replay() -> Replay:
    """Return an empty replay for this database's tallies."""
    upto = Meta.read_number(TALLIED_UPTO) or 0
    return Replay(tallied_upto=upto, zones=_find_known_zones(upto) or [])


def check_counts(replay: Replay) -> Iterator[Fault]:
    """Yield the counts and tallies that are wrong, once all entries are replayed."""
    for table in find_changed_counts(proxy.obj, replay.parts):
        yield Fault(0, How.MISCOUNTED, table)
    tallies = replay.tallies
    if tallies.upto and not Evidence.select().where(Evidence.seq == tallies.upto).exists():
        yield Fault(0, How.MISCOUNTED, "tally: up to which entry")
        return
    if _find_known_zones(tallies.upto) is None:
        yield Fault(0, How.MISCOUNTED, "tally by day: in which time zone")
        return
    current, by_day = _read_tallies()
    for key, day in tallies.find_wrong_days(by_day):
        yield Fault(0, How.MISCOUNTED, f"tally by day: {key.list}, {key.turn}, {day}")
    expected = _count_last_turns(tallies)
    for key in sorted(current.keys() | expected.keys()):
        # A turn still counts when the entry's part `consent` was deleted at the end of its term.
        if abs(current[key] - expected[key]) > tallies.count_unknown(key):
            yield Fault(0, How.MISCOUNTED, f"tally: {key.list}, {key.turn}")


def read_tallied_zones() -> list[tuple[int, str]]:
    """Return the time zones in which days were counted, oldest first, as (after entry, zone).

    A zone is "" if an earlier version did not store it. Raises ValueError if they are not known.
    """
    try:
        first = json.loads(Meta.get(Meta.key == TALLIED_IN).value)
        zones = [(int(first["after"]), str(first["zone"]))]
        for (text,) in _select_zone_changes().tuples():
            change = json.loads(text)
            zones.append((int(change[TALLIED_AFTER]), str(change["values"]["timezone"][1])))
        for _, zone in zones:
            if zone:
                ZoneInfo(zone)
    except (DoesNotExist, LookupError, OSError, TypeError, ValueError):
        raise ValueError("in which time zone days were counted is not known") from None
    return zones


def _find_known_zones(upto: int) -> list[tuple[int, str]] | None:
    """Return the zones if anything is tallied; None if they are not known."""
    try:
        return read_tallied_zones() if upto else []
    except ValueError:
        return None


def _select_zone_changes() -> Any:
    """Return a query for the entries that changed the time zone in which days are counted."""
    return (
        select_parts(EvidencePart.json, text=Value(f'"{TALLIED_AFTER}":'))
        .where(
            # Without a subject: the index of subjects finds them among a million answers.
            Evidence.subject == "",
            Evidence.event == "settings_changed",
            Evidence.actor == "job",
        )
        .order_by(Evidence.seq)
    )


def _read_tallies() -> tuple[Counter[TallyKey], dict[TallyKey, Counter[str]]]:
    """Return the tallies of people's current turns, and those by day."""
    current: Counter[TallyKey] = Counter()
    by_day: dict[TallyKey, Counter[str]] = defaultdict(Counter)
    for row in list(Tally.select()):
        key = TallyKey(row.list, row.campaign, row.what)
        if row.day:
            by_day[key][row.day] += row.count
        else:
            current[key] += row.count
    return current, by_day


def _count_last_turns(tallies: ExpectedTallies) -> Counter[TallyKey]:
    """Count people by their last turn in each campaign."""
    query: Any = (
        Evidence.select(Evidence.campaign, Evidence.subject, Evidence.list, Evidence.seq)
        .where(
            Evidence.event.in_(TURN_EVENTS), Evidence.campaign != 0, Evidence.seq <= tallies.upto
        )
        .order_by(Evidence.campaign, Evidence.subject, Evidence.seq)
    )
    counts: Counter[TallyKey] = Counter()
    for _, rows in groupby(stream_rows(query), itemgetter(0, 1)):
        turns = [row for row in rows if tallies.find_turn(row[3])]
        if turns:
            campaign, _, slug, seq = turns[-1]
            counts[TallyKey(slug, campaign, tallies.find_turn(seq))] += 1
    return counts
