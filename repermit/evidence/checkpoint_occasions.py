"""The occasions on which a checkpoint is stamped, cosigned and mailed to witnesses.

They are the launch of a campaign, each day while it runs, its deadline, and its closing or
cancellation. In the week after that, also the day after each day on which the record has grown, for
example by papers and exports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from repermit.clock import format_timestamp
from repermit.db.background_tasks import TaskKind, list_targets
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign
from repermit.evidence.chain import read_newest_time
from repermit.rules.consent import CampaignState
from repermit.settings.definitions import Settings

# Older occasions, from before the installation had timestamps or from a restored database, count no
# more.
_MAX_AGE = timedelta(days=7)
_RUNNING = (CampaignState.SENDING, CampaignState.PAUSED, CampaignState.OPEN)


def find_new_occasions(
    settings: Settings, now: datetime, *, prefix: str
) -> list[tuple[str, Campaign]]:
    """Return the recent occasions that are not yet claimed under this prefix.

    Each is (occasion, campaign), sorted by occasion; a day comes with one of the campaigns that ran
    on it.
    """
    occasions = dict(_iter_occasions(settings, now))
    keys = [f"{prefix}{occasion}" for occasion in occasions]
    done = {row.key for row in Meta.select(Meta.key).where(Meta.key.in_(keys))}
    return sorted(
        (item for item in occasions.items() if f"{prefix}{item[0]}" not in done),
        key=lambda item: item[0],
    )


def claim_occasions(
    occasions: Iterable[tuple[str, Campaign]], now: datetime, *, prefix: str
) -> list[tuple[str, Campaign]]:
    """Claim occasions in `meta`, in the caller's transaction; return those not claimed before."""
    return [item for item in occasions if claim(f"{prefix}{item[0]}", now)]


def claim(key: str, now: datetime) -> bool:
    """Claim a key of `meta`, in the caller's transaction; say whether it was not claimed before."""
    insert = Meta.insert(key=key, value=format_timestamp(now)).on_conflict_ignore()
    return bool(insert.as_rowcount().execute())


def _iter_occasions(settings: Settings, now: datetime) -> Iterator[tuple[str, Campaign]]:
    since = now - _MAX_AGE
    campaigns = Campaign.select().where(
        Campaign.state.in_(_RUNNING) | (Campaign.launched_at > since) | (Campaign.closed_at > since)
    )
    launching = list_targets(TaskKind.LAUNCH)
    for campaign in campaigns:
        # A launch is an entry only once all asks have been made.
        if since < campaign.launched_at <= now and campaign.id not in launching:
            yield f"launch {campaign.id}", campaign
        if campaign.state in _RUNNING:
            yield f"daily {now.astimezone(settings.zone).date()}", campaign
        is_cancelled = campaign.state == CampaignState.CANCELLED
        if since < campaign.deadline <= now and not is_cancelled:
            yield f"deadline {campaign.id} {campaign.deadline.isoformat()}", campaign
        if campaign.closed_at and since < campaign.closed_at <= now:
            yield f"closing {campaign.id}", campaign
            if day := _find_day_of_growth(campaign.closed_at, settings, now):
                yield f"after {day}", campaign


def _find_day_of_growth(since: datetime, settings: Settings, now: datetime) -> date | None:
    """Return the day of the newest entry if it is after `since` and before today."""
    newest_at = read_newest_time()
    if newest_at is None or newest_at <= since:
        return None
    day = newest_at.astimezone(settings.zone).date()
    return day if day < now.astimezone(settings.zone).date() else None
