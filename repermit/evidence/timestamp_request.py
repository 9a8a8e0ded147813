"""Requesting the pending timestamps from an authority (RFC 3161 §3.4, by HTTP)."""

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
from repermit.evidence.http_post import MAX_PROBLEM_LENGTH, describe_failure, post
from repermit.settings.definitions import Settings

_INITIAL_BACKOFF = timedelta(minutes=1)
_MAX_BACKOFF = timedelta(hours=1)
_MAX_DOUBLINGS = 6
_HEADERS = {
    "Content-Type": "application/timestamp-query",
    "Accept": "application/timestamp-reply",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RequestCounts:
    """The number of timestamps received, and of requests to be tried again."""

    received: int = 0
    failed: int = 0


def request_timestamps(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    should_stop: Callable[[], bool] = lambda: False,
) -> RequestCounts:
    """Request the pending timestamps that are due; failed ones are tried again later.

    The delay begins with a minute and doubles up to an hour. Any number of processes may run this
    at once.
    """
    if not settings.evidence.timestamp_url:
        return RequestCounts()
    try:
        authorities = timestamp_token.read_authorities(settings.evidence.timestamp_ca_file)
    except (ValueError, OSError):
        _log.warning("no timestamps: evidence.timestamp_ca_file cannot be read")
        return RequestCounts()
    received = failed = 0
    for row in timestamps.list_pending():
        if should_stop():
            break
        now = clock.now()
        if row.next_at > now or not _claim_timestamp(database, row, now):
            continue
        url = settings.evidence.timestamp_url
        is_received = _request_timestamp(database, row, url, authorities, now)
        received, failed = received + is_received, failed + (not is_received)
    return RequestCounts(received, failed)


def _claim_timestamp(database: Database, row: EvidenceTimestamp, now: datetime) -> bool:
    """Claim a timestamp by delaying its next try; return whether this process got it."""
    backoff = min(_INITIAL_BACKOFF * 2 ** min(row.attempts, _MAX_DOUBLINGS), _MAX_BACKOFF)
    with database.atomic():
        return bool(
            EvidenceTimestamp.update(next_at=now + backoff, attempts=row.attempts + 1)
            .where(
                EvidenceTimestamp.id == row.id,
                EvidenceTimestamp.reply == "",
                EvidenceTimestamp.attempts == row.attempts,
            )
            .execute()
        )


def _request_timestamp(
    database: Database,
    row: EvidenceTimestamp,
    url: str,
    authorities: Sequence[x509.Certificate],
    now: datetime,
) -> bool:
    request = timestamp_token.make_request(row.note)
    try:
        reply = _post_request(url, request.octets)
        token = timestamp_token.read_token(
            reply, row.note, authorities=authorities, nonce=request.nonce
        )
    except (requests.RequestException, ValueError) as error:
        reason = describe_failure(error)
        _log.warning("no timestamp (%s): %s", row.occasion.partition(" ")[0], reason)
        with database.atomic():
            _update(row, problem=reason)
        return False
    vouching = timestamp_authority.find_vouching(reply, row.note, authorities)
    with database.atomic():
        _update(
            row,
            reply=timestamps.encode(reply),
            stamped_at=token.at,
            authority=token.by[:MAX_PROBLEM_LENGTH],
            problem="",
        )
        timestamp_authority.note_authority(vouching, now=now)
    return True


def _update(row: EvidenceTimestamp, **values: object) -> None:
    EvidenceTimestamp.update(**values).where(
        EvidenceTimestamp.id == row.id, EvidenceTimestamp.reply == ""
    ).execute()


def _post_request(url: str, octets: bytes) -> bytes:
    status, reply = post(url, octets, headers=_HEADERS, max_bytes=timestamp_token.MAX_SIZE)
    if status != requests.codes.ok:
        raise ValueError(f"the authority answers {status}")
    return reply
