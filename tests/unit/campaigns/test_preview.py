"""The mail as the admin sees it before anybody else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from repermit.campaigns.add_reminder import add_reminder
from repermit.campaigns.campaign_draft import Conditions, save_conditions
from repermit.campaigns.lifecycle import extend_campaign
from repermit.campaigns.list_translations import change_translation
from repermit.campaigns.mailing_lists import add_list, change_list
from repermit.campaigns.preview import preview_mail
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.emails import make_draft, replace_deadline
from repermit.errors import AddressError, Refused, WordingError
from repermit.rules.consent import MailKind, Status
from repermit.settings.definitions import CampaignRules, Settings
from repermit.signed_links import NOBODY, Links
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_settings,
)
from tests.unit.campaigns.test_launch import start
from tests.unit.emails.test_wording_validation import GOOD_TEXT


def test_a_preview_is_in_the_lists_language_and_to_its_sender(database: Database) -> None:
    mail = preview_mail(make_list(database), settings=make_settings(), now=NOW)
    assert mail.envelope_to == mail.envelope_from == "praktijk@example.org"
    assert "Geachte lezer" in mail.text
    assert "30 maart 2026" in mail.text
    assert not Mail.select().exists()
    assert not Evidence.select().exists()


def test_a_preview_says_once_unless_a_reminder_is_to_follow(database: Database) -> None:
    mailing_list, settings = make_list(database), make_settings()
    assert "u één keer." in preview_mail(mailing_list, settings=settings, now=NOW).text
    for days, said in ((7, "vraagt u dit."), (0, "u één keer.")):
        conditions = Conditions(reminder=days)
        save_conditions(database, mailing_list, conditions, now=NOW, actor="cli:0")
        assert said in preview_mail(mailing_list, settings=settings, now=NOW).text


def test_a_preview_says_the_deadline_that_is_kept(database: Database) -> None:
    mailing_list, settings = make_list(database), make_settings()
    kept = Conditions(deadline="2026-04-24")
    save_conditions(database, mailing_list, kept, now=NOW, actor="cli:0")
    for kind in (MailKind.ASK, MailKind.REMINDER):
        assert (
            "24 april 2026"
            in preview_mail(mailing_list, settings=settings, now=NOW, kind=kind).text
        )


def test_a_preview_during_a_campaign_says_its_deadline_and_its_reminder(database: Database) -> None:
    mailing_list, settings = make_list(database), make_settings()
    deadline = NOW + timedelta(days=60)
    campaign = make_campaign(database, mailing_list, deadline=deadline)
    # Kept for the next one.
    kept = Conditions(deadline="2026-04-24", reminder=7)
    save_conditions(database, mailing_list, kept, now=NOW, actor="cli:0")
    for reminder_at, said in ((None, "u één keer."), (NOW + timedelta(days=50), "vraagt u dit.")):
        Campaign.update(reminder_at=reminder_at).where(Campaign.id == campaign.id).execute()
        text = preview_mail(mailing_list, settings=settings, now=NOW).text
        assert said in text
        assert "1 mei 2026" in text


def _launch(database: Database, mailing_list: MailingList, settings: Settings) -> MailingList:
    """Launch, then give the list other words; return it as it is by then."""
    make_contact(database, mailing_list, "anna@example.org")
    start(
        database,
        mailing_list,
        settings=settings,
        deadline=NOW + timedelta(days=60),
        reminder=7,
    )
    changed = {"purpose": "Another purpose", "sender": "Other <other@example.org>"}
    MailingList.update(changed).execute()
    found: MailingList = MailingList.get()
    return found


def test_a_preview_during_a_campaign_has_the_words_that_were_frozen(database: Database) -> None:
    mailing_list, settings = make_list(database), make_settings()
    changed = _launch(database, mailing_list, settings)
    for kind in (MailKind.ASK, MailKind.REMINDER):
        mail = preview_mail(changed, settings=settings, now=NOW, kind=kind)
        assert mailing_list.purpose in mail.text
        assert "Another purpose" not in mail.text
        assert mail.envelope_from == "praktijk@example.org"
        assert b"other@example.org" not in mail.raw


def test_what_is_only_typed_or_read_by_nobody_of_the_campaign_has_the_words_of_now(
    database: Database,
) -> None:
    settings = make_settings()
    changed = _launch(database, make_list(database), settings)
    typed = preview_mail(changed, settings=settings, now=NOW, is_typed=True)
    assert "Another purpose" in typed.text
    assert "1 mei 2026" in typed.text
    unread = preview_mail(changed, settings=settings, now=NOW, kind=MailKind.CONFIRM)
    assert unread.envelope_from == "other@example.org"


def test_a_frozen_preview_can_name_another_day(database: Database) -> None:
    mailing_list, settings = make_list(database), make_settings()
    changed = _launch(database, mailing_list, settings)
    until = NOW + timedelta(days=90)
    text = preview_mail(changed, settings=settings, now=NOW, deadline=until).text
    assert "31 mei 2026" in text
    assert mailing_list.purpose in text


def test_a_preview_can_be_in_another_language_until_another_day_to_somebody(
    database: Database,
) -> None:
    mail = preview_mail(
        make_list(database),
        settings=make_settings(),
        now=NOW,
        language="de",
        deadline=NOW + timedelta(days=60),
        to="Anna@Example.org",
    )
    assert mail.envelope_to == "Anna@example.org"
    assert "1. Mai 2026" in mail.text


def test_the_other_mails_can_be_seen_too(database: Database) -> None:
    settings = make_settings()
    links = Links(settings.public_url, settings.secret_keys)
    mailing_list = make_list(database, language="en", own_subject="Mogen wij u blijven mailen?")
    seen = {
        kind: preview_mail(mailing_list, settings=settings, now=NOW, kind=kind, language="en")
        for kind in (MailKind.ASK, MailKind.REMINDER, MailKind.CONFIRM, MailKind.RECEIPT)
    }
    assert seen[MailKind.ASK].subject == "Mogen wij u blijven mailen?"
    assert seen[MailKind.REMINDER].subject.startswith("Reminder, ")
    assert links.url("no", NOBODY) in seen[MailKind.REMINDER].text
    assert "30 March 2026" in seen[MailKind.REMINDER].text
    assert links.url("confirm", NOBODY) in seen[MailKind.CONFIRM].text
    assert "until Monday 9 March," in seen[MailKind.CONFIRM].text.replace("\N{NO-BREAK SPACE}", " ")
    assert links.url("receipt", NOBODY) in seen[MailKind.RECEIPT].text
    assert links.url("no", NOBODY) in seen[MailKind.RECEIPT].text


def test_the_deadline_of_a_preview_is_one_that_could_be(database: Database) -> None:
    settings = make_settings(campaign=CampaignRules(minimum_days=30))
    mail = preview_mail(make_list(database), settings=settings, now=NOW, language="en")
    assert "15 April 2026" in mail.text


def test_the_links_of_a_preview_are_real_and_nobodys(database: Database) -> None:
    settings = make_settings()
    mail = preview_mail(make_list(database), settings=settings, now=NOW)
    links = Links(settings.public_url, settings.secret_keys)
    for url in (links.url("yes", NOBODY), links.url("no", NOBODY), links.url("me", NOBODY)):
        assert url in mail.text


def test_a_preview_says_why_and_since_when_as_for_the_first_who_is_asked(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    told = {"source": "the counter", "since": NOW - timedelta(days=400)}
    other = {"source": "the fair", "since": NOW}
    make_contact(database, mailing_list, "b@example.org", status=Status.CONFIRMED, **other)
    make_contact(database, make_list(database, slug="other"), "c@example.org", **other)
    make_contact(database, mailing_list, "anna@example.org", name="Anna", **told)
    make_contact(database, mailing_list, "d@example.org", **other)
    mail = preview_mail(mailing_list, settings=make_settings(), now=NOW, language="en")
    assert "the counter" in mail.text
    assert "26 January 2025" in mail.text
    assert "the fair" not in mail.text
    assert b"anna" not in mail.raw.lower()
    settings = make_settings()
    greeting = preview_mail(mailing_list, settings=settings, now=NOW, reader_name="Bea de Vos")
    assert "Bea de Vos" in greeting.text
    assert "the counter" in greeting.text


def test_a_preview_of_a_list_without_anybody_to_ask_does_not_know_why(database: Database) -> None:
    mail = preview_mail(make_list(database), settings=make_settings(), now=NOW, language="en")
    assert "We do not know since when" in " ".join(mail.text.split())


def test_a_preview_in_a_language_without_mails_is_refused(database: Database) -> None:
    with pytest.raises(Refused, match="no mails in 'xx'"):
        preview_mail(make_list(database), settings=make_settings(), now=NOW, language="xx")


def test_a_preview_needs_a_sender(database: Database) -> None:
    with pytest.raises(AddressError, match="no address"):
        preview_mail(make_list(database, sender=""), settings=make_settings(), now=NOW)


def test_a_mail_that_would_be_clipped_has_no_preview(database: Database) -> None:
    mailing_list = make_list(database, purpose="Nieuws" + " en meer" * 6_000)
    with pytest.raises(WordingError, match="beyond 102,000"):
        preview_mail(mailing_list, settings=make_settings(), now=NOW)


# --- Nobody waits for words. ----------------------------------------------------------------------


@pytest.mark.parametrize("act", ["add", "change", "translate", "launch", "extend", "remind"])
def test_no_mail_is_worded_while_others_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """In two dozen languages, or with a long text, that takes half a second."""
    news = MailingList.get_by_id(make_list(database, languages=("de",)).id)
    make_contact(database, news)
    if act in {"extend", "remind"}:
        start(database, news)
    held: list[bool] = []
    for module, name in ((make_draft, "_draft_asking"), (replace_deadline, "replace_deadline")):
        monkeypatch.setattr(module, name, _noting(getattr(module, name), database, held))
    _act(database, news, act)
    assert held
    assert not any(held)


def _noting(word: Callable[..., Any], database: Database, held: list[bool]) -> Callable[..., Any]:
    def note(*args: Any, **kwargs: Any) -> Any:
        held.append(database.transaction_depth() > 0)
        return word(*args, **kwargs)

    return note


def _act(database: Database, news: MailingList, act: str) -> None:
    about: dict[str, Any] = {"settings": make_settings(), "now": NOW, "actor": "cli:0"}
    if act == "add":
        add_list(database, "more", name="More", sender=news.sender, own_text=GOOD_TEXT, **about)
    elif act == "change":
        change_list(database, news, own_text=GOOD_TEXT, **about)
    elif act == "translate":
        change_translation(database, news, "de", own_text=GOOD_TEXT, **about)
    elif act == "launch":
        start(database, news)
    elif act == "extend":
        extend_campaign(database, news, deadline=DEADLINE + timedelta(days=7), **about)
    else:
        add_reminder(database, news, days=7, **about)
