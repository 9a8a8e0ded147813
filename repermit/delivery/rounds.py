"""What is looked after every few seconds, while mails leave and while none do.

May import contacts and what lies below, and of this room what puts right.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from repermit import contacts
from repermit.delivery import outcomes
from repermit.delivery.faults import note_fault
from repermit.delivery.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from repermit.clock import Clock
    from repermit.models import Database

# Seconds between two rounds, and how much longer than a round took there is none: on a large
# database it takes a tenth of the time at most.
_PAUSE = 2.0
_REST = 9


def look_after(database: Database, *, now: datetime) -> None:
    """Put right what is found; any number of processes may do so at once.

    1. What dead workers left behind goes back to the queue, or is in doubt.
    2. Pilots that are through wait for `resume`.
    3. Whoever still waits for a pilot that is over is let go.
    4. What came back into the queue of a campaign that is over is dropped.
    5. Campaigns that have asked everybody become `open`.
    """
    recover(database, now=now)
    contacts.finish_pilots(database, now=now)
    contacts.let_pilots_go(database, now=now)
    outcomes.drop_leftovers(database)
    outcomes.open_campaigns(database, now=now)


class Rounds:
    """Looks after everything during a run, which may last for days where there are rates.

    `count_sent` tells how many mails of the run a server has accepted so far.
    """

    def __init__(self, database: Database, *, clock: Clock, count_sent: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._count_sent = count_sent
        self._sent = 0
        self._next_at = time.monotonic() + _PAUSE

    def look(self) -> None:
        """Make a round if it is time for one; called all the time."""
        began = time.monotonic()
        if began < self._next_at:
            return
        now = self._clock.now()
        look_after(self._database, now=now)
        sent = self._count_sent()
        if sent > self._sent:
            # Mails leave, so that nothing stands in their way any more.
            note_fault(self._database, "", now=now)
        self._sent = sent
        ended = time.monotonic()
        self._next_at = ended + max(_PAUSE, _REST * (ended - began))
