"""Versions of the database: an older one is upgraded at start, a newer one is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from repermit.db.all_tables import ALL_TABLES
from repermit.db.background_tasks import BackgroundTask, TaskKind, targets_of
from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.journal_seal import JOURNAL_SEALED_SINCE
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
from repermit.db.models.base import Meta, read_moment
from repermit.db.models.campaigns import Campaign, CampaignWording, Draft, HandedOver
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidenceNode, EvidencePart
from repermit.db.models.imports import ImportChange, Upload
from repermit.db.models.lists import ListText, MailingList, RegisterNotes
from repermit.db.models.mails import FreshLink, Mail, Pace, Reply
from repermit.db.models.settings import Chosen, Correction
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.db.row_counts import COUNTS, Tally, keep_counts
from repermit.errors import SchemaTooNew
from repermit.evidence import erasable_parts, stored_tree
from repermit.evidence.verify import counts
from repermit.rules.consent import REFUSALS

_KEY = "schema_version"


def _create(database: Database) -> None:
    """Make the tables as they are now, whatever version that is."""
    database.create_tables(ALL_TABLES)
    _find_by_beginning(database)
    keep_counts(database)
    EvidenceHead.insert(id=1, seq=0, hash="0" * 64).execute()
    stored_tree.grow_tree()


def _pace_and_bounces(database: Database) -> None:
    """Version 2: pilots, reminders, rates, bounces, replies; work is found by partial indexes."""
    moment = "TIMESTAMPTZ" if is_postgresql(database) else "TEXT"
    for table, column in (
        ("campaign", "pause_reason VARCHAR(255) NOT NULL DEFAULT ''"),
        ("campaign", "pilot INTEGER NOT NULL DEFAULT 0"),
        ("campaign", f"reminder_at {moment}"),
        ("campaign", f"reminded_at {moment}"),
        ("campaign", "brake_sent INTEGER NOT NULL DEFAULT 0"),
        ("campaign", "brake_bounced INTEGER NOT NULL DEFAULT 0"),
        ("campaign", "brake_complaints INTEGER NOT NULL DEFAULT 0"),
        ("campaign_wording", "revision SMALLINT NOT NULL DEFAULT 1"),
        ("mail", "wording_id INTEGER REFERENCES campaign_wording (id)"),
        ("mail", "bounce VARCHAR(255) NOT NULL DEFAULT ''"),
        ("mail", "bounce_status VARCHAR(255) NOT NULL DEFAULT ''"),
        ("mail", f"bounced_at {moment}"),
        ("mail", "topic VARCHAR(255) NOT NULL DEFAULT ''"),
    ):
        run_sql(database, f"ALTER TABLE {table} ADD COLUMN {column}")
    run_sql(database, "DROP INDEX campaign_wording_campaign_id_kind_language")
    run_sql(database, "DROP INDEX mail_state_due_at")
    # Of the tables that are there already, this makes the indexes that are not.
    database.create_tables([CampaignWording, Mail, Pace, Reply])


def _logins_and_desk(database: Database) -> None:
    """Version 3: who logs in, API tokens, webhooks, campaigns that are being prepared."""
    database.create_tables(
        [
            User,
            RecoveryCode,
            Invitation,
            Session,
            Throttle,
            ApiToken,
            Access,
            Webhook,
            Delivery,
            Draft,
            Upload,
            HandedOver,
        ]
    )


def _leases(database: Database) -> None:
    """Version 4: a mail that starts changes one index fewer."""
    run_sql(database, "DROP INDEX IF EXISTS mail_held")
    database.create_tables([Mail])


def _tallies(database: Database) -> None:
    """Version 5: counts that are kept; contacts are found by letter."""
    run_sql(database, "DROP INDEX IF EXISTS contact_list_id_status_reason")
    database.create_tables([Tally])
    _find_by_beginning(database)


def _paces(database: Database) -> None:
    """Version 6: nothing stands in line for a domain."""
    # Version 2 makes the table as it is now.
    if any(column.name == "tail_at" for column in database.get_columns("pace")):
        run_sql(database, "ALTER TABLE pace DROP COLUMN tail_at")


def _merkle_tree(database: Database) -> None:
    """Version 7: a Merkle tree over the chain, also over what stands in it already."""
    there = {column.name for column in database.get_columns("evidence_head")}
    for name, kind in (("root", "VARCHAR(64)"), ("frontier", "TEXT")):
        if name not in there:
            column = f"{name} {kind} NOT NULL DEFAULT ''"
            run_sql(database, f"ALTER TABLE evidence_head ADD COLUMN {column}")
    database.create_tables([EvidenceNode])
    stored_tree.grow_tree()


def _choices(database: Database) -> None:
    """Version 8: settings that are chosen on the admin's pages."""
    database.create_tables([Chosen])


