"""Recovering the mails of dead workers: back to the queue, or in doubt."""

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
    """How many mails were requeued, and how many were marked as in doubt."""

    requeued: int
    in_doubt: int


def recover_mails(database: Database, *, now: datetime) -> RecoveryResult:
    """Recover mails that were claimed or started and not settled.

    1. Claimed, and the worker is dead or the lease is over: requeued. A living worker notices when
       it tries to start the mail.
    2. Started, and the worker is dead: in doubt. Never by time alone, since a slow worker may
       still wait for the reply.
    """
    dead_workers = _find_dead_workers(database)
    if not dead_workers and not _select_expired(now).exists():
        return RecoveryResult(0, 0)
    is_abandoned = Mail.worker.in_(dead_workers) | _is_lease_over(now)
    requeued = _settle_in_steps(
        database, _IS_CLAIMED & is_abandoned, state=MailState.QUEUED, worker="", lease_until=None
    )
    in_doubt = _settle_in_steps(
        database,
        _IS_STARTED & Mail.worker.in_(dead_workers),
        state=MailState.IN_DOUBT,
        lease_until=None,
    )
    return RecoveryResult(requeued, in_doubt)


def _settle_in_steps(database: Database, condition: Any, **values: Any) -> int:
    """Update the mails that match a condition, in steps; return how many there were."""

    def settle(limit: int) -> tuple[bool, int]:
        batch = _skip_locked(database, condition).limit(limit)
        count = int(Mail.update(**values).where(Mail.id.in_(batch)).execute())
        return count >= limit, count

    return run_counted_steps(database, settle, should_stop=bool, size=StepSize())


def _find_dead_workers(database: Database) -> list[str]:
    holders = Mail.select(Mail.worker).where(_IS_HELD).distinct()
    return [mail.worker for mail in holders if not is_alive(database, mail.worker)]


def _select_expired(now: datetime) -> Any:
    return Mail.select().where(_IS_CLAIMED, _is_lease_over(now))


def _skip_locked(database: Database, *conditions: Any) -> Any:
    """Select mails that no other transaction has locked.

    A suspended worker may hold such a lock, and would block everybody.
    """
    query = Mail.select(Mail.id).where(*conditions)
    return query.for_update(skip_locked=True) if is_postgresql(database) else query


def _is_lease_over(now: datetime) -> Any:
    return Mail.lease_until < now


# Every mail that is claimed or started has a lease, so that the partial index is used.
_IS_LEASED: Any = Mail.lease_until.is_null(is_null=False)
_IS_CLAIMED: Any = _IS_LEASED & (Mail.state == MailState.CLAIMED)
_IS_STARTED: Any = _IS_LEASED & (Mail.state == MailState.STARTED)
_IS_HELD: Any = _IS_LEASED & Mail.state.in_((MailState.CLAIMED, MailState.STARTED))
