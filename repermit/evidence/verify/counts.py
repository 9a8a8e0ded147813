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
"""The fact under which a database keeps in which time zone it first counted days, and since when.

JSON: `after` is the entry after which that was, and `zone` its name, "" before the first count.
"""

TALLIED_AFTER = "tallied_after"
"""What an entry `settings_changed` has that tells of days counted in another time zone since."""


def start_replay() -> Replay:
    """Return an empty replay for this database's tallies."""
    upto = Meta.read_number(TALLIED_UPTO) or 0
    return Replay(tallied_upto=upto, zones=_known_zones(upto) or [])


def check_counts(replay: Replay) -> Iterator[Fault]:
    """Yield the counts and tallies that are wrong, once all entries are replayed."""
    for table in find_changed_counts(proxy.obj, replay.parts):
        yield Fault(0, How.MISCOUNTED, table)
    tallies = replay.tallies
    if tallies.upto and not Evidence.select().where(Evidence.seq == tallies.upto).exists():
        yield Fault(0, How.MISCOUNTED, "tally: up to which entry")
        return
    if _known_zones(tallies.upto) is None:
        yield Fault(0, How.MISCOUNTED, "tally by day: in which time zone")
        return
    standing, by_day = _read_tallies()
    for key, day in tallies.find_wrong_days(by_day):
        yield Fault(0, How.MISCOUNTED, f"tally by day: {key.list}, {key.turn}, {day}")
    expected = _count_standing(tallies)
    for key in sorted(standing.keys() | expected.keys()):
        # What a proof said whose time is over is counted still.
        if abs(standing[key] - expected[key]) > tallies.count_unknown(key):
            yield Fault(0, How.MISCOUNTED, f"tally: {key.list}, {key.turn}")


def tallied_zones() -> list[tuple[int, str]]:
    """Return in which time zones days were counted, each after which entry, the first one first.

    "" stands for one that an earlier version did not keep. Raises ValueError if that is not known.
    """
    try:
        first = json.loads(Meta.get(Meta.key == TALLIED_IN).value)
        zones = [(int(first["after"]), str(first["zone"]))]
        for (text,) in _zone_changes().tuples():
            change = json.loads(text)
            zones.append((int(change[TALLIED_AFTER]), str(change["values"]["timezone"][1])))
        for _, zone in zones:
            if zone:
                ZoneInfo(zone)
    except (DoesNotExist, LookupError, OSError, TypeError, ValueError):
        raise ValueError("in which time zone days were counted is not known") from None
    return zones


def _known_zones(upto: int) -> list[tuple[int, str]] | None:
    """Return the zones if anything is tallied; None if they are not known."""
    try:
        return tallied_zones() if upto else []
    except ValueError:
        return None


def _zone_changes() -> Any:
    """Return what entries say of days that were counted in another time zone since."""
    return (
        select_parts(EvidencePart.json, text=Value(f'"{TALLIED_AFTER}":'))
        .where(
            # About nobody: the index of subjects finds them among a million answers.
            Evidence.subject == "",
            Evidence.event == "settings_changed",
            Evidence.actor == "job",
        )
        .order_by(Evidence.seq)
    )


def _read_tallies() -> tuple[Counter[TallyKey], dict[TallyKey, Counter[str]]]:
    """Return the tallies of who stands where now, and those by day."""
    standing: Counter[TallyKey] = Counter()
    by_day: dict[TallyKey, Counter[str]] = defaultdict(Counter)
    for row in list(Tally.select()):
        key = TallyKey(row.list, row.campaign, row.what)
        if row.day:
            by_day[key][row.day] += row.count
        else:
            standing[key] += row.count
    return standing, by_day


def _count_standing(tallies: ExpectedTallies) -> Counter[TallyKey]:
    """Count people by the last turn of each in a campaign."""
    query: Any = (
        Evidence.select(Evidence.campaign, Evidence.subject, Evidence.list, Evidence.seq)
        .where(
            Evidence.event.in_(TURN_EVENTS), Evidence.campaign != 0, Evidence.seq <= tallies.upto
        )
        .order_by(Evidence.campaign, Evidence.subject, Evidence.seq)
    )
    counts: Counter[TallyKey] = Counter()
    for _, rows in groupby(stream_rows(query), itemgetter(0, 1)):
        turns = [row for row in rows if tallies.turn_of(row[3])]
        if turns:
            campaign, _, slug, seq = turns[-1]
            counts[TallyKey(slug, campaign, tallies.turn_of(seq))] += 1
    return counts
