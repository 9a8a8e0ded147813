"""The journal: who was suppressed since when, and which campaigns were launched.

Kept beside the key and apart from the database. A database that is restored from an older copy
learns from it who has left since, and which lists may have been asked. It holds fingerprints and
random subjects, never an address.

A suppression or launch is written here before its transaction commits, and is on the disk by then;
the lifting of one is written after, and so is that those lines count, by the octets from which to
which they stand. So whatever is killed in between, the journal may know of one suppression or
launch too many, and never of one too few.
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

PATIENCE = 30.0
"""Seconds that a writer waits for another one of the same machine."""

_RETRY_INTERVAL = 0.002
# What a transaction writes at the most before it must go to the file, so that memory stays flat.
_MAX_PENDING = 1 << 20


class Journal:
    """The journal at `path`, made when the first line is written, readable by its user alone.

    `key_check` tells which key the fingerprints are made with; it is the first line. Safe in any
    number of threads and processes.
    """

    def __init__(
        self, path: Path, *, key_check: str, seal: bytes = b"", patience: float = PATIENCE
    ) -> None:
        self.path = path
        self.seal = seal
        self.key_check = key_check
        self._patience = patience
        self._mine = _PendingLines()

    def note(self, *lines: Mapping[str, Any]) -> None:
        """Keep lines for the end of this thread's transaction: they are written before it commits.

        Many go to the file at once, and are on the disk by then.
        """
        self._mine.before += _encode_lines(lines)
        if len(self._mine.before) > _MAX_PENDING:
            self.before_commit()

    def note_after(self, *lines: Mapping[str, Any]) -> None:
        """Keep lines that are written once this thread's transaction has committed."""
        self._mine.after += _encode_lines(lines)

    def size(self) -> int:
        """Return how many octets the file has, 0 if it is not there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def before_commit(self) -> int:
        """Write what is to be on the disk before the commit; raises JournalRefused.

        Returns up to how many octets it is to be sealed: all so far, also before what is written
        after the commit, which the next one would have to seal alone otherwise; 0 for nothing.
        """
        mine = self._mine
        if mine.before:
            mine.written.append(self._append(bytes(mine.before), sync=True))
            mine.before.clear()
        if mine.written:
            return mine.written[-1][1]
        with suppress(JournalRefused):
            return self.try_out() if mine.after else 0
        return 0

    def after_commit(self) -> None:
        """Write what holds by now.

        Not to the disk, and a failure is no matter: what is missing is a lifting, and whoever is
        suppressed for too long can say Yes again.
        """
        kept = [{"do": "kept", "from": first, "to": end} for first, end in self._mine.written]
        lines = _encode_lines(kept) + bytes(self._mine.after)
        self.forget()
        if lines:
            with suppress(JournalRefused):
                self._append(lines)

    def forget(self) -> None:
        """Forget what was kept for a transaction that is no more."""
        self._mine.before.clear()
        self._mine.after.clear()
        self._mine.written.clear()

    def forget_after(self) -> None:
        """Forget what was to be written after the commit."""
        self._mine.after.clear()

    def try_out(self) -> int:
        """Make the journal if it is not there yet; return its octets, all in whole lines.

        Raises JournalRefused if it cannot be.
        """
        return self._append(b"")[1]

    def _append(self, lines: bytes, *, sync: bool = False) -> tuple[int, int]:
        """Append lines; return from which octet to which they stand. Raises JournalRefused.

        Others that write wait meanwhile. With `sync` all is on the disk by the end.
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
        until = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_RETRY_INTERVAL)
            else:
                return


def make_journal(settings: Settings) -> Journal | None:
    """Return the journal that the settings name; settings that came from no file may have none."""
    if settings.journal is None:
        return None
    key = settings.fingerprint_key
    seal = hashlib.sha256(b"journal of suppressions " + key).digest()
    return Journal(settings.journal, key_check=email_address.compute_key_check(key), seal=seal)


class _PendingLines(threading.local):
    """What a thread's transaction has to write, and from where to where it has written already."""

    def __init__(self) -> None:
        self.before = bytearray()
        self.after = bytearray()
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
    """Have the folder's entry of a new file on the disk too."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
