"""The time at which an address may get another mail that was requested in a form."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.models.contacts import SignUp
from repermit.db.models.mails import FreshLink
from repermit.rules.requested_mails_per_day import MAX_REQUESTED_MAILS, find_next_mail_time


def lock_address(database: Database, address_key: str) -> None:
    """Lock an address until the transaction ends, even if it has no row.

    On SQLite the write transaction itself is this lock.
    """
    if is_postgresql(database):
        lock_bytes = hashlib.sha256(f"sign-up\0{address_key}".encode()).digest()[:8]
        run_sql(
            database, "SELECT pg_advisory_xact_lock(%s)", int.from_bytes(lock_bytes, signed=True)
        )


def may_sign_up(address_key: str, *, now: datetime) -> bool:
    """Return whether another sign-up mail may go to an address; call `lock_address` first.

    Sign-ups on all lists count, since anybody can type any address.
    """
    return _find_next_time(SignUp, SignUp.address_key == address_key, now=now) <= now


def may_ask_new_address(contact_id: int, *, now: datetime) -> bool:
    """Return whether a contact may request another mail to a new address."""
    by_contact = (FreshLink.contact == contact_id) & (FreshLink.purpose == "address")
    return _find_next_time(FreshLink, by_contact, now=now) <= now


def find_next_link_time(address_key: str, purpose: str, *, now: datetime) -> datetime:
    """Return when another link of a purpose may be mailed to an address: now, or within a day.

    Links for one use are counted separately from sign-ups. One too many waits instead of being
    refused, so that no stranger can block a person's right of access (GDPR art. 12(2), art. 15).
    """
    to_address = (FreshLink.address_key == address_key) & (FreshLink.purpose == purpose)
    return _find_next_time(FreshLink, to_address, now=now)


def _find_next_time(table: type[SignUp | FreshLink], condition: Any, *, now: datetime) -> datetime:
    latest = table.select(table.at).where(condition).order_by(table.at.desc())
    return find_next_mail_time([row.at for row in latest.limit(MAX_REQUESTED_MAILS)], now=now)
