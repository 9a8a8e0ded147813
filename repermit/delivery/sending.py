"""One run of sending: mail after mail over one connection, until nothing is due.

May import mailer, contacts and what lies below. Log lines name a mail by its number only.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repermit.consent import MailState
from repermit.delivery import outcomes, queue
from repermit.delivery.letters import Letters
from repermit.delivery.recovery import recover
from repermit.delivery.worker import Worker
from repermit.errors import OutcomeUnknown, RepermitError, TransportError
from repermit.mailer import Mailer

if TYPE_CHECKING:
    from collections.abc import Callable

    from repermit import messages
    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.mailer import Connection
    from repermit.models import Database, Mail, MailingList

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

    1. What dead workers left behind is put right.
    2. Mails are sent one by one. A fault of the server ends the run, and so does a mail in doubt,
       since a server that does not say what it did would put one after the other in doubt.
    3. Campaigns that have asked everybody become `open`.

    `should_stop` is asked before each mail. Raises ConfigError for a mail server that cannot even
    be tried.
    """
    recover(database, now=clock.now())
    tally: Counter[MailState] = Counter()
    server_fault = ""
    if queue.is_due(now=clock.now(), mailing_list=mailing_list):
        with ExitStack() as stack:
            sender = Sender(
                database,
                settings=settings,
                clock=clock,
                worker=stack.enter_context(
                    nullcontext(worker) if worker else Worker.enter(settings)
                ),
                connection=stack.enter_context((mailer or Mailer(settings.mail)).open()),
                mailing_list=mailing_list,
            )
            server_fault = _send_all(sender, tally, on_step, should_stop)
    outcomes.open_campaigns(database, now=clock.now())
    return SendResult(
        sent=tally[MailState.SENT],
        failed=tally[MailState.FAILED],
        dropped=tally[MailState.DROPPED],
        in_doubt=tally[MailState.IN_DOUBT],
        waiting=queue.waiting(mailing_list=mailing_list),
        server_fault=server_fault,
    )


def _send_all(
    sender: Sender,
    tally: Counter[MailState],
    on_step: Callable[[Progress], None] | None,
    should_stop: Callable[[], bool] | None,
) -> str:
    """Send until nothing is due; return the server's fault that ended it, or ""."""
    while not (should_stop and should_stop()) and sender.send_one():
        if sender.last is not None:
            number, state = sender.last
            tally[state] += 1
            _logger.info("mail %d: %s", number, state)
            if on_step:
                on_step(Progress(number, state, tally.total()))
        if sender.fault:
            _logger.warning("sending stops: %s", sender.fault)
            break
    return sender.fault


class Sender:
    """A worker with its connection; `send_one` is the body of its loop.

    `last` is the number and new state of the mail of the last step, None if it was another
    worker's in the end. `fault` says why no more should be sent, "" if nothing speaks against it.
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: Settings,
        clock: Clock,
        worker: Worker,
        connection: Connection,
        mailing_list: MailingList | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker.id
        self._key = settings.fingerprint_key
        self._connection = connection
        self._mailing_list = mailing_list
        self._letters = Letters(settings)
        self.last: tuple[int, MailState] | None = None
        self.fault = ""

    def send_one(self) -> bool:
        """Claim the oldest due mail and bring it to an end; False if none was due."""
        mail = queue.claim(
            self._database,
            worker=self._worker,
            fingerprint_key=self._key,
            now=self._clock.now(),
            mailing_list=self._mailing_list,
        )
        if mail is None:
            return False
        state = MailState(mail.state)
        self._note(mail, self._send(mail) if state is MailState.CLAIMED else state)
        return True

    def _send(self, mail: Mail) -> MailState | None:
        """Make, prepare, start and hand over one mail; return what has become of it."""
        try:
            letter = self._letters.make(mail, now=self._clock.now())
        except (RepermitError, ValueError):
            _logger.warning("mail %d cannot be written", mail.id)
            is_ours = outcomes.not_made(self._database, mail, worker=self._worker)
            return MailState.FAILED if is_ours else None
        try:
            self._prepare(letter)
        except TransportError as error:
            return self._not_accepted(mail, error, was_started=False)
        if not self._start(mail, letter):
            self._connection.hang_up()
            return queue.give_back(
                self._database,
                mail,
                worker=self._worker,
                fingerprint_key=self._key,
                now=self._clock.now(),
            )
        return self._hand_over(mail, letter)

    def _prepare(self, letter: messages.Mail) -> None:
        self._connection.prepare(
            letter.envelope_from,
            letter.envelope_to,
            size=len(letter.raw),
            smtputf8=letter.needs_smtputf8,
        )

    def _start(self, mail: Mail, letter: messages.Mail) -> bool:
        return queue.start(
            self._database,
            mail,
            worker=self._worker,
            fingerprint_key=self._key,
            message_id=letter.message_id,
            now=self._clock.now(),
        )

    def _hand_over(self, mail: Mail, letter: messages.Mail) -> MailState | None:
        try:
            reply = self._connection.commit_body(letter.raw)
        except OutcomeUnknown as error:
            self.fault = str(error)
            is_ours = outcomes.left_in_doubt(self._database, mail, worker=self._worker)
            return MailState.IN_DOUBT if is_ours else None
        except TransportError as error:
            return self._not_accepted(mail, error, was_started=True)
        is_ours = outcomes.accepted(
            self._database, mail, reply, worker=self._worker, now=self._clock.now()
        )
        return MailState.SENT if is_ours else None

    def _not_accepted(
        self, mail: Mail, error: TransportError, *, was_started: bool
    ) -> MailState | None:
        if error.scope == "server":
            self.fault = str(error)
            is_ours = outcomes.held_up(
                self._database,
                mail,
                worker=self._worker,
                was_started=was_started,
                now=self._clock.now(),
            )
            return MailState.QUEUED if is_ours else None
        return outcomes.refused(
            self._database,
            mail,
            error,
            worker=self._worker,
            was_started=was_started,
            fingerprint_key=self._key,
            now=self._clock.now(),
        )

    def _note(self, mail: Mail, state: MailState | None) -> None:
        self.last = None if state is None else (mail.id, state)
