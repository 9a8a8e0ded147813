"""Guessing made slow: each failure for an account or from a network makes the next try wait longer.

Nobody is locked out: an attacker could do that to others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from repermit import email_address
from repermit.db.connection import Database, lock_rows
from repermit.db.models.accounts import Throttle

MAX_WAIT = timedelta(minutes=15)
"""The longest that anybody has to wait."""

MAX_ACCOUNT_WAIT = timedelta(seconds=8)
"""The longest that a whole account has to wait, since any stranger can make it wait. Whoever fails
goes on waiting longer in the network they came from, so that one stranger cannot fill the gaps."""

_EXPIRY = timedelta(days=1)
_FREE_FAILURES = {"network": 10, "relay": 30}
"""How many failures cost nothing: behind one network may be a whole office, behind a relay more."""

_MAX_WAITS = {"account": MAX_ACCOUNT_WAIT, "relay": MAX_ACCOUNT_WAIT}
_SHARED_KINDS = frozenset({"network", "relay"})


@dataclass(frozen=True)
class Origin:
    """From which network a try comes, in part, and by which relays that may have invented it."""

    network: str
    relays: tuple[str, ...] = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return what a failure from there counts for, whatever it was tried for."""
        return (f"network:{self.network}", *(f"relay:{relay}" for relay in self.relays))


def make_login_scopes(email_key: str, origin: Origin, *, key: bytes) -> tuple[str, ...]:
    """Return what a wrong password counts for; the address of an account is kept nowhere."""
    account = email_address.fingerprint(key, email_key)
    return (f"account:{account}", f"pair:{account}:{origin.network}", *origin.scopes)


def make_code_scopes(email_key: str, origin: Origin, *, key: bytes) -> tuple[str, ...]:
    """Return what a wrong code counts for.

    Whoever has the password may not begin anew with guessing codes by giving it again, and nobody
    else gets so far as to guess.
    """
    return (f"second:{email_address.fingerprint(key, email_key)}", *origin.scopes)


def make_session_scopes(session_id: int) -> tuple[str, ...]:
    """Return what a wrong password counts for that was given within a session."""
    return (f"session:{session_id}",)


def record_attempt(database: Database, scopes: tuple[str, ...], *, now: datetime) -> timedelta:
    """Count a try as a failure before it is made; return how long it must wait instead, 0 if not.

    Counted before, since a hundred tries at once would else all be made before the first failed.
    A try that must wait writes nothing: the table grows no faster than tries are made.
    """
    with database.atomic():
        throttles = Throttle.select().where(Throttle.scope.in_(scopes))
        if wait := _find_longest_wait(throttles, now):
            return wait
        locked_throttles = [_lock_scope(scope, now) for scope in scopes]
        # Another try may have been counted until they were locked.
        wait = _find_longest_wait(locked_throttles, now)
        for throttle in [] if wait else locked_throttles:
            _count_failure(throttle, now)
        return wait


def forgive_attempt(database: Database, scopes: tuple[str, ...], *, now: datetime) -> None:
    """Take a try back that was right: the account begins anew, networks and relays are as before.

    Began that anew too, whoever has an account could guess at others' in between.
    """
    own_scopes = [scope for scope in scopes if _get_kind(scope) not in _SHARED_KINDS]
    shared_scopes = [scope for scope in scopes if _get_kind(scope) in _SHARED_KINDS]
    with database.atomic():
        Throttle.delete().where(Throttle.scope.in_(own_scopes)).execute()
        Throttle.update(failures=Throttle.failures - 1, next_at=now).where(
            Throttle.scope.in_(shared_scopes), Throttle.failures > 0
        ).execute()


def make_expired_condition(now: datetime) -> Any:
    """Return the condition for what nobody has failed at for a day."""
    return Throttle.last_at < now - _EXPIRY


def compute_wait(failures: int, *, free: int = 0, longest: timedelta = MAX_WAIT) -> timedelta:
    """Return how long to wait after so many failures: 1, 2, 4, … seconds, `longest` at most."""
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
    Throttle.insert(scope=scope, last_at=now, next_at=now).on_conflict_ignore().execute()
    throttle: Throttle = lock_rows(Throttle.select().where(Throttle.scope == scope)).get()
    return throttle


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
