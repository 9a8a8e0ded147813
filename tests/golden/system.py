"""The product as the golden master reaches it: commands, pages and jobs.

After a refactoring the imports of this file, and the names of jobs, have to follow.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from logging.handlers import BufferingHandler
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

import dns.resolver

from repermit.cli import cli, main
from repermit.clock import ManualClock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import open_database
from repermit.db.suppression_journal import make_journal
from repermit.jobs.periodic_jobs import Jobs
from repermit.settings.config_file import load_config
from repermit.web.application import create_app

if TYPE_CHECKING:
    import click
    from flask.testing import FlaskClient

_JOBS = (
    *(
        "record_heartbeat",
        "store_openings",
        "start_campaigns",
        "finish_imports",
        "finish_suppression_imports",
    ),
    *(
        "finish_undos_and_deletions",
        "finish_resolutions",
        "enqueue_reminders",
        "recover_mails",
        "send",
        "expire",
        "poll_bounces",
        "update_tallies",
        "store_people_counts",
    ),
    *(
        "enqueue_admin_mails",
        "send",
        "deliver_webhooks",
        "delete_expired",
        "erase",
        "checkpoint_wal",
    ),
)
_NO_USER = 54321
"""A user id that has no name on any machine."""


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code, and the bytes that it printed."""

    code: int
    out: bytes
    err: bytes


class System:
    """One installation in the current folder, with `clock` as its time."""

    def __init__(self, start: datetime) -> None:
        self.clock = ManualClock(start)
        self._log = BufferingHandler(1_000_000)
        self._openings = PendingOpenings()

    @contextlib.contextmanager
    def keep_log(self) -> Iterator[None]:
        """Keep what is logged, for `log`."""
        logger = logging.getLogger("repermit")
        level = logger.level
        logger.addHandler(self._log)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(self._log)
            logger.setLevel(level)

    @property
    def log(self) -> str:
        """Return what was logged, without the names of modules."""
        return "".join(f"{one.levelname} {one.getMessage()}\n" for one in self._log.buffer)

    def run(self, *arguments: str) -> Ran:
        """Run one command of the command line in this process."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        code: Any = None
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(arguments, clock=self.clock)
            except SystemExit as ended:
                code = ended.code
        return Ran(code, _bytes_of(out), _bytes_of(err))

    @contextlib.contextmanager
    def serve_pages(self) -> Iterator[FlaskClient]:
        """Serve the pages to a client in this process, until the next command."""
        app = create_app(
            load_config(Path("config.toml")), clock=self.clock, openings=self._openings
        )
        yield app.test_client()
        self.do_jobs("store_openings")

    def do_jobs(self, *names: str) -> None:
        """Do the jobs of these names once, or all that `serve` and its worker do."""
        settings = load_config(Path("config.toml"))
        with open_database(settings.database, journal=make_journal(settings)) as database:
            jobs = Jobs(
                settings,
                database,
                clock=self.clock,
                stopping=threading.Event(),
                openings=self._openings,
            )
            for name in names or _JOBS:
                getattr(jobs, name)()


def list_commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, the groups too."""
    yield from _commands_below(cli, ())


def _commands_below(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    below: Mapping[str, click.Command] = getattr(command, "commands", {})
    for name in sorted(below):
        yield from _commands_below(below[name], (*path, name))


@contextlib.contextmanager
def fix_surroundings(folder: Path, clock: ManualClock, ports: Mapping[int, int]) -> Iterator[None]:
    """Fix what a machine decides: random numbers, time, user, terminal, ports, names.

    `ports` are those that the settings name, each with the one where the server really listens.
    """
    connect = socket.create_connection

    def connect_to(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        host, port = address
        return connect((host, ports.get(port, port)), *arguments, **options)

    random_bytes = _FixedRandom()
    fixed: dict[str, Any] = {
        "os.urandom": random_bytes,
        # The module `secrets` draws from here.
        "random._urandom": random_bytes,
        # Signed cookies hold it.
        "time.time": lambda: clock.now().timestamp(),
        "os.getuid": lambda: _NO_USER,
        "os.setpriority": lambda *_: None,
        "shutil.disk_usage": lambda _: SimpleNamespace(free=10**11),
        "socket.create_connection": connect_to,
        "dns.resolver.Resolver.resolve": _find_no_name,
    }
    with contextlib.ExitStack() as stack:
        for name, value in fixed.items():
            stack.enter_context(patch(name, value))
        stack.enter_context(patch.dict(os.environ, {"COLUMNS": "100"}))
        os.environ.pop("REPERMIT_CONFIG", None)
        stack.enter_context(contextlib.chdir(folder))
        yield


class _FixedRandom:
    """Random bytes that are the same in every run, one stream for each length.

    So one draw more of another length, as for the name of a file, changes no token.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawn: Counter[int] = Counter()

    def __call__(self, size: int) -> bytes:
        with self._lock:
            self._drawn[size] += 1
            seed = f"{size} {self._drawn[size]}"
        return hashlib.shake_256(seed.encode()).digest(size)


def _find_no_name(*_: object, **__: object) -> NoReturn:
    raise dns.resolver.NXDOMAIN


def _bytes_of(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()
