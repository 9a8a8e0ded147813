"""The first page: every list at a glance, and what waits for a decision."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from repermit.clock import format_timestamp, parse_when
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign, Draft
from repermit.db.models.imports import Upload
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Reply
from repermit.rules.consent import CampaignState, MailState, PauseReason, Reason, Status
from repermit.sending.server_faults import record_fault
from tests.support.admin_pages import client_of, make_admin, viewer_client
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
)
from tests.support.public_pages import Pages, heading_of, words_of
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off

if TYPE_CHECKING:
    from flask.testing import FlaskClient

NAME = "Nieuws van de praktijk"


def look(client: FlaskClient) -> str:
    """Return what the page says, in English."""
    response = client.get("/admin/", headers={"Accept-Language": "en"})
    assert response.status_code == 200
    return words_of(response)


def make_reply(database: Database, campaign: Campaign) -> None:
    contact = make_asked(database, campaign.list, campaign)
    with database.atomic():
        Reply.create(
            list=campaign.list, contact=contact, message_digest=contact.uid, proposed="", at=NOW
        )


def test_without_a_list_it_says_how_to_begin(client: FlaskClient, pages: Pages) -> None:
    assert "There is no list yet. A campaign takes five steps" in look(client)
    assert 'href="/admin/new-list"' in client.get("/admin/").text
    assert "five steps" not in look(viewer_client(pages))
    assert "/admin/new-list" not in viewer_client(pages).get("/admin/").text


def test_a_campaign_is_shown_with_its_state_deadline_and_counts(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    asked = [make_asked(database, mailing_list, campaign) for _ in range(4)]
    say_yes(database, asked[0], campaign.id)
    said = look(client)
    assert f"{NAME} The campaign is open for answers ." in said
    assert "Answers count until Monday 30 March 2026" in said
    assert "that is in 28 days." in said
    assert "Yes 1 No, or gone 0 no answer yet 3 still to be asked 0" in said
    assert "Nothing waits for a decision." in said


@pytest.mark.parametrize(
    ("deadline", "time"),
    [
        ("2026-03-02T10:30", "30 minutes"),
        ("2026-03-03", "38 hours"),
        ("2026-03-04", "2 days"),
        ("2026-03-30T09:00", "28 days"),
        ("2026-03-30", "28 days"),
    ],
)
def test_days_until_the_deadline_are_counted_as_the_conditions_count_them(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    deadline: str,
    time: str,
) -> None:
    moment = parse_when(deadline, ZoneInfo("Europe/Amsterdam"))
    make_campaign(database, mailing_list, deadline=moment)
    assert f"that is in {time}." in look(client)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("state", "said"),
    [
        (CampaignState.SCHEDULED, "The campaign begins later : Monday 2 March 2026"),
        (CampaignState.SENDING, "is being sent ."),
        (CampaignState.PAUSED, "is paused ."),
        (CampaignState.CLOSED, "is closed , since Monday 30 March 2026. Of 1 people asked, 0"),
        (CampaignState.CANCELLED, "was cancelled , since Monday 30 March 2026."),
    ],
)
def test_each_state_is_said(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    state: CampaignState,
    said: str,
) -> None:
    closed_at = None if state.is_live else DEADLINE
    campaign = make_campaign(database, mailing_list, state=state, closed_at=closed_at)
    asked = make_asked(database, mailing_list, campaign)
    if state is CampaignState.CLOSED:
        take_off(database, asked, campaign.id, Reason.NO_RESPONSE)
    assert said in look(client)


def test_who_could_not_be_asked_is_none_of_those_who_were(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list, state="cancelled", closed_at=DEADLINE)
    dropped = {"state": "dropped", "reason": "cancelled", "sent_at": None}
    make_mail(database, campaign, make_contact(database, mailing_list), **dropped)
    assert "people asked" not in look(client)
    make_asked(database, mailing_list, campaign)
    assert "Of 1 people asked, 0 said Yes" in look(client)
    refused = make_contact(database, mailing_list)
    make_mail(database, campaign, refused, state="failed", bounce="hard", sent_at=None)
    take_off(database, refused, campaign.id, Reason.BOUNCE)
    assert "Of 1 people asked, 0 said Yes" in look(client)


def test_a_list_without_a_campaign_shows_its_people_by_status(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, status=Status.CONFIRMED, basis="answer")
    make_contact(database, mailing_list, status=Status.CUSTOMER, basis="customer")
    make_removed(database, mailing_list, Reason.NO)
    make_removed(database, mailing_list, Reason.BOUNCE)
    said = look(client)
    assert "No campaign yet. How" not in said
    assert "confirmed 1 customer 1 not confirmed 0 removed 2" in said
    assert "there is nobody to ask" in said


def test_lists_under_way_come_first_then_by_name(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_list(database, slug="a", name="alpha")
    make_list(database, slug="b", name="Beta")
    make_campaign(database, mailing_list)
    said = client.get("/admin/").text.partition('class="card standing"')[2]
    assert said.index(NAME) < said.index("alpha") < said.index("Beta")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (PauseReason.PILOT, "The pilot has been asked; the others wait for you."),
        (PauseReason.BOUNCES, "It paused by itself: too many mails came back."),
        (PauseReason.COMPLAINT, "It paused by itself: a mail was reported as unwanted."),
    ],
)
def test_a_pause_by_itself_waits_for_the_admin(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    reason: PauseReason,
    said: str,
) -> None:
    make_campaign(
        database, mailing_list, state="paused", paused_from="sending", pause_reason=reason
    )
    assert f"Waiting for your decision {NAME} : {said}" in look(client)


def test_a_pause_of_the_admins_own_waits_only_after_the_deadline(
    database: Database, pages: Pages, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list, state="paused", paused_from="open")
    admin = make_admin(database)
    with database.atomic():
        Meta.create(key="beat_at", value=format_timestamp(DEADLINE))
    pages.clock.advance(DEADLINE - NOW - timedelta(seconds=1))
    assert "deadline has passed" not in look(client_of(pages, admin))
    pages.clock.advance(timedelta(seconds=1))
    said = look(client_of(pages, admin))
    assert "It is paused, and its deadline has passed: extend or cancel it." in said
    assert "The deadline has passed: Monday 30 March 2026" in said


def test_pages_that_were_down_for_long_wait_for_the_admin(
    database: Database, pages: Pages, client: FlaskClient, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list, downtime=86_400)
    assert "were down" not in look(client)
    campaign.downtime = 86_401
    campaign.save()
    assert "nobody is removed until you decide" in look(client)
    campaign.state = CampaignState.CLOSED
    campaign.save()
    assert "were down" not in look(client)
    assert pages.clock.now() == NOW


def test_replies_and_doubts_are_counted_with_where_they_are_decided(
    database: Database, client: FlaskClient, pages: Pages, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list)
    make_reply(database, campaign)
    make_reply(database, campaign)
    contact = make_contact(database, mailing_list)
    make_mail(database, campaign, contact, state=MailState.IN_DOUBT)
    said = look(client)
    assert "2 replies to decide." in said
    assert "One mail in doubt." in said
    html = client.get("/admin/").text
    assert "/admin/lists/news/replies" in html
    assert "/admin/lists/news/doubts" in html
    theirs = viewer_client(pages)
    assert "Waiting for an admin" in look(theirs)
    assert "2 replies to decide." in look(theirs)
    assert "/admin/lists/news/replies" not in theirs.get("/admin/").text


def test_a_fault_of_the_mail_server_is_told_while_a_campaign_is_under_way(
    database: Database, client: FlaskClient, pages: Pages, mailing_list: MailingList
) -> None:
    record_fault(database, "the server does not take the login", now=NOW)
    assert "No mail leaves" not in look(client)
    make_campaign(database, mailing_list, state="sending")
    said = look(client)
    assert "No mail leaves since Monday 2 March 2026" in said
    assert "the server does not take the login. It is tried again by itself" in said
    assert "Look at the mail server" in said
    assert "Look at the mail server" not in look(viewer_client(pages))


def test_what_was_begun_is_not_forgotten(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    assert "Nobody is on it yet: hand in a file." in look(client)
    upload = {"list": mailing_list, "user": make_admin(database), "token": "1", "name": "a.csv"}
    with database.atomic():
        Upload.create(**upload, at=NOW)
    said = look(client)
    assert "A file was handed in and not taken in yet." in said
    assert "hand in a file" not in said
    with database.atomic():
        Upload.delete().execute()
    make_contact(database, mailing_list)
    assert "One person has still to be asked: go on with the mail." in look(client)
    make_contact(database, mailing_list)
    assert "2 people have still to be asked" in look(client)
    with database.atomic():
        Draft.create(list=mailing_list, updated_at=NOW)
    assert "A campaign is prepared and not launched yet." in look(client)
    make_campaign(database, mailing_list)
    assert "not launched yet" not in look(client)


def test_a_list_whose_campaign_is_over_has_nothing_unfinished(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list)
    make_campaign(database, mailing_list, state="closed", closed_at=DEADLINE)
    assert "Nothing waits for a decision." in look(client)


def test_it_is_the_page_that_everybody_begins_at(client: FlaskClient) -> None:
    answer = client.get("/admin/", headers={"Accept-Language": "nl"})
    assert heading_of(answer) == "Lijsten"
