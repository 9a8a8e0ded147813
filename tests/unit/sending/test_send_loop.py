"""The engine by itself: large mails, rates, leases, lines that nobody needs any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.clock import ManualClock
from repermit.db.connection import Database, FairSqliteDatabase, open_database, proxy, run_sql
from repermit.db.models.mails import Mail, Pace
from repermit.db.write_lock import WriteLock
from repermit.emails.mime_encoding import EncodedMail
from repermit.errors import TransportError
from repermit.rules.consent import CampaignState, MailState
from repermit.sending import refusals_and_retries
from repermit.sending.claim_buffer import ClaimBuffer
from repermit.sending.mail_for_contact import MailComposer
from repermit.sending.queue import Claim, ClaimResult
from repermit.sending.send_due import SendResult
from repermit.sending.send_loop import SendLoop
from repermit.sending.send_rate import SendRates
from repermit.sending.worker_lock import Worker
from repermit.settings.definitions import MailServer
from repermit.smtp.mail_server import Connection, Mailer
from tests.support.builders import NOW
from tests.support.inbox import HANG_UP, Inbox
from tests.support.scripted_smtp_server import SILENCE, ScriptedServer, slowly
from tests.support.sending_campaign import (
    Story,
    again,
    expect_few_waits,
    mail_settings,
    make_story,
    state_of,
)

LARGE = b"a line of a mail\r\n" * 500_000
OK = "250 2.0.0 OK"
PIPELINING = "250-mail.example.org\r\n250-PIPELINING\r\n250 SIZE 1000000"


@pytest.fixture
def make(database: Database, database_url: str) -> Callable[..., Story]:
    def make_it(server: ScriptedServer, **mail: Any) -> Story:
        return make_story(database, mail_settings(database_url, server.port, **mail))

    return make_it


class LargeLetters(MailComposer):
    """Makes mails that no system takes at once."""

    def compose(self, claim: Claim, *, now: datetime) -> EncodedMail:
        letter = super().compose(claim, now=now)
        return letter._replace(wire=letter.wire + LARGE)


def send_large(story: Story) -> str:
    """Send what is due as large mails; return what ended it."""
    return send_by(story, ClaimBuffer, LargeLetters, should_stop=lambda: False)


def send_by(
    story: Story,
    supplying: type[ClaimBuffer],
    writing: type[MailComposer],
    *,
    should_stop: Callable[[], bool],
) -> str:
    """Send what is due by such a supply and such letters; return what ended it."""
    with Worker.register(story.settings) as worker:
        supply = supplying(
            story.database,
            worker=worker.id,
            fingerprint_key=story.settings.fingerprint_key,
            rates=SendRates.from_settings(story.settings.mail),
            clock=story.clock,
            mailing_list=None,
            first_rows=4,
            on_drop=lambda _number, _why: None,
        )
        engine = SendLoop(
            story.database,
            settings=story.settings,
            clock=story.clock,
            worker=worker.id,
            mailer=Mailer(story.settings.mail),
            claims=supply,
            composer=writing(story.settings),
            on_result=lambda _number, _state: None,
            should_stop=should_stop,
            maintain=lambda: None,
        )
        engine.run()
    return engine.fault


class Twice(ClaimBuffer):
    """Gives each claim twice, as if the mail had been claimed anew while it is on a line."""

    _again: Claim | None = None

    def __len__(self) -> int:
        return super().__len__() + (self._again is not None)

    def has_more(self) -> bool:
        return self._again is not None or super().has_more()

    def take_claim(self, now: datetime) -> Claim | None:
        claim, self._again = self._again, None
        if claim is None:
            claim = self._again = super().take_claim(now)
        return claim


def test_a_mail_that_is_on_two_lines_leaves_on_one(make: Callable[..., Story]) -> None:
    """A claim that was slept over, and the same worker's new one: one step starts both."""
    asked: list[int] = []
    answer = threading.Event()

    def go_on() -> str:
        asked.append(1)
        answer.wait(10)
        return "354 go on"

    def let_both_be_ready() -> bool:
        if len(asked) == 2 and not answer.is_set():
            answer.set()
            time.sleep(0.3)
        return False

    with ScriptedServer(EHLO=PIPELINING, DATA=go_on) as server:
        story = make(server, connections=2)
        mail = story.owe()
        send_by(story, Twice, MailComposer, should_stop=let_both_be_ready)
        assert asked == [1, 1]
        assert state_of(mail) == ("sent", "")
        assert len(server.accepted) == 1


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
        # Since before the first, so that it holds however long all else takes.
        begun = time.monotonic()
        for _ in range(2):
            story.owe()
            story.change(story.campaign, state=CampaignState.SENDING)
            assert story.send() == SendResult(sent=1)
        assert time.monotonic() - begun >= 0.2
        assert Pace.select().count() == 1


