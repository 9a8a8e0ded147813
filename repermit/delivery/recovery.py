"""Putting right what dead workers have left behind.

May import models and what lies below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repermit.consent import MailState
from repermit.delivery.worker import is_alive
from repermit.models import Mail, is_postgresql

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database


@dataclass(frozen=True)
class Recovered:
    """How many mails went back to the queue, and how many are in doubt now."""

    requeued: int
    in_doubt: int


def recover(database: Database, *, now: datetime) -> Recovered:
    """Look after mails that were claimed or started and not settled.

    1. Claimed, and the worker is dead or its lease is over: back to the queue. A living worker
       notices when it wants to start the mail.
    2. Started, and the worker is dead: in doubt. Never by time alone, since a slow worker may
       still be waiting for its reply.
    """
    dead = _dead_workers(database)
    if not dead and not _expired(now).exists():
        return Recovered(0, 0)
    with database.atomic():
        left = _unlocked(database, _IS_CLAIMED, Mail.worker.in_(dead) | _is_over(now))
        requeued = (
            Mail.update(state=MailState.QUEUED, worker="", lease_until=None)
            .where(Mail.id.in_(left))
            .execute()
        )
        unsettled = _unlocked(database, _IS_STARTED, Mail.worker.in_(dead))
        in_doubt = (
            Mail.update(state=MailState.IN_DOUBT, lease_until=None)
            .where(Mail.id.in_(unsettled))
            .execute()
        )
    return Recovered(int(requeued), int(in_doubt))


def _dead_workers(database: Database) -> list[str]:
    seen = Mail.select(Mail.worker).where(_IS_HELD).distinct()
    return [mail.worker for mail in seen if not is_alive(database, mail.worker)]


def _expired(now: datetime) -> Any:
    return Mail.select().where(_IS_CLAIMED, _is_over(now))


def _unlocked(database: Database, *conditions: Any) -> Any:
    """Find mails that nobody is changing right now.

    A worker may have fallen asleep over its change, and would hold everybody up.
    """
    found = Mail.select(Mail.id).where(*conditions)
    return found.for_update(skip_locked=True) if is_postgresql(database) else found


def _is_over(now: datetime) -> Any:
    return Mail.lease_until < now


# Every mail that is claimed or started has a lease, and the index for just these is used.
_IS_LEASED: Any = Mail.lease_until.is_null(is_null=False)
_IS_CLAIMED: Any = _IS_LEASED & (Mail.state == MailState.CLAIMED)
_IS_STARTED: Any = _IS_LEASED & (Mail.state == MailState.STARTED)
_IS_HELD: Any = _IS_LEASED & Mail.state.in_((MailState.CLAIMED, MailState.STARTED))
