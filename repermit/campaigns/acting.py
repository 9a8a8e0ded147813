"""What every act on a campaign begins and ends with: its lock, and its evidence.

May import evidence, consent, models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit import evidence
from repermit.consent import CampaignState, require_campaign
from repermit.errors import NotFound
from repermit.evidence import Entry
from repermit.models import Campaign, latest_campaign, lock_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from repermit.models import MailingList


def locked(mailing_list: MailingList, act: str) -> Campaign:
    """Return the latest campaign, locked, if its state allows the act."""
    latest = latest_campaign(mailing_list)
    if latest is None:
        message = f"there is no campaign on {mailing_list.slug}"
        raise NotFound(message)
    campaign: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    require_campaign(CampaignState(campaign.state), act)
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
