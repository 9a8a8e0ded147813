"""Invariant 8: killed at any instant and started again, nobody is skipped or mailed twice.

Whole processes of `repermit serve`, which are killed while the mail server keeps them waiting.
"""

from __future__ import annotations

import email
import email.policy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.clock import ManualClock, SystemClock
from repermit.db.connection import Database
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState, MailState
from repermit.sending import crash_recovery, worker_lock
from repermit.sending.crash_recovery import RecoveryResult
from tests.support.builders import make_contact
from tests.support.desk import ATTEST, Desk
from tests.support.inbox import HANG_UP
from tests.support.scripted_smtp_server import ScriptedServer
from tests.support.serve_process import Serving

# Those that are killed could not tell what they went over; those that go on serve as others do.
pytestmark = pytest.mark.processes_uncounted

NAMES = [f"{name}@example.org" for name in ("anna", "bram", "cor")]
OK = "250 2.0.0 OK"


class Gate:
    """A reply that tells when it is waited for, and does not come until the gate is opened."""

    def __init__(self, reply: str = OK) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._reply = reply

    def __call__(self) -> str:
        self.reached.set()
        self.opened.wait(60)
        return self._reply


@contextmanager
def mail_server(gate: Gate, where: str) -> Iterator[ScriptedServer]:
    """Run a mail server whose second reply at this place waits behind the gate."""
    replies: dict[str, Any] = {where: [OK, gate, OK]}
    with ScriptedServer(**replies) as server:
        try:
            yield server
        finally:
            gate.opened.set()


@pytest.fixture
def launched(tmp_path: Path, database_url: str) -> Callable[..., Desk]:
    """Return a way to launch a campaign that asks these addresses through a mail server."""

    def launch(server: ScriptedServer, addresses: list[str] = NAMES) -> Desk:
        desk = Desk(tmp_path, database_url=database_url, inbox=server)
        # A process that serves goes by the machine's clock.
        desk.clock = ManualClock(SystemClock().now())
        # So that mails go one after the other; [mail] is the last table.
        with desk.config.open("a", encoding="utf-8") as config:
            config.write("connections = 1\n")
        desk.add_news()
        with desk.news() as (database, news):
            for address in addresses:
                make_contact(database, news, address)
        deadline = (desk.clock.now() + timedelta(days=60)).date().isoformat()
        desk.do("launch", "news", "--deadline", deadline, "--attest", ATTEST)
        return desk

    return launch


def states(desk: Desk) -> list[str]:
    with desk.database():
        return [mail.state for mail in Mail.select().order_by(Mail.id)]


def counts(desk: Desk) -> dict[str, int]:
    """Return how many asks are in which state, as `status --json` tells; no zeros."""
    asks = desk.run("status", "news", "--json").document["mails"]["ask"]
    return {state: count for state, count in asks.items() if count}


def wait_until(is_so: Callable[[], bool], desk: Desk) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until, desk.do("status", "news")
        time.sleep(0.1)


def wait_until_all_are_asked(desk: Desk) -> None:
    def is_open() -> bool:
        status = desk.run("status", "news", "--json").document
        return bool(status["campaign"]["state"] == CampaignState.OPEN)

    wait_until(is_open, desk)


def recipients(server: ScriptedServer) -> list[str]:
    """Return whom the mails went to that the server has whole."""
    mails = [email.message_from_bytes(raw, policy=email.policy.default) for raw in server.mails]
    return sorted(str(mail["To"]) for mail in mails)


def doubts(desk: Desk) -> list[str]:
    """Return who is named in what `status` says is in doubt."""
    _, _, said = desk.do("status", "news").partition("In doubt: ")
    return [name for name in NAMES if name in said]


def any_alive(database: Database, workers: set[str]) -> bool:
    return any(worker_lock.is_alive(database, worker) for worker in workers)


def kill_at(gate: Gate, desk: Desk, *, expected: list[str]) -> None:
    """Serve until the gate is reached and the mails stand as expected, and kill it there."""
    with Serving(desk) as serving:
        assert gate.reached.wait(60)
        wait_until(lambda: states(desk) == expected, desk)
        with desk.database() as database:
            workers = {mail.worker for mail in Mail.select()} - {""}
            assert any_alive(database, workers)
            serving.kill()
            # PostgreSQL notices the end of a session a moment late.
            wait_until(lambda: not any_alive(database, workers), desk)
    assert states(desk) == expected
    gate.opened.set()


