"""Taking a file in by steps: all of it in the end, whatever stops it, and nothing told before."""

from __future__ import annotations

import csv
import io
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repermit.answers import record_answer
from repermit.answers.join import request_sign_up
from repermit.campaigns.launch_refusals import plan_launch
from repermit.campaigns.progress import read_status
from repermit.contacts import status_changes
from repermit.db import staged_rows
from repermit.db.background_tasks import (
    BackgroundTask,
    TaskKind,
    find_task_of_list,
    foreground_lock,
    invalidate_upload_counts,
    list_targets,
    run_task,
    start_task,
)
from repermit.db.connection import (
    Database,
    FairSqliteDatabase,
    has_lock_waiters,
    lock_rows,
    open_database,
    run_sql,
)
from repermit.db.models.base import Meta, new_id
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import, ImportChange, Upload
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.row_counts import find_drift
from repermit.db.staged_rows import has_staged, make_staged_path
from repermit.db.work_steps import StepSize, run_steps
from repermit.errors import LaunchRefused, Refused
from repermit.exports import export as exports_export
from repermit.exports import reconcile
from repermit.imports import import_task, undo
from repermit.imports.undo import FileProgress, find_unfinished_import
from repermit.privacy import forget, not_the_person
from repermit.reports import make_report
from repermit.reports.make_report import ReportKind
from repermit.rules.consent import Answer, Basis, Fate, Reason, Status
from repermit.suppression import fingerprint_files
from repermit.temporary_files import make_temporary_files
from tests.support.admin_pages import make_admin
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_contact,
    make_list,
    make_settings,
    put_in,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import (
    OPTED_IN,
    contact_at,
    fates_of,
    mailchimp,
    on_list,
    parts_of,
    plain,
    take_back,
    take_in,
)
from tests.support.one_time_links import opened_for
from tests.support.smtp_sink import wait_until
from tests.unit.campaigns.test_launch import start
from tests.unit.privacy.test_rectification import move

SETTINGS = make_settings()
LATER = NOW + timedelta(hours=1)
WAIT = "a file is being taken into this list; wait until that is done"
OUT = {"UNSUB_TIME": "2020-01-01 00:00:00"}
FATES = {Fate.ASK: 2, Fate.CONFIRMED: 2, Fate.OPTED_OUT: 2, Fate.DUPLICATE: 2, Fate.INVALID: 1}


class _Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def kill() -> None:
    raise _Killed


