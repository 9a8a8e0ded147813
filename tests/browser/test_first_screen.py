"""Question, asker, deadline and both answers stand on the first screen of a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.emails.compose_mail import compose_mail
from repermit.emails.first_screen import MOST_PIXELS, MOST_WORDS, estimate_first_screen
from tests.support.first_screen import (
    NAMES,
    AnswerPages,
    mails,
    measure,
)
from tests.support.mail_builders import make_ask, make_ask_values, make_facts, make_practice

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("language", ["en", "nl"])
def test_both_answers_of_a_mail_are_seen_at_once(page: Page, language: str, names: str) -> None:
    found = {kind: measure(page, html) for kind, html in mails(language, NAMES[names])}
    assert len(found) == 6
    beyond = {
        kind: one
        for kind, one in found.items()
        if one.pixels > MOST_PIXELS or one.words > MOST_WORDS
    }
    assert not beyond


@pytest.mark.parametrize("names", NAMES)
def test_all_answers_of_a_page_are_seen_at_once(database: Database, page: Page, names: str) -> None:
    pages = AnswerPages(database, NAMES[names])
    found = {
        (language, name): measure(page, html)
        for language in ("en", "nl")
        for name, html in pages(language)
    }
    assert len(found) == 16
    beyond = {
        name: one
        for name, one in found.items()
        if one.pixels > MOST_PIXELS or one.words > MOST_WORDS
    }
    assert not beyond


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_estimate_for_own_wordings_is_near_what_is_measured(
    page: Page, language: str, names: str
) -> None:
    draft = make_ask(
        organisation=make_practice(name=NAMES[names].organisation),
        mailing_list=make_facts(name=NAMES[names].list_name, purpose=NAMES[names].purpose),
        language=language,
    )
    mail = compose_mail(draft, make_ask_values(name=NAMES[names].reader))
    seen, estimated = measure(page, mail.html), estimate_first_screen(mail.text)
    assert estimated
    assert abs(estimated.pixels - seen.pixels) < 60
    assert estimated.words == seen.words
