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

from repermit.clock import Clock
from repermit.db.connection import Database
from repermit.emails.mime_encoding import Letter
from repermit.errors import OutcomeUnknown, TransportError
from repermit.i18n.lazy_text import Said
from repermit.rules.consent import MailState
from repermit.sending import send_step, smtp_outcomes
from repermit.sending.claim_buffer import ClaimBuffer
from repermit.sending.mail_for_contact import NOT_MADE, Ahead, Letters, Prepared
from repermit.sending.maintenance import KNOWS_NOBODY, Brake
from repermit.sending.open_connections import Dialling
from repermit.sending.server_faults import Policies
from repermit.settings.definitions import Settings
from repermit.smtp.connection import Line
from repermit.smtp.mail_server import Mailer
from repermit.smtp.protocol import Accepted, Envelope, Event, Garbled, Ready, Refused, Rejected
from repermit.smtp.reply_codes import ENDED, GARBLED, PERHAPS, SILENT, Reply

_logger = logging.getLogger(__name__)

# Seconds between two looks at what no line tells: whether to stop, and who is silent.
_LOOK = 0.2
# How long a server that has refused a line is asked for no more of them than it has.
_PATIENCE = timedelta(minutes=1)


class _Talk:
    """A line with the mail whose body is under way and the one that was offered behind it."""

    __slots__ = ("deadline", "is_ready", "line", "offered", "started", "wants_to_write")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.started: Prepared | None = None
        self.offered: Prepared | None = None
        self.is_ready = False
        self.wants_to_write = False
        self.deadline = 0.0

    @property
    def is_idle(self) -> bool:
        return self.started is None and self.offered is None and not self.line.is_waiting

    def is_overdue(self, now: float) -> bool:
        return not self.is_idle and now > self.deadline


