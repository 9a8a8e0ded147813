"""The health check and the metrics for the operator: counts only, without persons and lists."""

from __future__ import annotations

import logging
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import peewee
from flask import Blueprint, Response, current_app, jsonify

from repermit.contacts import counts as contacts_counts
from repermit.db.connection import FairSqliteDatabase, describe_error
from repermit.db.models.base import Meta
from repermit.errors import DatabaseBusy
from repermit.rules.consent import MailKind, MailState, Status
from repermit.web.request_context import get_arrival, get_services, reconnect

pages = Blueprint("health_and_metrics", __name__)

_log = logging.getLogger(__name__)

_FAILING = 503
# Enough for some hundred answers, with SQLite's other files.
_MIN_DISK_SPACE = 1 << 20
CACHE_TIME = timedelta(seconds=15)


@pages.get("/healthz")
def healthz() -> tuple[Response, int]:
    """Return whether the database can be read, and whether its disk has space."""
    database = get_services().database
    opened = False
    try:
        opened = reconnect(database)
        Meta.select().first()
    except (peewee.PeeweeException, DatabaseBusy) as error:
        _log.error("the database cannot be read: %s", describe_error(error))
        return jsonify(status="failing"), _FAILING
    finally:
        if opened:
            database.close()
    # PostgreSQL may be on another machine, so its disk is not checked.
    if isinstance(database, FairSqliteDatabase) and not _has_disk_space(database.path):
        _log.error("the disk of the database is full")
        return jsonify(status="failing"), _FAILING
    return jsonify(status="ok"), 200


def _has_disk_space(path: Path) -> bool:
    return shutil.disk_usage(path.absolute().parent).free >= _MIN_DISK_SPACE


@pages.get("/metrics")
def metrics() -> Response:
    """Return counts in the text format of Prometheus."""
    counts: MetricsCache = current_app.extensions["repermit.counts"]
    text = counts.render(get_arrival())
    return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")


class MetricsCache:
    """The counts, cached for a while, so that frequent requests cost little."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made_at: datetime | None = None
        self._text = ""

    def render(self, now: datetime) -> str:
        """Return the lines of all counts, at most 15 seconds old."""
        with self._lock:
            if self._made_at is None or not timedelta() <= now - self._made_at < CACHE_TIME:
                self._text = "\n".join((*_iter_contact_counts(), *_iter_mail_counts(), ""))
                self._made_at = now
            return self._text


def _iter_contact_counts() -> Iterator[str]:
    counts = dict.fromkeys(Status, 0)
    for people, count in contacts_counts.count_contact_groups().items():
        counts[people.status] += count
    yield "# HELP repermit_contacts Contacts of all lists by status."
    yield "# TYPE repermit_contacts gauge"
    for status in Status:
        yield f'repermit_contacts{{status="{status}"}} {counts[status]}'


def _iter_mail_counts() -> Iterator[str]:
    counts: Counter[tuple[MailKind, MailState]] = Counter()
    for mails, count in contacts_counts.count_mails().items():
        counts[mails.kind, mails.state] += count
    yield "# HELP repermit_mails Mails of all lists by kind and state."
    yield "# TYPE repermit_mails gauge"
    for kind in MailKind:
        for state in MailState:
            count = counts[kind, state]
            yield f'repermit_mails{{kind="{kind}",state="{state}"}} {count}'
