"""How long the answer pages were down: the serving process notes every minute that it is up.

Who could not reach the page cannot be said to be silent. It counts from the moment a campaign
begins: before that, no mail with its links is out.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import Meta, stored
from repermit.db.models.campaigns import Campaign
from repermit.rules.consent import CampaignState

LONGEST_PAUSE = timedelta(minutes=5)
"""How long may lie between two notes for the pages to count as up in between."""

_HEARTBEAT_KEY = "beat_at"


def record_heartbeat(database: Database, *, now: datetime) -> None:
    """Note that the answer pages are up at `now`, and add a gap before it to each live campaign.

    Called every minute by each process that serves the pages; one that is up suffices.
    """
    with database.atomic():
        Meta.insert(key=_HEARTBEAT_KEY, value="").on_conflict_ignore().execute()
        row = lock_rows(Meta.select().where(Meta.key == _HEARTBEAT_KEY)).get()
        last_beat = datetime.fromisoformat(row.value) if row.value else None
        if last_beat is not None and now <= last_beat:
            return
        for campaign in list(Campaign.select().where(Campaign.state.in_(_LIVE_STATES))):
            gap = int(_measure_gap(campaign, last_beat, now).total_seconds())
            Campaign.update(downtime=Campaign.downtime + gap).where(
                Campaign.id == campaign.id
            ).execute()
        Meta.update(value=stored(now)).where(Meta.key == _HEARTBEAT_KEY).execute()


def assume_up_until(database: Database, *, moment: datetime) -> None:
    """Count the pages as up until `moment`, for a clock that jumps there by hand."""
    with database.atomic():
        save_heartbeat(moment)


def save_heartbeat(moment: datetime) -> None:
    """Note that the pages were up at a moment, in the caller's transaction."""
    Meta.insert(key=_HEARTBEAT_KEY, value=stored(moment)).on_conflict(
        conflict_target=[Meta.key], preserve=[Meta.value]
    ).execute()


def measure_downtime(campaign: Campaign, now: datetime) -> timedelta:
    """Return how long the answer pages were down in all since it began, up to `now`."""
    row = Meta.get_or_none(Meta.key == _HEARTBEAT_KEY)
    last_beat = datetime.fromisoformat(row.value) if row else None
    return timedelta(seconds=campaign.downtime) + _measure_gap(campaign, last_beat, now)


_LIVE_STATES = [state for state in CampaignState if state.is_live]


def _measure_gap(campaign: Campaign, last_beat: datetime | None, now: datetime) -> timedelta:
    """Return the time without a note up to `now`; if there never was one, since the beginning."""
    since = campaign.starts_at if last_beat is None else max(last_beat, campaign.starts_at)
    gap = now - since
    return gap if gap > LONGEST_PAUSE else timedelta()
