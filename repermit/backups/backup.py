"""A consistent copy of the SQLite database while others write to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from repermit.db.connection import Database
from repermit.db.models.base import Meta, new_id, stored
from repermit.db.temporary_files import temporary_files
from repermit.errors import Refused
from repermit.evidence import chain, signed_checkpoint, stored_tree
from repermit.evidence.entries import Checkpoint, Entry
from repermit.rules.consent import Reason
from repermit.settings.definitions import Settings
from repermit.suppression import suppressions

# --- What a backup and a restoring come to, as plain values. --------------------------------------


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """A copy that was made and looked at: its size in octets, and the newest entry in it."""

    path: Path
    size: int
    checkpoint: Checkpoint


@dataclass(frozen=True, kw_only=True)
class MovedAway:
    """Who has a new address since the backup, which nothing here tells: the one it has, by list."""

    list: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What the journals brought to a restored database.

    `removed` are those that were on a list and have left since, by the reason that was noted;
    `moved` those that are off it under an address that they have corrected since; `suppressed`
    those of whom nothing but their suppression was lacking; `erased` whose data were deleted again.
    `remade` are the lists that the backup does not know, and `unreadable` counts lines that were
    cut off.
    """

    removed: Mapping[Reason, int]
    moved: tuple[MovedAway, ...]
    suppressed: int
    erased: int
    remade: tuple[str, ...]
    unreadable: int


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a restored database does not do by itself.

    `paused` are the lists whose campaign was live, `in_doubt` the mails of which it does not know
    whether they were sent since, `reminders` the lists whose reminders may have been, `launched`
    those on which a campaign was launched, or may have been, of which it knows nothing.
    """

    paused: tuple[str, ...]
    in_doubt: int
    reminders: tuple[str, ...]
    launched: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A database that was put back.

    `made_at` is when its backup was made, None for a copy that says nothing of it; `checkpoint` the
    newest entry that it came with; `aside` where the database is that stood in its place.
    """

    made_at: datetime | None
    checkpoint: Checkpoint
    replayed: Replayed
    held: Held
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


# --- A consistent copy of the SQLite database while others write to it. ---------------------------


MARK, MADE_AT = "backup_mark", "backup_made_at"
"""What a backup says of itself, in its table of facts: where the journal began anew, and when."""

# 4 MB at a time; so long a copy cannot be stopped by Ctrl-C.
_PAGES = 1024


def back_up(
    database: Database, path: Path, *, settings: Settings, now: datetime, actor: str
) -> BackedUp:
    """Copy the database to `path`, which is new then, readable by its user alone, and checked.

    1. An entry of the evidence, and a line in the journal, behind which stands what the copy will
    not know. 2. The copy, of one moment, by https://sqlite.org/backup.html; nobody waits for it.
    3. A look at the copy: it is sound, and that entry stands in it.

    Raises Refused, and leaves nothing behind.
    """
    source = settings.sqlite_path
    if source is None:
        raise Refused(
            "with PostgreSQL, its own tool makes the copy: `pg_dump --format=custom "
            "--file=repermit.dump DATABASE`; see docs/how-to/backup-and-restore.md"
        )
    with _new_file(path, settings) as part:
        checkpoint = signed_checkpoint.sign(_begin(database, path, now, actor), settings)
        try:
            copy(source, part)
            check(part, checkpoint)
        except sqlite3.Error as error:
            raise Refused(f"{path} cannot be made: {error}") from None
    return BackedUp(path=path, size=path.stat().st_size, checkpoint=checkpoint)


def _begin(database: Database, path: Path, now: datetime, actor: str) -> Checkpoint:
    mark = new_id()
    with database.atomic():
        rows = [{"key": MARK, "value": mark}, {"key": MADE_AT, "value": stored(now)}]
        Meta.insert_many(rows).on_conflict(
            conflict_target=[Meta.key], preserve=[Meta.value]
        ).execute()
        suppressions.mark_backup(mark)
        chain.append(
            Entry(event="backed_up", at=now, actor=actor, consent={"file": path.name, "mark": mark})
        )
        return stored_tree.checkpoint()


def copy(source: Path, target: Path) -> None:
    """Copy a database, whoever writes to it meanwhile, into one file without others beside it."""
    with closing(_connect(source)) as here, closing(_connect(target)) as there:
        # What is read stays as it is from here on; without this every write would begin it anew.
        here.execute("BEGIN")
        here.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        here.backup(there, pages=_PAGES)
        there.execute("PRAGMA journal_mode = DELETE")
    sync(target)


def check(path: Path, checkpoint: Checkpoint | None = None) -> None:
    """Refuse a copy that is not sound, or that lacks the entry it was made at."""
    with closing(_connect(path)) as opened:
        (found,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise Refused(f"{path} is damaged: {found}")
        if checkpoint is not None:
            entry = "SELECT 1 FROM evidence WHERE seq = ? AND hash = ?"
            if not opened.execute(entry, (checkpoint.seq, checkpoint.hash)).fetchone():
                raise Refused(f"{path} lacks the newest entry of the evidence")


def sync(path: Path) -> None:
    """Have a file, or a folder's entries, on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=30)


@contextmanager
def _new_file(path: Path, settings: Settings) -> Iterator[Path]:
    """Yield where to write a file that gets its name once it is whole; raises Refused."""
    _refuse_to_overwrite(path)
    try:
        with temporary_files(settings).file_for(path) as part:
            yield part
            _refuse_to_overwrite(path)
    except OSError as error:
        raise Refused(f"{path} cannot be made: {error.strerror}") from None
    sync(path.parent)


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise Refused(f"{path} exists already; nothing was changed")
