"""What the deadlines that have not passed yet would do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from repermit.db.connection import Database, is_postgresql
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.expiry.forecast import SilentPage, UpcomingExpiry, list_silent, list_upcoming
from repermit.rules.consent import CampaignState, MailKind, MailState, Status
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
)
from tests.support.query_plans import plans_of

INSTANT = timedelta(microseconds=1)


def ask_some(database: Database, mailing_list: MailingList, campaign: Campaign) -> None:
    """Ask two in time, one too late and one not yet; a fifth has answered."""
    for _ in range(2):
        make_asked(database, mailing_list, campaign)
    queued = {"state": MailState.QUEUED, "sent_at": None}
    for facts in ({"sent_at": DEADLINE - timedelta(days=14) + INSTANT}, queued):
        make_mail(database, campaign, make_contact(database, mailing_list), **facts)
    answered = make_contact(database, mailing_list, status=Status.CONFIRMED, basis="answer")
    make_mail(database, campaign, answered)


def test_what_a_deadline_would_do_is_told_before_it_passes(
    database: Database, mailing_list: MailingList
) -> None:
    ask_some(database, mailing_list, make_campaign(database, mailing_list))
    (found,) = list_upcoming(now=NOW)
    assert found == UpcomingExpiry(
        list="news", state=CampaignState.OPEN, deadline=DEADLINE, removed=2, unasked=2
    )


@pytest.mark.parametrize(
    ("late", "found"), [(-1, 1), (0, 0), (1, 0)], ids=["before", "at", "after"]
)
def test_a_deadline_that_has_passed_is_for_the_sweep(
    database: Database, mailing_list: MailingList, late: int, found: int
) -> None:
    make_campaign(database, mailing_list)
    assert len(list_upcoming(now=DEADLINE + late * INSTANT)) == found


@pytest.mark.parametrize("state", CampaignState)
@pytest.mark.parametrize("late", [-1, 1])
def test_live_campaigns_alone_have_something_to_come_and_paused_ones_always(
    database: Database, mailing_list: MailingList, state: CampaignState, late: int
) -> None:
    make_campaign(database, mailing_list, state=state)
    expected = state.is_live and (late < 0 or state is CampaignState.PAUSED)
    assert bool(list_upcoming(now=DEADLINE + late * INSTANT)) is expected


def test_one_list_can_be_asked_for(database: Database, mailing_list: MailingList) -> None:
    other = make_list(database, slug="other")
    for one in (mailing_list, other):
        make_campaign(database, one)
    assert [one.list for one in list_upcoming(now=NOW)] == ["news", "other"]
    assert [one.list for one in list_upcoming(now=NOW, mailing_list=other)] == ["other"]


def test_who_would_be_removed_comes_page_by_page(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    ask_some(database, mailing_list, campaign)
    make_mail(database, campaign, make_contact(database, mailing_list), bounce="hard")
    third = make_asked(database, mailing_list, campaign)
    make_mail(database, campaign, third, kind=MailKind.REMINDER)
    found = list_silent(campaign).contacts
    assert len(found) == list_upcoming(now=NOW)[0].removed == 3
    assert found[-1].address == third.address
    first = list_silent(campaign, limit=2)
    assert [one.id for one in first.contacts] == [one.id for one in found[:2]]
    rest = list_silent(campaign, after=first.after, limit=2)
    assert ([one.id for one in rest.contacts], rest.after) == ([third.id], 0)


def test_others_campaigns_have_their_own_silent(
    database: Database, mailing_list: MailingList
) -> None:
    earlier = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    make_asked(database, mailing_list, earlier)
    assert list_silent(make_campaign(database, mailing_list)) == SilentPage((), 0)


@pytest.mark.counted_on_both
def test_no_page_of_the_silent_looks_at_everybody(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    asked = make_asked(database, mailing_list, campaign)
    rows = [
        {
            "list": mailing_list,
            "uid": new_id(),
            "subject": new_id(),
            "address_key": f"{number}@example.net",
            "status": Status.UNCONFIRMED,
            "status_at": NOW,
        }
        for number in range(600)
    ]
    with database.atomic():
        Contact.insert_many(rows).execute()
    last = make_asked(database, mailing_list, campaign)
    first = list_silent(campaign, max_examined=1)
    assert [one.id for one in first.contacts] == [asked.id]
    assert list_silent(campaign, after=first.after, max_examined=1) == SilentPage((last,), 0)
    assert list_silent(campaign).contacts == (asked, last)
    people = plans_of(database, lambda: list_silent(campaign, max_examined=1))[0]
    asks = plans_of(database, lambda: list_silent(campaign, max_examined=1), having=" IN (")[0]
    assert "contact_id" in asks
    if is_postgresql(database):
        assert "Sort" not in people
    else:
        assert "(list_id=? AND status=? AND reason=? AND id>?)" in people
        assert "TEMP B-TREE" not in people
