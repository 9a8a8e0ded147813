"""Mails made ahead, some at a time, for lines that will soon ask for them.

May import messages and what lies below, and of this room what makes letters. A mail that is made
between two things said to the server takes half as long again: the processor has other code at
hand by then.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from repermit.errors import RepermitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from repermit.delivery.claiming import Claim
    from repermit.delivery.letters import Letters
    from repermit.messages import Letter

NOT_MADE = (RepermitError, LookupError, ValueError)
"""What making a mail raises if it cannot be made."""

# A mail bears the moment at which it was made.
_FRESH = timedelta(seconds=1)
_MOST = 64


@dataclass(slots=True)
class Prepared:
    """A claimed mail with its letter, and when that was made."""

    claim: Claim
    letter: Letter
    made_at: datetime


class Ahead:
    """Makes mails, and keeps those of the next claims for as long as they are fresh.

    Twice as many each time, as long as they leave in time; where they do not, one by one.
    """

    def __init__(self, letters: Letters) -> None:
        self._letters = letters
        self._made: dict[int, Prepared] = {}
        self._count = 0

    def prepare(self, claim: Claim, following: Iterable[Claim], *, now: datetime) -> Prepared:
        """Return a mail, made before or made now together with those that follow.

        Raises what `Letters.make` raises for the mail itself; what follows and cannot be made
        raises it in its own turn.
        """
        made = self._made.pop(claim.owed.id, None)
        if made is not None and made.claim is claim and now - made.made_at < _FRESH:
            return made
        is_late = made is not None or self._made
        self._count = 0 if is_late else min(2 * self._count + 1, _MOST)
        prepared = self._make(claim, now)
        self._made = dict(self._make_some(islice(following, self._count), now))
        return prepared

    def _make_some(self, claims: Iterable[Claim], now: datetime) -> Iterator[tuple[int, Prepared]]:
        for claim in claims:
            # What was asked for is made from what is there in its own turn.
            if claim.owed.is_asking:
                with suppress(*NOT_MADE):
                    yield claim.owed.id, self._make(claim, now)

    def _make(self, claim: Claim, now: datetime) -> Prepared:
        return Prepared(claim, self._letters.make(claim, now=now), now)
