"""A disk that is full, and a PostgreSQL that breaks off, in the midst of each kind of large work.

People answer meanwhile. The command says why it stops, nothing of what anybody was told is lost,
and once there is room or a server again all goes on by itself.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from repermit.db import migrations
from repermit.db.connection import open_database
from tests.support.desk import Desk
from tests.support.large_works import Harm, Site
from tests.support.postgresql_cluster import Cluster, find_binaries, running_cluster
from tests.support.smtp_sink import Sink

pytestmark = pytest.mark.processes_uncounted

SEED = int(os.environ.get("REPERMIT_SEED", "14"))
# As PostgreSQL is when nobody has set anything, but that the machine itself does not break off.
_SETTINGS = ("fsync=off", "listen_addresses=", "shared_buffers=16MB", "max_wal_size=64MB")
_LASTS = 1.5  # seconds


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of its own, which is soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here, which takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write a file that leaves no room on its disk."""
    path = folder / "ballast"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(folder).free == 0
    return path


@pytest.fixture
def breaking_cluster() -> Iterator[Cluster]:
    """Run a PostgreSQL of its own, which keeps what it has committed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("there is no PostgreSQL here (Debian: apt-get install postgresql)")
    with running_cluster(binaries, _SETTINGS) as running:
        yield running


def suffer(desk: Desk, harm: Harm) -> Site:
    """Do harm in the midst of each work."""
    chance = random.Random(SEED)  # noqa: S311  the same instants every time
    with Site(desk, chance) as site:
        for work in site.works():
            assert site.harm(work, harm) == 1, f"{work.name} was too quick"
    assert len(site.answering.recorded) > 10
    assert site.answering.failures
    assert site.reasons
    return site


def go_on(site: Site, process: int) -> None:
    """Let whoever works meet what has happened; a command ends."""
    os.kill(process, signal.SIGCONT)
    if site.command:
        site.command.wait(60)


def test_a_full_disk_is_named_and_nothing_is_lost_by_it(small_disk: Path, sqlite_url: str) -> None:
    shutil.copy(sqlite_url.removeprefix("sqlite:///"), small_disk)

    def fill_disk(site: Site, process: int) -> None:
        ballast = fill(small_disk)
        try:
            go_on(site, process)
            time.sleep(_LASTS)
        finally:
            ballast.unlink()

    with Sink() as sink:
        url = f"sqlite:///{small_disk / 'repermit.db'}"
        site = suffer(Desk(small_disk, database_url=url, inbox=sink), fill_disk)
    for reason in site.reasons:
        assert "full" in reason or "No space left" in reason, reason


def test_a_server_that_breaks_off_is_named_and_nothing_is_lost_by_it(
    tmp_path: Path, breaking_cluster: Cluster
) -> None:
    def restart(site: Site, process: int) -> None:
        breaking_cluster.restart()
        go_on(site, process)

    url = breaking_cluster.add_database("breaking")
    with open_database(url) as database:
        migrations.upgrade_database(database)
    with Sink() as sink:
        suffer(Desk(tmp_path, database_url=url, inbox=sink), restart)
