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
from repermit.email_address import mask_addresses_in_name
from repermit.errors import Refused
from repermit.evidence import chain, signed_checkpoint, stored_tree
from repermit.evidence.entries import Checkpoint, Entry
from repermit.settings.definitions import Settings
from repermit.suppression import suppressions
from repermit.temporary_files import make_temporary_files


@dataclass(frozen=True, kw_only=True)
class BackupResult:
    """A checked copy: its size in octets, and its newest evidence entry."""

    path: Path
    size: int
    checkpoint: Checkpoint


BACKUP_ID_KEY, BACKUP_TIME_KEY = "backup_mark", "backup_made_at"
"""The keys in `meta` of a backup's id, which the journal has too, and of its time."""

# 4 MB at a time; Ctrl-C stops the copy between two of them only.
_PAGES = 1024


def back_up(
    database: Database, path: Path, *, settings: Settings, now: datetime, actor: str
) -> BackupResult:
    """Copy the database to a new file, readable by its user alone, and check it.

    1. Append an evidence entry, and a line to the journal; what follows it is not in the copy.
    2. Copy a snapshot (https://sqlite.org/backup.html); it blocks nobody.
    3. Check that the copy is sound and has that entry.

    Raises Refused, and leaves no file behind.
    """
    source = settings.sqlite_path
    if source is None:
        raise Refused(
            "with PostgreSQL, its own tool makes the copy: `pg_dump --format=custom "
            "--file=repermit.dump DATABASE`; see docs/how-to/backup-and-restore.md"
        )
    with _make_new_file(path, settings) as part:
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
        Meta.write(BACKUP_ID_KEY, mark)
        Meta.write(BACKUP_TIME_KEY, format_timestamp(now))
        suppressions.mark_backup(mark)
        name = mask_addresses_in_name(path.name)
        chain.append(
            Entry(event="backed_up", at=now, actor=actor, consent={"file": name, "mark": mark})
        )
        return stored_tree.checkpoint()


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to into a single file."""
    with (
        closing(_connect(source)) as source_connection,
        closing(_connect(target)) as target_connection,
    ):
        # A read transaction; without it every write by others would restart the copy.
        source_connection.execute("BEGIN")
        source_connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        # Piece by piece to the disk: on ext4 an answer's commit waits for all that is not there.
        source_connection.backup(
            target_connection, pages=_PAGES, progress=lambda *_: fsync_path(target)
        )
        target_connection.execute("PRAGMA journal_mode = DELETE")
    fsync_path(target)


def check_copy(path: Path, checkpoint: Checkpoint | None = None) -> None:
    """Raise Refused for a copy that is damaged, or lacks its newest entry."""
    with closing(_connect(path)) as connection:
        (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if result != "ok":
            raise Refused(f"{path} is damaged: {result}")
        if checkpoint is not None:
            entry = "SELECT 1 FROM evidence WHERE seq = ? AND hash = ?"
            if not connection.execute(entry, (checkpoint.seq, checkpoint.hash)).fetchone():
                raise Refused(f"{path} lacks the newest entry of the evidence")


def fsync_path(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=30)


@contextmanager
def _make_new_file(path: Path, settings: Settings) -> Iterator[Path]:
    """Yield a temporary path for a new file, renamed once it is complete; raises Refused."""
    _refuse_to_overwrite(path)
    try:
        with make_temporary_files(settings).file_for(path) as part:
            yield part
            _refuse_to_overwrite(path)
    except OSError as error:
        # The note of the temporary file is beside the database, perhaps on another disk.
        at_fault = Path(error.filename or path)
        if at_fault.parent == path.absolute().parent:
            at_fault = path
        raise Refused(f"{at_fault} cannot be made: {error.strerror}") from None
    fsync_path(path.parent)


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise Refused(f"{path} exists already; nothing was changed")
