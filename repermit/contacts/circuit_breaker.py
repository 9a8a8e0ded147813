"""Pausing campaigns by themselves: for bounces, for complaints, and at the end of a pilot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from peewee import SQL

from repermit.contacts.counts import count_mails, sum_mails
from repermit.db.background_tasks import JobKind, background_lock
from repermit.db.connection import Database, lock_rows, make_id_list
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail, enqueue_notice
from repermit.db.work_steps import run_steps
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.circuit_breaker import BREAKER_REASONS, decide_pause, replaces_reason
from repermit.rules.consent import (
    ASKING_KINDS,
    BounceKind,
    CampaignState,
    MailKind,
    MailState,
    PauseReason,
)

AFTER_PILOT = datetime(9999, 1, 1, tzinfo=UTC)
"""When an ask is due that waits for the end of a pilot; `resume` gives it its real moment."""

_RUNNING = (CampaignState.SENDING, CampaignState.OPEN)
_STARTED = (CampaignState.SENDING, CampaignState.PAUSED)
_UNDERWAY = (MailState.CLAIMED, MailState.STARTED)
# What a server says of the mail or its reader, not of itself or of the sender.
_REFUSAL_REASONS = ("recipient", "message")


@dataclass(frozen=True, kw_only=True)
class MailOutcomes:
    """What has become of a campaign's asks and reminders; `sent` counts the refused ones too."""

    sent: int
    bounced: int
    complaints: int


def count_mail_outcomes(campaign: Campaign) -> MailOutcomes:
    """Count what the brake looks at, since the launch."""
    counts = count_mails(campaign=campaign)
    sent = refused = bounced = complaints = 0
    for mails, count in counts.items():
        if mails.kind not in ASKING_KINDS:
            continue
        sent += count * (mails.state is MailState.SENT)
        refused += count * (mails.state is MailState.FAILED and mails.reason in _REFUSAL_REASONS)
        bounced += count * (mails.bounce == BounceKind.HARD)
        complaints += count * (mails.bounce == BounceKind.COMPLAINT)
    return MailOutcomes(sent=sent + refused, bounced=bounced + refused, complaints=complaints)


def trip_circuit_breaker(campaign_id: int, *, percent: int, now: datetime) -> PauseReason | None:
    """Pause a campaign that has too many bounces or any complaint; return why, or None.

    What the admin knew of at the last `resume` after such a pause is not counted again, and after
    the deadline nothing is left to stop. Must be called in a transaction of its own, after the one
    that wrote the bounce down: it locks the campaign, which comes before the contacts.
    """
    campaign = _lock_campaign(campaign_id)
    if now >= campaign.deadline:
        return None
    outcomes = count_mail_outcomes(campaign)
    reason = decide_pause(
        outcomes.sent - campaign.brake_sent,
        outcomes.bounced - campaign.brake_bounced,
        outcomes.complaints - campaign.brake_complaints,
        percent=percent,
    )
    if reason and _pause_campaign(campaign, reason, now, vars(outcomes)):
        return reason
    return None


def pause_automatically(campaign_id: int, reason: PauseReason, *, now: datetime) -> bool:
    """Pause a campaign for a reason that the admin is told by mail; False if it was not to be.

    A campaign that is paused already stays so, but a brake takes the place of another reason, so
    that nobody lets it go on without knowing. Must be called inside the caller's transaction.
    """
    return _pause_campaign(_lock_campaign(campaign_id), reason, now, {})


def finish_pilots(database: Database, *, now: datetime) -> int:
    """Pause the campaigns whose pilot is through; return how many there were."""
    finished = 0
    for campaign in list(
        Campaign.select().where(Campaign.pilot > 0, Campaign.state == CampaignState.SENDING)
    ):
        if _is_pilot_under_way(campaign):
            continue
        with database.atomic():
            finished += pause_automatically(campaign.id, PauseReason.PILOT, now=now)
    return finished


