"""The catalogues: which there are, and what they answer."""

from __future__ import annotations

import pytest
from babel import Locale, localedata

from repermit import package_files
from repermit.i18n.catalogues import (
    choose_language,
    get_sort_key,
    language_name,
    languages,
    load_translations,
)


def test_there_is_a_catalogue_for_each_language_that_the_settings_know() -> None:
    assert set(languages()) == set(package_files.LANGUAGES)
    assert all(load_translations(language) for language in languages())


def test_a_language_calls_itself_as_the_unicode_consortium_writes_it_but_for_the_capital() -> None:
    written = {one: str(Locale(one).get_display_name(one)) for one in languages()}
    assert {one: language_name(one) for one in languages()} == {
        one: name[0].upper() + name[1:] for one, name in written.items()
    }


def test_languages_stand_in_the_order_of_their_own_names() -> None:
    assert [one for one in languages() if one in {"de", "en", "fr", "nl"}] == [
        "de",
        "en",
        "fr",
        "nl",
    ]
    names = [language_name(language) for language in languages()]
    assert names.index("Deutsch") < names.index("English") < names.index("Français")
    assert len(set(names)) == len(names)


def test_a_sign_on_a_letter_does_not_move_it_and_other_letters_come_last() -> None:
    placed = sorted(["bg", "cs", "da", "el", "nl", "sl", "sk", "sv"], key=get_sort_key)
    assert [language_name(one) for one in placed] == [
        "Čeština", "Dansk", "Nederlands", "Slovenčina", "Slovenščina", "Svenska",
        "Ελληνικά", "Български",
    ]  # fmt: skip


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
    assert load_translations(language).gettext("Privacy statement") == expected


def test_a_catalogue_is_read_once() -> None:
    assert load_translations("nl") is load_translations("nl")


def test_a_language_without_a_catalogue_is_an_error() -> None:
    with pytest.raises(KeyError, match="xx"):
        load_translations("xx")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("fr", "fr"),
        ("NL", "nl"),
        ("nl-BE", "nl"),
        ("de_AT", "de"),
        (" en ", "en"),
        ("xx", "nl"),
        ("", "nl"),
    ],
)
def test_a_language_is_found_or_the_lists_own_is_used(wanted: str, expected: str) -> None:
    assert choose_language(wanted, default="nl") == expected


def test_no_language_is_loaded_to_pick_one_or_to_name_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process would for a tenth of a second, and picks one while it holds the lock."""
    languages.cache_clear()
    monkeypatch.setattr(localedata, "load", None)
    assert choose_language("nl", default="en") == "nl"
    assert [language_name(one) for one in languages()][:2] == ["Čeština", "Dansk"]
