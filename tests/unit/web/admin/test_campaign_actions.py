"""What is done to a campaign from its live page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit.campaigns.launch import launch
from repermit.contacts import circuit_breaker
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.expiry import downtime
from repermit.expiry import sweep as expiry_sweep
from repermit.rules.consent import CampaignState, MailState
from repermit.sending import in_doubt
from repermit.web.admin import campaign_actions
from tests.support.admin_pages import ENGLISH, admin_client, csrf_token, post, words_at
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_mail,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import ATTEST
from tests.support.public_pages import Pages, words_of
from tests.unit.web.admin.test_mail_wording import TEXT

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/"


def look(client: FlaskClient, url: str = URL) -> str:
    """Return what a page says, in English."""
    return words_at(client, url)


def press(client: FlaskClient, what: str, **fields: Any) -> str:
    """Press a button of the live page; return what the page says then."""
    response = post(client, URL + what, **fields)
    assert response.status_code == 303, response.text
    assert response.location == "/admin/lists/news/"
    return look(client)


def state() -> str:
    found: str = Campaign.get().state
    return found


def test_pause_and_resume(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list)
    assert "Paused. Nobody is asked" in press(client, "pause")
    assert state() == CampaignState.PAUSED
    assert "The campaign goes on." in press(client, "resume")
    assert state() == CampaignState.OPEN
    actors = {entry.actor for entry in Evidence.select()}
    assert all(actor.startswith("user:") for actor in actors)


def test_what_cannot_be_done_is_said(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list)
    assert "This cannot be done now: the campaign" in press(client, "resume")


def test_silence_counts_despite_downtime_once_an_admin_has_decided_so(
    database: Database, pages: Pages, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list, downtime=2 * 24 * 3600)
    silent = make_asked(database, mailing_list, campaign)
    assert "Let silence count" not in look(client)
    assert "there is nothing to decide" in press(client, "count-silence", sure="yes").lower()
    downtime.record_heartbeat(database, now=DEADLINE)
    pages.clock.move_to(DEADLINE)
    later = admin_client(pages)

    def sweep() -> int:
        swept = expiry_sweep.expire_due(database, settings=pages.settings, clock=pages.clock)
        return int(swept.removed)

    assert sweep() == 0
    assert "Let silence count all the same" in look(later)
    assert "tick that you are sure" in press(later, "count-silence")
    assert sweep() == 0
    assert "taken off within seconds" in press(later, "count-silence", sure="yes")
    decided = Evidence.get(Evidence.event == "expired_despite_downtime")
    assert decided.actor.startswith("user:")
    assert sweep() == 1
    assert Contact.get_by_id(silent.id).reason == "no_response"
    assert "there is nothing to decide" in press(later, "count-silence", sure="yes").lower()
    assert list(iter_chain_faults()) == []


def test_after_a_pilot_it_says_how_many_may_leave(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(
        database, mailing_list, state="paused", paused_from="sending", pause_reason="pilot", pilot=1
    )
    for _ in range(3):
        make_mail(
            database,
            campaign,
            make_contact(database, mailing_list),
            state="queued",
            sent_at=None,
            due_at=circuit_breaker.AFTER_PILOT,
        )
    assert "3 more mails may leave now" in press(client, "resume")


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (
            DEADLINE - timedelta(days=14, seconds=-1),
            ("would have less than 14 days to answer", "enough is Monday 30 March 2026."),
        ),
        (
            DEADLINE,
            ("The deadline has passed meanwhile", "enough is Monday 13 April 2026."),
        ),
    ],
)
def test_a_resume_that_would_be_refused_is_not_offered(
    database: Database,
    mailing_list: MailingList,
    pages: Pages,
    moment: Any,
    told: tuple[str, str],
) -> None:
    make_campaign(
        database, mailing_list, state="paused", paused_from="sending", pause_reason="pilot", pilot=1
    )
    pages.clock.move_to(moment)
    page = admin_client(pages).get(URL, headers=ENGLISH)
    assert all(said in words_of(page) for said in told)
    assert "/resume" not in page.text


def test_nobody_cancels_by_accident(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list)
    assert "tick that you are sure" in press(client, "cancel")
    assert state() == CampaignState.OPEN
    assert "Cancelled. Nobody is removed" in press(client, "cancel", sure="yes")
    assert state() == CampaignState.CANCELLED
    assert "What you may do" not in look(client)


@pytest.mark.parametrize(
    ("fields", "hour"),
    [({"until": "2026-04-02"}, 22), ({"until": "2026-04-02", "at": "12:00"}, 10)],
)
def test_a_deadline_is_moved(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    fields: dict[str, str],
    hour: int,
) -> None:
    campaign = make_campaign(database, mailing_list)
    make_asked(database, mailing_list, campaign)
    with database.atomic():
        assert not CampaignWording.select().exists()
    said = press(client, "extend", **fields)
    assert "Answers count until Thursday 2 April 2026" in said
    assert "One mail that was sent names the earlier one." in said
    # Nearly midnight is nearly ten in the evening in UTC.
    assert Campaign.get().deadline.hour == hour - (hour == 22)
    make_asked(database, mailing_list, campaign)
    assert "2 mails that were sent" in press(client, "extend", until="2026-04-03")


def test_a_deadline_is_moved_with_a_reason(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list)
    press(client, "extend", until="2026-04-02", note="The post was late.")
    with database.atomic():
        told = [json.loads(one.json) for one in EvidencePart.select()]
    assert [one["note"] for one in told if "to" in one] == ["The post was late."]


def test_a_reminder_that_has_still_to_leave_moves_with_the_deadline(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list, reminder_at=DEADLINE - timedelta(days=7))
    said = press(client, "extend", until="2026-04-02")
    assert "The reminder has moved with it." in said
    assert "is reminded on Thursday 26 March 2026" in said
    with database.atomic():
        Campaign.update(reminder_at=None).where(Campaign.id == campaign.id).execute()
    assert "reminder" not in press(client, "extend", until="2026-04-03").split("What you may do")[0]


def test_a_deadline_moves_silently_while_nothing_was_sent(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list)
    assert "earlier one." not in press(client, "extend", until="2026-04-02")


@pytest.mark.parametrize(
    ("until", "at", "said"),
    [
        ("2026-03-29", "", "A deadline only moves later: it is Monday 30 March 2026"),
        ("soon", "", "Give a day, or"),
        # The clocks go forward in that night.
        (
            "2027-03-28",
            "02:30",
            "does not exist on that day, since the clocks change",
        ),
    ],
)
def test_a_wrong_deadline_is_said_and_what_was_typed_stays(
    campaign: Campaign, client: FlaskClient, until: str, at: str, said: str
) -> None:
    assert campaign.deadline == DEADLINE
    response = client.post(
        URL + "extend",
        data={"until": until, "at": at, "note": "The post", "csrf_token": csrf_token(client)},
        headers=ENGLISH,
    )
    assert response.status_code == 422
    assert said in words_of(response)
    assert f'value="{until}"' in response.text
    assert f'value="{at}"' in response.text
    assert 'value="The post"' in response.text
    assert Campaign.get().deadline == DEADLINE


def test_a_deadline_needs_a_campaign(client: FlaskClient) -> None:
    assert post(client, URL + "extend", until="2026-04-02").status_code == 422


# --- A reminder for a campaign that is under way. -------------------------------------------------


def launch_news(database: Database, mailing_list: MailingList, **facts: Any) -> None:
    """Launch a campaign without a reminder, of which no mail has left."""
    for name, value in facts.items():
        setattr(mailing_list, name, value)
    mailing_list.save()
    make_contact(database, mailing_list)
    launch(
        database,
        mailing_list,
        settings=make_settings(),
        now=NOW,
        deadline=DEADLINE,
        attest=ATTEST,
        actor="cli:0",
    )


def test_a_reminder_is_added_once(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    launch_news(database, mailing_list)
    assert "Remind who has not answered" in words_at(client, URL)
    said = press(client, "remind", days="7")
    assert "Whoever has not answered is reminded on Monday 23 March 2026, 11:00" in said
    assert "Remind who has not answered" not in said
    assert Evidence.select().where(Evidence.event == "reminder_added").count() == 1
    again = post(client, URL + "remind", days="6")
    assert again.status_code == 422
    assert Evidence.select().where(Evidence.event == "reminder_added").count() == 1
    logged = words_at(client, "/admin/log/")
    assert "added a reminder" in logged
    assert "for Monday 23 March 2026, 11:00" in logged


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ("", "Give a number of days from 1 to 365."),
        ("0", "Give a number of days from 1 to 365."),
        ("366", "Give a number of days from 1 to 365."),
        ("300", "it can only leave between now and the deadline"),
        ("28", "people need a day between the two"),
    ],
)
def test_a_wrong_reminder_is_said_at_its_field_and_what_was_typed_stays(
    database: Database, mailing_list: MailingList, client: FlaskClient, days: str, said: str
) -> None:
    launch_news(database, mailing_list)
    data = {"days": days, "csrf_token": csrf_token(client)}
    response = client.post(URL + "remind", data=data, headers=ENGLISH)
    assert response.status_code == 422
    assert said in words_of(response)
    assert f'value="{days}" aria-invalid="true" aria-describedby="days-wrong"' in response.text


def test_where_people_were_told_that_they_are_asked_once_there_is_none(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    launch_news(database, mailing_list)
    with database.atomic():
        Mail.update(state=MailState.SENT, sent_at=NOW).execute()
    page = client.get(URL, headers=ENGLISH)
    assert "a reminder would break that promise" in words_of(page)
    assert 'name="days"' not in page.text
    assert post(client, URL + "remind", days="7").status_code == 422


def test_own_words_are_the_admins_to_vouch_for(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    launch_news(database, mailing_list, own_text=TEXT)
    assert 'name="not_promised"' in client.get(URL).text
    data = {"days": "7", "csrf_token": csrf_token(client)}
    refused = client.post(URL + "remind", data=data, headers=ENGLISH)
    assert "say that they do not promise to ask only once" in words_of(refused)
    assert "is reminded on" in press(client, "remind", days="7", not_promised="yes")


def test_mails_in_doubt_are_decided_on(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    for _ in range(2):
        doubtful = make_contact(database, mailing_list)
        make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    assert "Of 2 mails nobody knows" in look(client)
    assert "2 mails are sent again." in press(client, "resolve", decision="resend", shown=2)
    with database.atomic():
        Mail.update(state=MailState.IN_DOUBT).execute()
    assert "2 mails count as failed" in press(client, "resolve", decision="leave", shown=2)
    assert {mail.state for mail in Mail.select()} == {MailState.FAILED}


TOLD = {
    "resend": "decided to send the mails in doubt again. 50 are still to be queued",
    "leave": "leave the mails in doubt at that. 50 are still to be counted as failed",
}


@pytest.mark.parametrize("decision", TOLD)
def test_a_decision_on_many_is_told_while_it_goes_on(
    database: Database,
    campaign: Campaign,
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    decision: str,
) -> None:
    monkeypatch.setattr(campaign_actions, "_MAX_MAILS_AT_ONCE", 100)
    for _ in range(150):
        doubtful = make_contact(database, campaign.list)
        make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    assert "150 mails" in press(client, "resolve", decision=decision, shown=150)
    assert Mail.select().where(Mail.state == MailState.IN_DOUBT).count() == 50
    for page in ("", "doubts"):
        response = client.get(URL + page, headers=ENGLISH)
        assert TOLD[decision] in words_of(response)
        # What is decided is not to be decided again.
        assert 'name="decision"' not in response.text
    in_doubt.finish_resolutions(database)
    assert "It is decided" not in look(client)
    assert not Mail.select().where(Mail.state == MailState.IN_DOUBT).exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"shown": 1},
        {"decision": "", "shown": 1},
        {"decision": "no", "shown": 1},
        {"decision": "leave"},
        {"decision": "resend", "shown": "x"},
    ],
)
def test_what_decides_nothing_about_doubts_is_refused(
    database: Database, campaign: Campaign, client: FlaskClient, fields: dict[str, Any]
) -> None:
    doubtful = make_contact(database, campaign.list)
    make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    assert post(client, URL + "resolve", **fields).status_code == 400
    assert Mail.get().state == MailState.IN_DOUBT


@pytest.mark.parametrize("decision", ["resend", "leave"])
def test_other_doubts_than_were_shown_are_not_decided_on(
    database: Database, campaign: Campaign, client: FlaskClient, decision: str
) -> None:
    for _ in range(2):
        doubtful = make_contact(database, campaign.list)
        make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    said = press(client, "resolve", decision=decision, shown=1)
    assert "Other mails are in doubt than were shown" in said
    assert {mail.state for mail in Mail.select()} == {MailState.IN_DOUBT}
    assert state() == CampaignState.OPEN
    assert not Evidence.select().exists()


@pytest.mark.parametrize("page", ["", "doubts"])
def test_the_count_that_is_shown_goes_along(
    database: Database, campaign: Campaign, client: FlaskClient, page: str
) -> None:
    for _ in range(2):
        doubtful = make_contact(database, campaign.list)
        make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    assert client.get(URL + page).text.count('name="shown" value="2"') == 2
