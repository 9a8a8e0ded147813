"""Refusals for a policy, such as 550 5.7.1: a single recipient's, or the whole server's.

May import contacts and what lies below, and of this room what writes down outcomes. No reply tells
the two apart; what happens to the others does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peewee import fn

from repermit.delivery import outcomes
from repermit.delivery.claiming import QUEUED
from repermit.models import Mail
from repermit.saying import Said

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.consent import MailState
    from repermit.errors import TransportError
    from repermit.models import Database, MailingList

# So many one after the other, with nothing accepted in between, are not a matter of recipients.
_MANY = 3


class Policies:
    """The refusals for a policy of one run of sending.

    Each is put off at first, and the others go on. Where nothing is accepted any more, it was the
    server's policy, and those that were put off for it are as if they had not been offered.
    """

    def __init__(self, database: Database, *, worker: str, clock: Clock) -> None:
        self._database = database
        self._worker = worker
        self._clock = clock
        self._row: list[int] = []
        self._last = Said()
        self._has_accepted = False

    def note_acceptance(self) -> None:
        """Hear that the server has accepted a mail: those before were its recipients' own."""
        self._has_accepted = True
        self._row.clear()

    def put_off(
        self, number: int, error: TransportError, *, was_started: bool
    ) -> tuple[MailState | None, Said]:
        """Write down a refusal; return the mail's state, and what it says of the server, if that.

        One that was known to be the recipient's own says nothing.
        """
        state, is_known = outcomes.put_off(
            self._database,
            number,
            error,
            worker=self._worker,
            was_started=was_started,
            now=self._clock.now(),
        )
        if not is_known:
            self._row.append(number)
            self._last = error.said
        return state, self._blame() if len(self._row) >= _MANY else Said()

    def conclude(self) -> Said:
        """Judge what is open at the end of the run: return what it says of the server, or ""."""
        return self._blame() if self._row and not self._has_accepted else Said()

    def _blame(self) -> Said:
        outcomes.call_back(self._database, self._row, now=self._clock.now())
        self._row.clear()
        return self._last


def put_off_by_policy(mailing_list: MailingList) -> dict[str, int]:
    """Count the mails that wait since a policy stands against their recipient, by codes."""
    query: Any = (
        Mail.select(Mail.reply_code, Mail.reply_status, fn.COUNT(Mail.id))
        .where(Mail.list == mailing_list, QUEUED, outcomes.IS_PUT_OFF)
        .group_by(Mail.reply_code, Mail.reply_status)
        .order_by(Mail.reply_code, Mail.reply_status)
        .tuples()
    )
    return {f"{code} {status}".strip(): count for code, status, count in query}
