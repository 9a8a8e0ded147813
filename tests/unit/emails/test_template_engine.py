"""The template engine: strict, escaping where it is HTML, and a sandbox for the admin's."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import Environment, UndefinedError
from jinja2.exceptions import SecurityError

from repermit.emails.template_engine import (
    choose_topic,
    cut_name,
    inline_styles,
    make_environment,
    render,
    render_own,
)


def test_a_field_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("ask/body.txt", {}, language="nl")
    with pytest.raises(UndefinedError):
        render_own("{{ nothing }}", {}, html=False)


def test_a_template_is_compiled_once_for_all_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_environment("reports", "nl").get_template("page.html")
    monkeypatch.setattr(Environment, "compile", None)
    assert make_environment("reports", "fr").get_template("page.html").name == first.name


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


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("", ""),
        ("a" * 50, "a" * 50),
        (f"aaaa {'b' * 45}", f"aaaa {'b' * 45}"),
        (f"aaaa {'b' * 46}", "aaaa…"),
        ("a b c d e f g h i j", "a b c d e f g h i j"),
        ("a b c d e f g h i j k", "a b c d e f g h i j…"),
    ],
)
def test_a_name_is_cut_behind_fifty_signs_and_behind_ten_words(name: str, cut: str) -> None:
    assert cut_name(name) == cut


_NEWS = "vaccinations, consulting hours, courses, and support groups for our patients"


@pytest.mark.parametrize(
    ("purpose", "frequency", "topic"),
    [
        ("p" * 60, "f" * 17, "{purpose} ({frequency})"),
        (_NEWS, "", "{purpose}"),
        (f"{_NEWS} today", "", f"{_NEWS[:-9]}…"),
        (_NEWS, "four times a year", f"{_NEWS[:-24]}… ({{frequency}})"),
        (_NEWS, "whenever there is something to tell", f"{_NEWS[:30]}… ({{frequency}})"),
        # Of a word or two nobody learns what the mails are about.
        (_NEWS, "f" * 60, "{purpose}"),
        ("p" * 60, "f" * 18, "{purpose}"),
        ("p" * 81, "f", ""),
    ],
)
def test_a_topic_has_the_frequency_where_there_is_room_for_the_beginning_of_the_purpose(
    purpose: str, frequency: str, topic: str
) -> None:
    about: dict[str, Any] = {"list_name": "Our news", "organisation": "Us"}
    topic = topic.format(purpose=purpose, frequency=frequency)
    assert choose_topic(purpose, frequency, **about, is_named=True) == topic
    assert choose_topic(purpose, frequency, **about, is_named=False) == (topic or "Our news")


@pytest.mark.parametrize(
    ("organisation", "list_name", "signs"),
    [
        ("o" * 32, "l" * 36, 80),
        ("o" * 33, "l" * 36, 79),
        ("o" * 50, "l" * 36, 62),
        # Each further row of the question takes one of the paragraph, or nearly.
        ("o" * 32, "l" * 37, 58),
        ("o" * 50, "l" * 50, 40),
        # Capitals are wider, but for the first of a word.
        ("O" * 32, "l" * 36, 65),
        (f"O{'o' * 31}", "l" * 36, 80),
        ("o" * 32, "L" * 25, 58),
        ("o" * 32, "L" * 40, 36),
    ],
)
def test_signs_of_the_names_leave_a_topic_less_room(
    organisation: str, list_name: str, signs: int
) -> None:
    about: dict[str, Any] = {"list_name": list_name, "organisation": organisation, "is_named": True}
    assert choose_topic("p" * signs, "", **about) == "p" * signs
    assert choose_topic("p" * (signs + 1), "", **about) == ""


@pytest.mark.parametrize(
    ("organisation", "list_name", "is_named", "words"),
    [
        ("o o o", "l l l l l", True, 11),
        ("o o o", "l", True, 15),
        ("o o o", "l l l l l l", True, 10),
        ("o o o", "l l l l l l", False, 11),
        ("o " * 10, "l " * 10, True, 0),
        ("o " * 30, "l l l l l l", False, 4),
    ],
)
def test_words_of_the_names_leave_a_topic_less_room(
    organisation: str, list_name: str, words: int, *, is_named: bool
) -> None:
    about: dict[str, Any] = {
        "list_name": list_name,
        "organisation": organisation,
        "is_named": is_named,
    }
    topic = " ".join("p" * words)
    assert choose_topic(topic, "", **about) == topic
    longer = choose_topic(f"{topic} p".strip(), "", **about)
    assert longer == (f"{topic}…" if words > 4 else "" if is_named else "l l l l…")
