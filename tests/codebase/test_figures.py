"""What `python -m tests.figures` counts, and that its page is not out of date."""

from __future__ import annotations

import ast
import re
from typing import Final

import pytest

from tests import figures

SOURCE: Final = '''"""Docs."""

# Why.
def add(a: int) -> int:
    """Add.

    More.
    """
    return a
'''


def test_a_function_is_measured_without_its_docstring() -> None:
    assert figures.measure_functions(ast.parse(SOURCE)) == [2]


def test_prose_is_docstrings_and_comments() -> None:
    assert figures.count_prose(SOURCE, ast.parse(SOURCE)) == 6


@pytest.mark.exhaustive
def test_the_page_has_the_figures_of_this_tree_within_a_twentieth() -> None:
    """It is written anew after larger changes: `python -m tests.figures`."""
    rows = figures.measure(figures.ROOT).rows
    page = figures.PAGE.read_text("utf-8")
    written = dict(re.findall(r"^\| ([^|`]+) \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE))
    assert written.keys() >= rows.keys() - {"names handed on by `__init__` files"}
    for name in ("lines of Python", "modules", "functions", "lines of tests"):
        count = int(written[name].replace(",", ""))
        assert abs(count - int(rows[name])) < count / 20, name
