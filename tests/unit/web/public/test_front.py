"""The page at the root of the server, for whoever types its address."""

from __future__ import annotations

import pytest

from repermit.db.connection import Database
from repermit.i18n import catalogues
from tests.support.builders import make_list, make_organisation, make_settings
from tests.support.public_pages import Pages, words_of


def test_the_root_says_whose_server_this_is_and_how_to_reach_them(database: Database) -> None:
    make_list(database, name="Nieuwsbrief over hulp")
    response = Pages(database, make_settings()).client.get("/", headers={"Accept-Language": "nl"})
    assert response.status_code == 200
    said = words_of(response)
    for wanted in (
        "Op dit adres vraagt Praktijk De Linde",
        "1234 AB Utrecht",
        "Telefoon: +31 30 123 45 67",
        "praktijk@example.org",
    ):
        assert wanted in said
    # What the lists are about is nobody's business who has no link.
    assert "Nieuwsbrief over hulp" not in said
    assert 'href="https://www.example.org/privacy"' in response.text


@pytest.mark.parametrize("language", [one for one in catalogues.languages() if one != "en"])
def test_the_root_speaks_the_language_of_the_browser(database: Database, language: str) -> None:
    response = Pages(database, make_settings()).client.get(
        "/", headers={"Accept-Language": language}
    )
    assert f'<html lang="{language}"' in response.text
    assert "At this address" not in words_of(response)


def test_the_root_can_be_read_in_another_language_by_choice(database: Database) -> None:
    client = Pages(database, make_settings()).client
    assert "À cette adresse" in words_of(client.get("/?lang=fr"))


def test_the_root_links_to_no_statement_of_a_sensitive_list(database: Database) -> None:
    make_list(database, sensitive=True, privacy_url="https://www.example.org/aids")
    assert "aids" not in Pages(database, make_settings()).client.get("/").text


def test_the_root_is_no_page_before_the_organisation_is_named(database: Database) -> None:
    settings = make_settings(organisation=make_organisation(name=""))
    assert Pages(database, settings).client.get("/").status_code == 404
