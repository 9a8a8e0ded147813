"""After how many bounces or complaints a campaign pauses: each boundary by itself."""

from __future__ import annotations

import pytest

from repermit.rules.circuit_breaker import decide_pause, replaces_reason
from repermit.rules.consent import PauseReason


@pytest.mark.parametrize(
    ("sent", "bounced", "percent", "pauses"),
    [
        # From the hundredth mail on.
        (99, 99, 2, False),
        (100, 99, 2, True),
        (101, 99, 2, True),
        # From the share on.
        (100, 1, 2, False),
        (100, 2, 2, True),
        (100, 3, 2, True),
        (101, 2, 2, False),
        (1000, 19, 2, False),
        (1000, 20, 2, True),
        (1000, 21, 2, True),
        # From any share to the whole, and never for none.
        (100, 100, 0, False),
        (100, 1, 1, True),
        (100, 0, 1, False),
        (1000, 999, 100, False),
        (1000, 1000, 100, True),
    ],
)
def test_a_share_of_bounces_pauses_a_campaign_after_the_first_hundred(
    sent: int, bounced: int, percent: int, pauses: bool
) -> None:
    expected = PauseReason.BOUNCES if pauses else None
    assert decide_pause(sent, bounced, 0, percent=percent) is expected


@pytest.mark.parametrize("percent", [0, 2])
@pytest.mark.parametrize(("complaints", "pauses"), [(-1, False), (0, False), (1, True), (2, True)])
def test_any_complaint_pauses_a_campaign(complaints: int, percent: int, pauses: bool) -> None:
    expected = PauseReason.COMPLAINT if pauses else None
    assert decide_pause(1, 0, complaints, percent=percent) is expected


def test_a_complaint_weighs_more_than_bounces() -> None:
    assert decide_pause(100, 100, 1, percent=2) is PauseReason.COMPLAINT


@pytest.mark.parametrize("reason", PauseReason)
@pytest.mark.parametrize("present", ["", *PauseReason])
def test_the_breaker_takes_the_place_of_any_reason_but_its_own(
    reason: PauseReason, present: str
) -> None:
    breaker = {PauseReason.BOUNCES, PauseReason.COMPLAINT}
    assert replaces_reason(reason, present) is (reason in breaker and present not in breaker)
