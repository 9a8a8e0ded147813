"""One connection to the database for each request; a GET's cannot write.

May import models and Flask.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flask import g, request

from repermit.models import is_postgresql, run_sql
from repermit.web.site import current_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.models import Database

_WITHOUT = ("monitoring.healthz", "monitoring.robots")
_READ_ONLY = {
    True: "SET default_transaction_read_only = {}",
    False: "PRAGMA query_only = {}",
}


def open_connection() -> None:
    """Open the database for this request; for anything but a POST, for reading alone.

    Mail scanners open every link, so that a GET that writes would answer for people. The
    database itself refuses it (DESIGN invariant 1).
    """
    if request.endpoint in _WITHOUT:
        return
    database = current_site().database
    g.opened = database.connect(reuse_if_open=True)
    if request.method != "POST":
        _set_read_only(database, "on")


def close_connection(_error: BaseException | None = None) -> None:
    """Close what `open_connection` opened; leave alone what was open before."""
    opened = g.pop("opened", None)
    if opened is None:
        return
    database = current_site().database
    _set_read_only(database, "off")
    if opened:
        database.close()


@contextmanager
def noting() -> Iterator[None]:
    """Open a transaction in which to note that somebody looks, in a GET too.

    For what tells of the looking alone: never for anything of a person, a list or a campaign.
    """
    database, is_reading = current_site().database, request.method != "POST"
    if is_reading:
        _set_read_only(database, "off")
    try:
        with database.atomic():
            yield
    finally:
        if is_reading:
            _set_read_only(database, "on")


def _set_read_only(database: Database, switch: str) -> None:
    statement = _READ_ONLY[is_postgresql(database)].format(switch)
    run_sql(database, statement)
