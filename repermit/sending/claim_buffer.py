"""The mails that a worker has claimed and not started: a small stock, refilled when empty."""

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
from repermit.sending.queue import LEASE, Claim, ClaimResult
from repermit.sending.send_rate import SendRates

_MAX_PER_CLAIM = 1_000
# So few take less time than the rest of a claim: fewer would not shorten the lock.
_MIN_PER_CLAIM = 50
_MIN_LEASE_LEFT = LEASE / 2
# How many batches without any free domain are read before the connections are served again.
_MAX_CLAIM_ROUNDS = 5
# With a rate, a mail may be sent at most so long after its reserved time. Otherwise it reserves
# another time, as when no connection was free or the process was suspended.
_TIME_TOLERANCE = timedelta(seconds=0.1)


class ClaimBuffer:
    """The claims of one worker, the oldest first.

    - `on_drop` is called with each mail that is dropped instead of claimed, and the reason.
    - `wait_until`: when the rates allow more mails; None if they delay nothing.
    """

    def __init__(
        self,
        database: Database,
        *,
        worker: str,
        fingerprint_key: bytes,
        rates: SendRates,
        clock: Clock,
        mailing_list: MailingList | None,
        first_rows: int,
        on_drop: Callable[[int, Dropped], None],
    ) -> None:
        self._database = database
        self._worker = worker
        self._fingerprint_key = fingerprint_key
        self._rates = rates
        self._clock = clock
        self._mailing_list = mailing_list
        self._on_drop = on_drop
        self._stock: deque[Claim] = deque()
        self._size = StepSize(
            first_rows=first_rows, min_rows=_MIN_PER_CLAIM, max_rows=_MAX_PER_CLAIM
        )
        self._after = 0
        self._is_exhausted = False
        self._filled_at = clock.now()
        self.wait_until: datetime | None = None

    def __len__(self) -> int:
        """Return the number of mails in stock."""
        return len(self._stock)

    def has_more(self) -> bool:
        """Return whether there is another mail to send now, claiming more if needed."""
        if not self._stock and not self._is_exhausted:
            self._fill()
        return bool(self._stock)

    def take_claim(self, now: datetime) -> Claim | None:
        """Return the next mail, claiming more if needed; None if none is due now."""
        if not self.has_more():
            return None
        claim = self._stock.popleft()
        if claim.lease_until - now < _MIN_LEASE_LEFT or not self._is_on_time(claim, now):
            # The stock is old; other workers may take the mails.
            self.return_claims(claim)
            self.return_all()
            return self.take_claim(now)
        return claim

    def _is_on_time(self, claim: Claim, now: datetime) -> bool:
        if not self._rates.are_limits or now - self._filled_at <= _TIME_TOLERANCE:
            return True
        with self._database.atomic():
            reserved_at = claim.lease_until - LEASE
            is_renewed = send_rate.renew_reservation(
                self._rates, claim.mail, reserved_at=reserved_at, now=now
            )
        # A mail that has been offered once is offered again: it would come first again anyhow.
        return is_renewed or claim.has_been_tried

    def iter_stock(self) -> Iterator[Claim]:
        """Yield the mails in stock without removing them, the next one first."""
        return iter(self._stock)

    def put_back(self, claim: Claim) -> None:
        """Put a mail that has not started in front of the others."""
        self._stock.appendleft(claim)

    def allow_claims(self) -> None:
        """Allow claims again after the queue was found empty: a mail has become due."""
        self._is_exhausted = False

    def return_claims(self, *claims: Claim) -> None:
        """Put mails that have not started back into the queue, or drop them."""
        dropped = send_step.return_claims(
            self._database,
            [claim.mail.id for claim in claims],
            worker=self._worker,
            fingerprint_key=self._fingerprint_key,
            now=self._clock.now(),
        )
        for number, reason in dropped:
            self._on_drop(number, reason)

    def return_all(self) -> None:
        """Put everything in stock back into the queue."""
        claims, self._stock = list(self._stock), deque()
        for batch in chunks(claims, self._size.rows):
            self.return_claims(*batch)

    def _fill(self) -> None:
        if self.wait_until is not None and self._clock.now() < self.wait_until:
            return
        result = self._claim_batch()
        # Postponed mails become due one by one, the earliest first.
        earliest = result.put_off_until
        for _ in range(_MAX_CLAIM_ROUNDS):
            if result.claims or not (result.dropped or result.put_off_until):
                break
            result = self._claim_batch()
            earliest = earliest or result.put_off_until
        else:
            # The next batch at once, after the send loop has done its other work.
            earliest = self._clock.now()
        self.wait_until = None if self._stock else result.wait_until or earliest
        # Mails that become due from now on are for the next run.
        self._is_exhausted = not self._stock and self.wait_until is None

    def _claim_batch(self) -> ClaimResult:
        result = queue.claim_mails(
            self._database,
            worker=self._worker,
            fingerprint_key=self._fingerprint_key,
            rates=self._rates,
            now=self._clock.now(),
            size=self._size,
            mailing_list=self._mailing_list,
            after=self._after,
        )
        for number, reason in result.dropped:
            self._on_drop(number, reason)
        self._stock += result.claims
        self._filled_at = self._clock.now()
        # Next time, start with the campaign after this one.
        campaign_ids = [claim.mail.campaign_id for claim in result.claims if claim.mail.is_asking]
        self._after = (campaign_ids and campaign_ids[-1]) or self._after
        return result
