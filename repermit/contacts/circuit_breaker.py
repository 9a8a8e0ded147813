"""Automatic pauses of campaigns: for bounces, for complaints, and at the end of a pilot."""

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
"""The due time of an ask that waits for the end of a pilot; `resume` sets the real one."""

_RUNNING = (CampaignState.SENDING, CampaignState.OPEN)
_STARTED = (CampaignState.SENDING, CampaignState.PAUSED)
_UNDERWAY = (MailState.CLAIMED, MailState.STARTED)
# Refusals that concern the mail or its recipient, not the server or the sender.
_REFUSAL_REASONS = ("recipient", "message")


@dataclass(frozen=True, kw_only=True)
class MailOutcomes:
    """Counts of a campaign's asks and reminders; `sent` includes the refused ones."""

    sent: int
    bounced: int
    complaints: int


def count_mail_outcomes(campaign: Campaign) -> MailOutcomes:
    """Return the counts that the circuit breaker uses, since the launch."""
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

    Bounces before the last `resume` after such a pause are not counted again. After the deadline
    there is nothing left to pause. Call it in a separate transaction after the one that recorded
    the bounce: it locks the campaign, which comes before the contacts in the lock order.
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
    """Pause a campaign and enqueue a notice with the reason; False if nothing was changed.

    On a campaign that is paused already, a circuit-breaker reason replaces another one, so that
    nobody resumes without knowing it. Call it inside the caller's transaction.
    """
    return _pause_campaign(_lock_campaign(campaign_id), reason, now, {})


def finish_pilots(database: Database, *, now: datetime) -> int:
    """Pause the campaigns whose pilot is finished; return how many."""
    finished = 0
    for campaign in list(
        Campaign.select().where(Campaign.pilot > 0, Campaign.state == CampaignState.SENDING)
    ):
        if _is_pilot_under_way(campaign):
            continue
        with database.atomic():
            locked_campaign = _lock_campaign(campaign.id)
            # Another worker may have ended the pilot, and the admin resumed the campaign since.
            if locked_campaign.pilot:
                finished += _pause_campaign(locked_campaign, PauseReason.PILOT, now, {})
    return finished


def reset_circuit_breaker(campaign: Campaign) -> dict[str, int]:
    """Set the counts on a campaign (not saved) from which the breaker counts on; return them.

    The admin who resumes knows these bounces. Returns {} if the breaker did not pause the campaign.
    """
    if campaign.pause_reason not in BREAKER_REASONS:
        return {}
    outcomes = count_mail_outcomes(campaign)
    campaign.brake_sent = outcomes.sent
    campaign.brake_bounced = outcomes.bounced
    campaign.brake_complaints = outcomes.complaints
    return dict(vars(outcomes))


def end_pilot(campaign: Campaign) -> int:
    """End the pilot of a campaign (not saved); return how many asks waited for its end.

    Returns 0 while the pilot is under way, as when the admin paused during it. The asks are
    released by `release_pilot_asks`, once the campaign is saved.
    """
    is_through = campaign.pause_reason == PauseReason.PILOT or not _is_pilot_under_way(campaign)
    if not campaign.pilot or not is_through:
        return 0
    campaign.pilot = 0
    queued = sum_mails(
        count_mails(campaign=campaign),
        lambda mails: mails.kind is MailKind.ASK and mails.state is MailState.QUEUED,
    )
    # The other queued asks are the few of the pilot itself that were postponed.
    return queued - int(_select_queued_asks(campaign).where(Mail.due_at < AFTER_PILOT).count())


def release_pilot_asks(campaign: Campaign, *, now: datetime, max_rows: int) -> int:
    """Make at most `max_rows` asks due that waited for the end of a pilot; return how many."""
    waiting_asks = _select_queued_asks(campaign).where(Mail.due_at == AFTER_PILOT).limit(max_rows)
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
    """Make all asks due that still wait for an ended pilot, as after a killed process."""
    for campaign in list(
        Campaign.select().where(Campaign.pilot == 0, Campaign.state.in_(_STARTED))
    ):
        # Almost always no ask waits, and nothing is locked.
        if _select_queued_asks(campaign).where(Mail.due_at == AFTER_PILOT).exists():
            with background_lock(database, JobKind.END_PILOT) as should_stop:
                run_steps(database, partial(_release_step, campaign, now), should_stop=should_stop)


def _release_step(campaign: Campaign, now: datetime, limit: int) -> bool:
    return release_pilot_asks(campaign, now=now, max_rows=limit) > 0


def _select_queued_asks(campaign: Campaign) -> Any:
    # Literal SQL, so that SQLite uses the partial index for these mails.
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
    """Return whether an ask of the pilot itself is still queued or being sent."""
    asks = Mail.select().where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
    being_sent = asks.where(Mail.state.in_(_UNDERWAY))
    queued = asks.where(Mail.state == MailState.QUEUED, Mail.due_at < AFTER_PILOT)
    return bool(being_sent.exists() or queued.exists())
