"""Migrations: a database of an older version is upgraded at start, a newer one is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from repermit.db.background_tasks import BackgroundTask, TaskKind, select_targets
from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.journal_seal import JOURNAL_SEALED_SINCE, require_nothing_noted
from repermit.db.models.accounts import (
    Access,
    ApiToken,
    Invitation,
    RecoveryCode,
    SecurityEvent,
    Session,
    Throttle,
    User,
)
from repermit.db.models.base import Meta, Table, parse_timestamp
from repermit.db.models.campaigns import Campaign, CampaignWording, Draft, HandedOver, Wording
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import (
    Evidence,
    EvidenceHead,
    EvidenceNode,
    EvidencePart,
    EvidenceTimestamp,
)
from repermit.db.models.imports import Import, ImportChange, Upload
from repermit.db.models.lists import ListText, MailingList, RegisterNotes
from repermit.db.models.mails import FreshLink, Mail, Pace, Reply, SeenMessage
from repermit.db.models.settings import Chosen, Correction
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.db.row_counts import COUNTS, Tally, create_triggers
from repermit.errors import Refused, SchemaTooNew, SchemaTooOld
from repermit.rules.consent import REFUSALS

ALL_TABLES: tuple[type[Table], ...] = (
    Meta,
    MailingList,
    ListText,
    Correction,
    Import,
    ImportChange,
    Contact,
    SignUp,
    Campaign,
    Wording,
    CampaignWording,
    Mail,
    Pace,
    Reply,
    SeenMessage,
    Suppression,
    EvidenceHead,
    Evidence,
    EvidenceNode,
    EvidencePart,
    EvidenceTimestamp,
    User,
    RecoveryCode,
    Invitation,
    Session,
    Throttle,
    SecurityEvent,
    ApiToken,
    Access,
    Webhook,
    Delivery,
    Draft,
    Upload,
    HandedOver,
    Tally,
    Chosen,
    *COUNTS,
    BackgroundTask,
    RegisterNotes,
    FreshLink,
    Opening,
)
"""All tables, in an order in which they can be created."""

OLDEST_VERSION = 24
"""The oldest version that is upgraded: that of commit 857b5f4, before any release."""

_VERSION_KEY = "schema_version"
_NUMBER = re.compile(r"[0-9]{1,9}")


def _create_tables(database: Database) -> None:
    """Create the tables of the newest version."""
    database.create_tables(ALL_TABLES)
    _compare_addresses_by_letter(database)
    create_triggers(database)
    # The root of a tree without leaves: RFC 9162 §2.1.1.
    root = hashlib.sha256().hexdigest()
    EvidenceHead.insert(id=1, seq=0, hash="0" * 64, root=root).execute()


def _hash_recovery_codes(database: Database) -> None:
    """Version 25: recovery codes are hashed slowly; security events are counted."""
    text = "VARCHAR(%d) NOT NULL DEFAULT ''"
    _add_columns(database, "recovery_code", {"selector": text % 8, "hash": text % 255})
    database.create_tables([SecurityEvent])


def _note_terms_told(_: Database) -> None:
    """Version 26: later erasures of proofs state their retention term."""
    newest = EvidenceHead.select(EvidenceHead.seq).scalar() or 0
    Meta.insert(key="terms_told_since", value=str(newest)).on_conflict_ignore().execute()


def _number_forms(database: Database) -> None:
    """Version 27: the forms of a page are good for one press, and a No is stored for good."""
    version = {"form_version": "INTEGER NOT NULL DEFAULT 0"}
    _add_columns(database, "sign_up", version)
    _add_columns(database, "contact", version | {"has_refused": "BOOLEAN NOT NULL DEFAULT FALSE"})
    reasons = ", ".join(f"'{reason}'" for reason in sorted(REFUSALS))
    run_sql(
        database,
        "UPDATE contact SET has_refused = TRUE "  # noqa: S608  our own words
        f"WHERE (status = 'removed' AND reason IN ({reasons}) AND subject NOT IN "
        "(SELECT subject FROM suppression WHERE imported_by_id IS NOT NULL)) "
        "OR id IN (SELECT contact_id FROM opening WHERE no_at IS NOT NULL)",
    )


def _send_receipts(_database: Database) -> None:
    """Version 28: receipts go by mail, except on lists whose admin has chosen otherwise.

    The record has that choice, as it has each change of a list.
    """
    acts: Any = (
        Evidence.select(Evidence.list, EvidencePart.json)
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(Evidence.event.in_(("list_added", "list_changed")), EvidencePart.part == "consent")
        .tuples()
    )
    chosen = {slug for slug, content in acts if "receipts" in json.loads(content).get("fields", {})}
    MailingList.update(receipts=True).where(MailingList.slug.not_in(chosen)).execute()


def _move_tasks(database: Database) -> None:
    """Version 29: all running tasks are in one table."""
    database.create_tables([BackgroundTask])
    for table, (kind, query) in _FORMER_TASKS.items():
        if database.table_exists(table):
            cursor = run_sql(database, query)
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                _move_task(kind, dict(zip(names, row, strict=True)))
            run_sql(database, f"DROP TABLE {table}")


def _move_task(kind: TaskKind, row: dict[str, Any]) -> None:
    columns = {name: row.pop(name) for name in ("target", "list", "actor")}
    at = parse_timestamp(row.pop("at"))
    if "facts" in row:
        row["facts"] = json.loads(row["facts"])
    BackgroundTask.create(kind=kind, at=at, progress=json.dumps(row, ensure_ascii=False), **columns)


_FORMER_TASKS = {
    "launching": (
        TaskKind.LAUNCH,
        """\
