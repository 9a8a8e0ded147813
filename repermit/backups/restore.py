"""Restoring a backup, and holding back what may have happened since it was made."""

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
from repermit.backups.backup import MADE_AT, MARK, check_copy, copy_database, fsync_path
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

_BESIDE = ("-wal", "-shm", "-journal", *LOCK_SUFFIXES)
_BEGINNING = b"SQLite format 3\0"


@dataclass(frozen=True, kw_only=True)
class SuspendedWork:
    """What a restored database holds back.

    - `paused`: the lists whose campaign was live.
    - `in_doubt`: how many mails may have been sent since.
    - `reminders`: the lists whose reminders may have been sent.
    - `launched`: the lists on which a campaign was launched since, or may have been.
    """

    paused: tuple[str, ...]
    in_doubt: int
    reminders: tuple[str, ...]
    launched: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RestoreResult:
    """A database that was put back.

    `made_at` is when its backup was made, None for a copy that says nothing of it; `checkpoint` the
    newest entry that it came with; `aside` where the database is that stood in its place.
    """

    made_at: datetime | None
    checkpoint: Checkpoint
    replayed: ReplayResult
    held: SuspendedWork
    aside: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        replayed, held = self.replayed, self.held
        return {
            "made_at": self.made_at.isoformat() if self.made_at else None,
            "checkpoint": self.checkpoint.to_json(),
            "removed": {str(reason): count for reason, count in replayed.removed.items()},
            "moved": [vars(one) for one in replayed.moved],
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
    path: Path,
    *,
    settings: Settings,
    journals: Sequence[Path],
    is_journal_lost: bool,
    replaces: bool,
    now: datetime,
    actor: str,
) -> RestoreResult:
    """Replace the SQLite database by the backup at `path`.

    1. Copy it beside the database, which stays as it was until the last step.
    2. Bring the copy up to date.
    3. Put the former database aside, and the copy in its place.

    Killed at any instant it can be run again; until then no other command works. Raises Refused,
    and then nothing was changed: while anybody works with the database, if there is one and not
    `replaces`, and for a file that is no sound backup, or holds more than repermit makes.
    """
    place = settings.sqlite_path
    if place is None:
        raise Refused(
            "with PostgreSQL, its own tool puts the copy back: `pg_restore`; then give `repermit "
            "restore --already-there`"
        )
    _check_backup_file(path, place, replaces=replaces)
    with lock_database_exclusively(place):
        ready = Path(f"{place}{RESTORING_SUFFIX}")
        fresh = build_reference_schema(settings)
        try:
            _copy_to(ready, path, fresh)
            with open_database(f"sqlite:///{ready}", journal=make_journal(settings)) as database:
                updated = bring_up_to_date(
                    database,
                    fresh=fresh,
                    settings=settings,
                    journals=journals,
                    is_journal_lost=is_journal_lost,
                    now=now,
                    actor=actor,
                )
            _merge_into_one_file(ready)
        except BaseException:
            _delete(ready)
            raise
        aside = _swap_databases(ready, place)
    return replace(updated, aside=aside)


