"""Importing who is not to be asked, in steps: all of a file, whatever happens in between."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.campaigns.launch import launch
from repermit.clock import format_timestamp
from repermit.contacts import counts
from repermit.db.background_tasks import BackgroundTask, TaskKind, foreground_lock
from repermit.db.connection import Database, FairSqliteDatabase, open_database, run_sql
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.staged_rows import drop_staged, make_staged_path, sweep_staged
from repermit.db.suppression_journal import Journal
from repermit.db.work_steps import FIRST_STEP_ROWS
from repermit.errors import Refused
from repermit.evidence.verify import chain
from repermit.exports import reconcile
from repermit.imports import suppression_import, undo
from repermit.imports.suppression_import import SuppressionImportResult, begin_suppression_import
from repermit.privacy import forget
from repermit.rules.consent import Answer, Reason, Status
from repermit.suppression import fingerprint_files, suppressions
from repermit.suppression.fingerprint_files import SharedSuppression
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.desk import ATTEST
from tests.support.import_helpers import mailchimp, plain, take_back, take_in
from tests.support.query_plans import plans_of
from tests.support.tampered_records import contact_at
from tests.unit.answers.test_join import confirmed, signed_up
from tests.unit.contacts.test_status_changes import erase
from tests.unit.evidence.test_verify_tables import WHO, say
from tests.unit.imports.test_import_task import kept_files
from tests.unit.privacy.test_rectification import move

SETTINGS = make_settings()
KEY = SETTINGS.fingerprint_key
ROWS = 4 * FIRST_STEP_ROWS + 50


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of several steps; anna's is in the last one."""
    path = tmp_path / "off.csv"
    rows = [f"person{number}@example.org" for number in range(ROWS - 1)]
    path.write_text("\n".join(["email", *rows, "anna@example.org"]), "utf-8")
    return path


def given(news: MailingList, **more: Any) -> dict[str, Any]:
    about = {"settings": SETTINGS, "now": NOW + timedelta(hours=2), "actor": "cli:els"}
    return {"mailing_list": news, **about, **more}


def take_all(
    database: Database, news: MailingList, path: Path, **more: Any
) -> SuppressionImportResult:
    return suppression_import.import_suppressions(database, path=path, **given(news, **more))


def begin(database: Database, news: MailingList, path: Path, **more: Any) -> BackgroundTask:
    """Stage a file, as somebody who is killed before anything of it is merged."""
    return begin_suppression_import(database, path=path, **given(news, **more))


def go_on(database: Database, steps: int | None = None, **more: Any) -> int:
    """Take so many steps of what is under way, as the sweep does."""
    left = iter(range(steps if steps is not None else 1000))
    return suppression_import.finish_suppression_imports(
        database, settings=SETTINGS, should_stop=lambda: next(left, None) is None, **more
    )


def recorded() -> list[dict[str, Any]]:
    """Return what the record says of the files that were imported."""
    query = (
        EvidencePart.select()
        .join(Evidence, on=EvidencePart.seq == Evidence.seq)
        .where(Evidence.event == "suppressions_imported")
    )
    return [json.loads(one.json) for one in query.order_by(EvidencePart.seq)]


def elsewhere(database: Database, act: Any) -> None:
    """Do something in another thread, by a connection of its own, which nothing holds up."""

    def connected() -> None:
        with database.connection_context():
            act()

    with ThreadPoolExecutor(1) as others:
        others.submit(connected).result()


