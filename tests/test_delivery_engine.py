"""The engine by itself: large mails, rates, leases, lines that nobody needs any more."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit.clock import ManualClock
from repermit.consent import CampaignState, MailState
from repermit.delivery import SendResult, Worker, outcomes
from repermit.delivery.engine import Engine
from repermit.delivery.letters import Letters
from repermit.delivery.pacing import Rates
from repermit.delivery.supply import Supply
from repermit.errors import TransportError
from repermit.mailer import Connection, Mailer
from repermit.models import Pace
from tests.building import NOW
from tests.inbox import HANG_UP
from tests.scripted import SILENCE, ScriptedServer, slowly
from tests.sending import Story, again, mail_settings, make_story, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from repermit.config import MailServer
    from repermit.delivery.claiming import Claim
    from repermit.messages import Letter
    from repermit.models import Database

LARGE = b"a line of a mail\r\n" * 500_000
OK = "250 2.0.0 OK"
PIPELINING = "250-mail.example.org\r\n250-PIPELINING\r\n250 SIZE 1000000"


@pytest.fixture
def make(database: Database, database_url: str) -> Callable[..., Story]:
    def make_it(server: ScriptedServer, **mail: Any) -> Story:
        return make_story(database, mail_settings(database_url, server.port, **mail))

    return make_it


class LargeLetters(Letters):
    """Makes mails that no system takes at once."""

    def make(self, claim: Claim, *, now: datetime) -> Letter:
        letter = super().make(claim, now=now)
        return letter._replace(wire=letter.wire + LARGE)


def send_large(story: Story) -> str:
    """Send what is due as large mails; return what ended it."""
    with Worker.enter(story.settings) as worker:
        supply = Supply(
            story.database,
            worker=worker.id,
            fingerprint_key=story.settings.fingerprint_key,
            rates=Rates(),
            clock=story.clock,
            mailing_list=None,
            at_first=2,
            on_drop=lambda _number, _why: None,
        )
        engine = Engine(
            story.database,
            settings=story.settings,
            clock=story.clock,
            worker=worker.id,
            mailer=Mailer(story.settings.mail),
            supply=supply,
            letters=LargeLetters(story.settings),
            tell=lambda _number, _state: None,
            should_stop=lambda: False,
        )
        engine.run()
    return engine.fault


def test_a_large_mail_leaves_bit_by_bit(make: Callable[..., Story]) -> None:
    with ScriptedServer(EHLO="250-mail\r\n250 PIPELINING") as server:
        story = make(server)
        mails = [story.owe(), story.owe()]
        assert send_large(story) == ""
        assert [state_of(mail)[0] for mail in mails] == ["sent", "sent"]
        assert all(raw.endswith(LARGE) for raw in server.accepted)


@pytest.mark.parametrize(
    ("goes", "fault"),
    [
        (HANG_UP, "the mail server has ended the connection (no reply)"),
        (SILENCE, "the mail server has not answered in time (no reply)"),
    ],
)
def test_a_mail_that_has_not_left_whole_is_no_doubt(
    make: Callable[..., Story], goes: str, fault: str
) -> None:
    def keep_waiting() -> str:
        time.sleep(0.3 if goes == HANG_UP else 2)
        return HANG_UP

    with ScriptedServer(middle=keep_waiting) as server:
        story = make(server, reply_timeout=1)
        mail = story.owe()
        assert send_large(story) == fault
        assert state_of(mail) == ("queued", "")
        assert not server.mails


def test_a_refusal_in_the_middle_of_a_large_mail_is_heard(make: Callable[..., Story]) -> None:
    """Some servers say so at once, and go; nothing more can be sent to them then."""
    with ScriptedServer(DATA="354 go on\r\n554 5.6.0 I do not like this", middle=HANG_UP) as server:
        story = make(server)
        mail = story.owe()
        send_large(story)
        assert state_of(mail)[0] in {"queued", "failed"}
        assert not server.mails


# --- Rates.


def test_no_more_leave_than_the_rate_allows(make: Callable[..., Story]) -> None:
    with ScriptedServer() as server:
        story = make(server, rate_per_minute=300, connections=3)
        story.clock = ManualClock(NOW, ticking=True)
        for _ in range(4):
            story.owe()
        begun = time.monotonic()
        assert story.send() == SendResult(sent=4)
        assert time.monotonic() - begun >= 3 * 0.2


def test_a_rate_holds_over_the_next_run_too(make: Callable[..., Story]) -> None:
    with ScriptedServer() as server:
        story = make(server, rate_per_minute=300)
        story.clock = ManualClock(NOW, ticking=True)
        begun = 0.0
        for _ in range(2):
            story.owe()
            story.change(story.campaign, state=CampaignState.SENDING)
            begun = time.monotonic()
            assert story.send() == SendResult(sent=1)
        assert time.monotonic() - begun >= 0.1
        assert Pace.select().count() == 1


def test_while_a_rate_holds_back_it_can_be_stopped(make: Callable[..., Story]) -> None:
    with ScriptedServer() as server:
        story = make(server, rate_per_day=1)
        story.owe()
        story.owe()
        begun = time.thread_time()
        until = time.monotonic() + 1
        result = story.send(should_stop=lambda: time.monotonic() > until)
        assert (result.sent, result.waiting, result.server_fault) == (1, 1, "")
        assert time.thread_time() - begun < 0.5


def test_a_domain_has_a_rate_of_its_own(make: Callable[..., Story]) -> None:
    with ScriptedServer() as server:
        story = make(server, domain_rate_per_minute=120)
        story.clock = ManualClock(NOW, ticking=True)
        for name in ("anna@one.org", "bram@one.org", "cor@one.org", "dirk@two.org"):
            story.owe(name)
        begun = time.monotonic()
        assert not story.send().waiting
        assert len(server.accepted) == 4
        assert time.monotonic() - begun >= 2 * 0.5


# --- Leases, and lines.


def test_mails_that_have_lain_in_stock_for_long_are_claimed_anew(
    make: Callable[..., Story],
) -> None:
    def late() -> str:
        story.clock.advance(timedelta(minutes=3))
        return OK

    with ScriptedServer(RCPT=[late, OK]) as server:
        story = make(server)
        mails = [story.owe() for _ in range(3)]
        assert story.send() == SendResult(sent=3)
        assert {state_of(mail)[0] for mail in mails} == {MailState.SENT}
        assert len(server.accepted) == 3


def test_a_line_that_nobody_needs_says_nothing_of_the_server(make: Callable[..., Story]) -> None:
    """Two are dialled, one is enough, and the other is closed for idleness."""
    idle = {"EHLO": "250 mail", "MAIL": HANG_UP}
    with ScriptedServer({"dot": slowly(0.5, OK)}, idle) as server:
        story = make(server, connections=2)
        for _ in range(2):
            story.owe()
        assert story.send() == SendResult(sent=2)


def test_a_mail_that_cannot_be_said_to_this_server_holds_up_nobody(
    make: Callable[..., Story],
) -> None:
    with ScriptedServer() as server:
        story = make(server)
        odd = [story.owe_confirm(f"jürgen{number}@example.org") for number in range(3)]
        fine = story.owe()
        begun = time.monotonic()
        story.send()
        assert {state_of(mail) for mail in odd} == {("failed", "message")}
        assert state_of(fine)[0] == "sent"
        assert time.monotonic() - begun < 0.5


# --- What nobody expects.


class Breaking(Mailer):
    """A mailer of which one line can be had, and no other."""

    def __init__(self, server: MailServer) -> None:
        super().__init__(server)
        self.lines = 0

    def connect(self) -> Connection:
        self.lines += 1
        if self.lines > 1:
            raise ZeroDivisionError
        return super().connect()


def test_a_mistake_of_ours_leaves_no_mail_behind(make: Callable[..., Story]) -> None:
    with ScriptedServer(EHLO=PIPELINING, dot=slowly(0.5, OK)) as server:
        story = make(server, connections=3)
        mails = [story.owe() for _ in range(6)]
        with pytest.raises(ZeroDivisionError):
            story.send(mailer=Breaking(story.settings.mail))
        assert {again(mail).state for mail in mails} == {"queued"}
        assert story.send() == SendResult(sent=6)


def test_a_mail_that_is_gone_needs_no_refusal(make: Callable[..., Story]) -> None:
    with ScriptedServer() as server:
        story = make(server)
        error = TransportError(550, scope="message", permanent=True)
        state = outcomes.refused(
            story.database,
            12345,
            error,
            worker="nobody",
            was_started=False,
            last_moment=NOW,
            fingerprint_key=b"key",
            now=NOW,
        )
        assert state is None


def test_a_line_that_ends_while_idle_is_nobodys_fault(make: Callable[..., Story]) -> None:
    replies = [f"{OK}\r\n421 4.4.2 idle for too long", OK]
    with ScriptedServer(dot=replies) as server:
        story = make(server, rate_per_minute=300)
        story.clock = ManualClock(NOW, ticking=True)
        story.owe()
        story.owe()
        assert story.send() == SendResult(sent=2)
        assert server.connections == 2
