"""The send loop: several connections to the mail server, and one durable step for all of them.

Each connection sends the next envelope right after the previous body. The replies of all
connections, and the mails about to start, are committed together before any final dot is sent.
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

# Seconds between two checks of what no reply tells: whether to stop, and which server is silent.
_CHECK_INTERVAL = 0.2
# Seconds between two reads for replies that may share a step: a nearby server answers in less.
_GATHER_INTERVAL = 0.0001
# After a server has refused a connection: how long until another one is tried.
_LIMIT_RAISE_DELAY = timedelta(minutes=1)


class _Session:
    """A connection with the mail whose body is being sent and the one offered after it."""

    __slots__ = ("connection", "deadline", "is_ready", "offered", "started", "wants_to_write")

    def __init__(self, connection: SmtpConnection) -> None:
        self.connection = connection
        self.started: PreparedMail | None = None
        self.offered: PreparedMail | None = None
        self.is_ready = False
        self.wants_to_write = False
        self.deadline = 0.0

    @property
    def is_idle(self) -> bool:
        return self.started is None and self.offered is None and not self.connection.is_waiting

    def is_overdue(self, now: float) -> bool:
        return not self.is_idle and now > self.deadline


class SendLoop:
    """Sends the mails of `claims` until there are none left or a fault ends the run.

    - `on_result` is called with the number and the new state of each mail.
    - `maintain` is called a few times a second.
    - `fault`: why the run ended early, "" if it did not. It is a fault of the whole server, or a
      mail in doubt: a server that does not confirm mails would put all others in doubt too.
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
        self._failure_count = 0
        self._raise_limit_at: datetime | None = None
        self._checked_at = 0.0
        self._is_ending = False
        self.fault = ""

    def run(self) -> None:
        """Send mails; at the end each started mail has its outcome, and no claim is left."""
        try:
            while self._should_continue():
                self._read_replies()
                self._commit_step()
        finally:
            self._close()

    # --- What to do next.

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
        """Drop connections whose reply is overdue, and call `maintain`, a few times a second."""
        now = time.monotonic()
        if now - self._checked_at < _CHECK_INTERVAL:
            return
        self._checked_at = now
        self._maintain()
        for session in list(self._sessions.values()):
            if session.is_overdue(now):
                # This process may have been suspended, and the reply received long ago.
                self._read_session(session)
                if session.connection in self._sessions and session.is_overdue(now):
                    self._lose_session(session, SILENT)

    def _offer_mails(self) -> None:
        """Offer mails on free connections, and open more connections where they help."""
        now = self._clock.now()
        for session in list(self._sessions.values()):
            # Again if this server could not even be offered the mail.
            while self._can_offer(session):
                prepared = self._prepare_next(now)
                if prepared is None:
                    return
                self._offer_mail(session, prepared)
        self._raise_limit(now)
        if not self._is_ending and self._claims.has_more():
            # One at first: a server that refuses everybody refuses the first one too.
            max_connections = (
                min(self._max_sessions, len(self._sessions) + len(self._claims))
                if self._sessions
                else 1
            )
            self._connector.open_connections(
                max_connections - len(self._sessions) - self._connector.count
            )

    def _raise_limit(self, now: datetime) -> None:
        """Allow one more connection for each period in which the server has refused none."""
        if self._raise_limit_at is not None and now >= self._raise_limit_at:
            self._max_sessions += 1
            is_all = self._max_sessions >= self._settings.mail.connections
            self._raise_limit_at = None if is_all else now + _LIMIT_RAISE_DELAY

    def _can_offer(self, session: _Session) -> bool:
        is_free = (
            session.offered is None
            and session.started is None
            and session.connection in self._sessions
        )
        return is_free and not self._is_ending

    def _prepare_next(self, now: datetime) -> PreparedMail | None:
        """Return the next mail, encoded; a mail that cannot be composed is marked as failed."""
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
        self._write_to(session, session.connection.offer, _make_envelope(prepared.encoded_mail))

    def _write_to(
        self, session: _Session, write: Callable[..., None], *arguments: bytes | Envelope | None
    ) -> None:
        """Call a method of the connection that writes, and handle its errors."""
        session.deadline = self._compute_deadline()
        try:
            write(*arguments)
        except TransportError as error:
            # Nothing was sent: this mail, or every mail, cannot be offered to this server.
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
        has_more = session.connection.has_more_to_send
        if session.wants_to_write != has_more:
            session.wants_to_write = has_more
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if has_more else 0)
            self._selector.modify(session.connection, events, session)

    # --- Replies of the server.

    def _read_replies(self) -> None:
        """Read replies, and keep reading for as long as more connections become ready.

        Mails that share a step share its commit, which is most of a mail's cost.
        """
        self._read_available(self._compute_timeout())
        previous_count = 0
        while previous_count < (ready := self._count_ready()) < len(self._sessions):
            previous_count = ready
            time.sleep(_GATHER_INTERVAL)
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
        """Return how many seconds to wait for a reply."""
        wait_until = self._claims.wait_until
        if wait_until is None or self._claims:
            return _CHECK_INTERVAL
        return min(_CHECK_INTERVAL, max(0, (wait_until - self._clock.now()).total_seconds()))

    def _add_connections(self) -> None:
        """Add the connections that were opened, and handle the errors of those that failed."""
        for connection in self._connector.take_results():
            if isinstance(connection, TransportError):
                self._handle_failed_connection(connection.said, was_fresh=True)
                continue
            session = self._sessions[connection] = _Session(connection)
            self._selector.register(connection, selectors.EVENT_READ, session)

    def _read_session(self, session: _Session) -> None:
        connection = session.connection
        reply_count = connection.reply_count
        try:
            # Before anything is written: a server that closes may have sent an outcome before.
            events = connection.read_events()
        except OSError:
            self._lose_session(session, ENDED)
            return
        if connection.reply_count != reply_count:
            session.deadline = self._compute_deadline()
        for event in events:
            if connection not in self._sessions:
                return
            self._handle_event(session, event)
        if connection in self._sessions:
            self._update_events(session)

    def _handle_event(self, session: _Session, event: Event) -> None:
        match event:
            case MessageAccepted(reply):
                started, session.started = session.started, None
                assert started is not None  # noqa: S101  the dialogue counts
                self._accepted.append((started.claim.mail.id, reply))
                self._failure_count = 0
                self._policy_refusals.record_acceptance()
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
        if at_once and (session.connection.sent_count or len(self._sessions) > 1):
            # Servers end a connection that was idle or has sent enough mails, and refuse one too
            # many; that says nothing about this mail.
            self._drop_session(session)
            self._retry_elsewhere(offered)
            self._handle_failed_connection(error.said, was_fresh=not session.connection.sent_count)
            return
        self._record_refusal(offered, error, was_started=False)

    def _record_refusal(
        self, prepared: PreparedMail, error: TransportError, *, was_started: bool
    ) -> None:
        """Record that a mail was certainly not accepted, and what follows from it."""
        if self._server_rejects_everybody(prepared, error):
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
            latest_start=prepared.claim.latest_start,
            fingerprint_key=self._settings.fingerprint_key,
            now=self._clock.now(),
        )
        self._report(number, state)
        if error.permanent and prepared.claim.mail.campaign_id:
            self._bounce_guard.watched.add(prepared.claim.mail.campaign_id)

    def _server_rejects_everybody(self, prepared: PreparedMail, error: TransportError) -> bool:
        """Return whether a "no such mailbox" reply comes from a server that rejects everybody."""
        campaign_id = prepared.claim.mail.campaign_id
        is_unknown = error.permanent and error.scope == "recipient"
        return (
            is_unknown
            and bool(campaign_id)
            and self._bounce_guard.record_unknown_recipient(campaign_id or 0)
        )

    # --- The durable step.

    def _commit_step(self) -> None:
        """Record accepted mails, start the mails that are ready, and send their bodies."""
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
            if now <= offered.claim.latest_start:
                start = send_step.Start(
                    offered.claim, offered.encoded_mail.message_id, offered.made_at
                )
                starts.setdefault(offered.claim.mail.id, start)
        if not ready and not self._accepted:
            return
        accepted, self._accepted = self._accepted, []
        sent_ids, started_ids = send_step.record_step(
            self._database,
            worker=self._worker,
            accepted=accepted,
            starts=list(starts.values()),
            now=now,
        )
        for number, _ in accepted:
            if number in sent_ids:
                self._on_result(number, MailState.SENT)
        for session in ready:
            self._send_body(session, started_ids, now)
        # While the server processes those bodies.
        self._prefetch.compose_ahead(islice(self._claims.iter_stock(), len(ready)), now=now)

    def _send_body(self, session: _Session, started_ids: set[int], now: datetime) -> None:
        prepared, session.offered = session.offered, None
        session.is_ready = False
        assert prepared is not None  # noqa: S101
        number = prepared.claim.mail.id
        if number not in started_ids:
            # The server waits for a body that must not be sent.
            self._drop_session(session)
            self._claims.return_claims(prepared.claim)
            # The cause, such as a pause, may well apply to the others too.
            self._claims.return_all()
            return
        # A worker that slept past a lease may have claimed the mail again, and have it on a second
        # connection with a valid claim; one start is for one final dot.
        started_ids.discard(number)
        session.started = prepared
        following = None if self._is_ending else self._prepare_next(now)
        session.offered = following
        envelope = _make_envelope(following.encoded_mail) if following else None
        self._write_to(session, session.connection.send_body, prepared.encoded_mail.wire, envelope)

    # --- Lost connections, and the end of the run.

    def _lose_session(self, session: _Session, fault: LazyText) -> None:
        """Drop a connection, and settle or requeue the mails that were on it."""
        was_idle, may_have_left = session.is_idle, session.connection.may_have_sent_dot
        started, session.started = session.started, None
        offered, session.offered = session.offered, None
        sent_count = session.connection.sent_count - bool(started)
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
            # Without its final dot a mail is not accepted (RFC 5321 §4.1.1.4).
            self._requeue(started, was_started=True)
        if not was_idle:
            self._handle_failed_connection(fault, was_fresh=not sent_count)

    def _report(self, number: int, state: MailState | None) -> None:
        """Report a mail's new state; None means that it is another worker's by now."""
        if state is not None:
            self._on_result(number, state)

    def _retry_elsewhere(self, offered: PreparedMail) -> None:
        """Offer a mail that has not started once more; the second time, requeue it."""
        if not offered.claim.has_been_tried:
            offered.claim.has_been_tried = True
            self._claims.put_back(offered.claim)
            return
        self._requeue(offered, was_started=False)

    def _requeue(self, prepared: PreparedMail, *, was_started: bool) -> None:
        """Put a mail behind all others in the queue, after a fault that is not its own."""
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

    def _handle_failed_connection(self, fault: LazyText, *, was_fresh: bool) -> None:
        """Handle a failed connection: use fewer, open another one, or stop.

        `was_fresh`: no mail was sent over it. If others work, the server wants fewer connections;
        one over which mails were sent is opened again, unless too many fail in a row.
        """
        if was_fresh and self._sessions:
            self._max_sessions = len(self._sessions)
            self._raise_limit_at = self._clock.now() + _LIMIT_RAISE_DELAY
            return
        self._failure_count += 1
        if was_fresh or self._failure_count > self._max_sessions:
            self._stop(TransportError(0, reason=fault).said if fault in _LOCAL_FAULTS else fault)

    def _stop(self, fault: LazyText) -> None:
        # Each connection may have its own fault; the first one ended the run.
        self.fault = self.fault or fault
        self._is_ending = True

    def _drop_session(self, session: _Session) -> None:
        self._selector.unregister(session.connection)
        session.connection.abort()
        del self._sessions[session.connection]

    def _drop_unstarted(self) -> None:
        for session in list(self._sessions.values()):
            if session.offered is not None and session.started is None:
                self._claims.put_back(session.offered.claim)
                session.offered = None
                self._drop_session(session)

    def _close(self) -> None:
        for session in self._sessions.values():
            if session.is_idle:
                session.connection.close()
            else:
                session.connection.abort()
            if session.offered is not None:
                self._claims.put_back(session.offered.claim)
        self._connector.close()
        self._selector.close()
        self._claims.return_all()
        if fault := self._policy_refusals.finish():
            self._stop(fault)
        self._bounce_guard.pause_campaigns(at_once=True)


_LOCAL_FAULTS = (ENDED, SILENT, GARBLED)


def _make_envelope(encoded_mail: EncodedMail) -> Envelope:
    return Envelope(
        encoded_mail.envelope_from,
        encoded_mail.envelope_to,
        encoded_mail.size,
        encoded_mail.needs_smtputf8,
    )
