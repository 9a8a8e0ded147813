"""Throttling logins: each failure for an account or from a network delays the next attempt longer.

Nobody is locked out, as an attacker could do that to others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from repermit import email_address
from repermit.db.connection import Database
from repermit.db.models.accounts import Throttle

MAX_WAIT = timedelta(minutes=15)
"""The maximum wait."""

MAX_ACCOUNT_WAIT = timedelta(seconds=8)
"""The maximum wait of a whole account, since any stranger can make it wait.

The network of the failures waits longer, so that one stranger cannot use up all attempts.
"""

_EXPIRY = timedelta(days=1)
_FREE_FAILURES = {"network": 10, "relay": 30}
"""The number of failures without a wait: a network may be a whole office, a relay even more."""

_MAX_WAITS = {"account": MAX_ACCOUNT_WAIT, "relay": MAX_ACCOUNT_WAIT}
_SHARED_KINDS = frozenset({"network", "relay"})


@dataclass(frozen=True)
class Origin:
    """The origin of an attempt: the truncated network, and relays that may have forged it."""

    network: str
    relays: tuple[str, ...] = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes for which any failure from this origin counts."""
        return (f"network:{self.network}", *(f"relay:{relay}" for relay in self.relays))


def make_login_scopes(email_key: str, origin: Origin, *, key: bytes) -> tuple[str, ...]:
    """Return the scopes for which a wrong password counts; they do not contain the address."""
    account = email_address.fingerprint(key, email_key)
    return (f"account:{account}", f"pair:{account}:{origin.network}", *origin.scopes)


def make_code_scopes(email_key: str, origin: Origin, *, key: bytes) -> tuple[str, ...]:
    """Return the scopes for which a wrong code counts.

    A new login with the password does not reset them. Without the password nobody can guess codes.
    """
    return (f"second:{email_address.fingerprint(key, email_key)}", *origin.scopes)


def make_session_scopes(session_id: int) -> tuple[str, ...]:
    """Return the scopes for which a wrong password within a session counts."""
    return (f"session:{session_id}",)


def record_attempt(database: Database, scopes: tuple[str, ...], *, now: datetime) -> timedelta:
    """Count an attempt as a failure before it is made; return how long it must wait instead, or 0.

    Otherwise a hundred attempts at once would all be made before the first one failed. An attempt
    that must wait writes nothing, so that the table grows only with attempts that are made.
    """
    with database.atomic():
        throttles = Throttle.select().where(Throttle.scope.in_(scopes))
        if wait := _find_longest_wait(throttles, now):
            return wait
        locked_throttles = [_lock_scope(scope, now) for scope in scopes]
        # Another attempt may have been counted until they were locked.
        wait = _find_longest_wait(locked_throttles, now)
        for throttle in [] if wait else locked_throttles:
            _count_failure(throttle, now)
        return wait


def forgive_attempt(database: Database, scopes: tuple[str, ...], *, now: datetime) -> None:
    """Forget an accepted attempt: the account's failures end, those of networks and relays stay.

    If those ended too, a user with an account could guess others' passwords in between.
    """
    own_scopes = [scope for scope in scopes if _get_kind(scope) not in _SHARED_KINDS]
    shared_scopes = [scope for scope in scopes if _get_kind(scope) in _SHARED_KINDS]
    with database.atomic():
        Throttle.delete().where(Throttle.scope.in_(own_scopes)).execute()
        Throttle.update(failures=Throttle.failures - 1, next_at=now).where(
            Throttle.scope.in_(shared_scopes), Throttle.failures > 0
        ).execute()


def make_expired_condition(now: datetime) -> Any:
    """Return the condition for throttles without a failure for a day."""
    return Throttle.last_at < now - _EXPIRY


def compute_wait(failures: int, *, free: int = 0, longest: timedelta = MAX_WAIT) -> timedelta:
    """Return the wait after a number of failures: 1, 2, 4, … seconds, at most `longest`."""
    counted = failures - free
    if counted <= 0:
        return timedelta()
    # 2 to the power of 10 is more than 15 minutes already.
    return min(timedelta(seconds=2 ** min(counted - 1, 10)), longest)


def _find_longest_wait(throttles: Iterable[Throttle], now: datetime) -> timedelta:
    return max(
        (throttle.next_at - now for throttle in throttles if throttle.next_at > now),
        default=timedelta(),
    )


def _lock_scope(scope: str, now: datetime) -> Throttle:
    # The update locks the row. One that is only read may be deleted before it is locked.
    (throttle,) = (
        Throttle.insert(scope=scope, last_at=now, next_at=now)
        .on_conflict(
            conflict_target=[Throttle.scope], update={Throttle.failures: Throttle.failures}
        )
        .returning(Throttle)
        .execute()
    )
    locked_throttle: Throttle = throttle
    return locked_throttle


def _count_failure(throttle: Throttle, now: datetime) -> None:
    is_old = throttle.last_at < now - _EXPIRY
    failures = 1 if is_old else throttle.failures + 1
    kind = _get_kind(throttle.scope)
    wait = compute_wait(
        failures, free=_FREE_FAILURES.get(kind, 0), longest=_MAX_WAITS.get(kind, MAX_WAIT)
    )
    Throttle.update(failures=failures, last_at=now, next_at=now + wait).where(
        Throttle.scope == throttle.scope
    ).execute()


def _get_kind(scope: str) -> str:
    return scope.partition(":")[0]
