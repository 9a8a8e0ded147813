"""The one durable step: what became of the mails before, and which mails start now.

One statement for all connections at once; its rows say whose mails they still were.
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
    """A mail that wants to start: its claim, its Message-ID and the moment that its Date names."""

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
    """Mark what a server has accepted, and start what may start, in one transaction.

    `accepted` are numbers of mails with the reply. Returns the
    numbers of those that were marked and of those that have started: the others were another
    worker's, or nothing that the claim rested on holds any more. Only after this may a final dot
    leave.
    """
    with database.atomic():
        marked = _mark_accepted(database, worker, accepted, now) if accepted else set()
        started = _start_mails(database, worker, starts) if starts else set()
    return marked, started


def return_claims(
    database: Database,
    numbers: Sequence[int],
    *,
    worker: str,
    fingerprint_key: bytes,
    now: datetime,
) -> list[tuple[int, Dropped]]:
    """Put claimed mails that have not started back, or drop them.

    Returns those that are dropped now, whoever it was that did it.
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
    """Touch the mails that are still ours, which locks them until the transaction ends."""
    touched: Any = (
        Mail.update(worker=worker)
        .where(Mail.id.in_(numbers), Mail.state == MailState.CLAIMED, Mail.worker == worker)
        .returning(Mail.id)
        .tuples()
        .execute()
    )
    return [number for (number,) in touched]


def _mark_accepted(
    database: Database, worker: str, accepted: Sequence[tuple[int, Reply]], now: datetime
) -> set[int]:
    # A late outcome settles only its own unresolved doubt.
    values = [value for number, reply in accepted for value in (number, reply.code, reply.status)]
    statement = _make_mark_sql(database.param, len(accepted))
    return _run_returning_ids(database, statement, *values, format_timestamp(now), worker)


@cache
def _make_mark_sql(placeholder: str, count: int) -> str:
    return _MARK_SQL.format(sign=placeholder, rows=_make_rows(placeholder, count, width=3))


_MARK_SQL = """\
WITH outcome (id, code, status) AS (VALUES {rows})
UPDATE mail
SET state = 'sent', sent_at = {sign}, reply_code = outcome.code, reply_status = outcome.status,
    lease_until = NULL
FROM outcome
WHERE mail.id = outcome.id AND mail.worker = {sign} AND mail.state IN ('started', 'in_doubt')
RETURNING mail.id"""


def _start_mails(database: Database, worker: str, starts: Sequence[Start]) -> set[int]:
    """Start mails: everything that the claim rested on is looked at once more (invariant 3).

    A mail that has been in doubt keeps the moment of its first attempt, so that the second one is
    the same mail.
    """
    values = [
        value
        for claim, message_id, made_at in starts
        for value in (claim.mail.id, claim.fingerprint, message_id, _format_time(made_at))
    ]
    moment = _MADE_AT_POSTGRESQL if is_postgresql(database) else _MADE_AT
    statement = _make_start_sql(database.param, len(starts), moment)
    return _run_returning_ids(database, statement, *values, worker)


@cache
def _make_start_sql(placeholder: str, count: int, moment: str) -> str:
    return _START_SQL.format(
        sign=placeholder, rows=_make_rows(placeholder, count, width=4), moment=moment
    )


_MADE_AT = "starting.made_at"
_MADE_AT_POSTGRESQL = "CAST(starting.made_at AS timestamptz)"


# The values in it are words of ours.
_START_SQL = f"""\
WITH starting (id, fingerprint, message_id, made_at) AS (VALUES {{rows}})
UPDATE mail
SET state = '{MailState.STARTED}', attempts = mail.attempts + 1,
    started_at = COALESCE(mail.started_at, {{moment}}), message_id = starting.message_id
FROM starting
WHERE mail.id = starting.id AND mail.state = '{MailState.CLAIMED}' AND mail.worker = {{sign}}
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


# Mails that start together were made together.
_format_time = lru_cache(maxsize=64)(format_timestamp)


def _make_rows(placeholder: str, count: int, *, width: int) -> str:
    row = f"({', '.join([placeholder] * width)})"
    return ", ".join([row] * count)


def _run_returning_ids(database: Database, statement: str, *values: object) -> set[int]:
    return {number for (number,) in run_sql(database, statement, *values).fetchall()}
