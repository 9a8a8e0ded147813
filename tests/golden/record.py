"""Run the script, and write the master.

python -m tests.golden.record --write
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.golden.script import Script
from tests.golden.system import System, fix_surroundings
from tests.golden.text import Book
from tests.support.inbox import Inbox
from tests.support.webhook_receiver import Receiver

MASTER = Path(__file__).parent / "master"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# What the settings and a webhook name.
SMTP_PORT, WEBHOOK_PORT = 2525, 8081


def record() -> dict[str, str]:
    """Run the script in a temporary folder; return what came out, by its path in the master."""
    with tempfile.TemporaryDirectory() as name, Inbox() as inbox, Receiver() as receiver:
        folder = Path(name).resolve()
        system, book = System(START), Book(str(folder))
        ports = {SMTP_PORT: inbox.port, WEBHOOK_PORT: receiver.port}
        with fix_surroundings(folder, system.clock, ports), system.keep_log():
            Script(system, book, inbox, receiver).play()
        return book.files


def read_master() -> dict[str, str]:
    """Return the files of the master, by their path in it."""
    return {
        path.relative_to(MASTER).as_posix(): path.read_bytes().decode()
        for path in sorted(MASTER.rglob("*"))
        if path.is_file()
    }


def write_master(files: dict[str, str]) -> None:
    """Put these files in the place of the master."""
    shutil.rmtree(MASTER, ignore_errors=True)
    for name, text in files.items():
        path = MASTER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.golden.record --write")
    write_master(record())
