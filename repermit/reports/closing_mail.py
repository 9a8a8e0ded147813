"""The mail about a campaign that has closed: its counts, and the checkpoint to be kept elsewhere.

It tells counts alone: a mailbox is out of reach once somebody wants to be erased (GDPR art.
5(1)(c)).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import Meta, stored
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import enqueue_notice
from repermit.emails.mail_values import ClosingNews
from repermit.evidence import stored_tree
from repermit.reports.asked_people import count_people
from repermit.rules.consent import CampaignState, Reason

# What closed before this was told, or before a restored database ran again, is no news any more.
_NEWS_FOR = timedelta(days=7)


def enqueue_closing_mails(database: Database, *, now: datetime) -> int:
    """Owe the admin the mail about each campaign that has closed; return how many there were.

    Nothing is owed twice, however many processes do this at once.
    """
    closed = Campaign.select(Campaign.id).where(
        Campaign.state == CampaignState.CLOSED, Campaign.closed_at > now - _NEWS_FOR
    )
    return sum(_owe(database, campaign.id, now) for campaign in closed if not _is_told(campaign.id))


def _owe(database: Database, number: int, now: datetime) -> bool:
    # Before any lock is taken: to count the people of a large campaign takes seconds.
    topic = _news(Campaign.get_by_id(number)).topic
    with database.atomic():
        campaign = lock_rows(Campaign.select().where(Campaign.id == number)).get()
        # Another process may have been quicker.
        return not _is_told(number) and _tell(campaign, topic, now)


def _tell(campaign: Campaign, topic: str, now: datetime) -> bool:
    enqueue_notice(topic, list_id=campaign.list_id, due_at=now, campaign=campaign)
    Meta.create(key=_key(campaign.id), value=stored(now))
    return True


def _news(campaign: Campaign) -> ClosingNews:
    people, point = count_people(campaign), stored_tree.checkpoint()
    removed = people.removed
    by_others = (Reason.BOUNCE, Reason.COMPLAINT, Reason.REQUEST)
    return ClosingNews(
        asked=people.asked,
        yes=people.yes,
        no=removed[Reason.NO] + removed[Reason.WITHDRAWN],
        no_response=removed[Reason.NO_RESPONSE],
        others=people.otherwise + sum(removed[reason] for reason in by_others),
        # Of a campaign that has closed nobody is silent or waits any more.
        unasked=people.silent + people.waiting + sum(people.unasked.values()),
        seq=point.seq,
        hash=point.hash,
        root=point.root,
    )


def _is_told(number: int) -> bool:
    return bool(Meta.select().where(Meta.key == _key(number)).exists())


def _key(number: int) -> str:
    return f"closing_{number}"
