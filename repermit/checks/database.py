"""Checks of the database: it opens, has this version, can be written and has free space.

Nothing is changed, and no migration is run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

import peewee
from peewee import SQL

from repermit.checks.findings import Finding, Verdict, format_count, make_finding
from repermit.db import migrations
from repermit.db.connection import Database
from repermit.db.journal_seal import is_anything_noted, is_journal_cut
from repermit.db.models.base import Meta
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail, Reply
from repermit.db.row_counts import find_drift
from repermit.errors import Refused
from repermit.evidence import checkpoint_mails, cosigned_checkpoints, timestamps
from repermit.evidence.chain import read_newest_time
from repermit.evidence.verify.times import AHEAD
from repermit.settings.secret_files import is_open_to_others
from repermit.suppression import suppressions

_MEGABYTE = 1_000_000
_LOW_SPACE, _MIN_SPACE = 1000, 100  # MB
_TRIAL_KEY = "check"


@dataclass(frozen=True, kw_only=True)
class DatabaseFindings:
    """The findings, the lists (None: unreadable), and whether a bounce was ever recorded."""

    findings: tuple[Finding, ...]
    lists: tuple[MailingList, ...] | None = None
    has_returned: bool = False


def check_database(
    database: Database,
    path: Path | None,
    *,
    now: datetime,
    key: bytes = b"",
    witnesses: Sequence[str] = (),
    check_list: Callable[[MailingList], Iterable[Finding]] = lambda _: (),
) -> DatabaseFindings:
    """Check the database over a connection of its own.

    - `path`: the file of an SQLite database.
    - `key`: the fingerprint key, which the database must have been used with.
    - `witnesses`: the addresses that get checkpoints by mail.
    - `check_list`: checks a list with further data of the database, and yields its findings.
    """
    if path is not None and not path.exists():
        # SQLite would create it.
        return DatabaseFindings(findings=(_explain_absence(database),))
    try:
        with database.connection_context():
            return _check_open_database(
                database, path, now=now, key=key, witnesses=witnesses, check_list=check_list
            )
    except (peewee.PeeweeException, OSError, Refused) as error:
        # The first line alone: PostgreSQL quotes values below it.
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        return DatabaseFindings(findings=tuple(_explain_failure(path, reason)))


def _explain_absence(database: Database) -> Finding:
    """Return the finding for a database that is not there, or empty."""
    if database.journal is not None and is_anything_noted(database.journal):
        return make_finding("database_lost", file=str(database.journal.path))
    return make_finding("database_missing")


def _explain_failure(path: Path | None, reason: str) -> Iterator[Finding]:
    """Yield the finding for a database that fails, after the full disk that may be the cause.

    SQLite says "disk I/O error", too, where its files cannot grow.
    """
    code = "database_refused"
    if path is not None:
        room = judge_free_space(shutil.disk_usage(path.parent).free)
        if room.verdict is Verdict.PROBLEM:
            code = "database_refused_full"
            yield room
    yield make_finding(code, reason=reason)


def _check_open_database(
    database: Database,
    path: Path | None,
    *,
    now: datetime,
    key: bytes,
    witnesses: Sequence[str],
    check_list: Callable[[MailingList], Iterable[Finding]],
) -> DatabaseFindings:
    version, newest = migrations.read_version(database), migrations.NEWEST_VERSION
    values = {"version": str(version), "newest": str(newest)}
    if not version:
        return DatabaseFindings(findings=(_explain_absence(database),))
    if version > newest:
        return DatabaseFindings(findings=(make_finding("database_new", **values),))
    if version < migrations.OLDEST_VERSION:
        return DatabaseFindings(findings=(make_finding("database_too_old", **values),))
    _try_to_write(database)
    version_finding = (
        make_finding("database_ok") if version == newest else make_finding("database_old", **values)
    )
    findings = (version_finding, *_check_database_file(path))
    if version < newest:
        return DatabaseFindings(findings=findings)
    lists = tuple(MailingList.select().order_by(MailingList.slug))
    key_findings = (
        [make_finding("database_other_key")] if key and suppressions.is_other_key(key) else []
    )
    return DatabaseFindings(
        findings=(
            *findings,
            *key_findings,
            *_check_journal(database),
            *_check_counts(database),
            *_check_clock(now),
            *_check_timestamps(),
            *_check_witnesses(witnesses),
            *_check_cosignatures(),
            *chain.from_iterable(map(check_list, lists)),
        ),
        lists=lists,
        has_returned=has_bounces(),
    )


def _check_timestamps() -> Iterator[Finding]:
    """Yield a warning if the authority has not returned a requested timestamp."""
    failed = [request for request in timestamps.list_pending() if request.problem]
    if failed:
        count, since = format_count(len(failed)), f"{failed[0].due_at:%Y-%m-%d %H:%M}Z"
        yield make_finding(
            "database_timestamps", count=count, since=since, reason=failed[0].problem
        )


def _check_cosignatures() -> Iterator[Finding]:
    """Yield a warning if the witness has not cosigned a checkpoint."""
    if problem := cosigned_checkpoints.read_problem():
        yield make_finding(
            "database_cosignatures", at=f"{problem.at:%Y-%m-%d %H:%M}Z", reason=problem.reason
        )


def _check_witnesses(witnesses: Sequence[str]) -> Iterator[Finding]:
    """Yield a warning if the last checkpoint has not reached every witness by mail."""
    if unreached := checkpoint_mails.find_unreached(witnesses):
        yield make_finding("database_witnesses", witnesses=", ".join(unreached))


def _check_journal(database: Database) -> Iterator[Finding]:
    """Yield a warning if the suppression journal is not the one that the database sealed."""
    journal = database.journal
    if journal is not None and is_journal_cut(journal):
        yield make_finding("database_journal", file=str(journal.path))


def _check_counts(database: Database) -> Iterator[Finding]:
    if wrong := find_drift(database):
        yield make_finding("database_miscounted", counts=format_count(wrong))


def _check_clock(now: datetime) -> Iterator[Finding]:
    """Yield a problem if the record ends in the future."""
    newest_at = read_newest_time()
    if newest_at and newest_at > now + AHEAD:
        yield make_finding("database_clock", at=f"{newest_at:%Y-%m-%d %H:%M}Z")


def _try_to_write(database: Database) -> None:
    """Write a row and roll it back."""
    with database.atomic() as transaction:
        Meta.insert(key=_TRIAL_KEY, value="").execute()
        transaction.rollback()


def has_bounces() -> bool:
    """Return whether a bounce or a reply was ever recorded."""
    # In the words of the index of bounced mails, which is used then.
    bounced = Mail.select().where(SQL("bounce <> ''"))
    return bool(Reply.select().exists() or bounced.exists())


def _check_database_file(path: Path | None) -> Iterator[Finding]:
    if path is None:
        yield make_finding("database_room_elsewhere")
        return
    if is_open_to_others(path):
        yield make_finding("database_readable", file=str(path))
    yield judge_free_space(shutil.disk_usage(path.parent).free)


def judge_free_space(free: int) -> Finding:
    """Return the finding for so many free octets."""
    megabytes = free // _MEGABYTE
    code = "database_room"
    if megabytes < _LOW_SPACE:
        code = "database_little_room" if megabytes >= _MIN_SPACE else "database_no_room"
    return make_finding(code, free=format_count(megabytes))
