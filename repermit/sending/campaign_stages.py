"""Advancing campaigns during sending: the end of a pilot, everybody asked, leftover mails."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from peewee import fn

from repermit.contacts import circuit_breaker, status_changes
from repermit.db.background_tasks import JobKind, background_lock
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail
from repermit.db.work_steps import run_steps
from repermit.rules.consent import (
    ASKING_KINDS,
    UNSETTLED,
    CampaignState,
    Dropped,
    MailKind,
)
from repermit.sending.queue import IS_QUEUED


def advance_campaigns(database: Database, *, now: datetime) -> None:
    """Advance the campaigns that are ready; several processes may do so at once.

    1. Finished pilots wait for `resume`.
    2. Mails held back by a pilot that is over are released.
    3. Mails that returned to the queue of a finished campaign are dropped.
    4. Campaigns that have asked everybody become `open`.
    """
    circuit_breaker.finish_pilots(database, now=now)
    circuit_breaker.release_ended_pilots(database, now=now)
    _drop_leftovers(database)
    _open_campaigns(database, now=now)


def _drop_leftovers(database: Database) -> None:
    """Drop queued mails of campaigns that are over.

    They were being sent when it ended and were requeued afterwards, or were more than the page
    that ended it had time to drop.
    """
    for state, reason in _DROP_REASONS.items():
        for campaign in list(Campaign.select().where(Campaign.state == state)):
            leftovers = (IS_QUEUED, Mail.kind.in_(ASKING_KINDS), Mail.campaign == campaign)
            if Mail.select().where(*leftovers).exists():
                with background_lock(database, JobKind.DROP_MAILS) as should_stop:
                    run_steps(
                        database, partial(_drop_step, campaign, reason), should_stop=should_stop
                    )


def _drop_step(campaign: Campaign, reason: Dropped, limit: int) -> bool:
    return status_changes.drop_queued(campaign, reason, max_rows=limit) > 0


_DROP_REASONS = {CampaignState.CANCELLED: Dropped.CANCELLED, CampaignState.CLOSED: Dropped.TOO_LATE}


def _open_campaigns(database: Database, *, now: datetime) -> None:
    """Set campaigns whose asks are all settled to `open`."""
    if not Campaign.select().where(*_make_asked_all_conditions()).exists():
        return
    with database.atomic():
        Campaign.update(state=CampaignState.OPEN, opened_at=now).where(
            *_make_asked_all_conditions()
        ).execute()


def _make_asked_all_conditions() -> tuple[Any, ...]:
    unsettled = Mail.select(Mail.id).where(
        Mail.campaign == Campaign.id, Mail.kind == MailKind.ASK, Mail.state.in_(UNSETTLED)
    )
    return (Campaign.state == CampaignState.SENDING, ~fn.EXISTS(unsettled))