def reset_circuit_breaker(campaign: Campaign) -> dict[str, int]:
    """Note on a campaign (not saved) what the admin knows of who lets it go on; return the counts.

    Nothing if it was not a brake that stopped it.
    """
    if campaign.pause_reason not in BREAKER_REASONS:
        return {}
    outcomes = count_mail_outcomes(campaign)
    campaign.brake_sent = outcomes.sent
    campaign.brake_bounced = outcomes.bounced
    campaign.brake_complaints = outcomes.complaints
    return dict(vars(outcomes))


def end_pilot(campaign: Campaign) -> int:
    """Note on a campaign (not saved) that its pilot is over; return how many asks waited for it.

    None while the pilot is still under way, as when the admin had paused in the middle of it. The
    asks themselves are released by `release_pilot_asks`, once this is saved.
    """
    is_through = campaign.pause_reason == PauseReason.PILOT or not _is_pilot_under_way(campaign)
    if not campaign.pilot or not is_through:
        return 0
    campaign.pilot = 0
    queued = sum_mails(
        count_mails(campaign=campaign),
        lambda mails: mails.kind is MailKind.ASK and mails.state is MailState.QUEUED,
    )
    # The others are the few of the pilot itself that were put off.
    return queued - int(_select_queued_asks(campaign).where(Mail.due_at < AFTER_PILOT).count())


def release_pilot_asks(campaign: Campaign, *, now: datetime, most: int) -> int:
    """Make asks due that waited for a pilot which is over, so many at most; return how many."""
    waiting_asks = _select_queued_asks(campaign).where(Mail.due_at == AFTER_PILOT).limit(most)
    mail_ids = [number for (number,) in waiting_asks.tuples()]
    if not mail_ids:
        return 0
    released = (
        Mail.update(due_at=now)
        .where(
            Mail.id.in_(make_id_list(mail_ids)),
            Mail.state == MailState.QUEUED,
            Mail.due_at == AFTER_PILOT,
        )
        .execute()
    )
    return int(released)


def release_ended_pilots(database: Database, *, now: datetime) -> None:
    """Make all asks due that still wait for a pilot which is over, as after a kill."""
    for campaign in list(
        Campaign.select().where(Campaign.pilot == 0, Campaign.state.in_(_STARTED))
    ):
        # Nothing is locked where nobody waits, as almost always.
        if _select_queued_asks(campaign).where(Mail.due_at == AFTER_PILOT).exists():
            with background_lock(database, JobKind.END_PILOT) as should_stop:
                run_steps(database, partial(_release_step, campaign, now), should_stop=should_stop)


def _release_step(campaign: Campaign, now: datetime, limit: int) -> bool:
    return release_pilot_asks(campaign, now=now, most=limit) > 0


def _select_queued_asks(campaign: Campaign) -> Any:
    # Written out, so that SQLite uses the index for just these.
    return Mail.select(Mail.id).where(
        SQL("state = 'queued'"), Mail.kind == MailKind.ASK, Mail.campaign == campaign
    )


def _lock_campaign(campaign_id: int) -> Campaign:
    campaign: Campaign = lock_rows(Campaign.select().where(Campaign.id == campaign_id)).get()
    return campaign


def _pause_campaign(
    campaign: Campaign, reason: PauseReason, now: datetime, counts: dict[str, int]
) -> bool:
    if campaign.state in _RUNNING:
        campaign.paused_from = campaign.state
        campaign.state = CampaignState.PAUSED
    elif campaign.state != CampaignState.PAUSED or not replaces_reason(
        reason, campaign.pause_reason
    ):
        return False
    campaign.pause_reason = reason
    campaign.save()
    enqueue_notice(f"paused_{reason}", list_id=campaign.list_id, due_at=now, campaign=campaign)
    chain.append(
        Entry(
            event="paused",
            at=now,
            actor="job",
            list=campaign.list.slug,
            campaign=campaign.id,
            consent={"reason": str(reason), **counts},
        )
    )
    return True


def _is_pilot_under_way(campaign: Campaign) -> bool:
    """Say whether an ask that did not wait for the pilot has still to be settled."""
    asks = Mail.select().where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
    under_way = asks.where(Mail.state.in_(_UNDERWAY))
    queued = asks.where(Mail.state == MailState.QUEUED, Mail.due_at < AFTER_PILOT)
    return bool(under_way.exists() or queued.exists())
