"""The jobs: each sweep, twice at once, and when one fails."""

from __future__ import annotations

import io
import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.accounts import audit_log
from repermit.clock import ManualClock
from repermit.contacts import click_log
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.background_tasks import (
    JobKind,
    TaskKind,
    background_lock,
    foreground_lock,
    start_task,
)
from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.models.accounts import Access
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import, Upload
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.db.row_counts import Tally
from repermit.errors import Refused
from repermit.expiry import downtime
from repermit.expiry import sweep as expiry_sweep
from repermit.imports import uploads
from repermit.imports.suppression_import import begin_suppression_import
from repermit.imports.uploads import get_folder
from repermit.jobs.periodic_jobs import (
    JOB_INTERVALS,
    WEB_JOBS,
    WORKER_JOBS,
    Jobs,
    make_scheduler,
    run_job,
)
from repermit.privacy import data_links
from repermit.rules.consent import CampaignState, MailState, Reason, Status
from repermit.sending import in_doubt
from repermit.settings.definitions import Bounces
from tests.support.admin_pages import make_admin
from tests.support.builders import DEADLINE, NOW, make_asked, make_campaign, make_contact, make_mail
from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import ATTEST, Desk
from tests.support.import_helpers import plain, take_back, take_in
from tests.support.inbox import Inbox
from tests.support.mailboxes import ImapMailbox
from tests.support.returned_mails import returned_for
from tests.support.setting_choices import choose
from tests.unit.db.test_background_tasks import by_hand
from tests.unit.reports.test_outcomes_per_day import take_off


@pytest.fixture
def desk(tmp_path: Path, database_url: str, inbox: Inbox) -> Iterator[Desk]:
    """Return a desk on each kind of database, with the list `news`."""
    made = Desk(tmp_path, database_url=database_url, inbox=inbox)
    made.add_news()
    yield made
    shutil.rmtree(get_folder(made.settings))


def jobs_of(desk: Desk, database: Database) -> Jobs:
    return Jobs(desk.settings, database, clock=desk.clock, stopping=threading.Event())


def at_once(*sweeps: Callable[[], None]) -> None:
    """Run sweeps at the same time, each in a thread of its own; fail if one of them fails."""
    together = threading.Barrier(len(sweeps))

    def begin(sweep: Callable[[], None]) -> None:
        together.wait(10)
        sweep()

    with ThreadPoolExecutor(len(sweeps)) as pool:
        for done in [pool.submit(begin, sweep) for sweep in sweeps]:
            done.result()


def launch(desk: Desk, people: int, *more: str) -> None:
    with desk.news() as (database, news):
        for _ in range(people):
            make_contact(database, news)
    desk.do("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, *more)


# --- Each sweep, once and twice at the same time.


@pytest.mark.parametrize("times", [1, 2])
def test_a_campaign_begins_when_its_time_has_come(desk: Desk, times: int) -> None:
    launch(desk, 1, "--at", "2026-03-03T09:00")
    with desk.database() as database:
        sweep = jobs_of(desk, database).start_campaigns
        at_once(sweep)
        assert Campaign.get().state == CampaignState.SCHEDULED
        desk.clock.advance(timedelta(days=1))
        at_once(*[sweep] * times)
        assert Campaign.get().state == CampaignState.SENDING


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_being_taken_back_goes_on(desk: Desk, tmp_path: Path, times: int) -> None:
    with desk.news() as (database, news):
        take_in(database, news, plain(tmp_path, ("a@example.org", ""), ("b@example.org", "")))
        take_back(database, news, max_rows=0)
        sweep = jobs_of(desk, database).finish_undos_and_deletions
        with foreground_lock(database, TaskKind.UNDO_IMPORT):
            at_once(sweep)
            assert Contact.select().count() == 2
        at_once(*[sweep] * times)
        assert Contact.select().count() == 0
        assert Import.get().undone_at is not None


@pytest.mark.parametrize("times", [1, 2])
def test_the_deletion_of_a_list_goes_on(desk: Desk, times: int) -> None:
    with desk.news() as (database, news):
        act: dict[str, Any] = {"actor": "user:1", "at": NOW, "state": {}}
        with database.atomic():
            start_task(TaskKind.DELETE_LIST, news.id, mailing_list=news, **act)
        at_once(*[jobs_of(desk, database).finish_undos_and_deletions] * times)
        assert not MailingList.select().exists()
        assert [one.event for one in Evidence.select()].count("list_deleted") == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_suppression_import_goes_on(desk: Desk, tmp_path: Path, times: int) -> None:
    path = plain(tmp_path, ("a@example.org", ""), ("b@example.org", ""))
    with desk.news() as (database, news):
        make_contact(database, news, "a@example.org")
        begin_suppression_import(
            database, news, path, settings=desk.settings, now=NOW, actor="cli:els"
        )
        at_once(*[jobs_of(desk, database).finish_suppression_imports] * times)
        assert Contact.get().status == Status.REMOVED
        assert Suppression.select().count() == 2
        imported = Evidence.select().where(Evidence.event == "suppressions_imported")
        assert imported.count() == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_decision_on_mails_in_doubt_goes_on(desk: Desk, times: int) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news)
        for _ in range(2):
            doubtful = make_contact(database, news)
            make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
        in_doubt.resolve_in_doubt(
            database, news, resend=False, now=NOW, actor="cli:els", max_mails=0
        )
        sweep = jobs_of(desk, database).finish_resolutions
        with foreground_lock(database, TaskKind.RESOLVE):
            at_once(sweep)
            assert {mail.state for mail in Mail.select()} == {MailState.IN_DOUBT}
        at_once(*[sweep] * times)
        assert {mail.state for mail in Mail.select()} == {MailState.FAILED}
        assert Evidence.select().where(Evidence.event == "resolved").count() == 1


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_due_is_sent_once(desk: Desk, inbox: Inbox, times: int) -> None:
    launch(desk, 12)
    with desk.database() as database:
        at_once(*[jobs_of(desk, database).send] * times)
        assert Campaign.get().state == CampaignState.OPEN
    assert len({mail.rcpt_tos for mail in inbox.mails}) == len(inbox.mails) == 12


