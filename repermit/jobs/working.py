"""A process, or a part of one, that runs sweeps until it is told to stop.

May import the use cases and what lies below.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from repermit.delivery import Stopping
from repermit.garbage_collection import heap_frozen
from repermit.jobs.child import hold
from repermit.jobs.sweeps import OF_WORKERS, Jobs, make_scheduler

if TYPE_CHECKING:
    from collections.abc import Collection

    from repermit.answers import Pending
    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.models import Database


class Work:
    """Sweeps in threads of this process, all or those of these names, from `start` to `stop`.

    `database` is the one in use; `openings` are those of the pages of this process.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        clock: Clock,
        names: Collection[str] | None = None,
        openings: Pending | None = None,
    ) -> None:
        self._stopping = threading.Event()
        jobs = Jobs(settings, database, clock=clock, stopping=self._stopping, openings=openings)
        self._scheduler = make_scheduler(jobs, names)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """End, once what is under way has been finished: a mail on the wire is marked."""
        self._stopping.set()
        self._scheduler.shutdown(wait=True)


def work(settings: Settings, database: Database, *, clock: Clock, leash: int | None = None) -> None:
    """Run a worker until SIGTERM or SIGINT; must be called in the main thread.

    `leash` is where it hears from the process that looks after it, a file descriptor; see Child.
    """
    stopping = Stopping()
    everything = Work(settings, database, clock=clock, names=OF_WORKERS)
    with stopping.on_signals(), heap_frozen():
        if leash is not None:
            # Not at a lower priority than the pages: what is slow while it holds the write lock, or
            # a lock of PostgreSQL's, holds them up too.
            hold(leash, stop=stopping.ask)
        everything.start()
        stopping.wait()
        everything.stop()
