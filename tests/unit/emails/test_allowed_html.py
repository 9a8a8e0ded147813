"""Reading the HTML of an own wording: only what is on the list is let through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.allowed_html import mark_fields, read_markup
from repermit.emails.template_engine import inline_styles


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
    assert markings.targets == (mark_fields(target),)


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


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        # Attributes that load or lead somewhere.
        ('<p background="x">a</p>', "the attribute background of <p> is not allowed"),
        ('<div style="background:url(x)">a</div>', "the attribute style of <div> is not allowed"),
        ('<p srcset="x 1x">a</p>', "the attribute srcset of <p> is not allowed"),
        ('<p src="x">a</p>', "the attribute src of <p> is not allowed"),
        ('<blockquote cite="x">', "the attribute cite of <blockquote> is not allowed"),
        ('<p onclick="x">a</p>', "the attribute onclick of <p> is not allowed"),
        ('<p href="{{ yes_url }}">a</p>', "the attribute href of <p> is not allowed"),
        ('<a href="{{ no_url }}" ping="x">a</a>', "the attribute ping of <a> is not allowed"),
        ('<a href="{{ no_url }}" target="x">a</a>', "the attribute target of <a> is not allowed"),
        ('<p xlink:href="x">a</p>', "the attribute xlink:href of <p> is not allowed"),
        ("<p hidden>a</p>", "the attribute hidden of <p> is not allowed"),
        ('<p lang="{{ greeting }}">a</p>', "lang names a language, such as nl, not {{ greeting }}"),
        # Elements.
        ('<img srcset="x 1x">', "an image: <img>"),
        ("<IMG SRC='x'>", "an image: <img>"),
        ('<svg><image href="x"/></svg>', "an image: <image>"),
        ('<form action="x"><button>a</button></form>', "a form: <button>"),
        ("<input>", "a form: <input>"),
        ('<meta http-equiv="refresh" content="0;url=x">', "an element that is not allowed: <meta>"),
        ('<base href="x">', "an element that is not allowed: <base>"),
        ('<object data="x"></object>', "an element that is not allowed: <object>"),
        ('<embed src="x">', "an element that is not allowed: <embed>"),
        ('<iframe srcdoc="x"></iframe>', "an element that is not allowed: <iframe>"),
        ('<link rel="stylesheet" href="x">', "a style sheet: <link>"),
        ("<style>@import 'x'; p { background: url(x) }</style>", "a style sheet: <style>"),
        ('<video poster="x"></video>', "an element that is not allowed: <video>"),
        ('<audio src="x"></audio>', "an element that is not allowed: <audio>"),
        ('<area href="x">', "an element that is not allowed: <area>"),
        ('<body background="x">', "an element that is not allowed: <body>"),
        ("<template>x</template>", "an element that is not allowed: <template>"),
        ("<noscript>x</noscript>", "an element that is not allowed: <noscript>"),
        ("<math>x</math>", "an element that is not allowed: <math>"),
        ("</td></table>", "an element that is not allowed: <table>"),
        # The first of two is what mail programs take.
        ('<a href="https://x" href="{{ no_url }}">a</a>', "the attribute href stands twice in <a>"),
        # A mark of the mail's own, spelt as a character reference, is not a field.
        ('<a href="{&#123; no_url }}">a</a>', "a link that is not one of the fields: {{ no_url }}"),
    ],
)  # fmt: skip
def test_what_could_hide_an_image_or_a_link_is_refused(markup: str, reason: str) -> None:
    assert reason in against(markup)


@pytest.mark.parametrize(
    "comment",
    [
        "<!-- a -->",
        "<!--[if mso]><img src='x'><![endif]-->",
        "<!--[if gte mso 9]><v:background><v:fill src='x'/></v:background><![endif]-->",
        "<!--><img src=x>-->",
        "<!---><img src=x>-->",
        "<!-- a --!><img src=x>",
        "<!-- never closed",
    ],
)
def test_a_comment_is_refused_and_quoted(comment: str) -> None:
    (reason, *_) = against(f"<p>a</p>{comment}")
    assert reason.startswith(
        f"a comment, which mail programs may read as markup: {comment[:40].rstrip()}"
    )


@pytest.mark.parametrize(
    "tag",
    [
        "<![if !mso]>", "<![endif]>", "<![CDATA[<img src=x>]]>", "<!doctype html>", "<!x>",
        "<?php x ?>",
        "<?xml:namespace x>", "</ p>", "</>", "<p title=a/b>", "<p title=a`b>", "<p =x>",
        "<p/title>",
        "<a/href='x'>", "<p title='a'lang='nl'>", "<p lang={{ greeting }}>", "<{{ stop }}>",
        "<p {{ stop }}>", '<p lang="nl', "<p", "<", "< p>", "<p title='<'>", "<p\x0blang='nl'>",
        "<o:p>", "<x-y>", "<pé>",
    ],
)  # fmt: skip
def test_a_tag_that_parsers_read_differently_is_refused_and_quoted(tag: str) -> None:
    (reason, *_) = against(f"{tag}")
    assert reason.startswith("a < that opens no plain tag, with its values in quotes (for the sign")
    up_to_the_next = "<" + tag.split("<")[1]
    assert reason.endswith(f": {' '.join(up_to_the_next.split())}")


def test_the_sign_itself_may_be_written_as_a_reference() -> None:
    markings = read_markup("<p>1 &lt; 2 &gt; 1</p>", reply_to="")
    assert markings.reasons == ()
    assert markings.text == "\n1 < 2 > 1\n"


def test_values_may_stand_in_either_quotes_or_in_none() -> None:
    assert against("<a class=button\n href='{{ no_url }}' lang=\"nl-BE\">x</a>") == ()


def test_an_element_closed_at_once_is_open_as_in_a_mail_program() -> None:
    said = "Yes and No must look alike: make both a button, or neither"
    assert said in against('<a href="{{ no_url }}">x</a><h1/><a href="{{ yes_url }}">x</a>')


@pytest.mark.parametrize("markup", ["<p><b>a</p><p>b</p>", "<p>a</p><b>b", "<i><b>a</i>", "<b/>"])
def test_an_element_that_goes_on_behind_its_block_is_refused(markup: str) -> None:
    assert "<b> is not closed where it should be" in against(markup)


def test_a_block_may_be_left_open_as_html_lets_it() -> None:
    assert against("<ul><li>a<li>b</ul><p>c<p><b>d</b>") == ()


def test_blocks_and_breaks_part_words_and_other_elements_do_not() -> None:
    markings = read_markup("<p>a</p>b<div>c</div>d<br>e<b>f</b>g<ul><li>h</ul>", reply_to="")
    assert markings.text == "\na\nb\nc\nd\nefg\nh\n"


def test_a_field_spelt_as_references_is_no_field() -> None:
    assert "⟦" not in read_markup("<p>&#123;&#123; stop }}</p>", reply_to="").text


PIECES = st.sampled_from(
    [
        "<p>", "</p>", "<b>", "</b>", "<b/>", "<br>", "<li>", "<div", ">", "/>", "<", "</", "<!--",
        "-->",
        "--!>", "<!", "]]>", "<![CDATA[", "<?", "'", '"', "=", " ", "a", "/", "lang=", "nl", "x",
        "<img",
        "<svg>", " src=x", " style='a'", "<a href=", '"{{ no_url }}"', "</a>", "&lt;", "&#60;",
        "&quot;",
        "<script>", "</script>", "<table>", "<style>", "<!-->", "<title>", "\x00", "\x0c", "`",
        "{{ stop }}",
    ]
)  # fmt: skip
ALLOWED = re.compile(
    '</?(?:a|b|br|div|li|p)>|<[a-z]+ lang="[A-Za-z-]+">'
    '|<a(?: lang="[A-Za-z-]+")? href="⟦no_url⟧"(?: lang="[A-Za-z-]+")?>'
)


# The parser that the mail is made with is that of browsers, not the one that checks.
@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_is_let_through_is_harmless_to_a_browsers_parser_too(markup: str) -> None:
    if not against(markup):
        made = inline_styles(f"<html><head></head><body>{mark_fields(markup)}</body></html>")
        body = made.removeprefix("<html><head></head><body>").removesuffix("</body></html>")
        assert set(re.findall("<[^>]*>?", body)) == set(ALLOWED.findall(body))


@pytest.mark.parametrize(("deep", "refused"), [(99, False), (100, False), (101, True)])
def test_elements_may_stand_within_one_another_to_a_depth(deep: int, refused: bool) -> None:
    reasons = ["more than 100 elements within one another"] if refused else []
    assert list(against("<div>" * deep + "</div>" * deep)) == reasons


def test_an_element_with_a_name_without_end_is_quoted_in_part() -> None:
    reasons = against(f"<{'a' * 900} b b c>")
    assert len(reasons) == 4
    assert all(len(one) < 100 for one in reasons)
