"""The texts that recipients read, one by one, and what a correction may not do."""

from __future__ import annotations

import pytest

from repermit.emails import text_correction_validation
from repermit.errors import Refused
from repermit.i18n import catalogues, correctable_texts
from tests.catalogues import used

pytestmark = pytest.mark.usefixtures("usual_texts")

YES = "Yes, keep sending me these mails"
MAY_WE = "May we keep sending you “%(list)s”?"
DAYS = "When one of us looked at your data: for one day."


def checked(text: correctable_texts.Text, forms: tuple[str, ...]) -> tuple[str, ...]:
    return text_correction_validation.check_correction(text, forms, corrected={})


def text_of(language: str, source: str = YES) -> correctable_texts.Text:
    return correctable_texts.texts_in(language)[correctable_texts.key_of(source)]


@pytest.mark.everyday("[nl]", "[mt]")
@pytest.mark.parametrize("language", ["nl", "en", "de", "mt"])
def test_every_text_that_recipients_read_is_there(language: str) -> None:
    texts = correctable_texts.texts_in(language)
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
        assert catalogues.load_translations(language).ngettext(one, many, number) == usual


@pytest.mark.everyday("[nl]", "[en]")
@pytest.mark.parametrize("language", catalogues.languages())
def test_every_text_may_be_said_a_little_longer(language: str) -> None:
    for text in correctable_texts.texts_in(language).values():
        assert len(text.usual) == (len(text.numbers) or 1)
        changed = tuple(f"{form} x" for form in text.usual)
        assert checked(text, changed) == changed


def test_a_correction_holds_in_its_language_until_it_is_taken_back() -> None:
    polish = catalogues.load_translations("pl")

    def said() -> list[str]:
        one, many = text_of("pl", DAYS).source
        return [polish.ngettext(one, many, number) for number in (1, 3, 5)]

    usual = said()
    catalogues.install_corrections({"pl": {YES: ("Tak",), DAYS: ("a", "b", "c")}})
    assert polish.gettext(YES) == "Tak"
    assert said() == ["a", "b", "c"]
    assert polish.gettext("Language") == text_of("pl", "Language").usual[0]
    assert catalogues.load_translations("en").gettext(YES) == YES
    catalogues.install_corrections({"en": {YES: ("Yes please",), DAYS: ("one", "more")}})
    assert catalogues.load_translations("en").gettext(YES) == "Yes please"
    assert catalogues.load_translations("en").ngettext(DAYS, "", 2) == "more"
    assert said() == usual


def test_blanks_are_single_and_letters_are_whole() -> None:
    typed = "  Ja,\r\n stuur  maar é\u00a0! "
    assert checked(text_of("nl"), (typed,)) == ("Ja, stuur maar é\u00a0!",)


@pytest.mark.parametrize("forms", [("",), (" \n",), ("Ja, blijf mij deze mails sturen",)])
def test_nothing_and_the_usual_text_are_no_correction(forms: tuple[str, ...]) -> None:
    assert checked(text_of("nl"), forms) == ()


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
        (YES, ("Ja, " + "heel " * 10 + "graag",), "too long: at most 41 characters"),
        (MAY_WE, ("x" * 40 + "%(list)s",), "one of its words is too long for a phone"),
        (MAY_WE, ("Van %(list)s, %(list)s",), "%(list)s stands in it too often"),
        (YES, ("Ja, ｇｒａｔｉｓ",), "gratis sounds like an offer"),  # noqa: RUF001
        (YES, ("Ja: ｗｗｗ．a．nl/x",), "a link that is not one of the fields"),  # noqa: RUF001
        (YES, ("Ja: bank。nl",), "a link that is not one of the fields"),
        (YES, ("\u00a0",), "say it in every form"),
        (YES, ("\u3164",), "say it in every form"),
        (YES, ("\u2800 !",), "say it in every form"),
        (
            YES,
            ("nee,  stuur mij deze mails niet meer",),
            "a button for the opposite says so: No, stop sending me these mails",
        ),
        (
            "I did not press Yes: do not count it",
            ("Ja, blijf mij deze mails sturen",),
            "a button for the opposite says so: Yes, keep sending me these mails",
        ),
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
        checked(text_of("nl", source), forms)
    assert str(refused.value).startswith(reason)


def test_an_endless_word_is_refused() -> None:
    long = max(correctable_texts.texts_in("nl").values(), key=lambda text: len(text.usual[0]))
    assert not long.numbers
    with pytest.raises(Refused):
        checked(long, ("x" * 201 + long.usual[0],))


def test_a_form_for_one_may_have_its_number() -> None:
    given = ("%(days)s dag.", "%(days)s dagen.")
    assert checked(text_of("nl", DAYS), given) == given


def test_a_text_that_is_no_button_may_say_what_a_button_says() -> None:
    said = ("Ja, blijf mij deze mails sturen",)
    assert checked(text_of("nl", "Your Yes is recorded"), said) == said


def test_an_opposite_is_what_it_was_corrected_to() -> None:
    no = correctable_texts.key_of("No, stop sending me these mails")
    with pytest.raises(Refused):
        text_correction_validation.check_correction(
            text_of("nl"), ("Klaar",), corrected={no: ("klaar",)}
        )


@pytest.mark.parametrize("wanted", ["VEUILLEZ  confirmer", "re\u0301pondu", "%(list)s : veuillez"])
def test_a_text_is_found_as_it_is_typed(wanted: str) -> None:
    assert any(text.has(wanted) for text in correctable_texts.texts_in("fr").values())


def test_a_text_is_found_by_its_key_and_by_what_it_was_corrected_to() -> None:
    text = text_of("nl")
    assert text.has(text.key)
    assert text.has("graag", ("Ja, graag",))
    assert not text.has("graag")


def test_to_say_what_is_corrected_reads_no_catalogue() -> None:
    before = catalogues.load_translations.cache_info().misses
    catalogues.install_corrections({"sk": {YES: ("Áno",)}})
    assert catalogues.load_translations.cache_info().misses == before
    assert catalogues.list_corrected_texts("sk") == ("Áno",)
    assert catalogues.list_corrected_texts("cs") == ()
