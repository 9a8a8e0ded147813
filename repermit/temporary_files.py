"""Files being made, such as exports and backups: found and deleted once their process has died.

What is half written may hold everybody on a list. So each such file is first noted in a folder
beside the database, by a note whose lock its process holds for as long as it writes. The system
gives the lock back however the process ends, and whoever comes next deletes what nobody holds.
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

# --- Files, and folders for what is not of the database, ours alone to open. ----------------------


def find_folder(settings: Settings, kind: str) -> Path:
    """Return where the folder of a kind is, or would be, on this machine.

    It stands beside the SQLite database; with PostgreSQL beside the journal, where every process of
    an installation sees it: systemd gives each service a /tmp of its own (PrivateTmp).
    """
    beside = settings.sqlite_path or settings.journal
    if beside is not None:
        return beside.with_name(f"{beside.name}.{kind}")
    # Settings that came from no file. The database's address holds a password, so that it stands
    # here under a key.
    name = hmac.digest(settings.fingerprint_key, settings.database.encode(), "sha256").hex()
    return Path(tempfile.gettempdir()) / f"repermit-{name[:16]}.{kind}"


def open_private_folder(settings: Settings, kind: str) -> Path:
    """Return the folder of a kind, made if need be; raises Refused if others may open it."""
    folder = find_folder(settings, kind)
    make_private_folder(folder)
    return folder


def make_private_folder(folder: Path, *, for_root_too: bool = False) -> None:
    """Make a folder if need be; raises Refused if others may open it.

    `for_root_too`: a command given by root may use the one of the server's user, and makes one that
    this user can use later. Only where nobody else could have made it before.
    """
    is_root = for_root_too and os.geteuid() == 0
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if is_root:
            parent = folder.parent.stat()
            os.chown(folder, parent.st_uid, parent.st_gid)
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and (is_root or status.st_uid == os.geteuid())
    if not is_ours or status.st_mode & 0o077:
        raise Refused(
            "%(folder)s must be a folder that only this server's user may open", folder=str(folder)
        )


def open_private(path: str, flags: int) -> int:
    """Open a file, as an opener of `open`, that nobody else may: who may, may hold its lock."""
    return os.open(path, flags, mode=0o600)


# --- Files and folders that are being made. -------------------------------------------------------


_KIND = "unfinished"
_MARK = ".unfinished-"
_ID_BYTES = 8
_OWN_NAME = re.compile(rf"\..*{re.escape(_MARK)}[0-9a-f]{{{2 * _ID_BYTES}}}", re.DOTALL)
_MAX_NAME_BYTES = 200  # bytes; file systems allow 255
_SQLITE_SUFFIXES = ("-journal", "-wal", "-shm")


@dataclass(frozen=True)
class UnfinishedFile:
    """A file or folder that is still there: a living process writes it, or it resists deletion."""

    path: Path
    is_in_use: bool


class TemporaryFiles:
    """The files that are being made by processes which share a folder of notes.

    `folder` is where the notes are; it is made, for this user alone, once one is needed. A note
    names what may be deleted, and a name without our mark is never deleted. Refused is raised where
    others may write notes.
    """

    def __init__(self, folder: Path, *, for_root_too: bool = False) -> None:
        self.folder = folder
        self._for_root_too = for_root_too

    @contextmanager
    def file_for(self, target: Path) -> Iterator[Path]:
        """Yield an empty, private file beside `target`, which gets the target's name at the end.

        Until then the target stays as it is, also where the block fails. Raises OSError.
        """
        with self._noted(target.parent, target.name) as path:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            try:
                yield path
                path.replace(target)
            finally:
                _delete(path)

    @contextmanager
    def folder_for(self, name: str) -> Iterator[Path]:
        """Yield an empty, private folder, which goes at the end with all that is in it."""
        with self._noted(self.folder, name) as path:
            path.mkdir(mode=0o700)
            try:
                yield path
            finally:
                _delete(path)

    def sweep(self) -> tuple[UnfinishedFile, ...]:
        """Delete what no living process makes; return what is still there, in order of path."""
        found = (self._sweep_note(note) for note in self._notes())
        return tuple(sorted((one for one in found if one), key=lambda one: one.path))

    @contextmanager
    def _noted(self, folder: Path, name: str) -> Iterator[Path]:
        """Yield a path that is not there yet, noted for as long as the block lasts."""
        make_private_folder(self.folder, for_root_too=self._for_root_too)
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

    def _notes(self) -> list[Path]:
        if not os.path.lexists(self.folder):
            return []
        make_private_folder(self.folder, for_root_too=self._for_root_too)
        return [one for one in self.folder.iterdir() if _MARK not in one.name]

    def _sweep_note(self, note: Path) -> UnfinishedFile | None:
        try:
            file = note.open("rb")
        except FileNotFoundError:
            # Its process has just finished.
            return None
        except PermissionError:
            # Root's, who alone may read it.
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
    """Return the files that are being made for an installation, on this machine."""
    in_own_folder = bool(settings.sqlite_path or settings.journal)
    return TemporaryFiles(find_folder(settings, _KIND), for_root_too=in_own_folder)


def _read_note(file: IO[bytes]) -> Path | None:
    """Return what a note names; None if nothing is named yet, or nothing that we would make."""
    path = Path(os.fsdecode(file.read()))
    return path if path.is_absolute() and _OWN_NAME.fullmatch(path.name) else None


@contextmanager
def _open_note(note: Path) -> Iterator[IO[bytes]]:
    """Open a new note whose lock is held; whoever sweeps may take it away before it is."""
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
    """Delete a file, and what SQLite may have left beside it, or a folder and what is in it."""
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
