"""A list in further languages: who is told what in which, and what stays for the record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from repermit.answers import link_target
from repermit.campaigns import (
    launch,
    launch_refusals,
    list_translations,
    mailing_lists,
    result_types,
)
from repermit.campaigns import preview as campaigns_preview
from repermit.contacts import lookup as contacts_lookup
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import ListText, MailingList
from repermit.emails import frozen_draft, mail_types, make_draft
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.rules.consent import Answer, MailKind, Status
from repermit.suppression import suppressions
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.mail_builders import make_facts
from tests.support.public_pages import answer_on_page, freeze_wording
from tests.unit.answers.test_link_target import standing_of

PURPOSE = "Neues aus der Praxis, viermal im Jahr"
URL = "https://www.example.org/datenschutz"
OWN = "{{ yes_url }} {{ no_url }} {{ silence }} {{ objection }} {{ stop }} {{ privacy_url }}\n"


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database, languages=())


def say(database: Database, mailing_list: MailingList, language: str = "de", **fields: Any) -> None:
    list_translations.change_translation(
        database,
        mailing_list,
        language,
        settings=make_settings(),
        now=NOW,
        actor="anna@example.org",
        **fields,
    )


def say_german(database: Database, mailing_list: MailingList, **more: Any) -> None:
    say(database, mailing_list, purpose=PURPOSE, privacy_url=URL, **more)


def facts(mailing_list: MailingList) -> mail_types.MailingListFacts:
    return contacts_lookup.read_list_facts(mailing_list)


# --- What is whole. -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "said", "is_whole"),
    [
        ({}, {"purpose": PURPOSE, "privacy_url": URL}, True),
        ({}, {"purpose": PURPOSE}, False),
        ({}, {"privacy_url": URL}, False),
        ({"frequency": "maandelijks"}, {"purpose": PURPOSE, "privacy_url": URL}, False),
        (
            {"frequency": "maandelijks"},
            {"purpose": PURPOSE, "privacy_url": URL, "frequency": "monatlich"},
            True,
        ),
    ],
)
def test_a_language_is_used_where_the_list_has_all_of_its_words_in_it(
    database: Database, own: dict[str, str], said: dict[str, str], is_whole: bool
) -> None:
    news = make_list(database, languages=(), **own)
    say(database, news, **said)
    assert facts(news).languages == (("nl", "de") if is_whole else ("nl",))
    assert facts(news).pick_language("de-AT") == ("de" if is_whole else "nl")
    assert facts(news).pick_language("") == facts(news).pick_language("xx") == "nl"


def test_a_list_is_told_in_the_words_of_a_language_and_back(
    database: Database, news: MailingList
) -> None:
    say_german(database, news)
    german = facts(news).in_language("de")
    assert (german.name, german.purpose, german.privacy_url) == (news.name, PURPOSE, URL)
    assert german.in_language("nl") == facts(news) == facts(news).in_language("fr")
    say_german(database, news, name="Neues")
    assert facts(news).in_language("de").name == "Neues"


def test_a_list_that_changes_its_language_has_its_own_words_in_it(
    database: Database, news: MailingList
) -> None:
    say_german(database, news)
    with database.atomic():
        news.language = "de"
        news.save()
    assert facts(news).languages == ("de",)
    assert facts(news).in_language("de").purpose == news.purpose
    assert contacts_lookup.list_translations(news) == []


def test_what_is_taken_back_is_forgotten(database: Database, news: MailingList) -> None:
    say(database, news, purpose="", name="")
    assert not EvidencePart.select().exists()
    say_german(database, news)
    assert [text.language for text in contacts_lookup.list_translations(news)] == ["de"]
    say(database, news, purpose="", privacy_url="")
    assert not ListText.select().exists()


@pytest.mark.parametrize(
    ("language", "fields", "reason"),
    [
        ("nl", {"purpose": "x"}, "this is the list’s own language"),
        ("xx", {"purpose": "x"}, "there are no mails in 'xx'"),
        ("de", {"privacy_url": "datenschutz"}, "no address of a privacy statement"),
        (
            "de",
            {"purpose": PURPOSE, "privacy_url": URL, "own_text": "Hallo"},
            "your own wording cannot be used",
        ),
    ],
)
def test_what_cannot_be_said_is_refused(
    database: Database, news: MailingList, language: str, fields: dict[str, str], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        say(database, news, language, **fields)
    assert not ListText.select().exists()


def test_what_is_said_is_kept_as_evidence_with_its_language(
    database: Database, news: MailingList
) -> None:
    say_german(database, news, own_subject="Dürfen wir?")
    told = newest_told("list_changed")
    assert told["in"] == "de"
    digest = chain.store_wording("Dürfen wir?")
    fields = {"purpose": PURPOSE, "privacy_url": URL, "own_subject": digest}
    assert told["fields"] == fields
    assert list(iter_chain_faults()) == []
    assert mailing_lists.make_list_facts(news).texts["de"]["purpose"] == PURPOSE


# --- Mails. ---------------------------------------------------------------------------------------


def test_nobody_gets_half_a_translation(database: Database, news: MailingList) -> None:
    for language in ("de", "fr", "fr", "xx", ""):
        make_contact(database, news, language=language)
    make_contact(database, news, language="fr", status=Status.REMOVED, reason="no")
    say_german(database, news)
    assert list_translations.count_untranslated(news) == {"fr": 2}
    planned = plan_of(news)
    assert planned.languages == {"de": 1, "nl": 4}
    (note,) = (one for one in planned.notes if "a language in which this list has no" in one)
    assert "(2 in fr)" in note
    assert "`repermit list set news --in …`" in note
    with pytest.raises(Refused, match=r"nobody gets a mail of this list in this .* --in fr"):
        preview(news, "fr")
    assert PURPOSE in preview(news, "de").text
    say(database, news, "fr", purpose="Des nouvelles, chaque mois", privacy_url=f"{URL}/fr")
    assert list_translations.count_untranslated(news) == {}
    assert not [one for one in plan_of(news).notes if "a language in which" in one]


def test_whoever_is_suppressed_is_not_counted_among_the_readers_of_a_language(
    database: Database, news: MailingList
) -> None:
    contact = make_contact(database, news, language="fr")
    key = make_settings().fingerprint_key
    with database.atomic():
        suppressions.add_suppressions(
            news,
            [
                suppressions.NewSuppression(
                    fingerprint=contacts_lookup.make_fingerprint(contact, key),
                    subject=contact.subject,
                    reason="no",
                    at=NOW,
                )
            ],
        )
    assert plan_of(news).languages == {}
    assert not [one for one in plan_of(news).notes if "a language in which" in one]


def test_an_own_wording_goes_to_readers_of_its_own_language(
    database: Database, news: MailingList
) -> None:
    own = f"Mogen wij? {OWN}{{{{ organisation }}}}\n"
    with database.atomic():
        news.own_text = own
        news.save()
    say_german(database, news)
    make_contact(database, news, language="de")
    make_contact(database, news)
    assert "Mogen wij?" in preview(news, "nl").text
    assert "Mogen wij?" not in preview(news, "de").text
    said = "Your own wording is in the language of the list; those who read another (1 in de)"
    assert [one for one in plan_of(news).notes if said in one]
    say(database, news, own_text=own.replace("Mogen wij?", "Dürfen wir?"))
    assert "Dürfen wir?" in preview(news, "de").text
    assert not [one for one in plan_of(news).notes if said in one]
    assert plan_of(news).refusals == ()


def test_a_launch_freezes_the_words_of_each_language(database: Database, news: MailingList) -> None:
    say_german(database, news)
    contact = make_contact(database, news, "anna@example.org", language="de")
    launch.launch(
        database,
        news,
        settings=make_settings(),
        now=NOW,
        deadline=DEADLINE,
        attest="Decided by the board on 1 March; addresses from our own forms; none opted out.",
        actor="anna@example.org",
    )
    told = newest_told("launched")
    assert [(one["language"], one["purpose"]) for one in told["texts"]] == [("de", PURPOSE)]
    assert set(told["wordings"]) == {"nl", "de"}
    say(database, news, purpose="Etwas anderes")
    standing = standing_of(contact)
    # Both as they were, and the mail's own language first.
    assert (standing.language, standing.mailing_list.purpose) == ("de", PURPOSE)
    assert standing.mailing_list.in_language("nl").purpose == news.purpose
    drafts = {row.language: frozen_draft.read_draft(row.wording.content) for row in wordings()}
    assert drafts["de"].mailing_list.purpose == PURPOSE
    assert PURPOSE in drafts["de"].text
    assert PURPOSE not in drafts["nl"].text
    assert list(iter_chain_faults()) == []


def test_an_answer_is_kept_in_the_words_that_it_was_asked_in(
    database: Database, news: MailingList
) -> None:
    say_german(database, news)
    campaign = make_campaign(database, news)
    freeze_wording(database, campaign, news, "nl")
    contact = make_asked(database, news, campaign, "anna@example.org")
    page = link_target.PageShown(wording="Wollen Sie?", language="de")
    answer_on_page(database, contact.uid, Answer.YES, at=NOW, page=page)
    told = newest_told("confirmed")
    assert (told["language"], told["purpose"], told["privacy_url"]) == ("de", PURPOSE, URL)


def test_a_wording_from_before_lists_had_further_languages_is_read_as_it_was() -> None:
    """Its own words stood in the mails of all four, and its pages were in all four."""
    draft = make_draft.draft_ask(
        organisation=make_settings().organisation,
        mailing_list=make_facts(),
        deadline=DEADLINE,
        zone=make_settings().zone,
        language="fr",
        has_reminder=False,
    )
    document = json.loads(draft.content)
    del document["mailing_list"]["texts"]
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    read = frozen_draft.read_draft(content)
    assert read.mailing_list.languages == ("nl", "en", "de", "fr")
    assert read.mailing_list.in_language("de") == read.mailing_list
    # What it is known by is what was stored.
    assert read.content == content
    assert replace(read, text="x").content != content


def test_no_reader_is_told_of_a_language_that_has_no_mails_any_more(
    database: Database, news: MailingList
) -> None:
    with database.atomic():
        ListText.create(list=news, language="xx", purpose="x", privacy_url=URL)
    assert facts(news).languages == ("nl",)


def newest_told(event: str) -> Any:
    """Return what the newest entry of an event tells."""
    entry = Evidence.select().where(Evidence.event == event).order_by(Evidence.seq.desc()).get()
    part = EvidencePart.get(EvidencePart.seq == entry.seq, EvidencePart.part == "consent")
    return json.loads(part.json)


def plan_of(mailing_list: MailingList) -> result_types.Plan:
    return launch_refusals.plan_launch(
        mailing_list, settings=make_settings(), now=NOW, deadline=DEADLINE
    )


def preview(mailing_list: MailingList, language: str) -> mail_types.Mail:
    return campaigns_preview.preview_mail(
        mailing_list, settings=make_settings(), now=NOW, kind=MailKind.ASK, language=language
    )


def wordings() -> list[CampaignWording]:
    return list(CampaignWording.select().join(Campaign))
