"""Restoring a backup, and suspending what may have gone on since it was made."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from peewee import fn

from repermit import email_address
from repermit.backups.backup import (
    BACKUP_ID_KEY,
    BACKUP_TIME_KEY,
    check_copy,
    copy_database,
    fsync_path,
)
from repermit.backups.journal_reader import read_journals
from repermit.backups.journal_replay import ReplayResult, replay
from repermit.backups.schema_check import (
    Schema,
    build_reference_schema,
    require_known_objects,
    require_known_on_postgresql,
    require_reference_schema,
)
from repermit.clock import format_timestamp
from repermit.db import migrations
from repermit.db.background_tasks import BackgroundTask, TaskKind, select_targets
from repermit.db.connection import Database, is_postgresql, open_database, run_sql
from repermit.db.journal_seal import delete_seals
from repermit.db.models.accounts import Invitation, Session
from repermit.db.models.base import Meta, parse_timestamp
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Suppression
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.db.row_counts import create_triggers
from repermit.db.suppression_journal import make_journal
from repermit.db.write_lock import (
    LOCK_SUFFIXES,
    RESTORING_SUFFIX,
    lock_database_exclusively,
)
from repermit.errors import Refused
from repermit.evidence import chain, stored_tree
from repermit.evidence.entries import Checkpoint, Entry
from repermit.rules.consent import LIVE_STATES, UNSETTLED, CampaignState, MailState, PauseReason
from repermit.settings.definitions import Settings
from repermit.suppression import suppressions
from repermit.temporary_files import open_private

_SIDE_FILE_SUFFIXES = ("-wal", "-shm", "-journal", *LOCK_SUFFIXES)
_SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, kw_only=True)
class SuspendedWork:
    """What a restore suspended, for a person to decide.

    - `paused`: the lists with a live campaign, which is paused now.
    - `in_doubt`: how many mails may have been sent since the backup.
    - `reminders`: the lists whose reminders may have been sent.
    - `launched`: the lists on which a campaign was launched since the backup, or may have been.
    """

    paused: tuple[str, ...]
    in_doubt: int
    reminders: tuple[str, ...]
    launched: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RestoreResult:
    """A restored database.

    - `made_at`: when the backup was made, None if the copy does not say.
    - `checkpoint`: the newest evidence entry in the backup.
    - `aside`: where the former database is now, None if there was none.
    """

    made_at: datetime | None
    checkpoint: Checkpoint
    replayed: ReplayResult
    held: SuspendedWork
    aside: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return the result in the form of the command's JSON."""
        replayed, held = self.replayed, self.held
        return {
            "made_at": self.made_at.isoformat() if self.made_at else None,
            "checkpoint": self.checkpoint.to_json(),
            "removed": {str(reason): count for reason, count in replayed.removed.items()},
            "moved": [vars(contact) for contact in replayed.moved],
            "suppressed": replayed.suppressed,
            "erased": replayed.erased,
            "remade": list(replayed.remade),
            "unreadable": replayed.unreadable,
            "paused": list(held.paused),
            "in_doubt": held.in_doubt,
            "reminders": list(held.reminders),
            "launched": list(held.launched),
            "aside": str(self.aside) if self.aside else None,
        }


