"""What is kept of logging in and looking, and for how long.

May import models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.accounts import accesses, sessions, throttling, users

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database


def tidy(database: Database, *, settings: Settings, now: datetime) -> int:
    """Delete who looked at what long ago, and sessions, links and failures that are over.

    Returns how many looks were deleted.
    """
    with database.atomic():
        sessions.forget_sessions(now=now)
        users.forget_invitations(now=now)
        throttling.forget_failures(now=now)
        return accesses.forget_accesses(settings=settings, now=now)
