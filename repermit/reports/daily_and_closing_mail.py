"""The admin's mails about a campaign: one a day while it runs, and one once it has closed.

They contain counts only, since nothing can be erased from a mailbox (GDPR art. 5(1)(c)). The daily
mail exists because a No cannot wait for the deadline.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from repermit.clock import format_timestamp
from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import Meta, parse_timestamp
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import enqueue_notice
from repermit.emails.mail_types import ClosingSummary, DailySummary
from repermit.evidence import stored_tree
from repermit.reports.outcomes_per_day import Outcome, read_newest_seq, read_outcomes
from repermit.reports.statistics import count_people
from repermit.rules.consent import LIVE_STATES, CampaignState, Reason
from repermit.settings.definitions import Settings

_DAILY_AT = time(16)
# The last hours of a campaign are reported after its end.
_REPORTED_AFTER_END = timedelta(days=2)
_OTHERS = (Outcome.BOUNCE, Outcome.COMPLAINT, Outcome.REQUEST, Outcome.NO_RESPONSE)


class _LastMail(NamedTuple):
    """The last daily mail: the last entry that it reported, and its time."""

    upto: int
    at: datetime


def enqueue_daily_mails(database: Database, *, settings: Settings, now: datetime) -> int:
    """Enqueue the admin's daily mail about each campaign with news; return how many there were.

    At four in the afternoon, in the organisation's zone, while there is time left to take people
    off elsewhere. It reports what was recorded since the last one. Safe to run in several
    processes at once.
    """
    moment = _find_last_time(now, settings.zone)
    campaigns = Campaign.select(Campaign.id).where(
        Campaign.launched_at < moment,
        Campaign.state.in_(LIVE_STATES) | (Campaign.closed_at > moment - _REPORTED_AFTER_END),
    )
    return sum(
        _enqueue_daily_mail(database, campaign.id, moment)
        for campaign in campaigns
        if not _has_daily_mail(campaign.id, moment)
    )


def _find_last_time(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the latest four o'clock in the afternoon, in the zone."""
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), _DAILY_AT, zone)
    if today <= local:
        return today
    return datetime.combine(local.date() - timedelta(days=1), _DAILY_AT, zone)


def _enqueue_daily_mail(database: Database, campaign_id: int, moment: datetime) -> bool:
    campaign, last = Campaign.get_by_id(campaign_id), _read_last_mail(campaign_id)
    reported = last or _LastMail(_find_entry_before(campaign.launched_at), campaign.launched_at)
    # Without a lock, since a day may have a million entries; entries do not change.
    upto = _find_entry_before(moment, after=reported.upto)
    counts = Counter(
        entry.what
        for entry in read_outcomes(after=reported.upto, upto=upto, slug=campaign.list.slug)
    )
    topic = _read_daily_counts(campaign, counts, reported.at).topic if counts else ""
    with database.atomic():
        lock_rows(Campaign.select().where(Campaign.id == campaign_id)).get()
        if _read_last_mail(campaign_id) != last:
            return False
        Meta.write(
            _make_daily_key(campaign_id), json.dumps({"upto": upto, "at": format_timestamp(moment)})
        )
        if not counts:
            return False
        enqueue_notice(topic, list_id=campaign.list_id, due_at=moment, campaign=campaign)
    return True


def _read_daily_counts(
    campaign: Campaign, counts: Counter[Outcome], since: datetime
) -> DailySummary:
    people = count_people(campaign)
    return DailySummary(
        since=since,
        yes=counts[Outcome.YES],
        no=counts[Outcome.NO],
        withdrawn=counts[Outcome.WITHDRAWN],
        others=sum(counts[outcome] for outcome in _OTHERS),
        asked=people.asked,
        all_yes=people.yes,
        all_no=people.gone,
        silent=people.unanswered,
        waiting=people.waiting,
        unasked=sum(people.unasked.values()),
        otherwise=people.otherwise,
        seq=read_newest_seq(),
    )


def _find_entry_before(moment: datetime, *, after: int | None = None) -> int:
    """Return the number of the entry before the first one that is not earlier than `moment`.

    Answers get their time before they are recorded, so times are only nearly in the order of the
    entries; an entry left out now is reported the next time. Without `after`, return the last
    entry that is earlier than `moment`.
    """
    if after is None:
        earlier = Evidence.select(Evidence.seq).where(Evidence.at < moment)
        entry = earlier.order_by(Evidence.seq.desc()).first()
        return entry.seq if entry else 0
    later = Evidence.select(Evidence.seq).where(Evidence.seq > after, Evidence.at >= moment)
    first = later.order_by(Evidence.seq).first()
    return first.seq - 1 if first else read_newest_seq()


def _has_daily_mail(campaign_id: int, moment: datetime) -> bool:
    last = _read_last_mail(campaign_id)
    return last is not None and last.at >= moment


def _read_last_mail(campaign_id: int) -> _LastMail | None:
    value = Meta.read(_make_daily_key(campaign_id))
    if value is None:
        return None
    stored: dict[str, Any] = json.loads(value)
    return _LastMail(stored["upto"], parse_timestamp(stored["at"]))


def _make_daily_key(campaign_id: int) -> str:
    return f"daily_{campaign_id}"


# --- The mail about a campaign that has closed: its counts, and the checkpoint to keep. -----------


# A campaign that closed longer ago is no news, as after a restore.
_ENQUEUED_WITHIN = timedelta(days=7)


def enqueue_closing_mails(database: Database, *, now: datetime) -> int:
    """Enqueue the admin's mail about each campaign that has closed; return how many there were.

    Safe to run in several processes at once.
    """
    closed = Campaign.select(Campaign.id).where(
        Campaign.state == CampaignState.CLOSED, Campaign.closed_at > now - _ENQUEUED_WITHIN
    )
    return sum(
        _enqueue_closing_mail(database, campaign.id, now)
        for campaign in closed
        if not _has_closing_mail(campaign.id)
    )


def _enqueue_closing_mail(database: Database, campaign_id: int, now: datetime) -> bool:
    # Before taking a lock: counting the people of a large campaign takes seconds.
    topic = _read_closing_counts(Campaign.get_by_id(campaign_id)).topic
    with database.atomic():
        campaign = lock_rows(Campaign.select().where(Campaign.id == campaign_id)).get()
        # Another process may have enqueued it meanwhile.
        if _has_closing_mail(campaign_id):
            return False
        enqueue_notice(topic, list_id=campaign.list_id, due_at=now, campaign=campaign)
        Meta.create(key=_make_closing_key(campaign_id), value=format_timestamp(now))
    return True


def _read_closing_counts(campaign: Campaign) -> ClosingSummary:
    people, checkpoint = count_people(campaign), stored_tree.checkpoint()
    removed = people.removed
    by_others = (Reason.BOUNCE, Reason.COMPLAINT, Reason.REQUEST)
    return ClosingSummary(
        asked=people.asked,
        yes=people.yes,
        no=removed[Reason.NO] + removed[Reason.WITHDRAWN],
        no_response=removed[Reason.NO_RESPONSE],
        others=people.otherwise + sum(removed[reason] for reason in by_others),
        # In a closed campaign nobody is silent or waiting any more.
        unasked=people.silent + people.waiting + sum(people.unasked.values()),
        seq=checkpoint.seq,
        hash=checkpoint.hash,
        root=checkpoint.root,
    )


def _has_closing_mail(campaign_id: int) -> bool:
    return Meta.read(_make_closing_key(campaign_id)) is not None


def _make_closing_key(campaign_id: int) -> str:
    return f"closing_{campaign_id}"