def restore(
    path: Path | None,
    *,
    settings: Settings,
    journals: Sequence[Path],
    is_journal_lost: bool,
    replaces: bool,
    now: datetime,
    actor: str,
) -> RestoreResult:
    """Replace the SQLite database by the backup at `path`, or by a new one if that is None.

    1. Copy the backup beside the database, which is unchanged until the last step.
    2. Bring the copy up to date.
    3. Move the former database aside, and the copy in its place.

    After a kill it can be run again; until then no other command works. Raises Refused, with
    nothing changed: while another process uses the database, if there is one and not `replaces`,
    and for a file that is damaged, no backup, or has objects that repermit does not make.
    """
    database_path = settings.sqlite_path
    if database_path is None:
        raise Refused(
            "with PostgreSQL, its own tool puts the copy back: `pg_restore`; then give `repermit "
            "restore --already-there`"
        )
    if path is not None:
        _check_backup_file(path, database_path, replaces=replaces)
    with lock_database_exclusively(database_path):
        staging_path = Path(f"{database_path}{RESTORING_SUFFIX}")
        reference = build_reference_schema(settings)
        try:
            _make_staging_file(staging_path)
            if path is not None:
                _copy_to(staging_path, path, reference)
            with open_database(
                f"sqlite:///{staging_path}", journal=make_journal(settings)
            ) as database:
                updated = bring_up_to_date(
                    database,
                    reference=reference,
                    settings=settings,
                    journals=journals,
                    is_journal_lost=is_journal_lost,
                    now=now,
                    actor=actor,
                )
            _merge_into_one_file(staging_path)
        except BaseException:
            _delete(staging_path)
            raise
        aside = _swap_databases(staging_path, database_path)
    return replace(updated, aside=aside)


def bring_up_to_date(
    database: Database,
    *,
    settings: Settings,
    journals: Sequence[Path],
    is_journal_lost: bool = False,
    now: datetime,
    actor: str,
    reference: Schema | None = None,
) -> RestoreResult:
    """Bring a restored database up to date, as far as the journals tell; or make an empty one so.

    In one transaction: contacts that have left since are removed again (`replay`), work that may
    have gone on is suspended (`suspend_uncertain_work`), and an evidence entry records it.

    - `reference`: the schema that an SQLite database must have.
    - Raises Refused, with nothing changed: while others use a PostgreSQL database, for a schema
      that is not ours, for a journal that cannot be used, and if no journal is that of the backup,
      unless `is_journal_lost`.
    """
    _require_no_others(database)
    require_known_on_postgresql(database)
    if migrations.read_version(database):
        migrations.upgrade_database(database)
    with database.atomic():
        # An empty database stays one if this is refused.
        migrations.upgrade_database(database, begins_empty=True)
        if is_postgresql(database):
            # The functions of a dump may be others.
            create_triggers(database)
        if reference is not None:
            require_reference_schema(database, reference)
        suppressions.require_known_key(database, settings)
        key = settings.fingerprint_key
        backup_facts = {
            row.key: row.value
            for row in Meta.select().where(Meta.key.in_((BACKUP_ID_KEY, BACKUP_TIME_KEY)))
        }
        check_of_key = email_address.compute_key_check(key)
        journal = read_journals(
            journals, mark=backup_facts.get(BACKUP_ID_KEY, ""), key_check=check_of_key
        )
        is_known = journal.is_of_backup or not (
            BACKUP_ID_KEY in backup_facts or Suppression.select().exists()
        )
        if journals and not is_known and not is_journal_lost:
            raise Refused(_NOT_ITS_OWN)
        made_at = (
            parse_timestamp(backup_facts[BACKUP_TIME_KEY])
            if BACKUP_TIME_KEY in backup_facts
            else None
        )
        checkpoint = stored_tree.checkpoint()
        # From here on the journal of this machine is sealed.
        delete_seals()
        replayed = replay(journal, key=key, now=now, actor=actor)
        held = suspend_uncertain_work(
            launched=journal.launched if journals and is_known else None,
            made_at=made_at or now,
            now=now,
            actor=actor,
        )
        entry_content = {
            "made_at": format_timestamp(made_at) if made_at else "",
            "mark": backup_facts.get(BACKUP_ID_KEY, ""),
            "continues": checkpoint.to_json(),
            "removed": {str(reason): count for reason, count in replayed.removed.items()},
            "moved": len(replayed.moved),
            "suppressed": replayed.suppressed,
            "erased": replayed.erased,
            "remade": list(replayed.remade),
            "launched": list(held.launched),
            "in_doubt": held.in_doubt,
        }
        chain.append(Entry(event="restored", at=now, actor=actor, consent=entry_content))
    return RestoreResult(
        made_at=made_at, checkpoint=checkpoint, replayed=replayed, held=held, aside=None
    )


