"""What is kept of logging in and looking, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from repermit.accounts import login_throttle, sessions, two_factor, users
from repermit.db.connection import Database
from repermit.db.models.accounts import Access, Invitation, SecurityEvent, Session, Throttle
from repermit.db.secure_delete import delete_in_steps
from repermit.settings.definitions import Settings


def tidy(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Delete who looked at what long ago, and sessions, links and failures that are over.

    Hashes recovery codes that were kept otherwise before. Returns how many looks were deleted.
    """
    two_factor.hash_old_codes(database)
    oldest = now - timedelta(days=settings.retention.access_days)
    over = {
        Session: sessions.is_over(now),
        Invitation: users.is_over(now),
        Throttle: login_throttle.is_forgotten(now),
        SecurityEvent: SecurityEvent.at < oldest,
        Access: Access.at < oldest,
    }
    deleted = {
        table: delete_in_steps(database, table, is_over, should_stop=should_stop)
        for table, is_over in over.items()
    }
    return deleted[Access]
