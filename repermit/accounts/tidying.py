"""What is kept of logging in and looking, and for how long.

May import models and what lies below.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from repermit.accounts import second_steps, sessions, throttling, users
from repermit.models import (
    Access,
    Invitation,
    SecurityEvent,
    Session,
    Throttle,
    delete_in_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database


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
    second_steps.hash_old_codes(database)
    oldest = now - timedelta(days=settings.retention.access_days)
    over = {
        Session: sessions.is_over(now),
        Invitation: users.is_over(now),
        Throttle: throttling.is_forgotten(now),
        SecurityEvent: SecurityEvent.at < oldest,
        Access: Access.at < oldest,
    }
    deleted = {
        table: delete_in_steps(database, table, is_over, should_stop=should_stop)
        for table, is_over in over.items()
    }
    return deleted[Access]
