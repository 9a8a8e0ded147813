"""The admin's mails: one about a list on each day with news, and one once a campaign has closed.

A reply by mail that waits for a decision is news on each day, since it may be a No.

They contain counts only, since nothing can be erased from a mailbox (GDPR art. 5(1)(c)). The daily
mail exists because a No cannot wait for the deadline; after that, nobody looks at the pages daily.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from repermit.clock import format_timestamp
from repermit.contacts.human_replies import count_waiting_replies
from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import Meta, parse_timestamp
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import enqueue_notice
from repermit.emails.mail_types import ClosingSummary, DailySummary
from repermit.evidence import stored_tree
from repermit.reports.outcomes_per_day import Outcome, read_newest_seq, read_outcomes
from repermit.reports.statistics import count_people
from repermit.rules.consent import CampaignState, Reason
from repermit.settings.definitions import Settings

_DAILY_AT = time(16)
_OTHERS = (Outcome.BOUNCE, Outcome.COMPLAINT, Outcome.REQUEST, Outcome.NO_RESPONSE)


class _LastMail(NamedTuple):
    """The last daily mail: the last entry that it reported, and its time."""

    upto: int
    at: datetime


def enqueue_daily_mails(database: Database, *, settings: Settings, now: datetime) -> int:
    """Enqueue the admin's daily mail about each list with news; return how many there were.

    At four in the afternoon, in the organisation's zone, while there is time left to take people
    off elsewhere. It reports what was recorded since the list's last one, and how the people of
    its newest campaign stand, also once that has ended. A list without one may have sign-ups. Safe
    to run in several processes at once.
    """
    moment = _find_last_time(now, settings.zone)
    return sum(
        _enqueue_daily_mail(database, mailing_list, moment)
        for mailing_list in list(MailingList.select().order_by(MailingList.id))
    )


def _find_last_time(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the latest four o'clock in the afternoon, in the zone."""
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), _DAILY_AT, zone)
    if today <= local:
        return today
    return datetime.combine(local.date() - timedelta(days=1), _DAILY_AT, zone)


def _enqueue_daily_mail(database: Database, mailing_list: MailingList, moment: datetime) -> bool:
    last = _read_last_mail(mailing_list.id)
    if last and last.at >= moment:
        return False
    campaign = _find_newest_campaign(mailing_list, moment)
    begin = campaign.launched_at if campaign else moment - timedelta(days=1)
    reported = last or _LastMail(_find_entry_before(begin), begin)
    # Without a lock, since a day may have a million entries; entries do not change.
    upto = _find_entry_before(moment, after=reported.upto)
    slug = mailing_list.slug
    counts = Counter(
        entry.what for entry in read_outcomes(after=reported.upto, upto=upto, slug=slug)
    )
    erased = _count_erased_themselves(slug, after=reported.upto, upto=upto)
    replies = count_waiting_replies(mailing_list)
    topic = ""
    if counts or erased or replies:
        summary = _read_daily_counts(
            campaign, counts, since=reported.at, erased=erased, replies=replies
        )
        topic = summary.topic
    with database.atomic():
        lock_rows(MailingList.select().where(MailingList.id == mailing_list.id)).get()
        if _read_last_mail(mailing_list.id) != last:
            return False
        Meta.write(
            _make_daily_key(mailing_list.id),
            json.dumps({"upto": upto, "at": format_timestamp(moment)}),
        )
        if not topic:
            return False
        enqueue_notice(topic, list_id=mailing_list.id, due_at=moment, campaign=campaign)
    return True


def _find_newest_campaign(mailing_list: MailingList, moment: datetime) -> Campaign | None:
    """Return a list's newest campaign that was launched before `moment`; None without one."""
    launched = Campaign.select().where(
        Campaign.list == mailing_list,
        Campaign.launched_at < moment,
        Campaign.state != CampaignState.DRAFT,
    )
    campaign: Campaign | None = launched.order_by(Campaign.id.desc()).first()
    return campaign


def _count_erased_themselves(slug: str, *, after: int, upto: int) -> int:
    """Return how many people deleted their own data, whom no file for the tool names any more."""
    count: int = (
        Evidence.select()
        .where(
            Evidence.seq > after,
            Evidence.seq <= upto,
            Evidence.event == "erased",
            Evidence.actor == "person",
            Evidence.list == slug,
        )
        .count()
    )
    return count


def _read_daily_counts(
    campaign: Campaign | None,
    counts: Counter[Outcome],
    *,
    since: datetime,
    erased: int,
    replies: int,
) -> DailySummary:
    summary = DailySummary(
        since=since,
        yes=counts[Outcome.YES],
        no=counts[Outcome.NO],
        withdrawn=counts[Outcome.WITHDRAWN],
        others=sum(counts[outcome] for outcome in _OTHERS),
        erased=erased,
        replies=replies,
        seq=read_newest_seq(),
    )
    if campaign is None:
        return summary
    people = count_people(campaign)
    return replace(
        summary,
        asked=people.asked,
        all_yes=people.yes,
        all_no=people.gone,
        silent=people.unanswered,
        waiting=people.waiting,
        unasked=sum(people.unasked.values()),
        otherwise=people.otherwise,
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


def _read_last_mail(list_id: int) -> _LastMail | None:
    """Return the last mail about a list."""
    campaigns = Campaign.select(Campaign.id).where(Campaign.list == list_id)
    # Until December 2026 it was noted by campaign.
    keys = [_make_daily_key(list_id), *(f"daily_{campaign.id}" for campaign in campaigns)]
    values = (json.loads(row.value) for row in Meta.select().where(Meta.key.in_(keys)))
    mails = (_LastMail(stored["upto"], parse_timestamp(stored["at"])) for stored in values)
    return max(mails, default=None)


def _make_daily_key(list_id: int) -> str:
    return f"daily_list_{list_id}"


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
