"""Keeping the counts of answers and removals, so that a page reads them and counts nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from peewee import EXCLUDED

from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import Meta
from repermit.db.row_counts import Tally
from repermit.evidence import chain, count_checks, tallied_days
from repermit.evidence.entries import Entry
from repermit.reports.outcome_counts import Key, Turn, count, head
from repermit.settings.definitions import Settings

_KEY = count_checks.TALLIED_UPTO
_STEP = 2000
# So many entries are counted while somebody waits for a page.
_MOST_MEANWHILE = 2000


def tally_up(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Count the entries that were appended since; return how many there were.

    A step at a time, each with how far it is in one transaction, so that any number of processes
    may do so at once and no entry counts twice. An entry tells where days begin to be those of
    another time zone.
    """
    counted = 0
    while not should_stop() and _tallied_upto() < head():
        after = _tallied_upto()
        upto = min(after + _STEP, head())
        # With nothing locked: entries do not change, and what is counted again is not added.
        changes = count(after, upto, settings.zone)
        with database.atomic():
            Meta.insert(key=_KEY, value="0").on_conflict_ignore().execute()
            row = lock_rows(Meta.select().where(Meta.key == _KEY)).get()
            if int(row.value) != after:
                continue
            _add(changes)
            Meta.update(value=str(upto)).where(Meta.key == _KEY).execute()
            if after == 0:
                _keep_zone(after, settings.timezone)
            if changes and (entries := list(_zone_changes(after, settings.timezone, now))):
                chain.append(*entries)
        counted += upto - after
    return counted


def read_tallies(slug: str, campaign: int, *, zone: ZoneInfo) -> tuple[Counter[Key], bool]:
    """Return the counts of a list's campaign, and whether they are up to this moment.

    What was appended since the last sweep is counted here, unless that is too much.
    """
    after, newest = _tallied_upto(), head()
    is_whole = newest - after <= _MOST_MEANWHILE
    own = (Tally.list == slug, Tally.campaign == campaign)
    found = Counter(
        {
            Key(row.list, row.campaign, row.day, Turn(row.what)): row.count
            for row in Tally.select().where(*own)
        }
    )
    if is_whole:
        found.update(
            {
                key: change
                for key, change in count(after, newest, zone).items()
                if (key.list, key.campaign) == (slug, campaign)
            }
        )
    return found, is_whole


def _tallied_upto() -> int:
    row = Meta.get_or_none(Meta.key == _KEY)
    return int(row.value) if row else 0


def _zone_changes(after: int, zone: str, now: datetime) -> Iterator[Entry]:
    """Keep in which time zone days are counted from here on; yield an entry if it is another."""
    try:
        since, before = tallied_days.tallied_zones()[-1]
    except ValueError:
        # It is not made anew, so that `verify` goes on telling of it.
        return
    if not before:
        _keep_zone(since, zone)
    elif before != zone:
        yield _zone_changed(before, zone, after=after, now=now)


def _keep_zone(after: int, zone: str) -> None:
    value = json.dumps({"after": after, "zone": zone})
    Meta.insert(key=tallied_days.TALLIED_IN, value=value).on_conflict(
        conflict_target=[Meta.key], preserve=[Meta.value]
    ).execute()


def _zone_changed(before: str, zone: str, *, after: int, now: datetime) -> Entry:
    told = {"keys": ["timezone"], "values": {"timezone": [before, zone]}}
    consent = {**told, tallied_days.TALLIED_AFTER: after}
    return Entry(event="settings_changed", at=now, actor="job", consent=consent)


def _add(changes: Counter[Key]) -> None:
    rows: list[dict[str, Any]] = [
        {**key._asdict(), "count": change} for key, change in sorted(changes.items()) if change
    ]
    if rows:
        Tally.insert_many(rows).on_conflict(
            conflict_target=[Tally.list, Tally.campaign, Tally.day, Tally.what],
            update={Tally.count: Tally.count + EXCLUDED.count},
        ).execute()
