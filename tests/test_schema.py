"""Versions of the database: new, the same, older, newer."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit import schema
from repermit.accounts import two_factor
from repermit.campaigns import enqueue_asks, mailing_lists
from repermit.contacts import counts, lookup
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.all_tables import ALL_TABLES
from repermit.db.background_tasks import TaskKind, find_task, task_on
from repermit.db.connection import Database, is_postgresql, open_database, run_sql
from repermit.db.models.accounts import RecoveryCode, SecurityEvent
from repermit.db.models.base import Meta, stored
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import EvidenceHead
from repermit.db.models.imports import Import, ImportChange, Upload
from repermit.db.models.lists import MailingList, find_list
from repermit.db.models.mails import Mail
from repermit.db.row_counts import COUNTS, find_drift
from repermit.errors import SchemaTooNew
from repermit.evidence import chain, entries
from repermit.evidence.verify import counts as verify_counts
from repermit.imports import undo
from repermit.rules.consent import Reason
from tests.admin_pages import make_user
from tests.building import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.test_campaigns_launching import start

if TYPE_CHECKING:
    from peewee import Model

LATEST = len(schema.UPGRADES)
_SCHEMAS = Path(__file__).parent / "schemas"
_VERSION_1 = {kind: _SCHEMAS / f"1-{kind}.sql" for kind in ("sqlite", "postgresql")}


TRIGGERS = {
    "contact": "contact",
    "mail": "mail",
    "held": "contact",
    "suppression": "suppression",
    "part": "evidence_part",
}
"""What the triggers of each kind of count are called, and the table that they are on."""


def test_an_empty_database_gets_all_tables(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        assert schema.version(database) == 0
        assert schema.upgrade(database) == 0
        assert schema.version(database) == LATEST
        assert set(database.get_tables()) == {table._meta.table_name for table in ALL_TABLES}
        head = EvidenceHead.get()
        assert (head.seq, head.hash) == (0, "0" * 64)


def test_a_database_of_this_version_is_left_alone(database: Database) -> None:
    assert schema.upgrade(database) == LATEST
    assert EvidenceHead.select().count() == 1


def test_a_database_without_a_version_is_the_oldest(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        Meta.create_table()
        assert schema.upgrade(database) == 0
        assert schema.version(database) == LATEST


def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    with database.atomic():
        Meta.update(value=str(LATEST + 1)).where(Meta.key == "schema_version").execute()
    with pytest.raises(SchemaTooNew, match="install the newer repermit that wrote it"):
        schema.upgrade(database)
    assert schema.version(database) == LATEST + 1


def test_several_may_upgrade_at_once(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:

        def upgrade() -> None:
            with database.connection_context():
                schema.upgrade(database)

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(upgrade) for _ in range(4)]:
                done.result(60)
        assert EvidenceHead.select().count() == 1
        assert schema.version(database) == LATEST


@pytest.mark.counted_on_both
def test_a_database_of_version_1_becomes_what_a_new_one_is(
    empty_database_url: str, tmp_path: Path
) -> None:
    with open_database(empty_database_url) as database:
        kind = "postgresql" if is_postgresql(database) else "sqlite"
        with database.atomic():
            for statement in _VERSION_1[kind].read_text("utf-8").split(";\n"):
                if statement.strip():
                    run_sql(database, statement)
            run_sql(database, "INSERT INTO evidence_head VALUES (1, 7, 'abc')")
            run_sql(database, "INSERT INTO meta VALUES ('schema_version', '1')")
        assert schema.upgrade(database) == 1
        assert EvidenceHead.get().seq == 7
        upgraded = {table._meta.table_name: _shape(database, table) for table in ALL_TABLES}
        # Each column can be written and read.
        assert list(Mail.select()) == []
        if is_postgresql(database):
            return
    with open_database(f"sqlite:///{tmp_path}/new.db") as database:
        schema.upgrade(database)
        assert upgraded == {table._meta.table_name: _shape(database, table) for table in ALL_TABLES}


def test_a_database_of_version_3_gets_the_indexes_of_a_new_one(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        expected = _shape(database, Mail)
        with database.atomic():
            for name in ("mail_leased", "mail_in_doubt"):
                run_sql(database, f"DROP INDEX {name}")
            run_sql(database, "CREATE INDEX mail_held ON mail (state, worker)")
            Meta.update(value="3").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 3
        assert _shape(database, Mail) == expected


def test_a_database_of_version_21_learns_when_a_page_that_asked_again_was_answered(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        expected = _shape(database, Opening)
        with database.atomic():
            run_sql(database, "ALTER TABLE opening DROP COLUMN settled_at")
            Meta.update(value="21").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 21
        assert _shape(database, Opening) == expected


def test_a_database_of_version_22_learns_how_much_stands_in_a_file_that_waits(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        expected = _shape(database, Upload)
        with database.atomic():
            run_sql(database, "ALTER TABLE upload DROP COLUMN people")
            Meta.update(value="22").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 22
        assert _shape(database, Upload) == expected


def test_recovery_codes_of_version_24_go_on_working(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        expected = _shape(database, RecoveryCode)
        user = make_user(database)
        with database.atomic():
            digest = hashlib.sha256(b"ABCDEFGHJKMN").hexdigest()
            code = RecoveryCode.create(user=user, digest=digest)
            for column in ("selector", "hash"):
                run_sql(database, f"ALTER TABLE recovery_code DROP COLUMN {column}")
            run_sql(database, "DROP TABLE security_event")
            Meta.update(value="24").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 24
        assert _shape(database, RecoveryCode) == expected
        assert SecurityEvent.select().count() == 0
        assert two_factor.find_recovery_code(user.id, "abcd-efgh-jkmn") == code.id
        two_factor.hash_old_codes(database)
        assert two_factor.find_recovery_code(user.id, "abcd-efgh-jkmn") == code.id
        made = two_factor.new_recovery_codes()
        with database.atomic():
            two_factor.keep_recovery_codes(user.id, made)
        assert two_factor.codes_left(user.id) == 10


def test_a_database_of_version_26_knows_who_said_no_and_numbers_its_forms(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        expected = [_shape(database, table) for table in (Contact, SignUp)]
        news = make_list(database)
        removed = {reason: make_removed(database, news, reason) for reason in Reason}
        pressed, silent = make_contact(database, news), make_contact(database, news)
        by_file = make_removed(database, news, Reason.REQUEST)
        with database.atomic():
            file = Import.create(list=news, file="a.csv", digest="0" * 64, counts="{}", at=NOW)
            own = Suppression.subject == by_file.subject
            Suppression.update(imported_by=file).where(own).execute()
            Opening.create(contact=pressed, list=news, began_at=NOW, no_at=NOW)
            Opening.create(contact=silent, list=news, began_at=NOW, yes_at=NOW)
            for table, column in (
                ("contact", "form_version"),
                ("contact", "has_refused"),
                ("sign_up", "form_version"),
            ):
                run_sql(database, f"ALTER TABLE {table} DROP COLUMN {column}")
            Meta.update(value="26").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 26
        assert [_shape(database, table) for table in (Contact, SignUp)] == expected
        refused = {one.id for one in Contact.select().where(Contact.has_refused)}
        assert refused == {pressed.id} | {
            one.id
            for reason, one in removed.items()
            if reason not in {Reason.NO_RESPONSE, Reason.BOUNCE}
        }
        assert {one.form_version for one in Contact.select()} == {0}


def test_lists_of_version_27_send_receipts_unless_their_admin_chose_otherwise(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        settings = make_settings()
        shared: Any = {"settings": settings, "now": NOW, "actor": "cli:els", "name": "News"}
        mailing_lists.add_list(database, "never", **shared)
        mailing_lists.add_list(database, "chosen", receipts=False, **shared)
        mailing_lists.add_list(database, "later", **shared)
        for receipts in (True, False):
            mailing_lists.change_list(
                database,
                find_list("later"),
                settings=settings,
                now=NOW,
                actor="cli:els",
                receipts=receipts,
            )
        with database.atomic():
            MailingList.update(receipts=False).execute()
            Meta.update(value="27").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 27
        assert {one.slug: one.receipts for one in MailingList.select()} == {
            "never": True,
            "chosen": False,
            "later": False,
        }


_UNDER_WAY_IN_28 = """\
CREATE TABLE launching (campaign_id BIGINT PRIMARY KEY, actor TEXT, facts TEXT, reached BIGINT,
    newest BIGINT, owed INTEGER, suppressed INTEGER);
