"""A reminder for a campaign that is under way: only where no mail has promised to ask once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from repermit.campaigns.add_reminder import Promise, add_reminder, read_promise
from repermit.campaigns.enqueue_reminders import enqueue_reminders
from repermit.campaigns.launch import launch
from repermit.campaigns.lifecycle import pause_campaign
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.emails import wording_validation
from repermit.emails.frozen_draft import read_draft
from repermit.emails.replace_deadline import replace_deadline
from repermit.errors import Refused
from repermit.evidence.verify import chain as verify_chain
from repermit.rules.consent import CampaignState, MailKind, MailState
from tests.support.builders import DEADLINE, NOW, make_contact, make_list, make_settings
from tests.unit.web.admin.test_campaign_dates import ATTEST
from tests.unit.web.admin.test_mail_wording import TEXT

SETTINGS = make_settings()
ONCE, NOT_ONCE = "vraagt het u één keer", "vraagt u dit"
SEVEN_DAYS_BEFORE = datetime(2026, 3, 23, 10, tzinfo=UTC)
LATER = NOW + timedelta(days=2)


def launch_news(database: Database, *, reminder: int = 0, **facts: Any) -> Campaign:
    """Launch a campaign on three people, until the end of 30 March."""
    news = make_list(database, **facts)
    for _ in range(3):
        make_contact(database, news)
    launch(
        database,
        news,
        settings=SETTINGS,
        now=NOW,
        deadline=DEADLINE,
        attest=ATTEST,
        reminder=reminder,
        actor="cli:0",
    )
    return Campaign.get()


def send_all(database: Database) -> None:
    """Have all asks accepted by the server, a day ago."""
    with database.atomic():
        Mail.update(state=MailState.SENT, sent_at=NOW).execute()
        Campaign.update(state=CampaignState.OPEN, opened_at=NOW).execute()


def add(database: Database, campaign: Campaign, days: int = 7, **options: Any) -> datetime:
    values: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "user:1", **options}
    return add_reminder(database, campaign.list, days=days, **values)


def refusal(database: Database, campaign: Campaign, days: int = 7, **options: Any) -> str:
    """Return why a reminder is refused, which changes nothing."""
    before = (Evidence.select().count(), CampaignWording.select().count())
    with pytest.raises(Refused) as refused:
        add(database, campaign, days, **options)
    assert (Evidence.select().count(), CampaignWording.select().count()) == before
    return str(refused.value)


def texts(kind: str) -> list[str]:
    rows = CampaignWording.select().where(CampaignWording.kind == kind)
    return [read_draft(row.wording.content).text for row in rows.order_by(CampaignWording.revision)]


def test_before_a_mail_has_left_the_asks_promise_no_longer_to_ask_once(database: Database) -> None:
    campaign = launch_news(database)
    assert ONCE in texts("ask")[0]
    assert read_promise(campaign) is Promise.NONE
    assert add(database, campaign, now=NOW) == SEVEN_DAYS_BEFORE
    first, second = texts("ask")
    assert second == first.replace(ONCE, NOT_ONCE)
    row = CampaignWording.get(CampaignWording.kind == "ask", CampaignWording.revision == 2)
    draft = read_draft(row.wording.content)
    assert ONCE not in draft.html
    assert NOT_ONCE in draft.html
    assert len(texts("reminder")) == 1
    assert Campaign.get().reminder_at == SEVEN_DAYS_BEFORE


def test_it_is_sent_as_one_that_was_set_at_launch_and_is_kept_as_evidence(
    database: Database,
) -> None:
    campaign = launch_news(database)
    add(database, campaign, now=NOW)
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (entry.event, entry.actor, entry.campaign) == ("reminder_added", "user:1", campaign.id)
    assert verify_chain.verify_chain(database).fault is None
    with database.atomic():
        Campaign.update(reminder_at=SEVEN_DAYS_BEFORE + timedelta(days=1)).execute()
    assert verify_chain.verify_chain(database).fault is not None
    with database.atomic():
        Campaign.update(reminder_at=SEVEN_DAYS_BEFORE).execute()
    send_all(database)
    enqueue_reminders(database, settings=SETTINGS, now=SEVEN_DAYS_BEFORE)
    assert Mail.select().where(Mail.kind == MailKind.REMINDER).count() == 3


def test_what_was_said_to_be_asked_once_is_not_asked_again(database: Database) -> None:
    campaign = launch_news(database)
    send_all(database)
    assert read_promise(campaign) is Promise.MADE
    assert "says that they are asked once" in refusal(database, campaign)
    assert "says that they are asked once" in refusal(database, campaign, not_promised=True)


def test_one_mail_that_may_have_left_is_a_promise_too(database: Database) -> None:
    campaign = launch_news(database)
    with database.atomic():
        Mail.update(state=MailState.IN_DOUBT).where(Mail.id == Mail.select().limit(1)).execute()
    assert "says that they are asked once" in refusal(database, campaign)


def test_own_words_need_the_admins_word_that_they_do_not_promise(database: Database) -> None:
    campaign = launch_news(database, own_text=TEXT)
    send_all(database)
    assert read_promise(campaign) is Promise.OWN_WORDS
    assert "--not-promised" in refusal(database, campaign)
    assert add(database, campaign, not_promised=True) == SEVEN_DAYS_BEFORE
    assert len(texts("ask")) == 1
    assert len(texts("reminder")) == 1


def test_own_words_that_were_launched_when_less_was_required_are_sent_as_they_are(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TEXT.replace("{{ objection }}", "").replace("{{ silence }}", "")
    with monkeypatch.context() as earlier:
        earlier.setattr(wording_validation, "_REQUIRED_FIELDS", {})
        campaign = launch_news(database, own_text=text)
    send_all(database)
    (ask,) = texts("ask")
    assert "artikel 21" not in ask
    assert add(database, campaign, not_promised=True) == SEVEN_DAYS_BEFORE


def test_nobody_gets_two(database: Database) -> None:
    campaign = launch_news(database, reminder=10)
    assert "a reminder is set already" in refusal(database, campaign)


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        (29, "can only leave between now and the deadline"),
        (28, "people need a day between the two"),
        (27, ""),
    ],
)
def test_a_reminder_leaves_a_day_after_the_last_ask_at_the_earliest(
    database: Database, days: int, reason: str
) -> None:
    campaign = launch_news(database, own_text=TEXT)
    options: dict[str, Any] = {"now": NOW, "not_promised": True}
    if reason:
        assert reason in refusal(database, campaign, days, **options)
    else:
        add(database, campaign, days, **options)


def test_reminders_that_would_leave_too_slowly_are_refused(database: Database) -> None:
    campaign = launch_news(database)
    slow = replace(SETTINGS, mail=replace(SETTINGS.mail, rate_per_day=1))
    assert "reminders leave too slowly" in refusal(database, campaign, 1, now=NOW, settings=slow)


def test_a_paused_campaign_can_be_given_one_and_a_closed_one_cannot(database: Database) -> None:
    campaign = launch_news(database)
    pause_campaign(database, campaign.list, now=NOW, actor="cli:0")
    add(database, campaign, now=NOW)
    with database.atomic():
        Campaign.update(state=CampaignState.CLOSED, reminder_at=None).execute()
    assert "this cannot be done now: the campaign is closed" in refusal(database, campaign)


@pytest.mark.parametrize(
    "name",
    ['Jan & zoon\'s "zaak"', "Stichting Gezondheidscentrum Noord-Limburg te Venlo en Omstreken"],
)
def test_a_name_with_signs_of_html_or_without_end_loses_its_promise_too(
    database: Database, name: str
) -> None:
    settings = replace(SETTINGS, organisation=replace(SETTINGS.organisation, name=name))
    news = make_list(database)
    make_contact(database, news)
    launch(
        database, news, settings=settings, now=NOW, deadline=DEADLINE, attest=ATTEST, actor="cli:0"
    )
    add(database, Campaign.get(), now=NOW, settings=settings)
    row = CampaignWording.get(CampaignWording.kind == "ask", CampaignWording.revision == 2)
    draft = read_draft(row.wording.content)
    assert ONCE not in draft.text
    assert ONCE not in draft.html
    # The deadline is still found in it.
    later = replace_deadline(draft, DEADLINE + timedelta(days=2))
    assert later.text != draft.text
    before, after = (
        one.html.count(one.phrases["short_deadline"].replace("\N{NO-BREAK SPACE}", "&nbsp;"))
        for one in (draft, later)
    )
    assert before == after > 0


def test_a_list_without_a_campaign_has_nobody_to_remind(
    database: Database, mailing_list: MailingList
) -> None:
    with pytest.raises(Refused, match="there is no campaign"):
        add_reminder(database, mailing_list, days=7, settings=SETTINGS, now=NOW, actor="cli:0")
