"""The catalogues: which there are, and what they answer."""

from __future__ import annotations

import pytest

from repermit import config
from repermit.messages import languages, pick_language, translations


def test_there_is_a_catalogue_for_each_language_that_the_settings_know() -> None:
    assert languages() == ("de", "en", "fr", "nl")
    assert set(languages()) == set(config.LANGUAGES)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "Privacy statement"),
        ("nl", "Privacyverklaring"),
        ("de", "Datenschutzerklärung"),
        ("fr", "Politique de confidentialité"),
    ],
)
def test_a_catalogue_translates(language: str, expected: str) -> None:
    assert translations(language).gettext("Privacy statement") == expected


def test_a_catalogue_is_read_once() -> None:
    assert translations("nl") is translations("nl")


def test_a_language_without_a_catalogue_is_an_error() -> None:
    with pytest.raises(KeyError, match="es"):
        translations("es")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("fr", "fr"),
        ("NL", "nl"),
        ("nl-BE", "nl"),
        ("de_AT", "de"),
        (" en ", "en"),
        ("es", "nl"),
        ("", "nl"),
    ],
)
def test_a_language_is_found_or_the_lists_own_is_used(wanted: str, expected: str) -> None:
    assert pick_language(wanted, otherwise="nl") == expected
