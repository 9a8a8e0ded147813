"""What one worker has claimed and not begun: a small stock, filled up as it empties."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from repermit.clock import Clock
from repermit.db.connection import Database, chunks
from repermit.db.models.lists import MailingList
from repermit.db.work_steps import StepSize
from repermit.rules.consent import Dropped
from repermit.sending import queue, send_rate, send_step
from repermit.sending.queue import LEASE, Claim, Claimed
from repermit.sending.send_rate import Rates

_MOST = 1_000
_FRESH = LEASE / 2
# So often mails are looked at whose domains all have to be spared, before lines are heard again.
_WINDOWS = 5
# With a rate, no more time than this passes between a mail's moment and its way to a line: it takes
# another moment, if there was no line or the process was asleep.
_IN_TIME = timedelta(seconds=0.1)


class ClaimBuffer:
    """Claims of one worker, the oldest first.

    `on_drop` hears of each mail that is dropped instead. `wait_until` is when the rates allow
    more, None if they hold nothing back.
    """

    def __init__(
        self,
        database: Database,
        *,
        worker: str,
        fingerprint_key: bytes,
        rates: Rates,
        clock: Clock,
        mailing_list: MailingList | None,
        at_first: int,
        on_drop: Callable[[int, Dropped], None],
    ) -> None:
        self._database = database
        self._worker = worker
        self._key = fingerprint_key
        self._rates = rates
        self._clock = clock
        self._mailing_list = mailing_list
        self._on_drop = on_drop
        self._stock: deque[Claim] = deque()
        self._size = StepSize(first=at_first, most=_MOST)
        self._after = 0
        self._is_dry = False
        self._filled_at = clock.now()
        self.wait_until: datetime | None = None

    def __len__(self) -> int:
        """Return how many mails are in stock."""
        return len(self._stock)

    def has_more(self) -> bool:
        """Say whether there is another mail to send now, claiming some if need be."""
        if not self._stock and not self._is_dry:
            self._fill()
        return bool(self._stock)

    def take(self, now: datetime) -> Claim | None:
        """Return the next mail, claiming more if need be; None if none is due now."""
        if not self.has_more():
            return None
        claim = self._stock.popleft()
        if claim.lease_until - now < _FRESH or not self._has_its_moment(claim, now):
            # They have lain here for long; whoever has time may take them.
            self.give_back(claim)
            self.give_back_all()
            return self.take(now)
        return claim

    def _has_its_moment(self, claim: Claim, now: datetime) -> bool:
        if not self._rates.are_limits or now - self._filled_at <= _IN_TIME:
            return True
        with self._database.atomic():
            reserved_at = claim.lease_until - LEASE
            is_renewed = send_rate.renew(self._rates, claim.owed, reserved_at=reserved_at, now=now)
        # One that has been on a line goes on to the next: it would come first again anyhow.
        return is_renewed or claim.has_been_tried

    def coming(self) -> Iterator[Claim]:
        """Yield the mails in stock, the next one first; they stay there."""
        return iter(self._stock)

    def put_back(self, claim: Claim) -> None:
        """Put a mail that has not started in front of the others."""
        self._stock.appendleft(claim)

    def look_again(self) -> None:
        """Claim again, also if nothing was due any more: there is now."""
        self._is_dry = False

    def give_back(self, *claims: Claim) -> None:
        """Put mails that have not started back into the queue, or drop them."""
        dropped = send_step.give_back(
            self._database,
            [claim.owed.id for claim in claims],
            worker=self._worker,
            fingerprint_key=self._key,
            now=self._clock.now(),
        )
        for number, why in dropped:
            self._on_drop(number, why)

    def give_back_all(self) -> None:
        """Put everything in stock back into the queue."""
        claims, self._stock = list(self._stock), deque()
        for some in chunks(claims, self._size.rows):
            self.give_back(*some)

    def _fill(self) -> None:
        if self.wait_until is not None and self._clock.now() < self.wait_until:
            return
        claimed = self._claim()
        # Those that were put off come back one by one, and the first of them first.
        earliest = claimed.put_off_until
        for _ in range(_WINDOWS):
            if claimed.claims or not (claimed.dropped or claimed.put_off_until):
                break
            claimed = self._claim()
            earliest = earliest or claimed.put_off_until
        else:
            # The rest at once, after a look at what else there is to do.
            earliest = self._clock.now()
        self.wait_until = None if self._stock else claimed.wait_until or earliest
        # What comes due from here on is for the next run.
        self._is_dry = not self._stock and self.wait_until is None

    def _claim(self) -> Claimed:
        claimed = queue.claim(
            self._database,
            worker=self._worker,
            fingerprint_key=self._key,
            rates=self._rates,
            now=self._clock.now(),
            size=self._size,
            mailing_list=self._mailing_list,
            after=self._after,
        )
        for number, why in claimed.dropped:
            self._on_drop(number, why)
        self._stock += claimed.claims
        self._filled_at = self._clock.now()
        # The other campaigns first, next time.
        served = [claim.owed.campaign_id for claim in claimed.claims if claim.owed.is_asking]
        self._after = (served and served[-1]) or self._after
        return claimed
