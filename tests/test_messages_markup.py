"""Reading the HTML of an own wording: only what is on the list is let through."""

from __future__ import annotations

import pytest

from repermit.messages.markup import read_markup


def against(markup: str) -> tuple[str, ...]:
    return read_markup(markup, reply_to="post@example.org").reasons


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        ("<img src=x>", "an image: <img>"),
        ("<svg/>", "an image: <svg>"),
        ("<picture>", "an image: <picture>"),
        ("<script>x</script>", "a script: <script>"),
        ("<form>", "a form: <form>"),
        ("<style>x</style>", "a style sheet: <style>"),
        ("<iframe>", "an element that is not allowed: <iframe>"),
        ("<table>", "an element that is not allowed: <table>"),
    ],
)
def test_elements_that_are_not_on_the_list_are_refused(markup: str, reason: str) -> None:
    assert reason in against(markup)


@pytest.mark.parametrize("attribute", ["style", "background", "onclick", "hidden", "class", "id"])
def test_attributes_that_are_not_on_the_list_are_refused(attribute: str) -> None:
    assert against(f'<p {attribute}="url(x)">a</p>') == (
        f"the attribute {attribute} of <p> is not allowed",
    )


def test_what_is_on_the_list_is_let_through() -> None:
    markings = read_markup(
        '<h1 lang="nl">a</h1><p>b<br/>c <em>d</em></p><hr>', reply_to="post@example.org"
    )
    assert markings.reasons == ()
    assert markings.text == "\na\nb\nc d\n"


@pytest.mark.parametrize(
    "target", ["{{ yes_url }}", "{{no_url}}", "{{ me_url }}", "mailto:post@example.org"]
)
def test_a_link_to_a_field_is_let_through(target: str) -> None:
    markings = read_markup(f'<a href="{target}">x</a>', reply_to="post@example.org")
    assert markings.reasons == ()
    assert markings.targets == (target,)


@pytest.mark.parametrize(
    ("markup", "target"),
    [
        ('<a href="{{ yes_url }}?x">a</a>', "{{ yes_url }}?x"),
        ('<a href="javascript:x">a</a>', "javascript:x"),
        ('<a href="mailto:else@example.org">a</a>', "mailto:else@example.org"),
        ('<a href="{{ deadline }}">a</a>', "{{ deadline }}"),
        ("<a>a</a>", "an empty one"),
        ("<a href>a</a>", "an empty one"),
    ],
)
def test_another_link_is_refused(markup: str, target: str) -> None:
    assert against(markup) == (f"a link that is not one of the fields: {target}",)


def test_a_link_without_text_is_refused_and_leads_nowhere() -> None:
    markings = read_markup('<a href="{{ no_url }}"> <b></b></a>', reply_to="post@example.org")
    assert markings.reasons == ("a link without text, which nobody can see",)
    assert markings.targets == ()


def test_a_link_of_another_class_is_refused() -> None:
    assert against('<a class="preview" href="{{ no_url }}">x</a>') == (
        "a link's class may be button, not preview",
    )


def test_a_link_may_not_bear_the_label_of_the_other_answer() -> None:
    said = "a link for one answer that bears the label of the other"
    assert said in against('<a href="{{ yes_url }}">{{ no_label }}</a>')
    assert said in against('<a href="{{no_url}}">{{ yes_label }}</a>')
    assert against('<a href="{{ no_url }}">{{ no_label }}</a>') == ()


def test_yes_and_no_must_stand_in_the_same_elements() -> None:
    said = "Yes and No must look alike: make both a button, or neither"
    no = '<p><a href="{{ no_url }}">no</a></p>'
    assert said in against(f'<h1><a href="{{{{ yes_url }}}}">yes</a></h1>{no}')
    assert against(f'<p>Please<br><a href="{{{{ yes_url }}}}">yes</a></p>{no}') == ()


@pytest.mark.parametrize(
    ("yes", "no", "alike"),
    [("button", "button", True), ("", "", True), ("button", "", False), ("", "button", False)],
)
def test_yes_and_no_must_look_alike(yes: str, no: str, alike: bool) -> None:
    reasons = against(
        f'<a class="{yes}" href="{{{{ yes_url }}}}">yes</a>'
        f'<a class="{no}" href="{{{{no_url}}}}">no</a>'
    )
    expected = () if alike else ("Yes and No must look alike: make both a button, or neither",)
    assert reasons == expected


def test_one_of_two_links_alone_is_not_compared() -> None:
    assert against('<a class="button" href="{{ yes_url }}">x</a>') == ()