def test_killed_between_a_claim_and_its_mail_nobody_is_skipped_or_mailed_twice(
    launched: Callable[..., Desk],
) -> None:
    gate = Gate()
    with mail_server(gate, "RCPT") as server:
        desk = launched(server)
        kill_at(gate, desk, expected=[MailState.SENT, MailState.CLAIMED, MailState.CLAIMED])
        assert counts(desk) == {"sent": 1, "claimed": 2}
        with Serving(desk):
            wait_until_all_are_asked(desk)
    assert counts(desk) == {"sent": 3}
    assert doubts(desk) == []
    assert recipients(server) == NAMES


@pytest.mark.exhaustive
def test_killed_after_a_mail_and_before_its_mark_it_is_in_doubt_and_not_sent_again(
    launched: Callable[..., Desk],
) -> None:
    gate = Gate()
    with mail_server(gate, "dot") as server:
        desk = launched(server)
        kill_at(gate, desk, expected=[MailState.SENT, MailState.STARTED, MailState.CLAIMED])
        assert recipients(server) == NAMES[:2]
        with Serving(desk):
            wait_until_all_are_asked(desk)
    assert states(desk) == [MailState.SENT, MailState.IN_DOUBT, MailState.SENT]
    assert counts(desk) == {"sent": 2, "in_doubt": 1}
    assert doubts(desk) == NAMES[1:2]
    assert recipients(server) == NAMES


@pytest.mark.exhaustive
def test_killed_before_the_server_took_a_started_mail_it_is_in_doubt_until_a_person_decides(
    launched: Callable[..., Desk],
) -> None:
    gate = Gate(HANG_UP)
    with mail_server(gate, "body") as server:
        desk = launched(server)
        kill_at(gate, desk, expected=[MailState.SENT, MailState.STARTED, MailState.CLAIMED])
        with Serving(desk):
            wait_until_all_are_asked(desk)
            assert counts(desk) == {"sent": 2, "in_doubt": 1}
            assert doubts(desk) == NAMES[1:2]
            assert recipients(server) == [NAMES[0], NAMES[2]]
            desk.do("resolve", "news", "--resend")
            wait_until_all_are_asked(desk)
    assert counts(desk) == {"sent": 3}
    assert doubts(desk) == []
    assert recipients(server) == NAMES


def takes_over(desk: Desk, later: datetime) -> bool:
    """Send what is claimed by another and not started; say whether that was quicker than it was."""
    with desk.database() as database:
        crash_recovery.recover_mails(database, now=later)
    desk.do("send")
    return states(desk) == [MailState.SENT, MailState.STARTED, MailState.SENT]


@pytest.mark.exhaustive
def test_a_process_that_is_only_slow_is_left_alone(launched: Callable[..., Desk]) -> None:
    gate = Gate()
    with mail_server(gate, "dot") as server:
        desk = launched(server)
        with Serving(desk):
            assert gate.reached.wait(60)
            with desk.database() as database:
                later = desk.clock.now() + timedelta(days=365)
                assert crash_recovery.recover_mails(database, now=later) == RecoveryResult(1, 0)
            wait_until(lambda: takes_over(desk, later), desk)
            gate.opened.set()
            wait_until_all_are_asked(desk)
    assert counts(desk) == {"sent": 3}
    assert recipients(server) == NAMES


@pytest.mark.exhaustive
def test_two_processes_at_once_send_every_mail_once(launched: Callable[..., Desk]) -> None:
    both = threading.Barrier(2)

    def wait_for_the_other() -> str:
        both.wait(60)
        return "354 go on"

    addresses = [f"person{number}@example.org" for number in range(10, 50)]
    first_of_each = [wait_for_the_other, wait_for_the_other]
    with ScriptedServer(DATA=[*first_of_each, "354 go on"]) as server:
        desk = launched(server, addresses)
        with Serving(desk), Serving(desk):
            wait_until_all_are_asked(desk)
    assert counts(desk) == {"sent": 40}
    assert recipients(server) == addresses
