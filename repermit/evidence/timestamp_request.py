"""Asking an authority for the timestamps that are owed (RFC 3161 §3.4, by HTTP)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests
from cryptography import x509

from repermit.clock import Clock
from repermit.db.connection import Database
from repermit.db.models.evidence import EvidenceTimestamp
from repermit.evidence import timestamp_authority, timestamp_token, timestamps
from repermit.evidence.http_post import LONGEST_PROBLEM, describe_failure, post
from repermit.settings.definitions import Settings

_FIRST_REST = timedelta(minutes=1)
_LONGEST_REST = timedelta(hours=1)
_MOST_DOUBLED = 6
_HEADERS = {
    "Content-Type": "application/timestamp-query",
    "Accept": "application/timestamp-reply",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RequestCounts:
    """How many timestamps came, and how many are tried again later."""

    came: int = 0
    failed: int = 0


def request_timestamps(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    should_stop: Callable[[], bool] = lambda: False,
) -> RequestCounts:
    """Ask for each timestamp that is owed and whose time has come; what fails is tried again.

    After a minute at first, after an hour at most. Any number of processes may do this at once.
    """
    if not settings.evidence.timestamp_url:
        return RequestCounts()
    try:
        authorities = timestamp_token.read_authorities(settings.evidence.timestamp_ca_file)
    except (ValueError, OSError):
        _log.warning("no timestamps: evidence.timestamp_ca_file cannot be read")
        return RequestCounts()
    came = failed = 0
    for row in timestamps.list_pending():
        if should_stop():
            break
        now = clock.now()
        if row.next_at > now or not _claim(database, row, now):
            continue
        url = settings.evidence.timestamp_url
        is_there = _request(database, row, url, authorities, now)
        came, failed = came + is_there, failed + (not is_there)
    return RequestCounts(came, failed)


def _claim(database: Database, row: EvidenceTimestamp, now: datetime) -> bool:
    """Put the next try off, so that nobody else asks meanwhile; say whether that was ours to do."""
    rest = min(_FIRST_REST * 2 ** min(row.attempts, _MOST_DOUBLED), _LONGEST_REST)
    with database.atomic():
        return bool(
            EvidenceTimestamp.update(next_at=now + rest, attempts=row.attempts + 1)
            .where(
                EvidenceTimestamp.id == row.id,
                EvidenceTimestamp.reply == "",
                EvidenceTimestamp.attempts == row.attempts,
            )
            .execute()
        )


def _request(
    database: Database,
    row: EvidenceTimestamp,
    url: str,
    authorities: Sequence[x509.Certificate],
    now: datetime,
) -> bool:
    asked = timestamp_token.make_request(row.note)
    try:
        reply = _post(url, asked.octets)
        token = timestamp_token.read_token(
            reply, row.note, authorities=authorities, nonce=asked.nonce
        )
    except (requests.RequestException, ValueError) as error:
        told = describe_failure(error)
        _log.warning("no timestamp (%s): %s", row.occasion.partition(" ")[0], told)
        with database.atomic():
            _keep(row, problem=told)
        return False
    vouching = timestamp_authority.find_vouching(reply, row.note, authorities)
    with database.atomic():
        _keep(
            row,
            reply=timestamps.encode(reply),
            stamped_at=token.at,
            authority=token.by[:LONGEST_PROBLEM],
            problem="",
        )
        timestamp_authority.note_authority(vouching, now=now)
    return True


def _keep(row: EvidenceTimestamp, **values: object) -> None:
    EvidenceTimestamp.update(**values).where(
        EvidenceTimestamp.id == row.id, EvidenceTimestamp.reply == ""
    ).execute()


def _post(url: str, octets: bytes) -> bytes:
    status, reply = post(url, octets, headers=_HEADERS, most=timestamp_token.LARGEST)
    if status != requests.codes.ok:
        raise ValueError(f"the authority answers {status}")
    return reply
