"""Who has only corrected their address since a backup has not left, and is told of (issue 5)."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repermit import email_address
from repermit.backups import restore as backups_restore
from repermit.backups.journal_replay import MovedContact
from repermit.backups.restore import RestoreResult
from repermit.clock import format_timestamp
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import EvidencePart
from repermit.db.suppression_journal import Journal
from repermit.errors import Refused
from repermit.evidence.verify import chain
from repermit.privacy import forget, make_proof, printable_proof
from repermit.rules.consent import Answer, Reason, Status
from repermit.suppression.suppressions import restore_lost_suppressions
from tests.support.builders import NOW, make_contact, make_list, make_settings
from tests.support.desk import Desk
from tests.support.inbox import Inbox
from tests.support.postgresql_cluster import Cluster
from tests.unit.backups.test_restore import add_list, address, contact, restore
from tests.unit.db.test_suppression_journal import CHECK, lines_of
from tests.unit.evidence.test_verify_tables import say
from tests.unit.privacy.test_rectification import move

KEY = make_settings().fingerprint_key
MOVED_AT = NOW + timedelta(hours=1)
LATER = NOW + timedelta(hours=3)


def print_of(name: str) -> str:
    return email_address.fingerprint(KEY, address(name))


def moved(one: Contact, name: str, minutes: int = 0, **more: str) -> dict[str, str]:
    """Return what the journal notes once somebody has moved away from an address."""
    about = {"list": one.list.slug, "fingerprint": print_of(name), "subject": one.subject}
    at = format_timestamp(MOVED_AT + timedelta(minutes=minutes))
    return {"do": "suppress", "at": at, **about, "reason": "request", "by": "move", **more}


def left(one: Contact, name: str, minutes: int) -> dict[str, str]:
    """Return what the journal notes once they have said No under an address."""
    line = moved(one, name, minutes, reason="no")
    del line["by"]
    return line


def lifted(one: Contact, name: str, minutes: int) -> dict[str, str]:
    """Return what it notes once the suppression of an address was lifted."""
    until = format_timestamp(MOVED_AT + timedelta(minutes=minutes))
    about = {"list": one.list.slug, "fingerprint": print_of(name)}
    return {"do": "lift", **about, "until": until}


@pytest.fixture
def anna(database: Database) -> Contact:
    return make_contact(database, make_list(database), address("anna"), status=Status.CONFIRMED)


def bring_up_to_date(database: Database, folder: Path, *lines: dict[str, str]) -> RestoreResult:
    journal = Journal(folder / "suppressions.journal", key_check=CHECK)
    journal.add_lines({"do": "backup", "mark": "another"}, *lines)
    journal.before_commit()
    said: dict[str, Any] = {"settings": make_settings(), "now": LATER, "actor": "cli:els"}
    return backups_restore.bring_up_to_date(database, journals=[journal.path], **said)


def told_of(event: str) -> dict[str, Any]:
    evidence_of = [json.loads(one.json) for one in EvidencePart.select() if one.part == "consent"]
    (told,) = (one for one in evidence_of if event in one)
    found: dict[str, Any] = told
    return found


def test_the_journal_knows_a_move_from_a_leaving(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    database.journal = Journal(tmp_path / "suppressions.journal", key_check=CHECK)
    assert move(database, anna, address("new")) == "moved"
    (line,) = lines_of(database.journal.path)
    assert {**line, "at": ""} == moved(anna, "anna", at="")
    assert "@" not in database.journal.path.read_text("utf-8")
    say(database, "new", Answer.NO)
    assert move(database, Contact.get_by_id(anna.id), address("newer")) == "moved"
    assert ["by" in one for one in lines_of(database.journal.path)] == [True, False, False]


def test_who_moved_since_is_off_the_list_with_their_former_address_and_named(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    make_contact(database, anna.list, address("bert"))
    done = bring_up_to_date(database, tmp_path, moved(anna, "anna"))
    assert done.replayed.moved == (MovedContact(list="news", address=address("anna")),)
    assert sum(done.replayed.removed.values()) == done.replayed.suppressed == 0
    assert (contact("anna").status, contact("anna").reason) == (Status.REMOVED, Reason.REQUEST)
    assert contact("anna").status_at == MOVED_AT
    assert Suppression.get().fingerprint == print_of("anna")
    assert contact("bert").status == Status.UNCONFIRMED
    # The record tells that they had not left.
    assert told_of("left_at")["moved"] is True
    assert told_of("mark")["moved"] == 1
    assert chain.verify_chain(database).fault is None
    assert bring_up_to_date(database, tmp_path).replayed.moved == ()


def test_who_left_after_they_had_moved_has_left(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    lines = (moved(anna, "anna"), moved(anna, "new", 1), left(anna, "newer", 2))
    done = bring_up_to_date(database, tmp_path, *lines)
    assert done.replayed.moved == ()
    assert done.replayed.removed[Reason.WITHDRAWN] == 1
    assert contact("anna").status_at == MOVED_AT + timedelta(minutes=2)
    # The address in between, and the last one, stay suppressed too.
    assert {one.fingerprint for one in Suppression.select()} == {
        print_of(name) for name in ("anna", "new", "newer")
    }
    assert chain.verify_chain(database).fault is None


@pytest.mark.parametrize("is_replayed", [True, False])
def test_of_who_moved_since_the_backup_a_later_address_is_neither_proved_nor_forgotten(
    database: Database, anna: Contact, tmp_path: Path, is_replayed: bool
) -> None:
    lines = (moved(anna, "anna"), moved(anna, "new", 1), left(anna, "newer", 2))
    if is_replayed:
        bring_up_to_date(database, tmp_path, *lines)
    else:
        database.journal = Journal(tmp_path / "suppressions.journal", key_check=CHECK)
        database.journal.add_lines(*lines)
        database.journal.before_commit()
        restore_lost_suppressions(database, settings=make_settings(), now=LATER)
    act: dict[str, Any] = {"settings": make_settings(), "now": LATER, "actor": "cli:els"}
    for name in ("new", "newer"):
        for act_on in (make_proof.prove_address, forget.erase_address):
            with pytest.raises(Refused, match="the earlier address of somebody"):
                act_on(database, address=address(name), mailing_list=anna.list, **act)


def test_who_left_after_a_move_and_said_yes_again_has_only_moved(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    lines = (moved(anna, "anna"), left(anna, "new", 1), lifted(anna, "new", 1))
    done = bring_up_to_date(database, tmp_path, *lines)
    assert [one.address for one in done.replayed.moved] == [address("anna")]


@pytest.mark.parametrize("said_no", [False, True])
def test_who_moved_is_named_though_somebody_else_has_come_with_their_former_address(
    database: Database, anna: Contact, tmp_path: Path, *, said_no: bool
) -> None:
    lines = [moved(anna, "anna"), lifted(anna, "anna", 0)]
    if said_no:
        lines.append({**left(anna, "anna", 5), "subject": "f" * 32})
    done = bring_up_to_date(database, tmp_path, *lines)
    assert [one.address for one in done.replayed.moved] == [address("anna")]
    assert sum(done.replayed.removed.values()) == 0
    assert told_of("left_at")["moved"] is True
    assert told_of("left_at")["left_for"] == "request"
    assert Contact.get_by_id(anna.id).status == Status.REMOVED
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_a_proof_tells_of_who_moved_since_a_backup(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    bring_up_to_date(database, tmp_path, moved(anna, "anna"))
    made = make_proof.prove_address(
        database, anna.list, address("anna"), settings=make_settings(), now=LATER, actor="cli:els"
    )
    page = printable_proof.make_proof_page(made.document, language="en", zone=make_settings().zone)
    assert "The person had moved to another address, which the backup" in page


def test_the_latest_move_counts_in_whatever_order_it_was_written(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    lines = (moved(anna, "new", 1), lifted(anna, "anna", 0), moved(anna, "anna"))
    assert bring_up_to_date(database, tmp_path, *lines).replayed.moved == ()
    assert Contact.get_by_id(anna.id).status == Status.CONFIRMED


def test_who_moved_back_stays(database: Database, anna: Contact, tmp_path: Path) -> None:
    lines = (moved(anna, "anna"), lifted(anna, "anna", 0), moved(anna, "new", 1))
    done = bring_up_to_date(database, tmp_path, *lines)
    assert (done.replayed.moved, done.replayed.suppressed) == ((), 1)
    assert contact("anna").status == Status.CONFIRMED
    assert Suppression.get().fingerprint == print_of("new")


def test_who_had_moved_before_the_copy_was_made_stays(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    """As after pg_dump, which leaves no mark in the journal: it counts whole."""
    done = bring_up_to_date(database, tmp_path, moved(anna, "former"))
    assert (done.replayed.moved, done.replayed.suppressed) == ((), 1)
    assert contact("anna").status == Status.CONFIRMED


def test_who_had_left_before_they_moved_is_not_told_of(
    database: Database, anna: Contact, tmp_path: Path
) -> None:
    say(database, "anna", Answer.NO)
    assert bring_up_to_date(database, tmp_path, moved(anna, "anna")).replayed.moved == ()


def corrected(desk: Desk) -> None:
    with desk.database() as database:
        assert move(database, contact("jan"), address("new")) == "moved"


def test_restore_names_who_moved_and_mails_their_former_address_nothing(
    desk: Desk, inbox: Inbox
) -> None:
    add_list(desk, "news", ("jan", "anna"))
    desk.do("backup", str(desk.folder / "backup.db"))
    corrected(desk)
    said = restore(desk)
    assert "as the journal says: 0." in said
    assert "Corrected their address since, and are off the list under the former one: 1." in said
    assert f"  news: {address('jan')}\n" in said
    assert "has not left, but the new one is lost" in said
    assert "holds" in desk.do("verify")
    # A second time, too, though the journal knows by then that the first one took them off.
    again = ("restore", str(desk.folder / "backup.db"), "--replace", "--json")
    document = desk.run(*again).document
    assert document["moved"] == [{"list": "news", "address": address("jan")}]
    assert document["removed"]["request"] == 0
    assert document["aside"].endswith("repermit.db.replaced-2")
    rows = desk.file("email", address("jan"), address("new"), name="again.csv")
    fates = desk.run("import", "news", rows, "--json").document["fates"]
    assert (fates["suppressed"], fates["ask"]) == (1, 1)
    assert inbox.mails == ()


def test_restore_names_who_moved_on_postgresql(
    tmp_path: Path, cluster: Cluster, ready_postgresql: str, inbox: Inbox
) -> None:
    with cluster.fresh_database(like=ready_postgresql) as url:
        desk = Desk(tmp_path, database_url=url, inbox=inbox)
        add_list(desk, "news", ("jan", "anna"))
        name = url.rpartition("/")[2].partition("?")[0]
        copy_database = cluster.add_database(f"{name}_moved", like=name)
        corrected(desk)
        desk.config.write_text(desk.config.read_text("utf-8").replace(url, copy_database), "utf-8")
        with psycopg.connect(copy_database) as opened:
            assert opened.execute("SELECT COUNT(*) FROM contact").fetchone() == (2,)
        document = desk.run("restore", "--already-there", "--json").document
        assert document["moved"] == [{"list": "news", "address": address("jan")}]
        assert (document["made_at"], document["aside"]) == (None, None)
