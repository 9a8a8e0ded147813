"""Openings of links that are not written yet, since no page waits for that.

May import contacts, models, suspicion and what lies below.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from repermit import contacts, suspicion
from repermit.models import Contact, StepSize, lock_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from repermit.models import Database
    from repermit.suspicion import Link, Past

_MOST = 20_000
_MOST_OF_ONE = 20
_MOST_AT_ONCE = 200


@dataclass(frozen=True)
class Seen:
    """That a link was opened, by HEAD or by GET."""

    link: Link
    is_head: bool
    at: datetime


class Pending:
    """Openings of all links of this process, in memory until they are written.

    Whoever gets a page must not wait for a turn to write, nor could a GET take one (DESIGN
    invariant 1). A sweep writes them every second; what a kill loses is a trace. So many are
    kept in between, of one contact and of all; what comes beyond that is not counted.
    """

    def __init__(self, *, most: int = _MOST, most_of_one: int = _MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._count = 0
        self._by_uid: dict[str, list[Seen]] = {}
        # Whoever holds `_writing` may wait for the database, whoever holds `_mutex` for nothing.
        self._writing, self._mutex = threading.Lock(), threading.Lock()

    def note(self, uid: str, seen: Seen) -> None:
        """Note that a link of the contact with this uid was opened."""
        with self._mutex:
            own = self._by_uid.get(uid, [])
            if self._count < self._most and len(own) < self._most_of_one:
                self._by_uid[uid] = [*own, seen]
                self._count += 1

    @contextmanager
    def taken(self, uid: str) -> Iterator[tuple[Seen, ...]]:
        """Take those of one contact, to be written with a press; if that fails, they are back."""
        # What is being written at this moment is in the database afterwards.
        with self._writing:
            seen = self._take([uid])
        with self._back_on_failure(seen):
            yield tuple(seen.get(uid, ()))

    def write(self, database: Database) -> int:
        """Write all of them, some contacts at a time; return of how many contacts there were any.

        What cannot be written waits for the next time.
        """
        with self._mutex:
            uids = sorted(self._by_uid)
        size, reached = StepSize(most=_MOST_AT_ONCE), 0
        while some := uids[reached : reached + size.rows]:
            reached += len(some)
            with self._writing:
                seen = self._take(some)
                with self._back_on_failure(seen), size.step(database):
                    _write(seen)
        return len(uids)

    @contextmanager
    def _back_on_failure(self, seen: dict[str, list[Seen]]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            for uid, own in seen.items():
                for one in own:
                    self.note(uid, one)
            raise

    def _take(self, uids: Sequence[str]) -> dict[str, list[Seen]]:
        with self._mutex:
            found = {uid: self._by_uid.pop(uid) for uid in uids if uid in self._by_uid}
            self._count -= sum(map(len, found.values()))
        return found


def with_seen(past: Past, seen: Iterable[Seen]) -> Past:
    """Return a past with what was seen since."""
    openings = past.openings
    for one in seen:
        openings = suspicion.opened(openings, one.link, is_head=one.is_head, at=one.at)
    return replace(past, openings=openings)


def _write(seen: dict[str, list[Seen]]) -> None:
    """Write what was seen, in the caller's transaction; of who was erased nothing is kept."""
    rows = Contact.select().where(Contact.uid.in_(list(seen)), Contact.erased_at.is_null())
    for contact in lock_rows(rows.order_by(Contact.id)):
        contacts.remember(contact, with_seen(contacts.recall(contact), seen[contact.uid]))