def test_an_answer_is_recorded_between_two_batches_and_holds(
    database: Database, news: MailingList, file: Path
) -> None:
    make_contact(database, news, "person1@example.org")
    make_contact(database, news, "anna@example.org")
    launch(database, news, deadline=DEADLINE, now=NOW, attest=ATTEST, **WHO)
    begin(database, news, file, now=NOW + timedelta(hours=1))
    go_on(database, 1, step=1)
    assert Suppression.select().count() == 1
    assert contact_at("person1").status == Status.REMOVED
    elsewhere(database, lambda: say(database, "anna", Answer.YES))
    go_on(database)
    (result,) = recorded()
    assert (result["rows"], result["added"]) == (ROWS, ROWS - 1)
    assert (result["kept"], result["known"], result["removed"]) == (1, 0, 1)
    assert (contact_at("anna").status, contact_at("person1").status) == (
        Status.CONFIRMED,
        Status.REMOVED,
    )
    assert Suppression.select().count() == ROWS - 1
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    told = json.loads(EvidencePart.get(EvidencePart.seq == last.seq).json)
    assert (last.event, told["added"], told["name"]) == ("suppressions_imported", 449, "off.csv")
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_killed_it_is_taken_up_and_comes_to_the_same_as_at_once(
    database: Database, news: MailingList, file: Path
) -> None:
    at_once = take_all(database, make_list(database, slug="club"), file)
    task = begin(database, news, file)
    for steps in range(1, 4):
        assert go_on(database, 1) == 0
        assert (
            Suppression.select().where(Suppression.list == news).count() == steps * FIRST_STEP_ROWS
        )
    assert len(recorded()) == 1
    # With nobody at it any more, another process goes on, and then there is nothing left.
    assert (go_on(database), go_on(database)) == (1, 0)
    told = recorded()[1]
    assert {name: told[name] for name in asdict(at_once)} == asdict(at_once)
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (entry.list, entry.at, entry.actor) == ("news", task.at, "cli:els")
    assert kept_files(database) == []
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_given_again_it_goes_on_with_what_is_under_way(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    go_on(database, 1)
    looked = take_all(database, news, file, dry_run=True)
    assert (looked.added, looked.known) == (ROWS - FIRST_STEP_ROWS, FIRST_STEP_ROWS)
    assert recorded() == []
    # Who had begun it is who decided, and its counts are those of the whole file.
    result = take_all(database, news, file, actor="cli:jan", now=NOW + timedelta(hours=3))
    assert (result.added, result.known) == (ROWS, 0)
    assert [one.event for one in Evidence.select()] == ["suppressions_imported"]
    assert Evidence.get().actor == "cli:els"
    assert not BackgroundTask.select().exists()
    # From here on it is another file.
    again = take_all(database, news, file)
    assert (again.added, again.known) == (0, ROWS)
    assert len(recorded()) == 2


def test_another_file_is_imported_beside_it(
    database: Database, news: MailingList, file: Path, tmp_path: Path
) -> None:
    begin(database, news, file)
    other = tmp_path / "other.csv"
    other.write_text("email\nother@example.org\n", "utf-8")
    assert take_all(database, news, other).added == 1
    # So is the same file for another list, or read in another way.
    assert take_all(database, make_list(database, slug="club"), file).added == ROWS
    assert take_all(database, news, file, mapping={"address": "A"}).added == ROWS
    assert BackgroundTask.select().count() == 1
    go_on(database)
    assert [(one["name"], one["added"], one["known"]) for one in recorded()] == [
        ("other.csv", 1, 0),
        ("off.csv", ROWS, 0),
        ("off.csv", ROWS, 0),
        ("off.csv", 0, ROWS),
    ]


def test_who_begins_at_the_same_moment_with_the_same_file_joins_in(
    database: Database, news: MailingList, file: Path
) -> None:
    first = begin(database, news, file)
    assert begin(database, news, file).id == first.id
    assert len(kept_files(database)) == 1
    go_on(database)
    assert len(recorded()) == 1


def test_two_who_take_turns_take_each_row_once(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    start = threading.Barrier(2)
    results: list[SuppressionImportResult] = []

    def work() -> None:
        with database.connection_context():
            start.wait()
            results.append(take_all(database, news, file))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(one.added, one.known) for one in results} <= {(ROWS, 0), (0, ROWS)}
    assert (results[0].rows, len(recorded())) == (ROWS, len({one.added for one in results}))
    assert Suppression.select().count() == ROWS
    assert kept_files(database) == []


def test_a_sweep_leaves_it_alone_while_somebody_works_on_it(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    found: list[int] = []
    with foreground_lock(database, TaskKind.IMPORT_SUPPRESSIONS):
        elsewhere(database, lambda: found.append(go_on(database)))
    assert found == [0]
    assert go_on(database) == 1


def test_no_address_is_staged_and_nothing_stays(
    database: Database, news: MailingList, file: Path, tmp_path: Path
) -> None:
    begin(database, news, file)
    staged = staged_bytes(database)
    assert email_address.fingerprint(KEY, "anna@example.org").encode() in staged
    assert b"anna" not in staged
    assert b"example" not in staged
    go_on(database)
    assert kept_files(database) == []
    # Not of a file that is refused, either.
    path = tmp_path / "off.json"
    path.write_text(json.dumps([shared(1), shared(2, at="yesterday")]), "utf-8")
    with pytest.raises(Refused, match="suppression 2 of this file"):
        take_all(database, news, path)
    assert (kept_files(database), BackgroundTask.select().count()) == ([], 0)


def test_what_belongs_to_no_task_is_swept(sqlite_url: str, file: Path) -> None:
    with open_database(sqlite_url) as database:
        begin(database, make_list(database), file)
        assert isinstance(database, FairSqliteDatabase)
        (kept,) = kept_files(database)
        left = make_staged_path(database, "0" * 32)
        left.write_bytes(b"")
        sweep_staged(database)
        assert kept_files(database) == [kept]


def test_where_the_rest_of_a_file_is_lost_that_is_recorded_and_it_can_be_given_again(
    database: Database, news: MailingList, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lose(database, begin(database, news, file))
    go_on(database)
    lost = begin(database, news, file)
    go_on(database, 1)
    lose(database, lost)
    result = take_all(database, news, file)
    assert (result.added, result.known) == (ROWS - FIRST_STEP_ROWS, FIRST_STEP_ROWS)
    told = [(one["rows"], one["added"], one.get("whole", True)) for one in recorded()]
    assert told == [
        (0, 0, False),
        (FIRST_STEP_ROWS, FIRST_STEP_ROWS, False),
        (ROWS, ROWS - FIRST_STEP_ROWS, True),
    ]
    assert "of suppressions that was being taken into news are lost" in caplog.text
    assert not BackgroundTask.select().exists()
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_nothing_is_launched_exported_imported_or_taken_back_before_its_last_step(
    database: Database, news: MailingList, file: Path, tmp_path: Path
) -> None:
    take_in(database, news, plain(tmp_path, ("anna@example.org", "")))
    begin(database, news, file)
    more = plain(tmp_path, ("piet@example.org", ""))
    refused: list[Callable[[], object]] = [
        lambda: launch(database, news, deadline=DEADLINE, now=NOW, attest=ATTEST, **WHO),
        lambda: reconcile.reconcile(news, more, settings=SETTINGS),
        lambda: take_in(database, news, more),
        lambda: take_back(database, news, now=NOW),
    ]
    for act in refused:
        with pytest.raises(Refused, match="a file is being taken into this list; wait until"):
            act()
    go_on(database)
    assert (contact_at("anna").status, contact_at("anna").reason) == (
        Status.REMOVED,
        Reason.REQUEST,
    )
    take_in(database, news, more)
    assert launch(database, news, deadline=DEADLINE, now=NOW, attest=ATTEST, **WHO).plan.asked == 1


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_whom_it_has_named_stay_off_when_an_import_of_before_is_taken_back(
    database: Database, news: MailingList, tmp_path: Path, steps: int
) -> None:
    out = {"UNSUB_TIME": "2020-01-01 00:00:00"}
    left = [{"email": f"person{n}@example.org", **out} for n in (1, 440, 9000)]
    take_in(database, news, mailchimp(tmp_path, *left, more=("UNSUB_TIME",)))
    assert not take_back(database, news, now=NOW, max_rows=0).is_whole
    path = tmp_path / "off.csv"
    path.write_text("\n".join(["email", *(f"person{n}@example.org" for n in range(ROWS))]), "utf-8")
    begin(database, news, path)
    go_on(database, steps)
    undo.finish_undos(database)
    go_on(database)
    assert Suppression.select().count() == ROWS
    stranger = email_address.fingerprint(KEY, "person9000@example.org")
    assert not Suppression.select().where(Suppression.fingerprint == stranger).exists()
    (told,) = recorded()
    assert told["added"] + told["known"] == ROWS
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_who_is_forgotten_meanwhile_stays_erased_and_is_not_asked(
    database: Database, news: MailingList, file: Path
) -> None:
    anna = make_contact(database, news, "anna@example.org")
    begin(database, news, file)
    forget.erase_address(
        database,
        "anna@example.org",
        mailing_list=news,
        settings=SETTINGS,
        now=NOW + timedelta(hours=2),
        actor="cli:els",
    )
    go_on(database)
    assert Contact.get_by_id(anna.id).address is None
    (told,) = recorded()
    assert (told["added"], told["known"], told["removed"]) == (ROWS - 1, 1, 0)
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def staged_bytes(database: Database) -> bytes:
    """Return all that is staged of the one file that is under way."""
    (name,) = kept_files(database)
    if isinstance(database, FairSqliteDatabase):
        path = make_staged_path(database, "").with_name(name)
        assert path.stat().st_mode & 0o077 == 0
        return path.read_bytes()
    return str(run_sql(database, f"SELECT * FROM {name}").fetchall()).encode()  # noqa: S608


def lose(database: Database, task: BackgroundTask) -> None:
    """Have the staged rows be gone, as after a restore."""
    drop_staged(database, task.state["token"])


def test_who_comes_onto_the_list_in_between_is_looked_at_too(
    database: Database, news: MailingList, file: Path
) -> None:
    begin(database, news, file)
    go_on(database, 1)
    confirmed(database, signed_up(database, news))
    make_contact(database, make_list(database, slug="club"), "person440@example.org")
    make_contact(database, news, "person441@example.org")
    go_on(database)
    (result,) = recorded()
    assert contact_at("anna").status == Status.CONFIRMED
    assert contact_at("person440").status == Status.UNCONFIRMED
    assert contact_at("person441").status == Status.REMOVED
    assert (result["kept"], result["removed"]) == (1, 1)


def test_who_was_erased_is_looked_at_once(
    database: Database, news: MailingList, file: Path
) -> None:
    make_contact(database, news, "anna@example.org")
    gone = make_contact(database, news, "gone@example.org")
    erase(database, gone)
    task = begin(database, news, file)
    assert task.state["facts"]["looked_up"] == gone.id


@pytest.mark.counted_on_both
def test_whether_anybody_is_suppressed_is_known_without_looking_at_suppressions(
    database: Database, news: MailingList
) -> None:
    club = make_list(database, slug="club")
    assert not counts.has_suppressions(news.id)
    make_removed(database, club, Reason.NO)
    assert counts.has_suppressions(club.id)
    assert not counts.has_suppressions(news.id)
    looked = plans_of(
        database, lambda: counts.has_suppressions(news.id), having='FROM "suppression" '
    )
    assert looked == []


def test_each_is_journalled_once_whether_on_the_list_or_not(
    database: Database, news: MailingList, file: Path, tmp_path: Path
) -> None:
    make_contact(database, news, "anna@example.org")
    database.journal = Journal(tmp_path / "suppressions.journal", key_check="check")
    assert take_all(database, news, file).removed == 1
    lines = map(json.loads, database.journal.path.read_text("utf-8").splitlines())
    journalled = [line["fingerprint"] for line in lines if line["do"] == "suppress"]
    assert (len(journalled), len(set(journalled))) == (ROWS, ROWS)


@pytest.mark.counted_on_both
def test_who_is_suppressed_already_is_found_by_their_fingerprints(
    database: Database, news: MailingList
) -> None:
    many = [f"{number:064x}" for number in range(500)]
    (plan,) = plans_of(
        database,
        lambda: suppressions.keep_suppressions_of_addresses(news, many),
        having='UPDATE "suppression"',
    )
    assert re.search(r"fingerprint=\?|fingerprint\)::text = ANY", plan), plan


def test_who_moves_away_in_between_stays(database: Database, news: MailingList, file: Path) -> None:
    make_contact(database, news, "person1@example.org")
    anna = make_contact(database, news, "anna@example.org")
    begin(database, news, file)
    go_on(database, 1, step=1)
    assert move(database, anna, "elsewhere@example.org") == "moved"
    go_on(database)
    (result,) = recorded()
    assert contact_at("elsewhere").status == Status.UNCONFIRMED
    # Their former address was suppressed by their moving.
    assert (result["known"], result["removed"]) == (1, 1)


def test_a_hash_finds_who_comes_onto_the_list_in_between(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    make_contact(database, news, "anna@example.org")
    path = tmp_path / "hashes.csv"
    hashes = [
        sha256(f"{name}@example.org".encode()).hexdigest() for name in ("anna", "jan", "piet")
    ]
    path.write_text("\n\n".join(["email_sha256", *hashes]), "utf-8")
    looked = take_all(database, news, path, dry_run=True)
    assert (looked.added, looked.not_placed) == (1, 2)
    begin(database, news, path)
    staged = staged_bytes(database)
    # Whose address is known is told by a fingerprint alone.
    assert [one.encode() in staged for one in hashes] == [False, True, True]
    go_on(database, 1)
    assert contact_at("anna").status == Status.REMOVED
    for name in ("jan", "kees"):
        make_contact(database, news, f"{name}@example.org")
    go_on(database, 1)
    assert contact_at("jan").status == Status.REMOVED
    go_on(database)
    (result,) = recorded()
    assert (result["rows"], result["removed"], result["not_placed"]) == (3, 2, 1)
    assert contact_at("kees").status == Status.UNCONFIRMED


def test_several_hashes_of_one_person_are_one_suppression(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    make_contact(database, news, "anna@example.org")
    path = tmp_path / "hashes.csv"
    hashes = [new(b"anna@example.org", usedforsecurity=False).hexdigest() for new in (md5, sha256)]
    path.write_text("\n".join(hashes), "utf-8")
    result = take_all(database, news, path)
    assert (result.rows, result.added, result.not_placed, result.duplicates) == (2, 1, 0, 0)


# --- Files of fingerprints, read a piece at a time.


def shared(number: int, **more: Any) -> dict[str, Any]:
    row = SharedSuppression(
        key=fingerprint_files.make_short_key_check(KEY),
        fingerprint=email_address.fingerprint(KEY, f"person{number}@example.org"),
        reason=str(Reason.NO),
        at=format_timestamp(NOW),
        subject=new_id(),
    )
    return {**asdict(row), **more}


@pytest.mark.parametrize("indent", [None, 0, 4])
def test_an_array_that_is_read_in_several_pieces_is_whole(
    database: Database, news: MailingList, tmp_path: Path, indent: int | None
) -> None:
    path = tmp_path / "off.json"
    rows = [shared(number) for number in range(700)]
    path.write_text(json.dumps(rows, indent=indent), "utf-8")
    assert path.stat().st_size > 2 * 65_536
    assert take_all(database, news, path).added == 700
    found = {(one.fingerprint, one.subject, one.reason) for one in Suppression.select()}
    assert found == {(one["fingerprint"], one["subject"], "no") for one in rows}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps([shared(1), 2]), "it is no JSON"),
        (json.dumps([shared(1)]) + "[]", "it is no JSON"),
        (json.dumps([shared(1), shared(2, subject="s" * 400_000)])[:-1], "it is no JSON"),
        (json.dumps([shared(1), shared(2, at="yesterday")]), "suppression 2 of this file"),
        (json.dumps([shared(1), shared(2, subject=None)]), "suppression 2 of this file"),
        (json.dumps([shared(1), shared(2, subject="s" * 40)]), "suppression 2 of this file"),
        (json.dumps([shared(1), shared(2, at="0001-01-01T00:00+14:00")]), "suppression 2 of this"),
        (json.dumps([shared(1), shared(2, key="k" * 16)]), "under another fingerprint_key"),
        (f"key,fingerprint,reason,at,subject\n{'k' * 200_000}", "suppression 1 of this file"),
    ],
)
def test_of_a_file_that_is_broken_further_down_nothing_is_taken_in(
    database: Database, news: MailingList, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "off.json"
    path.write_text(text, "utf-8")
    with pytest.raises(Refused, match=words):
        take_all(database, news, path)
    assert not Suppression.select().exists()
    # A task that can never end would keep every launch waiting.
    assert not BackgroundTask.select().exists()


def test_a_suppression_without_a_subject_that_is_staged_already_is_taken_in_with_a_new_one(
    database: Database, news: MailingList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "off.json"
    path.write_text(json.dumps([shared(1), shared(2, subject=None)]), "utf-8")
    with monkeypatch.context() as before:  # As such a file was staged before it was refused.
        before.setattr(fingerprint_files, "_check_row", lambda _, row: SharedSuppression(**row))
        begin(database, news, path)
    assert go_on(database) == 1
    assert all(len(one.subject) == len(new_id()) for one in Suppression.select())
    assert Suppression.select().count() == 2
    assert not BackgroundTask.select().exists()


def test_a_task_that_fails_keeps_no_other_waiting(
    database: Database, news: MailingList, file: Path
) -> None:
    failing = begin(database, news, file)
    begin(database, make_list(database, slug="other"), file)
    BackgroundTask.update(progress="{}").where(BackgroundTask.id == failing.id).execute()
    with pytest.raises(TypeError):
        go_on(database)
    assert [(one["name"], one["added"]) for one in recorded()] == [("off.csv", ROWS)]
    assert [task.id for task in BackgroundTask.select()] == [failing.id]


def test_an_address_in_the_name_of_a_file_of_suppressions_is_not_kept(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = tmp_path / "off of jan@example.org.json"
    path.write_text(json.dumps([shared(1)]), "utf-8")
    take_all(database, news, path)
    (part,) = EvidencePart.select().where(EvidencePart.json.contains(".json"))
    assert json.loads(part.json)["name"] == "off of …@example.org.json"


def test_whoever_corrected_their_address_is_suppressed_at_both(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    """As after a backup in which they still stand at the former one."""
    person = make_contact(database, news, "person1@example.org")
    path = tmp_path / "off.json"
    both = [{**shared(number), "subject": person.subject} for number in (1, 2)]
    path.write_text(json.dumps(both), "utf-8")
    assert take_all(database, news, path).added == 2
    assert Suppression.select().count() == 2


def test_who_left_keeps_the_subject_of_their_record(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    person = make_contact(database, news, "person1@example.org")
    make_removed(database, news, Reason.NO, "person2@example.org")
    path = tmp_path / "off.json"
    path.write_text(json.dumps([shared(1), shared(2), shared(1)]), "utf-8")
    result = take_all(database, news, path)
    assert (result.rows, result.added, result.known, result.duplicates) == (3, 1, 1, 1)
    assert Suppression.get(Suppression.reason == "request").subject == person.subject
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None
