"""Private folders, and temporary files that are deleted even after their process has died.

A half-written export or backup may contain everybody on a list. So for each temporary file there is
a note in a folder beside the database, which its process locks while it writes. The system releases
the lock however the process ends, and the next sweep deletes the files of unlocked notes.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from repermit.errors import Refused
from repermit.settings.definitions import Settings

# --- Private files and folders. -------------------------------------------------------------------


def find_folder(settings: Settings, kind: str) -> Path:
    """Return the path of the folder of a kind on this machine, which may not exist yet.

    It is beside the SQLite database; with PostgreSQL beside the journal, where all processes of an
    installation see it, as systemd gives each service a /tmp of its own (PrivateTmp).
    """
    beside = settings.sqlite_path or settings.journal
    if beside is not None:
        return beside.with_name(f"{beside.name}.{kind}")
    # For settings without a file. The database's URL contains a password, so it is hashed with a
    # key.
    name = hmac.digest(settings.fingerprint_key, settings.database.encode(), "sha256").hex()
    return Path(tempfile.gettempdir()) / f"repermit-{name[:16]}.{kind}"


def open_private_folder(settings: Settings, kind: str) -> Path:
    """Return the folder of a kind, created if missing; raises Refused if others may open it."""
    folder = find_folder(settings, kind)
    make_private_folder(folder)
    return folder


def make_private_folder(folder: Path) -> None:
    """Create a folder if it is missing; raises Refused if others may open it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_ours or status.st_mode & 0o077:
        raise Refused(
            "%(folder)s must be a folder that only this server's user may open", folder=str(folder)
        )


def open_private(path: str, flags: int) -> int:
    """Open a file that only its user may open, as an `opener` of `open`."""
    # Others who may open a file may also lock it.
    return os.open(path, flags, mode=0o600)


# --- Temporary files and folders. -----------------------------------------------------------------


_KIND = "unfinished"
_MARK = ".unfinished-"
_ID_BYTES = 8
_OWN_NAME = re.compile(rf"\..*{re.escape(_MARK)}[0-9a-f]{{{2 * _ID_BYTES}}}", re.DOTALL)
_MAX_NAME_BYTES = 200  # bytes; file systems allow 255
_SQLITE_SUFFIXES = ("-journal", "-wal", "-shm")


@dataclass(frozen=True)
class UnfinishedFile:
    """A temporary file or folder that still exists: it is in use, or cannot be deleted."""

    path: Path
    is_in_use: bool


class TemporaryFiles:
    """The temporary files of processes that share a folder of notes.

    - `folder`: the folder of notes; it is created, for this user only, when it is needed.

    A note names a file that may be deleted; a name without our mark is never deleted. Raises
    Refused if others may write notes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def file_for(self, target: Path) -> Iterator[Path]:
        """Yield an empty, private file beside `target`, and rename it to `target` at the end.

        If the block fails, the target is unchanged. Raises OSError.
        """
        with self._hold_note(target.parent, target.name) as path:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            try:
                yield path
                path.replace(target)
            finally:
                _delete(path)

    @contextmanager
    def folder_for(self, name: str) -> Iterator[Path]:
        """Yield an empty, private folder, and delete it with its content at the end."""
        with self._hold_note(self.folder, name) as path:
            path.mkdir(mode=0o700)
            try:
                yield path
            finally:
                _delete(path)

    def sweep(self) -> tuple[UnfinishedFile, ...]:
        """Delete the files of dead processes; return those that still exist, sorted by path."""
        results = (self._sweep_note(note) for note in self._list_notes())
        return tuple(sorted(filter(None, results), key=lambda unfinished: unfinished.path))

    @contextmanager
    def _hold_note(self, folder: Path, name: str) -> Iterator[Path]:
        """Yield a path that does not exist yet, with a locked note for the block."""
        make_private_folder(self.folder)
        number = os.urandom(_ID_BYTES).hex()
        path = folder.absolute() / f".{_shorten_name(name)}{_MARK}{number}"
        note = self.folder / number
        with _open_note(note) as file:
            file.write(os.fsencode(path))
            file.flush()
            os.fsync(file.fileno())
            try:
                yield path
            finally:
                if not os.path.lexists(path):
                    note.unlink(missing_ok=True)

    def _list_notes(self) -> list[Path]:
        if not os.path.lexists(self.folder):
            return []
        make_private_folder(self.folder)
        return [note for note in self.folder.iterdir() if _MARK not in note.name]

    def _sweep_note(self, note: Path) -> UnfinishedFile | None:
        try:
            file = note.open("rb")
        except FileNotFoundError:
            # Its process has just finished.
            return None
        except PermissionError:
            # It is root's, and only root may read it.
            return UnfinishedFile(note, is_in_use=False)
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                path = _read_note(file)
                is_there = path is not None and os.path.lexists(path)
                return UnfinishedFile(path, is_in_use=True) if path and is_there else None
            path = _read_note(file)
            try:
                if path is not None:
                    _delete(path)
                note.unlink(missing_ok=True)
            except OSError:
                return UnfinishedFile(path or note, is_in_use=False)
        return None


def make_temporary_files(settings: Settings) -> TemporaryFiles:
    """Return the temporary files of an installation on this machine."""
    return TemporaryFiles(find_folder(settings, _KIND))


def _read_note(file: IO[bytes]) -> Path | None:
    """Return the path in a note; None if it is empty yet, or not a path of ours."""
    path = Path(os.fsdecode(file.read()))
    return path if path.is_absolute() and _OWN_NAME.fullmatch(path.name) else None


@contextmanager
def _open_note(note: Path) -> Iterator[IO[bytes]]:
    """Create a note and lock it."""
    # A sweep may delete the note before it is locked; then another one is created.
    while True:
        with open(note, "ab", opener=open_private) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_file_at(file, note):
                yield file
                return


def _is_file_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))  # noqa: PTH116  beside fstat
    except FileNotFoundError:
        return False


def _delete(path: Path) -> None:
    """Delete a file with SQLite's files beside it, or a folder with its content."""
    try:
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        is_folder = False
    if is_folder:
        shutil.rmtree(path)
        return
    for ending in ("", *_SQLITE_SUFFIXES):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _shorten_name(name: str) -> str:
    return name.encode(errors="ignore")[:_MAX_NAME_BYTES].decode(errors="ignore")
