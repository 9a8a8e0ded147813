"""What was refused to whoever tried to log in, kept for a while and written to the process's log.

May import models and what lies below. One row for each hour, kind, account and network counts how
often, so that a flood fills nothing; neither an address, nor a password, nor a code stands in it.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from repermit.models import SecurityEvent

if TYPE_CHECKING:
    from datetime import datetime


_logger = logging.getLogger(__name__)


class SecurityEventKind(StrEnum):
    """What happened (OWASP ASVS 5.0 V16.3.1 to V16.3.3)."""

    LOGIN_FAILED = "login_failed"
    CODE_FAILED = "code_failed"
    UNLOCK_FAILED = "unlock_failed"
    UNLOCKED = "unlocked"
    PASSWORD_FAILED = "password_failed"  # noqa: S105  a name, no password
    INVITATION_REFUSED = "invitation_refused"
    TOO_MANY_TRIES = "too_many_tries"
    PAGE_REFUSED = "page_refused"
    FORM_REFUSED = "form_refused"
    TOKEN_REFUSED = "token_refused"  # noqa: S105


# Whoever has to wait, or needs no account, can ask as often as they like: it is noted once a minute
# that they do. Every other kind is slowed down by `throttling`.
_SELDOM = frozenset(
    {
        SecurityEventKind.INVITATION_REFUSED,
        SecurityEventKind.TOO_MANY_TRIES,
        SecurityEventKind.PAGE_REFUSED,
        SecurityEventKind.FORM_REFUSED,
        SecurityEventKind.TOKEN_REFUSED,
    }
)
_SELDOM_EVERY = timedelta(minutes=1)

MOST_ROWS = 500
"""So many rows a day name the network; of more networks than that the account alone is kept."""

_DAY = timedelta(days=1)


def is_security_event_to_note(
    kind: SecurityEventKind, *, actor: str = "", network: str = "", now: datetime
) -> bool:
    """Say whether it is to be noted, or was just now, in the same hour and for the same asker."""
    if kind not in _SELDOM:
        return True
    recent = SecurityEvent.select().where(
        SecurityEvent.hour == _hour(now),
        SecurityEvent.what == kind,
        SecurityEvent.actor == actor,
        SecurityEvent.network.in_((network, "")),
        SecurityEvent.last_at > now - _SELDOM_EVERY,
    )
    return not recent.exists()


def note_security_event(
    kind: SecurityEventKind, *, actor: str = "", network: str = "", now: datetime
) -> None:
    """Count one more and write a line to the log, in the caller's transaction.

    `actor` is whose account it is about as evidence names them, "" for nobody's; `network` is
    whence it came, in part.
    """
    key = {"hour": _hour(now), "what": kind, "actor": actor, "network": network}
    if not SecurityEvent.select().filter(**key).exists() and _is_full(now):
        key["network"] = ""
    SecurityEvent.insert(**key, at=now, last_at=now).on_conflict(
        conflict_target=[
            SecurityEvent.hour,
            SecurityEvent.what,
            SecurityEvent.actor,
            SecurityEvent.network,
        ],
        update={SecurityEvent.times: SecurityEvent.times + 1, SecurityEvent.last_at: now},
    ).execute()
    level = logging.INFO if kind is SecurityEventKind.UNLOCKED else logging.WARNING
    words = kind.replace("_", " ")
    _logger.log(
        level, "%s: account %s, network %s", words, actor or "unknown", network or "unknown"
    )


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _is_full(now: datetime) -> bool:
    return bool(SecurityEvent.select().where(SecurityEvent.at > now - _DAY).count() >= MOST_ROWS)
