"""What runs when: short sweeps that read the database, a function a job.

There is no leader: each sweep may run in any number of processes at once, and what is to be done is
read from the database each time.
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
from repermit.db.connection import Database, checkpoint_wal, set_idle_transaction_timeout
from repermit.db.row_counts import fold_counts
from repermit.db.secure_delete import wipe_deleted_rows
from repermit.errors import TransportError
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

_FIRST_REST = timedelta(minutes=1)
_MAX_REST = timedelta(minutes=15)

_log = logging.getLogger(__name__)


class Jobs:
    """The sweeps of one process, which has `database` as the one in use.

    Each opens a connection of its own. `stopping` makes a long sweep end between two steps;
    `openings` are of links of the pages that this process serves, if it does.
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
        self._present = CurrentSettings(settings)
        self._database = database
        self._clock = clock
        self._stopping = stopping
        self._openings = openings or PendingOpenings()
        self._tried: Settings | None = None
        self._send_again_at: datetime | None = None
        self._rest = _FIRST_REST
        self._polled: Bounces | None = None
        self._poll_again_at: datetime | None = None

    @contextmanager
    def _connected(self) -> Iterator[tuple[Settings, datetime]]:
        """Open a connection, and take the settings as they are now, and the time."""
        with self._database.connection_context():
            set_idle_transaction_timeout(self._database)
            yield self._present.settings(), self._clock.now()

    def _working_on(self, work: JobKind) -> AbstractContextManager[Callable[[], bool]]:
        """Return what keeps other workers from a work, to be entered; it says when to stop."""
        return background_lock(self._database, work, self._stopping.is_set)

    def start_campaigns(self) -> None:
        """Make the asks of campaigns that were launched, and let those begin whose time is come."""
        with self._connected() as (settings, now):
            enqueue_asks.finish_launches(
                self._database, settings=settings, now=now, should_stop=self._stopping.is_set
            )
            lifecycle.start_scheduled(self._database, now=self._clock.now())

    def finish_imports(self) -> None:
        """Go on with the files that are half taken in, as after a kill."""
        with self._connected() as (settings, now):
            import_task.finish_imports(
                self._database, settings=settings, now=now, should_stop=self._stopping.is_set
            )

    def finish_suppression_imports(self) -> None:
        """Go on with the files of suppressions that are half taken in, as after a kill."""
        with self._connected() as (settings, _):
            suppression_import.finish_suppression_imports(
                self._database, settings=settings, should_stop=self._stopping.is_set
            )

    def take_back(self) -> None:
        """Go on with the imports that are being taken back, and the lists that are deleted."""
        with self._connected():
            undo.finish_undoings(self._database, should_stop=self._stopping.is_set)
            delete_list.finish_deletions(self._database, should_stop=self._stopping.is_set)

    def resolve(self) -> None:
        """Go on with what was decided about mails in doubt."""
        with self._connected():
            in_doubt.finish_resolutions(self._database, should_stop=self._stopping.is_set)

    def remind(self) -> None:
        """Owe the reminders whose time has come."""
        with self._connected() as (settings, now):
            enqueued = enqueue_reminders.enqueue_reminders(
                self._database, settings=settings, now=now, should_stop=self._stopping.is_set
            )
        if enqueued:
            _log.info("%d reminders", enqueued)

    def look_after(self) -> None:
        """Put right what a dead process left behind; let campaigns open and pilots wait.

        Also while sending rests.
        """
        with self._connected() as (_, now):
            send_due.run_maintenance(self._database, now=now)

    def send(self) -> None:
        """Send what is due.

        After a fault of the server it is left alone for a while: a wrong password, tried every
        two seconds, would lock the account. Other settings are tried at once, and end a run that
        began with those before: it finishes what is on the wire, and the next one goes on.
        """
        with self._connected() as (settings, now):
            if settings is not self._tried:
                self._tried, self._send_again_at, self._rest = settings, None, _FIRST_REST
            if self._send_again_at and now < self._send_again_at:
                return
            # Set before, so that a run which fails altogether is followed by a rest too.
            self._send_again_at = now + self._rest
            watch = ChangeWatch()
            result = send_due.send_due(
                self._database,
                settings=settings,
                clock=self._clock,
                should_stop=lambda: self._stopping.is_set() or watch.is_past(),
            )
        if result.server_fault:
            _log.warning("sending stops: %s", result.server_fault)
            self._rest = min(self._rest * 2, _MAX_REST)
        else:
            self._send_again_at, self._rest = None, _FIRST_REST

    def expire(self) -> None:
        """Remove who has not answered where the deadline has passed."""
        with self._connected() as (settings, _), self._working_on(JobKind.EXPIRE) as should_stop:
            result = expiry_sweep.expire_due(
                self._database, settings=settings, clock=self._clock, should_stop=should_stop
            )
        if result.removed or result.unasked:
            _log.info("%d removed for silence, %d unasked", result.removed, result.unasked)

    def bounces(self) -> None:
        """Take what came back to the mailbox of the settings, every so many minutes.

        After a fault it is left alone for half an hour, as in `send`, and tried at once with
        another account.
        """
        with self._connected() as (settings, now):
            account = settings.bounces
            if account != self._polled:
                self._polled, self._poll_again_at = account, None
            if account.protocol == "none" or (self._poll_again_at and now < self._poll_again_at):
                return
            taken = self._poll(settings, now)
        if taken:
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(taken.items()))
            _log.info("taken from the mailbox: %s", told)

    def _poll(self, settings: Settings, now: datetime) -> Mapping[MessageKind, int]:
        usual = timedelta(minutes=settings.bounces.every_minutes)
        self._poll_again_at = now + max(usual, poll.REST_AFTER_FAILURE)
        try:
            taken = poll.poll(
                self._database,
                settings=settings,
                clock=self._clock,
                should_stop=self._stopping.is_set,
            )
        except TransportError as error:
            # In words of ours, which tell what to look at.
            _log.warning("no bounces and replies were read: %s", error)
            return {}
        self._poll_again_at = now + usual
        return taken

    def webhooks(self) -> None:
        """Tell other programs of answers and removals."""
        with self._connected() as (settings, now):
            events.enqueue_deliveries(self._database, now=now)
            sent = deliver.deliver_due(
                self._database,
                settings=settings,
                clock=self._clock,
                should_stop=self._stopping.is_set,
            )
        if sent.failed:
            _log.info("%d webhooks could not be told; they are tried again", sent.failed)

    def tally(self) -> None:
        """Count what has come of the campaigns."""
        with self._connected() as (settings, now):
            fold_counts(self._database)
            outcomes_per_day.update_tallies(
                self._database, settings=settings, now=now, should_stop=self._stopping.is_set
            )

    def count_people(self) -> None:
        """Count what has become of the people of large campaigns, for their papers."""
        with self._connected() as (_, now):
            statistics.store_people_counts(
                self._database, now=now, should_stop=self._stopping.is_set
            )

    def tell_daily(self) -> None:
        """Owe the mails about a day and a campaign that has closed."""
        with self._connected() as (settings, now):
            daily_and_closing_mail.enqueue_daily_mails(self._database, settings=settings, now=now)
            daily_and_closing_mail.enqueue_closing_mails(self._database, now=now)

    def tell_witnesses(self) -> None:
        """Have a checkpoint cosigned whose occasion has come, then owe the mails that hold it."""
        with self._connected() as (settings, now):
            try:
                cosignature_request.request_cosignatures(
                    self._database, settings=settings, clock=self._clock
                )
            finally:
                checkpoint_mails.enqueue_checkpoint_mails(
                    self._database, settings=settings, now=now
                )

    def stamp(self) -> None:
        """Owe the timestamps whose occasion has come, and ask the authority for them."""
        with self._connected() as (settings, now):
            timestamps.enqueue_timestamps(self._database, settings=settings, now=now)
            timestamp_request.request_timestamps(
                self._database,
                settings=settings,
                clock=self._clock,
                should_stop=self._stopping.is_set,
            )

    def tidy(self) -> None:
        """Forget who looked at what long ago, and sessions, logins, links and files that are over.

        Files are those that were handed in and that nobody took in for a day.
        """
        with self._connected() as (settings, now):
            should_stop = self._stopping.is_set
            audit_log.delete_expired(
                self._database, settings=settings, now=now, should_stop=should_stop
            )
            join.forget_old_sign_ups(self._database, now=now, should_stop=should_stop)
            data_links.delete_expired_links(self._database, now=now, should_stop=should_stop)
            uploads.sweep_uploads(self._database, settings=settings, now=now)

    def erase(self) -> None:
        """Erase who was taken off long enough ago, and end the parts of the evidence that are due.

        What has been deleted, by this job or at somebody's request, then leaves SQLite's log too.
        First what killed processes have left half written goes: it may hold the same people.
        """
        with self._connected() as (settings, now), self._working_on(JobKind.ERASE) as should_stop:
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
            told = (ended.traces, ended.proofs, ended.openings)
            _log.info("ended: %d traces, %d proofs, openings of %d people", *told)

    def note_openings(self) -> None:
        """Write down which links were opened, by a HEAD or GET, which writes nothing itself."""
        with self._connected():
            self._openings.write(self._database)

    def write_back(self) -> None:
        """Write SQLite's log back into its file, so that nobody's commit has to."""
        with self._connected():
            checkpoint_wal(self._database)

    def beat(self) -> None:
        """Note that the answer pages are up."""
        with self._connected() as (_, now):
            downtime.record_heartbeat(self._database, now=now)