SELECT campaign.id AS target, list_id AS list, actor, launched_at AS at,
    facts, reached, newest, owed, suppressed
FROM launching JOIN campaign ON campaign.id = campaign_id""",
    ),
    "undoing": (
        TaskKind.UNDO_IMPORT,
        """\
SELECT record_id AS target, list_id AS list, actor, at,
    rows, reached, looked_at, contacts, restored, suppressions
FROM undoing""",
    ),
}


def _note_zone_and_seal(_: Database) -> None:
    """Version 30: marks that days counted before have no known zone, and journals no seal."""
    newest = EvidenceHead.select(EvidenceHead.seq).scalar() or 0
    Meta.insert(key=JOURNAL_SEALED_SINCE, value=str(newest)).on_conflict_ignore().execute()
    row = Meta.get_or_none(Meta.key == "tallied_upto")
    if row is not None:
        value = json.dumps({"after": int(row.value), "zone": ""})
        Meta.insert(key="tallied_in", value=value).on_conflict_ignore().execute()


def _move_import_changes(database: Database) -> None:
    """Version 31: an import runs in steps, and its contacts count once it is finished."""
    database.create_tables([ImportChange])
    if any(column.name == "before" for column in database.get_columns("import")):
        query = "SELECT id, before FROM import WHERE before <> '[]'"
        for record, before in run_sql(database, query).fetchall():
            for contact, status, status_at, basis, basis_at in json.loads(before):
                ImportChange.create(
                    record=record,
                    contact=contact,
                    status=status,
                    status_at=parse_timestamp(status_at),
                    basis=basis,
                    basis_at=parse_timestamp(basis_at) if basis_at else None,
                )
        run_sql(database, "ALTER TABLE import DROP COLUMN before")
    # Their columns are those of an older version.
    for table in ("contact_count", "held_count"):
        run_sql(database, f"DROP TABLE {table}")
    database.create_tables(COUNTS)
    create_triggers(database)


def _release_pilots(database: Database) -> None:
    """Version 32: an index of mails in doubt; each step of a launch releases its pilot's asks.

    The pilot's asks that a running launch has made before are released here.
    """
    run_sql(database, "DROP INDEX IF EXISTS mail_in_doubt")
    database.create_tables([Mail])
    for campaign in list(Campaign.select().where(Campaign.id.in_(select_targets(TaskKind.LAUNCH)))):
        asks = Mail.select(Mail.id).where(Mail.campaign == campaign).order_by(Mail.id)
        pilot_asks = asks.limit(campaign.pilot)
        Mail.update(due_at=campaign.starts_at).where(Mail.id.in_(pilot_asks)).execute()


def _index_subjects(database: Database) -> None:
    """Version 33: indexes of unconfirmed sign-ups by age, and of contacts by subject.

    The latter has only contacts that corrected their address, came back or were erased.
    """
    flag = {"has_predecessor": "BOOLEAN NOT NULL DEFAULT FALSE"}
    _add_columns(database, "contact", flag)
    run_sql(
        database,
        "UPDATE contact SET has_predecessor = TRUE "
        "WHERE subject IN (SELECT subject FROM evidence WHERE event = 'corrected') "
        "OR subject IN (SELECT subject FROM contact WHERE erased_at IS NOT NULL)",
    )
    database.create_tables([Contact, SignUp])


def _index_personal_mails(database: Database) -> None:
    """Version 34: an index of the mails that people have just requested."""
    database.create_tables([Mail])


def _make_timestamps(database: Database) -> None:
    """Version 35: timestamps over checkpoints, from the authority in the settings."""
    database.create_tables([EvidenceTimestamp])


def _count_files_by_step(database: Database) -> None:
    """Version 36: imported contacts are counted once a step, not by a trigger for each row."""
    create_triggers(database)


def _index_throttles(database: Database) -> None:
    """Version 37: an index of login throttles by their age."""
    database.create_tables([Throttle])


def _move_seen_messages(database: Database) -> None:
    """Version 38: each known message of a POP3 mailbox has a row of its own."""
    database.create_tables([SeenMessage])
    for row in list(Meta.select().where(Meta.key.startswith("mailbox:"))):
        names = json.loads(row.value)
        # For IMAP the value is a position, which consists of numbers.
        if all(isinstance(name, str) for name in names):
            SeenMessage.insert_names(row.key, names)
            row.delete_instance()


def _compare_addresses_by_letter(database: Database) -> None:
    """Version 39: PostgreSQL compares addresses letter by letter, as SQLite does.

    So the unique index of addresses also finds them by their first letters.
    """
    if is_postgresql(database):
        run_sql(database, "DROP INDEX IF EXISTS contact_by_letter")
        run_sql(database, 'ALTER TABLE contact ALTER COLUMN address_key TYPE TEXT COLLATE "C"')


def _index_suppressions(database: Database) -> None:
    """Version 40: an index of suppressions by subject, for the links of people who were erased."""
    database.create_tables([Suppression])


def _add_columns(database: Database, table: str, columns: Mapping[str, str]) -> None:
    existing = {column.name for column in database.get_columns(table)}
    for name, kind in columns.items():
        if name not in existing:
            run_sql(database, f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    _hash_recovery_codes,
    _note_terms_told,
    _number_forms,
    _send_receipts,
    _move_tasks,
    _note_zone_and_seal,
    _move_import_changes,
    _release_pilots,
    _index_subjects,
    _index_personal_mails,
    _make_timestamps,
    _count_files_by_step,
    _index_throttles,
    _move_seen_messages,
    _compare_addresses_by_letter,
    _index_suppressions,
)
"""The first one upgrades OLDEST_VERSION to the next, and so on; new ones are added at the end.

