"""What is kept of logging in and looking, and for how long.

May import models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.accounts import accesses, second_steps, security_events, sessions, throttling, users

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database


def tidy(database: Database, *, settings: Settings, now: datetime) -> int:
    """Delete who looked at what long ago, and sessions, links and failures that are over.

    Hashes recovery codes that were kept otherwise before. Returns how many looks were deleted.
    """
    second_steps.hash_old_codes(database)
    with database.atomic():
        sessions.forget_sessions(now=now)
        users.forget_invitations(now=now)
        throttling.forget_failures(now=now)
        security_events.forget_security_events(settings=settings, now=now)
        return accesses.forget_accesses(settings=settings, now=now)
