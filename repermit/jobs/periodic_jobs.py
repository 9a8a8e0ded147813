"""The periodic jobs, a method each, and their intervals.

There is no leader: each job may run in any number of processes at once, and reads from the database
what is to be done.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from functools import partial

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from repermit.accounts import audit_log
from repermit.answers import join
from repermit.bounces import poll
from repermit.bounces.bounce_results import MessageKind
from repermit.campaigns import delete_list, enqueue_asks, enqueue_reminders, lifecycle
from repermit.clock import Clock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.background_tasks import JobKind, background_lock
from repermit.db.connection import (
    Database,
    checkpoint_wal,
    describe_error,
    set_idle_transaction_timeout,
)
from repermit.db.row_counts import fold_counts
from repermit.db.secure_delete import wipe_deleted_rows
from repermit.errors import RepermitError, TransportError
from repermit.evidence import checkpoint_mails, cosignature_request, timestamp_request, timestamps
from repermit.expiry import downtime
from repermit.expiry import sweep as expiry_sweep
from repermit.imports import import_task, suppression_import, undo, uploads
from repermit.privacy import data_links, erase_removed_contacts, evidence_retention
from repermit.reports import daily_and_closing_mail, outcomes_per_day, statistics
from repermit.sending import in_doubt, send_due
from repermit.setting_overrides.current_settings import ChangeWatch, CurrentSettings
from repermit.settings.definitions import Bounces, Settings
from repermit.temporary_files import make_temporary_files
from repermit.webhooks import deliver, events

_FIRST_PAUSE = timedelta(minutes=1)
_MAX_PAUSE = timedelta(minutes=15)

_log = logging.getLogger(__name__)


class Jobs:
    """The jobs of one process; each opens a connection of its own.

    - `database`: the one in use.
    - `stopping`: ends a long job between two steps.
    - `openings`: the link openings of the pages that this process serves, if it serves any.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        clock: Clock,
        stopping: threading.Event,
        openings: PendingOpenings | None = None,
    ) -> None:
        self._settings = CurrentSettings(settings)
        self._database = database
        self._clock = clock
        self._stopping = stopping
        self._openings = openings or PendingOpenings()
        self._tried_settings: Settings | None = None
        self._next_send_at: datetime | None = None
        self._send_pause = _FIRST_PAUSE
        self._polled_account: Bounces | None = None
        self._next_poll_at: datetime | None = None

    @contextmanager
    def _open_connection(self) -> Iterator[tuple[Settings, datetime]]:
        """Open a connection; yield the current settings and time."""
        with self._database.connection_context():
            set_idle_transaction_timeout(self._database)
            yield self._settings.settings(), self._clock.now()

    def _hold_job_lock(self, job: JobKind) -> AbstractContextManager[Callable[[], bool]]:
        """Return a context manager that locks a job and yields its `should_stop` function."""
        return background_lock(self._database, job, self._stopping.is_set)

    def start_campaigns(self) -> None:
        """Enqueue the asks of launched campaigns, and start the campaigns whose time has come."""
        with self._open_connection() as (settings, now):
            try:
                enqueue_asks.finish_launches(
                    self._database, settings=settings, now=now, should_stop=self._stopping.is_set
                )
            finally:
                lifecycle.start_scheduled(self._database, now=self._clock.now())

    def finish_imports(self) -> None:
        """Continue unfinished imports, for example after a kill."""
        with self._open_connection() as (settings, now):
            import_task.finish_imports(
                self._database, settings=settings, now=now, should_stop=self._stopping.is_set
            )

    def finish_suppression_imports(self) -> None:
        """Continue unfinished imports of suppressions, for example after a kill."""
        with self._open_connection() as (settings, _):
            suppression_import.finish_suppression_imports(
                self._database, settings=settings, should_stop=self._stopping.is_set
            )

    def finish_undos_and_deletions(self) -> None:
        """Continue unfinished undos of imports and deletions of lists."""
        with self._open_connection():
            try:
                undo.finish_undos(self._database, should_stop=self._stopping.is_set)
            finally:
                delete_list.finish_deletions(self._database, should_stop=self._stopping.is_set)

    def finish_resolutions(self) -> None:
        """Continue to apply decisions about mails in doubt."""
        with self._open_connection():
            in_doubt.finish_resolutions(self._database, should_stop=self._stopping.is_set)

    def enqueue_reminders(self) -> None:
        """Enqueue the reminders whose time has come."""
        with self._open_connection() as (settings, now):
            enqueued = enqueue_reminders.enqueue_reminders(
                self._database, settings=settings, now=now, should_stop=self._stopping.is_set
            )
        if enqueued:
            _log.info("%d reminders", enqueued)

    def recover_mails(self) -> None:
        """Recover the mails of dead processes; open campaigns and hold their pilots.

        Also while sending pauses.
        """
        with self._open_connection() as (_, now):
            send_due.run_maintenance(self._database, now=now)

    def send(self) -> None:
        """Send the mails that are due.

        After a fault of the mail server sending pauses: a wrong password, tried every two seconds,
        would lock the account. Changed settings are tried at once. They end a run with the former
        ones, which finishes the mails that it is sending.
        """
        with self._open_connection() as (settings, now):
            if settings is not self._tried_settings:
                self._tried_settings = settings
                self._next_send_at, self._send_pause = None, _FIRST_PAUSE
            if self._next_send_at and now < self._next_send_at:
                return
            # Set before, so that a pause also follows a run that raises.
            self._next_send_at = now + self._send_pause
            watch = ChangeWatch()
            result = send_due.send_due(
                self._database,
                settings=settings,
                clock=self._clock,
                should_stop=lambda: self._stopping.is_set() or watch.is_past(),
            )
        if result.server_fault:
            _log.warning("sending stops: %s", result.server_fault)
            self._send_pause = min(self._send_pause * 2, _MAX_PAUSE)
        else:
            self._next_send_at, self._send_pause = None, _FIRST_PAUSE

    def expire(self) -> None:
        """Remove the contacts that have not answered by their deadline."""
        with (
            self._open_connection() as (settings, _),
            self._hold_job_lock(JobKind.EXPIRE) as should_stop,
        ):
            result = expiry_sweep.expire_due(
                self._database, settings=settings, clock=self._clock, should_stop=should_stop
            )
        # A sweep that waits for a decision would say the same each minute.
        if result.removed or (result.unasked and not result.undecided):
            _log.info("%d removed for silence, %d unasked", result.removed, result.unasked)

    def poll_bounces(self) -> None:
        """Read bounces and replies from the mailbox, every `bounces.every_minutes`.

        After a fault it waits, as in `send`; changed settings of the mailbox are tried at once.
        """
        with self._open_connection() as (settings, now):
            account = settings.bounces
            if account != self._polled_account:
                self._polled_account, self._next_poll_at = account, None
            if account.protocol == "none" or (self._next_poll_at and now < self._next_poll_at):
                return
            counts = self._poll(settings, now)
        if counts:
            summary = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
            _log.info("taken from the mailbox: %s", summary)

    def _poll(self, settings: Settings, now: datetime) -> Mapping[MessageKind, int]:
        interval = timedelta(minutes=settings.bounces.every_minutes)
        self._next_poll_at = now + max(interval, poll.PAUSE_AFTER_FAILURE)
        try:
            counts = poll.poll(
                self._database,
                settings=settings,
                clock=self._clock,
                should_stop=self._stopping.is_set,
            )
        except TransportError as error:
            # The error has a text of ours, which says where to look.
            _log.warning("no bounces and replies were read: %s", error)
            return {}
        self._next_poll_at = now + interval
        return counts

    def deliver_webhooks(self) -> None:
        """Send answers and removals to webhooks."""
        with self._open_connection() as (settings, now):
            events.enqueue_deliveries(self._database, now=now)
            sent = deliver.deliver_due(
                self._database,
                settings=settings,
                clock=self._clock,
                should_stop=self._stopping.is_set,
            )
        if sent.failed:
            _log.info("%d webhooks could not be told; they are tried again", sent.failed)

    def update_tallies(self) -> None:
        """Update the tallies of the campaigns' outcomes."""
        with self._open_connection() as (settings, now):
            fold_counts(self._database)
            outcomes_per_day.update_tallies(
                self._database, settings=settings, now=now, should_stop=self._stopping.is_set
            )

    def store_people_counts(self) -> None:
        """Count the people of large campaigns by outcome, for their reports."""
        with self._open_connection() as (_, now):
            statistics.store_people_counts(
                self._database, now=now, should_stop=self._stopping.is_set
            )

    def enqueue_admin_mails(self) -> None:
        """Enqueue the admin's mails about a day and about closed campaigns."""
        with self._open_connection() as (settings, now):
            daily_and_closing_mail.enqueue_daily_mails(self._database, settings=settings, now=now)
            daily_and_closing_mail.enqueue_closing_mails(self._database, now=now)

    def send_checkpoints_to_witnesses(self) -> None:
        """Have a due checkpoint cosigned, then enqueue the mails that carry it."""
        with self._open_connection() as (settings, now):
            try:
                cosignature_request.request_cosignatures(
                    self._database, settings=settings, clock=self._clock
                )
            finally:
                checkpoint_mails.enqueue_checkpoint_mails(
                    self._database, settings=settings, now=now
                )

    def request_timestamps(self) -> None:
        """Enqueue the timestamps that are due, and request them from the authority."""
        with self._open_connection() as (settings, now):
            timestamps.enqueue_timestamps(self._database, settings=settings, now=now)
            timestamp_request.request_timestamps(
                self._database,
                settings=settings,
                clock=self._clock,
                should_stop=self._stopping.is_set,
            )

    def delete_expired(self) -> None:
        """Delete old accesses, ended sessions and links, old sign-ups, and uploads after a day."""
        with self._open_connection() as (settings, now):
            should_stop = self._stopping.is_set
            audit_log.delete_expired(
                self._database, settings=settings, now=now, should_stop=should_stop
            )
            join.forget_old_sign_ups(self._database, now=now, should_stop=should_stop)
            data_links.delete_expired_links(self._database, now=now, should_stop=should_stop)
            uploads.sweep_uploads(self._database, settings=settings, now=now)

    def erase(self) -> None:
        """Erase contacts that were removed long enough ago, and delete expired evidence parts.

        Files that killed processes left half written go first: they may hold the same people. At
        the end, deleted rows are wiped from SQLite's log too.
        """
        with (
            self._open_connection() as (settings, now),
            self._hold_job_lock(JobKind.ERASE) as should_stop,
        ):
            make_temporary_files(settings).sweep()
            erased = erase_removed_contacts.erase_due(
                self._database, settings=settings, now=now, should_stop=should_stop
            )
            ended = evidence_retention.delete_expired_parts(
                self._database, settings=settings, now=now, should_stop=should_stop
            )
            wipe_deleted_rows(self._database, should_stop=should_stop)
        if erased:
            _log.info("%d who were taken off are erased", erased)
        if ended.traces or ended.proofs or ended.openings:
            counts = (ended.traces, ended.proofs, ended.openings)
            _log.info("ended: %d traces, %d proofs, openings of %d people", *counts)

    def store_openings(self) -> None:
        """Store the link openings of requests that write nothing themselves (HEAD, GET)."""
        with self._open_connection():
            self._openings.write(self._database)

    def checkpoint_wal(self) -> None:
        """Checkpoint SQLite's log, so that no commit has to."""
        with self._open_connection():
            checkpoint_wal(self._database)

    def record_heartbeat(self) -> None:
        """Record that the answer pages are up."""
        with self._open_connection() as (_, now):
            downtime.record_heartbeat(self._database, now=now)


