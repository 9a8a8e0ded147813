"""Cells: text on one line, and addresses as people and programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.imports.readers.cells import (
    find_addresses,
    fold_title,
    is_like_address,
    normalize_cell,
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("E-Mail 2: Adresse", "email2adresse"),
        ("  OPTIN_TIME ", "optintime"),
        ("Prénom", "prenom"),
        ("GESCHÄFTLICH/Straße", "geschaftlichstrasse"),
        ("✓", ""),
    ],
)
def test_titles_are_compared_without_case_accents_and_punctuation(text: str, folded: str) -> None:
    assert fold_title(text) == folded


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Jan", "Jan"),
        ("  Jan  de   Vries ", "Jan de Vries"),
        ("Jan\r\nBcc: piet@example.org", "Jan Bcc: piet@example.org"),
        ("Jan\0\x1b[0m\tde\u2028Vries", "Jan [0m de Vries"),
        ("Jan\u00a0de\u3000Vries", "Jan de Vries"),
        ("\ufeffJan\u200b\u00ad", "Jan"),
        ("Jan\u202egro.elpmaxe", "Jangro.elpmaxe"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("\ue000 and \U0001fae9\U000e0fff", "\ue000 and \U0001fae9\U000e0fff"),
    ],
)
def test_text_is_brought_on_one_line_without_what_cannot_be_seen(text: str, cleaned: str) -> None:
    assert normalize_cell(text) == cleaned


@given(st.text())
def test_cleaned_text_has_no_line_break_and_stays_as_it_is(text: str) -> None:
    cleaned = normalize_cell(text)
    assert not set(cleaned) & set("\r\n\0\t\x0b\x0c\x1b\x85\u2028\u2029\u202e")
    assert "  " not in cleaned
    assert normalize_cell(cleaned) == cleaned


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("jan@example.org", [("jan@example.org", "")]),
        (" jan@example.org\u00a0", [("jan@example.org", "")]),
        ("\u200bjan@example.org\ufeff", [("jan@example.org", "")]),
        ("jan@example.org;", [("jan@example.org", "")]),
        ("jan@example.org.", [("jan@example.org", "")]),
        ("'jan@example.org'", [("jan@example.org", "")]),
        ('"jan@example.org"', [("jan@example.org", "")]),
        ("<jan@example.org>", [("jan@example.org", "")]),
        ("MAILTO:jan@example.org?subject=Hi", [("jan@example.org", "")]),
        ("Jan <mailto:jan@example.org>", [("jan@example.org", "Jan")]),
        ("Jan <jan@example.org>", [("jan@example.org", "Jan")]),
        ('"Vries, Jan de" <jan@example.org>', [("jan@example.org", "Vries, Jan de")]),
        ("Vries, Jan de <jan@example.org>", [("jan@example.org", "Vries, Jan de")]),
        ("'Jan' < jan@example.org >", [("jan@example.org", "Jan")]),
        ('="jan@example.org"', [("jan@example.org", "")]),
        ('=HYPERLINK("mailto:jan@example.org";"mail Jan")', [("jan@example.org", "")]),
        ("jan@bücher.example.nl", [("jan@bücher.example.nl", "")]),
        ("o'brien@example.org", [("o'brien@example.org", "")]),
        ("a@example.org; b@example.org", [("a@example.org", ""), ("b@example.org", "")]),
        ("a@example.org,b@example.org", [("a@example.org", ""), ("b@example.org", "")]),
        ("a@example.org ::: b@example.org", [("a@example.org", ""), ("b@example.org", "")]),
        ("a@example.org\nb@example.org", [("a@example.org", ""), ("b@example.org", "")]),
        ("a@example.org / b@example.org", [("a@example.org", ""), ("b@example.org", "")]),
        ('"a@example.org; b@example.org"', [("a@example.org", ""), ("b@example.org", "")]),
        ("A <a@example.org>, B <b@example.org>", [("a@example.org", "A"), ("b@example.org", "B")]),
        ("a@example.org; a@example.org", [("a@example.org", "")]),
        ('"jan piet"@example.org', [('jan piet"@example.org', "")]),
        ("a@example.org,, b@example.org", [("a@example.org", ""), ("b@example.org", "")]),
        ("a@example.org;;", [("a@example.org", "")]),
        ("a@example.org, Jan", [("a@example.org", "")]),
        ("Jan, Piet <jan@example.org>", [("jan@example.org", "Jan, Piet")]),
        ("Jan; Piet <jan@example.org>", [("jan@example.org", "Jan, Piet")]),
        ("a@example.org,Jan", [("a@example.org", "")]),
        ("geen", [("geen", "")]),
        ("a@b@example.org", [("a@b@example.org", "")]),
        ("", []),
        (" \u200b", []),
    ],
)
def test_addresses_are_recovered_from_a_cell(cell: str, found: list[tuple[str, str]]) -> None:
    assert find_addresses(cell) == found


@pytest.mark.parametrize(
    "cell",
    [
        "john smith@example.org",
        "jan @example.org",
        "x jan@ y",
        "jan@example,org",
        "jan@example,co.uk",
        "jan@yahoo.co,uk",
        "jan,jansen@example.org",
        "jan;jansen@example.org",
        "tel 0612345678, jansen@example.org",
        "Jan, jan@example.org",
        "jan, piet, jan@example.org",
        ",jan@example.org",
        "; jan@example.org",
    ],
)
def test_what_might_be_somebody_elses_address_is_not_guessed(cell: str) -> None:
    assert find_addresses(cell) == [(cell, "")]


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("a,b@example.org; c@example.org", ["a,b@example.org", "c@example.org"]),
        ("c@example.org; a,b@example.org", ["c@example.org", "a,b@example.org"]),
        ("a, b@example.org, Piet <c@example.org>", ["a, b@example.org", "c@example.org"]),
        ("jan@yahoo.co,uk; c@example.org", ["jan@yahoo.co,uk", "c@example.org"]),
        (",a@example.org;c@example.org", [",a@example.org", "c@example.org"]),
        ('"quo,ted"@example.org', ['quo,ted"@example.org']),
        ("<,jan@example.org>", [",jan@example.org"]),
    ],
)
def test_the_half_of_an_address_never_goes_without_the_other(cell: str, found: list[str]) -> None:
    assert [address for address, _ in find_addresses(cell)] == found


@pytest.mark.parametrize(
    ("cell", "is_one"),
    [
        ("jan@example.org", True),
        ("Jan <jan@example.org>", True),
        ("Vries, Jan <jan@example.org>", True),
        ("a@example.org; b@example.org; ", True),
        ("Jan,a@example.org", False),
        (",a@example.org", False),
        ("Vries, Jan <a@example.org>; b@example.org", True),
        ("jan@localhost", False),
        ("Questions: jan@example.org", False),
        ("@jan", False),
        ("Jan", False),
        ("", False),
    ],
)
def test_a_cell_of_addresses_is_told(cell: str, *, is_one: bool) -> None:
    assert is_like_address(cell) is is_one


@pytest.mark.parametrize(
    "cell",
    [
        f"{'a' * 400_000}@example.org",
        "a" + "\u0300\u0316" * 200_000 + "@example.org",
        "<" * 400_000 + "@example.org",
        "<a@" * 130_000,
        "a@a." * 100_000,
        f"Jan {'<' * 200_000} <{'@' * 200_000}",
    ],
    ids=["letters", "marks", "brackets", "open", "dots", "signs"],
)
def test_a_cell_of_any_length_is_looked_at_once(cell: str) -> None:
    assert isinstance(is_like_address(cell), bool)
    assert isinstance(find_addresses(cell), list)
    assert isinstance(fold_title(cell), str)


def test_the_first_address_in_brackets_counts_and_what_stands_right_before_it() -> None:
    assert find_addresses("x < y <z <jan@example.org> <piet@example.org>") == [
        ("jan@example.org", "z")
    ]
