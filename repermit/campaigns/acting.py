"""What every act on a campaign begins and ends with: its lock, and its evidence.

May import evidence, consent, models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit import evidence
from repermit.consent import CampaignState, require_campaign
from repermit.errors import NotFound, Refused
from repermit.evidence import Entry
from repermit.models import Campaign, TaskKind, latest_campaign, lock_rows, lock_task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from repermit.models import MailingList


def locked(mailing_list: MailingList, act: str) -> Campaign:
    """Return the latest campaign, locked, if its state allows the act.

    While its asks are made there is one act, to cancel it; nothing is left to be made then.
    """
    latest = latest_campaign(mailing_list)
    if latest is None:
        raise NotFound("there is no campaign on %(list)s", list=mailing_list.slug)
    # Locked in the order of a step of the launch: the task first.
    launch = lock_task(TaskKind.LAUNCH, latest.id)
    campaign: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    require_campaign(CampaignState(campaign.state), act)
    if launch is not None:
        if act != "cancel":
            raise Refused(
                "the mails of this campaign are still being made ready; wait until they are"
            )
        launch.delete_instance()
    return campaign


def append(
    event: str,
    campaign: Campaign,
    mailing_list: MailingList,
    *,
    now: datetime,
    actor: str,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Append what an admin did to a campaign; the last step of the act's transaction."""
    evidence.append(
        Entry(
            event=event,
            at=now,
            actor=actor,
            list=mailing_list.slug,
            campaign=campaign.id,
            consent=facts or {},
        )
    )
