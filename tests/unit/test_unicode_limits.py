"""Normal forms of text from outside, in a time that grows with its length."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.unicode_limits import Form, is_within, normalize, split_url

FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")
MANY = 400_000
"""So many marks in a row, normalized as they are, would take an hour."""

ABOVE, BELOW = "\u0300", "\u0316"


@given(st.text(max_size=40), st.sampled_from(FORMS))
def test_what_people_write_is_normalized_as_unicode_says(text: str, form: Form) -> None:
    assert normalize(form, text) == unicodedata.normalize(form, text)  # noqa: TID251  held to it


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "marks", [ABOVE + BELOW, "\u0f71\u0f72", "\u0f73", "\uff9e\u0300", "\u0344\u0316"]
)
def test_marks_without_end_are_cut_off_and_cost_no_time(form: Form, marks: str) -> None:
    text = f"a{marks * MANY}b"
    assert len(normalize(form, text)) <= 200
    assert normalize(form, text)[-1] == "b"


@pytest.mark.parametrize(("marks", "kept"), [(29, 29), (30, 30), (31, 30)])
def test_the_thirtieth_mark_in_a_row_is_the_last_that_is_kept(marks: int, kept: int) -> None:
    assert normalize("NFD", "x" + BELOW * marks) == "x" + BELOW * kept
    twice = "x" + BELOW * marks
    assert normalize("NFD", twice * 2) == ("x" + BELOW * kept) * 2


@pytest.mark.parametrize(
    ("text", "most", "fits"),
    [
        ("abc", 3, True),
        ("abcd", 3, False),
        ("é", 2, True),
        ("é", 1, False),
        ("\ud800", 3, True),
        ("\ud800", 2, False),
        ("", 0, True),
    ],
)
def test_a_text_is_measured_in_bytes(text: str, most: int, fits: bool) -> None:
    assert is_within(text, most) is fits


def test_a_url_is_measured_before_its_host_is_normalized() -> None:
    assert split_url(f"https://example.org/{'a' * 2028}").hostname == "example.org"
    for url in (f"https://example.org/{'a' * 2029}", f"https://a{(ABOVE + BELOW) * MANY}.org/"):
        with pytest.raises(ValueError, match="too long"):
            split_url(url)