def test_while_a_rate_holds_back_it_can_be_stopped(make: Callable[..., Story]) -> None:
    with ScriptedServer() as server:
        story = make(server, rate_per_day=1)
        story.owe()
        story.owe()
        until = time.monotonic() + 1
        with expect_few_waits():
            result = story.send(should_stop=lambda: time.monotonic() > until)
        assert (result.sent, result.waiting, result.server_fault) == (1, 1, "")


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


@pytest.mark.exhaustive
def test_what_has_been_claimed_leaves_at_the_pace_of_its_domain_too(
    database: Database, database_url: str, inbox: Inbox
) -> None:
    """On a slow server what is in stock would wait until the next of its domain may leave."""
    came: list[float] = []

    def slow(address: str) -> None:
        time.sleep(0.05)
        if address.endswith("@spared.org"):
            came.append(time.monotonic())

    inbox.reply_to_rcpt = slow
    settings = mail_settings(database_url, inbox.port, domain_rate_per_minute=60)
    story = make_story(database, settings)
    story.clock = ManualClock(NOW, ticking=True)
    for number in range(30):
        story.owe(f"anna@example{number}.org")
    for name in ("anna", "bram", "cor"):
        story.owe(f"{name}@spared.org")
    began = time.monotonic()
    assert story.send() == SendResult(sent=33)
    # None before its moment; on a busy machine one may leave late, and the next in time.
    assert [int(at - began + 0.1) >= number for number, at in enumerate(came)] == [True] * 3


def test_many_of_one_domain_do_not_hold_up_another(
    database: Database, database_url: str, inbox: Inbox
) -> None:
    settings = mail_settings(database_url, inbox.port, domain_rate_per_minute=1)
    story = make_story(database, settings)
    story.clock = ManualClock(NOW, ticking=True)
    for number in range(200):
        story.owe(f"person{number}@spared.org")
    other = story.owe("anna@other.org")
    begun = time.monotonic()

    def is_enough() -> bool:
        return state_of(other)[0] == "sent" or time.monotonic() > begun + 30

    story.send(should_stop=is_enough)
    assert state_of(other)[0] == "sent"
    assert len(inbox.mails) == 2


@pytest.mark.exhaustive
def test_a_line_that_has_to_be_made_first_costs_no_moment(make: Callable[..., Story]) -> None:
    """A server that ends what is idle would otherwise never be in time."""
    replies = [f"{OK}\r\n421 4.4.2 idle", OK]
    slow = slowly(0.3, "220 mail.example.org")
    claimed: list[int] = []

    class Noting(ClaimBuffer):
        def _claim_batch(self) -> ClaimResult:
            found = super()._claim_batch()
            claimed.extend(claim.mail.id for claim in found.claims)
            return found

    with ScriptedServer(greeting=slow, dot=replies) as server:
        story = make(server, rate_per_minute=60, domain_rate_per_minute=60)
        story.clock = ManualClock(NOW, ticking=True)
        owed = [story.owe().id, story.owe().id]
        assert send_by(story, Noting, MailComposer, should_stop=lambda: len(claimed) > 9) == ""
        assert [state_of(Mail.get_by_id(number))[0] for number in owed] == ["sent", "sent"]
    # A moment that was missed would have been another one, with the mail claimed anew.
    assert claimed == owed


def test_who_has_missed_a_moment_waits_while_others_have_taken_the_next(
    make: Callable[..., Story],
) -> None:
    def somebody_else_sends() -> str:
        with story.database.connection_context(), story.database.atomic():
            Pace.update(next_at=story.clock.now() + timedelta(seconds=1)).execute()
        time.sleep(0.3)
        return "220 mail.example.org"

    with ScriptedServer(greeting=somebody_else_sends) as server:
        story = make(server, rate_per_minute=60)
        story.clock = ManualClock(NOW, ticking=True)
        story.owe()
        begun = time.monotonic()
        assert story.send() == SendResult(sent=1)
        assert time.monotonic() - begun >= 1


