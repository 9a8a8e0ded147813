"""The rule of the circuit breaker: after how many bounces or complaints a campaign pauses."""

from __future__ import annotations

from repermit.rules.consent import PauseReason

FIRST_SENT = 100
"""How many mails a server must have decided on before a share of bounces says anything."""

BREAKER_REASONS = (PauseReason.BOUNCES, PauseReason.COMPLAINT)


def decide_pause(sent: int, bounced: int, complaints: int, *, percent: int) -> PauseReason | None:
    """Say why a campaign must stop by itself, or None if it may go on.

    `sent` counts the mails that a server has decided on, `bounced` those of them that it refused or
    that came back later. A share of bounces is what mailbox providers know a bought or forgotten
    list by; `percent` 0 looks at complaints alone. Who complains was mailed against their will, and
    one such person is enough to look again (GDPR art. 21(3)).
    """
    if complaints > 0:
        return PauseReason.COMPLAINT
    if percent and sent >= FIRST_SENT and bounced * 100 >= percent * sent:
        return PauseReason.BOUNCES
    return None


def replaces_reason(reason: PauseReason, present: str) -> bool:
    """Say whether a reason takes the place of the one for which a campaign is paused already.

    The breaker's replace any other, "" too, so that nobody resumes without knowing of it.
    """
    return reason in BREAKER_REASONS and present not in BREAKER_REASONS
