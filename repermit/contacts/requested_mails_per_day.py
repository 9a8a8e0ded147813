"""Mail that somebody has just asked for: three a day at most to an address, of each kind."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.models.contacts import SignUp
from repermit.db.models.mails import FreshLink

MOST_ON_REQUEST = 3
"""How many mails an address gets in 24 hours at the wish of whoever types it in a form."""

SIGN_UPS_KEPT = timedelta(days=30)
"""How long a sign-up is kept that its address does not confirm."""

_DAY = timedelta(days=1)


def may_mail_on_request(sent_in_last_day: int) -> bool:
    """Say whether one more mail may go to an address whose holder has just asked for it."""
    return sent_in_last_day < MOST_ON_REQUEST


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
    return may_mail_on_request(sign_ups.count())


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
        .limit(MOST_ON_REQUEST)
    )
    send_times: list[datetime] = [row.at for row in latest]
    return now if may_mail_on_request(len(send_times)) else send_times[-1] + _DAY