_NOT_ITS_OWN = (
    "no journal here was beside the database when this copy was made, as after a move to another "
    "machine, so that whoever has left since would be asked again: name the journal of then with "
    "--journal, or say --without-journal if it is lost for good"
)


def _require_no_others(database: Database) -> None:
    if not is_postgresql(database):
        return
    deadline = time.monotonic() + _MAX_DISCONNECT_SECONDS
    while (count := _count_others(database)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if count:
        raise Refused(
            f"other programs ({count}) are connected to the database: stop `repermit serve` and "
            "every `repermit worker` first, on each machine"
        )


_MAX_DISCONNECT_SECONDS = 1.0
"""Seconds for which PostgreSQL may still show a connection whose program has just ended."""


def _count_others(database: Database) -> int:
    others = "SELECT COUNT(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
    (count,) = run_sql(database, f"{others}current_database()").fetchone()
    return int(count)


def _check_backup_file(path: Path, database_path: Path, *, replaces: bool) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if beginning != _SQLITE_MAGIC:
        raise Refused(f"{path} is no backup: it is not an SQLite database")
    if database_path.exists():
        if database_path.samefile(path):
            raise Refused(f"{path} is the database itself; give the file of a backup")
        if not replaces:
            raise Refused(
                f"there is a database, {database_path}. With --replace it is put aside, not "
                "deleted, and what was answered since the backup is lost, except who has left"
            )


def _make_staging_file(staging_path: Path) -> None:
    """Make an empty file there, after deleting what a killed process left."""
    _delete(staging_path)
    with open(staging_path, "xb", opener=open_private):
        pass


def _copy_to(staging_path: Path, path: Path, reference: Schema) -> None:
    """Copy the backup to the staging path."""
    try:
        copy_database(path, staging_path)
        check_copy(staging_path)
        with closing(sqlite3.connect(staging_path)) as connection:
            names = "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('meta', 'evidence_head')"
            if connection.execute(names).fetchone() != (2,):
                raise Refused(f"{path} is no backup of repermit")
            require_known_objects(connection, reference)
    except sqlite3.Error as error:
        raise Refused(f"{path} cannot be used: {error}") from None


def _merge_into_one_file(database: Path) -> None:
    """Write a database into its one file, and delete its side files."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    for suffix in _SIDE_FILE_SUFFIXES:
        _unlink(f"{database}{suffix}")
    fsync_path(database)


def _swap_databases(staging_path: Path, database_path: Path) -> Path | None:
    """Move the former database aside, and the staged one in its place; return where it went.

    Between the two moves nobody creates an empty database, as the staged one still exists. The
    former one is not opened: it may be damaged, and SQLite deletes the log of a file that it cannot
    read. Its log is moved first, to the name that is found again if this is interrupted.
    """
    aside = None
    if database_path.exists():
        aside = _find_free_name(database_path)
        with suppress(FileNotFoundError):
            Path(f"{database_path}-wal").rename(f"{aside}-wal")
        database_path.rename(aside)
    for suffix in _SIDE_FILE_SUFFIXES[:3]:
        _unlink(f"{database_path}{suffix}")
    staging_path.rename(database_path)
    fsync_path(database_path.parent)
    return aside


def _find_free_name(database_path: Path) -> Path:
    names = (Path(f"{database_path}.replaced-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def _delete(database: Path) -> None:
    for suffix in ("", *_SIDE_FILE_SUFFIXES):
        _unlink(f"{database}{suffix}")


def _unlink(name: str) -> None:
    with suppress(FileNotFoundError):
        Path(name).unlink()


# --- Suspending what may have gone on since the backup. -------------------------------------------


def suspend_uncertain_work(
    *,
    launched: Mapping[str, Iterable[datetime]] | None,
    made_at: datetime,
    now: datetime,
    actor: str,
) -> SuspendedWork:
    """Suspend whatever may have gone on after `made_at`, in the caller's transaction.

    1. Pause live campaigns, so that nobody is asked, or removed although they may have answered.
    2. Mark unsent mails as in doubt, for a person to decide.
    3. Do not start reminders that may have started already.
    4. Where a campaign was launched since, note it on the list, so that the mails of its next
       campaign are in doubt too. `launched` has the launch times by list; None without a journal,
       for any list.
    5. Delete all sessions and invitations, and use up all fresh links.
    6. Delete pending decisions about mails in doubt: the mails may have been sent again since.
    """
    live = list(Campaign.select().where(Campaign.state.in_(LIVE_STATES)).order_by(Campaign.id))
    reminders = tuple(
        campaign.list.slug for campaign in live if _has_begun_to_remind(campaign, now)
    )
    for campaign in live:
        _pause(campaign, now, actor)
    BackgroundTask.delete().where(BackgroundTask.kind == TaskKind.RESOLVE).execute()
    Session.delete().execute()
    Invitation.delete().execute()
    FreshLink.update(used_at=now, authority="").execute()
    return SuspendedWork(
        paused=tuple(campaign.list.slug for campaign in live),
        in_doubt=_mark_in_doubt(made_at),
        reminders=reminders,
        launched=_mark_lost_launches(_find_lost_launches(launched, made_at)),
    )


def _find_lost_launches(
    launched: Mapping[str, Iterable[datetime]] | None, made_at: datetime
) -> dict[str, datetime]:
    """Return, by list, the last launch of which the backup may lack asks."""
    if launched is None:
        return {mailing_list.slug: made_at for mailing_list in MailingList.select()}
    known = {(campaign.list.slug, campaign.launched_at) for campaign in Campaign.select()}
    lost = {
        slug: max(unknown)
        for slug, times in launched.items()
        if (unknown := [at for at in times if (slug, at) not in known])
    }
    # The asks of these were still being enqueued: those that the backup lacks may have been sent.
    unfinished = Campaign.select().where(Campaign.id.in_(select_targets(TaskKind.LAUNCH)))
    return {campaign.list.slug: campaign.launched_at for campaign in unfinished} | lost


def _mark_lost_launches(lost: Mapping[str, datetime]) -> tuple[str, ...]:
    for slug, at in lost.items():
        MailingList.update(lost_launch_at=at).where(MailingList.slug == slug).execute()
    return tuple(sorted(lost))


def _mark_in_doubt(made_at: datetime) -> int:
    # A mail that was being sent keeps its start; all others start with the backup.
    values: dict[str, Any] = {
        "state": MailState.IN_DOUBT,
        "reason": PauseReason.RESTORED,
        "started_at": fn.COALESCE(Mail.started_at, made_at),
        "worker": "",
        "lease_until": None,
    }
    return int(Mail.update(**values).where(Mail.state.in_(UNSETTLED)).execute())


def _has_begun_to_remind(campaign: Campaign, now: datetime) -> bool:
    return bool(campaign.reminder_at and campaign.reminder_at <= now and not campaign.reminded_at)


def _pause(campaign: Campaign, now: datetime, actor: str) -> None:
    if campaign.state != CampaignState.PAUSED:
        campaign.paused_from = campaign.state
        campaign.state = CampaignState.PAUSED
    # An earlier reason is kept, as the admin still has to look at it.
    campaign.pause_reason = campaign.pause_reason or PauseReason.RESTORED
    if _has_begun_to_remind(campaign, now):
        campaign.reminded_at = now
    campaign.save()
    chain.append(
        Entry(
            event="paused",
            at=now,
            actor=actor,
            list=campaign.list.slug,
            campaign=campaign.id,
            consent={"reason": str(PauseReason.RESTORED)},
        )
    )
