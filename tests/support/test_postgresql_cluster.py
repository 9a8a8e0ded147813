"""The PostgreSQL that the tests run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from tests.support.postgresql_cluster import Cluster, clear_leftovers, find_binaries

ROOT = Path(__file__).parents[2]


def put_program(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch(mode=0o755)


def test_binaries_are_looked_for_on_the_path_first(tmp_path: Path) -> None:
    put_program(tmp_path / "path", "initdb", "postgres")
    put_program(tmp_path / "17/bin", "initdb", "postgres")
    assert find_binaries(str(tmp_path / "path"), tmp_path) == tmp_path / "path"


def test_the_newest_of_debians_versions_is_taken(tmp_path: Path) -> None:
    for version in ("9", "17", "common"):
        put_program(tmp_path / version / "bin", "initdb", "postgres")
    assert find_binaries(str(tmp_path), tmp_path) == tmp_path / "17/bin"


def test_a_client_without_its_server_is_no_postgresql(tmp_path: Path) -> None:
    put_program(tmp_path / "17/bin", "psql")
    assert find_binaries(str(tmp_path), tmp_path) is None
    assert find_binaries(str(tmp_path), tmp_path / "nowhere") is None


@pytest.fixture
def ended() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_run_left_behind_goes_and_what_another_is_using_stays(ended: int) -> None:
    place = Path(tempfile.gettempdir())
    left = place / f"repermit-pg-{ended}-test"
    used = place / f"repermit-pg-{os.getpid()}-test"
    for folder in (left, used):
        (folder / "data").mkdir(parents=True)
    clear_leftovers()
    assert (left.exists(), used.exists()) == (False, True)
    (used / "data").rmdir()
    used.rmdir()


_RUN = """
from tests.support.postgresql_cluster import *
with running_cluster(find_binaries()) as cluster:
    print(cluster.url("postgres"), flush=True)
    time.sleep(600)
"""


@pytest.mark.exhaustive
def test_the_server_of_a_run_that_was_killed_is_stopped(cluster: Cluster) -> None:
    command = [sys.executable, "-c", _RUN]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        url = run.stdout.readline().strip()
        run.kill()
    psycopg.connect(url).close()
    clear_leftovers()
    with pytest.raises(psycopg.OperationalError, match=r"No such file or directory"):
        psycopg.connect(url)
    # That of this run is none of them.
    cluster.connect().close()


def test_each_database_is_fresh_and_gone_afterwards(cluster: Cluster) -> None:
    with cluster.fresh_database() as first, psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE left_over (n int)")
    with cluster.fresh_database() as second, psycopg.connect(second) as connection:
        found = connection.execute("SELECT to_regclass('left_over')").fetchone()
    assert found == (None,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(first)


def test_a_database_may_be_a_copy_of_another(cluster: Cluster) -> None:
    with cluster.fresh_database() as first:
        with psycopg.connect(first) as connection:
            connection.execute("CREATE TABLE taken_along (n int)")
        name = psycopg.conninfo.conninfo_to_dict(first)["dbname"]
        with cluster.fresh_database(like=str(name)) as second, psycopg.connect(second) as again:
            assert again.execute("SELECT count(*) FROM taken_along").fetchone() == (0,)


def test_a_database_goes_even_if_somebody_is_still_connected(cluster: Cluster) -> None:
    with cluster.fresh_database() as url:
        left_open = psycopg.connect(url)
    with left_open, pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT 1")


def test_database_url_comes_for_each_kind(database_url: str) -> None:
    assert database_url.startswith(("sqlite:////", "postgresql://repermit@/test_"))
