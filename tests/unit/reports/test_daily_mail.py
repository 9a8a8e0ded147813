"""The admin's daily mail: owed once, at four in the afternoon, if there is news."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from repermit.contacts.erasure import erase_contact
from repermit.contacts.human_replies import save_reply, settle_replies
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.emails import mail_types
from repermit.emails.conditional_sentences import make_daily_mail_texts
from repermit.emails.mail_types import DailySummary
from repermit.evidence import stored_tree
from repermit.reports import daily_and_closing_mail
from repermit.rules.consent import CampaignState, Reason
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_settings,
)
from tests.support.query_plans import statements_in_transactions
from tests.support.report_campaign import make_rich
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off

# In Amsterdam it is one hour later in winter.
FOUR = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)


def owe(database: Database, now: datetime) -> int:
    return daily_and_closing_mail.enqueue_daily_mails(database, settings=make_settings(), now=now)


def told() -> list[DailySummary | None]:
    return [mail_types.parse_daily_summary(mail.topic) for mail in _notices()]


def _notices() -> list[Mail]:
    return list(Mail.select().where(Mail.kind == "notice").order_by(Mail.id))


@pytest.mark.parametrize(("late", "owed"), [(-1, 0), (0, 1), (1, 1)], ids=["before", "at", "after"])
def test_it_is_owed_at_four_in_the_afternoon(
    database: Database, mailing_list: MailingList, campaign: Campaign, late: int, owed: int
) -> None:
    say_yes(database, make_asked(database, mailing_list, campaign), campaign.id)
    assert owe(database, FOUR + late * INSTANT) == owed
    assert [mail.due_at for mail in _notices()] == [FOUR] * owed


def test_it_tells_what_came_and_how_all_stand(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    one, two, three, four, _ = [make_asked(database, mailing_list, campaign) for _ in range(5)]
    say_yes(database, one, campaign.id)
    take_off(database, two, campaign.id)
    take_off(database, three, campaign.id, Reason.BOUNCE)
    say_yes(database, four, campaign.id)
    take_off(database, four, campaign.id, Reason.WITHDRAWN)
    take_off(database, make_contact(database, mailing_list), 0, Reason.REQUEST)
    assert owe(database, FOUR) == 1
    assert told() == [
        mail_types.DailySummary(
            since=NOW,
            yes=2,
            no=1,
            withdrawn=1,
            others=2,
            asked=5,
            all_yes=1,
            all_no=3,
            silent=1,
            seq=stored_tree.checkpoint().seq,
        )
    ]


def test_a_list_with_a_sign_up_form_alone_has_it_too(
    database: Database, mailing_list: MailingList
) -> None:
    gone = make_contact(database, mailing_list)
    take_off(database, gone, 0, at=FOUR - INSTANT)
    make_list(database, slug="quiet")
    assert owe(database, FOUR) == 1
    (news,) = told()
    assert news
    assert (news.since, news.no, news.asked) == (FOUR - DAY, 1, 0)
    assert make_daily_mail_texts(news, "en")["in_all"] == []
    assert owe(database, FOUR + DAY) == 0


def test_what_was_told_by_an_earlier_version_is_not_told_again(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    take_off(database, make_asked(database, mailing_list, campaign), campaign.id)
    upto = stored_tree.checkpoint().seq
    with database.atomic():
        # Until December 2026 it was noted by campaign.
        Meta.write(f"daily_{campaign.id}", json.dumps({"upto": upto, "at": FOUR.isoformat()}))
    assert owe(database, FOUR) == owe(database, FOUR + DAY) == 0


def test_a_reply_that_waits_is_told_every_day_until_it_is_decided_on(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    contact = make_asked(database, mailing_list, campaign)
    with database.atomic():
        save_reply(contact, digest="1", proposed="no", at=NOW, decided_at=None)
    assert owe(database, FOUR) == owe(database, FOUR + DAY) == 1
    assert [(news.replies, news.no) for news in told() if news] == [(1, 0)] * 2
    with database.atomic():
        settle_replies(contact, at=FOUR + DAY)
    assert owe(database, FOUR + 2 * DAY) == 0


def test_how_all_stand_adds_up(database: Database) -> None:
    make_rich(database)
    assert owe(database, FOUR) == 1
    (news,) = told()
    assert news
    parts = (news.all_yes, news.all_no, news.silent, news.waiting, news.unasked, news.otherwise)
    assert (sum(parts), min(parts) > 0) == (news.asked, True)
    texts = make_daily_mail_texts(news, "en")["in_all"]
    first, *others = [int(text.rpartition(" ")[2]) for text in texts]
    assert sum(others) == first


def test_a_day_of_any_size_is_counted_while_nothing_is_locked(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    say_yes(database, make_asked(database, mailing_list, campaign), campaign.id)
    ran = statements_in_transactions(database, lambda: owe(database, FOUR))
    assert len(_notices()) == 1
    assert ran
    assert not [statement for statement in ran if 'FROM "evidence' in statement]


def test_nothing_is_told_twice_and_without_news_there_is_no_mail(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    contact = make_asked(database, mailing_list, campaign)
    assert owe(database, FOUR) == 0
    # Recorded late; it waits until tomorrow, and is in no other mail.
    take_off(database, contact, campaign.id, at=FOUR - INSTANT)
    assert owe(database, FOUR + timedelta(hours=1)) == 0
    assert owe(database, FOUR + DAY) == 1
    assert owe(database, FOUR + DAY) == owe(database, FOUR + 2 * DAY) == 0
    (news,) = told()
    assert news
    assert (news.since, news.no) == (FOUR, 1)


def test_what_comes_at_four_belongs_to_the_next_day(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    for at in (FOUR - INSTANT, FOUR, FOUR - INSTANT):
        take_off(database, make_asked(database, mailing_list, campaign), campaign.id, at=at)
    assert owe(database, FOUR + INSTANT) == 1
    assert owe(database, FOUR + DAY) == 1
    assert [news.no for news in told() if news] == [1, 2]


@pytest.mark.parametrize("state", CampaignState)
def test_every_campaign_that_was_launched_has_it(
    database: Database, mailing_list: MailingList, state: CampaignState
) -> None:
    campaign = make_campaign(database, mailing_list, state=state)
    say_yes(database, make_asked(database, mailing_list, campaign), campaign.id)
    assert owe(database, FOUR) == 1
    # A draft has asked nobody; what happens on its list is told without it.
    assert [news.asked for news in told() if news] == [int(state != CampaignState.DRAFT)]


@pytest.mark.parametrize("state", [CampaignState.CLOSED, CampaignState.CANCELLED])
def test_who_leaves_after_the_end_of_a_campaign_is_told(
    database: Database, mailing_list: MailingList, campaign: Campaign, state: CampaignState
) -> None:
    owe(database, FOUR)
    one, two = [make_asked(database, mailing_list, campaign) for _ in range(2)]
    take_off(database, one, campaign.id, Reason.NO_RESPONSE, at=FOUR + timedelta(hours=2))
    with database.atomic():
        Campaign.update(state=state, closed_at=FOUR + timedelta(hours=2)).execute()
    assert owe(database, FOUR + DAY) == 1
    assert owe(database, FOUR + 20 * DAY) == 0
    take_off(database, two, campaign.id, at=FOUR + 20 * DAY)
    assert owe(database, FOUR + 21 * DAY) == 1
    news = told()[-1]
    assert news
    assert (news.since, news.no) == (FOUR + 20 * DAY, 1)


def test_what_came_between_two_campaigns_is_told_once(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    one, two = [make_asked(database, mailing_list, campaign) for _ in range(2)]
    say_yes(database, one, campaign.id)
    assert owe(database, FOUR) == 1
    with database.atomic():
        Campaign.update(state=CampaignState.CLOSED, closed_at=FOUR).execute()
    take_off(database, two, campaign.id, at=FOUR + timedelta(hours=1))
    make_campaign(database, mailing_list, launched_at=FOUR + timedelta(hours=2))
    assert owe(database, FOUR + DAY) == 1
    assert [(news.since, news.yes, news.no) for news in told() if news] == [
        (NOW, 1, 0),
        (FOUR, 0, 1),
    ]


def test_it_counts_who_deleted_their_own_data_apart(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    before, stays, retired = [make_asked(database, mailing_list, campaign) for _ in range(3)]
    take_off(database, before, campaign.id)
    take_off(database, retired, campaign.id)
    assert owe(database, FOUR) == 1
    # One who had left already, one who leaves so, and one whose time is over.
    for contact, actor in ((before, "person"), (stays, "person"), (retired, "job")):
        with database.atomic():
            erase_contact(
                Contact.get_by_id(contact.id),
                act=Act(at=FOUR, actor=actor),
                fingerprint_key=make_settings().fingerprint_key,
            )
    assert owe(database, FOUR + DAY) == 1
    first, news = told()
    assert first
    assert news
    assert (first.erased, news.erased, news.others) == (0, 2, 1)
    assert news.is_any_gone
    lines = make_daily_mail_texts(news, "en")["today"]
    assert [line for line in lines if "no file names them" in line and line.endswith(": 2")]


def test_a_campaign_that_was_launched_after_four_waits_for_its_first_day(
    database: Database, mailing_list: MailingList
) -> None:
    # What was there before the launch is no news of it, but of the list.
    take_off(database, make_contact(database, mailing_list), 0, at=NOW)
    campaign = make_campaign(database, mailing_list, launched_at=FOUR)
    assert owe(database, FOUR + timedelta(hours=8)) == 1
    say_yes(database, make_asked(database, mailing_list, campaign), campaign.id, at=FOUR)
    assert owe(database, FOUR + DAY) == 1
    assert [(news.yes, news.no, news.asked) for news in told() if news] == [(0, 1, 0), (1, 0, 1)]


def test_many_processes_owe_it_once(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    say_yes(database, make_asked(database, mailing_list, campaign), campaign.id)

    def do(_: int) -> int:
        with database.connection_context():
            return owe(database, FOUR)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(do, range(4))) == 1
    assert len(_notices()) == 1
