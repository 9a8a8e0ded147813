"""Commands that send or look on, as processes that are told to stop: worker, send, --watch."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from repermit.clock import ManualClock, SystemClock
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState, MailState
from tests.support.builders import make_contact
from tests.support.desk import ACCEPTED, ATTEST, Desk
from tests.support.inbox import Inbox, Received
from tests.support.serve_process import Running

SIGNS = pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
SOON = (SystemClock().now() + timedelta(days=60)).date().isoformat()
LAUNCH = ("launch", "news", "--deadline", SOON, "--attest", ATTEST, *ACCEPTED)


def prepare(desk: Desk, people: int = 3) -> None:
    """Add people to be asked; their mails leave one by one."""
    # A process goes by the machine's clock; [mail] is the last table.
    desk.clock = ManualClock(SystemClock().now(), ticking=True)
    with desk.config.open("a", encoding="utf-8") as file:
        file.write("connections = 1\n")
    desk.add_news()
    with desk.news() as (database, news):
        for _ in range(people):
            make_contact(database, news)


def launch(desk: Desk, people: int = 3) -> None:
    prepare(desk, people)
    desk.do(*LAUNCH)


@contextmanager
def in_the_middle_of_a_mail(
    desk: Desk, inbox: Inbox, *command: str
) -> Iterator[tuple[Running, Callable[[], None]]]:
    """Run a command until the first mail waits for the server's reply, until told to go on."""
    arrived, may_reply = threading.Event(), threading.Event()

    def wait(_mail: Received) -> None:
        arrived.set()
        may_reply.wait(30)

    inbox.reply_to_data = wait
    try:
        # What it says first may come after it has been stopped.
        with Quiet(desk, *command) as running:
            assert arrived.wait(60)
            yield running, may_reply.set
    finally:
        may_reply.set()


class Quiet(Running):
    """A command of which no first line is waited for."""

    reads_first_line = False


def states(desk: Desk) -> list[str]:
    with desk.database():
        return sorted(mail.state for mail in Mail.select())


def wait_until_it_reads(running: Running) -> None:
    """Wait until a command has the database open, however long a loaded machine takes to start."""
    files = Path(f"/proc/{running.process.pid}/fd")
    until = time.monotonic() + 20
    names: list[str] = []
    while not any(name.endswith("repermit.db") for name in names):
        assert time.monotonic() < until
        time.sleep(0.05)
        names = [os.path.realpath(one) for one in files.iterdir()]


def stop_in_time(running: Running, go_on: Callable[[], None], sign: signal.Signals) -> None:
    """Tell it to stop, see that it waits for the server, and let the server reply."""
    running.process.send_signal(sign)
    time.sleep(0.4)
    assert running.process.poll() is None
    go_on()


# --- worker.


@pytest.fixture
def any_desk(tmp_path: Path, database_url: str, inbox: Inbox) -> Desk:
    """Return a desk on each kind of database."""
    return Desk(tmp_path, database_url=database_url, inbox=inbox)


@pytest.mark.exhaustive
def test_two_workers_share_the_work(any_desk: Desk, inbox: Inbox) -> None:
    launch(any_desk, 40)
    with Running(any_desk, "worker") as one, Running(any_desk, "worker") as other:
        assert one.says == "Working for https://ask.example.org. Ctrl-C stops.\n"
        inbox.wait_for(40, timeout=30)
        assert [each.end(signal.SIGTERM)[0] for each in (one, other)] == [0, 0]
    assert len({mail.rcpt_tos for mail in inbox.mails}) == len(inbox.mails) == 40
    assert states(any_desk) == [MailState.SENT] * 40


@pytest.mark.everyday("[15]")
@SIGNS
def test_a_worker_finishes_what_is_on_the_wire(
    desk: Desk, inbox: Inbox, sign: signal.Signals
) -> None:
    launch(desk)
    with in_the_middle_of_a_mail(desk, inbox, "worker") as (worker, go_on):
        stop_in_time(worker, go_on, sign)
        assert worker.process.wait(60) == 0
    assert states(desk) == [MailState.QUEUED, MailState.QUEUED, MailState.SENT]


# --- send and launch --wait.


