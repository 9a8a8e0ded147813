"""The admin's daily mail: what it says, and what it leaves unsaid."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from repermit.emails.mail_types import DailySummary, parse_closing_summary, parse_daily_summary
from repermit.errors import AddressError
from repermit.i18n.catalogues import languages, load_translations
from tests.support.mail_builders import (
    CHECKPOINT,
    make_closing,
    make_closing_news,
    make_daily,
    make_facts,
    make_news,
    make_notice,
    make_practice,
)


@pytest.mark.parametrize("language", languages())
def test_the_mail_about_a_pause_names_the_page_before_the_commands(language: str) -> None:
    draft = make_notice(mailing_list=make_facts(language=language))
    for body in (draft.text, draft.html):
        page = body.index("https://ask.example.org/admin/lists/lindepost/")
        commands = load_translations(language).gettext(
            "Whoever keeps the server can also do it with commands."
        )
        assert page < body.index(commands) < body.index("repermit resume lindepost")


@pytest.mark.parametrize("language", languages())
def test_the_daily_mail_counts_and_says_where_to_take_people_off(language: str) -> None:
    draft = make_daily(mailing_list=make_facts(language=language))
    assert (draft.kind, draft.language, draft.deadline) == ("notice", language, None)
    for body in (draft.text, draft.html):
        assert "https://ask.example.org/vraag/admin/lists/lindepost/handover" in body
        assert "https://ask.example.org/vraag/admin/lists/lindepost/" in body
        assert "repermit export lindepost removed" in body
        for count in (12, 3, 1, 2, 500, 212, 43, 238, 4, 2, 1):
            assert f": {count}\n" in body or f": {count}</li>" in body
        assert "⟦" not in body


@pytest.mark.parametrize("language", languages())
def test_the_daily_mail_leads_to_the_replies_that_wait(language: str) -> None:
    draft = make_daily(mailing_list=make_facts(language=language))
    for body in (draft.text, draft.html):
        assert "https://ask.example.org/vraag/admin/lists/lindepost/replies" in body
        assert ": 6. " in body


def test_a_day_that_brought_nothing_but_replies_has_no_empty_list() -> None:
    nothing = dict.fromkeys(("yes", "no", "withdrawn", "others", "erased"), 0)
    draft = make_daily(news=make_news(**nothing))
    assert "Sinds" not in draft.text
    assert draft.html.count("<ul") == 1


def test_what_did_not_happen_is_not_told() -> None:
    draft = make_daily(news=make_news(no=0, withdrawn=0, others=0, erased=0, replies=0))
    assert "Ja, nieuwe aanmeldingen meegeteld: 12" in draft.text
    assert "Nee: " not in draft.text
    assert "handover" not in draft.text
    assert "/replies" not in draft.text


def test_the_daily_mail_of_a_sensitive_list_shows_nothing_outside_its_body() -> None:
    draft = make_daily(mailing_list=make_facts(name="Leven met hiv", sensitive=True))
    assert "hiv" not in draft.subject


def test_the_daily_mail_needs_somebody_to_go_to() -> None:
    with pytest.raises(AddressError):
        make_daily(organisation=make_practice(email=""))


def test_the_daily_mail_holds_the_checkpoint_where_there_is_one() -> None:
    draft = make_daily()
    assert json.dumps(CHECKPOINT) in draft.text
    assert str(CHECKPOINT["hash"]) in draft.html
    assert "verify --checkpoint" not in make_daily(checkpoint=None).text


@pytest.mark.parametrize("language", languages())
def test_the_closing_mail_counts_and_holds_the_checkpoint(language: str) -> None:
    draft = make_closing(mailing_list=make_facts(language=language))
    assert (draft.kind, draft.language, draft.deadline) == ("notice", language, None)
    news = make_closing_news()
    checkpoint = {"seq": news.seq, "hash": news.hash, "root": news.root}
    assert json.dumps(checkpoint) in draft.text
    assert news.hash in draft.html
    for body in (draft.text, draft.html):
        assert "https://ask.example.org/vraag/admin/lists/lindepost/papers/report" in body
        assert "repermit report lindepost" in body
        for count in (500, 212, 43, 231, 5, 9):
            assert f": {count}\n" in body or f": {count}</li>" in body


def test_closing_news_travel_in_the_topic_of_a_mail() -> None:
    names = ("asked", "yes", "no", "no_response", "others", "unasked")
    most = make_closing_news(**dict.fromkeys(names, 10**7), seq=10**8)
    assert parse_closing_summary(most.topic) == most
    # PostgreSQL keeps no more of it.
    assert len(most.topic) <= 255
    assert parse_closing_summary("paused_pilot") is None


def test_news_travel_in_the_topic_of_a_mail() -> None:
    counts = [field.name for field in fields(DailySummary) if field.name != "since"]
    most = make_news(**dict.fromkeys(counts, 10**7))
    assert parse_daily_summary(most.topic) == most
    # PostgreSQL keeps no more of it.
    assert len(most.topic) <= 255
    assert parse_daily_summary("paused_pilot") is None
