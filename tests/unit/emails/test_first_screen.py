"""How far down a phone the answers of an own wording stand, as it is estimated."""

from __future__ import annotations

import pytest

from repermit.emails.compose_mail import compose_mail
from repermit.emails.first_screen import (
    MAX_PIXELS,
    MAX_WORDS,
    FirstScreen,
    estimate_first_screen,
)
from repermit.emails.greeting_name import WIDEST_NAME, fits_greeting
from repermit.i18n.catalogues import languages
from tests.support.first_screen import LONG, SHORT_WORDS
from tests.support.mail_builders import make_ask, make_ask_values, make_facts, make_practice

YES, NO = (
    f'<p><a class="button" href="https://ask.example.org/{answer}/a.b">{answer}</a></p>'
    for answer in ("yes", "no")
)


def test_what_has_no_answers_has_no_first_screen() -> None:
    other = '<p>Hello <a href="https://ask.example.org/me/a.b">you</a></p>'
    assert estimate_first_screen(other) is None


def test_words_count_up_to_the_first_answer_and_lines_up_to_the_last() -> None:
    short = estimate_first_screen(f"<p>A question – <b>is</b> it?</p>{YES}{NO}")
    between = estimate_first_screen(f"<p>A question –<br>is it?</p>{YES}<p>{'word ' * 120}</p>{NO}")
    assert short
    assert between
    assert short.words == between.words == 4
    assert short.shows_both_answers
    assert between.pixels > MAX_PIXELS
    assert not between.shows_both_answers


@pytest.mark.parametrize("after", [f"<p>{'word ' * 500}</p>{YES}", "<hr>" * 99])
def test_what_comes_after_both_answers_does_not_count(after: str) -> None:
    html = f"<p>A question?</p>{YES}{NO}"
    assert estimate_first_screen(html) == estimate_first_screen(html + after)


def test_either_answer_may_be_the_first() -> None:
    assert estimate_first_screen(f"<p>A question?</p>{YES}{NO}") == estimate_first_screen(
        f"<p>A question?</p>{NO}{YES}"
    )


def test_what_stands_in_the_head_and_the_preview_is_not_seen() -> None:
    body = f"<p>A question?</p>{YES}{NO}"
    head = '<head><meta charset="utf-8"><title>Not seen at all</title></head>'
    preview = '<div class="preview">Nor this<br><b>at all</b><hr></div>'
    whole = f"<html>{head}<body>{preview}{body}</body></html>"
    assert estimate_first_screen(whole) == estimate_first_screen(body)


@pytest.mark.parametrize(
    "between",
    [
        f"<p>{'word ' * 120}</p>",
        "line<br>" * 30,
        f"<ul>{'<li>one</li>' * 20}</ul>",
        "<hr>" * 60,
    ],
)
def test_what_pushes_an_answer_off_the_screen_is_found(between: str) -> None:
    seen = estimate_first_screen(f"<p>A question?</p>{YES}{between}{NO}")
    assert seen
    assert seen.pixels > MAX_PIXELS
    assert not seen.shows_both_answers


@pytest.mark.parametrize(
    ("pixels", "words", "is_enough"),
    [
        (MAX_PIXELS, MAX_WORDS, True),
        (MAX_PIXELS + 1, MAX_WORDS, False),
        (MAX_PIXELS, MAX_WORDS + 1, False),
    ],
)
def test_both_limits_hold(pixels: int, words: int, *, is_enough: bool) -> None:
    assert FirstScreen(pixels=pixels, words=words).shows_both_answers is is_enough


_READERS = (
    "Anna",
    "Jan en Jo de Vos",
    "Maria da Conceição Santos Silva",
    "JOHANNA VAN DEN BERG",
    "JOHANNA VAN DEN BERG-HENDRIKSEN",
    "Wilhelmina Mommersteeg-Wammes",
    "Marie-Christine Vandenbroucke-Debrabandere",
    "Мария-Магдалена Стоянова-Иванова",
    "Αλεξάνδρα Παπαδοπούλου",
    "M" * 70,
    "a " * 35,
)


@pytest.mark.everyday("[en]", "[fr]", "[fi]")
@pytest.mark.parametrize("language", languages())
def test_no_readers_name_pushes_an_answer_below_where_it_is_measured(language: str) -> None:
    """Of the name that a browser measures in tests/browser/test_first_screen.py."""
    for names in (LONG, SHORT_WORDS):
        draft = make_ask(
            organisation=make_practice(name=names.organisation),
            mailing_list=make_facts(
                name=names.list_name, purpose=names.purpose, frequency=names.frequency
            ),
            language=language,
        )
        most, *others = (
            estimate_first_screen(compose_mail(draft, make_ask_values(name=name)).html)
            for name in (names.reader, *_READERS)
        )
        assert most
        assert most.words <= MAX_WORDS
        for seen in others:
            assert seen
            assert seen.pixels <= most.pixels
            assert seen.words <= most.words


def test_the_widest_name_is_greeted_and_none_that_is_longer() -> None:
    assert fits_greeting(WIDEST_NAME)
    assert not fits_greeting(f"{WIDEST_NAME}M")
    assert not fits_greeting(f"{WIDEST_NAME} i")