CREATE TABLE undoing (record_id BIGINT PRIMARY KEY, list_id BIGINT, actor TEXT, at {moment},
    rows INTEGER, reached BIGINT, looked_at INTEGER, contacts INTEGER, restored INTEGER,
    suppressions INTEGER);
INSERT INTO launching VALUES ({campaign}, 'els', '{{"asked": 5}}', 3, 9, 2, 1);
INSERT INTO undoing VALUES ({record}, {list}, 'jan', '{at}', 9, 7, 4, 3, 2, 1)"""


def test_what_was_under_way_in_version_28_goes_on(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        news = make_list(database)
        campaign = make_campaign(database, news, launched_at=NOW)
        moment = "TIMESTAMPTZ" if is_postgresql(database) else "TEXT"
        with database.atomic():
            record = Import.create(list=news, file="a.csv", digest="", counts="{}", at=NOW)
            statements = _UNDER_WAY_IN_28.format(
                moment=moment, campaign=campaign.id, record=record.id, list=news.id, at=stored(NOW)
            )
            for statement in statements.split(";"):
                run_sql(database, statement)
            Meta.update(value="28").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 28
        launch = find_task(TaskKind.LAUNCH, campaign.id)
        undoing = task_on(TaskKind.UNDO_IMPORT, news)
        assert launch
        assert undoing
        assert (launch.list, launch.actor, launch.at) == (news, "els", NOW)
        assert enqueue_asks.making_of(campaign) == enqueue_asks.Making(made=2, asked=5)
        assert (undoing.target, undoing.actor, undoing.at) == (record.id, "jan", NOW)
        assert undo.undo_progress(news) == undo.UndoProgress(file="a.csv", done=8, rows=9)
        assert not database.table_exists("launching")
        assert not database.table_exists("undoing")


@pytest.mark.parametrize("upto", [None, 7])
def test_of_days_that_version_28_counted_the_time_zone_is_not_known(
    empty_database_url: str, upto: int | None
) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        with database.atomic():
            if upto is not None:
                Meta.create(key=verify_counts.TALLIED_UPTO, value=str(upto))
            Meta.update(value="28").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 28
        if upto is None:
            assert Meta.get_or_none(Meta.key == verify_counts.TALLIED_IN) is None
        else:
            assert verify_counts.tallied_zones() == [(upto, "")]


def _shape(database: Database, table: type[Model]) -> tuple[set[str], set[str]]:
    name = table._meta.table_name
    columns = {column.name for column in database.get_columns(name)}
    return columns, {index.name for index in database.get_indexes(name)}


def test_what_an_older_database_holds_is_counted(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        news = make_list(database)
        make_asked(database, news, make_campaign(database, news))
        with database.atomic():
            for name, counted in TRIGGERS.items():
                for what in ("comes", "goes", "turns"):
                    table = f" ON {counted}" if is_postgresql(database) else ""
                    run_sql(database, f"DROP TRIGGER {name}_{what}{table}")
            database.drop_tables(COUNTS)
            Meta.update(value="8").where(Meta.key == "schema_version").execute()
        make_contact(database, news)
        assert schema.upgrade(database) == 8
        assert counts.count_contacts(news).total() == 2
        assert counts.count_mails(news).total() == 1
        make_contact(database, news)
        assert find_drift(database) == 0


def test_nothing_stands_in_line_for_a_domain_any_more(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        moment = "TIMESTAMPTZ" if is_postgresql(database) else "TEXT"
        with database.atomic():
            run_sql(database, f"ALTER TABLE pace ADD COLUMN tail_at {moment}")
            Meta.update(value="5").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 5
        assert "tail_at" not in {column.name for column in database.get_columns("pace")}


def test_what_an_import_changed_before_version_30_can_still_be_taken_back(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        news = make_list(database)
        contact = make_contact(database, news, status="confirmed", basis="thin", status_at=NOW)
        with database.atomic():
            record = Import.create(
                list=news, file="a.csv", digest="", counts=_COUNTS_OF_ONE, at=NOW
            )
            run_sql(database, "ALTER TABLE import ADD COLUMN before TEXT NOT NULL DEFAULT '[]'")
            image = [contact.id, "unconfirmed", "2020-01-01T00:00:00.000000+00:00", "", None]
            run_sql(
                database,
                f"UPDATE import SET before = {database.param}",  # noqa: S608
                json.dumps([image]),
            )
            database.drop_tables([ImportChange])
            Meta.update(value="29").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 29
        assert "before" not in {column.name for column in database.get_columns("import")}
        assert find_drift(database) == 0
        undone = undo.undo_import(
            database, news, settings=make_settings(), now=NOW, actor="admin@example.org"
        )
        assert (undone.file, undone.restored) == (record.file, 1)
        found = Contact.get_by_id(contact.id)
        assert (found.status, found.basis, found.basis_at) == ("unconfirmed", "", None)


def test_of_a_database_of_version_31_who_moved_or_came_back_is_found_by_their_subject(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        expected = [_shape(database, table) for table in (Contact, SignUp)]
        news = make_list(database)
        erased = make_removed(database, news, Reason.REQUEST)
        moved, back, other = (make_contact(database, news) for _ in range(3))
        with database.atomic():
            Contact.update(erased_at=NOW).where(Contact.id == erased.id).execute()
            Contact.update(subject=erased.subject).where(Contact.id == back.id).execute()
            chain.append(
                entries.Entry(
                    event="corrected", at=NOW, actor="person", list="news", subject=moved.subject
                )
            )
            run_sql(database, "DROP INDEX contact_subject")
            run_sql(database, "DROP INDEX sign_up_unconfirmed")
            run_sql(database, "ALTER TABLE contact DROP COLUMN has_predecessor")
            Meta.update(value="31").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 31
        assert [_shape(database, table) for table in (Contact, SignUp)] == expected
        subjects = (moved.subject, erased.subject, other.subject)
        found = [lookup.find_held(news.id, subject) for subject in subjects]
        assert found == [moved, back, None]
        assert lookup.find_erased(news.id, erased.subject) == [erased]


_COUNTS_OF_ONE = (
    '{"rows": 1, "addresses": 1, "fates": {"duplicate": 1}, "merged": 0, "improved": 1}'
)


def test_a_launch_under_way_in_version_31_lets_its_pilot_go(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        expected = _shape(database, Mail)
        news = make_list(database)
        for _ in range(4):
            make_contact(database, news)
        start(database, news, pilot=2, most=3)
        assert enqueue_asks.making_of(Campaign.get()) == enqueue_asks.Making(made=3, asked=4)
        with database.atomic():
            Mail.update(due_at=AFTER_PILOT).execute()
            run_sql(database, "DROP INDEX mail_in_doubt")
            run_sql(
                database, "CREATE INDEX mail_in_doubt ON mail (list_id) WHERE state = 'in_doubt'"
            )
            Meta.update(value="31").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 31
        assert _shape(database, Mail) == expected
        (index,) = (one for one in database.get_indexes("mail") if one.name == "mail_in_doubt")
        assert index.columns == ["list_id", "id"]
        enqueue_asks.finish_launches(database, settings=make_settings(), now=NOW)
        due = [mail.due_at for mail in Mail.select().order_by(Mail.id)]
        assert due == [NOW] * 2 + [AFTER_PILOT] * 2


def test_of_a_database_of_version_33_personal_mails_are_found_in_order(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        schema.upgrade(database)
        expected = _shape(database, Mail)
        with database.atomic():
            run_sql(database, "DROP INDEX mail_personal")
            Meta.update(value="33").where(Meta.key == "schema_version").execute()
        assert schema.upgrade(database) == 33
        assert _shape(database, Mail) == expected