def _counts(database: Database) -> None:
    """Version 9: contacts and mails are counted as they change."""
    database.create_tables(COUNTS)
    keep_counts(database)


def _receipts(database: Database) -> None:
    """Version 10: a list says whether whoever says Yes gets the receipt by mail."""
    if any(column.name == "receipts" for column in database.get_columns("mailing_list")):
        return
    # On PostgreSQL a boolean has words of its own.
    no = "FALSE" if is_postgresql(database) else "0"
    run_sql(database, f"ALTER TABLE mailing_list ADD COLUMN receipts BOOLEAN NOT NULL DEFAULT {no}")


def _rare_ones(database: Database) -> None:
    """Version 11: mails that were put off are found at once."""
    database.create_tables([Mail])


def _erasures(database: Database) -> None:
    """Version 12: which parts are to end is found by partial indexes."""
    database.create_tables([EvidencePart])


def _papers(database: Database) -> None:
    """Version 13: what the record of processing takes from the organisation."""
    database.create_tables([RegisterNotes])


def _fresh_links(database: Database) -> None:
    """Version 14: links for one use; who says they are not the person meant is counted."""
    database.create_tables([FreshLink, Evidence])


def _more_counts(database: Database) -> None:
    """Version 15: what is held of people, suppressions and parts of the evidence are counted."""
    _drop_counts(database)
    database.create_tables(COUNTS)
    keep_counts(database)


def _steps(_database: Database) -> None:
    """Version 16: a launch goes in steps; since version 29 in those of all large work."""


def _lost_launches(database: Database) -> None:
    """Version 17: a list remembers a launch of which a restored database knows nothing."""
    if any(column.name == "lost_launch_at" for column in database.get_columns("mailing_list")):
        return
    moment = "TIMESTAMPTZ" if is_postgresql(database) else "TEXT"
    run_sql(database, f"ALTER TABLE mailing_list ADD COLUMN lost_launch_at {moment}")


def _steps_back(database: Database) -> None:
    """Version 18: an import is taken back in steps, and what it brought is found by indexes."""
    database.create_tables([Suppression])


def _openings(database: Database) -> None:
    """Version 19: how links were opened, and whose Yes is held."""
    database.create_tables([Opening])


def _list_texts(database: Database) -> None:
    """Version 20: a list in further languages."""
    database.create_tables([ListText])


def _weighed_sign_ups(database: Database) -> None:
    """Version 21: a sign-up knows what was pressed on its page."""
    there = {column.name for column in database.get_columns("sign_up")}
    moment = "TIMESTAMPTZ" if is_postgresql(database) else "TEXT"
    for name in ("declined_at", "doubted_at"):
        if name not in there:
            run_sql(database, f"ALTER TABLE sign_up ADD COLUMN {name} {moment}")


def _rounds(database: Database) -> None:
    """Version 22: of a Yes that was asked for again it is known by which page it became one."""
    there = {column.name for column in database.get_columns("opening")}
    moment = "TIMESTAMPTZ" if is_postgresql(database) else "TEXT"
    if "settled_at" not in there:
        run_sql(database, f"ALTER TABLE opening ADD COLUMN settled_at {moment}")


def _counted_files(database: Database) -> None:
    """Version 23: of how many people something stands in a file that waits to be taken in."""
    there = {column.name for column in database.get_columns("upload")}
    for name in ("rows", "people"):
        if name not in there:
            run_sql(database, f'ALTER TABLE upload ADD COLUMN "{name}" INTEGER')


