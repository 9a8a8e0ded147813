"""Dispatching requests to threads and limiting concurrent answers, so that reads wait for no write.

A POST that cannot be served in time is refused.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import current_app, g, request
from waitress.channel import HTTPChannel
from waitress.task import ThreadedTaskDispatcher, WSGITask

from repermit.db.connection import Database, is_postgresql
from repermit.errors import DatabaseBusy
from repermit.web.request_context import (
    ARRIVED,
    KEEPS_CONNECTION,
    MAX_WAIT,
    SECONDS_LEFT,
    get_seconds_left,
)

# The number of answers that a thread is assumed to record within MAX_WAIT before any measurement.
_FIRST_QUEUE_LIMIT = 16

# Found anywhere in the path, as all pages may be below a prefix.
_ADMIN = "/admin/"


class Dispatcher:
    """Groups of threads of equal size: for POSTs and for other requests, of admins and of others.

    Admin requests may take long (uploads, downloads, tests of other servers), so no answer waits
    for one of their threads. A POST is refused at once, by a reading thread, if more POSTs wait
    than can be recorded within `MAX_WAIT`.

    - `now`: the clock that stamps each request before it waits for a thread.
    - `close`: called in each thread when it ends; with it, threads keep their database connection
      from one request to the next.
    """

    def __init__(
        self,
        threads: int,
        *,
        now: Callable[[], datetime] | None = None,
        close: Callable[[], object] | None = None,
    ) -> None:
        self.keeps_connections = close is not None
        self._groups = [_Threads(close) for _ in range(4)]
        self._readers, self._writers, self._admin_readers, self._admin_writers = self._groups
        for group in self._groups:
            group.set_thread_count(threads)
        self._at_first = threads * _FIRST_QUEUE_LIMIT
        self._now = now
        self._lock = threading.Lock()
        self._recorded_at: deque[float] = deque()
        self._queued_since: float | None = None

    def add_task(self, channel: HTTPChannel) -> None:
        """Queue the next request of a connection for a thread of its group."""
        request, now = channel.requests[0], time.monotonic()
        channel.arrived = self._now and self._now()
        channel.refused_at = now + MAX_WAIT
        # An invalid request has neither command nor path.
        is_post = not request.error and request.command == "POST"
        if not request.error and _ADMIN in f"{request.path}/":
            group = self._admin_writers if is_post else self._admin_readers
        elif not is_post:
            group = self._readers
        elif self._is_full(now):
            channel.refused_at = now
            group = self._readers
        else:
            group = self._writers
        channel.is_of_writers = group is self._writers
        group.add_task(channel)

    def count_recorded(self) -> None:
        """Count a POST that was answered other than by 503."""
        with self._lock:
            self._recorded_at.append(time.monotonic())

    def shutdown(self) -> None:
        """Stop all threads after their current requests."""
        for group in self._groups:
            group.set_thread_count(0)
        for group in self._groups:
            group.shutdown()

    def _is_full(self, now: float) -> bool:
        """Return whether more POSTs wait for a thread than can be recorded within `MAX_WAIT`.

        The measure is the number recorded within the last `MAX_WAIT` seconds, once POSTs have been
        queued all that time; before, an assumed number.
        """
        queued = len(self._writers.queue)
        with self._lock:
            while self._recorded_at and self._recorded_at[0] < now - MAX_WAIT:
                self._recorded_at.popleft()
            if not queued:
                self._queued_since = None
                return False
            self._queued_since = self._queued_since or now
            is_measured = now - self._queued_since >= MAX_WAIT
            recorded = len(self._recorded_at)
        return queued >= (recorded if is_measured else max(recorded, self._at_first))


class _Threads(ThreadedTaskDispatcher):  # type: ignore[misc]
    """A group of threads that serve one request after the other."""

    def __init__(self, close: Callable[[], object] | None) -> None:
        super().__init__()
        self._close = close

    def handler_thread(self, thread_no: int) -> None:
        """Serve until the group is stopped."""
        try:
            super().handler_thread(thread_no)
        finally:
            if self._close:
                self._close()


class Task(WSGITask):  # type: ignore[misc]
    """A request that has its remaining seconds, and reports its result to the dispatcher."""

    def execute(self) -> None:
        """Have the application answer."""
        super().execute()
        if self.channel.is_of_writers and not self.status.startswith("503"):
            self.channel.server.task_dispatcher.count_recorded()

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, with the request's arrival and its remaining seconds."""
        environ: dict[str, Any] = super().get_environment()
        environ[ARRIVED] = self.channel.arrived
        environ[KEEPS_CONNECTION] = self.channel.server.task_dispatcher.keeps_connections
        environ[SECONDS_LEFT] = self.channel.refused_at - time.monotonic()
        return environ


# --- Locks: one answer page is rendered at a time, and one answer recorded; on PostgreSQL two. ----


_ANSWER_BLUEPRINT = "answer"
# While one waits for the server, the other uses the processor.
_AT_ONCE_ON_POSTGRESQL = 2


class AnswerLocks:
    """The locks of one application: for POSTs, which may wait for the database, and for GETs.

    Other pages, such as the admin's, may take longer and use no lock.
    """

    def __init__(self, database: Database) -> None:
        at_once = _AT_ONCE_ON_POSTGRESQL if is_postgresql(database) else 1
        self._recording, self._reading = threading.Semaphore(at_once), threading.Semaphore(at_once)

    def for_method(self, method: str) -> threading.Semaphore:
        """Return the lock for a request's method."""
        return self._recording if method == "POST" else self._reading


def acquire_answer_lock() -> None:
    """Acquire the lock of this request, if it is for an answer page; raises DatabaseBusy."""
    if request.blueprint != _ANSWER_BLUEPRINT:
        return
    locks: AnswerLocks = current_app.extensions["repermit.turns"]
    lock = locks.for_method(request.method)
    if not lock.acquire(timeout=get_seconds_left()):
        raise DatabaseBusy("more pages are asked for than can be made")
    g.turn = lock


def release_answer_lock(_error: BaseException | None = None) -> None:
    """Release the lock of this request."""
    lock: threading.Semaphore | None = g.pop("turn", None)
    if lock:
        lock.release()
