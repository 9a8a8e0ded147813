"""The catalogues: complete, sorted, with the same placeholders as the English text.

`python -m tests.catalogues LANGUAGE` adds what is missing, empty, drops what is no more, and sorts;
so does `REPERMIT_KEEP=1 pytest tests/codebase/test_catalogue_files.py` for all of them at once.
Translate what was added, and run it again without.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from repermit.i18n.catalogues import languages, load_translations
from repermit.web.admin.campaign_dates import _ENDPOINTS, _TIME_FIELDS
from repermit.web.admin.contact_pages import AddForm
from repermit.web.admin.rendering import LANGUAGES
from tests.catalogues import (
    LOCALE,
    OF_ADMINS,
    flaws,
    in_order,
    main,
    messages,
    path_of,
    texts,
    used,
)
from tests.support.mail_builders import kept
from tests.support.translatable_texts import codes, said, unsayable

# Catalogues under work are held to the same as those in use, so that a language is there one day
# by its entry alone.
TRANSLATED = sorted(path.name for path in LOCALE.iterdir())


@pytest.mark.exhaustive
def test_what_only_admins_read_is_in_their_languages_alone() -> None:
    assert LANGUAGES == OF_ADMINS
    assert (None, "Log in") in used("nl")
    assert (None, "Log in") not in used("de")


def test_much_is_translated() -> None:
    assert (None, "Privacy statement") in used()
    assert ("pattern of a day", "EEEE d MMMM y") in used()
    assert len(used()) > 30


def test_dutch_has_one_word_for_a_deadline() -> None:
    """It is the "uiterste dag" in mails, on pages and on paper."""
    others = re.compile("uiterste datum|laatste dag|deadline|sluitingsd|einddatum", re.IGNORECASE)
    given = [text for message in messages("nl") for text in texts(message.string)]
    assert [text for text in given if others.search(re.sub(r"%\(\w+\)s|{{ \w+ }}", "", text))] == []


def test_dutch_cites_articles_as_dutch_law_does() -> None:
    """It is "art. 30 lid 1 onder a AVG", never "art. 30(1)(a)"."""
    given = [text for message in messages("nl") for text in texts(message.string)]
    assert [text for text in given if re.search(r"\d\((\d+|[a-z])\)", text)] == []


def test_every_sentence_that_is_shown_later_can_be_translated() -> None:
    """What is written out there is in the Dutch catalogue; what is made up could not be."""
    assert unsayable() == []
    assert set(said()) <= {singular for _, singular in used("nl")}
    assert len(said()) > 50


def test_a_code_is_read_by_a_page_and_no_page_reads_another() -> None:
    fields_of_contact = {"address", "proof", "wording"}
    assert codes() == {*_ENDPOINTS, "given_before", *fields_of_contact}
    assert all(hasattr(AddForm, name) for name in fields_of_contact)
    assert {*_TIME_FIELDS} <= codes()


def test_each_language_that_there_is_has_a_catalogue() -> None:
    assert {*languages()} - {"en"} <= {*TRANSLATED}


@pytest.mark.everyday("[nl]", "[de]")
@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_holds_what_is_used_and_no_more_in_order(language: str) -> None:
    expected = in_order(language)
    is_in_order = kept(path_of(language), expected) == expected
    assert is_in_order, f"`python -m tests.catalogues {language}` brings it in order"


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_is_whole_and_loses_no_placeholder(language: str) -> None:
    assert flaws(language) == []


@pytest.mark.parametrize(("language", "use"), [("el", "αυτή τη χρήση"), ("fr", "cet usage")])
def test_an_explicit_consent_names_what_it_is_for(language: str, use: str) -> None:
    """GDPR art. 9(2)(a): for one or more specified purposes."""
    sentence = "With Yes you explicitly consent to our using your data for this."
    assert use in load_translations(language).gettext(sentence)


@pytest.mark.parametrize(
    ("language", "said"),
    {
        "bg": "сте в",
        "cs": "jste na",
        "de": "Sie auf",
        "el": "βρίσκεστε|είστε σε",
        "hr": "ste na",
        "hu": "Ön rajta",
        "lv": "esat",
        "mt": "Il-fatt",
        "nl": "u op",
        "sk": "ste na",
        "sl": "ste na",
    }.items(),
)
def test_being_on_a_list_is_said_in_general(language: str, said: str) -> None:
    """Who signs up, and whoever was taken off, reads it too."""
    translated = {texts(one.id)[0]: texts(one.string)[0] for one in messages(language)}
    general = [text for key, text in translated.items() if key.startswith("Being on this list")]
    assert len(general) >= 3
    assert [text for text in general if re.search(said, text[:45])] == []


@pytest.mark.parametrize("language", ["et", "lv", "sl"])
def test_no_preposition_asks_a_day_of_the_week_for_a_case(language: str) -> None:
    """A day begins with its weekday, in the nominative: "rok: sreda", never "do sreda"."""
    before_a_day = re.compile(r"[^\W\d_]\s%\((deadline|moment|since|first|last|day)\)s")
    governing = re.compile(r"\b(do|od|po|z|pirms|līdz|kopš|kuni|alates)$", re.IGNORECASE)
    wrong = [
        text
        for message in messages(language)
        for text in texts(message.string)
        # In a subject a day has no weekday.
        if (before_a_day.search(text) and message.id != "%(question)s By %(day)s")
        or governing.search(text)
    ]
    assert wrong == []


@pytest.mark.parametrize("language", ["cs", "hr", "pl", "sk"])
def test_a_preposition_governs_the_day_of_the_month_and_not_of_the_week(language: str) -> None:
    """The day of the week stands behind it, in brackets: "do 30 września (środa)"."""
    with_a_day = (message for message in messages(language) if "EEEE" in message.id)
    patterns = [text for message in with_a_day for text in texts(message.string)]
    assert len(patterns) == 4
    assert all(pattern.endswith(" (EEEE)") for pattern in patterns)


@pytest.mark.parametrize("language", ["cs", "hr", "lv", "pl", "sk", "sl"])
def test_no_preposition_asks_a_name_for_a_case(language: str) -> None:
    """A name is put in as it is: “od Klub Sportowy” is no Polish."""
    governed = re.compile(r"\b(do|k|na|no|o|od|par|pie|pri|u|z|ze)\s%\((organisation|sender)\)s")
    given = [text for message in messages(language) for text in texts(message.string)]
    assert [text for text in given if governed.search(text)] == []


def test_french_keeps_its_signs_with_their_words() -> None:
    for message in messages("fr"):
        for text in texts(message.string):
            assert not re.search(
                r"(?<![\u00a0\w/])[:;?!]|\w[;?!]|\w: |«(?!\u00a0)|(?<!\u00a0)»", text
            ), text


# Making one ----------------------------------------------------------------------------------


def test_a_new_catalogue_is_made_empty_of_what_the_public_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["pl"], tmp_path)
    made = path_of("pl", tmp_path).read_text("utf-8")
    with path_of("pl", tmp_path).open("rb") as file:
        assert read_po(file, abort_invalid=True).num_plurals == 3
    assert 'msgid "Privacy statement"\nmsgstr ""\n' in made
    assert 'msgid "EEEE d MMMM y"\nmsgstr "EEEE, d MMMM y"\n' in made
    assert 'msgid "Log in"' not in made
    said = capsys.readouterr().out
    assert "not translated: 'Privacy statement'" in said
    # All but the seven ways to write days and times, which begin as CLDR has them.
    assert f"{len(used('pl'))} messages, {len(used('pl')) - 7} flaws\n" in said


def test_a_catalogue_that_is_there_keeps_its_translations(tmp_path: Path) -> None:
    main(["el"], tmp_path)
    path = path_of("el", tmp_path)
    mended = path.read_text("utf-8").replace(
        'msgid "Privacy statement"\nmsgstr ""', 'msgid "Privacy statement"\nmsgstr "Δήλωση"'
    )
    # A time of day has 24 hours, also where CLDR has twelve.
    assert 'msgid "HH:mm"\nmsgstr "H:mm"\n' in mended
    path.write_text(mended + '\nmsgid "Gone"\nmsgstr "Έφυγε"\n', "utf-8")
    assert in_order("el", tmp_path) == mended


PLURAL = 'msgid "For one day, %(list)s."\nmsgid_plural "For %(days)s days, %(list)s."\n'

CROATIAN = """\
msgstr[0] "dan, %(list)s"
msgstr[1] "%(days)s, %(list)s"
msgstr[2] "%(days)s, %(list)s"
"""


@pytest.mark.parametrize(
    ("language", "entry", "expected"),
    [
        ("de", 'msgid "%(list)s: yes"\nmsgstr "ja"', "placeholders [] instead of"),
        ("de", 'msgid "Write it"\nmsgstr "Schreib es dir auf"', "not formal ('Schreib es dir"),
        ("de", 'msgid "Write it"\nmsgstr "Schreiben Sie es auf "', "blanks around it"),
        ("de", '#, fuzzy\nmsgid "Write it"\nmsgstr "Schreiben Sie es auf"', "not translated"),
        ("de", 'msgctxt "pattern of a day"\nmsgid "d MMMM y"\nmsgstr "d. MM. y"', "lacks MMMM"),
        ("de", 'msgctxt "pattern of a time"\nmsgid "HH:mm"\nmsgstr "h:mm a"', "lacks H"),
        # 1, 21, 31 … have one form, which has to say which of them it is.
        (
            "hr",
            PLURAL + CROATIAN,
            "instead of ['%(days)s', '%(list)s']",
        ),
        ("de", f'{PLURAL}msgstr[0] "Tag, %(list)s"\nmsgstr[1] "%(days)s"', "['%(days)s'] instead"),
    ],
)
def test_what_is_wrong_with_a_translation_is_found(
    language: str, entry: str, expected: str, tmp_path: Path
) -> None:
    assert expected in "\n".join(flaws_of(language, entry, tmp_path))


@pytest.mark.parametrize(
    "entry",
    [
        f'{PLURAL}msgstr[0] "Einen Tag, %(list)s."\nmsgstr[1] "%(days)s Tage, %(list)s."',
        'msgctxt "pattern of a time"\nmsgid "HH:mm"\nmsgstr "HH:mm \'Uhr\'"',
    ],
)
def test_nothing_is_found_where_all_is_well(entry: str, tmp_path: Path) -> None:
    assert flaws_of("de", entry, tmp_path) == []


def test_the_number_of_forms_is_that_of_the_language(tmp_path: Path) -> None:
    head = '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n'
    (found,) = flaws_of("pl", "", tmp_path, head)
    assert found.startswith("Plural-Forms has to be nplurals=3;")


def flaws_of(language: str, entry: str, folder: Path, head: str = "") -> list[str]:
    main([language], folder)
    path = path_of(language, folder)
    made = path.read_text("utf-8").partition("\n\n")[0]
    made = re.sub(r'"Plural-Forms.*\n', head.replace("\\", r"\\"), made) if head else made
    path.write_text(f"{made}\n\n{entry}\n", "utf-8")
    return flaws(language, folder)
