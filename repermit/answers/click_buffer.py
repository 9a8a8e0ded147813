"""Openings of links, and other notes of GETs, that are not written yet: no page waits for that."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import peewee

from repermit.contacts import click_log
from repermit.db.connection import Database, is_away, is_busy, lock_rows
from repermit.db.models.contacts import Contact
from repermit.db.work_steps import StepSize
from repermit.errors import DatabaseBusy
from repermit.rules import bot_detection
from repermit.rules.bot_detection import Link, Past

_log = logging.getLogger(__name__)

_MAX_PENDING = 20_000
_MAX_PER_CONTACT = 20
_MAX_PER_STEP = 200


@dataclass(frozen=True)
class LinkRequest:
    """That a link was opened, by HEAD or by GET."""

    link: Link
    is_head: bool
    at: datetime


class PendingOpenings:
    """Openings of all links of this process, and other notes, in memory until they are written.

    Whoever gets a page must not wait for a turn to write, nor could a GET take one
    (invariant 1). A sweep writes them every second; what a kill loses is a trace. So many are
    kept in between, of one contact and of all; what comes beyond that is not counted.
    """

    def __init__(self, *, most: int = _MAX_PENDING, most_of_one: int = _MAX_PER_CONTACT) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._count = 0
        self._postponed: deque[Callable[[], object]] = deque()
        self._by_uid: dict[str, list[LinkRequest]] = {}
        # Whoever holds `_writing` may wait for the database, whoever holds `_mutex` for nothing.
        self._writing, self._mutex = threading.Lock(), threading.Lock()

    def add(self, uid: str, request: LinkRequest) -> None:
        """Note that a link of the contact with this uid was opened."""
        with self._mutex:
            requests = self._by_uid.get(uid, [])
            if self._count < self._most and len(requests) < self._most_of_one:
                self._by_uid[uid] = [*requests, request]
                self._count += 1

    def postpone(self, write: Callable[[], object]) -> None:
        """Keep what writes a note, to be called in a transaction; DatabaseBusy if too many wait."""
        if len(self._postponed) >= self._most:
            raise DatabaseBusy("more is to be noted than can be written")
        self._postponed.append(write)

    @contextmanager
    def take_openings(self, uid: str, *, patience: float = -1) -> Iterator[tuple[LinkRequest, ...]]:
        """Take those of one contact, to be written with a press; if that fails, they are back.

        Raises DatabaseBusy if they cannot be had within `patience` seconds; -1 is no limit.
        """
        # What is being written at this moment is in the database afterwards.
        if not self._writing.acquire(timeout=patience):
            raise DatabaseBusy("what was opened is being written")
        try:
            requests = self._pop_requests([uid])
        finally:
            self._writing.release()
        try:
            yield tuple(requests.get(uid, ()))
        except BaseException:
            self._restore(requests)
            raise

    def write(self, database: Database) -> int:
        """Write all of them, some contacts at a time; return of how many contacts there were any.

        What cannot be written waits for the next time.
        """
        with self._mutex:
            uids = sorted(self._by_uid)
        size, reached = StepSize(most=_MAX_PER_STEP), 0
        while chunk := uids[reached : reached + size.rows]:
            reached += len(chunk)
            self._write_step(database, chunk, size)
        self._write_postponed(database)
        return len(uids)

    def _write_step(self, database: Database, uids: Sequence[str], size: StepSize) -> None:
        requests: dict[str, list[LinkRequest]] = {}
        try:
            # In its turn already, so that whoever presses waits for few rows at the most.
            with size.step(database), self._writing:
                requests.update(self._pop_requests(uids))
                _write_openings(requests)
        except BaseException:
            self._restore(requests)
            raise

    def _write_postponed(self, database: Database) -> None:
        while self._postponed:
            write = self._postponed.popleft()
            try:
                with database.atomic():
                    write()
            except (DatabaseBusy, peewee.PeeweeException) as error:
                if is_busy(error) or is_away(error):
                    self._postponed.appendleft(write)
                    raise
                # Such as about a session that is over: no later try does better.
                _log.warning("a note was not written: %s", type(error).__name__)

    def _restore(self, requests: dict[str, list[LinkRequest]]) -> None:
        for uid, contact_requests in requests.items():
            for request in contact_requests:
                self.add(uid, request)

    def _pop_requests(self, uids: Sequence[str]) -> dict[str, list[LinkRequest]]:
        with self._mutex:
            requests = {uid: self._by_uid.pop(uid) for uid in uids if uid in self._by_uid}
            self._count -= sum(map(len, requests.values()))
        return requests


def add_requests(past: Past, requests: Iterable[LinkRequest]) -> Past:
    """Return a past with what was seen since."""
    openings = past.openings
    for request in requests:
        openings = bot_detection.opened(
            openings, request.link, is_head=request.is_head, at=request.at
        )
    return replace(past, openings=openings)


def _write_openings(requests: dict[str, list[LinkRequest]]) -> None:
    """Write what was seen, in the caller's transaction; of who was erased nothing is kept."""
    rows = Contact.select().where(Contact.uid.in_(list(requests)), Contact.erased_at.is_null())
    contacts = list(lock_rows(rows.order_by(Contact.id)))
    openings = click_log.read_openings(contacts)
    for contact in contacts:
        opening = openings.get(contact.id)
        past = add_requests(click_log.read_past(contact, opening), requests[contact.uid])
        click_log.save_past(contact, opening, past)
