"""A throw-away PostgreSQL cluster made from the binaries that this machine has, for tests."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

_STARTING = 60  # seconds; a loaded machine with a slow disk may need some
_PREFIX = "repermit-pg-"  # and the number of the process that runs it
# What a cluster may lose in a power cut does not matter here, and it lives for minutes.
SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=64MB",
    "shared_buffers=16MB",
    "autovacuum=off",
    "listen_addresses=",
)


def find_binaries(
    path: str | None = None, debian: Path = Path("/usr/lib/postgresql")
) -> Path | None:
    """Return the folder of initdb and postgres: that on `path` ($PATH), else Debian's newest.

    None if there is neither.
    """
    on_path = shutil.which("initdb", path=path)
    # A version is a number; folders of other names are none of PostgreSQL's.
    versions = [folder for folder in debian.glob("*") if folder.name.isdecimal()]
    newest = sorted(versions, key=lambda folder: int(folder.name))[-1:]
    found = [Path(on_path).parent] if on_path else [folder / "bin" for folder in newest]
    return next((folder for folder in found if (folder / "postgres").exists()), None)


# From version 15 on a copy goes through the log unless told otherwise, which takes twice as long.
_COPIES_FILES = 150000


class Cluster:
    """A running cluster; `folder` holds its socket, so no port can be taken.

    Databases are made and dropped on a connection of its own, which `close` ends.
    """

    def __init__(self, folder: Path, server: Server | None = None) -> None:
        self._folder = folder
        self._server = server
        self._numbers = itertools.count(1)

    def stop(self) -> None:
        """Stop the server as `pg_ctl -m immediate` does, without a word to whoever is connected."""
        assert self._server
        self._server.stop(signal.SIGQUIT)

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        assert self._server
        self._server.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes for the block, as when its machine is: it says nothing."""
        server = _read_process(self._folder)
        children = Path(f"/proc/{server}/task/{server}/children").read_text("ascii").split()
        processes = [server, *map(int, children)]
        _signal_all(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal_all(processes, signal.SIGCONT)

    def demote(self) -> None:
        """Start it again as a standby, which takes nothing that writes; needs wal_level=replica."""
        self.stop()
        data = self._folder / "data"
        (data / "standby.signal").touch()
        shutil.chown(data / "standby.signal", data.stat().st_uid)
        self.start()
        self.close()

    def promote(self) -> None:
        """Let the standby take what writes again."""
        assert self._own.execute("SELECT pg_promote()").fetchone() == (True,)

    def url(self, database: str) -> str:
        """Return the address of a database, as libpq and config.toml write it."""
        return f"postgresql://repermit@/{database}?host={quote(str(self._folder), safe='')}"

    def connect(self) -> psycopg.Connection:
        """Return a connection to the cluster itself, which commits each statement."""
        return psycopg.connect(self.url("postgres"), autocommit=True)

    def add_database(self, name: str, *, like: str = "template0") -> str:
        """Make a database that is a copy of another one, an empty one by default; give its URL."""
        version = self._own.info.server_version
        strategy = "STRATEGY file_copy" if version >= _COPIES_FILES else ""
        self._own.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}" {strategy}')
        return self.url(name)

    @contextmanager
    def fresh_database(self, *, like: str = "template0") -> Iterator[str]:
        """Make such a copy, give its URL, and drop it with whoever is still connected."""
        name = f"test_{next(self._numbers)}"
        url = self.add_database(name, like=like)
        try:
            yield url
        finally:
            self._own.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def restart(self) -> None:
        """Break the server off, as a crash of it would, and start it again with the same settings.

        What was committed stays, unless its settings say otherwise (`synchronous_commit`).
        """
        self.stop()
        self.start()
        self.close()

    def close(self) -> None:
        """End its own connection; another one is made when it is needed."""
        if own := vars(self).pop("_own", None):
            own.close()

    @functools.cached_property
    def _own(self) -> psycopg.Connection:
        return self.connect()


@contextmanager
def running_cluster(binaries: Path, settings: Sequence[str] = SETTINGS) -> Iterator[Cluster]:
    """Make a cluster in a folder of its own, run it, and take all of it away afterwards.

    Those that an earlier run could not take away, as it was killed, go first.
    """
    clear_leftovers()
    # Not under pytest's own folder: another user could not enter that.
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    user = _user()
    try:
        shutil.chown(folder, user)
        _make(binaries, folder, user)
        server = Server(binaries, folder, user, settings)
        server.start()
        try:
            with contextlib.closing(Cluster(folder, server)) as cluster:
                yield cluster
        finally:
            server.stop(signal.SIGINT)  # "fast": ends whoever is connected
    finally:
        shutil.rmtree(folder)


def clear_leftovers() -> None:
    """Stop and delete the clusters whose test run is no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not _is_running(int(owner)):
            _stop(folder)
            # Another worker of this run may be at it too.
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        # Somebody else's may not be asked about; the clusters of others are left to them.
        with contextlib.suppress(PermissionError):
            os.kill(process, 0)
        return True
    return False


def _stop(folder: Path) -> None:
    """Stop the server of a cluster, if it runs."""
    # What answers on its socket is that server; the number alone could be another process's.
    if _answers(Cluster(folder)):
        with suppress(ProcessLookupError):
            os.kill(_read_process(folder), signal.SIGQUIT)  # "immediate"
        _wait_until(lambda: not _answers(Cluster(folder)), "PostgreSQL did not stop")


def _read_process(folder: Path) -> int:
    return int((folder / "data/postmaster.pid").read_text("ascii").splitlines()[0])


def _signal_all(processes: Iterable[int], sign: signal.Signals) -> None:
    """Send a signal to each process; a vacuum that was at its end may be gone by now."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, sign)


def _user() -> int:
    """Return whom to run as: not root, to whom PostgreSQL refuses itself."""
    ordinary = next((one for one in pwd.getpwall() if one.pw_name == "postgres"), None)
    other = ordinary or pwd.getpwnam("nobody")
    return os.geteuid() or other.pw_uid


def _make(binaries: Path, folder: Path, user: int) -> None:
    subprocess.run(
        [
            binaries / "initdb",
            *("--pgdata", folder / "data"),
            *("--username", "repermit"),
            *("--auth", "trust"),
            *("--encoding", "UTF8"),
            "--no-locale",
            "--no-sync",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        user=user,
    )


class Server:
    """The server of a cluster, in a process of its own."""

    def __init__(self, binaries: Path, folder: Path, user: int, settings: Sequence[str]) -> None:
        words = [word for setting in settings for word in ("-c", setting)]
        self._command = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder)]
        self._command += words
        self._folder, self._user = folder, user

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self._folder, user=self._user
            )
        _wait_until(lambda: _answers(Cluster(self._folder)), "PostgreSQL did not start")

    def stop(self, sign: signal.Signals) -> None:
        """Stop it by a signal, and wait for its end."""
        self._process.send_signal(sign)
        self._process.wait(_STARTING)


def _wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + _STARTING
    while not is_so():
        assert time.monotonic() < until, otherwise
        time.sleep(0.05)


def _answers(cluster: Cluster) -> bool:
    try:
        cluster.connect().close()
    except psycopg.OperationalError:
        return False
    return True
