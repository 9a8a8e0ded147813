"""Marks: filled once, never by what somebody wrote into a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.frozen_draft import fill_fields, mark_field, strip_marks, to_one_line


def test_a_template_is_filled() -> None:
    assert (
        fill_fields(
            f"a {mark_field('x')}{mark_field('y')} b {mark_field('x')}", {"x": "1", "y": "2"}
        )
        == "a 12 b 1"
    )


def test_a_mark_in_a_value_stays_text() -> None:
    assert fill_fields(mark_field("x"), {"x": mark_field("y"), "y": "no"}) == mark_field("y")


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="x"):
        fill_fields(mark_field("x"), {})


@given(text=st.text())
def test_unmarked_text_holds_no_field(text: str) -> None:
    assert fill_fields(strip_marks(text), {}) == strip_marks(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jan\r\nBcc: x", "Jan Bcc: x"),
        ("  a \t b\x00c  ", "a b c"),
        ("a\u2028b\u202ec\u2067d\x85e", "a b c d e"),
        ("a\udcff", "a\ufffd"),
        (mark_field("no_url"), "[no_url]"),
        ("Zoë d’Arc", "Zoë d’Arc"),
    ],
)
def test_one_line_keeps_what_is_printed(text: str, expected: str) -> None:
    assert to_one_line(text) == expected


@given(text=st.text(alphabet=st.characters()))
def test_one_line_is_one_line_of_unicode(text: str) -> None:
    line = to_one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.encode().decode() == line
