"""Rates hold over all processes together, by the clock of the mail server."""

from __future__ import annotations

import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repermit.clock import ManualClock
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.contacts import SignUp
from repermit.db.models.mails import Mail
from tests.support.builders import NOW
from tests.support.desk import Desk
from tests.support.inbox import Inbox
from tests.support.send_processes import Sender, make_desk, owe_all
from tests.support.sending_campaign import Story, mail_settings, make_story
from tests.support.smtp_sink import Sink, wait_until

# The share of an interval by which a mail may be quicker on its way than the one before.
JITTER = 0.8
# A machine with other things to do may leave moments unused; never does it use one twice.
SLACK = 10.0


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def assert_paced(came: Sequence[float], interval: float) -> None:
    """Hold that over any N intervals at most N + 1 mails came, and that no time was wasted."""
    for first, at in enumerate(came):
        for later in range(first + 1, len(came)):
            assert came[later] - at > (later - first - JITTER) * interval
    assert came[-1] - came[0] < (len(came) - 1) * interval + SLACK


@contextmanager
def two_senders(
    folder: Path, database_url: str, sink: Sink, addresses: Sequence[str], **rates: int
) -> Iterator[tuple[Sender, Sender]]:
    """Send to these addresses with two processes at once, to the end."""
    desk = make_desk(folder, database_url, sink, **rates)
    owe_all(desk, addresses)
    with Sender(desk) as one, Sender(desk) as other:
        yield one, other
        one.finish()
        other.finish()


@pytest.mark.everyday("rates2")
@pytest.mark.parametrize(
    ("database_url", "rates", "interval"),
    [
        ("sqlite", {"rate_per_minute": 90}, 2 / 3),
        ("postgresql", {"rate_per_hour": 3_600}, 1),
        ("sqlite", {"rate_per_day": 86_400 * 2, "rate_per_minute": 1_000}, 1 / 2),
    ],
    indirect=["database_url"],
)
def test_two_processes_send_no_more_than_one_may(
    tmp_path: Path, database_url: str, sink: Sink, rates: dict[str, int], interval: float
) -> None:
    addresses = [f"person{number}@example.org" for number in range(round(6 / interval))]
    with two_senders(tmp_path, database_url, sink, addresses, **rates) as senders:
        # On SQLite whoever sleeps may hold the one lock to write, and all others up.
        for sender in senders if database_url.startswith("postgresql") else ():
            # In the middle of an interval neither has a mail in hand.
            sink.wait_for(len(sink.taken) + 1)
            time.sleep(interval / 3)
            with sender.stopped():
                # So this one is the other's.
                sink.wait_for(len(sink.taken) + 1)
    assert_paced([one.came_at for one in sink.taken], interval)


@pytest.mark.exhaustive
def test_who_falls_asleep_over_a_rate_does_not_hold_up_the_others(
    tmp_path: Path, postgresql_url: str, sink: Sink
) -> None:
    """The limit of half a minute is shortened in the database, which is asked first."""
    addresses = [f"person{number}@example.org" for number in range(500)]
    desk = make_desk(tmp_path, postgresql_url, sink, rate_per_minute=6_000, connections=1)
    owe_all(desk, addresses)
    with psycopg.connect(postgresql_url, autocommit=True) as session:
        name = session.info.dbname
        session.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '2s'")
        with Sender(desk) as sleeper:
            sink.wait_for(1)
            with stopped_while_it_holds_the_rate(sleeper, session), Sender(desk) as other:
                came = len(sink.taken)
                sink.wait_for(came + 100)
                other.finish()
            words = sleeper.give_up()
    assert "the database cannot be used: " in words
    with Sender(desk) as another:
        another.finish()
    states = Counter(state for (state,) in states_of(desk))
    got = Counter(one.recipient for one in sink.taken)
    assert max(got.values()) == 1
    assert states["sent"] + states["in_doubt"] == 500
    assert states["in_doubt"] <= 1
    assert len(got) >= states["sent"]


@contextmanager
def stopped_while_it_holds_the_rate(sender: Sender, session: psycopg.Connection) -> Iterator[None]:
    """Put a process to sleep in the middle of a claim, however often that takes."""

    def holds_it() -> bool:
        sender.process.send_signal(signal.SIGCONT)
        time.sleep(0.001)
        sender.process.send_signal(signal.SIGSTOP)
        return session.execute(_HOLDS_THE_RATE).fetchone() is not None

    with sender.stopped():
        wait_until(holds_it)
        yield


# A transaction that has written, or locked a row, has a number.
_HOLDS_THE_RATE = """\
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction' AND backend_xid IS NOT NULL
AND EXISTS (
    SELECT 1 FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation
    WHERE pg_locks.pid = pg_stat_activity.pid AND relname = 'pace' AND mode = 'RowShareLock'
)"""


def states_of(desk: Desk) -> list[tuple[str]]:
    with desk.database():
        query: Any = Mail.select(Mail.state).tuples()
        return list(query)


@pytest.mark.exhaustive
def test_one_domain_is_spared_while_others_go_on(
    tmp_path: Path, database_url: str, sink: Sink
) -> None:
    domains = [f"example{number}.org" for number in range(5)]
    addresses = [f"person{number}@{domain}" for number in range(4) for domain in domains]
    rates = {"domain_rate_per_minute": 60, "connections": 1}
    with two_senders(tmp_path, database_url, sink, addresses, **rates):
        pass
    by_domain = defaultdict(list)
    for one in sink.taken:
        by_domain[one.recipient.rpartition("@")[2]].append(one.came_at)
    assert by_domain.keys() == set(domains)
    for came in by_domain.values():
        assert_paced(came, 1)


@pytest.mark.exhaustive
def test_who_asks_for_a_mail_does_not_wait_for_a_domain_that_is_spared(
    database: Database, database_url: str, inbox: Inbox
) -> None:
    settings = mail_settings(database_url, inbox.port, domain_rate_per_minute=1)
    story = make_story(database, settings)
    story.clock = ManualClock(NOW, ticking=True)
    for name in ("anna", "bram"):
        story.owe(f"{name}@example.org")
    began = time.monotonic()

    def is_enough() -> bool:
        return bool(inbox.to("new@example.com")) or time.monotonic() > began + 30

    story.send(on_step=lambda _: ask_for_a_mail(story), should_stop=is_enough)
    assert inbox.to("new@example.com")
    assert len(inbox.mails) == 2


def ask_for_a_mail(story: Story) -> None:
    if not SignUp.select().exists():
        story.owe_confirm("new@example.com")


@pytest.mark.exhaustive
def test_ctrl_z_does_not_take_the_database_along(
    tmp_path: Path, sqlite_url: str, sink: Sink
) -> None:
    """A sender that is stopped in the middle of a step would hold up every answer."""
    desk = make_desk(tmp_path, sqlite_url, sink)
    owe_all(desk, [f"person{number}@example.org" for number in range(3_000)])
    with Sender(desk) as sender:
        for _ in range(8):
            sink.wait_for(len(sink.taken) + 50)
            sender.process.send_signal(signal.SIGTSTP)
            wait_until_stopped(sender)
            with desk.database() as database:
                began = time.monotonic()
                with database.atomic():
                    Meta.insert(key="noted", value="").on_conflict_replace().execute()
                # A write that is held up waits for half a minute.
                assert time.monotonic() - began < 10
            sender.process.send_signal(signal.SIGCONT)
        sender.finish()
    assert len({one.recipient for one in sink.taken}) == len(sink.taken) == 3_000


def wait_until_stopped(sender: Sender) -> None:
    state = Path(f"/proc/{sender.process.pid}/stat")
    wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