class Engine:
    """Sends what `supply` gives until it is empty, or until something speaks against it.

    `tell` hears what has become of each mail. `fault` says why no more should be sent, "" if
    nothing does: a fault of the whole server, or a mail in doubt, since a server that does not say
    what it did would put one after the other in doubt. `look_after` is called all the time.
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: Settings,
        clock: Clock,
        worker: str,
        mailer: Mailer,
        supply: ClaimBuffer,
        letters: Letters,
        tell: Callable[[int, MailState], None],
        should_stop: Callable[[], bool],
        look_after: Callable[[], None],
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._worker = worker
        self._supply = supply
        self._ahead = Ahead(letters)
        self._tell = tell
        self._should_stop = should_stop
        self._look_after = look_after
        self._most = settings.mail.connections
        self._patient_for = settings.mail.reply_timeout
        self._talks: dict[Line, _Talk] = {}
        self._selector = selectors.DefaultSelector()
        self._dialling = Dialling(mailer, self._selector)
        self._accepted: list[tuple[int, Reply]] = []
        self._brake = Brake(database, settings=settings, clock=clock)
        self._policies = Policies(database, worker=worker, clock=clock)
        self._troubles = 0
        self._more_at: datetime | None = None
        self._looked_at = 0.0
        self._is_ending = False
        self.fault = ""

    def run(self) -> None:
        """Send; at the end every mail that has started is settled, and no other is kept."""
        try:
            while self._goes_on():
                self._hear()
                self._step()
        finally:
            self._close()

    # --- What is to be done next.

    def _goes_on(self) -> bool:
        self._is_ending = self._is_ending or self._should_stop()
        self._look_around()
        self._brake.look()
        if not self._is_ending:
            self._feed()
        if self._is_ending:
            self._drop_what_has_not_started()
            return any(talk.started for talk in self._talks.values()) or bool(self._accepted)
        return (
            bool(self._accepted or self._supply or self._dialling.count)
            or any(not talk.is_idle for talk in self._talks.values())
            or self._supply.wait_until is not None
        )

    def _look_around(self) -> None:
        """Give up lines that have not answered in time, and look after the rest of the house.

        A few times a second.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK:
            return
        self._looked_at = now
        self._look_after()
        for talk in list(self._talks.values()):
            if talk.is_overdue(now):
                # This process may have been asleep itself, with the reply come long ago.
                self._hear_one(talk)
                if talk.line in self._talks and talk.is_overdue(now):
                    self._lose(talk, SILENT)

    def _feed(self) -> None:
        """Offer mails on the lines that have none, and dial where more lines are of use."""
        now = self._clock.now()
        for talk in list(self._talks.values()):
            # More than once for a mail that cannot even be said.
            while self._may_offer(talk):
                prepared = self._prepare(now)
                if prepared is None:
                    return
                self._offer(talk, prepared)
        self._dare_more(now)
        if not self._is_ending and self._supply.has_more():
            # One at first: a server that wants nobody says so to whoever comes first.
            most = min(self._most, len(self._talks) + len(self._supply)) if self._talks else 1
            self._dialling.dial(most - len(self._talks) - self._dialling.count)

    def _dare_more(self, now: datetime) -> None:
        """Allow one more line for each while in which the server has refused none."""
        if self._more_at is not None and now >= self._more_at:
            self._most += 1
            is_all = self._most >= self._settings.mail.connections
            self._more_at = None if is_all else now + _PATIENCE

    def _may_offer(self, talk: _Talk) -> bool:
        is_free = talk.offered is None and talk.started is None and talk.line in self._talks
        return is_free and not self._is_ending

    def _prepare(self, now: datetime) -> Prepared | None:
        """Return the next mail with its letter; what cannot be written fails by itself."""
        while (claim := self._supply.take(now)) is not None:
            try:
                return self._ahead.prepare(claim, self._supply.coming(), now=now)
            except NOT_MADE:
                _logger.warning("mail %d cannot be written", claim.owed.id)
                number = claim.owed.id
                state = smtp_outcomes.not_made(self._database, number, worker=self._worker)
                self._tell_of(number, state)
        return None

    def _offer(self, talk: _Talk, prepared: Prepared) -> None:
        talk.offered = prepared
        self._say(talk, talk.line.offer, _envelope(prepared.letter))

    def _say(self, talk: _Talk, say: Callable[..., None], *what: bytes | Envelope | None) -> None:
        """Let a line say something, and see to what comes of it at once."""
        talk.deadline = self._in_time()
        try:
            say(*what)
        except TransportError as error:
            # It was not said at all; the mail alone, or the whole server, stands against it.
            offered, talk.offered = talk.offered, None
            assert offered is not None  # noqa: S101  only an offer raises this
            self._refuse(offered, error, was_started=False)
        except OSError:
            self._lose(talk, ENDED)
            return
        self._watch(talk)

    def _in_time(self) -> float:
        return time.monotonic() + self._patient_for

    def _watch(self, talk: _Talk) -> None:
        has_more = talk.line.has_more_to_send
        if talk.wants_to_write != has_more:
            talk.wants_to_write = has_more
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if has_more else 0)
            self._selector.modify(talk.line, events, talk)

    # --- What the server says.

    def _hear(self) -> None:
        for key, events in self._selector.select(self._patience()):
            talk = key.data
            if talk is None:
                self._meet()
            else:
                if events & selectors.EVENT_WRITE:
                    talk.deadline = self._in_time()
                self._hear_one(talk)

    def _patience(self) -> float:
        """Return how many seconds to wait for a line to say something."""
        wait_until = self._supply.wait_until
        if wait_until is None or self._supply:
            return _LOOK
        return min(_LOOK, max(0, (wait_until - self._clock.now()).total_seconds()))

    def _meet(self) -> None:
        """Take over lines that have been dialled, or learn why there are none."""
        for line in self._dialling.take():
            if isinstance(line, TransportError):
                self._has_trouble(line.said, was_fresh=True)
                continue
            talk = self._talks[line] = _Talk(line)
            self._selector.register(line, selectors.EVENT_READ, talk)

    def _hear_one(self, talk: _Talk) -> None:
        line = talk.line
        heard = line.heard
        try:
            # Before anything else is said: a server that goes may have told before what it did.
            said = line.pull()
        except OSError:
            self._lose(talk, ENDED)
            return
        if line.heard != heard:
            talk.deadline = self._in_time()
        for event in said:
            if line not in self._talks:
                return
            self._understand(talk, event)
        if line in self._talks:
            self._watch(talk)

    def _understand(self, talk: _Talk, event: Event) -> None:
        match event:
            case Accepted(reply):
                started, talk.started = talk.started, None
                assert started is not None  # noqa: S101  the dialogue counts
                self._accepted.append((started.claim.owed.id, reply))
                self._troubles = 0
                self._policies.note_acceptance()
                self._brake.has_accepted = True
            case Ready():
                talk.is_ready = True
            case Rejected(error):
                started, talk.started = talk.started, None
                assert started is not None  # noqa: S101
                self._refuse(started, error, was_started=True)
            case Refused(error, at_once):
                self._hear_refusal(talk, error, at_once=at_once)
            case Garbled():
                self._lose(talk, GARBLED)
            case _:
                self._lose(talk, event.error.said)

    def _hear_refusal(self, talk: _Talk, error: TransportError, *, at_once: bool) -> None:
        offered, talk.offered = talk.offered, None
        assert offered is not None  # noqa: S101
        if at_once and (talk.line.carried or len(self._talks) > 1):
            # Servers end a connection that was idle or has carried enough mails, and refuse one
            # too many; that says nothing of this mail.
            self._drop(talk)
            self._try_elsewhere(offered)
            self._has_trouble(error.said, was_fresh=not talk.line.carried)
            return
        self._refuse(offered, error, was_started=False)

    def _refuse(self, prepared: Prepared, error: TransportError, *, was_started: bool) -> None:
        """Write down that a mail was surely not accepted, and what follows from it."""
        if self._is_unbelievable(prepared, error):
            error = TransportError(error.code, error.status, reason=KNOWS_NOBODY)
        if error.scope == "server":
            self._end(error.said)
            self._hold_up(prepared, was_started=was_started)
            return
        number = prepared.claim.owed.id
        if error.scope == "policy":
            state, fault = self._policies.put_off(number, error, was_started=was_started)
            self._tell_of(number, state)
            if fault:
                self._end(fault)
            return
        state = smtp_outcomes.refused(
            self._database,
            number,
            error,
            worker=self._worker,
            was_started=was_started,
            last_moment=prepared.claim.last_moment,
            fingerprint_key=self._settings.fingerprint_key,
            now=self._clock.now(),
        )
        self._tell_of(number, state)
        if error.permanent and prepared.claim.owed.campaign_id:
            self._brake.press(prepared.claim.owed.campaign_id)

    def _is_unbelievable(self, prepared: Prepared, error: TransportError) -> bool:
        """Say whether a server that says that somebody does not exist says so of everybody."""
        campaign_id = prepared.claim.owed.campaign_id
        is_unknown = error.permanent and error.scope == "recipient"
        return is_unknown and bool(campaign_id) and self._brake.doubts(campaign_id or 0)

    # --- The durable step.

    def _step(self) -> None:
        """Write down what was accepted, start what is ready, and let its dots leave."""
        ready = [] if self._is_ending else [talk for talk in self._talks.values() if talk.is_ready]
        now = self._clock.now()
        starts: dict[int, send_step.Start] = {}
        for talk in ready:
            offered = talk.offered
            assert offered is not None  # noqa: S101  the dialogue counts
            if now <= offered.claim.last_moment:
                start = send_step.Start(offered.claim, offered.letter.message_id, offered.made_at)
                starts.setdefault(offered.claim.owed.id, start)
        if not ready and not self._accepted:
            return
        accepted, self._accepted = self._accepted, []
        marked, started = send_step.step(
            self._database,
            worker=self._worker,
            accepted=accepted,
            starts=list(starts.values()),
            now=now,
        )
        for number, _ in accepted:
            if number in marked:
                self._tell(number, MailState.SENT)
        for talk in ready:
            self._go_on(talk, started, now)

    def _go_on(self, talk: _Talk, started: set[int], now: datetime) -> None:
        prepared, talk.offered = talk.offered, None
        talk.is_ready = False
        assert prepared is not None  # noqa: S101
        number = prepared.claim.owed.id
        if number not in started:
            # The server waits for a body that must not come.
            self._drop(talk)
            self._supply.give_back(prepared.claim)
            # What has stopped it, such as a pause, may well stop the others.
            self._supply.give_back_all()
            return
        # Whoever has slept past a lease may have claimed the mail anew, and have it on a second
        # line, whose claim is as good; one start is for one dot.
        started.discard(number)
        talk.started = prepared
        following = None if self._is_ending else self._prepare(now)
        talk.offered = following
        envelope = _envelope(following.letter) if following else None
        self._say(talk, talk.line.send_body, prepared.letter.wire, envelope)

    # --- Lines that are lost, and the end.

    def _lose(self, talk: _Talk, why: Said) -> None:
        """Give up a line, and see to the mails that were on it."""
        was_idle, may_have_left = talk.is_idle, talk.line.may_have_sent_dot
        started, talk.started = talk.started, None
        offered, talk.offered = talk.offered, None
        carried = talk.line.carried - bool(started)
        self._drop(talk)
        if offered is not None:
            self._try_elsewhere(offered)
        if started is not None and may_have_left:
            self._end(OutcomeUnknown(0, reason=PERHAPS).said)
            number = started.claim.owed.id
            state = smtp_outcomes.left_in_doubt(self._database, number, worker=self._worker)
            self._tell_of(number, state)
            return
        if started is not None:
            # Without its dot a mail does not count (RFC 5321 §4.1.1.4).
            self._hold_up(started, was_started=True)
        if not was_idle:
            self._has_trouble(why, was_fresh=not carried)

    def _tell_of(self, number: int, state: MailState | None) -> None:
        """Tell what has become of a mail, unless it was another worker's in the end."""
        if state is not None:
            self._tell(number, state)

    def _try_elsewhere(self, offered: Prepared) -> None:
        """Offer a mail that has not started once more; twice it goes behind all others."""
        if not offered.claim.has_been_tried:
            offered.claim.has_been_tried = True
            self._supply.put_back(offered.claim)
            return
        self._hold_up(offered, was_started=False)

    def _hold_up(self, prepared: Prepared, *, was_started: bool) -> None:
        """Put a mail behind all others, for what is not its own fault."""
        number = prepared.claim.owed.id
        state = smtp_outcomes.held_up(
            self._database,
            number,
            worker=self._worker,
            was_started=was_started,
            now=self._clock.now(),
        )
        self._tell_of(number, state)
        self._supply.look_again()

    def _has_trouble(self, why: Said, *, was_fresh: bool) -> None:
        """Decide what a line that failed says of the server.

        Others that work show that it wants fewer; one that has carried mails may be made anew.
        """
        if was_fresh and self._talks:
            self._most = len(self._talks)
            self._more_at = self._clock.now() + _PATIENCE
            return
        self._troubles += 1
        if was_fresh or self._troubles > self._most:
            self._end(TransportError(0, reason=why).said if why in _OURS else why)

    def _end(self, fault: Said) -> None:
        # Of several lines each may have its own; the first is what the run ended for.
        _logger.warning("sending stops: %s", fault)
        self.fault = self.fault or fault
        self._is_ending = True

    def _drop(self, talk: _Talk) -> None:
        self._selector.unregister(talk.line)
        talk.line.hang_up()
        del self._talks[talk.line]

    def _drop_what_has_not_started(self) -> None:
        for talk in list(self._talks.values()):
            if talk.offered is not None and talk.started is None:
                self._supply.put_back(talk.offered.claim)
                talk.offered = None
                self._drop(talk)

    def _close(self) -> None:
        for talk in self._talks.values():
            if talk.is_idle:
                talk.line.close()
            else:
                talk.line.hang_up()
            if talk.offered is not None:
                self._supply.put_back(talk.offered.claim)
        self._dialling.close()
        self._selector.close()
        self._supply.give_back_all()
        if fault := self._policies.conclude():
            self._end(fault)
        self._brake.look(at_once=True)


_OURS = (ENDED, SILENT, GARBLED)


def _envelope(letter: Letter) -> Envelope:
    return Envelope(letter.envelope_from, letter.envelope_to, letter.size, letter.needs_smtputf8)
