"""What the admin does to a campaign that is under way: pause, resume, cancel, extend.

May import evidence, consent, models and what lies below. Each act is one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repermit import evidence
from repermit.consent import CampaignState, Dropped, MailState, require_campaign
from repermit.errors import NotFound, Refused
from repermit.evidence import Entry
from repermit.models import Campaign, Mail, latest_campaign, lock_rows, stored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database, MailingList

_UNSENT = (MailState.QUEUED, MailState.CLAIMED)


@dataclass(frozen=True, kw_only=True)
class Extended:
    """A deadline that was moved; `unsent` asks still name the earlier one, `until`."""

    deadline: datetime
    until: datetime
    unsent: int


def pause(database: Database, mailing_list: MailingList, *, now: datetime, actor: str) -> None:
    """Stop asks, reminders and expiry; answers and confirmations go on."""
    with database.atomic():
        campaign = _locked(mailing_list, "pause")
        campaign.paused_from = campaign.state
        campaign.state = CampaignState.PAUSED
        campaign.save()
        _append("paused", campaign, mailing_list, now=now, actor=actor)


def resume(database: Database, mailing_list: MailingList, *, now: datetime, actor: str) -> None:
    """Go back to where `pause` came from; raises Refused if the deadline has passed."""
    with database.atomic():
        campaign = _locked(mailing_list, "resume")
        if campaign.deadline <= now:
            raise Refused(
                "the deadline has passed meanwhile; give people time to answer first: "
                f"`repermit extend {mailing_list.slug} --deadline …`"
            )
        campaign.state = campaign.paused_from
        campaign.paused_from = ""
        campaign.save()
        _append("resumed", campaign, mailing_list, now=now, actor=actor)


def cancel(database: Database, mailing_list: MailingList, *, now: datetime, actor: str) -> None:
    """End a campaign: what is unsent is dropped, nobody is removed, links still answer."""
    with database.atomic():
        campaign = _locked(mailing_list, "cancel")
        campaign.state = CampaignState.CANCELLED
        campaign.closed_at = now
        campaign.save()
        dropped = (
            Mail.update(state=MailState.DROPPED, reason=Dropped.CANCELLED)
            .where(Mail.campaign == campaign, Mail.state.in_(_UNSENT))
            .execute()
        )
        facts = {"dropped": dropped}
        _append("cancelled", campaign, mailing_list, now=now, actor=actor, facts=facts)


def extend(
    database: Database,
    mailing_list: MailingList,
    *,
    deadline: datetime,
    settings: Settings,
    now: datetime,
    actor: str,
) -> Extended:
    """Move the deadline (aware) to later; raises Refused if it is not.

    Also after it has passed, as long as the campaign has not been closed. The wording stays as
    it was frozen, so that asks which are still unsent name the earlier deadline.
    """
    with database.atomic():
        campaign = _locked(mailing_list, "extend")
        earlier = campaign.deadline
        if deadline <= max(earlier, now):
            raise Refused(
                "a deadline only moves later: it is "
                f"{earlier.astimezone(settings.zone):%Y-%m-%d %H:%M}"
            )
        campaign.deadline = deadline
        campaign.save()
        unsent = Mail.select().where(Mail.campaign == campaign, Mail.state.in_(_UNSENT)).count()
        facts = {"from": stored(earlier), "to": stored(deadline), "unsent": unsent}
        _append("extended", campaign, mailing_list, now=now, actor=actor, facts=facts)
    return Extended(deadline=deadline, until=earlier, unsent=unsent)


def start_scheduled(database: Database, *, now: datetime) -> int:
    """Let the campaigns whose time has come begin; return how many there were."""
    with database.atomic():
        started = (
            Campaign.update(state=CampaignState.SENDING)
            .where(Campaign.state == CampaignState.SCHEDULED, Campaign.starts_at <= now)
            .execute()
        )
    return int(started)


def _locked(mailing_list: MailingList, act: str) -> Campaign:
    """Return the latest campaign, locked, if its state allows the act."""
    latest = latest_campaign(mailing_list)
    if latest is None:
        message = f"there is no campaign on {mailing_list.slug}"
        raise NotFound(message)
    campaign: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    require_campaign(CampaignState(campaign.state), act)
    return campaign


def _append(
    event: str,
    campaign: Campaign,
    mailing_list: MailingList,
    *,
    now: datetime,
    actor: str,
    facts: Mapping[str, Any] | None = None,
) -> None:
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