def make_scheduler(jobs: Jobs, names: Collection[str] | None = None) -> BackgroundScheduler:
    """Return a scheduler with the sweeps of these names, or with all, not started yet.

    A date job that is two seconds late is dropped silently by APScheduler 3, so there are none:
    every sweep comes back shortly, however late the last one was, and never beside itself.
    """
    # At INFO it writes two lines for each run, and a warning while a long one goes on.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(max_workers=len(JOB_INTERVALS))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    for name in JOB_INTERVALS if names is None else names:
        sweep: Callable[[], None] = getattr(jobs, name)
        scheduler.add_job(
            partial(run_job, sweep), "interval", seconds=JOB_INTERVALS[name], id=name, name=name
        )
    return scheduler


JOB_INTERVALS = {
    "start_campaigns": 5,
    "finish_imports": 5,
    "finish_suppression_imports": 5,
    "take_back": 5,
    "resolve": 5,
    "remind": 300,
    "look_after": 5,
    "write_back": 1,
    "send": 2,
    "expire": 10,
    "beat": 60,
    "note_openings": 1,
    "bounces": 10,
    "webhooks": 5,
    "tidy": 3600,
    "erase": 60,
    "tally": 3,
    "count_people": 10,
    "tell_daily": 60,
    "stamp": 60,
    "tell_witnesses": 60,
}
"""Seconds between two runs of each sweep."""

WEB_JOBS = ("beat", "note_openings", "write_back")
"""What the process that serves the pages runs itself."""

WORKER_JOBS = tuple(name for name in JOB_INTERVALS if name not in WEB_JOBS)
"""What a worker runs."""


def run_job(sweep: Callable[[], None]) -> None:
    """Run a sweep; what fails is noted by its kind and place, and tried again at the next run.

    Not by its words, which APScheduler would write: they may quote an address.
    """
    try:
        sweep()
    except Exception as error:  # noqa: BLE001  whatever it is, the next run may do better
        frames = traceback.extract_tb(error.__traceback__)
        places = " < ".join(f"{one.filename}:{one.lineno}" for one in reversed(frames))
        _log.error("the job %s failed: %s at %s", sweep.__name__, type(error).__name__, places)
