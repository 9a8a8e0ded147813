"""The rule of the circuit breaker: after how many bounces or complaints a campaign pauses."""

from __future__ import annotations

from repermit.rules.consent import PauseReason

FIRST_SENT = 100
"""The number of accepted or refused mails from which on the share of bounces counts."""

BREAKER_REASONS = (PauseReason.BOUNCES, PauseReason.COMPLAINT)


def decide_pause(sent: int, bounced: int, complaints: int, *, percent: int) -> PauseReason | None:
    """Return why a campaign must pause automatically, or None if it may go on.

    - `sent`: mails that a server accepted or refused.
    - `bounced`: of these, the mails that were refused or came back later.
    - `percent`: the limit of their share, 0 for none.

    Mailbox providers recognise a bought or forgotten list by its share of bounces. One complaint is
    enough: that person was mailed against their will (GDPR art. 21(3)).
    """
    if complaints > 0:
        return PauseReason.COMPLAINT
    if percent and sent >= FIRST_SENT and bounced * 100 >= percent * sent:
        return PauseReason.BOUNCES
    return None


def replaces_reason(reason: PauseReason, present: str) -> bool:
    """Say whether a pause reason replaces the present one.

    A circuit-breaker reason replaces any other, "" too, so that nobody resumes without knowing it.
    """
    return reason in BREAKER_REASONS and present not in BREAKER_REASONS
