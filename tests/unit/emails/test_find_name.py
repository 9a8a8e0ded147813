"""A name is found in a text however the two are written."""

from __future__ import annotations

import pytest

from repermit.emails.sender_identity import contains_name, split_plain_words


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Multiple-sklerose: blijft u?", "Multiple Sklerose"),
        ("Multiplesklerose: blijft u?", "Multiple Sklerose"),
        ("MULTIPLE  SKLEROSE", "Multiple-sklerose"),
        ("L’epilepsie et vous", "Épilepsie"),
        ("Ζωή με επιληψία", "Επιληψία"),
        ("MS: blijft u?", "ms"),
        ("Vraag over M S", "M.S."),
    ],
)
def test_a_name_is_found(text: str, name: str) -> None:
    assert contains_name(text, name)


@pytest.mark.parametrize(
    ("text", "name"), [("Items voor u", "ms"), ("Een vraag", "…"), ("Een vraag", "Epilepsie")]
)
def test_a_text_without_the_name_does_not_show_it(text: str, name: str) -> None:
    assert not contains_name(text, name)


def test_words_are_plain() -> None:
    assert split_plain_words("Één_jaar: É-mail!") == ["een", "jaar", "e", "mail"]
