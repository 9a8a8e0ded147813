"""Reading a template as its reader sees it: nothing hidden between letters, fields as marks."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.allowed_html import mark_fields, normalize_text, unmark_fields
from repermit.emails.template_engine import make_own_environment


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("\uff45\uff56\uff49\uff4c\uff0e\uff49\uff4f", "evil.io"),
        ("evil。io", "evil.io"),
        ("evil\uff61io", "evil.io"),
        ("evil\u2024io", "evil.io"),
        ("e\u200bv\u200ci\u200dl\u2060.\ufeffio", "evil.io"),
        ("kor\u00adting", "korting"),
        ("kor\u034fting\ufe0f", "korting"),
        ("kor\u202eting\u2066", "korting"),
        ("kor\u3164ting", "korting"),
        ("k\x00o\x08rting", "korting"),
        ("gr&#97;tis &amp; gr&shy;atis", "gratis & gratis"),
        ("re\u0301duction", "réduction"),
        ("20\u00a0\uff05", "20 %"),
        ("a\tb\r\nc", "a\tb\r\nc"),
        ("⟦yes_url⟧", "⟦yes_url⟧"),
    ],
)
def test_what_looks_alike_is_read_alike(written: str, read: str) -> None:
    assert normalize_text(written) == read


@given(st.text())
def test_nothing_that_is_not_seen_is_left(text: str) -> None:
    seen = normalize_text(text).translate(dict.fromkeys(map(ord, "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85")))
    categories = {unicodedata.category(letter) for letter in seen}
    assert not categories & {"Cc", "Cf", "Mn", "Mc", "Me"}


@pytest.mark.parametrize(
    ("template", "read"),
    [
        ("a {{ stop }} b", "a ⟦stop⟧ b"),
        ("a {{stop}}b", "a ⟦stop⟧b"),
        ("a {{- stop -}} \n b", "a⟦stop⟧b"),
        ("a {{+ stop }} b", "a ⟦stop⟧ b"),
        ("a {{\nstop\n}} b", "a ⟦stop⟧ b"),
        ("{{ stop }}{{ deadline }}", "⟦stop⟧⟦deadline⟧"),
    ],
)
def test_fields_are_marked_where_the_engine_puts_them(template: str, read: str) -> None:
    assert mark_fields(template) == read
    fields = {"stop": "⟦stop⟧", "deadline": "⟦deadline⟧"}
    assert make_own_environment(html=False).from_string(template).render(fields) == read


def test_a_mark_is_shown_as_the_field_that_was_written() -> None:
    assert unmark_fields("x⟦no_url⟧&a ⟦") == "x{{ no_url }}&a ⟦"
