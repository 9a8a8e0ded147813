"""One run of sending: everything that is due now, over several lines to the mail server.

May import mailer, contacts and what lies below. Log lines name a mail by its number only.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repermit.consent import MailState
from repermit.delivery import claiming
from repermit.delivery.faults import note_fault
from repermit.delivery.rounds import Rounds, look_after
from repermit.delivery.shift import work_shift
from repermit.models import limit_idleness

if TYPE_CHECKING:
    from collections.abc import Callable

    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.delivery.worker import Worker
    from repermit.mailer import Mailer
    from repermit.models import Database, MailingList

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
class Progress:
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
    on_step: Callable[[Progress], None] | None = None,
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
    limit_idleness(database)
    look_after(database, now=clock.now())
    tally = _Tally(on_step)
    rounds = Rounds(database, clock=clock, count_sent=lambda: tally.counts[MailState.SENT])
    fault = ""
    if claiming.is_due(now=clock.now(), mailing_list=mailing_list):
        fault = work_shift(
            database,
            settings=settings,
            clock=clock,
            mailing_list=mailing_list,
            tell=tally.tell,
            should_stop=should_stop or (lambda: False),
            look_after=rounds.look,
            worker=worker,
            mailer=mailer,
        )
        if fault or tally.counts[MailState.SENT]:
            note_fault(database, fault, now=clock.now())
    look_after(database, now=clock.now())
    return SendResult(
        sent=tally.counts[MailState.SENT],
        failed=tally.counts[MailState.FAILED],
        dropped=tally.counts[MailState.DROPPED],
        in_doubt=tally.counts[MailState.IN_DOUBT],
        waiting=claiming.waiting(mailing_list=mailing_list),
        server_fault=fault,
    )


class _Tally:
    """Counts what becomes of the mails, and passes it on."""

    def __init__(self, on_step: Callable[[Progress], None] | None) -> None:
        self.counts: Counter[MailState] = Counter()
        self._on_step = on_step
        self._done = 0

    def tell(self, number: int, state: MailState) -> None:
        self.counts[state] += 1
        self._done += 1
        _logger.debug("mail %d: %s", number, state)
        if self._on_step:
            self._on_step(Progress(number, state, self._done))
