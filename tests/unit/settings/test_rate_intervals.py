"""The pace that rates ask for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.settings.definitions import MailServer

MICROSECOND = timedelta(microseconds=1)
PERIODS = {
    "rate_per_minute": timedelta(minutes=1),
    "rate_per_hour": timedelta(hours=1),
    "rate_per_day": timedelta(days=1),
}
RATES = st.fixed_dictionaries({name: st.integers(0, 10_000_000) for name in PERIODS})


@pytest.mark.parametrize(
    ("rates", "interval"),
    [
        ({}, timedelta(0)),
        ({"rate_per_minute": 20}, timedelta(seconds=3)),
        ({"rate_per_hour": 3600}, timedelta(seconds=1)),
        ({"rate_per_minute": 20, "rate_per_day": 8000}, timedelta(seconds=10.8)),
        ({"rate_per_minute": 1, "rate_per_day": 8000}, timedelta(minutes=1)),
        ({"rate_per_day": 7}, timedelta(seconds=12342, microseconds=857143)),
    ],
)
def test_between_two_mails_passes_the_longest_that_any_rate_asks_for(
    rates: dict[str, Any], interval: timedelta
) -> None:
    assert MailServer(**rates).interval == interval


@given(RATES)
def test_a_pace_keeps_every_rate_and_is_no_slower_than_it_must_be(rates: dict[str, Any]) -> None:
    interval = MailServer(**rates).interval
    limits = [(rate, PERIODS[name]) for name, rate in rates.items() if rate]
    # So many mails, this far apart, take the whole period: none more fits into it.
    assert all(rate * interval >= period for rate, period in limits)
    if limits:
        quicker = interval - MICROSECOND
        assert any(rate * quicker < period for rate, period in limits)
    else:
        assert interval == timedelta(0)


@given(st.integers(0, 10_000_000))
def test_a_domain_has_a_pace_of_its_own(rate: int) -> None:
    server = MailServer(domain_rate_per_minute=rate)
    assert server.interval == timedelta(0)
    assert server.domain_interval == MailServer(rate_per_minute=rate).interval
