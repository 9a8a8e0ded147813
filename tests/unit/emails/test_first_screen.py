"""How far down a phone the answers of an own wording stand, as it is estimated."""

from __future__ import annotations

import pytest

from repermit.emails.first_screen import MOST_PIXELS, MOST_WORDS, FirstScreen, estimate_first_screen

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
