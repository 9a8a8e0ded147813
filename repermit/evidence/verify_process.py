"""Walking the whole chain for a page: a long one in a process of its own, and what came of it.

A million entries take longer than anybody waits for a page, and other pages would wait for the
process that serves them. Nothing is written to the database; what came of the last walk stands in a
folder beside it, on this machine.
"""

from __future__ import annotations

import fcntl
import json
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from peewee import fn

from repermit.db.connection import Database, open_database
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import EvidenceHead
from repermit.db.suppression_journal import journal_of
from repermit.db.temporary_files import place_of, private_folder, temporary_files
from repermit.db.write_lock import present, privately
from repermit.evidence.entries import Checkpoint
from repermit.evidence.verify_chain import verify_chain
from repermit.settings.definitions import Settings

LARGE = 5_000
"""Entries or contacts from which on a process of its own walks."""

_KIND = "verified"


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One walk: when it began and by whom, and the checkpoint's entry that it was held against.

    `found` is what `Verified.to_json` told; None while `is_busy`, or if it was cut off.
    """

    at: datetime
    actor: str
    known: int | None
    found: Mapping[str, Any] | None
    is_busy: bool


@dataclass(frozen=True, kw_only=True)
class _Job:
    settings: Settings
    known: Checkpoint | None
    now: datetime
    begun: dict[str, Any]


def verify_in_process(
    database: Database,
    *,
    known: Checkpoint | None = None,
    settings: Settings,
    now: datetime,
    actor: str,
) -> bool:
    """Begin to walk the chain, see `last_walk`; False if somebody else's walk is under way.

    A long one is still walked when this returns.
    """
    folder = private_folder(settings, _KIND)
    lock = _lock(folder)
    if lock is None:
        return False
    begun = {"at": now.isoformat(), "actor": actor, "known": known.seq if known else None}
    job = _Job(settings=settings, known=known, now=now, begun=begun)
    with closing(lock):
        _keep(job, {**begun, "found": None})
        if _is_large():
            _start_apart(job, lock)
        else:
            _walk(database, job)
    return True


def last_walk(settings: Settings) -> Walk | None:
    """Return the walk that is under way, or the last one; None if there was none."""
    folder = place_of(settings, _KIND)
    # First, since a walk that ends in between has kept what it found before it lets go.
    lock = _lock(folder) if folder.exists() else None
    if lock is not None:
        lock.close()
    try:
        kept = json.loads((folder / "walk.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    return Walk(
        at=datetime.fromisoformat(kept["at"]),
        actor=kept["actor"],
        known=kept["known"],
        found=kept["found"],
        is_busy=lock is None and kept["found"] is None,
    )


def _lock(folder: Path) -> IO[bytes] | None:
    """Return the file by which only one walks at a time, until closed; None if held."""
    lock = open(folder / "lock", "ab", opener=privately)  # noqa: SIM115  the caller's
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _keep(job: _Job, told: Mapping[str, Any]) -> None:
    """Keep what is told of a walk, whole or not at all."""
    kept = private_folder(job.settings, _KIND) / "walk.json"
    with temporary_files(job.settings).file_for(kept) as part:
        part.write_text(json.dumps(told), "utf-8")


def _is_large() -> bool:
    head = EvidenceHead.get_or_none()
    contacts = Contact.select(fn.MAX(Contact.id)).scalar() or 0
    return max(head.seq if head else 0, contacts) >= LARGE


def _walk(database: Database, job: _Job) -> None:
    key = job.settings.fingerprint_key
    found = verify_chain(database, known=job.known, fingerprint_key=key, now=job.now)
    _keep(job, {**job.begun, "found": found.to_json()})


_SERVE = f"import sys; from {__name__} import serve; serve(sys.stdin.buffer)"


def _start_apart(job: _Job, lock: IO[bytes]) -> None:
    # The lock belongs to the open file, which the other process has too: it is held until that
    # ends, however it ends.
    process = subprocess.Popen(  # noqa: S603  our own
        [sys.executable, "-P", "-c", _SERVE], stdin=subprocess.PIPE, pass_fds=(lock.fileno(),)
    )
    threading.Thread(target=process.communicate, args=(pickle.dumps(job),), daemon=True).start()


def serve(source: IO[bytes]) -> None:
    """Walk as the job says that comes from `source`."""
    job: _Job = pickle.load(source)  # noqa: S301  written by the process that started us
    settings = job.settings
    with (
        present(settings.sqlite_path),
        open_database(settings.database, journal=journal_of(settings)) as database,
    ):
        try:
            _walk(database, job)
        except Exception as error:  # noqa: BLE001  whatever it was, it is told without its text
            lines = traceback.format_tb(error.__traceback__)
            sys.stderr.write(f"{''.join(lines)}{type(error).__name__}\n")
