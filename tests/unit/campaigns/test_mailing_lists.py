"""Adding and changing lists: what is refused, and what is kept of it."""

from __future__ import annotations

import json
from typing import Any, Unpack

import pytest

from repermit import package_files
from repermit.campaigns.mailing_lists import (
    ListFields,
    add_list,
    change_list,
    explain_frozen_wording,
    make_list_facts,
    make_version,
    suggest_slug,
)
from repermit.db.connection import Database
from repermit.db.models.campaigns import Wording
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.errors import ChangedMeanwhile, Refused
from repermit.evidence import chain
from repermit.rules.consent import CampaignState
from repermit.settings.definitions import Settings
from tests.support.builders import NOW, make_campaign, make_list, make_organisation, make_settings
from tests.support.chain_faults import iter_chain_faults

LETTERS = package_files.load_data("transliteration.toml")

OWN_TEXT = """{{ organisation }} asks: may we go on? Answer by {{ deadline }}.
Yes: {{ yes_url }}
No: {{ no_url }}
{{ silence }}
{{ stop }}
{{ objection }}
{{ privacy_url }}
"""


def add(
    database: Database,
    slug: str = "news",
    settings: Settings | None = None,
    **fields: Unpack[ListFields],
) -> MailingList:
    return add_list(
        database,
        slug,
        settings=settings or make_settings(),
        now=NOW,
        actor="anna@example.org",
        **_named(fields),
    )


def _named(fields: ListFields) -> ListFields:
    return {"name": "News", **fields}


def change(
    database: Database, mailing_list: MailingList, **fields: Unpack[ListFields]
) -> MailingList:
    return change_list(
        database,
        mailing_list,
        settings=make_settings(),
        now=NOW,
        actor="anna@example.org",
        **fields,
    )


def kept_fields() -> object:
    newest = EvidencePart.select().order_by(EvidencePart.seq.desc()).get()
    return json.loads(newest.json)["fields"]


def test_a_list_is_added_with_what_is_known_of_it(database: Database) -> None:
    add(
        database,
        purpose=" News,\nfour times a year ",
        frequency="four times a year",
        privacy_url=" https://www.example.org/privacy ",
        language="en",
        sender="De Linde  <NEWS@Example.org>",
        sensitive=True,
    )
    found = MailingList.get()
    assert found.created_at == NOW
    assert make_list_facts(found).to_json() == {
        "slug": "news",
        "name": "News",
        "purpose": "News, four times a year",
        "frequency": "four times a year",
        "privacy_url": "https://www.example.org/privacy",
        "language": "en",
        "sender": "De Linde <NEWS@Example.org>",
        "sensitive": True,
        "own_subject": "",
        "own_text": "",
        "own_html": "",
        "receipts": True,
        "texts": {},
    }


def test_adding_is_kept_as_evidence(database: Database) -> None:
    add(database, language="nl")
    entry = Evidence.get()
    assert (entry.event, entry.at, entry.list, entry.actor) == (
        "list_added",
        NOW,
        "news",
        "anna@example.org",
    )
    assert kept_fields() == {"name": "News", "language": "nl"}
    assert list(iter_chain_faults()) == []


@pytest.mark.parametrize("slug", ["n", "a-1", "9", "x" * 63])
def test_a_slug_is_letters_digits_and_dashes(database: Database, slug: str) -> None:
    assert add(database, slug).slug == slug


@pytest.mark.parametrize("slug", ["", "-a", "a-", "Nieuws", "a b", "a_b", "é", "x" * 64, "a\n"])
def test_another_slug_is_refused(database: Database, slug: str) -> None:
    with pytest.raises(Refused, match="cannot name a list"):
        add(database, slug)


def test_a_slug_is_there_once(database: Database) -> None:
    add(database)
    with pytest.raises(Refused, match="there is a list of this short name already"):
        add(database)


def test_a_list_needs_a_name(database: Database) -> None:
    with pytest.raises(Refused, match="needs a name"):
        add(database, name=" ")
    assert not MailingList.select().exists()


@pytest.mark.parametrize(
    "url",
    [
        "www.example.org/privacy",
        "ftp://example.org/privacy",
        "https://",
        "https://[",
        "https://example.org/a b",
        "https://example.org/\x07",
        "javascript:alert(1)",
        "https://me:secret@example.org/privacy",
        "https://www.example.org\\@evil.example",
        pytest.param("https://a" + "\u0300\u0316" * 200_000 + ".org/", id="long"),
    ],
)
def test_a_privacy_statement_is_a_web_address(database: Database, url: str) -> None:
    with pytest.raises(Refused, match="no address of a privacy statement"):
        add(database, privacy_url=url)


@pytest.mark.parametrize("url", ["", "http://example.org/p", "https://example.org"])
def test_a_web_address_is_taken_as_privacy_statement(database: Database, url: str) -> None:
    assert add(database, privacy_url=url).privacy_url == url


def test_a_language_without_mails_is_refused(database: Database) -> None:
    with pytest.raises(Refused, match="no mails in 'xx'; there are nl, en, de, fr, bg, "):
        add(database, language="xx")


