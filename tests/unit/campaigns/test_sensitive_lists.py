"""What the admin chose, and by which others may see what a sensitive list is about."""

from __future__ import annotations

from typing import Any

import pytest

from repermit import package_files
from repermit.campaigns.launch_refusals import NOTES, plan_launch
from repermit.db.connection import Database
from repermit.db.models.lists import ListText
from repermit.emails.sender_identity import split_plain_words
from repermit.rules.legal_grounds import AskingGround, Grounds, SpecialGround
from tests.support.builders import DEADLINE, NOW, make_list, make_organisation, make_settings

COMMON_WORDS = package_files.load_data("common_words.toml")

LIST: dict[str, Any] = {
    "slug": "nieuws-hiv",
    "name": "Nieuws voor mensen met hiv",
    "sensitive": True,
}


def told(database: Database, *, settings: dict[str, Any] | None = None, **fields: Any) -> str:
    """Return what is noted of a list beside what is noted of all."""
    planned = plan_launch(
        make_list(database, **{**LIST, **fields}),
        settings=make_settings(**settings or {}),
        now=NOW,
        deadline=DEADLINE,
        grounds=Grounds(
            asking_ground=AskingGround.EARLIER_CONSENT,
            special_ground=SpecialGround.EXPLICIT_CONSENT,
        ),
    )
    assert planned.notes[: len(NOTES)] == NOTES
    return "".join(planned.notes[len(NOTES) :])


def test_a_discreet_list_is_not_noted(database: Database) -> None:
    assert told(database) == ""


def test_words_that_tell_nothing_are_not_noted(database: Database) -> None:
    assert told(database, sender="Hiv-groep <nieuws@example.org>") == ""


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"sender": "Wij <HIV@example.org>"}, "the sender's address (HIV@example.org)"),
        ({"sender": "wij@hivgroep.nl"}, "the sender's address (wij@hivgroep.nl)"),
        ({"own_subject": "Hiv: blijft u?"}, "your own subject (Hiv: blijft u?)"),
        (
            {"privacy_url": "https://www.example.org/hiv"},
            "the address of the privacy statement (https://www.example.org/hiv)",
        ),
        (
            {"settings": {"public_url": "https://hiv.example.org"}},
            "public_url (https://hiv.example.org)",
        ),
        (
            {"settings": {"organisation": make_organisation(email="hiv@example.org")}},
            "the organisation's email (hiv@example.org)",
        ),
    ],
)
def test_what_tells_is_noted_with_where(
    database: Database, fields: dict[str, Any], where: str
) -> None:
    assert told(database, **fields) == (
        f"The list is sensitive, and others may see what it is about by {where}. "
        "Choose what tells nothing, if you can."
    )


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"own_subject": "Leben mit HIV"}, "your own subject (Leben mit HIV)"),
        (
            {"name": "Leben mit Aids", "own_subject": "Aids: eine Frage"},
            "your own subject (Aids: eine Frage)",
        ),
        (
            {"privacy_url": "https://example.org/hiv-de"},
            "the address of the privacy statement (https://example.org/hiv-de)",
        ),
    ],
)
def test_what_tells_in_a_further_language_is_noted_too(
    database: Database, fields: dict[str, str], where: str
) -> None:
    about = make_list(database, **LIST)
    ListText.update(**fields).where(ListText.list == about, ListText.language == "de").execute()
    planned = plan_launch(about, settings=make_settings(), now=NOW, deadline=DEADLINE)
    assert where in "".join(planned.notes)


@pytest.mark.parametrize("name", ["ms", "MS", "M.S.", "Nieuws over MS"])
def test_a_word_of_two_letters_is_found_by_itself(database: Database, name: str) -> None:
    at = {"public_url": "https://ms.example.org"}
    noted = told(database, slug="brief", name=name, settings=at)
    assert "public_url (https://ms.example.org)" in noted
    at = {"public_url": "https://items.example.org"}
    assert told(database, slug="nieuws", name=name, settings=at) == ""


@pytest.mark.parametrize(
    ("purpose", "subject"),
    [
        ("Leven met epilepsie, vier keer per jaar", "Epilepsie: blijft u?"),
        ("Für Menschen mit Diabetes", "Eine Frage für Diabetikerinnen"),
        ("Nowości o padaczce", "Padaczka: pytanie do Państwa"),
    ],
)
def test_a_subject_that_tells_of_the_purpose_is_noted(
    database: Database, purpose: str, subject: str
) -> None:
    noted = told(database, purpose=purpose, own_subject=subject)
    assert f"your own subject ({subject})" in noted


def test_a_subject_in_words_that_many_purposes_have_is_not_noted(database: Database) -> None:
    noted = told(
        database,
        purpose="Informatie van praktijk De Linde over epilepsie",
        own_subject="Wilt u informatie van praktijk De Linde blijven ontvangen?",
    )
    assert noted == ""


def test_all_that_tells_is_noted_at_once(database: Database) -> None:
    noted = told(database, sender="hiv@example.org", own_subject="Hiv?")
    assert "the sender's address (hiv@example.org); your own subject (Hiv?)." in noted


def test_a_list_that_is_not_sensitive_may_be_named(database: Database) -> None:
    assert told(database, sender="hiv@example.org", sensitive=False) == ""


@pytest.mark.parametrize("table", COMMON_WORDS)
def test_every_common_word_is_written_as_words_are_compared(table: str) -> None:
    words = " ".join(COMMON_WORDS[table].values()).split()
    assert [word for word in words if split_plain_words(word) != [word]] == []
    assert sorted(set(words)) == sorted(words)


def test_no_common_word_of_a_name_is_noted(database: Database) -> None:
    words = " ".join(COMMON_WORDS["names"].values()).split()
    assert (
        told(database, slug="news", name=" ".join(words), own_subject=f"Over {' '.join(words)}")
        == ""
    )