@pytest.mark.parametrize("times", [1, 2])
def test_who_has_not_answered_is_reminded_once(
    desk: Desk, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news, reminder_at=DEADLINE - timedelta(days=7))
        for _ in range(5):
            make_asked(database, news, campaign)
        sweep = jobs_of(desk, database).enqueue_reminders
        at_once(sweep)
        assert Mail.select().where(Mail.kind == "reminder").count() == 0
        desk.clock.move_to(DEADLINE - timedelta(days=7))
        with caplog.at_level(logging.INFO, "repermit.jobs"):
            at_once(*[sweep] * times)
        assert Mail.select().where(Mail.kind == "reminder").count() == 5
    assert "reminders" in caplog.text


@pytest.mark.parametrize("times", [1, 2])
def test_what_comes_is_counted_once_and_told_once_a_day(desk: Desk, times: int) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news)
        take_off(database, make_asked(database, news, campaign), campaign.id)
        jobs = jobs_of(desk, database)
        at_once(*[jobs.update_tallies] * times)
        assert {one.count for one in Tally.select()} == {1}
        at_once(*[jobs.store_people_counts] * times)
        at_once(*[jobs.enqueue_admin_mails] * times)
        assert Mail.select().where(Mail.kind == "notice").count() == 0
        desk.clock.advance(timedelta(hours=12))
        at_once(*[jobs.enqueue_admin_mails] * times)
        assert Mail.select().where(Mail.kind == "notice").count() == 1


@pytest.mark.parametrize("times", [1, 2])
def test_who_did_not_answer_is_removed_once(desk: Desk, times: int) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news)
        for _ in range(5):
            make_asked(database, news, campaign)
        desk.clock.move_to(DEADLINE)
        downtime.assume_up_until(database, moment=DEADLINE)
        at_once(*[jobs_of(desk, database).expire] * times)
        assert {one.reason for one in Contact.select()} == {Reason.NO_RESPONSE}
        assert Evidence.select().where(Evidence.event == "removed").count() == 5
        assert Campaign.get().state == CampaignState.CLOSED


def test_the_job_removes_nobody_while_the_command_does(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news)
        for _ in range(5):
            make_asked(database, news, campaign)
        downtime.assume_up_until(database, moment=DEADLINE)
        desk.clock.move_to(DEADLINE)
    expire_due = expiry_sweep.expire_due
    counts: list[int] = []

    def expire_beside_the_job(database: Database, **options: Any) -> expiry_sweep.ExpiryResult:
        if options.get("actor", "job") != "job":
            at_once(jobs_of(desk, database).expire)
            counts.append(Contact.select().where(Contact.reason == Reason.NO_RESPONSE).count())
        return expire_due(database, **options)

    monkeypatch.setattr(expiry_sweep, "expire_due", expire_beside_the_job)
    assert json.loads(desk.do("expire", "news", "--json")) == {"removed": 5, "unasked": 0}
    assert counts == [0]


