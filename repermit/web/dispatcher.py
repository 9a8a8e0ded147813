"""Which thread serves a request, and which page's turn it is: who reads waits for no writer."""

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

# What a thread records within the patience at the least, as long as nothing was measured.
_FIRST_QUEUE_LIMIT = 16

# Whatever stands before it, such as a path that all pages are under.
_ADMIN = "/admin/"


class Dispatcher:
    """Three groups of as many threads: for POSTs, which write, for other requests, and for admins.

    Admins have files sent and received, and other servers tried, for as long as that takes; nobody
    who answers waits for one of their threads. A POST for which more are waiting than can be
    recorded within the patience is refused at once, by a thread of those that read. By `now` each
    request is stamped before it waits for a thread. With `close`, called in each thread when it
    ends, threads keep their connection to the database from one request to the next.
    """

    def __init__(
        self,
        threads: int,
        *,
        now: Callable[[], datetime] | None = None,
        close: Callable[[], object] | None = None,
    ) -> None:
        self.keeps_connections = close is not None
        self._readers, self._writers, self._admins = (_Threads(close) for _ in range(3))
        self._groups = (self._readers, self._writers, self._admins)
        for group in self._groups:
            group.set_thread_count(threads)
        self._at_first = threads * _FIRST_QUEUE_LIMIT
        self._now = now
        self._lock = threading.Lock()
        self._recorded_at: deque[float] = deque()
        self._queued_since: float | None = None

    def add_task(self, channel: HTTPChannel) -> None:
        """Have the next request of a connection served."""
        request, now = channel.requests[0], time.monotonic()
        channel.arrived = self._now and self._now()
        channel.refused_at = now + MAX_WAIT
        # What is no request has neither command nor path.
        if not request.error and _ADMIN in f"{request.path}/":
            group = self._admins
        elif request.error or request.command != "POST":
            group = self._readers
        elif self._is_full(now):
            channel.refused_at = now
            group = self._readers
        else:
            group = self._writers
        channel.is_of_writers = group is self._writers
        group.add_task(channel)

    def note_recorded(self) -> None:
        """Note that a POST was answered, and not told to come again."""
        with self._lock:
            self._recorded_at.append(time.monotonic())

    def shutdown(self) -> None:
        """Stop all threads, after what they are at."""
        for group in self._groups:
            group.set_thread_count(0)
        for group in self._groups:
            group.shutdown()

    def _is_full(self, now: float) -> bool:
        """Say whether more POSTs wait for a thread than can be recorded within the patience.

        That is as many as were recorded within the last so many seconds, if some have waited all
        that time; before, nobody knows what can be done.
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
    """Tells the application how long it may wait, and its dispatcher what came of that."""

    def execute(self) -> None:
        """Have the application answer."""
        super().execute()
        if self.channel.is_of_writers and not self.status.startswith("503"):
            self.channel.server.task_dispatcher.note_recorded()

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment, with the request's arrival and the seconds that are left."""
        environ: dict[str, Any] = super().get_environment()
        environ[ARRIVED] = self.channel.arrived
        environ[KEEPS_CONNECTION] = self.channel.server.task_dispatcher.keeps_connections
        environ[SECONDS_LEFT] = self.channel.refused_at - time.monotonic()
        return environ


# --- One page behind the links of a mail is made at a time, and one answer recorded. --------------


_ANSWER_BLUEPRINT = "answer"
_ANSWERS_AT_ONCE_ON_POSTGRESQL = 2


class AnswerLocks:
    """The turns of one application: for POSTs, which may wait for the database, and for GETs.

    Other pages, such as the admin's, may take longer, and take none.
    """

    def __init__(self, database: Database) -> None:
        at_once = _ANSWERS_AT_ONCE_ON_POSTGRESQL if is_postgresql(database) else 1
        self._recording, self._reading = threading.Semaphore(at_once), threading.Semaphore()

    def for_method(self, method: str) -> threading.Semaphore:
        """Return the lock for a request's method."""
        return self._recording if method == "POST" else self._reading


def acquire_answer_lock() -> None:
    """Wait until this request's turn has come; raises DatabaseBusy."""
    if request.blueprint != _ANSWER_BLUEPRINT:
        return
    locks: AnswerLocks = current_app.extensions["repermit.turns"]
    lock = locks.for_method(request.method)
    if not lock.acquire(timeout=get_seconds_left()):
        raise DatabaseBusy("more pages are asked for than can be made")
    g.turn = lock


def release_answer_lock(_error: BaseException | None = None) -> None:
    """Let the next one begin."""
    lock: threading.Semaphore | None = g.pop("turn", None)
    if lock:
        lock.release()
