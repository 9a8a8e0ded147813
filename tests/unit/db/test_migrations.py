"""Versions of the database: new, the same, older, newer."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import two_factor
from repermit.campaigns import enqueue_asks, mailing_lists
from repermit.clock import format_timestamp
from repermit.contacts import lookup
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db import migrations
from repermit.db.background_tasks import TaskKind, find_task, find_task_of_list
from repermit.db.connection import Database, is_postgresql, open_database, run_sql
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.accounts import RecoveryCode, SecurityEvent, Throttle
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign, HandedOver
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import EvidenceHead, EvidenceTimestamp
from repermit.db.models.imports import Import, ImportChange
from repermit.db.models.lists import MailingList, find_list
from repermit.db.models.mails import Mail, SeenMessage
from repermit.db.row_counts import find_drift
from repermit.errors import SchemaTooNew, SchemaTooOld
from repermit.evidence import chain, entries
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify import counts as verify_counts
from repermit.imports import undo
from repermit.rules.consent import CampaignState, Reason
from tests.support.admin_pages import make_user
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.kept_database import load_kept_database
from tests.unit.campaigns.test_launch import start

if TYPE_CHECKING:
    from peewee import Model

LATEST = migrations.NEWEST_VERSION


def test_an_empty_database_gets_all_tables(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        assert migrations.read_version(database) == 0
        assert migrations.upgrade_database(database) == 0
        assert migrations.read_version(database) == LATEST
        assert set(database.get_tables()) == {table._meta.table_name for table in ALL_TABLES}
        head = EvidenceHead.get()
        assert (head.seq, head.hash) == (0, "0" * 64)


def test_a_database_of_this_version_is_left_alone(database: Database) -> None:
    assert migrations.upgrade_database(database) == LATEST
    assert EvidenceHead.select().count() == 1


def test_a_database_without_a_version_is_the_oldest(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        Meta.create_table()
        assert migrations.upgrade_database(database) == 0
        assert migrations.read_version(database) == LATEST


def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    with database.atomic():
        Meta.update(value=str(LATEST + 1)).where(Meta.key == "schema_version").execute()
    with pytest.raises(SchemaTooNew, match="install the newer repermit that wrote it"):
        migrations.upgrade_database(database)
    assert migrations.read_version(database) == LATEST + 1


@pytest.mark.parametrize("version", [1, migrations.OLDEST_VERSION - 1])
def test_a_database_that_is_too_old_is_refused_and_left_alone(
    database: Database, version: int
) -> None:
    with database.atomic():
        Meta.update(value=str(version)).where(Meta.key == "schema_version").execute()
    said = f"is of version {version}, .* upgrades 24 at least: open it first .* commit 857b5f4"
    with pytest.raises(SchemaTooOld, match=said):
        migrations.upgrade_database(database)
    assert migrations.read_version(database) == version


def test_several_may_upgrade_at_once(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:

        def upgrade() -> None:
            with database.connection_context():
                migrations.upgrade_database(database)

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(upgrade) for _ in range(4)]:
                done.result(60)
        assert EvidenceHead.select().count() == 1
        assert migrations.read_version(database) == LATEST


@dataclass(frozen=True)
class Kept:
    """A database of version 24, and a new one of the same kind."""

    url: str
    new_url: str


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest) -> Kept:
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    load_kept_database(url)
    return Kept(url, request.getfixturevalue(f"{request.param}_url"))


def test_a_kept_database_becomes_what_a_new_one_is(kept: Kept) -> None:
    with open_database(kept.new_url) as database:
        new = _structure(database)
    with open_database(kept.url) as database:
        assert migrations.upgrade_database(database) == 24
        assert migrations.read_version(database) == LATEST
        made = _structure(database)
        for name, expected in new.items():
            assert made[name] == expected, name
        assert find_drift(database) == 0
        assert list(iter_chain_faults()) == []
        # Each column can be read.
        for table in ALL_TABLES:
            is_new = table in {SecurityEvent, EvidenceTimestamp, SeenMessage}
            assert table.select().exists() != is_new, table


def test_nothing_of_a_kept_database_is_lost(kept: Kept) -> None:
    with open_database(kept.url) as database:
        before = _rows(database)
        migrations.upgrade_database(database)
        after = _rows(database)
    launching, undoing = before.pop("launching")[0], before.pop("undoing")[0]
    tasks = {row["kind"]: row for row in after["background_task"]}
    assert set(tasks) == {TaskKind.LAUNCH, TaskKind.UNDO_IMPORT}
    launch, undo_import = (json.loads(tasks[kind]["progress"]) for kind in sorted(tasks))
    assert launch == {
        "facts": json.loads(launching["facts"]),
        **{name: launching[name] for name in ("reached", "newest", "owed", "suppressed")},
    }
    assert undo_import == {
        name: undoing[name]
        for name in ("rows", "reached", "looked_at", "contacts", "restored", "suppressions")
    }
    changes = [image for row in before["import"] for image in json.loads(row.pop("before"))]
    assert len(changes) == len(after["import_change"]) == 1
    assert changes[0][0] == after["import_change"][0]["contact"]
    newest = str(before["evidence_head"][0]["seq"])
    for table, rows in before.items():
        names = [name for name in rows[0] if (table, name) not in CHANGED]
        old, new = (
            Counter(tuple(row[name] for name in names) for row in one)
            for one in (rows, after.get(table, []))
        )
        if table == "meta":
            assert set(old - new) == {("schema_version", "24")}
            assert set(new - old) == {
                ("schema_version", str(LATEST)),
                ("terms_told_since", newest),
                ("journal_sealed_since", newest),
                ("tallied_in", '{"after": 64, "zone": ""}'),
            }
        # Contacts and mails are counted anew.
        elif not table.endswith("_count"):
            assert old == new, table


# Receipts are the default now, and a launch under way lets its pilot go.
CHANGED = {("mailing_list", "receipts"), ("mail", "due_at")}


def test_what_was_under_way_in_a_kept_database_goes_on(kept: Kept) -> None:
    with open_database(kept.url) as database:
        migrations.upgrade_database(database)
        assert MailingList.select().where(MailingList.receipts).count() == 3
        now = datetime(2026, 4, 2, 10, 0, tzinfo=UTC)
        launched = enqueue_asks.finish_launches(database, settings=make_settings(), now=now)
        assert launched == 1
        assert undo.finish_undos(database) == 1
        campaign = Campaign.get(Campaign.list == find_list("more"))
        assert campaign.state == CampaignState.SENDING
        due = [mail.due_at for mail in Mail.select().where(Mail.campaign == campaign)]
        assert sorted(due) == [campaign.starts_at, AFTER_PILOT, AFTER_PILOT]
        (first,) = Contact.select().where(Contact.address == "first@example.org")
        assert (first.status, first.basis) == ("unconfirmed", "")
        assert not Contact.select().where(Contact.address == "third@example.org").exists()
        assert undo.undo_progress(find_list("other")) is None
        assert find_drift(database) == 0
        assert list(iter_chain_faults()) == []


def test_a_file_that_an_earlier_version_took_back_and_counted_nothing_of_is_not_accused(
    kept: Kept,
) -> None:
    with open_database(kept.url) as database:
        migrations.upgrade_database(database)
        with database.atomic():
            # The kept database has a tick without an entry, and two files of one moment.
            HandedOver.delete().execute()
            doubled = Import.get(Import.list == find_list("other"), Import.file == "list.csv")
            Contact.update(imported_by=None).where(Contact.imported_by == doubled).execute()
            doubled.delete_instance()
        assert undo.finish_undos(database) == 1
        assert verify_chain.verify_chain(database).fault is None
        record = Import.get(Import.undone_at.is_null(is_null=False))
        counts = json.loads(record.counts)
        del counts["undone"]
        with database.atomic():
            Import.update(counts=json.dumps(counts)).where(Import.id == record.id).execute()
        fault = verify_chain.verify_chain(database).fault
        assert fault
        assert "what was taken back" in fault.what
        # As if the upgrade had come after it.
        with database.atomic():
            Meta.write("terms_told_since", str(EvidenceHead.get().seq))
        assert verify_chain.verify_chain(database).fault is None


def _rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table."""
    rows = {}
    for table in database.get_tables():
        cursor = run_sql(database, f'SELECT * FROM "{table}"')  # noqa: S608
        names = [column[0] for column in cursor.description]
        rows[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return rows


def _structure(database: Database) -> dict[str, set[tuple[Any, ...]]]:
    """Return what a database is made of: columns, references, indexes, triggers, functions."""
    if is_postgresql(database):
        made = {name: set(run_sql(database, query)) for name, query in _POSTGRESQL.items()}
        # The casts of a list of texts stand elsewhere once a database was dumped.
        made["indexes"] = {
            (name, re.sub(r"::[a-z ]+(\[\])?|[()]", "", sql)) for name, sql in made["indexes"]
        }
        return made
    made = {name: set(run_sql(database, query)) for name, query in _SQLITE.items()}
    for name in ("indexes", "triggers"):
        made[name] = {(one, " ".join((sql or "").split())) for one, sql in made[name]}
    return made


# Without the order of columns, and without their defaults, which columns have that were added.
_SQLITE = {
    "columns": """\
SELECT tables.name, columns.name, replace(columns.type, 'BOOLEAN', 'INTEGER'),
    columns."notnull" OR columns.pk, columns.pk, columns.hidden
FROM sqlite_master tables, pragma_table_xinfo(tables.name) columns WHERE tables.type = 'table'""",
    "references": """\
SELECT tables.name, keys."from", keys."table", keys."to", keys.on_delete
FROM sqlite_master tables, pragma_foreign_key_list(tables.name) keys WHERE tables.type = 'table'""",
    "indexes": "SELECT name, sql FROM sqlite_master WHERE type = 'index'",
    "triggers": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
    "views": "SELECT name FROM sqlite_master WHERE type = 'view'",
}
_POSTGRESQL = {
    "columns": """\
SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, collation_name
FROM information_schema.columns WHERE table_schema = 'public'""",
    "references": """\
SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "sequences": "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'",
}


def test_recovery_codes_of_version_24_go_on_working(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        migrations.upgrade_database(database)
        expected = _shape(database, RecoveryCode)
        user = make_user(database)
        with database.atomic():
            digest = hashlib.sha256(b"ABCDEFGHJKMN").hexdigest()
            code = RecoveryCode.create(user=user, digest=digest)
            for column in ("selector", "hash"):
                run_sql(database, f"ALTER TABLE recovery_code DROP COLUMN {column}")
            run_sql(database, "DROP TABLE security_event")
            Meta.update(value="24").where(Meta.key == "schema_version").execute()
        assert migrations.upgrade_database(database) == 24
        assert _shape(database, RecoveryCode) == expected
        assert SecurityEvent.select().count() == 0
        assert two_factor.find_recovery_code(user.id, "abcd-efgh-jkmn") == code.id
        two_factor.hash_old_codes(database)
        assert two_factor.find_recovery_code(user.id, "abcd-efgh-jkmn") == code.id
        made = two_factor.make_recovery_codes()
        with database.atomic():
            two_factor.save_recovery_codes(user.id, made)
        assert two_factor.count_codes_left(user.id) == 10


def test_a_database_of_version_26_knows_who_said_no_and_numbers_its_forms(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        migrations.upgrade_database(database)
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
        assert migrations.upgrade_database(database) == 26
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
        migrations.upgrade_database(database)
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
        assert migrations.upgrade_database(database) == 27
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
        migrations.upgrade_database(database)
        news = make_list(database)
        campaign = make_campaign(database, news, launched_at=NOW)
        moment = "TIMESTAMPTZ" if is_postgresql(database) else "TEXT"
        with database.atomic():
            record = Import.create(list=news, file="a.csv", digest="", counts="{}", at=NOW)
            statements = _UNDER_WAY_IN_28.format(
                moment=moment,
                campaign=campaign.id,
                record=record.id,
                list=news.id,
                at=format_timestamp(NOW),
            )
            for statement in statements.split(";"):
                run_sql(database, statement)
            Meta.update(value="28").where(Meta.key == "schema_version").execute()
        assert migrations.upgrade_database(database) == 28
        launch = find_task(TaskKind.LAUNCH, campaign.id)
        undoing = find_task_of_list(TaskKind.UNDO_IMPORT, news)
        assert launch
        assert undoing
        assert (launch.list, launch.actor, launch.at) == (news, "els", NOW)
        assert enqueue_asks.read_enqueue_progress(campaign) == enqueue_asks.EnqueueProgress(
            made=2, asked=5
        )
        assert (undoing.target, undoing.actor, undoing.at) == (record.id, "jan", NOW)
        assert undo.undo_progress(news) == undo.FileProgress(file="a.csv", done=8, total=9)
        assert not database.table_exists("launching")
        assert not database.table_exists("undoing")


@pytest.mark.parametrize("upto", [None, 7])
def test_of_days_that_version_28_counted_the_time_zone_is_not_known(
    empty_database_url: str, upto: int | None
) -> None:
    with open_database(empty_database_url) as database:
        migrations.upgrade_database(database)
        with database.atomic():
            if upto is not None:
                Meta.create(key=verify_counts.TALLIED_UPTO, value=str(upto))
            Meta.update(value="28").where(Meta.key == "schema_version").execute()
        assert migrations.upgrade_database(database) == 28
        if upto is None:
            assert Meta.get_or_none(Meta.key == verify_counts.TALLIED_IN) is None
        else:
            assert verify_counts.read_tallied_zones() == [(upto, "")]


def _shape(database: Database, table: type[Model]) -> tuple[set[str], set[str]]:
    name = table._meta.table_name
    columns = {column.name for column in database.get_columns(name)}
    return columns, {index.name for index in database.get_indexes(name)}


def test_what_an_import_changed_before_version_30_can_still_be_taken_back(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        migrations.upgrade_database(database)
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
        assert migrations.upgrade_database(database) == 29
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
        migrations.upgrade_database(database)
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
        assert migrations.upgrade_database(database) == 31
        assert [_shape(database, table) for table in (Contact, SignUp)] == expected
        subjects = (moved.subject, erased.subject, other.subject)
        found = [lookup.find_current_contact(news.id, subject) for subject in subjects]
        assert found == [moved, back, None]
        assert lookup.list_erased_contacts(news.id, erased.subject) == [erased]


_COUNTS_OF_ONE = (
    '{"rows": 1, "addresses": 1, "fates": {"duplicate": 1}, "merged": 0, "improved": 1}'
)


def test_a_launch_under_way_in_version_31_lets_its_pilot_go(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        migrations.upgrade_database(database)
        expected = _shape(database, Mail)
        news = make_list(database)
        for _ in range(4):
            make_contact(database, news)
        start(database, news, pilot=2, max_rows=3)
        assert enqueue_asks.read_enqueue_progress(Campaign.get()) == enqueue_asks.EnqueueProgress(
            made=3, asked=4
        )
        with database.atomic():
            Mail.update(due_at=AFTER_PILOT).execute()
            run_sql(database, "DROP INDEX mail_in_doubt")
            run_sql(
                database, "CREATE INDEX mail_in_doubt ON mail (list_id) WHERE state = 'in_doubt'"
            )
            Meta.update(value="31").where(Meta.key == "schema_version").execute()
        assert migrations.upgrade_database(database) == 31
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
        migrations.upgrade_database(database)
        expected = _shape(database, Mail)
        with database.atomic():
            run_sql(database, "DROP INDEX mail_personal")
            Meta.update(value="33").where(Meta.key == "schema_version").execute()
        assert migrations.upgrade_database(database) == 33
        assert _shape(database, Mail) == expected


def test_of_a_database_of_version_36_failures_are_found_by_age_and_messages_by_name(
    empty_database_url: str,
) -> None:
    with open_database(empty_database_url) as database:
        migrations.upgrade_database(database)
        expected = [_shape(database, table) for table in (Throttle, SeenMessage)]
        names = ["0" * 16, "f" * 16 + "!"]
        with database.atomic():
            run_sql(database, "DROP INDEX throttle_last_at")
            database.drop_tables([SeenMessage])
            Meta.write("mailbox:by-pop3", json.dumps(names))
            Meta.write("mailbox:by-imap", "[7, 2, 0, 0]")
            Meta.update(value="36").where(Meta.key == "schema_version").execute()
        assert migrations.upgrade_database(database) == 36
        assert [_shape(database, table) for table in (Throttle, SeenMessage)] == expected
        known = [(row.mailbox, row.name) for row in SeenMessage.select().order_by(SeenMessage.id)]
        assert known == [("mailbox:by-pop3", name) for name in names]
        assert Meta.read("mailbox:by-pop3") is None
        assert Meta.read("mailbox:by-imap") == "[7, 2, 0, 0]"


def test_of_a_database_of_version_38_addresses_are_compared_by_letter(
    empty_postgresql_url: str,
) -> None:
    with open_database(empty_postgresql_url) as database:
        migrations.upgrade_database(database)
        expected = _structure(database)
        with database.atomic():
            run_sql(database, "ALTER TABLE contact ALTER COLUMN address_key TYPE TEXT")
            run_sql(
                database,
                'CREATE INDEX contact_by_letter ON contact (list_id, (address_key COLLATE "C"))',
            )
            Meta.update(value="38").where(Meta.key == "schema_version").execute()
        assert migrations.upgrade_database(database) == 38
        assert _structure(database) == expected
