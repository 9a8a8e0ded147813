"""SIGKILL at random instants of each kind of large work, while people answer (invariants 5 and 8).

The command is killed, or the server with its worker, or the worker alone; what was killed is
started again, and then nothing may be lost, and the work comes to its end. Two kills of each kind
of work, one on each kind of database, are part of every run. Thirty, which take half an hour:

    REPERMIT_KILLS=30 pytest -n2 -o faulthandler_timeout=7200 tests/exhaustive/test_work_kills.py

`REPERMIT_SEED` picks other instants; the log of a failure tells the seed, the work and the second.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.desk import Desk
from tests.support.large_works import Site
from tests.support.smtp_sink import Sink, wait_until

pytestmark = pytest.mark.processes_uncounted

KILLS = int(os.environ.get("REPERMIT_KILLS", "2"))
SEED = int(os.environ.get("REPERMIT_SEED", "14"))


def kill_command(_: Site, command: subprocess.Popen[str]) -> None:
    command.kill()


def kill_server(site: Site, _: subprocess.Popen[str]) -> None:
    """Kill the server; its worker ends with it."""
    site.server.kill()
    site.start()


def kill_worker(site: Site, _: subprocess.Popen[str]) -> None:
    """Kill the worker; the server starts another one."""
    wait_until(lambda: bool(site.server.worker))
    os.kill(site.server.worker, signal.SIGKILL)


def test_killed_at_random_instants_each_work_comes_to_its_end_and_no_answer_is_lost(
    tmp_path: Path, database_url: str
) -> None:
    chance = random.Random(SEED)  # noqa: S311  the same instants every time
    rounds = KILLS // 2
    in_time = 0
    with Sink() as sink:
        desk = Desk(tmp_path, database_url=database_url, inbox=sink)
        with Site(desk, chance, asked=500 + 300 * rounds) as site:
            for number in range(rounds):
                for place, work in enumerate(site.works()):
                    # In turn, another one of each work in the next round.
                    harms = (kill_command, kill_server, kill_command, kill_worker)
                    harm = harms[(place + number) % len(harms)]
                    in_time += site.harm(work, harm)
            assert len(site.answering.recorded) > 10
    assert in_time
