"""What runs when: short sweeps that read the database, three lines a job.

May import the use cases and what lies below. There is no leader: each sweep may run in any number
of processes at once, and what is to be done is read from the database each time.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from repermit import accounts, bounces, campaigns, delivery, expiry, importing, reports, webhooks
from repermit.errors import TransportError
from repermit.models import limit_idleness

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterator
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

    @contextmanager
    def _connected(self) -> Iterator[None]:
        with self._database.connection_context():
            limit_idleness(self._database)
            yield

    def start_campaigns(self) -> None:
        """Let campaigns whose time has come begin."""
        with self._connected():
            campaigns.start_scheduled(self._database, now=self._clock.now())

    def remind(self) -> None:
        """Owe the reminders whose time has come."""
        with self._connected():
            owed = campaigns.owe_reminders(
                self._database, settings=self._settings, now=self._clock.now()
            )
        if owed:
            _log.info("%d reminders", owed)

    def look_after(self) -> None:
        """Put right what a dead process left behind; let campaigns open and pilots wait.

        Also while sending rests.
        """
        with self._connected():
            delivery.look_after(self._database, now=self._clock.now())

    def send(self) -> None:
        """Send what is due.

        After a fault of the server it is left alone for a while: a wrong password, tried every
        two seconds, would lock the account.
        """
        now = self._clock.now()
        if self._send_again_at and now < self._send_again_at:
            return
        # Set before, so that a run which fails altogether is followed by a rest too.
        self._send_again_at = now + self._rest
        with self._connected():
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
        with self._connected():
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
            with self._connected():
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

    def webhooks(self) -> None:
        """Tell other programs of answers and removals."""
        with self._connected():
            webhooks.owe(self._database, now=self._clock.now())
            sent = webhooks.deliver_due(
                self._database,
                settings=self._settings,
                clock=self._clock,
                should_stop=self._stopping.is_set,
            )
        if sent.failed:
            _log.info("%d webhooks could not be told; they are tried again", sent.failed)

    def tally(self) -> None:
        """Count what has come of the campaigns."""
        with self._connected():
            reports.tally_up(
                self._database, settings=self._settings, should_stop=self._stopping.is_set
            )

    def tell_daily(self) -> None:
        """Owe the admin the mail about what the day has brought."""
        with self._connected():
            reports.owe_daily(self._database, settings=self._settings, now=self._clock.now())

    def tidy(self) -> None:
        """Forget who looked at what long ago, sessions and failed logins that are over, old files.

        Files are those that were handed in and that nobody took in for a day.
        """
        now = self._clock.now()
        with self._connected():
            accounts.tidy(self._database, settings=self._settings, now=now)
            importing.sweep_uploads(self._database, settings=self._settings, now=now)

    def beat(self) -> None:
        """Note that the answer pages are up."""
        with self._connected():
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


SECONDS = {
    "start_campaigns": 5,
    "remind": 300,
    "look_after": 5,
    "send": 2,
    "expire": 10,
    "beat": 60,
    "bounces": 10,
    "webhooks": 5,
    "tidy": 3600,
    "tally": 3,
    "tell_daily": 60,
}
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
