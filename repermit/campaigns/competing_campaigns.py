"""What other campaigns still owe: campaigns take turns, so that all are slower under one rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from peewee import SQL, fn

from repermit.contacts import counts
from repermit.db.connection import position
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import NOT_STARTED, CampaignState, MailKind

_LIVE = tuple(state for state in CampaignState if state.is_live)
_ASKING = (MailKind.ASK, MailKind.REMINDER)


def with_others(mailing_list: MailingList, asks: int) -> int:
    """Return how many mails leave until the last of a campaign's `asks` has, the others' too."""
    owed = (
        counts.total(
            counts.count_mails(campaign=campaign),
            lambda mails: mails.kind in _ASKING and mails.state in NOT_STARTED,
        )
        for campaign in _others(mailing_list)
    )
    return asks + sum(min(asks, count) for count in owed)


def with_others_at_one_domain(mailing_list: MailingList, asks: Mapping[str, int]) -> int:
    """Return the same of the domain where that is most; `asks` are by domain."""
    owed: Any = (
        _owed(mailing_list)
        .select(place(), fn.COUNT(Mail.id))
        .join_from(Mail, Contact)
        .group_by(Mail.campaign, SQL("place"))
        .tuples()
    )
    others: dict[str, int] = defaultdict(int)
    for domain, count in owed.iterator():
        if domain in asks:
            others[domain] += min(asks[domain], count)
    return max((count + others[domain] for domain, count in asks.items()), default=0)


def place() -> Any:
    """Return the SQL for a contact's domain, to be selected and grouped by as `place`."""
    # By that name, since PostgreSQL takes two placeholders for two values.
    domain = fn.SUBSTR(Contact.address_key, position(Contact.address_key, "@") + 1)
    return domain.alias("place")


def _others(mailing_list: MailingList) -> Any:
    return Campaign.select().where(Campaign.list != mailing_list, Campaign.state.in_(_LIVE))


def _owed(mailing_list: MailingList) -> Any:
    others = _others(mailing_list).select(Campaign.id)
    return Mail.select().where(
        Mail.campaign.in_(others), Mail.kind.in_(_ASKING), Mail.state.in_(NOT_STARTED)
    )
