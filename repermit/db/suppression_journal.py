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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from repermit import email_address
from repermit.errors import JournalRefused
from repermit.settings.definitions import Settings

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
            self._flush()

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
        if self._mine.before:
            self._flush()
        if not self._mine.flushed:
            return self._try_out_for_after()
        with self._opened() as file:
            os.fsync(file)
        return self._mine.flushed[-1][1]

    def _try_out_for_after(self) -> int:
        with suppress(JournalRefused):
            return self.try_out() if self._mine.after else 0
        return 0

    def after_commit(self) -> None:
        """Write what holds by now.

        Not to the disk, and a failure is no matter: what is missing is a lifting, and whoever is
        suppressed for too long can say Yes again.
        """
        kept = [{"do": "kept", "from": first, "to": end} for first, end in self._mine.flushed]
        lines = _encode_lines(kept) + bytes(self._mine.after)
        self.forget()
        if lines:
            try:
                self._append(lines)
            except JournalRefused:
                return

    def forget(self) -> None:
        """Forget what was kept for a transaction that is no more."""
        self._mine.clear()

    def forget_after(self) -> None:
        """Forget what was to be written after the commit."""
        self._mine.after.clear()

    def try_out(self) -> int:
        """Make the journal if it is not there yet; return its octets, all in whole lines.

        Raises JournalRefused if it cannot be.
        """
        return self._append(b"")[1]

    def _flush(self) -> None:
        place = self._append(bytes(self._mine.before))
        self._mine.before.clear()
        self._mine.flushed.append(place)

    def _append(self, lines: bytes) -> tuple[int, int]:
        """Append lines; return from which octet to which they stand."""
        with self._opened() as file:
            if not os.fstat(file).st_size:
                _write_all(file, _encode_lines([{"do": "key", "check": self.key_check}]))
                _sync_folder(self.path)
            _write_all(file, _make_line_end(file) + lines)
            end = os.fstat(file).st_size
            return end - len(lines), end

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the file, for this process alone until the end."""
        try:
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._refusal(error) from None
        try:
            self._lock(file)
            yield file
        except OSError as error:
            raise self._refusal(error) from None
        finally:
            os.close(file)

    def _lock(self, file: int) -> None:
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

    def _refusal(self, error: OSError) -> JournalRefused:
        return JournalRefused(
            "the journal of suppressions %(path)s cannot be written (%(reason)s), so nothing was "
            "changed",
            path=str(self.path),
            reason=str(error.strerror),
        )


def make_journal(settings: Settings) -> Journal | None:
    """Return the journal that the settings name; settings that came from no file may have none."""
    if settings.journal is None:
        return None
    key = settings.fingerprint_key
    seal = hashlib.sha256(b"journal of suppressions " + key).digest()
    return Journal(settings.journal, key_check=email_address.key_check(key), seal=seal)


class _PendingLines(threading.local):
    """What a thread's transaction has to write."""

    def __init__(self) -> None:
        self.before = bytearray()
        self.after = bytearray()
        self.flushed: list[tuple[int, int]] = []

    def clear(self) -> None:
        """Begin anew."""
        self.before.clear()
        self.after.clear()
        self.flushed = []


def _encode_lines(lines: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(_encode(line).encode() + b"\n" for line in lines)


# Made once: json.dumps makes an encoder for each call, which takes longer than the encoding.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _make_line_end(file: int) -> bytes:
    """Return what ends the last line: a process that was killed while it wrote leaves it open."""
    return b"" if os.pread(file, 1, os.fstat(file).st_size - 1) == b"\n" else b"\n"


def _sync_folder(path: Path) -> None:
    """Have the folder's entry of a new file on the disk too."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
