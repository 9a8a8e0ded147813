"""The admin's daily mail: a No cannot wait for the deadline.

It tells counts alone: a mailbox is out of reach once somebody wants to be erased (GDPR art.
5(1)(c)).
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import Meta, read_moment, stored
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import enqueue_notice
from repermit.emails.mail_values import DayNews
from repermit.reports.outcome_counts import Turn, head, turns
from repermit.reports.statistics import figures
from repermit.rules.consent import CampaignState
from repermit.settings.definitions import Settings

_AT = time(16)
_LIVE = [state for state in CampaignState if state.is_live]
# What came in the last hours of a campaign is told after its end.
_AFTERWARDS = timedelta(days=2)
_OTHERS = (Turn.BOUNCE, Turn.COMPLAINT, Turn.REQUEST, Turn.NO_RESPONSE)


class _Told(NamedTuple):
    """Up to which entry the admin has been told, and when that was."""

    upto: int
    at: datetime


def enqueue_daily_mails(database: Database, *, settings: Settings, now: datetime) -> int:
    """Owe the admin today's mail about each campaign that has news; return how many there were.

    At four in the afternoon, in the organisation's zone, while there is time left to take people
    off elsewhere. It tells what was recorded since the last one. Nothing is owed twice, however
    many processes do this at once.
    """
    moment = _latest(now, settings.zone)
    campaigns = Campaign.select(Campaign.id).where(
        Campaign.launched_at < moment,
        Campaign.state.in_(_LIVE) | (Campaign.closed_at > moment - _AFTERWARDS),
    )
    return sum(
        _owe(database, campaign.id, moment, settings)
        for campaign in campaigns
        if not _is_told(campaign.id, moment)
    )


def _latest(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the last time that it was four in the afternoon."""
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), _AT, zone)
    if today <= local:
        return today
    return datetime.combine(local.date() - timedelta(days=1), _AT, zone)


def _owe(database: Database, number: int, moment: datetime, settings: Settings) -> bool:
    campaign, last = Campaign.get_by_id(number), _told(number)
    told = last or _Told(_before(campaign.launched_at), campaign.launched_at)
    # With nothing locked, since a day may have a million entries, which do not change.
    upto = _before(moment, after=told.upto)
    counts = Counter(one.what for one in turns(after=told.upto, upto=upto, slug=campaign.list.slug))
    topic = _news(campaign, counts, told.at, settings).topic if counts else ""
    with database.atomic():
        lock_rows(Campaign.select().where(Campaign.id == number)).get()
        if _told(number) != last:
            return False
        _note(number, _Told(upto, moment))
        if not counts:
            return False
        enqueue_notice(topic, list_id=campaign.list_id, due_at=moment, campaign=campaign)
    return True


def _news(
    campaign: Campaign, counts: Counter[Turn], since: datetime, settings: Settings
) -> DayNews:
    found = figures(campaign.list, zone=settings.zone)
    assert found is not None  # noqa: S101  its list has this campaign
    return DayNews(
        since=since,
        yes=counts[Turn.YES],
        no=counts[Turn.NO],
        withdrawn=counts[Turn.WITHDRAWN],
        others=sum(counts[what] for what in _OTHERS),
        asked=found.asked,
        all_yes=found.yes,
        all_no=found.no,
        silent=found.silent,
        seq=head(),
    )


def _before(moment: datetime, *, after: int | None = None) -> int:
    """Return the last entry before the first one that is not earlier than `moment`.

    Answers are stamped before they are recorded, so moments are only nearly in the order of the
    entries; what is left out this time is told the next. Without `after` it looks backwards.
    """
    if after is None:
        earlier = Evidence.select(Evidence.seq).where(Evidence.at < moment)
        found = earlier.order_by(Evidence.seq.desc()).first()
        return found.seq if found else 0
    later = Evidence.select(Evidence.seq).where(Evidence.seq > after, Evidence.at >= moment)
    first = later.order_by(Evidence.seq).first()
    return first.seq - 1 if first else head()


def _is_told(number: int, moment: datetime) -> bool:
    told = _told(number)
    return told is not None and told.at >= moment


def _told(number: int) -> _Told | None:
    value = Meta.read(_key(number))
    if value is None:
        return None
    kept: dict[str, Any] = json.loads(value)
    return _Told(kept["upto"], read_moment(kept["at"]))


def _note(number: int, told: _Told) -> None:
    Meta.write(_key(number), json.dumps({"upto": told.upto, "at": stored(told.at)}))


def _key(number: int) -> str:
    return f"daily_{number}"
