"""The request under way: what it works with, its moment and trace, and its connection.

Each thread that serves requests has one connection to the database; a GET's cannot write.
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
"""Seconds that somebody waits for an answer to be recorded before they are asked to press again."""

SECONDS_LEFT = "repermit.seconds_left"
"""By which name the environment of a request says how many of these there are left."""

ARRIVED = "repermit.arrived"
"""By which name it says when the last byte of a request came, aware UTC."""

KEEPS_CONNECTION = "repermit.keeps_connection"
"""By which name it says that the thread keeps its connection to the database for later requests."""

_MAX_BROWSER_LENGTH = 300


@dataclass(frozen=True, kw_only=True)
class AppServices:
    """Settings, clock, database and links of the application, and openings to be written.

    `texts_version` names the state of the corrected texts when the request began, "" for none. If
    one is corrected while a page is made, the Yes of that page is asked for again.
    """

    settings: Settings
    clock: Clock
    database: Database
    links: Links
    openings: PendingOpenings
    texts_version: str = ""


def get_services() -> AppServices:
    """Return the services of the current request, with the settings that held when it began."""
    services: AppServices = g.get("services") or current_app.extensions["repermit"]
    return services


def get_file_settings() -> Settings:
    """Return the settings of config.toml alone, without the overrides from the pages."""
    return _get_current_settings().file


def load_settings() -> None:
    """Take the settings as they are now, for the whole of a request that has the database open."""
    if "opened" in g:
        settings = _get_current_settings().settings()
        g.services = replace(
            get_services(), settings=settings, texts_version=catalogues.get_corrections_version()
        )


def _get_current_settings() -> CurrentSettings:
    present: CurrentSettings = current_app.extensions["repermit.present"]
    return present


def stamp_arrival() -> None:
    """Note when the request arrived, before anything could make it wait (invariant 10).

    The server in front knows it, before the request waits for a thread.
    """
    g.arrived = request.environ.get(ARRIVED) or get_services().clock.now()
    g.waits_until = time.monotonic() + request.environ.get(SECONDS_LEFT, MAX_WAIT)


def get_seconds_left() -> float:
    """Return how long the request under way may still wait for its turn to write; 0 if no more."""
    seconds: float = g.waits_until - time.monotonic()
    return max(seconds, 0.0)


def get_arrival() -> datetime:
    """Return when the request arrived, aware UTC."""
    arrived: datetime = g.arrived
    return arrived


def make_trace() -> dict[str, str]:
    """Return the request's trace: its network in part (198.51.100.0/24), and the browser's name."""
    return {
        "network": mask_network(request.remote_addr or ""),
        "browser": request.headers.get("User-Agent", "")[:_MAX_BROWSER_LENGTH],
    }


def count_forwarded() -> int:
    """Return how many addresses X-Forwarded-For names: each web server on the way adds one."""
    named = request.headers.get("X-Forwarded-For", "").split(",")
    return sum(1 for address in named if address.strip())


# --- Its connection to the database. --------------------------------------------------------------


# For what a GET notes beside the page: as long as others hold the database for a step, or so.
_NOTE_TIMEOUT = 0.05
# For reading the words that refuse a request whose seconds are over.
_MIN_TIMEOUT = 0.1

_ENDPOINTS_WITHOUT_DATABASE = ("health_and_metrics.healthz", "front_page.show_robots")
_READ_ONLY_SQL = {
    True: "SET default_transaction_read_only = {}",
    False: "PRAGMA query_only = {}",
}

_log = logging.getLogger(__name__)


def open_connection() -> None:
    """Open the database for this request; for anything but a POST, for reading alone.

    Mail scanners open every link, so that a GET that writes would answer for people. The
    database itself refuses it (invariant 1).
    """
    if request.endpoint in _ENDPOINTS_WITHOUT_DATABASE:
        return
    database = get_services().database
    g.opened = reconnect(database)
    if request.method != "POST":
        _set_read_only(database, "on")


def limit_wait() -> None:
    """Wait for what others hold in the database for no longer than is left."""
    if "opened" not in g:
        return
    seconds = max(get_seconds_left(), _MIN_TIMEOUT)
    g.patience = ExitStack()
    g.patience.enter_context(limit_lock_wait(get_services().database, seconds))


def reconnect(database: Database) -> bool:
    """Open the database for this thread unless it is; False if it was, and can be used.

    A connection that was kept may be to a server that has been started anew since, or to a file
    in whose place there is another.
    """
    if not database.is_closed() and not _is_alive(database):
        _drop_connection(database)
    return database.connect(reuse_if_open=True)


def _is_alive(database: Database) -> bool:
    if not database.is_connection_usable():
        return False
    try:
        if is_postgresql(database) and not database.in_transaction():
            run_sql(database, "SELECT 1")
    except peewee.PeeweeException:
        return False
    return True


def refuse_late() -> None:
    """Refuse what has waited for too long, or would; raises DatabaseBusy."""
    if get_seconds_left() <= 0:
        raise DatabaseBusy("more is sent than can be served")


def close_connection(_error: BaseException | None = None) -> None:
    """Close what `open_connection` opened; leave alone what was open before."""
    opened = g.pop("opened", None)
    if opened is None:
        return
    database = get_services().database
    try:
        _end_wait_limit()
        if request.method != "POST":
            _set_read_only(database, "off")
        if opened and not request.environ.get(KEEPS_CONNECTION):
            database.close()
    except peewee.PeeweeException as error:
        # The response is made already, and the next request gets a connection of its own.
        _log.warning("a connection to the database was lost: %s", type(error).__name__)
        _drop_connection(database)


def _drop_connection(database: Database) -> None:
    """Forget this thread's connection, whatever state it is in."""
    connection: Any = None if database.is_closed() else database.connection()  # type: ignore[no-untyped-call]
    database.dispose()
    if connection:
        connection.close()


def note_commit() -> None:
    """Note that from now on something may have been recorded for the request under way.

    What else it does may wait for as long as in any other program: whoever is told to press again
    must have nothing recorded.
    """
    if has_request_context() and not g.get("is_noting"):
        g.was_recorded_before, g.may_be_recorded = may_have_committed(), True
        _end_wait_limit()


def note_failed_commit(error: peewee.PeeweeException) -> None:
    """Note that the commit under way has recorded nothing, where its error is certain of that."""
    if has_request_context() and not g.get("is_noting") and is_rolled_back(error):
        g.may_be_recorded = g.was_recorded_before


def may_have_committed() -> bool:
    """Say whether something of this request may stand in the database."""
    return bool(g.get("may_be_recorded"))


def write_note(write: Callable[[], object]) -> None:
    """Note that somebody looks, in a transaction of its own, in a GET too.

    For what tells of the looking alone: never for anything of a person, a list or a campaign. A GET
    waits for nobody who writes: what cannot be noted at once is noted once it can be.
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
    _set_read_only(database, "off")
    try:
        yield
    finally:
        _set_read_only(database, "on")


def _end_wait_limit() -> None:
    patience: ExitStack | None = g.pop("patience", None)
    if patience:
        patience.close()


def _set_read_only(database: Database, switch: str) -> None:
    statement = _READ_ONLY_SQL[is_postgresql(database)].format(switch)
    run_sql(database, statement)


def record_refused_attempt(kind: SecurityEventKind, *, actor: str = "") -> None:
    """Note that this request was refused, unless the same was noted just now."""
    network, now = mask_network(request.remote_addr or ""), get_arrival()
    if audit_log.should_record_security_event(kind, actor=actor, network=network, now=now):
        write_note(
            partial(audit_log.record_security_event, kind, actor=actor, network=network, now=now)
        )
