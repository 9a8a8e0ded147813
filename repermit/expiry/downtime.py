"""The downtime of the answer pages, measured by a heartbeat of the serving process every minute.

People who could not reach the page cannot be said to be silent. Downtime counts from the start of
a campaign: before that, no mail with its links is sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from repermit.clock import format_timestamp
from repermit.db.connection import Database, make_id_list
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign
from repermit.rules.consent import LIVE_STATES

MAX_DOWNTIME = timedelta(days=1)
"""The maximum total downtime of the answer pages; beyond it expiry waits for the admin."""

MAX_HEARTBEAT_GAP = timedelta(minutes=5)
"""The longest gap between two heartbeats that still counts as up."""

_MAX_SKEW = timedelta(hours=1)
"""How far the clocks of two servers may differ; a later heartbeat is by a clock that was wrong."""

_HEARTBEAT_KEY = "beat_at"


def must_delay_expiry(campaign: Campaign, now: datetime) -> bool:
    """Return whether the answer pages were down too long for silence to mean a No."""
    return measure_downtime(campaign, now) > MAX_DOWNTIME


def record_heartbeat(database: Database, *, now: datetime) -> None:
    """Record that the answer pages are up, and add the gap before it to each live campaign.

    Called every minute by each process that serves the pages; one that is up suffices.
    """
    with database.atomic():
        _add_heartbeat(now)


def _add_heartbeat(now: datetime) -> None:
    value = Meta.lock(_HEARTBEAT_KEY, default="")
    last_beat = datetime.fromisoformat(value) if value else None
    if last_beat is not None and now <= last_beat <= now + _MAX_SKEW:
        return
    if last_beat is None or now - last_beat > MAX_HEARTBEAT_GAP:
        _add_gaps(last_beat, now)
    Meta.write(_HEARTBEAT_KEY, format_timestamp(now))


def _add_gaps(last_beat: datetime | None, now: datetime) -> None:
    """Add the gap since the last heartbeat to the downtime of each live campaign."""
    seconds: dict[int, list[int]] = {}
    for campaign in list(Campaign.select().where(Campaign.state.in_(LIVE_STATES))):
        gap = int(_measure_gap(campaign, last_beat, now).total_seconds())
        seconds.setdefault(gap, []).append(campaign.id)
    seconds.pop(0, None)
    for gap, ids in seconds.items():
        Campaign.update(downtime=Campaign.downtime + gap).where(
            Campaign.id.in_(make_id_list(ids))
        ).execute()


def count_open_gap(database: Database, *, now: datetime) -> None:
    """Count the gap since the last heartbeat as downtime already now.

    A deadline that is moved while the pages are down then makes up for it.
    """
    with database.atomic():
        _add_heartbeat(now)


def assume_up_until(database: Database, *, moment: datetime) -> None:
    """Count the pages as up until `moment`, for a clock that is set forward by hand."""
    with database.atomic():
        Meta.write(_HEARTBEAT_KEY, format_timestamp(moment))


def forgive_downtime(campaign: Campaign, now: datetime) -> timedelta:
    """Set a campaign's downtime to none, in the caller's transaction; return what it was.

    That of other campaigns stays.
    """
    downtime = measure_downtime(campaign, now)
    _add_heartbeat(now)
    campaign.downtime = 0
    campaign.save(only=[Campaign.downtime])
    return downtime


def measure_downtime(campaign: Campaign, now: datetime) -> timedelta:
    """Return the total downtime of the answer pages from a campaign's start to its deadline.

    To `now`, if that is earlier. Downtime after the deadline keeps nobody from answering in time.
    """
    gap = _measure_gap(campaign, _read_last_beat(), now)
    return timedelta(seconds=campaign.downtime) + gap


def _read_last_beat() -> datetime | None:
    value = Meta.read(_HEARTBEAT_KEY)
    return datetime.fromisoformat(value) if value else None


def _measure_gap(campaign: Campaign, last_beat: datetime | None, now: datetime) -> timedelta:
    """Return the gap from the last heartbeat, or else the campaign's start, to `now`.

    To the deadline, if that is earlier.
    """
    since = campaign.starts_at
    if last_beat is not None and last_beat <= now + _MAX_SKEW:
        since = max(last_beat, since)
    gap = min(now, campaign.deadline) - since
    return gap if gap > MAX_HEARTBEAT_GAP else timedelta()
