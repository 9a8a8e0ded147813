"""The engine: several open lines to the mail server, and one durable step for all of them.

A line asks for the next mail behind the body of the one before; what all lines have heard, and what
they want to start, is written down at once, and only then do the final dots leave.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice

from repermit.clock import Clock
from repermit.db.connection import Database
from repermit.emails.mime_encoding import EncodedMail
from repermit.errors import OutcomeUnknown, TransportError
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import MailState
from repermit.sending import refusals_and_retries, send_step
from repermit.sending.claim_buffer import ClaimBuffer
from repermit.sending.mail_for_contact import COMPOSE_ERRORS, MailComposer, Prefetch, PreparedMail
from repermit.sending.open_connections import Connector
from repermit.sending.pause_on_bounces import KNOWS_NOBODY, BounceGuard
from repermit.sending.server_faults import PolicyRefusals
from repermit.settings.definitions import Settings
from repermit.smtp.connection import SmtpConnection
from repermit.smtp.mail_server import Mailer
from repermit.smtp.protocol import (
    Envelope,
    EnvelopeRejected,
    Event,
    InvalidReply,
    MessageAccepted,
    MessageRejected,
    ReadyForBody,
)
from repermit.smtp.reply_codes import ENDED, GARBLED, PERHAPS, SILENT, Reply

_logger = logging.getLogger(__name__)

# Seconds between two looks at what no line tells: whether to stop, and who is silent.
_CHECK_INTERVAL = 0.2
# Between two looks for replies that may share a step: a server close by answers in less.
_GATHERING_SECONDS = 0.0001
# How long a server that has refused a line is asked for no more of them than it has.
_PATIENCE = timedelta(minutes=1)


class _Session:
    """A line with the mail whose body is under way and the one that was offered behind it."""

    __slots__ = ("deadline", "is_ready", "line", "offered", "started", "wants_to_write")

    def __init__(self, line: SmtpConnection) -> None:
        self.line = line
        self.started: PreparedMail | None = None
        self.offered: PreparedMail | None = None
        self.is_ready = False
        self.wants_to_write = False
        self.deadline = 0.0

    @property
    def is_idle(self) -> bool:
        return self.started is None and self.offered is None and not self.line.is_waiting

    def is_overdue(self, now: float) -> bool:
        return not self.is_idle and now > self.deadline


class SendLoop:
    """Sends what `claims` gives until it is empty, or until something speaks against it.

    `on_result` hears what has become of each mail. `fault` says why no more should be sent, "" if
    nothing does: a fault of the whole server, or a mail in doubt, since a server that does not say
    what it did would put one after the other in doubt. `maintain` is called all the time.
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: Settings,
        clock: Clock,
        worker: str,
        mailer: Mailer,
        claims: ClaimBuffer,
        composer: MailComposer,
        on_result: Callable[[int, MailState], None],
        should_stop: Callable[[], bool],
        maintain: Callable[[], None],
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._worker = worker
        self._claims = claims
        self._prefetch = Prefetch(composer)
        self._on_result = on_result
        self._should_stop = should_stop
        self._maintain = maintain
        self._max_sessions = settings.mail.connections
        self._reply_timeout = settings.mail.reply_timeout
        self._sessions: dict[SmtpConnection, _Session] = {}
        self._selector = selectors.DefaultSelector()
        self._connector = Connector(mailer, self._selector)
        self._accepted: list[tuple[int, Reply]] = []
        self._bounce_guard = BounceGuard(database, settings=settings, clock=clock)
        self._policy_refusals = PolicyRefusals(database, worker=worker, clock=clock)
        self._trouble_count = 0
        self._raise_limit_at: datetime | None = None
        self._checked_at = 0.0
        self._is_ending = False
        self.fault = ""

    def run(self) -> None:
        """Send; at the end every mail that has started is settled, and no other is kept."""
        try:
            while self._should_continue():
                self._read_replies()
                self._commit_step()
        finally:
            self._close()

    # --- What is to be done next.

    def _should_continue(self) -> bool:
        self._is_ending = self._is_ending or self._should_stop()
        self._check_sessions()
        self._bounce_guard.pause_campaigns()
        if not self._is_ending:
            self._offer_mails()
        if self._is_ending:
            self._drop_unstarted()
            return any(session.started for session in self._sessions.values()) or bool(
                self._accepted
            )
        return (
            bool(self._accepted or self._claims or self._connector.count)
            or any(not session.is_idle for session in self._sessions.values())
            or self._claims.wait_until is not None
        )

    def _check_sessions(self) -> None:
        """Give up lines that have not answered in time, and look after the rest of the house.

        A few times a second.
        """
        now = time.monotonic()
        if now - self._checked_at < _CHECK_INTERVAL:
            return
        self._checked_at = now
        self._maintain()
        for session in list(self._sessions.values()):
            if session.is_overdue(now):
                # This process may have been asleep itself, with the reply come long ago.
                self._read_session(session)
                if session.line in self._sessions and session.is_overdue(now):
                    self._lose_session(session, SILENT)

    def _offer_mails(self) -> None:
        """Offer mails on the lines that have none, and dial where more lines are of use."""
        now = self._clock.now()
        for session in list(self._sessions.values()):
            # More than once for a mail that cannot even be said.
            while self._can_offer(session):
                prepared = self._prepare_next(now)
                if prepared is None:
                    return
                self._offer_mail(session, prepared)
        self._raise_limit(now)
        if not self._is_ending and self._claims.has_more():
            # One at first: a server that wants nobody says so to whoever comes first.
            most = (
                min(self._max_sessions, len(self._sessions) + len(self._claims))
                if self._sessions
                else 1
            )
            self._connector.open_connections(most - len(self._sessions) - self._connector.count)

    def _raise_limit(self, now: datetime) -> None:
        """Allow one more line for each while in which the server has refused none."""
        if self._raise_limit_at is not None and now >= self._raise_limit_at:
            self._max_sessions += 1
            is_all = self._max_sessions >= self._settings.mail.connections
            self._raise_limit_at = None if is_all else now + _PATIENCE

    def _can_offer(self, session: _Session) -> bool:
        is_free = (
            session.offered is None and session.started is None and session.line in self._sessions
        )
        return is_free and not self._is_ending

    def _prepare_next(self, now: datetime) -> PreparedMail | None:
        """Return the next mail with its letter; what cannot be written fails by itself."""
        while (claim := self._claims.take_claim(now)) is not None:
            try:
                return self._prefetch.prepare(claim, now=now)
            except COMPOSE_ERRORS:
                _logger.warning("mail %d cannot be written", claim.mail.id)
                number = claim.mail.id
                state = refusals_and_retries.mark_not_made(
                    self._database, number, worker=self._worker
                )
                self._report(number, state)
        return None

    def _offer_mail(self, session: _Session, prepared: PreparedMail) -> None:
        session.offered = prepared
        self._write_to(session, session.line.offer, _make_envelope(prepared.letter))

    def _write_to(
        self, session: _Session, write: Callable[..., None], *arguments: bytes | Envelope | None
    ) -> None:
        """Let a line say something, and see to what comes of it at once."""
        session.deadline = self._compute_deadline()
        try:
            write(*arguments)
        except TransportError as error:
            # It was not said at all; the mail alone, or the whole server, stands against it.
            offered, session.offered = session.offered, None
            assert offered is not None  # noqa: S101  only an offer raises this
            self._record_refusal(offered, error, was_started=False)
        except OSError:
            self._lose_session(session, ENDED)
            return
        self._update_events(session)

    def _compute_deadline(self) -> float:
        return time.monotonic() + self._reply_timeout

    def _update_events(self, session: _Session) -> None:
        has_more = session.line.has_more_to_send
        if session.wants_to_write != has_more:
            session.wants_to_write = has_more
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if has_more else 0)
            self._selector.modify(session.line, events, session)

    # --- What the server says.

    def _read_replies(self) -> None:
        """Read what has come, and a little later what has come by then, as long as mails get ready.

        What shares a step shares its commit, most of what a mail costs.
        """
        self._read_available(self._compute_timeout())
        before = 0
        while before < (ready := self._count_ready()) < len(self._sessions):
            before = ready
            time.sleep(_GATHERING_SECONDS)
            self._read_available(0)

    def _count_ready(self) -> int:
        return sum(session.is_ready for session in self._sessions.values())

    def _read_available(self, timeout: float) -> None:
        for key, events in self._selector.select(timeout):
            session = key.data
            if session is None:
                self._add_connections()
            else:
                if events & selectors.EVENT_WRITE:
                    session.deadline = self._compute_deadline()
                self._read_session(session)

    def _compute_timeout(self) -> float:
        """Return how many seconds to wait for a line to say something."""
        wait_until = self._claims.wait_until
        if wait_until is None or self._claims:
            return _CHECK_INTERVAL
        return min(_CHECK_INTERVAL, max(0, (wait_until - self._clock.now()).total_seconds()))

    def _add_connections(self) -> None:
        """Take over lines that have been dialled, or learn why there are none."""
        for line in self._connector.take_results():
            if isinstance(line, TransportError):
                self._note_trouble(line.said, was_fresh=True)
                continue
            session = self._sessions[line] = _Session(line)
            self._selector.register(line, selectors.EVENT_READ, session)

    def _read_session(self, session: _Session) -> None:
        line = session.line
        heard = line.heard
        try:
            # Before anything else is said: a server that goes may have told before what it did.
            received = line.pull()
        except OSError:
            self._lose_session(session, ENDED)
            return
        if line.heard != heard:
            session.deadline = self._compute_deadline()
        for event in received:
            if line not in self._sessions:
                return
            self._handle_event(session, event)
        if line in self._sessions:
            self._update_events(session)

    def _handle_event(self, session: _Session, event: Event) -> None:
        match event:
            case MessageAccepted(reply):
                started, session.started = session.started, None
                assert started is not None  # noqa: S101  the dialogue counts
                self._accepted.append((started.claim.mail.id, reply))
                self._trouble_count = 0
                self._policy_refusals.note_acceptance()
                self._bounce_guard.has_accepted = True
            case ReadyForBody():
                session.is_ready = True
            case MessageRejected(error):
                started, session.started = session.started, None
                assert started is not None  # noqa: S101
                self._record_refusal(started, error, was_started=True)
            case EnvelopeRejected(error, at_once):
                self._handle_refusal(session, error, at_once=at_once)
            case InvalidReply():
                self._lose_session(session, GARBLED)
            case _:
                self._lose_session(session, event.error.said)

    def _handle_refusal(self, session: _Session, error: TransportError, *, at_once: bool) -> None:
        offered, session.offered = session.offered, None
        assert offered is not None  # noqa: S101
        if at_once and (session.line.carried or len(self._sessions) > 1):
            # Servers end a connection that was idle or has carried enough mails, and refuse one
            # too many; that says nothing of this mail.
            self._drop_session(session)
            self._retry_elsewhere(offered)
            self._note_trouble(error.said, was_fresh=not session.line.carried)
            return
        self._record_refusal(offered, error, was_started=False)

    def _record_refusal(
        self, prepared: PreparedMail, error: TransportError, *, was_started: bool
    ) -> None:
        """Write down that a mail was surely not accepted, and what follows from it."""
        if self._is_implausible(prepared, error):
            error = TransportError(error.code, error.status, reason=KNOWS_NOBODY)
        if error.scope == "server":
            self._stop(error.said)
            self._requeue(prepared, was_started=was_started)
            return
        number = prepared.claim.mail.id
        if error.scope == "policy":
            state, fault = self._policy_refusals.postpone_mail(
                number, error, was_started=was_started
            )
            self._report(number, state)
            if fault:
                self._stop(fault)
            return
        state = refusals_and_retries.record_refusal(
            self._database,
            number,
            error,
            worker=self._worker,
            was_started=was_started,
            last_moment=prepared.claim.last_moment,
            fingerprint_key=self._settings.fingerprint_key,
            now=self._clock.now(),
        )
        self._report(number, state)
        if error.permanent and prepared.claim.mail.campaign_id:
            self._bounce_guard.watch(prepared.claim.mail.campaign_id)

    def _is_implausible(self, prepared: PreparedMail, error: TransportError) -> bool:
        """Say whether a server that says that somebody does not exist says so of everybody."""
        campaign_id = prepared.claim.mail.campaign_id
        is_unknown = error.permanent and error.scope == "recipient"
        return (
            is_unknown
            and bool(campaign_id)
            and self._bounce_guard.is_server_doubtful(campaign_id or 0)
        )

    # --- The durable step.

    def _commit_step(self) -> None:
        """Write down what was accepted, start what is ready, and let its dots leave."""
        ready = (
            []
            if self._is_ending
            else [session for session in self._sessions.values() if session.is_ready]
        )
        now = self._clock.now()
        starts: dict[int, send_step.Start] = {}
        for session in ready:
            offered = session.offered
            assert offered is not None  # noqa: S101  the dialogue counts
            if now <= offered.claim.last_moment:
                start = send_step.Start(offered.claim, offered.letter.message_id, offered.made_at)
                starts.setdefault(offered.claim.mail.id, start)
        if not ready and not self._accepted:
            return
        accepted, self._accepted = self._accepted, []
        marked, started = send_step.record_step(
            self._database,
            worker=self._worker,
            accepted=accepted,
            starts=list(starts.values()),
            now=now,
        )
        for number, _ in accepted:
            if number in marked:
                self._on_result(number, MailState.SENT)
        for session in ready:
            self._send_body(session, started, now)
        # While the server takes those in.
        self._prefetch.make_ahead(islice(self._claims.iter_stock(), len(ready)), now=now)

    def _send_body(self, session: _Session, started: set[int], now: datetime) -> None:
        prepared, session.offered = session.offered, None
        session.is_ready = False
        assert prepared is not None  # noqa: S101
        number = prepared.claim.mail.id
        if number not in started:
            # The server waits for a body that must not come.
            self._drop_session(session)
            self._claims.return_claims(prepared.claim)
            # What has stopped it, such as a pause, may well stop the others.
            self._claims.return_all()
            return
        # Whoever has slept past a lease may have claimed the mail anew, and have it on a second
        # line, whose claim is as good; one start is for one dot.
        started.discard(number)
        session.started = prepared
        following = None if self._is_ending else self._prepare_next(now)
        session.offered = following
        envelope = _make_envelope(following.letter) if following else None
        self._write_to(session, session.line.send_body, prepared.letter.wire, envelope)

    # --- Lines that are lost, and the end.

    def _lose_session(self, session: _Session, fault: LazyText) -> None:
        """Give up a line, and see to the mails that were on it."""
        was_idle, may_have_left = session.is_idle, session.line.may_have_sent_dot
        started, session.started = session.started, None
        offered, session.offered = session.offered, None
        carried = session.line.carried - bool(started)
        self._drop_session(session)
        if offered is not None:
            self._retry_elsewhere(offered)
        if started is not None and may_have_left:
            self._stop(OutcomeUnknown(0, reason=PERHAPS).said)
            number = started.claim.mail.id
            state = refusals_and_retries.mark_in_doubt(self._database, number, worker=self._worker)
            self._report(number, state)
            return
        if started is not None:
            # Without its dot a mail does not count (RFC 5321 §4.1.1.4).
            self._requeue(started, was_started=True)
        if not was_idle:
            self._note_trouble(fault, was_fresh=not carried)

    def _report(self, number: int, state: MailState | None) -> None:
        """Tell what has become of a mail, unless it was another worker's in the end."""
        if state is not None:
            self._on_result(number, state)

    def _retry_elsewhere(self, offered: PreparedMail) -> None:
        """Offer a mail that has not started once more; twice it goes behind all others."""
        if not offered.claim.has_been_tried:
            offered.claim.has_been_tried = True
            self._claims.put_back(offered.claim)
            return
        self._requeue(offered, was_started=False)

    def _requeue(self, prepared: PreparedMail, *, was_started: bool) -> None:
        """Put a mail behind all others, for what is not its own fault."""
        number = prepared.claim.mail.id
        state = refusals_and_retries.requeue_mail(
            self._database,
            number,
            worker=self._worker,
            was_started=was_started,
            now=self._clock.now(),
        )
        self._report(number, state)
        self._claims.allow_claims()

    def _note_trouble(self, fault: LazyText, *, was_fresh: bool) -> None:
        """Decide what a line that failed says of the server.

        Others that work show that it wants fewer; one that has carried mails may be made anew.
        """
        if was_fresh and self._sessions:
            self._max_sessions = len(self._sessions)
            self._raise_limit_at = self._clock.now() + _PATIENCE
            return
        self._trouble_count += 1
        if was_fresh or self._trouble_count > self._max_sessions:
            self._stop(TransportError(0, reason=fault).said if fault in _LOCAL_FAULTS else fault)

    def _stop(self, fault: LazyText) -> None:
        # Of several lines each may have its own; the first is what the run ended for.
        self.fault = self.fault or fault
        self._is_ending = True

    def _drop_session(self, session: _Session) -> None:
        self._selector.unregister(session.line)
        session.line.hang_up()
        del self._sessions[session.line]

    def _drop_unstarted(self) -> None:
        for session in list(self._sessions.values()):
            if session.offered is not None and session.started is None:
                self._claims.put_back(session.offered.claim)
                session.offered = None
                self._drop_session(session)

    def _close(self) -> None:
        for session in self._sessions.values():
            if session.is_idle:
                session.line.close()
            else:
                session.line.hang_up()
            if session.offered is not None:
                self._claims.put_back(session.offered.claim)
        self._connector.close()
        self._selector.close()
        self._claims.return_all()
        if fault := self._policy_refusals.finish():
            self._stop(fault)
        self._bounce_guard.pause_campaigns(at_once=True)


_LOCAL_FAULTS = (ENDED, SILENT, GARBLED)


def _make_envelope(letter: EncodedMail) -> Envelope:
    return Envelope(letter.envelope_from, letter.envelope_to, letter.size, letter.needs_smtputf8)