def test_the_job_goes_on_with_what_a_command_has_begun(desk: Desk) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news)
        for _ in range(5):
            make_asked(database, news, campaign)
        downtime.assume_up_until(database, moment=DEADLINE)
        desk.clock.move_to(DEADLINE)
        steps = iter([False, False, False])
        expiry_sweep.expire_due(
            database,
            settings=desk.settings,
            clock=desk.clock,
            chunk=2,
            should_stop=lambda: next(steps, True),
        )
        removed = Contact.select().where(Contact.reason == Reason.NO_RESPONSE)
        assert removed.count() < 5
        with by_hand(database, JobKind.EXPIRE):
            before = removed.count()
            at_once(jobs_of(desk, database).expire)
            assert removed.count() == before
        at_once(jobs_of(desk, database).expire)
        assert removed.count() == 5
        assert Campaign.get().state == CampaignState.CLOSED


def test_the_job_leaves_to_a_cancel_the_mails_that_it_drops(desk: Desk) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news, state=CampaignState.CANCELLED)
        make_mail(database, campaign, make_contact(database, news), state=MailState.QUEUED)
        with by_hand(database, JobKind.DROP_MAILS):
            at_once(jobs_of(desk, database).recover_mails)
            assert Mail.get().state == MailState.QUEUED
        at_once(jobs_of(desk, database).recover_mails)
        assert Mail.get().state == MailState.DROPPED


def test_the_job_leaves_to_a_resume_the_asks_that_it_lets_go(desk: Desk) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news, state=CampaignState.SENDING)
        make_mail(
            database,
            campaign,
            make_contact(database, news),
            state=MailState.QUEUED,
            due_at=AFTER_PILOT,
        )
        with by_hand(database, JobKind.END_PILOT):
            at_once(jobs_of(desk, database).recover_mails)
            assert Mail.get().due_at == AFTER_PILOT
        at_once(jobs_of(desk, database).recover_mails)
        assert Mail.get().due_at == NOW


@pytest.mark.parametrize("times", [1, 2])
def test_what_a_dead_worker_left_is_seen_also_while_sending_rests(desk: Desk, times: int) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news)
        contact = make_contact(database, news)
        lost = {"state": "started", "worker": "dead", "lease_until": NOW, "sent_at": None}
        make_mail(database, campaign, contact, **lost)
        at_once(*[jobs_of(desk, database).recover_mails] * times)
        assert Mail.get().state == "in_doubt"


@pytest.mark.parametrize("times", [1, 2])
def test_which_links_were_opened_is_written_once(desk: Desk, times: int) -> None:
    openings = click_log.PendingOpenings()
    with desk.news() as (database, news):
        contact = make_contact(database, news)
        openings.add(contact.uid, click_log.LinkRequest("yes", is_head=False, at=NOW))
        jobs = Jobs(
            desk.settings,
            database,
            clock=desk.clock,
            stopping=threading.Event(),
            openings=openings,
        )
        at_once(*[jobs.store_openings] * times)
        assert Opening.get().yes_gets == 1


