"""A database put back: who has left stays away, and nobody is mailed twice (issue 5, shown 5)."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from repermit.campaigns import enqueue_reminders
from repermit.contacts import erasure, lookup
from repermit.contacts.status_changes import Act
from repermit.db.models.accounts import Session
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import EvidencePart
from repermit.db.models.mails import Mail
from repermit.db.secure_delete import wipe_deleted_rows
from repermit.db.write_lock import lock_database_exclusively
from repermit.suppression import suppressions
from tests.support.builders import NOW
from tests.support.chain_faults import iter_chain_faults
from tests.support.command_tree import REPERMIT
from tests.support.desk import ACCEPTED, ATTEST, Desk, links_of
from tests.support.inbox import Inbox, Received
from tests.support.postgresql_cluster import Cluster
from tests.support.public_pages import answer_by
from tests.support.serve_process import Serving
from tests.support.smtp_sink import wait_until
from tests.unit.db.test_suppression_journal import lines_of

FIRST = ("said-no", "said-yes", "withdrawn", "erased", "moved", "waits", "silent")
LATER = ("late-no", "late-silent")
AGENDA = ("kept-quiet", "spoke")
ANSWERED = NOW + timedelta(hours=5)
JUST_BEFORE_LOSS = NOW + timedelta(days=24)


def address(name: str) -> str:
    return f"{name}@example.org"


DESCRIBED = (
    *("--language", "nl", "--purpose", "Nieuws over onze praktijk, vier keer per jaar"),
    *("--privacy-url", "https://www.example.org/privacy"),
    *("--sender", "Praktijk De Linde <nieuws@example.org>"),
    # Receipts would only be more mails to count here.
    "--no-receipts",
)


def add_list(desk: Desk, slug: str, names: tuple[str, ...]) -> None:
    desk.do("list", "add", slug, "--name", slug.title(), *DESCRIBED)
    rows = [f"{address(name)},{name.title()}" for name in names]
    desk.do("import", slug, desk.file("email,name", *rows, name=f"{slug}.csv"))


def answer(desk: Desk, inbox: Inbox, name: str, kind: str) -> None:
    (mail,) = inbox.to(address(name))
    with desk.pages() as client:
        assert answer_by(client, links_of(mail)[kind]).status_code == 200


def asks_to(inbox: Inbox, name: str) -> list[Received]:
    return [mail for mail in inbox.to(address(name)) if mail.message["List-Unsubscribe"]]


def contact(name: str) -> Contact:
    found: Contact = Contact.get(Contact.address_key == address(name))
    return found


def before_the_backup(desk: Desk, inbox: Inbox) -> None:
    """Ask on two lists, of one only half; one says Yes."""
    add_list(desk, "agenda", AGENDA)
    desk.do("launch", "agenda", "--deadline", "2026-03-20", "--attest", ATTEST, "--wait", *ACCEPTED)
    add_list(desk, "news", (*FIRST, *LATER))
    busy = {address(name): "450 4.2.0 greylisted, try again later" for name in LATER}
    inbox.reply_to_rcpt = busy.get
    launch = ("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, *ACCEPTED)
    desk.do(*launch, "--reminder", "7", "--wait")
    assert len(inbox.mails) == len((*AGENDA, *FIRST))
    answer(desk, inbox, "withdrawn", "yes")


def after_the_backup(desk: Desk, inbox: Inbox) -> None:
    """Let the others be asked too, people answer, leave, be erased and moved, and one list end."""
    inbox.reply_to_rcpt = lambda _address: None
    desk.clock.advance(timedelta(hours=5))
    desk.do("send", "news")
    assert len(inbox.mails) == len((*AGENDA, *FIRST, *LATER))
    with desk.news() as (database, news), database.atomic():
        # As when somebody corrects their address: the old one is known to the backup alone.
        found = contact("moved")
        found.address = found.address_key = address("new-address")
        found.save()
        assert news.slug == "news"
    for name, kind in (
        ("said-no", "no"),
        ("said-yes", "yes"),
        ("withdrawn", "no"),
        ("late-no", "no"),
        ("moved", "no"),
    ):
        answer(desk, inbox, name, kind)
    with desk.news() as (database, _), database.atomic():
        act = Act(at=desk.clock.now(), actor="person")
        key = desk.settings.fingerprint_key
        erasure.erase_contact(
            lookup.lock_contact(contact("erased").id), act=act, fingerprint_key=key
        )
    opted_out = desk.file("email,status", f"{address('elsewhere')},unsubscribed", name="out.csv")
    desk.do("import", "news", opted_out)
    answer(desk, inbox, "spoke", "no")
    # Both at once would look like a program.
    desk.clock.advance(timedelta(hours=1))
    answer(desk, inbox, "spoke", "yes")
    desk.clock.move_to(NOW + timedelta(days=24))
    desk.do("expire", "agenda", "--despite-downtime")
    with desk.database() as database:
        assert contact("kept-quiet").reason == "no_response"
        owed = enqueue_reminders.enqueue_reminders(
            database, settings=desk.settings, now=desk.clock.now()
        )
        assert owed == 3
    desk.do("send")
    assert len(asks_to(inbox, "silent")) == 2


@pytest.fixture(scope="module")
def everything(
    tmp_path_factory: pytest.TempPathFactory, ready_sqlite: Path
) -> Iterator[tuple[Path, Inbox]]:
    """Yield the folder of a desk whose database is lost, and what its mail server got."""
    folder = tmp_path_factory.mktemp("desk")
    with Inbox() as inbox:
        url = f"sqlite:///{shutil.copy(ready_sqlite, folder)}"
        desk = Desk(folder, database_url=url, inbox=inbox)
        before_the_backup(desk, inbox)
        desk.do("backup", str(folder / "backup.db"))
        after_the_backup(desk, inbox)
        yield folder, inbox


@pytest.fixture
def inbox_of_story(everything: tuple[Path, Inbox]) -> Inbox:
    """Return the mail server of the story, which goes on."""
    return everything[1]


@pytest.fixture
def story(everything: tuple[Path, Inbox], tmp_path: Path) -> Desk:
    """Return the desk on the day of the failure, with a backup of three weeks before."""
    folder, inbox = everything
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    desk = Desk(tmp_path, database_url=f"sqlite:///{tmp_path / 'repermit.db'}", inbox=inbox)
    desk.clock.move_to(NOW + timedelta(days=24))
    return desk


def was_begun(folder: Path) -> bool:
    return (folder / "repermit.db.restoring").exists()


def restore(desk: Desk, *more: str) -> str:
    return desk.do("restore", str(desk.folder / "backup.db"), "--replace", *more)


def test_who_had_only_signed_up_and_was_forgotten_stays_forgotten(desk: Desk) -> None:
    add_list(desk, "news", ())
    add_list(desk, "agenda", ())
    with desk.pages() as client:
        for slug, name in (
            ("news", "gone"),
            ("news", "gone"),
            ("news", "stays"),
            ("agenda", "stays"),
        ):
            form = {"address": address(name), "name": f"Mevrouw {name.title()}"}
            assert client.post(f"/join/{slug}", data=form).status_code == 200
    desk.do("backup", str(desk.folder / "backup.db"))
    assert "deleted: 2 sign-ups" in desk.do("forget", "news", address("gone"))
    journal = desk.settings.journal
    assert journal
    assert [set(line) for line in lines_of(journal)[-2:]] == [{"do", "sign_up"}] * 2
    said = restore(desk)
    assert "Erased again: 1." in said
    with desk.database() as database:
        kept = {(one.list.slug, one.address) for one in SignUp.select()}
        assert kept == {("news", address("stays")), ("agenda", address("stays"))}
        assert Mail.select().count() == 2
        assert list(iter_chain_faults()) == []
        wipe_deleted_rows(database)
    here = (desk.folder / "repermit.db").read_bytes()
    assert b"stays@example.org" in here
    assert b"gone@example.org" not in here
    assert b"Mevrouw Gone" not in here


def require_nobody_came_back(desk: Desk, inbox: Inbox) -> None:
    """Do all that may be done with a restored database; compare with what the server got."""
    sent = len(inbox.mails)
    with desk.database():
        assert list(iter_chain_faults()) == []
        for name, reason in (
            ("said-no", "no"),
            ("late-no", "no"),
            ("withdrawn", "withdrawn"),
            ("moved", "no"),
            ("kept-quiet", "no_response"),
        ):
            assert (contact(name).status, contact(name).reason) == ("removed", reason), name
            left_at = JUST_BEFORE_LOSS if name == "kept-quiet" else ANSWERED
            suppressed = Suppression.get(Suppression.subject == contact(name).subject)
            assert contact(name).status_at == suppressed.at == left_at, name
        assert not Contact.select().where(Contact.name == "Erased").exists()
    require_told_by_when_it_was(desk)
    for command in ("send", "expire", "send"):
        desk.do(command)
    assert "the deadline has passed" in desk.refused("resume", "agenda")
    for slug in ("news", "agenda"):
        desk.do("extend", slug, "--deadline", "2026-05-20")
        desk.do("resume", slug)
    with desk.database() as database:
        settings, now = desk.settings, desk.clock.now()
        assert enqueue_reminders.enqueue_reminders(database, settings=settings, now=now) == 0
    desk.do("send")
    # The daily mail and what tells of the pause are no asking.
    assert [mail for mail in inbox.mails[sent:] if mail.message["List-Unsubscribe"]] == []
    again = [address(name) for name in ("said-no", "elsewhere", "erased", "new-address")]
    fates = desk.run("import", "news", desk.file("email", *again), "--json").document["fates"]
    assert (fates["suppressed"], fates["ask"]) == (4, 0)
    desk.do("resolve", "news", "--leave")
    desk.clock.move_to(NOW + timedelta(days=100))
    desk.do("expire", "--despite-downtime")
    with desk.database():
        # Whose ask was in doubt was not silent.
        assert contact("late-silent").status == "unconfirmed"
        assert contact("silent").reason == "no_response"
        assert list(iter_chain_faults()) == []
    assert all(len(asks_to(inbox, name)) == 1 for name in (*AGENDA, "said-no", "late-no"))


def require_told_by_when_it_was(desk: Desk) -> None:
    """Look at what the record, a proof and an export say of a withdrawal that was lost."""
    path = desk.folder / "withdrawn.json"
    desk.do("proof", "news", address("withdrawn"), "-o", str(path))
    record = json.loads(path.read_text("utf-8"))["statement"]["record"]
    last = record["event"][-1]
    assert last["event_state"] == "dpv:ConsentWithdrawn"
    assert datetime.fromisoformat(last["event_time"]) == ANSWERED
    said = desk.do("verify", str(path))
    assert "2 March 2026, 14:00 (14:00:00 UTC): The person withdrew" in said
    assert "Recorded anew from a backup: Thursday 26 March 2026" in said
    rows = json.loads(desk.do("export", "news", "removed", "--format", "json"))
    (row,) = (one for one in rows if one["address"] == address("withdrawn"))
    assert datetime.fromisoformat(row["removed_at"]) == ANSWERED


def test_shown_5_who_has_left_stays_away_and_nobody_is_mailed_twice(
    story: Desk, inbox_of_story: Inbox
) -> None:
    lost = (story.folder / "repermit.db").read_bytes()
    said = restore(story)
    assert "Taken off again, as the journal says: 6." in said
    assert "Suppressed besides: 2. Erased again: 1." in said
    assert "Paused: agenda, news." in said
    assert "since the backup: 1 mail." in said
    assert "not begun again: news." in said
    aside = story.folder / "repermit.db.replaced-1"
    assert str(aside) in said
    assert aside.read_bytes() == lost
    assert (story.folder / "repermit.db").stat().st_mode & 0o777 == 0o600
    status = story.run("status", "news", "--json").document
    assert status["campaign"]["pause_reason"] == "restored"
    assert status["campaign"]["state"] == "paused"
    assert status["mails"]["ask"]["in_doubt"] == 1
    shown = story.do("status", "news")
    assert "It was paused when the database was restored" in shown
    assert "Of 1 mail the database was restored to before they may have left" in shown
    require_nobody_came_back(story, inbox_of_story)
    # The key that fingerprints are made with is where it was put, and nowhere else.
    key = story.settings.fingerprint_key
    files = [one for one in story.folder.iterdir() if one.is_file()]
    holding = [one.name for one in files if key in one.read_bytes()]
    assert holding == ["config.toml"]


# --- Killed, and given again.


@pytest.mark.exhaustive
def test_shown_5_killed_while_it_restores_and_given_again(
    story: Desk, inbox_of_story: Inbox
) -> None:
    place, ready = (story.folder / name for name in ("repermit.db", "repermit.db.restoring-wal"))
    before = place.read_bytes()
    # While somebody else writes to the journal, it cannot commit, and is surely under way.
    with (story.folder / "suppressions.journal").open("ab") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        restoring = subprocess.Popen(
            [
                str(REPERMIT),
                *("--config", str(story.config)),
                *("restore", str(story.folder / "backup.db"), "--replace"),
            ]
        )
        wait_until(ready.exists)
        assert "is being restored; wait" in story.refused("status", "news")
        restoring.kill()
        restoring.wait(60)
    assert place.read_bytes() == before
    assert "putting a backup back was broken off" in story.refused("status", "news")
    assert "putting a backup back was broken off" in story.refused("serve", "--port", "0")
    restore(story)
    assert not list(story.folder.glob("*.restoring*"))
    require_nobody_came_back(story, inbox_of_story)


@pytest.mark.parametrize("gone_aside", [("-wal",), ("-wal", "")])
def test_shown_5_killed_while_the_two_change_places(
    story: Desk, gone_aside: tuple[str, ...]
) -> None:
    place = story.folder / "repermit.db"
    before = place.read_bytes()
    (story.folder / "repermit.db-wal").write_bytes(b"its log")
    for ending in gone_aside:
        (story.folder / f"repermit.db{ending}").rename(f"{place}.replaced-1{ending}")
    for ending in ("", "-wal"):
        (story.folder / f"repermit.db.restoring{ending}").write_bytes(b"half of it")
    assert "broken off" in story.refused("status", "news")
    assert place.exists() is (len(gone_aside) == 1)
    assert "as the journal says: 6." in restore(story)
    assert {one.name: one.read_bytes() for one in story.folder.glob("*.replaced*")} == {
        "repermit.db.replaced-1": before,
        "repermit.db.replaced-1-wal": b"its log",
    }
    assert story.run("status", "news", "--json").document["campaign"]["state"] == "paused"


def test_restored_twice_it_says_the_same(story: Desk) -> None:
    first = restore(story)
    story.clock.advance(timedelta(minutes=1))
    again = restore(story)
    assert first.split("The former database")[0] == again.split("The former database")[0]
    assert len(list(story.folder.glob("repermit.db.replaced-*"))) == 2


# --- What is refused, and what is lost.


def test_a_database_that_is_damaged_is_put_aside_with_its_log(story: Desk) -> None:
    place = story.folder / "repermit.db"
    ruined = bytes(4096) + place.read_bytes()[4096:]
    place.write_bytes(ruined)
    (story.folder / "repermit.db-wal").write_bytes(b"its log")
    restore(story)
    assert (story.folder / "repermit.db.replaced-1-wal").read_bytes() == b"its log"
    assert (story.folder / "repermit.db.replaced-1").read_bytes() == ruined
    story.do("status", "news")


def test_a_machine_that_is_new_takes_the_journal_of_the_old_one(story: Desk) -> None:
    (story.folder / "repermit.db").unlink()
    (story.folder / "suppressions.journal").rename(story.folder / "old.journal")
    backup = str(story.folder / "backup.db")
    assert "there is no journal of suppressions at" in story.refused("restore", backup)
    said = story.do("restore", backup, "--journal", str(story.folder / "old.journal"))
    assert "Taken off again, as the journal says: 6." in said
    assert "The former database" not in said
    # The next restoring finds them in the new one.
    left = {line["fingerprint"] for line in lines_of(story.folder / "suppressions.journal")}
    assert len(left) == 8
    assert "as the journal says: 6." in restore(
        story, "--journal", str(story.folder / "old.journal")
    )


def test_without_any_journal_it_has_to_be_said(story: Desk) -> None:
    (story.folder / "suppressions.journal").unlink()
    backup = str(story.folder / "backup.db")
    assert "would be asked again" in story.refused("restore", backup, "--replace")
    assert "as the journal says: 0." in restore(story, "--without-journal")


def test_a_journal_that_began_after_the_backup_is_not_taken_for_the_one_of_then(
    story: Desk,
) -> None:
    """As on a new machine on which somebody gives another command first."""
    journal, old = (story.folder / name for name in ("suppressions.journal", "old.journal"))
    journal.rename(old)
    story.do("status", "news")
    story.do("answer", "news", address("silent"), "no", "--note", "by phone, to Anna")
    assert "suppress" in journal.read_text("utf-8")
    backup = str(story.folder / "backup.db")
    before = (story.folder / "repermit.db").read_bytes()
    said = story.refused("restore", backup, "--replace")
    assert "no journal here was beside the database when this copy was made" in said
    assert (story.folder / "repermit.db").read_bytes() == before
    assert not was_begun(story.folder)
    said = restore(story, "--journal", str(old))
    assert "as the journal says: 7." in said
    assert "or may have been, on" not in said
    # What it says counts nevertheless, and what may have been in the other is minded.
    said = restore(story, "--without-journal")
    assert "as the journal says: 7." in said
    assert "or may have been, on: agenda, news." in said


def test_what_is_no_backup_is_refused_and_changes_nothing(story: Desk) -> None:
    place = story.folder / "repermit.db"
    before = place.read_bytes()
    other, text, cut = (story.folder / name for name in ("other.db", "text.db", "cut.db"))
    with closing(sqlite3.connect(other)) as opened:
        opened.execute("CREATE TABLE t (x)")
    text.write_text("no database, though it is long enough")
    cut.write_bytes((story.folder / "backup.db").read_bytes()[:20_000])
    for file, words in (
        (other, "is no backup of repermit"),
        (text, "is not an SQLite database"),
        (cut, "cannot be used: database disk image is malformed"),
        (story.folder / "none.db", "cannot be read: No such file"),
        (place, "is the database itself"),
    ):
        assert words in story.refused("restore", str(file), "--replace")
    backup = str(story.folder / "backup.db")
    assert "With --replace it is put aside" in story.refused("restore", backup)
    assert place.read_bytes() == before
    assert not was_begun(story.folder)


def test_a_journal_or_a_key_that_does_not_belong_is_refused(story: Desk) -> None:
    backup = str(story.folder / "backup.db")
    journal = story.file("nothing", name="no.journal")
    for file, words in ((journal, "is no journal"), (f"{journal}.none", "cannot be read: No")):
        ran = story.refused("restore", backup, "--replace", "--journal", file)
        assert words in ran
    text = story.config.read_text("utf-8")
    key = story.settings.fingerprint_key.decode()
    story.config.write_text(text.replace(key, "another-key-for-tests"), "utf-8")
    assert "under another fingerprint_key" in story.refused("restore", backup, "--replace")
    story.config.write_text(text, "utf-8")
    assert not was_begun(story.folder)


@pytest.mark.exhaustive
def test_nobody_restores_under_the_hands_of_a_server(story: Desk) -> None:
    backup = str(story.folder / "backup.db")
    with Serving(story) as serving:
        said = story.refused("restore", backup, "--replace")
        assert "works with the database: stop `repermit serve`" in said
        serving.end(signal.SIGTERM)
    with lock_database_exclusively(story.folder / "repermit.db"):
        assert "is being restored; wait" in story.refused("status", "news")
    restore(story)


def test_a_lock_that_cannot_be_opened_is_no_lock(
    story: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that root has made; a restore would go over a running server."""
    place = story.folder / "repermit.db.in-use"
    assert place.exists()

    def refuse(path: Path, *_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("repermit.db.write_lock.open_private", refuse)
    for command in (("restore", str(story.folder / "backup.db"), "--replace"), ("status", "news")):
        assert f"{place} cannot be opened (Permission denied)" in story.refused(*command)


@pytest.mark.exhaustive
def test_a_copy_that_was_made_by_other_means_is_brought_up_by_the_whole_journal(
    desk: Desk, inbox: Inbox
) -> None:
    before_the_backup(desk, inbox)
    place = desk.folder / "repermit.db"
    desk.do("status", "news")
    shutil.copy(place, desk.folder / "backup.db")
    answer(desk, inbox, "said-no", "no")
    answer(desk, inbox, "silent", "no")
    desk.clock.advance(timedelta(hours=1))
    answer(desk, inbox, "silent", "yes")
    said = restore(desk)
    assert "the backup of a moment that it does not tell" in said
    assert "as the journal says: 1." in said
    with desk.database():
        assert contact("silent").status == "unconfirmed"
        assert not Session.select().exists()


@pytest.mark.exhaustive
def test_a_yes_that_the_backup_knows_outweighs_an_older_line_of_the_journal(
    desk: Desk, inbox: Inbox
) -> None:
    before_the_backup(desk, inbox)
    journal = desk.folder / "suppressions.journal"
    desk.clock.advance(timedelta(hours=1))
    answer(desk, inbox, "said-no", "no")
    desk.clock.advance(timedelta(hours=1))
    answer(desk, inbox, "said-no", "yes")
    # As when the process is killed after the commit, before the journal learns of the lifting.
    kept = [line for line in journal.read_text().splitlines(True) if '"lift"' not in line]
    journal.write_text("".join(kept) + '{"do":"supp')
    shutil.copy(desk.folder / "repermit.db", desk.folder / "backup.db")
    said = restore(desk)
    assert "as the journal says: 0." in said
    assert "1 line that were cut off" in said
    with desk.database():
        assert contact("said-no").status == "confirmed"
        assert not Suppression.select().exists()


@pytest.mark.exhaustive
def test_lists_that_the_backup_does_not_know_are_told(desk: Desk, inbox: Inbox) -> None:
    before_the_backup(desk, inbox)
    desk.do("backup", str(desk.folder / "backup.db"))
    add_list(desk, "later", ("one",))
    out = desk.file("email,status", "two@example.org,unsubscribed", name="out.csv")
    desk.do("import", "later", out)
    assert "made anew with who is not to be asked on them: later." in restore(desk)
    again = desk.file("email", "two@example.org", "three@example.org", name="again.csv")
    fates = desk.run("import", "later", again, "--json").document["fates"]
    assert (fates["suppressed"], fates["ask"]) == (1, 1)


@pytest.mark.exhaustive
def test_a_campaign_that_stood_already_keeps_its_reason(desk: Desk, inbox: Inbox) -> None:
    before_the_backup(desk, inbox)
    desk.do("pause", "news")
    with desk.database() as database, database.atomic():
        Campaign.update(pause_reason="bounces").where(Campaign.state == "paused").execute()
        Campaign.update(reminder_at=None).execute()
    desk.do("backup", str(desk.folder / "backup.db"))
    assert "not begun again" not in restore(desk)
    status = desk.run("status", "news", "--json").document["campaign"]
    assert (status["state"], status["pause_reason"]) == ("paused", "bounces")
    desk.do("resume", "news")
    with desk.database() as database, database.atomic():
        Mail.update(reason="").where(Mail.state == "in_doubt").execute()
        entry = EvidencePart.get(EvidencePart.json.contains("continues"))
        assert '"in_doubt":2' in entry.json
    desk.do("resolve", "news", "--resend")
    desk.do("send", "news")
    assert len(asks_to(inbox, "late-no")) == 0


def test_an_opt_in_of_the_file_is_taken_off_for_whatever_it_left(desk: Desk, inbox: Inbox) -> None:
    """Somebody who had opted in by the file said No, as if unconfirmed, after another import."""
    add_list(desk, "news", ("jan", "anna"))
    with desk.database() as database, database.atomic():
        Contact.update(status="confirmed", basis="imported").execute()
    desk.do("backup", str(desk.folder / "backup.db"))
    for name, reason in (("jan", "no_response"), ("anna", "unknown")):
        with desk.news() as (database, news), database.atomic():
            one = suppressions.NewSuppression(
                fingerprint=lookup.make_fingerprint(contact(name), desk.settings.fingerprint_key),
                subject=contact(name).subject,
                reason=reason,
                at=desk.clock.now(),
            )
            suppressions.add_suppressions(news, [one])
    restore(desk)
    with desk.database():
        assert [(one.status, one.reason) for one in Contact.select()] == [
            ("removed", "request")
        ] * 2
    assert inbox.mails == ()


# --- A new database beside the journal of an earlier one.


def test_an_empty_database_is_not_begun_beside_a_journal_that_knows_people(
    desk: Desk, inbox: Inbox
) -> None:
    """The database is lost, or its disk is not mounted."""
    before_the_backup(desk, inbox)
    place = desk.folder / "repermit.db"
    place.unlink()
    for command in (("status", "news"), ("list", "add", "news", "--name", "News"), ("serve",)):
        said = desk.refused(*command)
        assert "is its disk mounted" in said
        assert "repermit restore --already-there" in said
        assert not place.exists()
    place.touch()
    assert "is its disk mounted" in desk.refused("status", "news")


def test_a_database_that_begins_empty_learns_who_left_and_which_lists_were_asked(
    desk: Desk, inbox: Inbox
) -> None:
    before_the_backup(desk, inbox)
    answer(desk, inbox, "said-no", "no")
    place = desk.folder / "repermit.db"
    place.unlink()
    said = desk.do("restore", "--already-there")
    assert "The database begins empty, except for what the journal tells." in said
    assert "Everything else is lost, except who has left" in said
    assert "news" in said.partition("A campaign was launched")[2].splitlines()[0]
    rows = desk.file("email", *map(address, FIRST), name="again.csv")
    fates = desk.run("import", "news", rows, "--json").document["fates"]
    assert (fates["suppressed"], fates["ask"]) == (1, 6)
    assert "say the FILE of the backup" in desk.misused("restore", "--already-there")
    desk.do("list", "set", "news", *DESCRIBED)
    sent = len(inbox.mails)
    desk.do("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, "--wait", *ACCEPTED)
    assert desk.run("status", "news", "--json").document["mails"]["ask"]["in_doubt"] == 6
    assert len(inbox.mails) == sent


@pytest.mark.parametrize("fault", ["journal", "key"])
def test_a_beginning_that_is_refused_leaves_no_database(
    desk: Desk, inbox: Inbox, fault: str
) -> None:
    """Otherwise the next command would take it for one that knows who was asked."""
    before_the_backup(desk, inbox)
    (desk.folder / "repermit.db").unlink()
    right = desk.config.read_text("utf-8")
    if fault == "key":
        key = desk.settings.fingerprint_key.decode()
        desk.config.write_text(right.replace(key, "another-key-for-tests"), "utf-8")
        assert "under another fingerprint_key" in desk.refused("restore", "--already-there")
    else:
        wrong = desk.file("nothing", name="bad.journal")
        assert "is no journal" in desk.refused("restore", "--already-there", "--journal", wrong)
    assert not was_begun(desk.folder)
    assert "is its disk mounted" in desk.refused("status", "news")
    desk.config.write_text(right, "utf-8")
    assert "begins empty" in desk.do("restore", "--already-there")


def test_postgresql_that_begins_empty_is_refused_too(
    tmp_path: Path, cluster: Cluster, ready_postgresql: str, inbox: Inbox
) -> None:
    with cluster.fresh_database(like=ready_postgresql) as url:
        desk = Desk(tmp_path, database_url=url, inbox=inbox)
        before_the_backup(desk, inbox)
        with cluster.fresh_database() as empty:
            text = desk.config.read_text("utf-8").replace(url, empty)
            desk.config.write_text(text, "utf-8")
            wrong = desk.file("nothing", name="bad.journal")
            assert "is no journal" in desk.refused("restore", "--already-there", "--journal", wrong)
            assert "is its disk mounted" in desk.refused("status", "news")
            assert "begins empty" in desk.do("restore", "--already-there")
            desk.do("status", "news")


# --- PostgreSQL, which has tools of its own.


def test_postgresql_is_copied_and_put_back_by_its_own_tools_and_brought_up_here(
    tmp_path: Path, cluster: Cluster, ready_postgresql: str, inbox: Inbox
) -> None:
    with (
        cluster.fresh_database(like=ready_postgresql) as url,
    ):
        desk = Desk(tmp_path, database_url=url, inbox=inbox)
        before_the_backup(desk, inbox)
        backup = str(tmp_path / "backup.db")
        assert "`pg_dump --format=custom" in desk.refused("backup", backup)
        assert "`pg_restore`; then give" in desk.refused("restore", backup, "--without-journal")
        name = url.rpartition("/")[2].partition("?")[0]
        copy_database = cluster.add_database(f"{name}_copy", like=name)
        answer(desk, inbox, "said-no", "no")
        there = ("restore", "--already-there")
        desk.config.write_text(desk.config.read_text("utf-8").replace(url, copy_database), "utf-8")
        with psycopg.connect(copy_database):
            assert "other programs (1) are connected" in desk.refused(*there)
        said = desk.do(*there)
        assert "as the journal says: 1." in said
        status = desk.run("status", "news", "--json").document
        assert status["campaign"]["pause_reason"] == "restored"
        assert status["mails"]["ask"]["in_doubt"] == 2


def test_a_connection_whose_program_has_just_ended_keeps_nothing_from_being_restored(
    tmp_path: Path,
    cluster: Cluster,
    ready_postgresql: str,
    inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PostgreSQL shows it for moments more."""
    with cluster.fresh_database(like=ready_postgresql) as url, psycopg.connect(url) as ending:
        desk = Desk(tmp_path, database_url=url, inbox=inbox)
        desk.add_news()
        monkeypatch.setattr("repermit.backups.restore._MAX_DISCONNECT_SECONDS", 60.0)
        monkeypatch.setattr("repermit.backups.restore.time.sleep", lambda _seconds: ending.close())
        desk.do("restore", "--already-there", "--without-journal")


def test_what_is_restored_has_to_be_said(desk: Desk) -> None:
    assert "say the FILE of the backup, or --already-there" in desk.misused("restore")
    assert "is for PostgreSQL" in desk.misused("restore", "--already-there", "--without-journal")
