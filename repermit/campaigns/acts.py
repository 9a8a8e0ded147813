"""What the admin does to a campaign that is under way: pause, resume, cancel.

May import contacts, consent, models and what lies below. Each act is one transaction; the mails
that it makes due or drops follow in steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from repermit import contacts
from repermit.campaigns.acting import append, locked
from repermit.campaigns.pacing import in_zone, last_unsent_at
from repermit.consent import NOT_STARTED, CampaignState, Dropped, latest_ask
from repermit.errors import Refused
from repermit.models import (
    Campaign,
    TaskKind,
    Work,
    foreground_work,
    latest_campaign,
    run_steps,
    targets_of,
)

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database, MailingList


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """A campaign that goes on; `let_go` asks had waited for the end of its pilot.

    `last_ask_at` is when the rates let the last ask out, if nothing holds it up.
    """

    state: CampaignState
    let_go: int
    last_ask_at: datetime
    deadline: datetime


def pause(database: Database, mailing_list: MailingList, *, now: datetime, actor: str) -> None:
    """Stop asks, reminders and expiry; answers and confirmations go on."""
    with database.atomic():
        campaign = locked(mailing_list, "pause")
        campaign.paused_from = campaign.state
        campaign.state = CampaignState.PAUSED
        campaign.save()
        append("paused", campaign, mailing_list, now=now, actor=actor)


def resume(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    most: int | None = None,
) -> Resumed:
    """Go back to where the pause came from; raises Refused if the deadline has passed.

    After a pilot the others' asks are due from now on; refused too if, at the rates, the last of
    them would be too late to have time to answer. They are made due after the act itself, in steps
    as `cancel` has, and `most` is the same. What made the campaign pause by itself does not do so
    again: only what comes on top of it.

    When the last ask leaves is worked out before the act: where domains have a rate, that takes
    long among many. Nothing of a campaign that is paused is sent meanwhile.
    """
    latest = latest_campaign(mailing_list)
    last_ask_at = last_unsent_at(latest, settings=settings, now=now) if latest else now
    with database.atomic():
        campaign = locked(mailing_list, "resume")
        if campaign.deadline <= now:
            raise Refused(
                "the deadline has passed meanwhile; give people time to answer first: "
                "`repermit extend %(list)s --deadline …`",
                code="resume_passed",
                list=mailing_list.slug,
            )
        facts: dict[str, Any] = {}
        if campaign.pause_reason:
            facts["after"] = campaign.pause_reason
            facts |= contacts.release_brake(campaign)
        let_go = contacts.end_pilot(campaign)
        if let_go:
            _refuse_too_late(campaign, mailing_list.slug, settings, now, last_ask_at)
            facts["let_go"] = let_go
        campaign.state = campaign.paused_from
        campaign.paused_from = campaign.pause_reason = ""
        campaign.save()
        append("resumed", campaign, mailing_list, now=now, actor=actor, facts=facts)
    if let_go:
        with foreground_work(database, Work.END_PILOT):
            run_steps(
                database,
                lambda limit: contacts.let_go(campaign, now=now, most=limit) > 0,
                most=most,
            )
    return Resumed(
        state=CampaignState(campaign.state),
        let_go=let_go,
        last_ask_at=last_ask_at,
        deadline=campaign.deadline,
    )


def _refuse_too_late(
    campaign: Campaign, slug: str, settings: Settings, now: datetime, last_ask_at: datetime
) -> None:
    latest = latest_ask(campaign.deadline, campaign.minimum_days)
    if now > latest:
        raise Refused(
            "those who wait for the end of the pilot would have less than %(days)s days to "
            "answer, and would not be asked any more; give them time first: "
            "`repermit extend %(list)s --deadline …`",
            code="pilot_too_near",
            days=campaign.minimum_days,
            list=slug,
        )
    if last_ask_at > latest:
        earliest = last_ask_at + timedelta(days=campaign.minimum_days)
        raise Refused(
            "the mails leave too slowly: at the rates under [mail] the last of those who wait for "
            "the end of the pilot is asked on %(last)s, and would have less than %(days)s days to "
            "answer; the deadline must be later than %(earliest)s: "
            "`repermit extend %(list)s --deadline …`",
            code="pilot_too_slow",
            last=in_zone(last_ask_at, settings),
            days=campaign.minimum_days,
            earliest=in_zone(earliest, settings),
            list=slug,
        )


def cancel(
    database: Database,
    mailing_list: MailingList,
    *,
    now: datetime,
    actor: str,
    most: int | None = None,
) -> None:
    """End a campaign: what is unsent is dropped, nobody is removed, links still answer.

    From the first transaction on no mail can start any more. The unsent are dropped after it, in
    steps that let others write in between, and about `most` of them at most if given; what is left,
    also by a kill, is dropped by the sweep that looks after campaigns.
    """
    with database.atomic():
        campaign = locked(mailing_list, "cancel")
        campaign.state = CampaignState.CANCELLED
        campaign.closed_at = now
        campaign.save()
        unsent = contacts.total(
            contacts.count_mails(campaign=campaign), lambda mails: mails.state in NOT_STARTED
        )
        facts = {"dropped": unsent}
        append("cancelled", campaign, mailing_list, now=now, actor=actor, facts=facts)
    with foreground_work(database, Work.DROP_MAILS):
        run_steps(
            database,
            lambda limit: contacts.drop_owed(campaign, Dropped.CANCELLED, most=limit) > 0,
            most=most,
        )


def start_scheduled(database: Database, *, now: datetime) -> int:
    """Let the campaigns whose time has come begin; return how many there were.

    Not those whose asks are still being made.
    """
    with database.atomic():
        started = (
            Campaign.update(state=CampaignState.SENDING)
            .where(
                Campaign.state == CampaignState.SCHEDULED,
                Campaign.starts_at <= now,
                Campaign.id.not_in(targets_of(TaskKind.LAUNCH)),
            )
            .execute()
        )
    return int(started)
