"""A file that is sent while it is being written, however long it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from typing import BinaryIO

from repermit.db.connection import Database

_PIECE = 64 * 1024


def stream(write: Callable[[BinaryIO], object], *, database: Database) -> Generator[bytes]:
    """Yield what `write` writes, which runs in a thread with a connection of its own.

    If it fails, so does the download, which the browser then does not take for a whole file. If
    nobody reads on, it ends, and is waited for: it notes how far it came.
    """
    reading, writing = os.pipe()
    failures: list[Exception] = []

    def run() -> None:
        try:
            with os.fdopen(writing, "wb") as out, database.connection_context():
                write(out)
        except BrokenPipeError:
            pass
        except Exception as error:  # noqa: BLE001  it is raised again where it is read
            failures.append(error)

    thread = threading.Thread(target=run, name="export", daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb", buffering=0) as source:
            while piece := source.read(_PIECE):
                yield piece
    finally:
        thread.join()
    if failures:
        raise failures[0]
