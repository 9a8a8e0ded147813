"""How far down a phone the answers of an own wording stand, as it is estimated."""

from __future__ import annotations

import pytest

from repermit.emails.first_screen import (
    MOST_PIXELS,
    MOST_WORDS,
    FirstScreen,
    estimate_first_screen,
    estimate_mail,
)

YES, NO = "Yes\nhttps://ask.example.org/yes/a.b\n", "No\nhttps://ask.example.org/no/a.b\n"


def test_what_has_no_answers_has_no_first_screen() -> None:
    assert estimate_first_screen("Hello\n\nhttps://ask.example.org/me/a.b\n") is None


def test_words_count_up_to_the_first_answer_and_lines_up_to_the_last() -> None:
    short = estimate_first_screen(f"A question – is it?\n\n{YES}\n{NO}")
    between = estimate_first_screen(f"A question – is it?\n\n{YES}\n{'word ' * 120}\n\n{NO}")
    assert short
    assert between
    assert short.words == between.words == 4
    assert short.is_enough
    assert between.pixels > MOST_PIXELS
    assert not between.is_enough


def test_what_comes_after_both_answers_does_not_count() -> None:
    text = f"A question?\n\n{YES}\n{NO}"
    assert estimate_first_screen(text) == estimate_first_screen(f"{text}\n{'word ' * 500}\n\n{YES}")


@pytest.mark.parametrize("order", [f"{YES}\n{NO}", f"{NO}\n{YES}"])
def test_either_answer_may_be_the_first(order: str) -> None:
    assert estimate_first_screen(f"A question?\n\n{order}") == estimate_first_screen(
        f"A question?\n\n{YES}\n{NO}"
    )


@pytest.mark.parametrize(
    ("pixels", "words", "is_enough"),
    [
        (MOST_PIXELS, MOST_WORDS, True),
        (MOST_PIXELS + 1, MOST_WORDS, False),
        (MOST_PIXELS, MOST_WORDS + 1, False),
    ],
)
def test_both_limits_hold(pixels: int, words: int, *, is_enough: bool) -> None:
    assert FirstScreen(pixels=pixels, words=words).is_enough is is_enough


_LINKS = "".join(
    f'<p><a href="https://ask.example.org/{answer}/a.b">{answer}</a></p>'
    for answer in ("yes", "no")
)
_SHORT = f"A question – is it?\n\n{YES}\n{NO}"


def test_html_counts_as_the_text_does_that_says_the_same() -> None:
    html = (
        "<html><head><title>Not seen at all</title></head><body><div class='preview'>Nor this<br>"
        f"</div><h1>A question – <b>is</b> it?</h1>{_LINKS}<p>{'word ' * 500}</p></body></html>"
    )
    assert estimate_mail(_SHORT, html) == estimate_first_screen(_SHORT)


@pytest.mark.parametrize(
    "between",
    ["<p>" + "word " * 120 + "</p>", "line<br>" * 30, "<ul>" + "<li>one</li>" * 20 + "</ul>"],
)
def test_html_of_ones_own_is_held_to_the_same_where_its_text_is_short(between: str) -> None:
    seen = estimate_mail(_SHORT, f"<p>A question?</p>{between}{_LINKS}")
    assert seen
    assert seen.pixels > MOST_PIXELS
    assert not seen.is_enough


def test_words_that_a_link_stands_in_are_no_words_before_it() -> None:
    seen = estimate_mail("", f"<p>Three words here</p>{_LINKS}")
    assert seen
    assert seen.words == 3


def test_a_mail_without_answers_has_no_first_screen_in_either_part() -> None:
    assert estimate_mail("Hello", "<p>Hello</p>") is None
