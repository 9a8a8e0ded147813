"""Mail that somebody has just asked for: three a day at most to an address, whatever it is for.

May import models and what lies below. Everything here must be called inside the caller's
transaction.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from repermit import consent
from repermit.models import FreshLink, SignUp, is_postgresql, owe_wiping, run_sql

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database

LINKS_KEPT = timedelta(days=1)
"""How long links for one use are kept, with the addresses that they went to."""

SIGN_UPS_KEPT = timedelta(days=30)
"""How long a sign-up is kept that its address does not confirm."""

_DAY = timedelta(days=1)


def one_at_a_time(database: Database, address_key: str) -> None:
    """Let one transaction at a time deal with an address, also one that has no row to lock.

    On SQLite the transaction itself sees to that.
    """
    if is_postgresql(database):
        number = hashlib.sha256(f"sign-up\0{address_key}".encode()).digest()[:8]
        run_sql(database, "SELECT pg_advisory_xact_lock(%s)", int.from_bytes(number, signed=True))


def may_be_mailed(address_key: str, *, now: datetime) -> bool:
    """Say whether one more mail may go to an address at somebody's wish (DESIGN invariant 3).

    Sign-ups on all lists count, and links that are good for one use; `one_at_a_time` comes first.
    """
    last_day = now - _DAY
    sign_ups = SignUp.select().where(SignUp.address_key == address_key, SignUp.at > last_day)
    links = FreshLink.select().where(FreshLink.address_key == address_key, FreshLink.at > last_day)
    return consent.may_mail_on_request(sign_ups.count() + links.count())


def forget_links(*, now: datetime) -> int:
    """Delete the links that are older than a day, with the addresses they went to."""
    count = int(FreshLink.delete().where(FreshLink.at <= now - LINKS_KEPT).execute())
    if count:
        owe_wiping()
    return count
