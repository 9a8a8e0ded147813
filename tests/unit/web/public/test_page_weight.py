"""Every page that somebody answers on: light, one file, there in one round trip."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.i18n import catalogues
from repermit.settings.definitions import Settings
from tests.support.builders import make_asked, make_campaign, make_list, make_organisation
from tests.support.page_weight import FIRST_PACKETS, PACKET, Scales, round_trips, weight_asked_again
from tests.support.public_pages import Pages

MOST = 12_000
"""Octets of HTML, with its style; a heavier page is a longer one to read, too."""

MOST_OF_A_LONG_LIST = 14_200
"""Where all that a page can say is said, at length, in letters of two octets each."""

# Of an organisation, of its list, and what the authority is called.
_WORDS = {
    "el": (
        "Ιατρείο Η Φλαμουριά",  # noqa: RUF001  Greek it is
        "Νέα για την καθημερινή ζωή με μια χρόνια νόσο, ",  # noqa: RUF001
        "Αρχή Προστασίας Δεδομένων Προσωπικού Χαρακτήρα",
    ),
    "bg": (
        "Практика Липата",
        "Новини за всекидневния живот с хронично заболяване, ",  # noqa: RUF001  Bulgarian
        "Комисия за защита на личните данни",
    ),
}
_LATIN = ("Practice The Linden", "News about living with it, ", "Data Protection Authority")
_LONG_PURPOSE = 280
# With its own language no more than stand above a page.
_BESIDE = ("de", "en", "fr", "it", "lt", "nl", "pl")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def scales(database: Database, settings: Settings) -> Scales:
    return Scales(database, settings)


@pytest.mark.exhaustive
def test_a_page_is_small_and_there_at_once_in_every_language(scales: Scales) -> None:
    for language in catalogues.languages():
        weights = list(scales.weigh(language))
        assert len(weights) == 18
        heavy = {one.page: one.html for one in weights if one.html >= MOST}
        assert not heavy, language
        assert {round_trips(one.sent) for one in weights} == {1}


def long_list(database: Database, language: str, *, sensitive: bool) -> MailingList:
    _, topic, _ = _WORDS.get(language, _LATIN)
    return make_list(
        database,
        slug=f"{language}-{sensitive}".casefold(),
        name=topic.rstrip(", "),
        frequency="6",
        language=language,
        languages=_BESIDE,
        sensitive=sensitive,
        purpose=(topic * 12)[:_LONG_PURPOSE],
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("is_representative", [False, True])
@pytest.mark.parametrize("sensitive", [False, True])
def test_the_page_that_asks_again_is_there_at_once_too_of_a_long_list_in_every_language(
    database: Database, settings: Settings, *, sensitive: bool, is_representative: bool
) -> None:
    weights = {}
    for language in catalogues.languages():
        name, _, authority = _WORDS.get(language, _LATIN)
        organisation = make_organisation(
            name=name,
            address=f"{name}\n{authority}\n1234",
            authority=authority,
            website="https://www.practice-the-linden.example.org/en",
            authority_url="https://www.authority.example.org/individuals/complain-to-us",
        )
        pages = Pages(database, replace(settings, organisation=organisation))
        about = long_list(database, language, sensitive=sensitive)
        contact = make_asked(database, about, make_campaign(database, about))
        found = weight_asked_again(pages, contact, is_representative=is_representative)
        assert found.response.text.count('name="choice"') == 2
        assert found.response.headers["Content-Language"] == language
        weights[language] = found
    most = dict.fromkeys(weights, MOST) | dict.fromkeys(_WORDS, MOST_OF_A_LONG_LIST)
    heavy = {name: one.html for name, one in weights.items() if one.html >= most[name]}
    assert not heavy
    # Packed, as every browser takes it, those in Greek and Bulgarian are there at once too.
    assert {name for name, one in weights.items() if round_trips(one.sent) > 1} <= _WORDS.keys()


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
