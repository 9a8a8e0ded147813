"""The log of how a contact's links were opened and pressed, used to tell people from programs.

It is used for nothing else (GDPR art. 5(1)(b)), is deleted after `trace_days` or with the contact,
and is not written to any log file.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import peewee
from peewee import SQL

from repermit.db.connection import Database, is_busy, is_database_unavailable, lock_rows
from repermit.db.models.base import ID_LIST, PreparedQuery
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.lists import MailingList
from repermit.db.work_steps import StepSize
from repermit.errors import DatabaseBusy
from repermit.rules import bot_detection
from repermit.rules.bot_detection import LINKS, BotSignal, Link, LinkHistory, Opened, Openings
from repermit.rules.consent import REFUSALS, Status

_LINK_COLUMNS = ("gets", "heads", "first_at", "last_at")
_HISTORY_COLUMNS = ("yes_at", "no_at", "disowned_at", "doubted_at", "is_contradicted", "settled_at")


@dataclass(frozen=True)
class LinkRequest:
    """One request of a link, by HEAD or by GET."""

    link: Link
    is_head: bool
    at: datetime


def find_opening(contact: Contact) -> Opening | None:
    """Return the stored history of a contact's links, None without one."""
    opening: Opening | None = Opening.get_or_none(Opening.contact == contact)
    return opening


def read_link_history(
    contact: Contact, opening: Opening | None, unsaved_requests: Iterable[LinkRequest] = ()
) -> LinkHistory:
    """Return the history of a contact's links, from its row and the requests not stored yet."""
    history = LinkHistory() if opening is None else make_link_history(opening)
    openings = history.openings
    for request in unsaved_requests:
        openings = bot_detection.add_opening(
            openings, request.link, is_head=request.is_head, at=request.at
        )
    # A No from a file counts only as long as the contact is removed.
    is_off = contact.status == Status.REMOVED and contact.reason in REFUSALS
    return replace(history, openings=openings, has_refused=contact.has_refused or is_off)


def save_link_history(
    contact: Contact, opening: Opening | None, history: LinkHistory, **more_columns: Any
) -> Opening | None:
    """Save the history of a contact's links, and return its row.

    - `contact`: locked.
    - `opening`: its present row, which is returned unchanged if nothing happened to the links.
    - `more_columns`: values of further columns of the row.
    """
    values = _make_columns(history)
    timestamps = [value for value in values.values() if isinstance(value, datetime)]
    if not timestamps:
        return opening
    row = opening or Opening(contact=contact, list=contact.list_id, began_at=min(timestamps))
    for name, value in {**values, **more_columns}.items():
        setattr(row, name, value)
    row.began_at = min(row.began_at, *timestamps)
    row_values = [field.db_value(row.__data__.get(field.name)) for field in _FIELDS]
    Opening.insert_rows(_FIELDS, [row_values], unique=(Opening.contact,), replace=_FIELDS)
    return row


_FIELDS = Opening._meta.sorted_fields  # noqa: SLF001  peewee's own way


def release_held_yes(ids: Sequence[int]) -> None:
    """End the holding of these contacts' Yes, as it counts now or something else does."""
    if len(ids) == 1:
        _RELEASE_ONE.execute(*ids)
    else:
        _RELEASE.execute(ids=ids)


def _make_release(contact_condition: Any) -> Any:
    # Literal SQL, so that the partial index for held ones is used.
    return Opening.update(held_at=None).where(contact_condition, SQL("held_at IS NOT NULL"))


_RELEASE_ONE = PreparedQuery(lambda contact: _make_release(Opening.contact == contact), 1)
_RELEASE = PreparedQuery(lambda: _make_release(Opening.contact.in_(ID_LIST)))


def read_signals(opening: Opening | None) -> tuple[BotSignal, ...]:
    """Return why a contact's last press was suspect, empty if it was not."""
    return tuple(map(BotSignal, filter(None, opening.signs.split(",")))) if opening else ()


def count_held_yes(mailing_list: MailingList) -> int:
    """Count a list's contacts whose Yes is held; at the deadline they count as silent.

    A held Yes is not shown to be a person's own act (GDPR art. 4(11), 7(1)).
    """
    held_openings = Opening.select().where(Opening.list == mailing_list, SQL("held_at IS NOT NULL"))
    return int(held_openings.count())


def count_contacts_with_openings(mailing_list: MailingList) -> int:
    """Count the contacts of a list whose link openings are stored."""
    return int(Opening.select().where(Opening.list == mailing_list).count())


def describe_openings(openings: Openings) -> dict[str, dict[str, Any]]:
    """Return the openings of links as JSON values, without links that were never opened."""
    return {
        link: _describe_opened(openings.get(link)) for link in LINKS if openings.get(link).last_at
    }


