"""The journal of suppressions: suppressed fingerprints with their times, and launches of campaigns.

It is a file beside the key, outside the database. A database that is restored from an older copy
learns from it who has left since, and which lists may have been asked. It holds fingerprints and
random subjects, never an address.

A suppression or launch is written and synced to the disk before its transaction commits. Lifts are
written after the commit, together with a `kept` line that gives the byte range of the lines that
were committed. So after a kill the journal may have a suppression or launch too many, never one
too few.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from repermit import email_address
from repermit.errors import JournalRefused
from repermit.settings.definitions import Settings
from repermit.temporary_files import open_private

LOCK_TIMEOUT = 30.0
"""Seconds that a writer waits for another process of this machine."""

_RETRY_INTERVAL = 0.002
# Octets of a transaction that are written at once, so that memory stays flat.
_MAX_PENDING = 1 << 20


class Journal:
    """The journal at `path`; the file is created with the first line, readable by its user alone.

    Safe in any number of threads and processes.

    - `key_check`: a check value of the fingerprint key; it is the first line.
    - `seal`: the key for the digests of journal_seal.
    """

    def __init__(
        self, path: Path, *, key_check: str, seal: bytes = b"", timeout: float = LOCK_TIMEOUT
    ) -> None:
        self.path = path
        self.seal = seal
        self.key_check = key_check
        self._timeout = timeout
        self._pending = _PendingLines()

    def add_lines(self, *lines: Mapping[str, Any]) -> None:
        """Add lines that are written before this thread's transaction commits.

        More than a megabyte is written at once.
        """
        self._pending.before_commit += _encode_lines(lines)
        if len(self._pending.before_commit) > _MAX_PENDING:
            self.before_commit()

    def add_lines_after_commit(self, *lines: Mapping[str, Any]) -> None:
        """Add lines that are written after this thread's transaction has committed."""
        self._pending.after_commit += _encode_lines(lines)

    def size(self) -> int:
        """Return the size of the file in octets, 0 if it is missing."""
        return self.path.stat().st_size if self.path.exists() else 0

    def before_commit(self) -> int:
        """Write and sync the lines for before the commit; raises JournalRefused.

        Returns the size in octets up to which the journal is to be sealed, 0 for none. It is sealed
        also if lines follow after the commit only, so that the next seal has fewer to read.
        """
        pending = self._pending
        if pending.before_commit:
            pending.written.append(self._append(bytes(pending.before_commit), sync=True))
            pending.before_commit.clear()
        if pending.written:
            return pending.written[-1][1]
        with suppress(JournalRefused):
            return self.ensure_exists() if pending.after_commit else 0
        return 0

    def after_commit(self) -> None:
        """Write the lines for after the commit.

        They are not synced, and failures are ignored: if a lift is lost, the person stays
        suppressed, and can say Yes again.
        """
        committed = [
            {"do": "kept", "from": first, "to": end} for first, end in self._pending.written
        ]
        lines = _encode_lines(committed) + bytes(self._pending.after_commit)
        self.discard_lines()
        if lines:
            with suppress(JournalRefused):
                self._append(lines)

    def discard_lines(self) -> None:
        """Discard the lines of this thread's transaction, after a rollback or a commit."""
        self._pending.before_commit.clear()
        self._pending.after_commit.clear()
        self._pending.written.clear()

    def discard_lines_after_commit(self) -> None:
        """Discard the lines for after the commit."""
        self._pending.after_commit.clear()

    def ensure_exists(self) -> int:
        """Create the journal if it is missing; return its size in octets.

        Ends a last line that a killed process has left open. Raises JournalRefused.
        """
        return self._append(b"")[1]

    def _append(self, lines: bytes, *, sync: bool = False) -> tuple[int, int]:
        """Append lines; return the offsets where they begin and end. Raises JournalRefused.

        The file is locked meanwhile. With `sync` all is on the disk by the end.
        """
        try:
            with open(self.path, "ab+", buffering=0, opener=open_private) as file:
                self._lock(file)
                size = os.fstat(file.fileno()).st_size
                if not size:
                    _write_all(file, _encode_lines([{"do": "key", "check": self.key_check}]))
                    _sync_folder(self.path)
                elif os.pread(file.fileno(), 1, size - 1) != b"\n":
                    # A process that was killed while it wrote has left the last line open.
                    _write_all(file, b"\n")
                _write_all(file, lines)
                if sync:
                    os.fsync(file.fileno())
                end = os.fstat(file.fileno()).st_size
                return end - len(lines), end
        except OSError as error:
            raise JournalRefused(
                "the journal of suppressions %(path)s cannot be written (%(reason)s), so nothing "
                "was changed",
                path=str(self.path),
                reason=str(error.strerror),
            ) from None

    def _lock(self, file: FileIO) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_INTERVAL)
            else:
                return


def make_journal(settings: Settings) -> Journal | None:
    """Return the journal that the settings name; None without one."""
    if settings.journal is None:
        return None
    key = settings.fingerprint_key
    seal = hashlib.sha256(b"journal of suppressions " + key).digest()
    return Journal(settings.journal, key_check=email_address.compute_key_check(key), seal=seal)


class _PendingLines(threading.local):
    """The lines of a thread's transaction; `written` has the byte ranges written already."""

    def __init__(self) -> None:
        self.before_commit = bytearray()
        self.after_commit = bytearray()
        self.written: list[tuple[int, int]] = []


def _encode_lines(lines: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(_encode(line).encode() + b"\n" for line in lines)


# Made once: json.dumps makes an encoder for each call, which takes longer than the encoding.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _sync_folder(path: Path) -> None:
    """Sync the folder, so that the entry of a new file is on the disk too."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