def bring_up_to_date(
    database: Database,
    *,
    settings: Settings,
    journals: Sequence[Path],
    is_journal_lost: bool = False,
    now: datetime,
    actor: str,
    fresh: Schema | None = None,
) -> RestoreResult:
    """Bring a restored database up to date, as far as the journals tell.

    In one transaction: who has left since is removed again (`replay`), what may have been sent or
    decided since is held back (`suspend_uncertain_work`), and the evidence records it.

    - `fresh`: the schema that an SQLite database must have.
    - Raises Refused, and then nothing was changed: while others work with a PostgreSQL database,
      for a schema that is not ours, for a journal that cannot be used, and unless
      `is_journal_lost` where none is the journal of the backup.
    """
    _require_no_others(database)
    require_known_on_postgresql(database)
    migrations.upgrade_database(database)
    if fresh is not None:
        require_reference_schema(database, fresh)
    suppressions.require_known_key(database, settings)
    key = settings.fingerprint_key
    facts = {row.key: row.value for row in Meta.select().where(Meta.key.in_((MARK, MADE_AT)))}
    check_of_key = email_address.compute_key_check(key)
    journal = read_journals(journals, mark=facts.get(MARK, ""), key_check=check_of_key)
    is_known = journal.is_of_backup or not (MARK in facts or Suppression.select().exists())
    if journals and not is_known and not is_journal_lost:
        raise Refused(_NOT_ITS_OWN)
    made_at = parse_timestamp(facts[MADE_AT]) if MADE_AT in facts else None
    before = stored_tree.checkpoint()
    with database.atomic():
        # The journal that is there now counts from here on.
        delete_seals()
        replayed = replay(journal, key=key, now=now, actor=actor)
        held = suspend_uncertain_work(
            launched=journal.launched if journals and is_known else None,
            made_at=made_at or now,
            now=now,
            actor=actor,
        )
        told = {
            "made_at": format_timestamp(made_at) if made_at else "",
            "mark": facts.get(MARK, ""),
            "continues": before.to_json(),
            "removed": {str(reason): count for reason, count in replayed.removed.items()},
            "moved": len(replayed.moved),
            "suppressed": replayed.suppressed,
            "erased": replayed.erased,
            "remade": list(replayed.remade),
            "launched": list(held.launched),
            "in_doubt": held.in_doubt,
        }
        chain.append(Entry(event="restored", at=now, actor=actor, consent=told))
    return RestoreResult(
        made_at=made_at, checkpoint=before, replayed=replayed, held=held, aside=None
    )


_NOT_ITS_OWN = (
    "no journal here was beside the database when this copy was made, as after a move to another "
    "machine, so that whoever has left since would be asked again: name the journal of then with "
    "--journal, or say --without-journal if it is lost for good"
)


def _require_no_others(database: Database) -> None:
    if not is_postgresql(database):
        return
    deadline = time.monotonic() + _LONGEST_END
    while (count := _count_others(database)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if count:
        raise Refused(
            f"other programs ({count}) are connected to the database: stop `repermit serve` and "
            "every `repermit worker` first, on each machine"
        )


_LONGEST_END = 1.0
"""Seconds for which PostgreSQL may still show a connection whose program has just ended."""


def _count_others(database: Database) -> int:
    others = "SELECT COUNT(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
    (count,) = run_sql(database, f"{others}current_database()").fetchone()
    return int(count)


def _check_backup_file(path: Path, place: Path, *, replaces: bool) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_BEGINNING))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if beginning != _BEGINNING:
        raise Refused(f"{path} is no backup: it is not an SQLite database")
    if place.exists():
        if place.samefile(path):
            raise Refused(f"{path} is the database itself; give the file of a backup")
        if not replaces:
            raise Refused(
                f"there is a database, {place}. With --replace it is put aside, not deleted, and "
                "what was answered since the backup is lost but for who has left"
            )


def _copy_to(ready: Path, path: Path, fresh: Schema) -> None:
    """Copy the backup to where it is prepared; what a killed process left there is deleted."""
    _delete(ready)
    with open(ready, "xb", opener=open_private):
        pass
    try:
        copy_database(path, ready)
        check_copy(ready)
        with closing(sqlite3.connect(ready)) as opened:
            names = "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('meta', 'evidence_head')"
            if opened.execute(names).fetchone() != (2,):
                raise Refused(f"{path} is no backup of repermit")
            require_known_objects(opened, fresh)
    except sqlite3.Error as error:
        raise Refused(f"{path} cannot be used: {error}") from None