def make_link_history(row: Opening) -> LinkHistory:
    """Return the link history that a row stores."""
    yes, no = (
        Opened(**{name: getattr(row, f"{link}_{name}") for name in _LINK_COLUMNS}) for link in LINKS
    )
    columns = {name: getattr(row, name) for name in _HISTORY_COLUMNS}
    return LinkHistory(openings=Openings(yes=yes, no=no, together_at=row.together_at), **columns)


def _describe_opened(opened: Opened) -> dict[str, Any]:
    first, last = opened.first_at, opened.last_at
    return {
        "get": opened.gets,
        "head": opened.heads,
        "first_at": first.isoformat() if first else "",
        "last_at": last.isoformat() if last else "",
    }


def _make_columns(history: LinkHistory) -> dict[str, Any]:
    return {
        **{
            f"{link}_{name}": getattr(history.openings.get(link), name)
            for link in LINKS
            for name in _LINK_COLUMNS
        },
        "together_at": history.openings.together_at,
        **{name: getattr(history, name) for name in _HISTORY_COLUMNS},
    }


# --- Openings, and other notes of GETs, that wait to be written. ----------------------------------


_MAX_PENDING = 20_000
_MAX_PER_CONTACT = 20
_MAX_PER_STEP = 200

_log = logging.getLogger(__name__)


class PendingOpenings:
    """The link requests of this process, and other notes, in memory until they are written.

    A page must not wait for the write lock, and a GET cannot write (invariant 1). A background
    sweep writes them every second; a kill loses only a trace. Requests beyond `max_pending` in all
    or `max_per_contact` are not counted.
    """

    def __init__(
        self, *, max_pending: int = _MAX_PENDING, max_per_contact: int = _MAX_PER_CONTACT
    ) -> None:
        self._max_pending, self._max_per_contact = max_pending, max_per_contact
        self._count = 0
        self._postponed: deque[Callable[[], object]] = deque()
        self._by_uid: dict[str, list[LinkRequest]] = {}
        # Whoever holds `_writing` may wait for the database, whoever holds `_mutex` for nothing.
        self._writing, self._mutex = threading.Lock(), threading.Lock()

    def add(self, uid: str, request: LinkRequest) -> None:
        """Add one request of a link of the contact with this uid."""
        with self._mutex:
            requests = self._by_uid.get(uid, [])
            if self._count < self._max_pending and len(requests) < self._max_per_contact:
                self._by_uid[uid] = [*requests, request]
                self._count += 1

    def postpone(self, write: Callable[[], object]) -> None:
        """Postpone a function that writes a note; it is called later in a transaction.

        Raises DatabaseBusy if too many are postponed.
        """
        if len(self._postponed) >= self._max_pending:
            raise DatabaseBusy("more is to be noted than can be written")
        self._postponed.append(write)

    @contextmanager
    def take_openings(self, uid: str, *, timeout: float) -> Iterator[tuple[LinkRequest, ...]]:
        """Take the requests of one contact, to be saved with a press; a failure puts them back.

        - `timeout`: raises DatabaseBusy after so many seconds.
        """
        # Requests that the sweep is writing now are in the database once it is done.
        if not self._writing.acquire(timeout=timeout):
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
        """Write all requests and notes in steps; return the number of contacts with requests.

        Whatever cannot be written waits for the next call.
        """
        with self._mutex:
            uids = sorted(self._by_uid)
        size, written = StepSize(max_rows=_MAX_PER_STEP), 0
        while chunk := uids[written : written + size.rows]:
            written += len(chunk)
            self._write_step(database, chunk, size)
        self._write_postponed(database)
        return len(uids)

    def _write_step(self, database: Database, uids: Sequence[str], size: StepSize) -> None:
        requests: dict[str, list[LinkRequest]] = {}
        try:
            # Taken with the write lock held, so that a press waits for few rows at most.
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
                if is_busy(error) or is_database_unavailable(error):
                    self._postponed.appendleft(write)
                    raise
                # For example about a session that has ended: no later attempt succeeds.
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


def _write_openings(requests: dict[str, list[LinkRequest]]) -> None:
    """Save these requests in the caller's transaction, except those of erased contacts."""
    query = Contact.select().where(Contact.uid.in_(list(requests)), Contact.erased_at.is_null())
    contacts = list(lock_rows(query.order_by(Contact.id)))
    rows = Opening.select().where(Opening.contact.in_([contact.id for contact in contacts]))
    openings = {row.contact_id: row for row in rows}
    for contact in contacts:
        opening = openings.get(contact.id)
        save_link_history(
            contact, opening, read_link_history(contact, opening, requests[contact.uid])
        )
