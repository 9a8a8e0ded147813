"""How a list and its latest campaign stand, in numbers.

May import contacts, consent, models and what lies below. Counts only; nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import JOIN, SQL, fn

from repermit import contacts
from repermit.campaigns.facts import (
    CampaignFacts,
    CampaignProgress,
    CampaignStatus,
    DoubtFacts,
)
from repermit.consent import CampaignState, MailKind, MailState, Reason, Status, latest_ask
from repermit.models import (
    Campaign,
    CampaignWording,
    Contact,
    Evidence,
    Mail,
    SignUp,
    latest_campaign,
)

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from repermit.config import Settings
    from repermit.models import MailingList


def status(
    mailing_list: MailingList,
    *,
    settings: Settings,  # noqa: ARG001  taken as every use case takes it
    now: datetime,  # noqa: ARG001
) -> CampaignStatus:
    """Return how a list and its latest campaign stand."""
    campaign = latest_campaign(mailing_list)
    unasked = contacts.unasked(mailing_list)
    statuses = dict.fromkeys(Status, 0)
    removed = dict.fromkeys(Reason, 0)
    for its_status, reason, count in _contacts(mailing_list):
        statuses[Status(its_status)] += count
        if its_status == Status.REMOVED:
            removed[Reason(reason)] += count
    return CampaignStatus(
        list=mailing_list.slug,
        campaign=_facts(campaign) if campaign else None,
        contacts=statuses,
        removed=removed,
        mails=_mails(mailing_list, campaign),
        unasked=unasked.count(),
        unasked_in_doubt=unasked.where(Mail.state == MailState.IN_DOUBT).count(),
        still_mailed=count_still_mailed(mailing_list),
        in_doubt=doubts(mailing_list),
    )


def progress(mailing_list: MailingList) -> CampaignProgress | None:
    """Return how far the list's latest campaign is, read from one index; None if it has none."""
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        return None
    counts = dict.fromkeys(MailState, 0)
    asking = Mail.kind.in_((MailKind.ASK, MailKind.REMINDER))
    query = Mail.select(Mail.state, fn.COUNT(Mail.id)).where(Mail.campaign == campaign, asking)
    rows: Any = query.group_by(Mail.kind, Mail.state).tuples()
    for state, count in rows:
        counts[MailState(state)] += count
    return CampaignProgress(state=CampaignState(campaign.state), mails=counts)


def _contacts(mailing_list: MailingList) -> Any:
    return (
        Contact.select(Contact.status, Contact.reason, fn.COUNT(Contact.id))
        .where(Contact.list == mailing_list)
        .group_by(Contact.status, Contact.reason)
        .tuples()
    )


def _mails(
    mailing_list: MailingList, campaign: Campaign | None
) -> dict[MailKind, dict[MailState, int]]:
    counts = {kind: dict.fromkeys(MailState, 0) for kind in MailKind}
    # Two queries, since each then finds its rows by the index that begins with the campaign.
    own = [Mail.campaign == campaign] if campaign else []
    for belongs in (*own, Mail.campaign.is_null() & (Mail.list == mailing_list)):
        rows: Any = (
            Mail.select(Mail.kind, Mail.state, fn.COUNT(Mail.id))
            .where(belongs)
            .group_by(Mail.kind, Mail.state)
            .tuples()
        )
        for kind, state, count in rows:
            counts[MailKind(kind)][MailState(state)] += count
    return counts


def count_still_mailed(mailing_list: MailingList) -> int:
    """Count how often somebody of whom nothing is held got rid of a mail from elsewhere."""
    noted = Evidence.select().where(
        # Written out, so that the index for just these entries is used.
        SQL("event = 'still_mailed'"),
        Evidence.list == mailing_list.slug,
    )
    return int(noted.count())


def _facts(campaign: Campaign) -> CampaignFacts:
    return CampaignFacts(
        number=campaign.id,
        state=CampaignState(campaign.state),
        pause_reason=campaign.pause_reason,
        deadline=campaign.deadline,
        latest_ask=latest_ask(campaign.deadline, campaign.minimum_days),
        launched_at=campaign.launched_at,
        starts_at=campaign.starts_at,
        opened_at=campaign.opened_at,
        closed_at=campaign.closed_at,
        asked=Mail.select().where(Mail.campaign == campaign, Mail.kind == MailKind.ASK).count(),
        languages=_languages(campaign),
        pilot=campaign.pilot,
        reminder_at=campaign.reminder_at,
        minimum_days=campaign.minimum_days,
        include_thin=campaign.include_thin,
        downtime=campaign.downtime,
    )


def _languages(campaign: Campaign) -> tuple[str, ...]:
    query = CampaignWording.select(CampaignWording.language).where(
        CampaignWording.campaign == campaign, CampaignWording.kind == MailKind.ASK
    )
    return tuple(sorted({row.language for row in query}))


def doubts(mailing_list: MailingList) -> tuple[DoubtFacts, ...]:
    """Return the mails of a list that are in doubt, of whatever kind, with their addresses."""
    rows: Any = (
        Mail.select(
            Mail.id, Mail.kind, Contact.address, SignUp.address, Mail.started_at, Mail.attempts
        )
        .join_from(Mail, Contact, JOIN.LEFT_OUTER)
        .join_from(Mail, SignUp, JOIN.LEFT_OUTER)
        # Written out, so that the index for just these mails is used.
        .where(Mail.list == mailing_list, Mail.state == SQL("'in_doubt'"))
        .order_by(Mail.id)
        .tuples()
    )
    return tuple(
        DoubtFacts(
            mail=mail,
            kind=MailKind(kind),
            address=of_contact or of_sign_up or "",
            started_at=at,
            attempts=attempts,
        )
        for mail, kind, of_contact, of_sign_up, at, attempts in rows
    )
