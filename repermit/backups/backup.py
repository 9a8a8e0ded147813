"""A consistent copy of the SQLite database while others write to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from repermit.clock import format_timestamp
from repermit.db.connection import Database
from repermit.db.models.base import Meta, new_id
from repermit.errors import Refused
from repermit.evidence import chain, signed_checkpoint, stored_tree
from repermit.evidence.entries import Checkpoint, Entry
from repermit.settings.definitions import Settings
from repermit.suppression import suppressions
from repermit.temporary_files import make_temporary_files


@dataclass(frozen=True, kw_only=True)
class BackupResult:
    """A copy that was made and checked: its size in octets, and the newest entry in it."""

    path: Path
    size: int
    checkpoint: Checkpoint


MARK, MADE_AT = "backup_mark", "backup_made_at"
"""The keys of Meta under which a backup keeps its mark in the journal, and when it was made."""

# 4 MB at a time; so long a copy cannot be stopped by Ctrl-C.
_PAGES = 1024


def back_up(
    database: Database, path: Path, *, settings: Settings, now: datetime, actor: str
) -> BackupResult:
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
        checkpoint = signed_checkpoint.sign(_record_backup(database, path, now, actor), settings)
        try:
            copy_database(source, part)
            check_copy(part, checkpoint)
        except sqlite3.Error as error:
            raise Refused(f"{path} cannot be made: {error}") from None
    return BackupResult(path=path, size=path.stat().st_size, checkpoint=checkpoint)


def _record_backup(database: Database, path: Path, now: datetime, actor: str) -> Checkpoint:
    mark = new_id()
    with database.atomic():
        Meta.write(MARK, mark)
        Meta.write(MADE_AT, format_timestamp(now))
        suppressions.mark_backup(mark)
        chain.append(
            Entry(event="backed_up", at=now, actor=actor, consent={"file": path.name, "mark": mark})
        )
        return stored_tree.checkpoint()


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to into a single file."""
    with closing(_connect(source)) as here, closing(_connect(target)) as there:
        # A read transaction; without it every write by others would restart the copy.
        here.execute("BEGIN")
        here.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        # Piece by piece to the disk: on ext4 an answer's commit waits for all that is not there.
        here.backup(there, pages=_PAGES, progress=lambda *_: fsync_path(target))
        there.execute("PRAGMA journal_mode = DELETE")
    fsync_path(target)


def check_copy(path: Path, checkpoint: Checkpoint | None = None) -> None:
    """Raise Refused for a copy that is damaged, or lacks the entry that it was made at."""
    with closing(_connect(path)) as opened:
        (found,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise Refused(f"{path} is damaged: {found}")
        if checkpoint is not None:
            entry = "SELECT 1 FROM evidence WHERE seq = ? AND hash = ?"
            if not opened.execute(entry, (checkpoint.seq, checkpoint.hash)).fetchone():
                raise Refused(f"{path} lacks the newest entry of the evidence")


def fsync_path(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
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
        with make_temporary_files(settings).file_for(path) as part:
            yield part
            _refuse_to_overwrite(path)
    except OSError as error:
        raise Refused(f"{path} cannot be made: {error.strerror}") from None
    fsync_path(path.parent)


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise Refused(f"{path} exists already; nothing was changed")
