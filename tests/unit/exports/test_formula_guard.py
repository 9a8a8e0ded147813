"""What a spreadsheet is kept from taking for a formula."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repermit.evidence.entries import encode_canonical_json
from repermit.exports.file_writers import escape_formula, escape_formulas_in_json

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
FORMULA = re.compile(rf"[\s\0-\x1f\u200b-\u200f\u2060\ufeff]*[{re.escape(SIGNS)}]")

hostile = st.text(alphabet=st.sampled_from([*SIGNS, *"\t\r\n\0 ,;\"'ab1(", "\u200b", "\ufeff"]))


def written(cells: list[str], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerow(cells)
    return out.getvalue()


@pytest.mark.parametrize("sign", [*SIGNS, "\t", "\r", "\n", "\0"])
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(sign: str) -> None:
    assert escape_formula(f"{sign}1+1").startswith("'")


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u200b", "\ufeff", " \u2060"])
def test_blanks_before_the_sign_do_not_hide_it(blank: str) -> None:
    assert escape_formula(f"{blank}=1") == f"'{blank}=1"


@pytest.mark.parametrize(
    "name",
    ["", "Jan", "'t Hooft", "Anne-Marie", "Jansen, J.", "a@example.org", "1+1", "2026-01-02"],
)
def test_ordinary_text_stays_as_it_is(name: str) -> None:
    assert escape_formula(name) == name


def test_a_sign_after_another_countrys_separator_is_guarded_too() -> None:
    assert escape_formula("Jan;=1+1") == "Jan;'=1+1"
    assert escape_formula('Jan, "=1+1') == "Jan, \"'=1+1"


@pytest.mark.parametrize("blank", ["\t", " ", '"', ", ", "\t ", ';"'])
def test_a_long_run_of_blanks_is_read_once(blank: str) -> None:
    """Read from each blank anew, a cell of 32,767 tabs stopped all pages for 19 seconds."""
    run = blank * (32_767 // len(blank))
    assert escape_formula(f"a{run}b") == f"a{run}b"
    assert escape_formula(f"a{run};{run}=1") == f"a{run};{run}'=1"


@given(st.lists(hostile, min_size=1, max_size=4), st.sampled_from(",;"), st.sampled_from(",;\t"))
@example(["Jan;=1+1"], ",", ";")
@example(["\n;;=1"], ",", ";")
def test_no_cell_begins_like_a_formula_however_the_file_is_divided(
    cells: list[str], delimiter: str, opened_with: str
) -> None:
    text = written([escape_formula(cell) for cell in cells], delimiter)

    for row in csv.reader(io.StringIO(text, newline=""), delimiter=opened_with):
        assert not [cell for cell in row if FORMULA.match(cell)]


@given(hostile)
def test_no_cell_begins_with_a_control_character(text: str) -> None:
    assert not re.match(r"[\t\r\n\0]", escape_formula(text))


@given(st.lists(hostile, min_size=1, max_size=4))
def test_nothing_but_apostrophes_is_added(cells: list[str]) -> None:
    assert [escape_formula(cell).replace("'", "") for cell in cells] == [
        c.replace("'", "") for c in cells
    ]


@pytest.mark.exhaustive
@given(
    st.recursive(
        hostile | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(hostile, inner),
    )
)
@example({"name": "a,=1", "phone": "+31", "numbers": [1, -2], "path": "a\\;=1"})
def test_guarded_json_says_the_same(content: object) -> None:
    assert json.loads(escape_formulas_in_json(encode_canonical_json(content))) == content


def test_in_json_no_sign_begins_a_string_or_follows_a_separator_in_one() -> None:
    text = escape_formulas_in_json(encode_canonical_json({"a": "=1", "b": "x; @y", "c": [-1]}))

    assert text == '{"a":"\\u003d1","b":"x; \\u0040y","c":[-1]}'