@pytest.fixture
def news(database: Database) -> MailingList:
    """Return a list with three people of before."""
    news = make_list(database)
    for name in ("old", "mine", "proven"):
        make_contact(database, news, f"{name}@example.org", status_at=NOW - timedelta(days=9))
    return news


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with something of everything."""
    rows = (
        {"email": "ask@example.org"},
        {"email": "ask2@example.org"},
        {"email": "new@example.org", **OPTED_IN},
        {"email": "new2@example.org", **OPTED_IN},
        {"email": "proven@example.org", **OPTED_IN},
        {"email": "old@example.org", **OUT},
        {"email": "out@example.org", **OUT},
        {"email": "ask@example.org"},
        {"email": "no address"},
    )
    return mailchimp(tmp_path, *rows, more=("UNSUB_TIME",))


def begin(database: Database, news: MailingList, file: Path, **options: Any) -> None:
    """Stage a file, and be killed before anything is merged."""
    with pytest.raises(_Killed):
        take_in(database, news, file, on_staged=kill, **options)


@pytest.mark.parametrize("act", ["import", "sign up"])
def test_the_uploads_of_a_list_are_locked_before_the_list(
    database: Database, file: Path, act: str
) -> None:
    news, admin = make_list(database), make_admin(database)
    upload = {"list": news.id, "user": admin.id, "token": new_id(), "name": "x.csv", "at": NOW}
    put_in(database, Upload, [upload | {"rows": 5, "people": 5}])
    person = {"address": "b@example.org", "name": "", "language": "nl"}
    acts: dict[str, Callable[[], Any]] = {
        "import": partial(take_in, database, news, file),
        "sign up": partial(request_sign_up, database, news, **person, now=NOW),
    }

    def run() -> None:
        with database.connection_context():
            acts[act]()

    with ThreadPoolExecutor(1) as other:
        with database.atomic():
            invalidate_upload_counts(news.id)
            result = other.submit(run)
            time.sleep(0.5)
            lock_rows(MailingList.select().where(MailingList.id == news.id)).get()
        result.result()  # PostgreSQL would refuse one of them for a deadlock.


def go_on(database: Database, steps: int | None = None) -> int:
    """Take so many steps of what is being taken in, of one address each, as the sweep does."""
    left = iter(range(steps if steps is not None else 100))

    def should_stop() -> bool:
        return next(left, None) is None

    return import_task.finish_imports(
        database, settings=SETTINGS, now=LATER, should_stop=should_stop, step=1
    )


def say_no(database: Database, news: MailingList, address: str) -> None:
    """Record a No that somebody gave by phone."""
    record_answer.record_reported_answer(
        database,
        news,
        address,
        Answer.NO,
        note="by phone",
        settings=SETTINGS,
        now=LATER,
        actor="admin@example.org",
    )


def counts_of(news: MailingList) -> dict[Status, int]:
    found = read_status(news, settings=SETTINGS, now=NOW).contacts
    return {one: count for one, count in found.items() if count}


def export(database: Database, news: MailingList, **options: Any) -> bytes:
    out = io.BytesIO()
    exports_export.write_export(
        news,
        "keep",
        database=database,
        settings=SETTINGS,
        now=NOW,
        actor="admin@example.org",
        out=out,
        **options,
    )
    return out.getvalue()


def kept_files(database: Database) -> list[str]:
    """Return what is kept of rows: files on SQLite, tables on PostgreSQL."""
    if isinstance(database, FairSqliteDatabase):
        return [path.name for path in make_staged_path(database, "").parent.iterdir()]
    return [name for name in database.get_tables() if name.startswith("staged")]


def test_nothing_of_a_file_is_launched_exported_or_counted_before_its_last_step(
    database: Database, news: MailingList, file: Path, tmp_path: Path
) -> None:
    other = plain(tmp_path, ("other@example.org", ""))
    refused: list[Callable[[], object]] = [
        lambda: take_in(database, news, other),
        lambda: take_in(database, news, other, dry_run=True),
        lambda: export(database, news),
        lambda: reconcile.reconcile(news, other, settings=SETTINGS),
        lambda: fingerprint_files.write_suppressions(
            database, news, out=io.BytesIO(), form="csv", settings=SETTINGS, now=NOW, actor="cli:0"
        ),
        lambda: make_report.make_report(news, ReportKind.REGISTER, settings=SETTINGS, now=NOW),
        lambda: make_report.make_report(news, ReportKind.REPORT, settings=SETTINGS, now=NOW),
    ]
    begin(database, news, file)
    for done in range(8):
        assert find_unfinished_import(news) == FileProgress(
            file="export.csv", done=min(done, 7), total=7
        )
        for act in refused:
            with pytest.raises(Refused, match=WAIT):
                act()
        with pytest.raises(LaunchRefused, match=WAIT):
            start(database, news)
        assert WAIT in plan_launch(news, settings=SETTINGS, now=NOW, deadline=DEADLINE).refusals
        assert sum(counts_of(news).values()) == 3
        assert undo.past_imports(news) == ()
        assert list(iter_chain_faults()) == []
        # Wherever it is cut off, another process goes on.
        go_on(database, 1)
    assert (find_unfinished_import(news), go_on(database)) == (None, 0)
    (whole,) = undo.past_imports(news)
    assert {fate: count for fate, count in whole.fates.items() if count} == FATES
    assert counts_of(news) == {Status.UNCONFIRMED: 3, Status.CONFIRMED: 3, Status.REMOVED: 1}
    assert Suppression.select().count() == 2
    (entry,) = parts_of("imported")
    assert (entry["consent"]["rows"], entry["consent"]["addresses"]) == (9, 7)
    assert list(iter_chain_faults()) == []
    assert find_drift(database) == 0
    assert kept_files(database) == []
    assert export(database, news)


def test_a_file_comes_to_the_same_in_steps_as_at_once(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    go_on(database)
    in_steps = on_list(news), json.loads(Import.get().counts)
    undone = take_back(database, news, now=LATER)
    assert (undone.contacts_taken_back, undone.restored) == (4, 2)
    assert undone.suppressions_taken_back == 2
    assert fates_of(take_in(database, news, file, now=LATER)) == FATES
    assert (
        on_list(news),
        json.loads(Import.select().order_by(-Import.id).get().counts),
    ) == in_steps


def test_whoever_takes_the_same_file_in_again_goes_on_with_it(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    go_on(database, 3)
    result = take_in(database, news, file)
    assert fates_of(result) == FATES
    assert (result.rows, result.thin, result.improved, result.additional) == (9, 2, 1, 0)
    assert [problem.line for problem in result.problems] == [0]
    assert Import.select().count() == 1
    assert list(iter_chain_faults()) == []


def test_what_happens_to_people_between_two_steps_counts(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    # Somebody signs up, one asks to be left alone, one to be forgotten, and one says No.
    make_contact(database, news, "ask@example.org", status_at=LATER)
    act = status_changes.Act(at=LATER, actor="person")
    shared: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "admin@example.org"}
    for name, suppress in (("ask2", True), ("new", False)):
        forget.erase_address(
            database, f"{name}@example.org", mailing_list=news, suppress=suppress, **shared
        )
    with database.atomic():
        status_changes.remove_contacts(
            [contact_at(news, "proven@example.org")],
            reason=Reason.NO,
            act=act,
            fingerprint_key=SETTINGS.fingerprint_key,
        )
    go_on(database)
    there = on_list(news)
    assert set(there) == {
        f"{name}@example.org" for name in ("ask", "new2", "old", "mine", "proven")
    }
    assert there["proven@example.org"] == (Status.REMOVED, "no", "")
    counts = json.loads(Import.get().counts)
    assert sum(counts["fates"].values()) == counts["rows"] == 9
    assert counts["fates"][Fate.SUPPRESSED] == 3
    assert list(iter_chain_faults()) == []


def sign_up(database: Database, news: MailingList, address: str) -> None:
    make_contact(database, news, address, status_at=LATER)


def move_there(database: Database, news: MailingList, address: str) -> None:
    (contact,) = Contact.select().where(Contact.list == news)
    assert move(database, contact, address) == "moved"


@pytest.mark.parametrize(("come", "on_it"), [(sign_up, 4), (move_there, 3)])
def test_who_comes_between_two_steps_of_a_lists_first_file_is_not_taken_in_again(
    database: Database, tmp_path: Path, come: Any, on_it: int
) -> None:
    news = make_list(database)
    addresses = {f"{name}@example.org" for name in "abcd"}
    begin(database, news, plain(tmp_path, *((address, "") for address in addresses)))
    go_on(database, 1)
    come(database, news, min(addresses - set(on_list(news))))
    go_on(database)
    assert len(on_list(news)) == on_it
    fates = json.loads(Import.get().counts)["fates"]
    assert (fates[Fate.ASK], fates[Fate.DUPLICATE]) == (3, 1)
    assert find_drift(database) == 0
    assert list(iter_chain_faults()) == []


def test_who_is_forgotten_stands_in_what_is_kept_of_the_file_no_more(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    make_contact(database, news, "ask2@example.org")
    opened = opened_for(database, make_contact(database, news, "ask@example.org"), now=LATER)
    shared: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "admin@example.org"}
    forget.erase_address(database, "new@example.org", mailing_list=None, **shared)
    forget.erase_contact_by_id(database, news, contact_at(news, "ask2@example.org").id, **shared)
    assert not_the_person.erase_own_data(
        database, authority=opened.authority, settings=SETTINGS, now=LATER
    )
    if isinstance(database, FairSqliteDatabase):
        (path,) = make_staged_path(database, "").parent.glob("*.db")
        kept = path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
    else:
        (table,) = kept_files(database)
        rows = run_sql(database, f"SELECT * FROM {table}")  # noqa: S608  our own
        kept = str(rows.fetchall()).encode()
    assert b"new2@example.org" in kept
    assert b"new@example.org" not in kept
    assert b"ask2@example.org" not in kept
    assert b"ask@example.org" not in kept


@pytest.mark.parametrize("is_found", [True, False])
def test_who_is_forgotten_while_a_file_ends_is_forgotten_and_nothing_is_left_of_the_file(
    database: Database,
    news: MailingList,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_found: bool,
) -> None:
    """The import ends once its rows are found, or as soon as the address is found in them."""
    begin(database, news, file)

    def end() -> None:
        monkeypatch.undo()
        go_on(database)
        assert find_unfinished_import(news) is None

    def end_once_found(*values: Any) -> bool:
        found = has_staged(*values)
        end()
        return found

    def end_before_lock() -> Any:
        end()
        return database.atomic()

    if is_found:
        monkeypatch.setattr(staged_rows, "has_staged", end_once_found)
    else:
        monkeypatch.setattr(database, "atomic", end_before_lock)
    shared: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "admin@example.org"}
    forget.erase_address(database, "ask2@example.org", mailing_list=news, **shared)
    assert kept_files(database) == []
    assert "ask2@example.org" not in on_list(news)
    assert "ask@example.org" in on_list(news)


def test_an_answer_given_meanwhile_stands_and_its_giver_stays_when_the_file_goes(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    go_on(database, 7)
    say_no(database, news, "ask@example.org")
    undone = take_back(database, news, now=LATER)
    assert (undone.is_whole, undone.contacts_taken_back, undone.restored) == (True, 3, 2)
    assert on_list(news)["ask@example.org"] == (Status.REMOVED, "no", "")
    assert counts_of(news) == {Status.UNCONFIRMED: 3, Status.REMOVED: 1}
    assert Suppression.select().count() == 1
    assert list(iter_chain_faults()) == []


@pytest.mark.parametrize("steps", [0, 3, 7])
def test_a_file_is_taken_back_while_it_is_taken_in(
    database: Database, news: MailingList, file: Path, steps: int
) -> None:
    before = on_list(news)
    begin(database, news, file)
    go_on(database, steps)
    assert take_back(database, news, now=LATER).is_whole
    assert (on_list(news), Suppression.select().count()) == (before, 0)
    assert (find_task_of_list(TaskKind.IMPORT, news), find_unfinished_import(news)) == (None, None)
    (entry,) = parts_of("imported")
    assert entry["consent"]["whole"] is False
    assert entry["consent"]["addresses"] == steps
    assert list(iter_chain_faults()) == []
    assert find_drift(database) == 0
    go_on(database)
    assert kept_files(database) == []
    # And the same file may come again.
    assert fates_of(take_in(database, news, file, now=LATER)) == FATES


def test_who_takes_a_file_in_is_told_that_it_was_taken_back_meanwhile(
    database: Database, news: MailingList, file: Path
) -> None:
    with pytest.raises(Refused, match="taken back while it was taken in"):
        take_in(database, news, file, on_staged=lambda: take_back(database, news, now=LATER))
    assert len(on_list(news)) == 3


def test_a_file_is_not_taken_back_during_a_campaign_also_while_it_is_taken_in(
    database: Database, news: MailingList, file: Path
) -> None:
    start(database, news)
    begin(database, news, file)
    go_on(database, 3)
    with pytest.raises(Refused, match="while a campaign is live"):
        take_back(database, news, now=LATER)
    assert find_unfinished_import(news) is not None


def test_nobody_of_a_file_that_is_half_taken_in_is_asked_by_a_campaign_of_before(
    database: Database, news: MailingList, file: Path
) -> None:
    asked = start(database, news).plan.asked
    begin(database, news, file)
    go_on(database, 4)
    mailed = Contact.select().where(Contact.imported_by == Import.get())
    assert mailed.exists()
    assert not Mail.select().where(Mail.contact.in_(mailed)).exists()
    assert asked == 3


def test_what_was_taken_in_goes_again_where_the_rest_of_the_file_is_lost(
    database: Database, news: MailingList, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = on_list(news)
    begin(database, news, file)
    go_on(database, 5)
    (task,) = BackgroundTask.select()
    token = task.state["token"]
    if isinstance(database, FairSqliteDatabase):
        make_staged_path(database, token).write_bytes(b"not a database any more")
    else:
        run_sql(database, f"DROP TABLE staged_{token}")
    go_on(database)
    assert (on_list(news), Suppression.select().count()) == (before, 0)
    assert (find_unfinished_import(news), undo.undo_progress(news)) == (None, None)
    assert undo.past_imports(news)[0].undone_at == LATER
    assert "are lost; what was taken in of it is taken back" in caplog.text
    assert list(iter_chain_faults()) == []


def test_a_job_leaves_an_import_alone_that_somebody_works_on(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    found: list[int] = []

    def look() -> None:
        with database.connection_context():
            found.append(go_on(database))

    with foreground_lock(database, TaskKind.IMPORT):
        other = threading.Thread(target=look)
        other.start()
        other.join()
    assert found == [0]
    assert go_on(database) == 1


def test_two_who_go_on_by_turns_take_each_row_once(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)

    def work() -> None:
        with database.connection_context():
            for _ in range(20):
                take_in_again()

    def take_in_again() -> None:
        if find_task_of_list(TaskKind.IMPORT, news):
            import_task.merge_import(
                database,
                Import.get().id,
                settings=SETTINGS,
                now=LATER,
                should_stop=iter((False, True)).__next__,
                step=1,
            )

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert find_unfinished_import(news) is None
    (whole,) = undo.past_imports(news)
    assert {fate: count for fate, count in whole.fates.items() if count} == FATES
    assert Contact.select().count() == 7
    assert ImportChange.select().count() == 2
    assert list(iter_chain_faults()) == []


def test_files_that_belong_to_no_import_are_swept(sqlite_url: str, tmp_path: Path) -> None:
    with open_database(sqlite_url) as database:
        news = make_list(database)
        begin(database, news, plain(tmp_path, ("a@example.org", "")))
        assert isinstance(database, FairSqliteDatabase)
        left = make_staged_path(database, "0" * 32)
        left.write_bytes(b"")
        assert len(kept_files(database)) == 2
        go_on(database, 0)
        assert [name for name in kept_files(database) if name.endswith(".db")] != [left.name]
        assert not left.exists()
        assert find_unfinished_import(news)
        make_temporary_files(SETTINGS).sweep()
        assert go_on(database) == 1
        assert kept_files(database) == []


def test_a_step_is_not_made_so_small_that_all_else_in_it_takes_longer() -> None:
    size = StepSize(first_rows=1_000, min_rows=300)
    size.adapt(10.0)
    assert size.rows == 300
    assert StepSize(min_rows=300, max_rows=1).rows == 1


def test_each_kind_of_step_of_a_work_begins_small(database: Database) -> None:
    """A row of the next kind may take ten times as long."""
    limits: dict[str, list[int]] = {"cheap": [], "dear": []}

    def take(kind: str, _: BackgroundTask, limit: int) -> bool:
        limits[kind].append(limit)
        return len(limits[kind]) < 5

    with database.atomic():
        start_task(
            TaskKind.UNDO_IMPORT,
            1,
            mailing_list=make_list(database),
            actor="job",
            at=NOW,
            state={},
        )
    steps = [partial(take, kind) for kind in limits]
    assert run_task(database, TaskKind.UNDO_IMPORT, 1, *steps)
    assert limits["dear"][0] == limits["cheap"][0] < limits["cheap"][-1]
    assert not list_targets(TaskKind.UNDO_IMPORT)


def test_writing_the_log_back_after_a_step_makes_the_next_one_no_smaller(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for that."""
    monkeypatch.setattr("repermit.db.connection.checkpoint_wal", lambda _: time.sleep(1))
    with open_database(sqlite_url) as database:
        size = StepSize(first_rows=1_000)
        with size.step(database):
            Meta.create(key="own", value="")
        # By a tenth, as after a step of a second.
        assert size.rows > 100


