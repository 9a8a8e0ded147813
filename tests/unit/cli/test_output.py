"""How results look on the terminal."""

from __future__ import annotations

import json

import pytest

from repermit.cli.output import echo_counts, echo_json, echo_table, pluralize, warn


def test_counts_stand_below_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    echo_counts({"no_response": 1200, "no": 7, "bounce": 0})
    assert capsys.readouterr().out == "  1,200  no response\n      7  no\n"


def test_counts_that_are_zero_are_shown_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    echo_counts({"ask": 0}, to=warn, zeros=True)
    assert capsys.readouterr() == ("", "  0  ask\n")


def test_no_counts_are_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    echo_counts({"ask": 0})
    assert capsys.readouterr().out == ""


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    echo_table(("mail", "address"), [(7, "jan@example.org"), (1200, "x")])
    lines = ["  mail  address", "  7     jan@example.org", "  1200  x"]
    assert capsys.readouterr().out.splitlines() == lines


def test_json_keeps_letters_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({"name": "Zoë"})
    out = capsys.readouterr().out
    assert "Zoë" in out
    assert json.loads(out) == {"name": "Zoë"}


@pytest.mark.parametrize(("n", "words"), [(0, "0 rows"), (1, "1 row"), (2300, "2,300 rows")])
def test_a_number_has_its_noun(n: int, words: str) -> None:
    assert pluralize(n, "row") == words
