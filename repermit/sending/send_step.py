"""The durable step: recording accepted mails, and starting the next ones.

One statement serves all connections; its rows tell which mails were still this worker's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

from repermit.clock import format_timestamp
from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.models.mails import Mail
from repermit.rules.consent import Basis, CampaignState, Dropped, MailKind, MailState, Status
from repermit.sending import expired_or_unwanted_mail, queued_mail
from repermit.sending.queue import Claim, mark_dropped
from repermit.smtp.reply_codes import Reply


class Start(NamedTuple):
    """A mail about to start: its claim, its Message-ID and the time of its Date header."""

    claim: Claim
    message_id: str
    made_at: datetime


def record_step(
    database: Database,
    *,
    worker: str,
    accepted: Sequence[tuple[int, Reply]],
    starts: Sequence[Start],
    now: datetime,
) -> tuple[set[int], set[int]]:
    """Mark accepted mails as sent, and start the next ones, in one transaction.

    - `accepted`: numbers of mails, each with the server's reply.
    - Returns the numbers of the mails marked as sent and of those started. A missing mail is
      another worker's, or must not be sent any more.
    - A final dot may be sent only after this.
    """
    with database.atomic():
        sent_ids = _mark_accepted(database, worker, accepted, now) if accepted else set()
        started_ids = _start_mails(database, worker, starts) if starts else set()
    return sent_ids, started_ids


def return_claims(
    database: Database,
    numbers: Sequence[int],
    *,
    worker: str,
    fingerprint_key: bytes,
    now: datetime,
) -> list[tuple[int, Dropped]]:
    """Requeue claimed mails that have not started, or drop them.

    Returns those of the mails that are dropped by now, by this or another worker, with the reason.
    """
    with database.atomic():
        claimed_ids = _lock_claimed(numbers, worker)
        mails = queued_mail.read_mails(database, claimed_ids)
        check = expired_or_unwanted_mail.check_mails(
            database, mails, fingerprint_key=fingerprint_key, now=now
        )
        mark_dropped(check.obstacles.items())
        Mail.update(state=MailState.QUEUED, worker="", lease_until=None).where(
            Mail.id.in_(claimed_ids), Mail.state == MailState.CLAIMED
        ).execute()
        dropped: Any = Mail.select(Mail.id, Mail.reason).where(
            Mail.id.in_(numbers), Mail.state == MailState.DROPPED
        )
        return [(row.id, Dropped(row.reason)) for row in dropped]


def _lock_claimed(numbers: Sequence[int], worker: str) -> list[int]:
    """Lock the mails that are still this worker's, by an update; return their numbers."""
    locked_rows: Any = (
        Mail.update(worker=worker)
        .where(Mail.id.in_(numbers), Mail.state == MailState.CLAIMED, Mail.worker == worker)
        .returning(Mail.id)
        .tuples()
        .execute()
    )
    return [number for (number,) in locked_rows]


def _mark_accepted(
    database: Database, worker: str, accepted: Sequence[tuple[int, Reply]], now: datetime
) -> set[int]:
    # A late reply may settle only a doubt about this worker's own attempt.
    values = [value for number, reply in accepted for value in (number, reply.code, reply.status)]
    statement = _make_mark_sql(database.param, len(accepted))
    return _run_returning_ids(database, statement, *values, format_timestamp(now), worker)


@cache
def _make_mark_sql(placeholder: str, count: int) -> str:
    return _MARK_SQL.format(placeholder=placeholder, rows=_make_rows(placeholder, count, width=3))


_MARK_SQL = """\
WITH outcome (id, code, status) AS (VALUES {rows})
UPDATE mail
SET state = 'sent', sent_at = {placeholder}, reply_code = outcome.code,
    reply_status = outcome.status, lease_until = NULL
FROM outcome
WHERE mail.id = outcome.id AND mail.worker = {placeholder} AND mail.state IN ('started', 'in_doubt')
RETURNING mail.id"""


def _start_mails(database: Database, worker: str, starts: Sequence[Start]) -> set[int]:
    """Start mails whose conditions still hold (invariant 3); return their numbers.

    A mail that was in doubt keeps the start time of its first attempt, so that the second one is
    the same mail.
    """
    values = [
        value
        for claim, message_id, made_at in starts
        for value in (claim.mail.id, claim.fingerprint, message_id, _format_time(made_at))
    ]
    made_at_sql = _MADE_AT_POSTGRESQL if is_postgresql(database) else _MADE_AT
    statement = _make_start_sql(database.param, len(starts), made_at_sql)
    return _run_returning_ids(database, statement, *values, worker)


@cache
def _make_start_sql(placeholder: str, count: int, made_at_sql: str) -> str:
    return _START_SQL.format(
        placeholder=placeholder,
        rows=_make_rows(placeholder, count, width=4),
        made_at_sql=made_at_sql,
    )


_MADE_AT = "starting.made_at"
_MADE_AT_POSTGRESQL = "CAST(starting.made_at AS timestamptz)"


# All values in it are constants of this program.
_START_SQL = f"""\
WITH starting (id, fingerprint, message_id, made_at) AS (VALUES {{rows}})
UPDATE mail
SET state = '{MailState.STARTED}', attempts = mail.attempts + 1,
    started_at = COALESCE(mail.started_at, {{made_at_sql}}), message_id = starting.message_id
FROM starting
WHERE mail.id = starting.id AND mail.state = '{MailState.CLAIMED}' AND mail.worker = {{placeholder}}
AND (
    mail.kind NOT IN ('{MailKind.ASK}', '{MailKind.REMINDER}')
    OR (
        EXISTS (
            SELECT 1 FROM campaign JOIN contact ON contact.id = mail.contact_id
            WHERE campaign.id = mail.campaign_id
            AND (
                campaign.state = '{CampaignState.SENDING}'
                OR (campaign.state = '{CampaignState.OPEN}' AND mail.kind = '{MailKind.REMINDER}')
            )
            AND (
                contact.status = '{Status.UNCONFIRMED}'
                OR (
                    campaign.include_thin
                    AND contact.status = '{Status.CONFIRMED}' AND contact.basis = '{Basis.THIN}'
                )
            )
        )
        AND NOT EXISTS (
            SELECT 1 FROM suppression
            WHERE suppression.fingerprint = starting.fingerprint
            AND (suppression.list_id = mail.list_id OR suppression.list_id IS NULL)
        )
    )
)
RETURNING mail.id"""  # noqa: S608


# Cached: mails that start together were composed at the same time.
_format_time = lru_cache(maxsize=64)(format_timestamp)


def _make_rows(placeholder: str, count: int, *, width: int) -> str:
    row = f"({', '.join([placeholder] * width)})"
    return ", ".join([row] * count)


def _run_returning_ids(database: Database, statement: str, *values: object) -> set[int]:
    return {number for (number,) in run_sql(database, statement, *values).fetchall()}