def _merge_into_one_file(database: Path) -> None:
    """Write all of a database into one file, and delete those beside it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        opened.execute("PRAGMA journal_mode = DELETE")
    for ending in _BESIDE:
        _unlink(f"{database}{ending}")
    fsync_path(database)


def _swap_databases(ready: Path, place: Path) -> Path | None:
    """Put the former database aside and the one that is made ready in its place.

    Between the two nobody makes an empty one, since the one that is made ready is still there. The
    former one is not opened any more: it may be damaged, and SQLite throws away the log of what it
    cannot read. Its log goes first, to the name that is found again if this is broken off.
    """
    aside = None
    if place.exists():
        aside = _find_free_name(place)
        with suppress(FileNotFoundError):
            Path(f"{place}-wal").rename(f"{aside}-wal")
        place.rename(aside)
    for ending in _BESIDE[:3]:
        _unlink(f"{place}{ending}")
    ready.rename(place)
    fsync_path(place.parent)
    return aside


def _find_free_name(place: Path) -> Path:
    names = (Path(f"{place}.replaced-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def _delete(database: Path) -> None:
    for ending in ("", *_BESIDE):
        _unlink(f"{database}{ending}")


def _unlink(name: str) -> None:
    with suppress(FileNotFoundError):
        Path(name).unlink()


# --- Holding back what may have happened since the backup. ----------------------------------------


def suspend_uncertain_work(
    *,
    launched: Mapping[str, Iterable[datetime]] | None,
    made_at: datetime,
    now: datetime,
    actor: str,
) -> SuspendedWork:
    """Hold back whatever may have happened since `made_at`, in the caller's transaction.

    1. Campaigns that were live pause, so that nobody is asked, and nobody removed for a silence
    that may have been broken since. 2. Whatever mail had not been sent may have been: it is in
    doubt, and a person decides. 3. Reminders that may have begun are not begun again. 4. Where a
    campaign was launched since, the mails of the next one are in doubt too: `launched` says when by
    list, as far as journals tell, and None that there is no journal, so that it may have been on
    any. 5. Whoever was logged in is no more, and one-time links that may have been used end.
    6. What was being decided about mails in doubt ends: they may have been sent again since.
    """
    live = list(Campaign.select().where(Campaign.state.in_(LIVE_STATES)).order_by(Campaign.id))
    reminders = tuple(one.list.slug for one in live if _has_begun_to_remind(one, now))
    for campaign in live:
        _pause(campaign, now, actor)
    BackgroundTask.delete().where(BackgroundTask.kind == TaskKind.RESOLVE).execute()
    Session.delete().execute()
    Invitation.delete().execute()
    FreshLink.update(used_at=now, authority="").execute()
    return SuspendedWork(
        paused=tuple(one.list.slug for one in live),
        in_doubt=_mark_in_doubt(made_at),
        reminders=reminders,
        launched=_mark_lost_launches(_lost_launches(launched, made_at)),
    )


def _lost_launches(
    launched: Mapping[str, Iterable[datetime]] | None, made_at: datetime
) -> dict[str, datetime]:
    """Return when each list was last asked by a campaign that may have gone on unseen."""
    if launched is None:
        return {one.slug: made_at for one in MailingList.select()}
    known = {(one.list.slug, one.launched_at) for one in Campaign.select()}
    lost = {
        slug: max(unknown)
        for slug, moments in launched.items()
        if (unknown := [at for at in moments if (slug, at) not in known])
    }
    # Its asks were still being made when the backup was: those that are made yet may have left too.
    halfway = Campaign.select().where(Campaign.id.in_(select_targets(TaskKind.LAUNCH)))
    return {one.list.slug: one.launched_at for one in halfway} | lost


def _mark_lost_launches(lost: Mapping[str, datetime]) -> tuple[str, ...]:
    for slug, at in lost.items():
        MailingList.update(lost_launch_at=at).where(MailingList.slug == slug).execute()
    return tuple(sorted(lost))


def _mark_in_doubt(made_at: datetime) -> int:
    # When a mail that was under way began is known; all others begin with the backup.
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
    # What had stopped it before has still to be looked at.
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