From the first release on, each release has one, tested with a database of the release before it in
tests/data/schemas.
"""

NEWEST_VERSION = OLDEST_VERSION + len(MIGRATIONS)


def read_version(database: Database) -> int:
    """Return the version of the open database; 0 if it is empty.

    Raises Refused if the stored version is not a number.
    """
    if not database.table_exists(Meta._meta.table_name):  # noqa: SLF001  peewee's own way
        return 0
    version = Meta.read(_VERSION_KEY)
    if version is None:
        return 0
    if not _NUMBER.fullmatch(version):
        raise Refused(
            "the version of this database (schema_version in the table meta) is no number: "
            "somebody has changed it. Restore a backup, or put back the number that it had"
        )
    return int(version)


def upgrade_database(database: Database, *, begins_empty: bool = False) -> int:
    """Upgrade the open database to NEWEST_VERSION in one transaction; return its former version.

    Safe to run from several processes at once. Raises SchemaTooNew and SchemaTooOld, and Refused
    for an empty database whose journal notes suppressions or launches, unless `begins_empty`.
    """
    old_version = read_version(database)
    require_supported(old_version)
    if old_version == NEWEST_VERSION:
        return old_version
    with database.atomic():
        _lock_upgrade(database)
        if version := read_version(database):
            for migrate in MIGRATIONS[version - OLDEST_VERSION :]:
                migrate(database)
        else:
            if not begins_empty:
                require_nothing_noted(database.journal)
            _create_tables(database)
        Meta.write(_VERSION_KEY, str(NEWEST_VERSION))
    return old_version


def require_supported(version: int) -> None:
    """Raise SchemaTooNew or SchemaTooOld for a version that cannot be used; 0 can."""
    if version > NEWEST_VERSION:
        raise SchemaTooNew(
            f"this database is of version {version}, and this repermit knows {NEWEST_VERSION} at "
            "most: install the newer repermit that wrote it"
        )
    if 0 < version < OLDEST_VERSION:
        raise SchemaTooOld(
            f"this database is of version {version}, and this repermit upgrades {OLDEST_VERSION} "
            "at least: open it first with the repermit of commit 857b5f4"
        )


def _lock_upgrade(database: Database) -> None:
    """Let one process upgrade at a time; on SQLite the transaction itself does that."""
    if is_postgresql(database):
        run_sql(database, "SELECT pg_advisory_xact_lock(727001)")