def test_a_work_rests_after_a_step_only_where_others_write(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr("repermit.db.work_steps.time.sleep", rests.append)
    path = sqlite_url.removeprefix("sqlite:///")
    with open_database(sqlite_url) as database, closing(sqlite3.connect(path)) as other:
        size = StepSize()
        for number, others_write in enumerate((False, False, True, False, True)):
            before = len(rests)
            if others_write:
                with other:
                    other.execute("INSERT INTO meta VALUES (?, '')", [f"others {number}"])
            with size.step(database):
                Meta.create(key=f"own {number}", value="")
            assert len(rests) - before == others_write


def test_a_work_rests_after_a_step_while_others_use_postgresql(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr("repermit.db.work_steps.time.sleep", rests.append)
    with open_database(postgresql_url) as database, psycopg.connect(postgresql_url) as other:
        size = StepSize()
        for number, others_ask in enumerate((False, True, False, True)):
            before = len(rests)
            with size.step(database):
                Meta.create(key=f"own {number}", value="")
                if others_ask:
                    # By when the step is looked back on from is known to the millisecond.
                    threading.Event().wait(0.3)
                    other.execute("SELECT count(*) FROM meta")
                    other.rollback()
            assert len(rests) - before == others_ask


def test_a_work_begins_no_step_on_postgresql_while_somebody_waits(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But goes on after a while, however long that is."""
    change = "UPDATE meta SET value = 'changed' WHERE key = 'wanted'"
    with (
        open_database(postgresql_url) as database,
        ThreadPoolExecutor() as pool,
        psycopg.connect(postgresql_url) as waiter,
        psycopg.connect(postgresql_url) as holder,
    ):
        Meta.create(key="wanted", value="")
        holder.execute(change)
        waiting = pool.submit(waiter.execute, change)
        wait_until(lambda: has_lock_waiters(database))
        size = StepSize()
        with size.step(database):
            Meta.create(key="while somebody waits", value="")
        assert has_lock_waiters(database)
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                holder.rollback()
                waiting.result()

        monkeypatch.setattr("repermit.db.work_steps._MAX_PAUSE", 60)
        monkeypatch.setattr("repermit.db.work_steps.time.sleep", pause)
        with size.step(database):
            Meta.create(key="until nobody does", value="")
        assert len(pauses) == 3


def fill(database: Database, first: int, last: int) -> None:
    """Put rows of these numbers into a table."""
    rows = "SELECT 'row ' || n, '' FROM generate_series(%s::int, %s::int) AS n"
    run_sql(database, f"INSERT INTO meta {rows}", first, last)


def planned_rows(database: Database) -> float:
    """Return how many rows PostgreSQL's planner takes that table to have."""
    query = "SELECT reltuples FROM pg_class WHERE relname = 'meta'"
    return float(run_sql(database, query).fetchone()[0])


def planned_in_second_step(database: Database, first: int, last: int) -> float:
    """Fill that table in the first of two steps; return what the planner knows in the second."""
    planned: list[float] = []

    def step(_: int) -> bool:
        if planned:
            planned.append(planned_rows(database))
            return False
        planned.append(0)
        fill(database, first, last)
        return True

    assert run_steps(database, step)
    return planned[-1]


def test_postgresqls_planner_learns_of_what_a_work_fills(postgresql_url: str) -> None:
    with open_database(postgresql_url) as database:
        for first, last in ((1, 400), (401, 4_000)):
            assert planned_in_second_step(database, first, last) >= last


def test_a_work_goes_on_though_a_table_is_dropped_before_it_has_been_counted(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the rows of a file are by another process, once the last of them is merged."""
    with open_database(postgresql_url) as database:
        run_sql(database, "CREATE TABLE staged_00 AS SELECT 1 AS id")
        execute: Any = database.execute_sql

        def drop_once_listed(sql: str, *values: Any) -> Any:
            found = execute(sql, *values)
            if "pg_relation_size" in sql:
                execute("DROP TABLE staged_00")
            return found

        monkeypatch.setattr(database, "execute_sql", drop_once_listed)
        assert planned_in_second_step(database, 1, 400) >= 400


def test_a_work_of_one_step_has_nothing_counted(postgresql_url: str) -> None:
    """Such as what is noted each second while people answer."""
    with open_database(postgresql_url) as database:

        def step(_: int) -> bool:
            fill(database, 1, 4_000)
            return False

        before = planned_rows(database)
        assert run_steps(database, step)
        with StepSize().step(database):
            fill(database, 4_001, 8_000)
        assert planned_rows(database) == before


_IMPORT = """\
import sys
from pathlib import Path
from repermit.imports.import_file import import_file
from repermit.db.connection import open_database
from repermit.db.models.lists import find_list
from tests.support.builders import NOW, make_settings

url, file = sys.argv[1:]
with open_database(url) as database:
    import_file(
        database,
        find_list("news"),
        Path(file),
        settings=make_settings(database=url),
        now=NOW,
        actor="admin@example.org",
    )
"""
_PEOPLE = 3_000


def test_killed_anywhere_a_file_is_taken_in_all_the_same_and_no_answer_is_lost(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    news = make_list(database)
    answering = [make_contact(database, news, f"asked{number}@example.org") for number in range(40)]
    rows = [
        {"email": f"p{number}@example.org", **(OPTED_IN if number % 9 == 0 else {})}
        | (OUT if number % 10 == 1 else {})
        for number in range(_PEOPLE)
    ]
    file = mailchimp(tmp_path, *rows, more=("UNSUB_TIME",))
    chance = random.Random(database_url.partition(":")[0])  # noqa: S311
    told: list[int] = []
    for _ in range(4):
        if undo.past_imports(news):
            # The last one was whole before it was killed; the next would take the file in again.
            break
        process = subprocess.Popen(
            [sys.executable, "-c", _IMPORT, database_url, str(file)], stderr=subprocess.DEVNULL
        )
        upto = chance.randrange(0, _PEOPLE)
        while process.poll() is None and answering:
            person = answering.pop()
            say_no(database, news, str(person.address))
            told.append(person.id)
            under_way = find_unfinished_import(news)
            if under_way and under_way.done >= upto:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert list(iter_chain_faults()) == []
        assert sum(counts_of(news).values()) in {40, 40 + _PEOPLE - _PEOPLE // 10}
    result = import_task.finish_imports(database, settings=SETTINGS, now=LATER)
    assert result <= 1
    if not undo.past_imports(news):
        take_in(database, news, file)
    (whole,) = undo.past_imports(news)
    assert sum(whole.fates.values()) == whole.rows == _PEOPLE
    assert Contact.select().count() == 40 + _PEOPLE - whole.fates[Fate.OPTED_OUT]
    assert whole.fates[Fate.OPTED_OUT] == _PEOPLE // 10
    assert Suppression.select().count() == _PEOPLE // 10 + len(told)
    said_no = Contact.select().where(Contact.reason == "no")
    assert sorted(told) == sorted(one.id for one in said_no)
    assert Upload.select().count() == 0
    assert list(iter_chain_faults()) == []
    assert find_drift(database) == 0
    import_task.finish_imports(database, settings=SETTINGS, now=LATER)
    # A file whose reading was killed goes at the next start.
    make_temporary_files(make_settings(database=database_url)).sweep()
    assert kept_files(database) == []


def test_the_planner_knows_how_many_came(postgresql_url: str, tmp_path: Path) -> None:
    """PostgreSQL would launch by a plan for the few who were there before."""
    with open_database(postgresql_url) as database:
        news = make_list(database)
        take_in(database, news, plain(tmp_path, ("a@example.org", ""), ("b@example.org", "")))
        query = "SELECT reltuples FROM pg_class WHERE relname = 'contact'"
        assert run_sql(database, query).fetchone()[0] == 2


def test_an_export_shows_nobody_of_a_file_that_begins_to_be_taken_in_meanwhile(
    database: Database, news: MailingList, file: Path
) -> None:
    confirmed = {"list": news.id, "status": Status.CONFIRMED, "basis": Basis.ANSWER}
    texts = [f"kept{number}@example.org" for number in range(1500)]
    rows = [
        {"uid": new_id(), "subject": new_id(), "address": text, "address_key": text}
        | {"status_at": NOW, **confirmed}
        for text in texts
    ]
    put_in(database, Contact, rows)

    def take_in_half() -> None:
        with database.connection_context():
            begin(database, news, file)
            go_on(database, 6)

    class Slow(io.BytesIO):
        """Whoever takes the rows so slowly that a file is half taken in meanwhile."""

        def write(self, some: Any) -> int:
            if not self.tell():
                with ThreadPoolExecutor(1) as others:
                    others.submit(take_in_half).result()
            return super().write(some)

    out = Slow()
    exports_export.write_export(
        news, "keep", database=database, settings=SETTINGS, now=LATER, actor="x", out=out
    )
    assert find_task_of_list(TaskKind.IMPORT, news)
    assert Contact.select().where(Contact.list == news).count() > len(texts) + 3
    lines = out.getvalue().decode("utf-8-sig").splitlines()
    assert {row["address"] for row in csv.DictReader(lines)} == {*texts}