def _corrections(database: Database) -> None:
    """Version 24: texts of mails and pages that an admin corrected."""
    database.create_tables([Correction])


def _logins_hardened(database: Database) -> None:
    """Version 25: recovery codes are hashed slowly; what was refused is counted."""
    text = "VARCHAR(%d) NOT NULL DEFAULT ''"
    _add_columns(database, "recovery_code", {"selector": text % 8, "hash": text % 255})
    database.create_tables([SecurityEvent])


def _told_terms(_: Database) -> None:
    """Version 26: erasures of proofs from here on tell the term by which these were due."""
    newest = EvidenceHead.select(EvidenceHead.seq).scalar() or 0
    Meta.insert(
        key=erasable_parts.TERMS_TOLD_SINCE, value=str(newest)
    ).on_conflict_ignore().execute()


def _numbered_forms(database: Database) -> None:
    """Version 27: the forms of a page are good for one press, and a No is known for good."""
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


def _receipts_by_default(_database: Database) -> None:
    """Version 28: receipts go by mail, except on lists whose admin has chosen otherwise.

    Who chose stands in the record, since each change of a list does.
    """
    acts: Any = (
        Evidence.select(Evidence.list, EvidencePart.json)
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(Evidence.event.in_(("list_added", "list_changed")), EvidencePart.part == "consent")
        .tuples()
    )
    chosen = {slug for slug, told in acts if "receipts" in json.loads(told).get("fields", {})}
    MailingList.update(receipts=True).where(MailingList.slug.not_in(chosen)).execute()


def _background_tasks(database: Database) -> None:
    """Version 29: all large work that is under way stands in one table."""
    database.create_tables([BackgroundTask])
    for table, (kind, query) in _FORMER_TASKS.items():
        if database.table_exists(table):
            cursor = run_sql(database, query)
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                _take_over_task(kind, dict(zip(names, row, strict=True)))
            run_sql(database, f"DROP TABLE {table}")


def _take_over_task(kind: TaskKind, row: dict[str, Any]) -> None:
    known = {name: row.pop(name) for name in ("target", "list", "actor")}
    at = read_moment(row.pop("at"))
    if "facts" in row:
        row["facts"] = json.loads(row["facts"])
    BackgroundTask.create(kind=kind, at=at, progress=json.dumps(row, ensure_ascii=False), **known)


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


def _tallied_and_sealed(_: Database) -> None:
    """Version 30: of days counted before the time zone is not known, nor is each journal sealed."""
    newest = EvidenceHead.select(EvidenceHead.seq).scalar() or 0
    Meta.insert(key=JOURNAL_SEALED_SINCE, value=str(newest)).on_conflict_ignore().execute()
    row = Meta.get_or_none(Meta.key == counts.TALLIED_UPTO)
    if row is not None:
        value = json.dumps({"after": int(row.value), "zone": ""})
        Meta.insert(key=counts.TALLIED_IN, value=value).on_conflict_ignore().execute()


def _imports_in_steps(database: Database) -> None:
    """Version 31: an import goes in steps, and who it brings is counted once it is whole."""
    database.create_tables([ImportChange])
    if any(column.name == "before" for column in database.get_columns("import")):
        query = "SELECT id, before FROM import WHERE before <> '[]'"
        for record, before in run_sql(database, query).fetchall():
            for contact, status, status_at, basis, basis_at in json.loads(before):
                ImportChange.create(
                    record=record,
                    contact=contact,
                    status=status,
                    status_at=read_moment(status_at),
                    basis=basis,
                    basis_at=read_moment(basis_at) if basis_at else None,
                )
        run_sql(database, "ALTER TABLE import DROP COLUMN before")
    _drop_counts(database)
    database.create_tables(COUNTS)
    keep_counts(database)


