"""Who uses an SQLite database now, so that none is put in its place under somebody's hands.

Each process that works with the database, for as long as it does, shares a lock that whoever
restores needs for itself.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from repermit.db.write_lock import holder, privately
from repermit.errors import Refused

RESTORING = ".restoring"
"""What the name of a database that is being made ready has behind it."""


@contextmanager
def present(database: Path | None) -> Iterator[None]:
    """Share the database; raises Refused while it is restored, or if that was broken off.

    None is a database of another kind, in whose place none can be put.
    """
    if database is None:
        yield
        return
    with _locked(database, fcntl.LOCK_SH) as is_shared:
        if not is_shared:
            raise Refused("the database is being restored; wait until that is done")
        if Path(f"{database}{RESTORING}").exists():
            raise Refused(
                "restoring the database was broken off: give `repermit restore` again",
                code="restore_broken",
            )
        yield


@contextmanager
def alone(database: Path) -> Iterator[None]:
    """Have the database for this process alone; raises Refused, and says which other one has it."""
    with _locked(database, fcntl.LOCK_EX) as is_alone:
        if not is_alone:
            raise Refused(
                "process %(process)s works with the database: stop `repermit serve` and every "
                "`repermit worker` first",
                process=str(holder(_lock_of(database))),
            )
        yield


@contextmanager
def _locked(database: Path, how: int) -> Iterator[bool]:
    with ExitStack() as stack:
        try:
            path = _lock_of(database)
            file: IO[bytes] | None = stack.enter_context(open(path, "ab", opener=privately))
        except OSError:
            # The database itself is refused then, in words that say more.
            file = None
        yield file is None or _takes(file, how | fcntl.LOCK_NB)


def _takes(file: IO[bytes], how: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, how)
        return True
    return False


def _lock_of(database: Path) -> Path:
    return Path(f"{database}.in-use")
