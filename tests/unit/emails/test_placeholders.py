"""Marks: filled once, never by what somebody wrote into a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.frozen_draft import fill, mark, one_line, unmarked


def test_a_template_is_filled() -> None:
    assert fill(f"a {mark('x')}{mark('y')} b {mark('x')}", {"x": "1", "y": "2"}) == "a 12 b 1"


def test_a_mark_in_a_value_stays_text() -> None:
    assert fill(mark("x"), {"x": mark("y"), "y": "no"}) == mark("y")


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="x"):
        fill(mark("x"), {})


@given(text=st.text())
def test_unmarked_text_holds_no_field(text: str) -> None:
    assert fill(unmarked(text), {}) == unmarked(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jan\r\nBcc: x", "Jan Bcc: x"),
        ("  a \t b\x00c  ", "a b c"),
        ("a\u2028b\u202ec\u2067d\x85e", "a b c d e"),
        ("a\udcff", "a\ufffd"),
        (mark("no_url"), "[no_url]"),
        ("Zoë d’Arc", "Zoë d’Arc"),
    ],
)
def test_one_line_keeps_what_is_printed(text: str, expected: str) -> None:
    assert one_line(text) == expected


@given(text=st.text(alphabet=st.characters()))
def test_one_line_is_one_line_of_unicode(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.encode().decode() == line
