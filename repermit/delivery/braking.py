"""Seeing to it that a campaign pauses by itself when too much of it comes back.

May import contacts and what lies below.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from repermit import contacts

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.models import Database

# How much longer than counting took it is left alone, so that it takes a tenth of the time at most.
_REST = 9


class Brake:
    """Counts anew, soon after a mail was refused for good, whether its campaign must pause."""

    def __init__(self, database: Database, *, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._percent = settings.campaign.pause_at_bounce_percent
        self._clock = clock
        self._pressed: set[int] = set()
        self._next_at = 0.0

    def press(self, campaign_id: int) -> None:
        """Have a campaign looked at."""
        self._pressed.add(campaign_id)

    def look(self, *, at_once: bool = False) -> None:
        """Pause the campaigns that were pressed for, where the rule says so."""
        began = time.monotonic()
        if not self._pressed or (began < self._next_at and not at_once):
            return
        for campaign_id in sorted(self._pressed):
            # By itself, since everybody locks a campaign before its contacts and mails.
            with self._database.atomic():
                contacts.apply_brake(campaign_id, percent=self._percent, now=self._clock.now())
        self._pressed.clear()
        now = time.monotonic()
        self._next_at = now + _REST * (now - began)
