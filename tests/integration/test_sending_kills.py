"""Invariants 8 and 9, by the books of the mail server: nobody skipped, nobody mailed twice.

Whole processes of `repermit send` that are killed, or put to sleep, at random instants of a large
campaign; at the end what the database says is compared with what the server got.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.db.row_counts import find_drift
from repermit.rules.consent import CampaignState, MailState
from repermit.sending.crash_recovery import recover_mails
from tests.support.desk import Desk
from tests.support.send_processes import Sender, make_desk, owe_all
from tests.support.smtp_sink import Sink, wait_until

# Most are killed, and could not tell what they went over.
pytestmark = pytest.mark.processes_uncounted

CONNECTIONS = 8

few_and_many_kills = pytest.mark.parametrize(("mails", "kills"), [(2_000, 3), (20_000, 30)])
few_kills_every_day = pytest.mark.everyday("2000-3")


def addresses(count: int) -> list[str]:
    return [f"person{number}@example{number % 100}.org" for number in range(count)]


@pytest.fixture
def chance() -> random.Random:
    return random.Random(20)  # noqa: S311  the same instants every time


@pytest.fixture
def sink(chance: random.Random) -> Iterator[Sink]:
    """Run a server that takes its time for every mail, so that some are always on their way."""
    with Sink(lambda: chance.uniform(0, 0.003)) as running:
        yield running


def under_way(desk: Desk) -> int:
    """Return how many mails have started and are not settled."""
    with desk.database():
        return int(Mail.select().where(Mail.state == MailState.STARTED).count())


def compare(desk: Desk, sink: Sink) -> list[str]:
    """Hold the books against what the server got; return who is in doubt."""
    sink.wait_for_silence()
    with desk.database() as database:
        columns = (Contact.address, Mail.state, Mail.message_id)
        query: Any = Mail.select(*columns).join(Contact).tuples()
        rows = list(query)
        assert find_drift(database) == 0
        assert Campaign.get().state == CampaignState.OPEN
    sent = {(address, message_id) for address, state, message_id in rows if state == "sent"}
    doubts = {(address, message_id) for address, state, message_id in rows if state == "in_doubt"}
    got = Counter((one.recipient, one.message_id) for one in sink.taken)
    doubled = [address for (address, _), times in got.items() if times > 1]
    skipped = {address for address, _, _ in rows} - {address for address, _ in sent | doubts}
    assert (doubled, skipped) == ([], set())
    assert sent <= got.keys(), "marked as sent, and never came"
    assert got.keys() <= sent | doubts, "came, and the books know nothing of it"
    in_doubt = [address for address, _ in doubts]
    assert sink.asked_for.issuperset(in_doubt)
    return in_doubt


@few_kills_every_day
@few_and_many_kills
def test_killed_again_and_again_nobody_is_skipped_or_mailed_twice(
    tmp_path: Path, sqlite_url: str, sink: Sink, chance: random.Random, *, mails: int, kills: int
) -> None:
    desk = make_desk(tmp_path, sqlite_url, sink, connections=CONNECTIONS)
    owe_all(desk, addresses(mails))
    in_doubt = 0
    for instant in instants(chance, kills, of=mails):
        with Sender(desk) as sender:
            wait_for(sink, instant, chance)
            sender.kill()
        sink.wait_for_silence()
        lost = under_way(desk)
        assert lost <= CONNECTIONS
        in_doubt += lost
    with Sender(desk) as sender:
        sender.finish()
    assert len(compare(desk, sink)) == in_doubt > 0
    assert not list(tmp_path.glob("*.workers/*"))


@few_kills_every_day
@few_and_many_kills
def test_killed_again_and_again_while_another_worker_goes_on_nobody_is_skipped_or_mailed_twice(
    tmp_path: Path,
    postgresql_url: str,
    sink: Sink,
    chance: random.Random,
    *,
    mails: int,
    kills: int,
) -> None:
    desk = make_desk(tmp_path, postgresql_url, sink, connections=CONNECTIONS)
    owe_all(desk, addresses(mails))
    with Sender(desk) as other:
        for instant in instants(chance, kills, of=mails):
            with Sender(desk) as sender:
                wait_for(sink, instant, chance)
                sender.kill()
        other.finish()
    with Sender(desk) as sender:
        sender.finish()
    assert 0 < len(compare(desk, sink)) <= kills * CONNECTIONS


@pytest.mark.everyday("6000-3")
@pytest.mark.parametrize(("mails", "naps"), [(6_000, 3), (20_000, 10)])
def test_asleep_past_its_lease_a_worker_sends_nothing_that_another_has_sent(
    tmp_path: Path, postgresql_url: str, sink: Sink, chance: random.Random, *, mails: int, naps: int
) -> None:
    """The lease's five minutes are ended in the database, which is all that workers see of it."""
    desk = make_desk(tmp_path, postgresql_url, sink, connections=CONNECTIONS)
    owe_all(desk, addresses(mails))
    taken_over = 0
    with (
        psycopg.connect(postgresql_url, autocommit=True) as session,
        Sender(desk) as sleeper,
        Sender(desk) as other,
    ):
        # Near the end the other one may find nothing more to do, and be gone.
        for instant in instants(chance, naps, of=mails, percent=80):
            wait_for(sink, instant, chance)
            with stopped_between_changes(sleeper, session):
                taken_over += end_leases(desk)
                wait_for(sink, instant + mails // naps // 2, chance)
        sleeper.finish()
        other.finish()
    assert taken_over > naps
    with Sender(desk) as sender:
        sender.finish()
    assert compare(desk, sink) == []


@contextmanager
def stopped_between_changes(sender: Sender, session: psycopg.Connection) -> Iterator[None]:
    """Put a process to sleep while no row of its own keeps others waiting, however often it takes.

    In the middle of a change they would wait until PostgreSQL ends it (test_sending_rates).
    """

    def keeps_nobody_waiting() -> bool:
        sender.process.send_signal(signal.SIGCONT)
        time.sleep(0.001)
        sender.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        return session.execute(_SLEEPS_IN_A_CHANGE).fetchone() is None

    with sender.stopped():
        wait_until(keeps_nobody_waiting)
        yield


# A transaction that has written, or locked a row, has a number.
_SLEEPS_IN_A_CHANGE = """\
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction' AND backend_xid IS NOT NULL
AND state_change < clock_timestamp() - interval '80 milliseconds'"""


def instants(chance: random.Random, count: int, *, of: int, percent: int = 95) -> list[int]:
    """Return before which mails something happens, in their order, within the first so many."""
    return sorted(chance.sample(range(1, of * percent // 100), count))


def wait_for(sink: Sink, instant: int, chance: random.Random) -> None:
    """Wait until so many mails have come, one at least, and a moment more."""
    sink.wait_for(max(instant, len(sink.taken) + 1))
    time.sleep(chance.uniform(0, 0.005))


def end_leases(desk: Desk) -> int:
    """End all leases and do what every run begins with; return how many mails went back."""
    now = desk.clock.now()
    claimed = Mail.select(Mail.id).where(Mail.state == MailState.CLAIMED)
    with desk.database() as database:
        with database.atomic():
            # Whoever fell asleep in the middle of a change holds these.
            free = claimed.for_update(skip_locked=True)
            over = Mail.update(lease_until=now - timedelta(seconds=1)).where(Mail.id.in_(free))
            over.execute()
        return recover_mails(database, now=now).requeued
