"""What the admin chose, and by which others may see what a sensitive list is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from repermit.campaigns import plan
from repermit.campaigns.planning import NOTES
from tests.building import DEADLINE, NOW, make_list, make_organisation, make_settings

if TYPE_CHECKING:
    from repermit.models import Database

LIST = {"slug": "nieuws-hiv", "name": "Nieuws voor mensen met hiv", "sensitive": True}


def told(database: Database, *, settings: dict[str, Any] | None = None, **fields: Any) -> str:
    """Return what is noted of a list beside what is noted of all."""
    planned = plan(
        make_list(database, **{**LIST, **fields}),
        settings=make_settings(**settings or {}),
        now=NOW,
        deadline=DEADLINE,
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


def test_all_that_tells_is_noted_at_once(database: Database) -> None:
    noted = told(database, sender="hiv@example.org", own_subject="Hiv?")
    assert "the sender's address (hiv@example.org); your own subject (Hiv?)." in noted


def test_a_list_that_is_not_sensitive_may_be_named(database: Database) -> None:
    assert told(database, sender="hiv@example.org", sensitive=False) == ""
