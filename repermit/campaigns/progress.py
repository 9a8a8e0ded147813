"""The status of a list and its latest campaign, in counts.

Nothing is written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from peewee import JOIN, SQL, fn

from repermit.campaigns.audience import count_asks
from repermit.campaigns.result_types import (
    CampaignDetails,
    CampaignProgress,
    CampaignStatus,
    InDoubtMail,
)
from repermit.contacts import click_log, lookup
from repermit.contacts import counts as contacts_counts
from repermit.db.models.campaigns import Campaign, CampaignWording, latest_campaign
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.evidence import signed_checkpoint
from repermit.rules.consent import (
    ASKING_KINDS,
    CampaignState,
    MailKind,
    MailState,
    PauseReason,
    Reason,
    Status,
)
from repermit.rules.deadlines_and_reminders import (
    latest_ask,
)
from repermit.settings.definitions import Settings


def read_status(
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,  # noqa: ARG001  taken as every use case takes it
) -> CampaignStatus:
    """Return the status of a list and its latest campaign."""
    campaign = latest_campaign(mailing_list)
    unasked = lookup.select_unasked(mailing_list)
    statuses = dict.fromkeys(Status, 0)
    removed = dict.fromkeys(Reason, 0)
    for (status, reason), count in contacts_counts.count_contacts(mailing_list).items():
        statuses[status] += count
        if status == Status.REMOVED:
            removed[Reason(reason)] += count
    return CampaignStatus(
        list=mailing_list.slug,
        campaign=_make_campaign_facts(campaign) if campaign else None,
        contacts=statuses,
        removed=removed,
        mails=_count_mails(mailing_list, campaign),
        unasked=unasked.count(),
        held=click_log.count_held_yes(mailing_list),
        unasked_in_doubt=unasked.where(Mail.state == MailState.IN_DOUBT).count(),
        still_mailed=count_still_mailed(mailing_list),
        in_doubt=list_doubts(mailing_list),
        checkpoint=signed_checkpoint.make_signed_checkpoint(settings),
        lost_launch_at=mailing_list.lost_launch_at,
    )


def read_progress(mailing_list: MailingList) -> CampaignProgress | None:
    """Return the progress of the list's latest campaign; None if it has none."""
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        return None
    counts = dict.fromkeys(MailState, 0)
    for mails, count in contacts_counts.count_mails(campaign=campaign).items():
        if mails.kind in ASKING_KINDS:
            counts[mails.state] += count
    return CampaignProgress(state=CampaignState(campaign.state), mails=counts)


def _count_mails(
    mailing_list: MailingList, campaign: Campaign | None
) -> dict[MailKind, dict[MailState, int]]:
    counts = {kind: dict.fromkeys(MailState, 0) for kind in MailKind}
    campaigns = {0, campaign.id if campaign else 0}
    for mails, count in contacts_counts.count_mails(mailing_list).items():
        if mails.campaign in campaigns:
            counts[mails.kind][mails.state] += count
    return counts


def count_still_mailed(mailing_list: MailingList) -> int:
    """Count the unsubscribes from other tools' mails by people who are erased here."""
    return _count_noted(mailing_list, "event = 'still_mailed'")


def count_not_the_person(mailing_list: MailingList) -> int:
    """Count the readers of our mails who said that they are not the person meant."""
    return _count_noted(mailing_list, "event = 'not_the_person'")


def _count_noted(mailing_list: MailingList, condition: str) -> int:
    # The condition is literal SQL, so that the partial index for these entries is used.
    entries = Evidence.select().where(SQL(condition), Evidence.list == mailing_list.slug)
    return int(entries.count())


def _make_campaign_facts(campaign: Campaign) -> CampaignDetails:
    return CampaignDetails(
        number=campaign.id,
        state=CampaignState(campaign.state),
        pause_reason=campaign.pause_reason,
        deadline=campaign.deadline,
        latest_ask=latest_ask(campaign.deadline, campaign.minimum_days),
        launched_at=campaign.launched_at,
        starts_at=campaign.starts_at,
        opened_at=campaign.opened_at,
        closed_at=campaign.closed_at,
        asked=count_asks(campaign),
        languages=_list_languages(campaign),
        pilot=campaign.pilot,
        reminder_at=campaign.reminder_at,
        late_reminders=contacts_counts.count_late_reminders(campaign),
        minimum_days=campaign.minimum_days,
        include_thin=campaign.include_thin,
        downtime=campaign.downtime,
    )


def _list_languages(campaign: Campaign) -> tuple[str, ...]:
    query = CampaignWording.select(CampaignWording.language).where(
        CampaignWording.campaign == campaign, CampaignWording.kind == MailKind.ASK
    )
    return tuple(sorted({row.language for row in query}))


def list_doubts(mailing_list: MailingList) -> tuple[InDoubtMail, ...]:
    """Return the mails of a list that are in doubt, of any kind, with their addresses."""
    rows: Any = (
        Mail.select(
            Mail.id,
            Mail.kind,
            fn.COALESCE(FreshLink.address, SignUp.address, Contact.address, ""),
            Mail.started_at,
            Mail.attempts,
            Mail.reason,
        )
        .join_from(Mail, Contact, JOIN.LEFT_OUTER)
        .join_from(Mail, SignUp, JOIN.LEFT_OUTER)
        .join_from(Mail, FreshLink, JOIN.LEFT_OUTER)
        # Literal SQL, so that the partial index for these mails is used.
        .where(Mail.list == mailing_list, Mail.state == SQL("'in_doubt'"))
        .order_by(Mail.id)
        .tuples()
    )
    return tuple(
        InDoubtMail(
            mail=mail,
            kind=MailKind(kind),
            address=address,
            started_at=started_at,
            attempts=attempts,
            is_restored=reason == PauseReason.RESTORED,
        )
        for mail, kind, address, started_at, attempts, reason in rows
    )
