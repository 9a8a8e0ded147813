"""Putting right what dead workers have left behind.

May import models and what lies below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repermit.consent import MailState
from repermit.delivery.worker import is_alive
from repermit.models import Mail

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
        requeued = (
            Mail.update(state=MailState.QUEUED, worker="", lease_until=None)
            .where(
                Mail.state == MailState.CLAIMED,
                Mail.worker.in_(dead) | (Mail.lease_until < now),
            )
            .execute()
        )
        in_doubt = (
            Mail.update(state=MailState.IN_DOUBT, lease_until=None)
            .where(Mail.state == MailState.STARTED, Mail.worker.in_(dead))
            .execute()
        )
    return Recovered(int(requeued), int(in_doubt))


def _dead_workers(database: Database) -> list[str]:
    seen = Mail.select(Mail.worker).where(Mail.state.in_(_HELD)).distinct()
    return [mail.worker for mail in seen if not is_alive(database, mail.worker)]


def _expired(now: datetime) -> Any:
    return Mail.select().where(Mail.state == MailState.CLAIMED, Mail.lease_until < now)


_HELD = (MailState.CLAIMED, MailState.STARTED)
