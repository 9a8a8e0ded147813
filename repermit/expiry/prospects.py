"""What the deadlines that have not passed yet would do, as it stands now.

May import contacts, consent, models and what lies below. Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from repermit.consent import CampaignState, MailKind, MailState, Verdict, latest_ask
from repermit.contacts import is_undecided
from repermit.expiry.deciding import foreseen
from repermit.models import Campaign, Contact, Mail

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import MailingList

_CHUNK = 200
_LIVE = [state for state in CampaignState if state.is_live]


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """A campaign whose sweep has to come, and what it would do if nobody answered any more.

    `unasked` are those whom no server has a mail for yet, or got one too late.
    """

    list: str
    state: CampaignState
    deadline: datetime
    removed: int
    unasked: int


def upcoming(*, now: datetime, mailing_list: MailingList | None = None) -> tuple[Upcoming, ...]:
    """Return the live campaigns, on one list or on all, that a sweep leaves alone at `now`.

    They are those whose deadline is later, and those that are paused.
    """
    query = Campaign.select().where(
        Campaign.state.in_(_LIVE),
        (Campaign.deadline > now) | (Campaign.state == CampaignState.PAUSED),
    )
    if mailing_list is not None:
        query = query.where(Campaign.list == mailing_list)
    return tuple(_look_ahead(campaign) for campaign in query.order_by(Campaign.id))


def silent(campaign: Campaign, *, after: int = 0, most: int = 50) -> list[Contact]:
    """Return who would be removed if nobody answered any more, in the order of their numbers.

    `after` is the number of the last one that was shown.
    """
    accepted = (Mail.state == MailState.SENT) & (Mail.bounce == "")
    in_time = Mail.sent_at <= latest_ask(campaign.deadline, campaign.minimum_days)
    query = (
        Contact.select(Contact, Mail.sent_at.alias("asked_at"))
        .join(Mail, on=(Mail.contact == Contact.id))
        .where(
            Contact.id > after,
            Contact.list == campaign.list_id,
            is_undecided(campaign),
            Mail.campaign == campaign,
            Mail.kind == MailKind.ASK,
            accepted & in_time,
        )
        .order_by(Contact.id)
        .limit(most)
    )
    return list(query.objects())


def _look_ahead(campaign: Campaign) -> Upcoming:
    verdicts = list(foreseen(campaign, _CHUNK, campaign.deadline))
    return Upcoming(
        list=campaign.list.slug,
        state=CampaignState(campaign.state),
        deadline=campaign.deadline,
        removed=verdicts.count(Verdict.EXPIRE),
        unasked=verdicts.count(Verdict.UNASKED),
    )
