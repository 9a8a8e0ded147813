"""The template engine: strict, escaping where it is HTML, and a sandbox for the admin's."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from repermit.emails.template_engine import inline_styles, render, render_own


def test_a_field_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("ask/body.txt", {}, language="nl")
    with pytest.raises(UndefinedError):
        render_own("{{ nothing }}", {}, html=False)


def test_html_is_escaped_and_text_is_not() -> None:
    assert render_own("{{ a }}", {"a": "<&>"}, html=True) == "&lt;&amp;&gt;\n"
    assert render_own("{{ a }}", {"a": "<&>"}, html=False) == "<&>\n"


def test_the_admins_template_runs_in_a_sandbox() -> None:
    with pytest.raises(SecurityError):
        render_own("{{ a.__class__.__mro__ }}", {"a": "x"}, html=False)
    with pytest.raises(SecurityError):
        render_own("{{ a.append(1) }}", {"a": []}, html=False)


def test_inlining_keeps_dark_mode_alone_of_the_style_sheet_and_the_marks() -> None:
    html = inline_styles(
        "<html><head><style>a { color: red } @media (prefers-color-scheme: dark) {"
        " a { color: blue !important } }</style></head>"
        '<body><a href="⟦no_url⟧">x</a></body></html>'
    )
    assert '<a href="⟦no_url⟧" style="color: red;">' in html
    assert "prefers-color-scheme: dark" in html
    assert html.count("color: red") == 1
