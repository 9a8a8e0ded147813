"""Pausing a campaign during sending, as soon as too many of its mails are refused."""

from __future__ import annotations

import time

from repermit.clock import Clock
from repermit.contacts import circuit_breaker
from repermit.db.connection import Database
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import PauseReason
from repermit.settings.definitions import Settings

# The pause after a count, as a multiple of its duration: counting takes a tenth of the time.
_PAUSE_FACTOR = 9

# So many in a row, from a server that has accepted nothing, are the server's fault: a relay that
# lost its list of recipients, or a filter, refuses everybody with 5.1.1.
MAX_UNKNOWN_IN_A_ROW = 10
KNOWS_NOBODY = LazyText(
    "the mail server says of %(count)s people in a row that they do not exist, and has taken no "
    "mail; look at it before the campaign goes on",
    count=MAX_UNKNOWN_IN_A_ROW,
)


class BounceGuard:
    """Checks, soon after a permanent refusal, whether the campaign must pause.

    - `watched`: the campaigns that `pause_campaigns` checks.
    - `has_accepted`: set by the send loop once the server has accepted a mail.
    """

    def __init__(self, database: Database, *, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._percent = settings.campaign.pause_at_bounce_percent
        self._clock = clock
        self.watched: set[int] = set()
        self._next_at = 0.0
        self._unknown_count = 0
        self.has_accepted = False

    def record_unknown_recipient(self, campaign_id: int) -> bool:
        """Count a permanent "no such mailbox" reply; return whether the server rejects everybody.

        If this server has rejected every recipient so far, the campaign is paused and True is
        returned; then no contact may be removed because of the reply.
        """
        if self.has_accepted:
            return False
        self._unknown_count += 1
        if self._unknown_count < MAX_UNKNOWN_IN_A_ROW:
            return False
        with self._database.atomic():
            circuit_breaker.pause_automatically(
                campaign_id, PauseReason.BOUNCES, now=self._clock.now()
            )
        return True

    def pause_campaigns(self, *, at_once: bool = False) -> None:
        """Pause the watched campaigns whose share of bounces is above the limit.

        `at_once` ignores the pause between two checks.
        """
        began = time.monotonic()
        if not self.watched or (began < self._next_at and not at_once):
            return
        for campaign_id in sorted(self.watched):
            # A transaction for each: a campaign is always locked before its contacts and mails.
            with self._database.atomic():
                circuit_breaker.trip_circuit_breaker(
                    campaign_id, percent=self._percent, now=self._clock.now()
                )
        self.watched.clear()
        now = time.monotonic()
        self._next_at = now + _PAUSE_FACTOR * (now - began)
