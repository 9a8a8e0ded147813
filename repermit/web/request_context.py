"""The context of the current request: services, arrival time, trace and database connection.

Each thread that serves requests has one database connection, which is read-only except for POST.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import peewee
from flask import current_app, g, has_request_context, request

from repermit.accounts import audit_log
from repermit.accounts.audit_log import SecurityEventKind
from repermit.clock import Clock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import (
    Database,
    JournallingPostgresql,
    end_lock_wait_limit,
    is_busy,
    is_database_unavailable,
    is_postgresql,
    is_rolled_back,
    limit_lock_wait,
    run_sql,
)
from repermit.errors import DatabaseBusy
from repermit.i18n import catalogues
from repermit.setting_overrides.current_settings import CurrentSettings
from repermit.settings.definitions import Settings
from repermit.signed_links import Links
from repermit.web.client_address import mask_network

MAX_WAIT = 2.0
"""Seconds that a request may wait to record an answer; then the person is asked to press again."""

SECONDS_LEFT = "repermit.seconds_left"
"""The key of the WSGI environment for the remaining seconds of `MAX_WAIT`."""

ARRIVED = "repermit.arrived"
"""The key of the WSGI environment for the time of the request's last byte, aware UTC."""

KEEPS_CONNECTION = "repermit.keeps_connection"
"""The key of the WSGI environment that says that the thread keeps its database connection."""

_MAX_BROWSER_LENGTH = 300


@dataclass(frozen=True, kw_only=True)
class AppServices:
    """Settings, clock, database and links of the application, and openings to be written.

    - `texts_version`: the version of the corrected texts when the request began, "" for none. If a
      text is corrected while a page is made, the Yes of that page is asked for again.
    """

    settings: Settings
    clock: Clock
    database: Database
    links: Links
    openings: PendingOpenings
    texts_version: str = ""


def get_services() -> AppServices:
    """Return the services of the current request, with the settings of its beginning."""
    services: AppServices = g.get("services") or current_app.extensions["repermit"]
    return services


def get_file_settings() -> Settings:
    """Return the settings of config.toml alone, without the overrides from the pages."""
    return _get_current_settings().file


def load_settings() -> None:
    """Fix the present settings for the whole request, if it has the database open."""
    if "opened" in g:
        settings = _get_current_settings().settings()
        g.services = replace(
            get_services(), settings=settings, texts_version=catalogues.get_corrections_version()
        )


def _get_current_settings() -> CurrentSettings:
    present: CurrentSettings = current_app.extensions["repermit.present"]
    return present


def stamp_arrival() -> None:
    """Store when the request arrived, before anything can make it wait (invariant 10).

    The WSGI server takes this time before the request waits for a thread.
    """
    g.arrived = request.environ.get(ARRIVED) or get_services().clock.now()
    g.waits_until = time.monotonic() + request.environ.get(SECONDS_LEFT, MAX_WAIT)


def get_seconds_left() -> float:
    """Return the seconds that the current request may still wait for the write lock, at least 0."""
    seconds: float = g.waits_until - time.monotonic()
    return max(seconds, 0.0)


def get_arrival() -> datetime:
    """Return when the request arrived, aware UTC."""
    arrived: datetime = g.arrived
    return arrived


def make_trace() -> dict[str, str]:
    """Return the request's trace: truncated network (198.51.100.0/24) and browser name."""
    return {
        "network": mask_network(request.remote_addr or ""),
        "browser": request.headers.get("User-Agent", "")[:_MAX_BROWSER_LENGTH],
    }


def count_forwarded() -> int:
    """Return the number of addresses in X-Forwarded-For: each proxy on the way adds one."""
    named = request.headers.get("X-Forwarded-For", "").split(",")
    return sum(1 for address in named if address.strip())


# --- The database connection of the request. ------------------------------------------------------


# For a note within a GET: about as long as a write step holds the lock.
_NOTE_TIMEOUT = 0.05
# For reading the texts of the page that refuses a request after its timeout.
_MIN_TIMEOUT = 0.1

_ENDPOINTS_WITHOUT_DATABASE = ("health_and_metrics.healthz", "front_page.show_robots")
_MILLISECONDS = 1000

# Off and on, for SQLite and for PostgreSQL. An operator or provider may have made a database of
# PostgreSQL read-only, as where its disk is nearly full; "= off" would override that.
_READ_ONLY_SQL = (
    ("PRAGMA query_only = off", "PRAGMA query_only = on"),
    ("RESET default_transaction_read_only", "SET default_transaction_read_only = on"),
)

_log = logging.getLogger(__name__)


