"""The texts that recipients read, one by one, and what a correction may not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from repermit import messages
from repermit.errors import Refused
from tests.catalogues import used

if TYPE_CHECKING:
    from collections.abc import Iterator

YES = "Yes, keep sending me these mails"
MAY_WE = "May we keep sending you “%(list)s”?"
DAYS = "When one of us looked at your data: for one day."


@pytest.fixture(autouse=True)
def as_it_comes() -> Iterator[None]:
    yield
    messages.correct({})


def text_of(language: str, source: str = YES) -> messages.Text:
    return messages.texts_in(language)[messages.key_of(source)]


@pytest.mark.parametrize("language", ["nl", "en", "de", "mt"])
def test_every_text_that_recipients_read_is_there(language: str) -> None:
    texts = messages.texts_in(language)
    wanted = {source for context, source in used("de") if context is None}
    assert {text.source[0] for text in texts.values()} == wanted
    assert all(key == text.key for key, text in texts.items())
    assert all(text.usual[0] for text in texts.values())


@pytest.mark.parametrize(
    ("language", "numbers"),
    [
        ("en", (1, 2)),
        ("fr", (1, 2)),
        ("pl", (1, 2, 5)),
        ("sl", (1, 2, 3, 5)),
        ("mt", (1, 2, 3, 11, 20)),
    ],
)
def test_a_text_with_numbers_has_the_forms_of_its_language(
    language: str, numbers: tuple[int, ...]
) -> None:
    text = text_of(language, DAYS)
    assert text.numbers == numbers
    assert len(text.usual) == len(numbers)
    one, many = text.source
    for number, usual in zip(numbers, text.usual, strict=True):
        assert messages.translations(language).ngettext(one, many, number) == usual


def test_no_text_is_refused_as_it_comes() -> None:
    for language in messages.languages():
        for text in messages.texts_in(language).values():
            changed = tuple(f"{form} x" for form in text.usual)
            assert messages.checked_correction(text, changed) == changed


def test_a_correction_holds_in_its_language_until_it_is_taken_back() -> None:
    polish = messages.translations("pl")

    def said() -> list[str]:
        one, many = text_of("pl", DAYS).source
        return [polish.ngettext(one, many, number) for number in (1, 3, 5)]

    usual = said()
    messages.correct({"pl": {YES: ("Tak",), DAYS: ("a", "b", "c")}})
    assert polish.gettext(YES) == "Tak"
    assert said() == ["a", "b", "c"]
    assert polish.gettext("Language") == text_of("pl", "Language").usual[0]
    assert messages.translations("en").gettext(YES) == YES
    messages.correct({"en": {YES: ("Yes please",), DAYS: ("one", "more")}})
    assert messages.translations("en").gettext(YES) == "Yes please"
    assert messages.translations("en").ngettext(DAYS, "", 2) == "more"
    assert said() == usual


def test_blanks_are_single_and_letters_are_whole() -> None:
    typed = "  Ja,\r\n stuur  maar é\u00a0! "
    assert messages.checked_correction(text_of("nl"), (typed,)) == ("Ja, stuur maar é\u00a0!",)


@pytest.mark.parametrize("forms", [("",), (" \n",), ("Ja, blijf mij deze mails sturen",)])
def test_nothing_and_the_usual_text_are_no_correction(forms: tuple[str, ...]) -> None:
    assert messages.checked_correction(text_of("nl"), forms) == ()


@pytest.mark.parametrize(
    ("source", "forms", "reason"),
    [
        (MAY_WE, ("Mogen wij doorgaan?",), "%(list)s must stand in it: there it is filled in"),
        (YES, ("Ja voor %(list)s",), "%(list)s is not filled in here"),
        (YES, ("Ja & graag",), "the sign & cannot stand in a text"),
        (YES, ("<b>Ja</b>",), "the sign < cannot stand in a text"),
        (YES, ('Ja" onclick=x',), 'the sign " cannot stand in a text'),
        (YES, ("Ja, 100%",), "the sign % cannot stand in a text"),
        (YES, ("Ja ⟦address⟧",), "the sign ⟦ cannot stand in a text"),
        (YES, ("Ja\u202e",), "there is a sign in it that cannot be seen"),
        (YES, ("Ja\x00",), "there is a sign in it that cannot be seen"),
        (YES, ("Ja, " + "heel " * 40 + "graag",), "too long: at most 82 characters"),
        (YES, ("Ja, zie www.example.org",), "a link that is not one of the fields"),
        (YES, ("Ja, a@example.org",), "another mail address than the one for replies"),
        (YES, ("Ja, met korting",), "korting sounds like an offer"),
        (YES, ("Ja", "Ja"), "give as many texts as it has forms: 1"),
        (DAYS, ("Een dag", ""), "say it in every form"),
        (DAYS, ("Een dag", "Dagen"), "%(days)s must stand in it"),
        (DAYS, ("Een dag",), "give as many texts as it has forms: 2"),
    ],
)
def test_what_would_break_a_mail_or_a_page_is_refused(
    source: str, forms: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        messages.checked_correction(text_of("nl", source), forms)
    assert str(refused.value).startswith(reason)


def test_an_endless_word_is_refused() -> None:
    long = max(messages.texts_in("nl").values(), key=lambda text: len(text.usual[0]))
    assert not long.numbers
    with pytest.raises(Refused):
        messages.checked_correction(long, ("x" * 201 + long.usual[0],))


def test_a_form_for_one_may_have_its_number() -> None:
    given = ("%(days)s dag.", "%(days)s dagen.")
    assert messages.checked_correction(text_of("nl", DAYS), given) == given
