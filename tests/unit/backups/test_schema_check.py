"""A backup with anything in it that repermit does not make is refused, by name."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from repermit.backups import schema_check
from repermit.db import migrations, row_counts, write_lock
from repermit.db.models.contacts import Contact
from repermit.db.row_counts import find_drift
from repermit.rules.consent import Reason, Status
from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import Desk
from tests.support.inbox import Inbox
from tests.support.kept_database import JOURNAL, load_kept_database
from tests.support.postgresql_cluster import Cluster

# What somebody who got hold of a backup may have put into it, and what is then said.
STRANGE = {
    "trigger on evidence": (
        "CREATE TRIGGER harmless AFTER INSERT ON evidence BEGIN DELETE FROM suppression; END",
        "the trigger harmless",
    ),
    "trigger under one of our names": (
        (
            "DROP TRIGGER suppression_comes; CREATE TRIGGER suppression_comes AFTER INSERT ON "
            "suppression BEGIN DELETE FROM suppression WHERE id = NEW.id; END"
        ),
        "the trigger suppression_comes, which is not as repermit makes it",
    ),
    "our trigger on another table": (
        (
            "DROP TRIGGER mail_goes; CREATE TRIGGER mail_goes AFTER DELETE ON contact BEGIN "
            "DELETE FROM mail; END"
        ),
        "the trigger mail_goes, which is not as repermit makes it",
    ),
    "one more letter": (
        "DROP TRIGGER mail_goes; CREATE TRIGGER mail_goes AFTER DELETE ON mail BEGIN SELECT 1; END",
        "the trigger mail_goes, which is not as repermit makes it",
    ),
    "view": ("CREATE VIEW news AS SELECT * FROM contact", "the view news"),
    "view in place of a table": (
        "DROP TABLE draft; CREATE VIEW draft AS SELECT 1 AS id, 1 AS list_id, '' AS answers",
        "the view draft",
    ),
    "table": ("CREATE TABLE more (x TEXT)", "the table more"),
    "virtual table": ("CREATE VIRTUAL TABLE docs USING fts5(x)", "the table docs"),
    "virtual table under one of our names": (
        "DROP TABLE draft; CREATE VIRTUAL TABLE draft USING fts5(list_id)",
        "the table draft, which is not as repermit makes it",
    ),
    "index": ("CREATE INDEX slow ON contact (hex(address))", "the index slow"),
    "index under one of our names": (
        (
            "DROP INDEX suppression_fingerprint_list_id; CREATE UNIQUE INDEX "
            "suppression_fingerprint_list_id ON suppression (fingerprint)"
        ),
        "the index suppression_fingerprint_list_id, which is not as repermit makes it",
    ),
    "index that an earlier version had": (
        "CREATE INDEX undoing_list_id ON mail (state, worker)",
        "the index undoing_list_id",
    ),
    "generated column": (
        "ALTER TABLE contact ADD COLUMN uid2 TEXT GENERATED ALWAYS AS (uid || 'x') VIRTUAL",
        "the column uid2 of contact",
    ),
    "column": ("ALTER TABLE contact ADD COLUMN more TEXT", "the column more of contact"),
    "index gone": ("DROP INDEX campaign_one_live", "no index campaign_one_live"),
    "trigger gone": ("DROP TRIGGER contact_turns", "no trigger contact_turns"),
}

# The same for a table that is made anew: its wording from, to.
REWORDED = {
    "check": ('"value" TEXT NOT NULL', '"value" TEXT NOT NULL CHECK (length(hex(value)) > 0)'),
    "default that is reckoned": (
        '"value" TEXT NOT NULL',
        '"value" TEXT NOT NULL DEFAULT (hex(randomblob(4)))',
    ),
    "generated column of our name": (
        '"value" TEXT NOT NULL',
        "\"value\" TEXT GENERATED ALWAYS AS ('24') STORED",
    ),
    "collation": ('"value" TEXT NOT NULL', '"value" TEXT COLLATE NOCASE NOT NULL'),
    "rule for conflicts": ("PRIMARY KEY", "PRIMARY KEY ON CONFLICT IGNORE"),
    "comment": ('"value" TEXT NOT NULL', '"value" TEXT NOT NULL /* nothing */'),
    "may be null": ('"value" TEXT NOT NULL', '"value" TEXT'),
    "no key": ("PRIMARY KEY", ""),
}


@pytest.fixture
def backup(desk: Desk) -> Path:
    desk.add_news()
    path = desk.folder / "backup.db"
    desk.do("backup", str(path))
    return path


def refusal_of(desk: Desk, backup: Path) -> str:
    """Return why a backup is refused; nothing is changed by it."""
    place = desk.folder / "repermit.db"
    before = place.read_bytes()
    said = desk.refused("restore", str(backup), "--replace")
    assert place.read_bytes() == before
    assert not Path(f"{place}{write_lock.RESTORING_SUFFIX}").exists()
    assert not list(desk.folder.glob("*.replaced-*"))
    desk.do("status", "news")
    return said


@pytest.mark.parametrize(("statements", "expected"), STRANGE.values(), ids=STRANGE)
def test_what_repermit_does_not_make_is_named(
    desk: Desk, backup: Path, statements: str, expected: str
) -> None:
    with closing(sqlite3.connect(backup)) as opened:
        opened.executescript(statements)
    said = refusal_of(desk, backup)
    assert "this is no backup as repermit makes it, and nothing was changed" in said
    assert expected in said


@pytest.mark.parametrize(("wording", "other"), REWORDED.values(), ids=REWORDED)
def test_a_table_that_is_worded_otherwise_is_named(
    desk: Desk, backup: Path, wording: str, other: str
) -> None:
    with closing(sqlite3.connect(backup)) as opened:
        (made,) = opened.execute("SELECT sql FROM sqlite_master WHERE name = 'meta'").fetchone()
        assert wording in made
        rows = opened.execute("SELECT key, value FROM meta").fetchall()
        opened.execute("DROP TABLE meta")
        opened.execute(made.replace(wording, other))
        for row in rows:
            put = "(key) VALUES (?)" if "GENERATED" in other else "VALUES (?, ?)"
            opened.execute(f"INSERT INTO meta {put}", row[: put.count("?")])
        opened.commit()
    assert "the " in (said := refusal_of(desk, backup))
    assert "meta" in said


def test_where_a_deletion_would_take_others_along_is_named(desk: Desk, backup: Path) -> None:
    with closing(sqlite3.connect(backup)) as opened:
        opened.execute("PRAGMA writable_schema = ON")
        opened.execute(
            'UPDATE sqlite_master SET sql = replace(sql, \'"mailing_list" ("id")\', '
            "'\"mailing_list\" (\"id\") ON DELETE CASCADE') WHERE name = 'suppression'"
        )
        opened.commit()
    assert "the table suppression, which is not as repermit makes it" in refusal_of(desk, backup)


def test_nothing_of_a_strange_backup_is_run_however_old_it_says_it_is(
    desk: Desk, backup: Path
) -> None:
    with closing(sqlite3.connect(backup)) as opened:
        opened.executescript(
            "UPDATE meta SET value = '24' WHERE key = 'schema_version';"
            "CREATE TRIGGER late AFTER UPDATE ON meta BEGIN DELETE FROM suppression; END"
        )
    assert "the trigger late" in refusal_of(desk, backup)


def test_many_strangers_are_counted(desk: Desk, backup: Path) -> None:
    with closing(sqlite3.connect(backup)) as opened:
        for number in range(12):
            opened.execute(f"CREATE TABLE more_{number} (x)")
    assert "and 2 more" in refusal_of(desk, backup)


def test_what_sqlite_itself_keeps_is_taken(desk: Desk, backup: Path) -> None:
    with closing(sqlite3.connect(backup)) as opened:
        opened.execute("ANALYZE")
        opened.commit()
    desk.do("restore", str(backup), "--replace")


def test_a_backup_of_version_24_is_taken_with_its_journal(desk: Desk, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    load_kept_database(f"sqlite:///{old}")
    journal = desk.settings.journal
    assert journal
    shutil.copy(JOURNAL, journal)
    said = desk.do("restore", str(old), "--replace")
    assert "as the journal says: 1." in said
    with desk.database() as database:
        assert migrations.read_version(database) == migrations.NEWEST_VERSION
        withdrawn = Contact.get(Contact.address == "mind@example.org")
        assert (withdrawn.status, withdrawn.reason) == (Status.REMOVED, Reason.WITHDRAWN)
        assert find_drift(database) == 0
        assert list(iter_chain_faults()) == []


@pytest.mark.parametrize("version", [1, 23])
def test_a_backup_that_is_too_old_is_refused(desk: Desk, backup: Path, version: int) -> None:
    with closing(sqlite3.connect(backup)) as opened:
        # An index of that version, which a later one took away.
        opened.execute("CREATE INDEX mail_held ON mail (state, worker)")
        opened.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(version),))
        opened.commit()
    said = refusal_of(desk, backup)
    assert f"is of version {version}, and this repermit upgrades 24 at least" in said


@pytest.mark.parametrize("strange", [False, True])
def test_a_backup_of_version_28_with_work_under_way_is_taken(
    desk: Desk, tmp_path: Path, *, strange: bool
) -> None:
    desk.add_news()
    desk.do("backup", str(tmp_path / "old.db"))
    with closing(sqlite3.connect(tmp_path / "old.db")) as opened:
        for statement in schema_check._FORMER_TABLES:
            opened.execute(statement.replace('"at" TEXT', '"at" BLOB') if strange else statement)
        opened.execute('CREATE UNIQUE INDEX "undoing_list_id" ON "undoing" ("list_id")')
        opened.execute("DROP TABLE background_task")
        opened.execute("UPDATE meta SET value = '28' WHERE key = 'schema_version'")
        opened.commit()
    restore = ("restore", str(tmp_path / "old.db"), "--replace")
    if strange:
        assert "the table undoing" in desk.refused(*restore)
    else:
        desk.do(*restore)


def test_a_backup_of_version_35_counts_whom_a_file_brings_by_row(
    desk: Desk, tmp_path: Path
) -> None:
    desk.add_news()
    desk.do("backup", str(tmp_path / "old.db"))
    with closing(sqlite3.connect(tmp_path / "old.db")) as opened:
        for name, columns in (("contact", "status"), ("held", "addressed")):
            made = next(
                statement
                for statement in row_counts.list_former_triggers()
                if f" {name}_comes " in statement and columns in statement
            )
            opened.executescript(f"DROP TRIGGER {name}_comes; {made};")
        opened.execute("UPDATE meta SET value = '35' WHERE key = 'schema_version'")
        opened.commit()
    desk.do("restore", str(tmp_path / "old.db"), "--replace")
    desk.do("import", "news", desk.file("anna@example.org", "bert@example.org"))
    with desk.database() as database:
        assert Contact.select().count() == 2
        assert find_drift(database) == 0


# --- PostgreSQL.

STRANGE_ON_POSTGRESQL = {
    "table": ("CREATE TABLE more (x TEXT)", "the table more"),
    "view": ("CREATE VIEW news AS SELECT 1", "the view news"),
    "trigger": (
        (
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN DELETE FROM suppression; RETURN NULL; END $$; "
            "CREATE TRIGGER harmless AFTER INSERT ON evidence EXECUTE FUNCTION nothing()"
        ),
        "the trigger harmless",
    ),
    "our trigger on another table": (
        "CREATE TRIGGER contact_comes AFTER INSERT ON evidence EXECUTE FUNCTION count_contact()",
        "the trigger contact_comes",
    ),
    "rule": (
        "CREATE RULE nothing AS ON INSERT TO suppression DO INSTEAD NOTHING",
        "the rule nothing",
    ),
}


def test_on_postgresql_too_and_the_functions_of_our_triggers_are_made_anew(
    tmp_path: Path, cluster: Cluster, ready_postgresql: str, inbox: Inbox
) -> None:
    with cluster.fresh_database(like=ready_postgresql) as url:
        desk = Desk(tmp_path, database_url=url, inbox=inbox)
        desk.add_news()
        there = ("restore", "--already-there", "--without-journal")
        for statements, expected in STRANGE_ON_POSTGRESQL.values():
            with psycopg.connect(url, autocommit=True) as session:
                before = "SELECT proname FROM pg_proc WHERE proname = 'nothing'"
                assert session.execute(before).fetchone() is None
                with session.transaction(force_rollback=False):
                    session.execute(statements.encode())
            assert expected in desk.refused(*there)
            with psycopg.connect(url, autocommit=True) as session:
                session.execute(_UNDO)
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(
                "CREATE OR REPLACE FUNCTION count_suppression() RETURNS trigger LANGUAGE plpgsql "
                "AS $$ BEGIN DELETE FROM suppression; RETURN NULL; END $$"
            )
            # Also where an upgrade would leave it as it is.
            session.execute("UPDATE meta SET value = '33' WHERE key = 'schema_version'")
        desk.do(*there)
        with psycopg.connect(url, autocommit=True) as session:
            (source,) = session.execute(
                "SELECT prosrc FROM pg_proc WHERE proname = 'count_suppression'"
            ).fetchone() or ("",)
            assert "DELETE FROM suppression" not in source
            assert "suppression_count" in source


def test_a_postgresql_database_of_version_24_that_was_put_back_is_taken(
    tmp_path: Path, cluster: Cluster, inbox: Inbox
) -> None:
    with cluster.fresh_database() as url:
        load_kept_database(url)
        desk = Desk(tmp_path, database_url=url, inbox=inbox)
        desk.do("restore", "--already-there", "--without-journal")
        with desk.database() as database:
            assert find_drift(database) == 0
            assert list(iter_chain_faults()) == []


_UNDO = """\
DROP TABLE IF EXISTS more; DROP VIEW IF EXISTS news;
DROP TRIGGER IF EXISTS harmless ON evidence; DROP TRIGGER IF EXISTS contact_comes ON evidence;
DROP FUNCTION IF EXISTS nothing; DROP RULE IF EXISTS nothing ON suppression"""
