"""The template engine: strict, escaping where it is HTML, and a sandbox for the admin's."""

from __future__ import annotations

import re

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from repermit.config import asset
from repermit.messages.templating import inlined, render, render_own


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


def test_inlining_keeps_the_style_sheet_and_the_marks() -> None:
    html = inlined(
        "<html><head><style>a { color: red } @media (prefers-color-scheme: dark) {"
        " a { color: blue !important } }</style></head>"
        '<body><a href="⟦no_url⟧">x</a></body></html>'
    )
    assert '<a href="⟦no_url⟧" style="color: red;">' in html
    assert "prefers-color-scheme: dark" in html


def colours(style: str, selector: str) -> dict[str, str]:
    """Return the colours that a rule sets, by property."""
    rule = re.search(rf"^{re.escape(selector)} \{{(.*?)\}}", style, re.MULTILINE)
    assert rule is not None
    return dict(re.findall(r"(?<![a-z-])(color|background): (#[0-9a-f]{6})", rule[1]))


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [((part + 0.055) / 1.055) ** 2.4 if part > 0.04045 else part / 12.92 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("half", [0, 1], ids=["light", "dark"])
def test_every_text_can_be_read_on_its_ground(half: int) -> None:
    layout = (asset("templates") / "mail" / "layout.html").read_text("utf-8")
    style = layout.partition("<style>")[2].split("@media (prefers-color-scheme: dark)")[half]
    ground = colours(style, "body")["background"]
    assert contrast(colours(style, "body")["color"], ground) >= 4.5
    assert contrast(colours(style, "a")["color"], ground) >= 4.5
    assert contrast(colours(style, ".foot")["color"], ground) >= 4.5
    button = colours(style, ".button")
    assert contrast(button["color"], button["background"]) >= 4.5
    assert contrast(button["background"], ground) >= 3
