"""Putting right what dead workers have left behind: back to the queue, or in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.db.connection import Database, is_postgresql
from repermit.db.models.mails import Mail
from repermit.db.work_steps import StepSize, run_counted_steps
from repermit.rules.consent import MailState
from repermit.sending.worker_lock import is_alive


@dataclass(frozen=True)
class RecoveryResult:
    """How many mails went back to the queue, and how many are in doubt now."""

    requeued: int
    in_doubt: int


def recover_mails(database: Database, *, now: datetime) -> RecoveryResult:
    """Look after mails that were claimed or started and not settled.

    1. Claimed, and the worker is dead or its lease is over: back to the queue. A living worker
       notices when it wants to start the mail.
    2. Started, and the worker is dead: in doubt. Never by time alone, since a slow worker may
       still be waiting for its reply.
    """
    dead = _find_dead_workers(database)
    if not dead and not _select_expired(now).exists():
        return RecoveryResult(0, 0)
    ended = Mail.worker.in_(dead) | _is_lease_over(now)
    requeued = _settle_in_steps(
        database, _IS_CLAIMED & ended, state=MailState.QUEUED, worker="", lease_until=None
    )
    in_doubt = _settle_in_steps(
        database,
        _IS_STARTED & Mail.worker.in_(dead),
        state=MailState.IN_DOUBT,
        lease_until=None,
    )
    return RecoveryResult(requeued, in_doubt)


def _settle_in_steps(database: Database, condition: Any, **values: Any) -> int:
    """Change the mails for which a condition holds; return how many there were."""

    def settle(limit: int) -> tuple[bool, int]:
        some = _skip_locked(database, condition).limit(limit)
        count = int(Mail.update(**values).where(Mail.id.in_(some)).execute())
        return count >= limit, count

    return run_counted_steps(database, settle, should_stop=bool, size=StepSize())


def _find_dead_workers(database: Database) -> list[str]:
    holders = Mail.select(Mail.worker).where(_IS_HELD).distinct()
    return [mail.worker for mail in holders if not is_alive(database, mail.worker)]


def _select_expired(now: datetime) -> Any:
    return Mail.select().where(_IS_CLAIMED, _is_lease_over(now))


def _skip_locked(database: Database, *conditions: Any) -> Any:
    """Find mails that nobody is changing right now.

    A worker may have fallen asleep over its change, and would hold everybody up.
    """
    query = Mail.select(Mail.id).where(*conditions)
    return query.for_update(skip_locked=True) if is_postgresql(database) else query


def _is_lease_over(now: datetime) -> Any:
    return Mail.lease_until < now


# Every mail that is claimed or started has a lease, and the index for just these is used.
_IS_LEASED: Any = Mail.lease_until.is_null(is_null=False)
_IS_CLAIMED: Any = _IS_LEASED & (Mail.state == MailState.CLAIMED)
_IS_STARTED: Any = _IS_LEASED & (Mail.state == MailState.STARTED)
_IS_HELD: Any = _IS_LEASED & Mail.state.in_((MailState.CLAIMED, MailState.STARTED))
