"""Seeing to it that a campaign pauses by itself when too much of it comes back.

May import contacts and what lies below.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from repermit import contacts
from repermit.consent import PauseReason
from repermit.saying import Said

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.models import Database

# How much longer than counting took it is left alone, so that it takes a tenth of the time at most.
_REST = 9

# So many one after the other, from a server that has taken nothing, say more of it than of them: a
# relay that lost its list of recipients, or a filter, refuses everybody with 5.1.1.
SUSPICIOUS = 10
KNOWS_NOBODY = Said(
    "the mail server says of %(count)s people in a row that they do not exist, and has taken no "
    "mail; look at it before `resume`",
    code="knows_nobody",
    count=SUSPICIOUS,
)


class Brake:
    """Counts anew, soon after a mail was refused for good, whether its campaign must pause.

    `has_accepted` is set by who hears the server accept a mail.
    """

    def __init__(self, database: Database, *, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._percent = settings.campaign.pause_at_bounce_percent
        self._clock = clock
        self._pressed: set[int] = set()
        self._next_at = 0.0
        self._unknown = 0
        self.has_accepted = False

    def doubts(self, campaign_id: int) -> bool:
        """Hear that a person of a campaign is said not to exist; say whether to doubt the server.

        Then the campaign has paused, and nobody is to be removed for what it says.
        """
        if self.has_accepted:
            return False
        self._unknown += 1
        if self._unknown < SUSPICIOUS:
            return False
        with self._database.atomic():
            contacts.pause_by_itself(campaign_id, PauseReason.BOUNCES, now=self._clock.now())
        return True

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
