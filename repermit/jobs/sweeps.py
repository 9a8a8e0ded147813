"""What runs when: short sweeps that read the database, three lines a job.

May import the use cases and what lies below. There is no leader: each sweep may run in any number
of processes at once, and what is to be done is read from the database each time.
"""

from __future__ import annotations

import logging
import traceback
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from repermit import bounces, campaigns, delivery, expiry
from repermit.errors import TransportError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection
    from datetime import datetime

    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.models import Database

_FIRST_REST = timedelta(minutes=1)
_LONGEST_REST = timedelta(minutes=15)
_REST_OF_POLLING = timedelta(minutes=30)

_log = logging.getLogger(__name__)


class Jobs:
    """The sweeps of one process, which has `database` as the one in use.

    Each opens a connection of its own. `stopping` makes a long sweep end between two steps.
    """

    def __init__(
        self, settings: Settings, database: Database, *, clock: Clock, stopping: threading.Event
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._stopping = stopping
        self._send_again_at: datetime | None = None
        self._rest = _FIRST_REST
        self._poll_again_at: datetime | None = None

    def start_campaigns(self) -> None:
        """Let campaigns whose time has come begin."""
        with self._database.connection_context():
            campaigns.start_scheduled(self._database, now=self._clock.now())

    def remind(self) -> None:
        """Owe the reminders whose time has come."""
        with self._database.connection_context():
            owed = campaigns.owe_reminders(
                self._database, settings=self._settings, now=self._clock.now()
            )
        if owed:
            _log.info("%d reminders", owed)

    def send(self) -> None:
        """Put right what a dead process left behind, then send what is due.

        After a fault of the server it is left alone for a while: a wrong password, tried every
        two seconds, would lock the account.
        """
        now = self._clock.now()
        if self._send_again_at and now < self._send_again_at:
            return
        # Set before, so that a run which fails altogether is followed by a rest too.
        self._send_again_at = now + self._rest
        with self._database.connection_context():
            result = delivery.send_due(
                self._database,
                settings=self._settings,
                clock=self._clock,
                should_stop=self._stopping.is_set,
            )
        if result.server_fault:
            self._rest = min(self._rest * 2, _LONGEST_REST)
        else:
            self._send_again_at, self._rest = None, _FIRST_REST

    def expire(self) -> None:
        """Remove who has not answered where the deadline has passed."""
        with self._database.connection_context():
            result = expiry.expire_due(self._database, settings=self._settings, clock=self._clock)
        if result.removed or result.unasked:
            _log.info("%d removed for silence, %d unasked", result.removed, result.unasked)

    def bounces(self) -> None:
        """Take what came back to the mailbox of the settings, every so many minutes.

        After a fault it is left alone for half an hour, as in `send`.
        """
        now, account = self._clock.now(), self._settings.bounces
        if account.protocol == "none" or (self._poll_again_at and now < self._poll_again_at):
            return
        self._poll_again_at = now + max(timedelta(minutes=account.every_minutes), _REST_OF_POLLING)
        try:
            with self._database.connection_context():
                taken = bounces.poll(
                    self._database,
                    settings=self._settings,
                    clock=self._clock,
                    should_stop=self._stopping.is_set,
                )
        except TransportError as error:
            # In words of ours, which tell what to look at.
            _log.warning("no bounces and replies were read: %s", error)
            return
        self._poll_again_at = now + timedelta(minutes=account.every_minutes)
        if taken:
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(taken.items()))
            _log.info("taken from the mailbox: %s", told)

    def beat(self) -> None:
        """Note that the answer pages are up."""
        with self._database.connection_context():
            expiry.beat(self._database, now=self._clock.now())


def make_scheduler(jobs: Jobs, names: Collection[str] | None = None) -> BackgroundScheduler:
    """Return a scheduler with the sweeps of these names, or with all, not started yet.

    A date job that is two seconds late is dropped silently by APScheduler 3, so there are none:
    every sweep comes back shortly, however late the last one was, and never beside itself.
    """
    # At INFO it writes two lines for each run, and a warning while a long one goes on.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(max_workers=len(SECONDS))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    for name in SECONDS if names is None else names:
        sweep: Callable[[], None] = getattr(jobs, name)
        scheduler.add_job(
            partial(run, sweep), "interval", seconds=SECONDS[name], id=name, name=name
        )
    return scheduler


SECONDS = {"start_campaigns": 5, "remind": 300, "send": 2, "expire": 10, "beat": 60, "bounces": 10}
"""Seconds between two runs of each sweep."""

OF_THE_PAGES = ("beat",)
"""What the process that serves the pages runs itself: a beat of another's would prove nothing."""

OF_WORKERS = tuple(name for name in SECONDS if name not in OF_THE_PAGES)
"""What a worker runs."""


def run(sweep: Callable[[], None]) -> None:
    """Run a sweep; what fails is noted by its kind and place, and tried again at the next run.

    Not by its words, which APScheduler would write: they may quote an address.
    """
    try:
        sweep()
    except Exception as error:  # noqa: BLE001  whatever it is, the next run may do better
        frames = traceback.extract_tb(error.__traceback__)
        places = " < ".join(f"{one.filename}:{one.lineno}" for one in reversed(frames))
        _log.error("the job %s failed: %s at %s", sweep.__name__, type(error).__name__, places)
