"""One run of sending: all mails that are due, over several connections to the mail server.

Log lines name a mail by its number only.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from peewee import fn

from repermit.clock import Clock
from repermit.contacts import circuit_breaker, status_changes
from repermit.db.background_tasks import JobKind, background_lock
from repermit.db.connection import Database, set_idle_transaction_timeout, without_lock_timeout
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.work_steps import run_steps
from repermit.rules.consent import (
    ASKING_KINDS,
    UNSETTLED,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
)
from repermit.sending import queue, send_rate
from repermit.sending.claim_buffer import ClaimBuffer
from repermit.sending.crash_recovery import recover_mails
from repermit.sending.mail_for_contact import MailComposer
from repermit.sending.queue import IS_QUEUED
from repermit.sending.send_loop import SendLoop
from repermit.sending.send_rate import SendRates
from repermit.sending.server_faults import record_fault
from repermit.sending.worker_lock import Worker
from repermit.settings.definitions import Settings
from repermit.smtp.mail_server import Mailer

# --- One run of a worker, which claims and sends what is due until nothing is. --------------------


def run_worker(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    mailing_list: MailingList | None,
    on_result: Callable[[int, MailState], None],
    should_stop: Callable[[], bool],
    maintain: Callable[[], None],
    worker: Worker | None = None,
    mailer: Mailer | None = None,
) -> str:
    """Send the mails that are due, of one list or of all; return why it ended early, or "".

    - `on_result` is called with the number and the new state of each mail.
    - `maintain` is called a few times a second.
    - Raises ConfigError if the settings of the mail server cannot be used.
    """
    with nullcontext(worker) if worker else Worker.register(settings) as own_worker:
        claims = ClaimBuffer(
            database,
            worker=own_worker.id,
            fingerprint_key=settings.fingerprint_key,
            rates=SendRates.from_settings(settings.mail),
            clock=clock,
            mailing_list=mailing_list,
            first_rows=4 * settings.mail.connections,
            on_drop=lambda number, _: on_result(number, MailState.DROPPED),
        )
        loop = SendLoop(
            database,
            settings=settings,
            clock=clock,
            worker=own_worker.id,
            mailer=mailer or Mailer(settings.mail),
            claims=claims,
            composer=MailComposer(settings),
            on_result=on_result,
            should_stop=should_stop,
            maintain=maintain,
        )
        # A mail that was accepted must be recorded, however long the database is locked.
        with without_lock_timeout(database):
            loop.run()
        return loop.fault


# --- Maintenance every few seconds, while mails are sent and while none are. ----------------------


# Seconds between two runs, and the pause as a multiple of a run's duration: on a large database
# maintenance takes a tenth of the time at most.
_INTERVAL = 2.0
_PAUSE_FACTOR = 9


def run_maintenance(database: Database, *, now: datetime) -> None:
    """Recover the mails of dead workers, and advance campaigns."""
    recover_mails(database, now=now)
    advance_campaigns(database, now=now)


class Maintenance:
    """Runs maintenance during a run of sending, which may last for days with rate limits.

    `count_sent` returns how many mails of the run were accepted so far.
    """

    def __init__(self, database: Database, *, clock: Clock, count_sent: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._count_sent = count_sent
        self._sent = 0
        self._next_at = time.monotonic() + _INTERVAL

    def run_if_due(self) -> None:
        """Run maintenance if it is due; called a few times a second."""
        began = time.monotonic()
        if began < self._next_at:
            return
        now = self._clock.now()
        run_maintenance(self._database, now=now)
        sent = self._count_sent()
        if sent > self._sent:
            # Mails are accepted, so the last fault is over.
            record_fault(self._database, "", now=now)
        self._sent = sent
        ended = time.monotonic()
        self._next_at = ended + max(_INTERVAL, _PAUSE_FACTOR * (ended - began))


# --- One run of sending. --------------------------------------------------------------------------


_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SendResult:
    """The result of one run of sending, as numbers of mails.

    - `waiting`: mails queued at the end of the run, due or not.
    - `server_fault`: why the run ended early, "" if it did not; due mails stay due.
    """

    sent: int = 0
    failed: int = 0
    dropped: int = 0
    in_doubt: int = 0
    waiting: int = 0
    server_fault: str = ""


@dataclass(frozen=True)
class SendProgress:
    """The new state of one mail; `done` counts the mails of the run so far."""

    mail: int
    state: MailState
    done: int


def send_due(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    mailing_list: MailingList | None = None,
    worker: Worker | None = None,
    mailer: Mailer | None = None,
    on_step: Callable[[SendProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SendResult:
    """Send the mails that are due, of one list or of all; several processes may do so at once.

    1. Mails of dead workers are recovered, campaigns that have asked everybody become `open`, and
       finished pilots wait. This is repeated every few seconds and at the end.
    2. Mails are sent within the rate limits. A fault of the server or a mail in doubt ends the run,
       after the mails that have started are settled.

    - `should_stop` is called a few times a second.
    - Raises ConfigError if the settings of the mail server cannot be used.
    """
    set_idle_transaction_timeout(database)
    run_maintenance(database, now=clock.now())
    tally = _Tally(on_step)
    maintenance = Maintenance(
        database, clock=clock, count_sent=lambda: tally.counts[MailState.SENT]
    )
    fault = ""
    with database.atomic():
        send_rate.bring_forward(SendRates.from_settings(settings.mail), now=clock.now())
    if queue.is_due(now=clock.now(), mailing_list=mailing_list):
        fault = run_worker(
            database,
            settings=settings,
            clock=clock,
            mailing_list=mailing_list,
            on_result=tally.count,
            should_stop=should_stop or (lambda: False),
            maintain=maintenance.run_if_due,
            worker=worker,
            mailer=mailer,
        )
        if fault or tally.counts[MailState.SENT]:
            record_fault(database, fault, now=clock.now())
    run_maintenance(database, now=clock.now())
    return SendResult(
        sent=tally.counts[MailState.SENT],
        failed=tally.counts[MailState.FAILED],
        dropped=tally.counts[MailState.DROPPED],
        in_doubt=tally.counts[MailState.IN_DOUBT],
        waiting=queue.count_queued(mailing_list=mailing_list),
        server_fault=fault,
    )


class _Tally:
    """Counts the mails by their new state, and reports progress."""

    def __init__(self, on_step: Callable[[SendProgress], None] | None) -> None:
        self.counts: Counter[MailState] = Counter()
        self._on_step = on_step
        self._done = 0

    def count(self, number: int, state: MailState) -> None:
        self.counts[state] += 1
        self._done += 1
        _logger.debug("mail %d: %s", number, state)
        if self._on_step:
            self._on_step(SendProgress(number, state, self._done))


# --- Advancing campaigns: the end of a pilot, everybody asked, leftover mails. --------------------


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
