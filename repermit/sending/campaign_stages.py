"""Moving campaigns on while mails leave: the end of a pilot, everybody asked, the queue emptied."""

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
    """Move on whichever campaigns are ready; any number of processes may do so at once.

    1. Pilots that are through wait for `resume`.
    2. Whoever still waits for a pilot that is over is let go.
    3. What came back into the queue of a campaign that is over is dropped.
    4. Campaigns that have asked everybody become `open`.
    """
    circuit_breaker.finish_pilots(database, now=now)
    circuit_breaker.release_ended_pilots(database, now=now)
    _drop_leftovers(database)
    _open_campaigns(database, now=now)


def _drop_leftovers(database: Database) -> None:
    """Drop what is in the queue although its campaign is over.

    It was on its way at that moment, and was refused for now or held up afterwards; or there was
    more of it than is dropped while somebody waits.
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
    """Let campaigns that have nothing more to send be `open`."""
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
