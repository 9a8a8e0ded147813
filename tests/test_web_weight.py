"""Every page that somebody answers on: under 12 kB, one file, there in one round trip."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from repermit import messages
from tests.weighing import FIRST_PACKETS, PACKET, Scales, round_trips

if TYPE_CHECKING:
    from repermit.config import Settings
    from repermit.models import Database

MOST = 12_000
"""Octets of HTML, with its style; a heavier page is a longer one to read, too."""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def scales(database: Database, settings: Settings) -> Scales:
    return Scales(database, settings)


def test_a_page_is_small_and_there_at_once_in_every_language(scales: Scales) -> None:
    for language in messages.languages():
        weights = list(scales.weigh(language))
        assert len(weights) == 18
        heavy = {one.page: one.html for one in weights if one.html >= MOST}
        assert not heavy, language
        assert {round_trips(one.sent) for one in weights} == {1}


def test_a_page_is_packed_to_half(scales: Scales) -> None:
    for one in scales.weigh("fr"):
        is_packed = scales.packed(one.page, "fr") < one.sent / 1.7
        # The room of "what is held" has pages with a secret beside what is typed.
        assert is_packed is not ("what is held" in one.page or one.page == "mistake"), one


def test_a_page_loads_nothing_else(scales: Scales) -> None:
    for at, path in scales.paths.values():
        scales.pages.clock.move_to(at)
        text = scales.pages.client.get(path).text
        assert re.findall(r"<link[^>]*>", text) == ['<link rel="icon" href="data:,">']
        assert not re.search(r"\ssrc=|<script|@import|url\(|<iframe|<img|autofocus", text)


@pytest.mark.parametrize(
    ("octets", "trips"),
    [(0, 0), (1, 1), (14_600, 1), (14_601, 2), (3 * 14_600, 2), (3 * 14_600 + 1, 3)],
)
def test_the_first_round_trip_carries_ten_packets_and_each_next_twice_as_many(
    octets: int, trips: int
) -> None:
    assert FIRST_PACKETS * PACKET == 14_600
    assert round_trips(octets) == trips