def _doubts_and_pilots_in_steps(database: Database) -> None:
    """Version 32: mails in doubt are found in order, and each step of a launch lets its pilot go.

    What the steps before have made of a pilot is let go here.
    """
    run_sql(database, "DROP INDEX IF EXISTS mail_in_doubt")
    database.create_tables([Mail])
    for campaign in list(Campaign.select().where(Campaign.id.in_(targets_of(TaskKind.LAUNCH)))):
        made = Mail.select(Mail.id).where(Mail.campaign == campaign).order_by(Mail.id)
        first = made.limit(campaign.pilot)
        Mail.update(due_at=campaign.starts_at).where(Mail.id.in_(first)).execute()


def _found_at_once(database: Database) -> None:
    """Version 33: people are found by subject, and sign-ups that nobody confirmed by their age.

    Of people only who moved, came back or was erased. It makes the indexes of contacts of earlier
    versions too, which were left to it, since one needs the new column.
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


def _personal_mails(database: Database) -> None:
    """Version 34: mails that somebody has just asked for are found in order."""
    database.create_tables([Mail])


def _drop_counts(database: Database) -> None:
    """Drop what counts contacts by the columns of an older version."""
    for table in ("contact_count", "held_count"):
        run_sql(database, f"DROP TABLE IF EXISTS {table}")


def _add_columns(database: Database, table: str, columns: Mapping[str, str]) -> None:
    there = {column.name for column in database.get_columns(table)}
    for name, kind in columns.items():
        if name not in there:
            run_sql(database, f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


def _find_by_beginning(database: Database) -> None:
    """Let PostgreSQL find addresses by their first letters, whose index follows a language.

    SQLite compares letter by letter anyhow.
    """
    if is_postgresql(database):
        run_sql(
            database,
            "CREATE INDEX IF NOT EXISTS contact_by_letter "
            'ON contact (list_id, (address_key COLLATE "C"))',
        )


UPGRADES: tuple[Callable[[Database], None], ...] = (
    _create,
    _pace_and_bounces,
    _logins_and_desk,
    _leases,
    _tallies,
    _paces,
    _merkle_tree,
    _choices,
    _counts,
    _receipts,
    _rare_ones,
    _erasures,
    _papers,
    _fresh_links,
    _more_counts,
    _steps,
    _lost_launches,
    _steps_back,
    _openings,
    _list_texts,
    _weighed_sign_ups,
    _rounds,
    _counted_files,
    _corrections,
    _logins_hardened,
    _told_terms,
    _numbered_forms,
    _receipts_by_default,
    _background_tasks,
    _tallied_and_sealed,
    _imports_in_steps,
    _doubts_and_pilots_in_steps,
    _found_at_once,
    _personal_mails,
)
"""Step n turns version n into version n + 1; steps are only ever added at the end.

An empty database takes the first alone.
"""


def version(database: Database) -> int:
    """Return the version of the open database, 0 if it is empty."""
    if not database.table_exists(Meta._meta.table_name):  # noqa: SLF001  peewee's own way
        return 0
    row = Meta.get_or_none(Meta.key == _KEY)
    return int(row.value) if row else 0


def upgrade(database: Database) -> int:
    """Bring the open database to this version in one transaction; return the version it had.

    Safe to run from several processes at once. Raises SchemaTooNew.
    """
    had = version(database)
    _refuse_newer(had)
    if had == len(UPGRADES):
        return had
    with database.atomic():
        _wait_for_others(database)
        found = version(database)
        for step in UPGRADES[found:] if found else UPGRADES[:1]:
            step(database)
        Meta.insert(key=_KEY, value=str(len(UPGRADES))).on_conflict(
            conflict_target=[Meta.key], preserve=[Meta.value]
        ).execute()
    return had


def _refuse_newer(had: int) -> None:
    if had > len(UPGRADES):
        message = (
            f"this database is of version {had}, and this repermit knows {len(UPGRADES)} at most: "
            "install the newer repermit that wrote it"
        )
        raise SchemaTooNew(message)


def _wait_for_others(database: Database) -> None:
    """Let one process upgrade at a time; on SQLite the transaction itself sees to that."""
    if is_postgresql(database):
        run_sql(database, "SELECT pg_advisory_xact_lock(727001)")