def open_connection() -> None:
    """Open the database for this request, read-only for every method but POST.

    Mail scanners open every link, so a GET that writes would answer for people. The database itself
    refuses such a write (invariant 1). It waits for locks for the remaining seconds of the request.
    """
    if request.endpoint in _ENDPOINTS_WITHOUT_DATABASE:
        return
    database, is_reading = get_services().database, request.method != "POST"
    seconds = max(get_seconds_left(), _MIN_TIMEOUT)
    g.lock_limit = ExitStack()
    if is_postgresql(database):
        # One statement, since the server and this process take turns at each.
        mode, milliseconds = _READ_ONLY_SQL[True][is_reading], round(seconds * _MILLISECONDS)
        statement = f"{mode}; SET lock_timeout = {milliseconds}"
        g.opened = reconnect(database, statement)
        if g.opened:
            run_sql(database, statement)
        g.lock_limit.callback(end_lock_wait_limit, database)
    else:
        g.opened = reconnect(database)
        if is_reading:
            _set_read_only(database, is_on=True)
        g.lock_limit.enter_context(limit_lock_wait(database, seconds))


def reconnect(database: Database, statement: str = "SELECT 1") -> bool:
    """Open the database for this thread; False if it was open already and can be used.

    The server of a kept connection may have been restarted, or its file replaced by another.

    - `statement`: run on PostgreSQL if it was open already.
    """
    if not database.is_closed() and not is_alive(database, statement):
        _drop_connection(database)
    return database.connect(reuse_if_open=True)


def is_alive(database: Database, statement: str = "SELECT 1") -> bool:
    """Say whether this thread's open connection can be used, and its server answers soon.

    - `statement`: what PostgreSQL is asked.
    """
    if not database.is_connection_usable():
        return False
    try:
        return not isinstance(database, JournallingPostgresql) or database.is_answering(
            MAX_WAIT, statement
        )
    except Exception as error:
        if is_database_unavailable(error):
            return False
        raise


def refuse_late() -> None:
    """Raise DatabaseBusy if the request has no seconds left."""
    if get_seconds_left() <= 0:
        raise DatabaseBusy("more is sent than can be served")


def close_connection(_error: BaseException | None = None) -> None:
    """Close the connection that `open_connection` opened, not one that was open before."""
    opened = g.pop("opened", None)
    if opened is None:
        return
    database = get_services().database
    is_kept = request.environ.get(KEEPS_CONNECTION)
    try:
        if is_kept and is_postgresql(database):
            # The next request sets both anew.
            return
        _end_wait_limit()
        if request.method != "POST":
            _set_read_only(database, is_on=False)
        if opened and not is_kept:
            database.close()
    except peewee.PeeweeException as error:
        # The response is made already, and the next request opens a new connection.
        _log.warning("a connection to the database was lost: %s", type(error).__name__)
        _drop_connection(database)


def _drop_connection(database: Database) -> None:
    """Discard this thread's connection, in whatever state it is."""
    connection: Any = None if database.is_closed() else database.connection()  # type: ignore[no-untyped-call]
    database.dispose()
    if connection:
        connection.close()


def mark_commit() -> None:
    """Mark that the current request may have recorded something from now on.

    This ends the limit on lock waits: a person who is asked to press again must have nothing
    recorded.
    """
    if has_request_context() and not g.get("is_noting"):
        g.was_recorded_before, g.may_be_recorded = may_have_committed(), True
        _end_wait_limit()


def unmark_failed_commit(error: peewee.PeeweeException) -> None:
    """Unmark a commit that failed, if its error shows for certain that nothing was recorded."""
    if has_request_context() and not g.get("is_noting") and is_rolled_back(error):
        g.may_be_recorded = g.was_recorded_before


def may_have_committed() -> bool:
    """Return whether this request may have written something to the database."""
    return bool(g.get("may_be_recorded"))


def write_note(write: Callable[[], object]) -> None:
    """Write a note about the request itself in a separate transaction, in a GET too.

    It is only for records of access, never for data of a person, a list or a campaign. A GET does
    not wait for writers: a note that cannot be written at once is postponed.
    """
    if request.method == "POST":
        with _open_short_transaction():
            write()
        return
    services = get_services()
    try:
        with (
            _allow_writes(services.database),
            limit_lock_wait(services.database, _NOTE_TIMEOUT),
            _open_short_transaction(),
        ):
            write()
    except (DatabaseBusy, peewee.PeeweeException) as error:
        if not (is_busy(error) or is_database_unavailable(error)):
            raise
        services.openings.postpone(write)


@contextmanager
def _open_short_transaction() -> Iterator[None]:
    g.is_noting = True
    try:
        with get_services().database.atomic():
            yield
    finally:
        g.is_noting = False


@contextmanager
def _allow_writes(database: Database) -> Iterator[None]:
    _set_read_only(database, is_on=False)
    try:
        yield
    finally:
        _set_read_only(database, is_on=True)


def _end_wait_limit() -> None:
    lock_limit: ExitStack | None = g.pop("lock_limit", None)
    if lock_limit:
        lock_limit.close()


def _set_read_only(database: Database, *, is_on: bool) -> None:
    run_sql(database, _READ_ONLY_SQL[is_postgresql(database)][is_on])


def record_refused_attempt(kind: SecurityEventKind, *, actor: str = "") -> None:
    """Record that this request was refused, unless the same was recorded just now."""
    network, now = mask_network(request.remote_addr or ""), get_arrival()
    if audit_log.should_record_security_event(kind, actor=actor, network=network, now=now):
        write_note(
            partial(audit_log.record_security_event, kind, actor=actor, network=network, now=now)
        )
