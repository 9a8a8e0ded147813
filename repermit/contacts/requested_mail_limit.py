"""Mail that somebody has just asked for: three a day at most to an address, of each kind.

All but `delete_expired_links` must be called inside the caller's transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.models.contacts import SignUp
from repermit.db.models.mails import FreshLink
from repermit.db.secure_delete import delete_in_steps
from repermit.rules import consent

LINKS_KEPT = timedelta(days=1)
"""How long links for one use are kept, with the addresses that they went to."""

SIGN_UPS_KEPT = timedelta(days=30)
"""How long a sign-up is kept that its address does not confirm."""

_DAY = timedelta(days=1)


def lock_address(database: Database, address_key: str) -> None:
    """Let one transaction at a time deal with an address, also one that has no row to lock.

    On SQLite the transaction itself sees to that.
    """
    if is_postgresql(database):
        lock_bytes = hashlib.sha256(f"sign-up\0{address_key}".encode()).digest()[:8]
        run_sql(
            database, "SELECT pg_advisory_xact_lock(%s)", int.from_bytes(lock_bytes, signed=True)
        )


def may_sign_up(address_key: str, *, now: datetime) -> bool:
    """Say whether one more sign-up may be mailed to an address (invariant 3).

    Sign-ups on all lists count, since anybody can type any address; `lock_address` comes first.
    """
    sign_ups = SignUp.select().where(SignUp.address_key == address_key, SignUp.at > now - _DAY)
    return consent.may_mail_on_request(sign_ups.count())


def find_next_link_time(address_key: str, purpose: str, *, now: datetime) -> datetime:
    """Return when one more link of a purpose may be mailed to an address: now, or within a day.

    Links for one use are counted apart from sign-ups, and one too many waits instead of being
    refused: no stranger may take somebody's right of access away (GDPR art. 12(2), art. 15).
    """
    latest = (
        FreshLink.select(FreshLink.at)
        .where(
            FreshLink.address_key == address_key,
            FreshLink.purpose == purpose,
            FreshLink.at > now - _DAY,
        )
        .order_by(FreshLink.at.desc())
        .limit(consent.MOST_ON_REQUEST)
    )
    send_times: list[datetime] = [row.at for row in latest]
    return now if consent.may_mail_on_request(len(send_times)) else send_times[-1] + _DAY


def delete_expired_links(
    database: Database, *, now: datetime, should_stop: Callable[[], bool] = bool
) -> int:
    """Delete the links that are older than a day, with the addresses they went to."""
    return delete_in_steps(
        database,
        FreshLink,
        FreshLink.at <= now - LINKS_KEPT,
        holds_addresses=True,
        should_stop=should_stop,
    )