@pytest.mark.exhaustive
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_sending_that_is_stopped_finishes_what_is_on_the_wire(
    desk: Desk, inbox: Inbox, sign: signal.Signals, code: int
) -> None:
    launch(desk)
    with in_the_middle_of_a_mail(desk, inbox, "send") as (sending, go_on):
        stop_in_time(sending, go_on, sign)
        out, err = sending.process.communicate(timeout=20)
    assert sending.process.returncode == code
    assert out == "1 sent, 0 failed, 0 dropped, 0 in doubt, 2 waiting.\n"
    assert "Stopped. What was on the wire has been finished and marked" in err
    assert states(desk) == [MailState.QUEUED, MailState.QUEUED, MailState.SENT]


@pytest.mark.exhaustive
def test_a_second_ctrl_c_ends_sending_at_once(desk: Desk, inbox: Inbox) -> None:
    launch(desk)
    with in_the_middle_of_a_mail(desk, inbox, "send") as (sending, _):
        for _ in range(2):
            sending.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        assert sending.process.wait(60) == -signal.SIGINT
    assert "2 sent" in desk.do("send")
    assert states(desk) == [MailState.IN_DOUBT, MailState.SENT, MailState.SENT]


@pytest.mark.exhaustive
def test_a_launch_that_is_stopped_while_it_waits_stays_launched(desk: Desk, inbox: Inbox) -> None:
    prepare(desk)
    command = (*LAUNCH, "--wait", "--json")
    with in_the_middle_of_a_mail(desk, inbox, *command) as (launching, go_on):
        stop_in_time(launching, go_on, signal.SIGINT)
        out, err = launching.process.communicate(timeout=20)
    assert launching.process.returncode == 130
    asks = json.loads(out)["mails"]["ask"]
    assert (asks["sent"], asks["queued"]) == (1, 2)
    assert "Stopped." in err


@pytest.mark.exhaustive
def test_a_terminal_shows_a_bar_on_stderr_and_nothing_of_it_on_stdout(
    desk: Desk, inbox: Inbox
) -> None:
    prepare(desk)
    with Quiet(desk, *LAUNCH, "--wait", "--json", on_terminal=True) as launching:
        launching.read_terminal()
        out, _ = launching.process.communicate(timeout=20)
    assert launching.process.returncode == 0
    assert "━" in launching.seen
    assert "3 of 3 sent" in launching.seen
    # Whoever is ended at once could not show the cursor again.
    assert "\x1b[?25l" not in launching.seen
    assert json.loads(out)["mails"]["ask"]["sent"] == len(inbox.mails) == 3


# --- status --watch.


@pytest.mark.exhaustive
def test_watching_ends_with_the_campaign(desk: Desk) -> None:
    launch(desk)
    with Quiet(desk, "status", "news", "--watch") as watching:
        wait_until_it_reads(watching)
        time.sleep(1)
        assert watching.process.poll() is None
        desk.do("cancel", "news")
        out, err = watching.process.communicate(timeout=20)
    assert watching.process.returncode == 0
    assert out.startswith("news: the campaign is cancelled.")
    assert err == ""


@pytest.mark.exhaustive
def test_watching_on_a_terminal_shows_a_bar_until_ctrl_c(desk: Desk) -> None:
    launch(desk)
    with desk.database() as database, database.atomic():
        Mail.update(state=MailState.FAILED).where(Mail.id == Mail.get().id).execute()
    with Quiet(desk, "status", "news", "--watch", "--json", on_terminal=True) as watching:
        watching.wait_for_on_terminal("0 of 3 sent, 1 failed")
        watching.process.send_signal(signal.SIGINT)
        watching.read_terminal()
        out, _ = watching.process.communicate(timeout=20)
    assert watching.process.returncode == 0
    assert json.loads(out)["campaign"]["state"] == CampaignState.SENDING


def test_where_there_is_nothing_to_watch_the_status_is_shown(desk: Desk) -> None:
    prepare(desk)
    assert "no campaign yet" in desk.do("status", "news", "--watch")
    desk.do(*LAUNCH)
    with desk.database() as database, database.atomic():
        Campaign.update(state=CampaignState.CLOSED, closed_at=desk.clock.now()).execute()
    desk.clock.advance(timedelta(days=1))
    assert "the campaign is closed" in desk.do("status", "news", "--watch")
