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


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
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


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "This is an installation of repermit. The organisation that uses it has not set"),
        ("nl", "Dit is een installatie van repermit. De organisatie die repermit gebruikt"),
        ("de", "Dies ist eine Installation von repermit."),
    ],
)
def test_the_root_says_that_nothing_is_set_up_before_the_organisation_is_named(
    database: Database, language: str, words: str
) -> None:
    make_list(database, name="Nieuwsbrief over hulp", privacy_url="https://www.example.org/aids")
    settings = make_settings(organisation=make_organisation(name=""))
    response = Pages(database, settings).client.get("/", headers={"Accept-Language": language})
    assert response.status_code == 200
    assert words in words_of(response)
    assert "Accept-Language" in response.headers["Vary"]
    # Nor is anything told of the lists, or of where the admin logs in.
    for secret in ("hulp", "aids", "/admin"):
        assert secret not in response.text
    assert "Set-Cookie" not in response.headers
    assert len(response.data) < 20_000
