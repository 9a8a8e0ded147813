"""A plain Yes or No by mail, in every language: for whom it counts, and for whom it does not."""

from __future__ import annotations

from itertools import product

import pytest

from repermit.bounces.message_kind import read
from repermit.bounces.reply_text import ANSWER_WORDS, interpret_line
from repermit.i18n.catalogues import languages

HEAD = (
    "From: Ana <ana@example.net>\n"
    "In-Reply-To: <mail@example.org>\n"
    "Content-Type: text/plain; charset=utf-8\n\n"
)


def line_of(text: str) -> str:
    return read((HEAD + text).encode()).line


def test_there_is_a_plain_yes_and_no_for_every_language() -> None:
    assert ANSWER_WORDS.keys() == set(languages())
    assert {frozenset(words.values()) for words in ANSWER_WORDS.values()} == {
        frozenset({"yes", "no"})
    }


@pytest.mark.parametrize(
    ("language", "word", "answer"),
    [(one, word, said) for one, words in ANSWER_WORDS.items() for word, said in words.items()],
)
def test_a_word_counts_in_its_language_and_never_as_its_opposite(
    language: str, word: str, answer: str
) -> None:
    assert interpret_line(word, {language}, default="") == answer
    # Nobody else is taken at its word, unless it is one of theirs.
    for other in languages():
        assert interpret_line(word, {other}, default="") == ANSWER_WORDS[other].get(word, "")
        assert ANSWER_WORDS[other].get(word, answer) == answer


@pytest.mark.parametrize(
    ("word", "language", "default"),
    [
        # Agreement in Polish, Czech and Slovak; in others "but".
        *product(["no"], ["pl", "cs", "sk", "hr", "sl", "bg"], ["no"]),
        # "I", "and".
        *product(["ja"], ["pl", "sk", "hr", "et"], ["yes"]),
    ],
)
def test_a_word_that_means_something_else_to_its_writer_is_for_the_admin(
    word: str, language: str, default: str
) -> None:
    assert interpret_line(word, {language}, default=default) == ""
    assert interpret_line(word, {language, "en"}, default=default) in {"", "no"}


@pytest.mark.parametrize(
    ("word", "language"), [("ne", "el"), ("nai", "el"), ("le", "it"), ("tak", "da"), ("nu", "nl")]
)
def test_what_is_an_answer_elsewhere_is_none_here(word: str, language: str) -> None:
    assert interpret_line(word, {language}, default="") == ""


@pytest.mark.parametrize(
    ("line", "language", "answer"),
    [
        ("sí por favor", "es", "yes"),
        ("sì per favore", "it", "yes"),
        ("não por favor", "pt", "no"),
        ("da vă rog", "ro", "yes"),
        # Without accents, as many type.
        ("ano dakujem", "sk", "yes"),
        ("ano prosim", "cs", "yes"),
        ("ne dekuji", "cs", "no"),
        ("tak prosze", "pl", "yes"),
        ("nie dziekuje", "pl", "no"),
        # With the cedillas of older keyboards.
        ("nu mulţumesc", "ro", "no"),
        ("sí por", "pt", ""),
    ],
)
def test_a_courtesy_may_be_of_more_than_one_word(line: str, language: str, answer: str) -> None:
    assert interpret_line(line, {language}, default="") == answer


def test_what_two_languages_of_one_person_would_read_otherwise_is_for_the_admin() -> None:
    assert interpret_line("ja", {"pl", "nl"}, default="yes") == "yes"
    assert interpret_line("no", {"pl", "nl"}, default="no") == ""
    assert interpret_line("no thanks", {"pl"}, default="no") == "no"
    assert interpret_line("oui", {"pl", "nl"}, default="yes") == "yes"
    assert interpret_line("", {"pl"}, default="") == ""
    assert interpret_line("ano", {"xx", ""}, default="") == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Tak, proszę!", "tak proszę"),
        ("  ДА  \n", "да"),
        ("Sí, gracias\nAna", "sí gracias"),
        ("Si\u0301", "s\u00ed"),
        ("Igen\nana@example.net\n06-123", "igen"),
        ("Ano\n\n> Otázka\n> dál", "ano"),
        ("Tak\n\nDnia 2.03.2026 o 10:00 praktyka napisał(a):\n> Pytanie", "tak"),
        ("Sí\nEl lun, 2 mar 2026 a las 10:00, <a@example.org>\nescribió:\n> ¿Pregunta?", "sí"),
        ("Tak\nale tylko raz w roku", ""),
        ("Ναι\nΌμως όχι", ""),  # noqa: RUF001  Greek
        ("Ano\nale nie teraz:\n> Otázka", ""),
        ("Da\nNe mai gândim:\nGata\n> Întrebare", ""),
        ("> Otázka\nAno", ""),
        ("", ""),
        ("Da " * 30, ""),
    ],
)
def test_one_line_is_all_that_is_said_or_it_is_no_plain_answer(text: str, line: str) -> None:
    assert line_of(text) == line
