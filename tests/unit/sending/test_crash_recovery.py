"""What dead workers leave behind is put right; what living ones hold is not."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
import pytest

from repermit.db.connection import Database, open_database, run_sql
from repermit.db.models.mails import Mail
from repermit.db.work_steps import FIRST_STEP_ROWS
from repermit.rules.consent import MailState
from repermit.sending.crash_recovery import RecoveryResult, recover_mails
from repermit.sending.worker_lock import Worker
from tests.support.builders import NOW
from tests.support.sending_campaign import Story, again, mail_settings, make_story

TINY = timedelta(microseconds=1)
LEASE = NOW + timedelta(minutes=5)


@pytest.fixture
def story(database: Database, database_url: str) -> Story:
    return make_story(database, mail_settings(database_url, 1))


def test_a_dead_workers_claims_go_back_and_its_started_mails_are_in_doubt(story: Story) -> None:
    claimed = story.owe(state=MailState.CLAIMED, worker="dead", lease_until=LEASE)
    started = story.owe(state=MailState.STARTED, worker="dead", lease_until=LEASE)
    assert recover_mails(story.database, now=NOW) == RecoveryResult(requeued=1, in_doubt=1)
    assert (again(claimed).state, again(claimed).worker) == ("queued", "")
    assert again(claimed).lease_until is None
    # Its worker still stands there: only that one's late outcome may settle the doubt.
    assert (again(started).state, again(started).worker) == ("in_doubt", "dead")
    assert recover_mails(story.database, now=NOW) == RecoveryResult(0, 0)


def test_what_dead_workers_had_claimed_goes_back_in_steps(story: Story) -> None:
    for _ in range(FIRST_STEP_ROWS + 1):
        story.owe(state=MailState.CLAIMED, worker="dead", lease_until=LEASE)
    counts: list[int] = []
    left = Mail.select().where(Mail.state == MailState.CLAIMED)
    story.database.before_commit = lambda: counts.append(left.count())
    try:
        recovered = recover_mails(story.database, now=NOW)
    finally:
        story.database.before_commit = None
    assert recovered == RecoveryResult(requeued=FIRST_STEP_ROWS + 1, in_doubt=0)
    assert counts[:2] == [1, 0]


@pytest.mark.parametrize(
    ("now", "state"), [(LEASE - TINY, "claimed"), (LEASE, "claimed"), (LEASE + TINY, "queued")]
)
def test_a_living_workers_claim_ends_with_its_lease(
    story: Story, now: datetime, state: str
) -> None:
    with Worker.register(story.settings) as worker:
        mail = story.owe(state=MailState.CLAIMED, worker=worker.id, lease_until=LEASE)
        recover_mails(story.database, now=now)
        assert again(mail).state == state


def test_a_living_workers_started_mail_is_never_in_doubt_by_time_alone(story: Story) -> None:
    with Worker.register(story.settings) as worker:
        mail = story.owe(state=MailState.STARTED, worker=worker.id, lease_until=LEASE)
        much_later = NOW + timedelta(days=100)
        assert recover_mails(story.database, now=much_later) == RecoveryResult(0, 0)
        assert again(mail).state == "started"


def test_mails_that_a_sleeping_worker_is_about_to_start_are_not_waited_for(
    postgresql_url: str,
) -> None:
    with open_database(postgresql_url) as database:
        story = make_story(database, mail_settings(postgresql_url, 1))
        about_to_start, claimed = (
            story.owe(state=MailState.CLAIMED, worker="asleep", lease_until=LEASE) for _ in range(2)
        )
        run_sql(database, "SET lock_timeout = '5s'")
        with psycopg.connect(postgresql_url) as asleep:
            asleep.execute("UPDATE mail SET state = 'started' WHERE id = %s", (about_to_start.id,))
            recovered = recover_mails(database, now=LEASE + TINY)
        assert recovered == RecoveryResult(requeued=1, in_doubt=0)
        assert (again(about_to_start).state, again(claimed).state) == ("started", "queued")


@pytest.mark.parametrize("state", [MailState.SENT, MailState.FAILED, MailState.DROPPED])
def test_what_is_settled_stays_so(story: Story, state: MailState) -> None:
    mail = story.owe(state=state, worker="dead", lease_until=NOW)
    assert recover_mails(story.database, now=LEASE + TINY) == RecoveryResult(0, 0)
    assert again(mail).state == state
