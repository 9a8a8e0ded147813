"""The notice for the sender's own website: by what a mail is known to be genuine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from repermit.emails.website_notice import make_website_notice
from repermit.i18n.catalogues import languages
from tests.support.builders import DEADLINE, make_organisation, make_settings
from tests.support.mail_builders import make_facts


def notice(**changed: Any) -> str:
    values: dict[str, Any] = {
        "organisation": make_organisation(),
        "mailing_list": make_facts(),
        "public_url": "https://ask.example.org",
        "deadline": DEADLINE,
        "zone": make_settings().zone,
        "language": "en",
    }
    return make_website_notice(**{**values, **changed})


@pytest.mark.parametrize("language", languages())
def test_it_names_the_signs_in_each_language(language: str) -> None:
    text, facts = notice(language=language), make_facts()
    assert facts.name in text
    assert f"{facts.sender}." in text
    assert "https://ask.example.org/\n" in text
    assert "praktijk@example.org" in text
    assert text.count("\n- ") == 3
    assert "%(" not in text


def test_it_says_until_when_answers_count_if_that_is_known() -> None:
    assert "Answers count until Monday 30 March 2026, 11:00." in notice()
    assert "Answers count" not in notice(deadline=None)


def test_the_name_of_a_sensitive_list_does_not_stand_in_it() -> None:
    facts = replace(make_facts(), sensitive=True)
    for language in languages():
        assert facts.name not in notice(mailing_list=facts, language=language)


def test_who_is_in_doubt_can_write_or_call() -> None:
    both = make_organisation()
    assert notice(organisation=both).endswith(f"ask us: {both.email}, {both.telephone}")
    by_phone = make_organisation(email="")
    assert notice(organisation=by_phone).endswith("ask us: +31 30 123 45 67")
    nobody = make_organisation(email="", telephone="")
    assert "ask us" not in notice(organisation=nobody)


def test_a_sender_that_is_not_known_yet_is_left_out() -> None:
    text = notice(mailing_list=replace(make_facts(), sender=""))
    assert "It comes from" not in text
    assert text.count("\n- ") == 2


def test_an_address_with_a_path_ends_in_one_slash() -> None:
    assert "begin with https://example.org/ask/\n" in notice(public_url="https://example.org/ask/")
