"""One run of sending: everything that is due now, over several lines to the mail server.

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

from repermit.clock import Clock
from repermit.db.connection import Database, set_idle_transaction_timeout, without_lock_timeout
from repermit.db.models.lists import MailingList
from repermit.rules.consent import MailState
from repermit.sending import queue
from repermit.sending.campaign_stages import advance_campaigns
from repermit.sending.claim_buffer import ClaimBuffer
from repermit.sending.crash_recovery import recover_mails
from repermit.sending.mail_for_contact import MailComposer
from repermit.sending.send_loop import SendLoop
from repermit.sending.send_rate import SendRates
from repermit.sending.server_faults import note_fault
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
    """Send what is due, of one list or of all; return what ended it early, "" if nothing did.

    `on_result` hears what has become of each mail, by its number; `maintain` is called all the
    time, for what else there is to do. Raises ConfigError for a mail server that cannot even be
    tried.
    """
    with nullcontext(worker) if worker else Worker.register(settings) as own_worker:
        claims = ClaimBuffer(
            database,
            worker=own_worker.id,
            fingerprint_key=settings.fingerprint_key,
            rates=SendRates.from_settings(settings.mail),
            clock=clock,
            mailing_list=mailing_list,
            at_first=4 * settings.mail.connections,
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
        # What a server has accepted must be kept, whoever holds the database.
        with without_lock_timeout(database):
            loop.run()
        return loop.fault


# --- What is looked after every few seconds, while mails leave and while none do. -----------------


# Seconds between two rounds, and how much longer than a round took there is none: on a large
# database it takes a tenth of the time at most.
_INTERVAL = 2.0
_REST_FACTOR = 9


def run_maintenance(database: Database, *, now: datetime) -> None:
    """Recover what dead workers left, and move campaigns on; also while no mail leaves."""
    recover_mails(database, now=now)
    advance_campaigns(database, now=now)


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


# --- One run of sending. --------------------------------------------------------------------------


_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SendResult:
    """What one run did; `waiting` mails are queued at its end, due or not.

    `server_fault` says why the run ended early, "" if it did not: what is due stays so.
    """

    sent: int = 0
    failed: int = 0
    dropped: int = 0
    in_doubt: int = 0
    waiting: int = 0
    server_fault: str = ""


@dataclass(frozen=True)
class SendProgress:
    """What has just become of one mail; `done` counts the run's mails so far."""

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
    """Send what is due now, of one list or of all; may run in any number of processes at once.

    1. What dead workers left behind is put right, campaigns that have asked everybody become
       `open`, and pilots that are through wait; so every few seconds, and at the end once more.
    2. Mails are sent, no faster than the rates allow. A fault of the server ends the run, and so
       does a mail in doubt; what is on its way is brought to its end first.

    `should_stop` is asked all the time. Raises ConfigError for a mail server that cannot even be
    tried.
    """
    set_idle_transaction_timeout(database)
    run_maintenance(database, now=clock.now())
    tally = _Tally(on_step)
    maintenance = Maintenance(
        database, clock=clock, count_sent=lambda: tally.counts[MailState.SENT]
    )
    fault = ""
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
            note_fault(database, fault, now=clock.now())
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
    """Counts what becomes of the mails, and passes it on."""

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
