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

LONGEST = timedelta(minutes=15)
"""The longest that anybody has to wait."""

LONGEST_FOR_ALL = timedelta(seconds=8)
"""The longest that a whole account has to wait, since any stranger can make it wait. Whoever fails
goes on waiting longer in the network they came from, so that one stranger cannot fill the gaps."""

_FORGOTTEN_AFTER = timedelta(days=1)
_FREE = {"network": 10, "relay": 30}
"""How many failures cost nothing: behind one network may be a whole office, behind a relay more."""

_LONGEST = {"account": LONGEST_FOR_ALL, "relay": LONGEST_FOR_ALL}
_SHARED = frozenset({"network", "relay"})


@dataclass(frozen=True)
class Origin:
    """From which network a try comes, in part, and by which relays that may have invented it."""

    network: str
    relays: tuple[str, ...] = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return what a failure from there counts for, whatever it was tried for."""
        return (f"network:{self.network}", *(f"relay:{relay}" for relay in self.relays))


def scopes_of_login(email_key: str, origin: Origin, *, key: bytes) -> tuple[str, ...]:
    """Return what a wrong password counts for; the address of an account is kept nowhere."""
    account = email_address.fingerprint(key, email_key)
    return (f"account:{account}", f"pair:{account}:{origin.network}", *origin.scopes)


def scopes_of_code(email_key: str, origin: Origin, *, key: bytes) -> tuple[str, ...]:
    """Return what a wrong code counts for.

    Whoever has the password may not begin anew with guessing codes by giving it again, and nobody
    else gets so far as to guess.
    """
    return (f"second:{email_address.fingerprint(key, email_key)}", *origin.scopes)


def scopes_of_session(session_id: int) -> tuple[str, ...]:
    """Return what a wrong password counts for that was given within a session."""
    return (f"session:{session_id}",)


def book(database: Database, scopes: tuple[str, ...], *, now: datetime) -> timedelta:
    """Count a try as a failure before it is made; return how long it must wait instead, 0 if not.

    Counted before, since a hundred tries at once would else all be made before the first failed.
    A try that must wait writes nothing: the table grows no faster than tries are made.
    """
    with database.atomic():
        there = Throttle.select().where(Throttle.scope.in_(scopes))
        if wait := _longest_wait(there, now):
            return wait
        locked = [_locked(scope, now) for scope in scopes]
        # Another try may have been counted until they were locked.
        wait = _longest_wait(locked, now)
        for one in [] if wait else locked:
            _count(one, now)
        return wait


def forgive(database: Database, scopes: tuple[str, ...], *, now: datetime) -> None:
    """Take a try back that was right: the account begins anew, networks and relays are as before.

    Began that anew too, whoever has an account could guess at others' in between.
    """
    own = [scope for scope in scopes if _kind(scope) not in _SHARED]
    shared = [scope for scope in scopes if _kind(scope) in _SHARED]
    with database.atomic():
        Throttle.delete().where(Throttle.scope.in_(own)).execute()
        Throttle.update(failures=Throttle.failures - 1, next_at=now).where(
            Throttle.scope.in_(shared), Throttle.failures > 0
        ).execute()


def is_forgotten(now: datetime) -> Any:
    """Return the condition for what nobody has failed at for a day."""
    return Throttle.last_at < now - _FORGOTTEN_AFTER


def wait_after(failures: int, *, free: int = 0, longest: timedelta = LONGEST) -> timedelta:
    """Return how long to wait after so many failures: 1, 2, 4, … seconds, `longest` at most."""
    counted = failures - free
    if counted <= 0:
        return timedelta()
    # 2 to the power of 10 is more than 15 minutes already.
    return min(timedelta(seconds=2 ** min(counted - 1, 10)), longest)


def _longest_wait(found: Iterable[Throttle], now: datetime) -> timedelta:
    return max((one.next_at - now for one in found if one.next_at > now), default=timedelta())


def _locked(scope: str, now: datetime) -> Throttle:
    Throttle.insert(scope=scope, last_at=now, next_at=now).on_conflict_ignore().execute()
    found: Throttle = lock_rows(Throttle.select().where(Throttle.scope == scope)).get()
    return found


def _count(one: Throttle, now: datetime) -> None:
    is_old = one.last_at < now - _FORGOTTEN_AFTER
    failures = 1 if is_old else one.failures + 1
    kind = _kind(one.scope)
    wait = wait_after(failures, free=_FREE.get(kind, 0), longest=_LONGEST.get(kind, LONGEST))
    Throttle.update(failures=failures, last_at=now, next_at=now + wait).where(
        Throttle.scope == one.scope
    ).execute()


def _kind(scope: str) -> str:
    return scope.partition(":")[0]