@pytest.mark.exhaustive
def test_a_moment_that_passed_while_there_was_no_line_is_not_made_up_for(
    make: Callable[..., Story],
) -> None:
    greeted: list[float] = []
    came: list[float] = []

    def greet_late() -> str:
        time.sleep(1)
        greeted.append(time.monotonic())
        return "220 mail.example.org"

    def note() -> str:
        came.append(time.monotonic())
        return OK

    with ScriptedServer(greeting=greet_late, MAIL=note) as server:
        story = make(server, rate_per_minute=120)
        story.clock = ManualClock(NOW, ticking=True)
        for _ in range(3):
            story.owe()
        assert story.send() == SendResult(sent=3)
    # On a busy machine one may come late, and the next in time; none comes before its moment.
    assert [at - greeted[0] > number * 0.5 - 0.1 for number, at in enumerate(came)] == [True] * 3


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
        seen = set()

        def look() -> bool:
            seen.add(sum(state_of(mail)[0] == "failed" for mail in odd))
            return False

        story.send(should_stop=look)
        assert {state_of(mail) for mail in odd} == {("failed", "message")}
        assert state_of(fine)[0] == "sent"
        # In one go, without listening to the server in between, which has nothing to say.
        assert seen == {0, len(odd)}


# --- What nobody expects.


def test_who_falls_asleep_over_a_step_is_not_waited_for_for_ever(postgresql_url: str) -> None:
    with open_database(postgresql_url) as database, ScriptedServer() as server:
        story = make_story(database, mail_settings(postgresql_url, server.port))
        story.owe()
        story.send()
        found = run_sql(database, "SHOW idle_in_transaction_session_timeout").fetchone()
        assert found == ("30s",)


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
        state = refusals_and_retries.record_refusal(
            story.database,
            12345,
            error,
            worker="nobody",
            was_started=False,
            latest_start=NOW,
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


@pytest.mark.parametrize(("seconds", "expected"), [(0, 2), (4, 2), (10, 3)])
def test_a_server_that_has_refused_a_line_is_asked_for_more_after_a_while(
    make: Callable[..., Story], seconds: int, expected: int
) -> None:
    """By the clock of the process; the tenth mail comes 9 × `seconds` after the refusal."""
    fine = {"dot": slowly(0.05, OK)}
    with ScriptedServer(fine, {"greeting": "421 4.7.0 too many connections"}, fine) as server:
        story = make(server, connections=2)
        for _ in range(12):
            story.owe()

        def go_on(_step: object) -> None:
            story.clock.advance(timedelta(seconds=seconds))

        assert story.send(on_step=go_on) == SendResult(sent=12)
        assert server.connections == expected


def test_a_server_that_refuses_again_is_left_alone_for_as_long(make: Callable[..., Story]) -> None:
    fine = {"dot": slowly(0.05, OK)}
    refusing = {"greeting": "421 4.7.0 too many connections"}
    with ScriptedServer(fine, refusing) as server:
        story = make(server, connections=3)
        for _ in range(20):
            story.owe()

        def go_on(_step: object) -> None:
            story.clock.advance(timedelta(seconds=10))

        assert story.send(on_step=go_on) == SendResult(sent=20)
        assert 3 <= server.connections <= 6


def test_what_a_server_has_accepted_is_kept_however_long_others_hold_the_database(
    sqlite_url: str, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    database = FairSqliteDatabase(path, timeout=0.2)
    proxy.initialize(database)
    has_begun = threading.Event()

    def hold() -> None:
        write_lock = WriteLock(path)
        write_lock.acquire()
        has_begun.set()
        time.sleep(1)
        write_lock.close()

    def hold_the_database(_mail: object) -> None:
        holding.start()
        assert has_begun.wait(60)

    holding = threading.Thread(target=hold)
    inbox.reply_to_data = hold_the_database
    with database.connection_context():
        story = make_story(database, mail_settings(sqlite_url, inbox.port))
        mail = story.owe()
        assert story.send() == SendResult(sent=1)
        assert state_of(mail)[0] == "sent"
    holding.join()
    assert "still waiting: the database is held by another program" in caplog.text