@pytest.mark.parametrize("times", [1, 2])
def test_who_looked_long_ago_is_forgotten(desk: Desk, times: int) -> None:
    with desk.database() as database:
        for days in (364, 366):
            with database.atomic():
                then = desk.clock.now() - timedelta(days=days)
                audit_log.record_access(now=then, actor="user:1", act=f"looked {days} days ago")
        at_once(*[jobs_of(desk, database).delete_expired] * times)
        assert [one.act for one in Access.select()] == ["looked 364 days ago"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_file_that_nobody_took_in_is_deleted_after_a_day(desk: Desk, times: int) -> None:
    with desk.news() as (database, news):
        kept = uploads.keep_upload(
            database,
            news,
            io.BytesIO(b"email\na@example.org\n"),
            name="list.csv",
            user_id=make_admin(database).id,
            settings=desk.settings,
            now=NOW,
        )
        desk.clock.advance(timedelta(hours=23))
        at_once(*[jobs_of(desk, database).delete_expired] * times)
        assert kept.path.exists()
        desk.clock.advance(timedelta(hours=1))
        at_once(*[jobs_of(desk, database).delete_expired] * times)
        assert Upload.select().count() == 0
        assert not kept.folder.exists()


@pytest.mark.parametrize("times", [1, 2])
def test_links_for_one_use_are_forgotten_after_a_day(desk: Desk, times: int) -> None:
    with desk.news() as (database, news):
        contact = make_contact(database, news)
        data_links.ask_for_link(database, uid=contact.uid, language="", now=desk.clock.now())
        at_once(*[jobs_of(desk, database).delete_expired] * times)
        assert FreshLink.select().count() == 1
        desk.clock.advance(timedelta(days=1))
        at_once(*[jobs_of(desk, database).delete_expired] * times)
        assert FreshLink.select().count() == 0


@pytest.mark.parametrize("times", [1, 2])
def test_a_beat_counts_the_pages_as_up(desk: Desk, times: int) -> None:
    with desk.news() as (database, news):
        make_campaign(database, news)
        beat = jobs_of(desk, database).record_heartbeat
        desk.clock.advance(timedelta(hours=2))
        at_once(*[beat] * times)
        desk.clock.advance(timedelta(minutes=1))
        beat()
        assert Campaign.get().downtime == 2 * 60 * 60
        assert downtime.measure_downtime(Campaign.get(), desk.clock.now()) == timedelta(hours=2)


def test_sending_ends_between_two_mails_when_the_process_stops(desk: Desk, inbox: Inbox) -> None:
    launch(desk, 3)
    stopping = threading.Event()

    def stop_after_one(_mail: object) -> None:
        stopping.set()

    inbox.reply_to_data = stop_after_one
    with desk.database() as database:
        Jobs(desk.settings, database, clock=desk.clock, stopping=stopping).send()
        assert Mail.select().where(Mail.sent_at.is_null()).count() == 2
    assert len(inbox.mails) == 1


def bounces_of(desk: Desk, database: Database, port: int) -> Jobs:
    account = Bounces(
        protocol="imap",
        server="localhost",
        port=port,
        tls="none",
        username="me",
        password="secret",
        every_minutes=10,
    )
    settings = replace(desk.settings, bounces=account)
    return Jobs(settings, database, clock=desk.clock, stopping=threading.Event())


@pytest.mark.parametrize("times", [1, 2])
def test_what_came_back_is_taken_once(
    desk: Desk, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with desk.news() as (database, news):
        make_asked(database, news, make_campaign(database, news))
        with ImapMailbox(returned_for("qmail_no_mailbox", Mail.get())) as mailbox:
            at_once(*[bounces_of(desk, database, mailbox.port).poll_bounces for _ in range(times)])
        assert Contact.get().reason == Reason.BOUNCE
        assert Evidence.select().where(Evidence.event == "removed").count() == 1
    assert "taken from the mailbox: 1 hard" in caplog.text
    assert "@" not in caplog.text


def test_the_mailbox_is_looked_at_every_so_many_minutes(desk: Desk) -> None:
    with desk.database() as database, ImapMailbox() as mailbox:
        look = bounces_of(desk, database, mailbox.port).poll_bounces
        for wait, looks in ((0, 1), (9, 1), (1, 2)):
            desk.clock.advance(timedelta(minutes=wait))
            look()
            assert mailbox.said.count("LOGIN") == looks


def test_without_a_mailbox_nothing_is_looked_at(desk: Desk) -> None:
    with desk.database() as database:
        jobs_of(desk, database).poll_bounces()


# --- When a sweep fails.


def fails() -> None:
    raise ValueError("jan@example.org")


def test_a_server_at_fault_is_left_alone_for_longer_and_longer(
    desk: Desk, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    def refuse(_address: str) -> str:
        tries.append(desk.clock.now())
        return "421 4.3.2 not now"

    launch(desk, 1)
    inbox.reply_to_rcpt = refuse
    with desk.database() as database:
        jobs = jobs_of(desk, database)
        jobs.send()
        for rest in (1, 2, 4, 8, 15, 15):
            desk.clock.advance(timedelta(minutes=rest, microseconds=-1))
            jobs.send()
            before = len(tries)
            desk.clock.advance(timedelta(microseconds=1))
            jobs.send()
            assert len(tries) == before + 1
            assert caplog.text.count("sending stops") == len(tries)
        inbox.reply_to_rcpt = lambda _address: None
        desk.clock.advance(timedelta(minutes=15))
        jobs.send()
    assert len(inbox.mails) == 1


def test_other_settings_are_tried_at_once(desk: Desk, inbox: Inbox) -> None:
    launch(desk, 1)
    with desk.database() as database, ImapMailbox(lines={"LOGIN": "NO"}) as mailbox:
        jobs = jobs_of(desk, database)
        inbox.reply_to_rcpt = lambda _address: "421 4.3.2 not now"
        jobs.send()
        inbox.reply_to_rcpt = lambda _address: None
        jobs.send()
        assert not inbox.mails
        kept = choose(
            database,
            desk.settings,
            {"bounces.password": "secret"},
            mail__connections=1,
            bounces__protocol="imap",
            bounces__server="127.0.0.1",
            bounces__port=mailbox.port,
            bounces__tls="none",
            bounces__username="me",
        )
        assert len(kept.changed) == 7
        jobs.send()
        assert len(inbox.mails) == 1
        for times in (1, 1):
            jobs.poll_bounces()
            assert mailbox.said.count("LOGIN") == times
        del mailbox.lines["LOGIN"]
        choose(database, desk.settings, {"bounces.password": "secret"}, bounces__every_minutes=9)
        jobs.poll_bounces()
        assert mailbox.said.count("SELECT") == 1


@pytest.mark.exhaustive
def test_a_run_that_is_paced_ends_when_the_pace_is_changed(desk: Desk, inbox: Inbox) -> None:
    desk.clock = ManualClock(NOW, ticking=True)
    launch(desk, 3)
    arrived = threading.Event()
    inbox.reply_to_data = lambda _mail: arrived.set()
    with desk.database() as database, ThreadPoolExecutor(1) as pool:
        choose(database, desk.settings, mail__rate_per_minute=1)
        jobs = jobs_of(desk, database)
        run_under_way = pool.submit(jobs.send)
        assert arrived.wait(60)
        choose(database, desk.settings, mail__rate_per_minute=0)
        run_under_way.result(20)
        assert len(inbox.mails) == 1
        desk.clock.advance(timedelta(minutes=1))
        jobs.send()
    assert len({mail.rcpt_tos for mail in inbox.mails}) == len(inbox.mails) == 3


def test_a_mailbox_at_fault_is_told_and_left_alone_for_half_an_hour(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with desk.database() as database, ImapMailbox(lines={"LOGIN": "NO"}) as mailbox:
        look = bounces_of(desk, database, mailbox.port).poll_bounces
        for wait, looks in ((0, 1), (29, 1), (1, 2)):
            desk.clock.advance(timedelta(minutes=wait))
            look()
            assert mailbox.said.count("LOGIN") == looks
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("no bounces and replies were read: the mailbox server localhost, ")
    assert "does not take the login" in said[0]


def test_a_sweep_that_fails_is_noted_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    run_job(fails)
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith("the job fails failed: ValueError at ")
    assert f"{__file__}:" in said
    assert "example.org" not in caplog.text
    assert record.levelno == logging.ERROR


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            Refused("%(folder)s must be kept from %(who)s", folder="/srv", who="jan@example.org"),
            "Refused (%(folder)s must be kept from %(who)s)",
        ),
        (Refused("jan@example.org is refused"), "Refused"),
    ],
)
def test_a_refused_sweep_is_noted_with_its_reason_without_values(
    caplog: pytest.LogCaptureFixture, error: Refused, reason: str
) -> None:
    def refuse() -> None:
        raise error

    run_job(refuse)
    assert caplog.messages[0].startswith(f"the job refuse failed: {reason} at ")
    assert "example.org" not in caplog.text


def test_a_sweep_that_the_database_fails_is_noted_with_its_code(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with desk.database() as database:

        def ask() -> None:
            run_sql(database, "SELECT 'jan@example.org' FROM nowhere")

        run_job(ask)
        code = "42P01" if is_postgresql(database) else "SQLITE_ERROR"
    assert f" ({code}) at " in caplog.text
    assert "example.org" not in caplog.text


def test_a_sweep_that_is_told_to_exit_does() -> None:
    def leave() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        run_job(leave)


def test_a_scheduler_goes_on_after_a_sweep_has_failed(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    times = threading.Semaphore(0)

    class Failing(Jobs):
        def send(self) -> None:
            times.release()
            fails()

    with desk.database() as database:
        scheduler = make_scheduler(
            Failing(desk.settings, database, clock=desk.clock, stopping=threading.Event())
        )
        scheduler.reschedule_job("send", trigger="interval", seconds=0.05)
        scheduler.start()
        came = [times.acquire(timeout=10) for _ in range(2)]
        scheduler.shutdown(wait=True)
    assert came == [True, True]
    assert "the job send failed: ValueError" in caplog.text
    assert "example.org" not in caplog.text


# --- The scheduler.


def test_every_sweep_is_planned_never_dropped_and_never_beside_itself(desk: Desk) -> None:
    with desk.database() as database:
        scheduler = make_scheduler(jobs_of(desk, database))
        scheduler.start(paused=True)
        planned = scheduler.get_jobs()
        scheduler.shutdown()
    assert {job.id: job.trigger.interval.total_seconds() for job in planned} == JOB_INTERVALS
    options = {(job.coalesce, job.max_instances, job.misfire_grace_time) for job in planned}
    assert options == {(True, 1, None)}


def test_the_pages_give_the_beat_and_workers_do_all_else(desk: Desk) -> None:
    assert WEB_JOBS == ("record_heartbeat", "store_openings", "checkpoint_wal")
    assert sorted((*WEB_JOBS, *WORKER_JOBS)) == sorted(JOB_INTERVALS)
    with desk.database() as database:
        scheduler = make_scheduler(jobs_of(desk, database), WORKER_JOBS)
        scheduler.start(paused=True)
        assert {job.id for job in scheduler.get_jobs()} == set(WORKER_JOBS)
        scheduler.shutdown()


def test_the_scheduler_does_not_fill_the_log(desk: Desk) -> None:
    with desk.database() as database:
        make_scheduler(jobs_of(desk, database))
    assert not logging.getLogger("apscheduler.executors.default").isEnabledFor(logging.WARNING)
    assert not logging.getLogger("apscheduler.scheduler").isEnabledFor(logging.WARNING)


# --- Erasing.


@pytest.mark.parametrize("times", [1, 2])
def test_who_was_taken_off_is_erased_once_and_traces_and_proofs_end(
    desk: Desk, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news, state=CampaignState.CANCELLED)
        for _ in range(5):
            take_off(database, make_asked(database, news, campaign), campaign.id)
        sweep = jobs_of(desk, database).erase
        at_once(*[sweep] * times)
        assert Contact.select().where(Contact.address.is_null()).count() == 0
        desk.clock.advance(timedelta(days=6 * 366))
        with caplog.at_level(logging.INFO, "repermit.jobs"):
            at_once(*[sweep] * times)
        assert Contact.select().where(Contact.address.is_null()).count() == 5
        assert Evidence.select().where(Evidence.event == "erased").count() == 10
        assert list(iter_chain_faults()) == []
    assert "5 who were taken off are erased" in caplog.text
    assert "ended: 0 traces, 5 proofs" in caplog.text


def test_nobody_is_erased_while_another_worker_or_a_forgetting_is_at_it(desk: Desk) -> None:
    with desk.news() as (database, news):
        campaign = make_campaign(database, news, state=CampaignState.CANCELLED)
        take_off(database, make_asked(database, news, campaign), campaign.id)
        desk.clock.advance(timedelta(days=6 * 366))
        erased = Contact.select().where(Contact.address.is_null())
        with by_hand(database, JobKind.ERASE):
            at_once(jobs_of(desk, database).erase)
        with background_lock(database, JobKind.ERASE):
            at_once(jobs_of(desk, database).erase)
        assert erased.count() == 0
        at_once(jobs_of(desk, database).erase)
        assert erased.count() == 1


def test_what_nobody_confirms_is_forgotten_also_if_nobody_else_signs_up(desk: Desk) -> None:
    with desk.news() as (database, news):
        with database.atomic():
            SignUp.create(list=news, uid="u" * 32, address="a@b.nl", address_key="a@b.nl", at=NOW)
        sweep = jobs_of(desk, database).delete_expired
        desk.clock.move_to(NOW + timedelta(days=30))
        sweep()
        assert SignUp.select().exists()
        desk.clock.advance(timedelta(seconds=1))
        sweep()
        assert not SignUp.select().exists()
