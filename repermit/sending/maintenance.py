"""What is looked after every few seconds, while mails leave and while none do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from peewee import fn

from repermit.clock import Clock
from repermit.contacts import circuit_breaker, status_changes
from repermit.db.background_tasks import Work, background_work
from repermit.db.connection import Database, is_postgresql
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail
from repermit.db.work_steps import StepSize, run_counted_steps, run_steps
from repermit.i18n.lazy_text import Said
from repermit.rules.consent import (
    ASKING_KINDS,
    UNSETTLED,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    PauseReason,
)
from repermit.sending.queue import IS_QUEUED
from repermit.sending.server_faults import note_fault
from repermit.sending.worker_lock import is_alive
from repermit.settings.definitions import Settings

# --- Putting right what dead workers have left behind. --------------------------------------------


@dataclass(frozen=True)
class RecoveryResult:
    """How many mails went back to the queue, and how many are in doubt now."""

    requeued: int
    in_doubt: int


def recover_mails(database: Database, *, now: datetime) -> RecoveryResult:
    """Look after mails that were claimed or started and not settled.

    1. Claimed, and the worker is dead or its lease is over: back to the queue. A living worker
       notices when it wants to start the mail.
    2. Started, and the worker is dead: in doubt. Never by time alone, since a slow worker may
       still be waiting for its reply.
    """
    dead = _find_dead_workers(database)
    if not dead and not _select_expired(now).exists():
        return RecoveryResult(0, 0)
    ended = Mail.worker.in_(dead) | _is_lease_over(now)
    requeued = _settle_in_steps(
        database, _IS_CLAIMED & ended, state=MailState.QUEUED, worker="", lease_until=None
    )
    in_doubt = _settle_in_steps(
        database,
        _IS_STARTED & Mail.worker.in_(dead),
        state=MailState.IN_DOUBT,
        lease_until=None,
    )
    return RecoveryResult(requeued, in_doubt)


def _settle_in_steps(database: Database, condition: Any, **values: Any) -> int:
    """Change the mails for which a condition holds; return how many there were."""

    def settle(limit: int) -> tuple[bool, int]:
        some = _skip_locked(database, condition).limit(limit)
        count = int(Mail.update(**values).where(Mail.id.in_(some)).execute())
        return count >= limit, count

    return run_counted_steps(database, settle, should_stop=bool, size=StepSize())


def _find_dead_workers(database: Database) -> list[str]:
    holders = Mail.select(Mail.worker).where(_IS_HELD).distinct()
    return [mail.worker for mail in holders if not is_alive(database, mail.worker)]


def _select_expired(now: datetime) -> Any:
    return Mail.select().where(_IS_CLAIMED, _is_lease_over(now))


def _skip_locked(database: Database, *conditions: Any) -> Any:
    """Find mails that nobody is changing right now.

    A worker may have fallen asleep over its change, and would hold everybody up.
    """
    query = Mail.select(Mail.id).where(*conditions)
    return query.for_update(skip_locked=True) if is_postgresql(database) else query


def _is_lease_over(now: datetime) -> Any:
    return Mail.lease_until < now


# Every mail that is claimed or started has a lease, and the index for just these is used.
_IS_LEASED: Any = Mail.lease_until.is_null(is_null=False)
_IS_CLAIMED: Any = _IS_LEASED & (Mail.state == MailState.CLAIMED)
_IS_STARTED: Any = _IS_LEASED & (Mail.state == MailState.STARTED)
_IS_HELD: Any = _IS_LEASED & Mail.state.in_((MailState.CLAIMED, MailState.STARTED))


# --- Seeing to it that a campaign pauses by itself when too much of it comes back. ----------------


# How much longer than counting took it is left alone, so that it takes a tenth of the time at most.
_REST_FACTOR = 9

# So many one after the other, from a server that has taken nothing, say more of it than of them: a
# relay that lost its list of recipients, or a filter, refuses everybody with 5.1.1.
SUSPICIOUS = 10
KNOWS_NOBODY = Said(
    "the mail server says of %(count)s people in a row that they do not exist, and has taken no "
    "mail; look at it before `resume`",
    code="knows_nobody",
    count=SUSPICIOUS,
)


class BounceGuard:
    """Counts anew, soon after a mail was refused for good, whether its campaign must pause.

    `has_accepted` is set by who hears the server accept a mail.
    """

    def __init__(self, database: Database, *, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._percent = settings.campaign.pause_at_bounce_percent
        self._clock = clock
        self._watched: set[int] = set()
        self._next_at = 0.0
        self._unknown_count = 0
        self.has_accepted = False

    def is_server_doubtful(self, campaign_id: int) -> bool:
        """Hear that a person of a campaign is said not to exist; say whether to doubt the server.

        Then the campaign has paused, and nobody is to be removed for what it says.
        """
        if self.has_accepted:
            return False
        self._unknown_count += 1
        if self._unknown_count < SUSPICIOUS:
            return False
        with self._database.atomic():
            circuit_breaker.pause_automatically(
                campaign_id, PauseReason.BOUNCES, now=self._clock.now()
            )
        return True

    def watch(self, campaign_id: int) -> None:
        """Have a campaign looked at."""
        self._watched.add(campaign_id)

    def pause_campaigns(self, *, at_once: bool = False) -> None:
        """Pause the campaigns that are watched, where the rule says so."""
        began = time.monotonic()
        if not self._watched or (began < self._next_at and not at_once):
            return
        for campaign_id in sorted(self._watched):
            # By itself, since everybody locks a campaign before its contacts and mails.
            with self._database.atomic():
                circuit_breaker.trip_circuit_breaker(
                    campaign_id, percent=self._percent, now=self._clock.now()
                )
        self._watched.clear()
        now = time.monotonic()
        self._next_at = now + _REST_FACTOR * (now - began)


# --- Campaigns that are over, and those that have asked everybody. --------------------------------


def _drop_leftovers(database: Database) -> None:
    """Drop what is in the queue although its campaign is over.

    It was on its way at that moment, and was refused for now or held up afterwards; or there was
    more of it than is dropped while somebody waits.
    """
    for state, reason in _DROP_REASONS.items():
        for campaign in list(Campaign.select().where(Campaign.state == state)):
            leftovers = (IS_QUEUED, Mail.kind.in_(ASKING_KINDS), Mail.campaign == campaign)
            if Mail.select().where(*leftovers).exists():
                with background_work(database, Work.DROP_MAILS) as should_stop:
                    run_steps(
                        database, partial(_drop_step, campaign, reason), should_stop=should_stop
                    )


def _drop_step(campaign: Campaign, reason: Dropped, limit: int) -> bool:
    return status_changes.drop_queued(campaign, reason, most=limit) > 0


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


# --- What is looked after every few seconds, while mails leave and while none do. -----------------


# Seconds between two rounds, and how much longer than a round took there is none: on a large
# database it takes a tenth of the time at most.
_INTERVAL = 2.0


def run_maintenance(database: Database, *, now: datetime) -> None:
    """Put right what is found; any number of processes may do so at once.

    1. What dead workers left behind goes back to the queue, or is in doubt.
    2. Pilots that are through wait for `resume`.
    3. Whoever still waits for a pilot that is over is let go.
    4. What came back into the queue of a campaign that is over is dropped.
    5. Campaigns that have asked everybody become `open`.
    """
    recover_mails(database, now=now)
    circuit_breaker.finish_pilots(database, now=now)
    circuit_breaker.release_ended_pilots(database, now=now)
    _drop_leftovers(database)
    _open_campaigns(database, now=now)


class Maintenance:
    """Looks after everything during a run, which may last for days where there are rates.

    `count_sent` tells how many mails of the run a server has accepted so far.
    """

    def __init__(self, database: Database, *, clock: Clock, count_sent: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._count_sent = count_sent
        self._sent = 0
        self._next_at = time.monotonic() + _INTERVAL

    def run_if_due(self) -> None:
        """Make a round if it is time for one; called all the time."""
        began = time.monotonic()
        if began < self._next_at:
            return
        now = self._clock.now()
        run_maintenance(self._database, now=now)
        sent = self._count_sent()
        if sent > self._sent:
            # Mails leave, so that nothing stands in their way any more.
            note_fault(self._database, "", now=now)
        self._sent = sent
        ended = time.monotonic()
        self._next_at = ended + max(_INTERVAL, _REST_FACTOR * (ended - began))
