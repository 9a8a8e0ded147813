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

_KEY = "beat_at"


def beat(database: Database, *, now: datetime) -> None:
    """Note that the answer pages are up at `now`, and add a gap before it to each live campaign.

    Called every minute by each process that serves the pages; one that is up suffices.
    """
    with database.atomic():
        Meta.insert(key=_KEY, value="").on_conflict_ignore().execute()
        noted = lock_rows(Meta.select().where(Meta.key == _KEY)).get()
        last = datetime.fromisoformat(noted.value) if noted.value else None
        if last is not None and now <= last:
            return
        for campaign in list(Campaign.select().where(Campaign.state.in_(_LIVE))):
            gap = int(_gap(campaign, last, now).total_seconds())
            Campaign.update(downtime=Campaign.downtime + gap).where(
                Campaign.id == campaign.id
            ).execute()
        Meta.update(value=stored(now)).where(Meta.key == _KEY).execute()


def skip(database: Database, *, to: datetime) -> None:
    """Count the pages as up until `to`, for a clock that jumps there by hand."""
    with database.atomic():
        note(to)


def note(at: datetime) -> None:
    """Note that the pages were up at a moment, in the caller's transaction."""
    Meta.insert(key=_KEY, value=stored(at)).on_conflict(
        conflict_target=[Meta.key], preserve=[Meta.value]
    ).execute()


def downtime(campaign: Campaign, now: datetime) -> timedelta:
    """Return how long the answer pages were down in all since it began, up to `now`."""
    noted = Meta.get_or_none(Meta.key == _KEY)
    last = datetime.fromisoformat(noted.value) if noted else None
    return timedelta(seconds=campaign.downtime) + _gap(campaign, last, now)


_LIVE = [state for state in CampaignState if state.is_live]


def _gap(campaign: Campaign, last: datetime | None, now: datetime) -> timedelta:
    """Return the time without a note up to `now`; if there never was one, since the beginning."""
    since = campaign.starts_at if last is None else max(last, campaign.starts_at)
    gap = now - since
    return gap if gap > LONGEST_PAUSE else timedelta()