@pytest.mark.parametrize("sender", ["De Linde", "De Linde <news>", "a@example.org, b@example.org"])
def test_a_sender_is_one_usable_address(database: Database, sender: str) -> None:
    with pytest.raises(Refused, match="the sender cannot be used"):
        add(database, sender=sender)


@pytest.mark.parametrize("sender", ["", "news@example.org", "De Linde, Utrecht <news@example.org>"])
def test_a_usable_sender_is_kept_as_it_was_written(database: Database, sender: str) -> None:
    assert add(database, sender=sender).sender == sender


def test_an_own_wording_is_checked_and_kept_by_its_digest(database: Database) -> None:
    add(database, sender="news@example.org", own_text=OWN_TEXT)
    assert MailingList.get().own_text == OWN_TEXT
    digest = chain.store_wording(OWN_TEXT)
    assert kept_fields() == {"name": "News", "sender": "news@example.org", "own_text": digest}
    assert Wording.get_by_id(digest).content == OWN_TEXT


def test_an_own_wording_that_lacks_something_is_refused_with_what(database: Database) -> None:
    with pytest.raises(Refused) as refused:
        add(database, own_text=OWN_TEXT.replace("{{ stop }}", ""))
    assert "your own wording cannot be used" in str(refused.value)
    assert "the way to stop is missing" in str(refused.value)


@pytest.mark.exhaustive
def test_an_own_wording_whose_mail_would_be_clipped_is_refused_with_both_sizes(
    database: Database,
) -> None:
    long = OWN_TEXT + "\nwoord" * 10_000
    mailing_list = make_list(database)
    with pytest.raises(Refused, match=r"grow to 1[2-9]\d,\d{3} octets, .* beyond 102,000"):
        change(database, mailing_list, own_text=long)
    assert MailingList.get().own_text == ""
    # Without a sender there is no mail to measure, so it is measured when one is given.
    bare = add(database, "bare", own_text=long)
    with pytest.raises(Refused, match="beyond 102,000"):
        change(database, bare, sender="news@example.org")


def test_an_own_wording_needs_somewhere_to_reply_to(database: Database) -> None:
    settings = make_settings(organisation=make_organisation(email=""))
    with pytest.raises(Refused, match="first say who sends the list"):
        add(database, settings=settings, own_text=OWN_TEXT)


def test_a_change_leaves_the_rest_as_it_was(database: Database) -> None:
    mailing_list = make_list(database, purpose="News")
    changed = change(database, mailing_list, frequency="monthly", purpose="News")
    assert (changed.frequency, changed.purpose) == ("monthly", "News")
    assert MailingList.get().frequency == "monthly"
    assert kept_fields() == {"frequency": "monthly"}
    assert Evidence.get().event == "list_changed"


def test_of_two_who_change_the_same_fields_the_second_is_told(database: Database) -> None:
    news = add(database, purpose="News")
    since = make_version(news, ["purpose"])
    about: dict[str, Any] = {"settings": make_settings(), "now": NOW, "actor": "user:2"}
    change(database, news, frequency="monthly")
    change_list(database, news, since=since, purpose="Our news", **about)
    with pytest.raises(ChangedMeanwhile, match="changed elsewhere meanwhile"):
        change_list(database, news, since=since, purpose="Your news", **about)
    assert (MailingList.get().purpose, MailingList.get().frequency) == ("Our news", "monthly")
    # Pressing a button twice changes nothing, so that there is nothing to tell.
    change_list(database, news, since=since, purpose="Our news", **about)


def test_a_change_of_nothing_leaves_no_trace(database: Database) -> None:
    mailing_list = make_list(database)
    change(database, mailing_list, name=mailing_list.name)
    assert not Evidence.select().exists()


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        (CampaignState.SCHEDULED, True),
        (CampaignState.SENDING, True),
        (CampaignState.PAUSED, True),
        (CampaignState.OPEN, True),
        (CampaignState.CLOSED, False),
        (CampaignState.CANCELLED, False),
    ],
)
def test_sensitivity_stays_while_a_campaign_is_live(
    database: Database, state: CampaignState, refused: bool
) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list, state=state)
    if refused:
        with pytest.raises(Refused, match="while a campaign is live"):
            change(database, mailing_list, sensitive=True)
    else:
        change(database, mailing_list, sensitive=True)
    assert MailingList.get().sensitive is not refused


def test_other_fields_may_change_meanwhile_and_the_admin_is_told(database: Database) -> None:
    mailing_list = make_list(database)
    assert explain_frozen_wording(mailing_list) == ""
    make_campaign(database, mailing_list)
    change(database, mailing_list, purpose="Other news, monthly", sensitive=False)
    assert "keeps the wording with which it was launched" in explain_frozen_wording(mailing_list)


@pytest.mark.parametrize("script", LETTERS)
def test_each_letter_of_another_script_has_one_in_ascii(script: str) -> None:
    for letter, *others in LETTERS[script].split():
        assert suggest_slug(letter + "-x") == "".join(others) + "-x"
        assert not letter.isascii()