def make_scheduler(jobs: Jobs, names: Collection[str] | None = None) -> BackgroundScheduler:
    """Return a scheduler with the jobs of these names, or all, not started yet.

    APScheduler 3 silently drops a date job that is two seconds late, so all jobs are periodic. In
    one scheduler no job runs twice at once.
    """
    # At INFO it logs two lines a run, and warns while a long run goes on.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(max_workers=len(JOB_INTERVALS))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    for name in JOB_INTERVALS if names is None else names:
        job: Callable[[], None] = getattr(jobs, name)
        scheduler.add_job(
            partial(run_job, job), "interval", seconds=JOB_INTERVALS[name], id=name, name=name
        )
    return scheduler


JOB_INTERVALS = {
    "start_campaigns": 5,
    "finish_imports": 5,
    "finish_suppression_imports": 5,
    "finish_undos_and_deletions": 5,
    "finish_resolutions": 5,
    "enqueue_reminders": 300,
    "recover_mails": 5,
    "checkpoint_wal": 1,
    "send": 2,
    "expire": 10,
    "record_heartbeat": 60,
    "store_openings": 1,
    "poll_bounces": 10,
    "deliver_webhooks": 5,
    "delete_expired": 3600,
    "erase": 60,
    "update_tallies": 3,
    "store_people_counts": 10,
    "enqueue_admin_mails": 60,
    "request_timestamps": 60,
    "send_checkpoints_to_witnesses": 60,
}
"""Seconds between two runs of each job."""

WEB_JOBS = ("record_heartbeat", "store_openings", "checkpoint_wal")
"""The jobs that the process of the pages runs itself."""

WORKER_JOBS = tuple(name for name in JOB_INTERVALS if name not in WEB_JOBS)
"""The jobs that a worker runs."""


def run_job(job: Callable[[], None]) -> None:
    """Run a job; log an error by its type, code and place, without what may be an address.

    APScheduler would log the text. The next run tries again.
    """
    try:
        job()
    except Exception as error:  # noqa: BLE001  whatever it is, the next run may do better
        frames = traceback.extract_tb(error.__traceback__)
        places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
        _log.error("the job %s failed: %s at %s", job.__name__, _describe_failure(error), places)


def _describe_failure(error: Exception) -> str:
    """Return the type of an error, and the template of its text without the values."""
    # A text without values may have been put together with an address.
    if isinstance(error, RepermitError) and error.said.values:
        return f"{describe_error(error)} ({error.said.template})"
    return describe_error(error)
