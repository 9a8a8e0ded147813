"""SIGKILL of whoever does a large work, while people answer (invariants 5 and 8).

Each kind of work is killed once it is under way, after a share of it that chance picks: first the
command, then the worker that has taken it up, then the server whole. Then nothing may be lost, and
the work comes to its end as its kind says (`Ends`). Two kills of each kind of work, on each kind of
database, are part of every run. Thirty:

    REPERMIT_KILLS=30 pytest -n2 tests/exhaustive/test_work_kills.py

`REPERMIT_SEED` picks other instants; the log of a failure tells whom it hit at which work.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.support.desk import Desk
from tests.support.large_works import Ends, Harm, Site, Work
from tests.support.smtp_sink import Sink, wait_until

pytestmark = pytest.mark.processes_uncounted

KILLS = int(os.environ.get("REPERMIT_KILLS", "2"))
SEED = int(os.environ.get("REPERMIT_SEED", "14"))
_AT_ONCE = 3  # kills of one work at most, on an installation of its own


def kill(site: Site, process: int) -> None:
    """Kill the command; or the worker, and the server starts another one."""
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: site.server.worker != process)


def kill_server(site: Site, process: int) -> None:
    """Kill the server with whoever works, as a power cut would."""
    os.kill(process, signal.SIGKILL)
    site.server.kill()
    site.start()


def choose_harms(work: Work, place: int) -> tuple[Harm, ...]:
    """Return how a work is killed, one time after the other.

    Of two kills the second hits the worker of one work, and the server of the next one.
    """
    if work.ends is Ends.GIVEN_AGAIN:
        return (kill,) * _AT_ONCE
    # A server waits longer before each start of a worker, and only a new one does not.
    if work.command is None or (KILLS < _AT_ONCE and place % 2):
        return kill, kill_server, kill
    return kill, kill, kill_server


@pytest.mark.parametrize("number", range(-(-KILLS // _AT_ONCE)))
def test_killed_while_under_way_each_work_comes_to_its_end_and_no_answer_is_lost(
    tmp_path: Path, database_url: str, number: int
) -> None:
    chance = random.Random(SEED + number)  # noqa: S311  the same instants every time
    expected = min(KILLS, _AT_ONCE)
    with Sink() as sink:
        desk = Desk(tmp_path, database_url=database_url, inbox=sink)
        with Site(desk, chance) as site:
            for place, work in enumerate(site.works()):
                harms = choose_harms(work, place)[:expected]
                assert site.harm(work, *harms) == expected, f"{work.name} was too quick"
        assert len(site.answering.recorded) > 10
