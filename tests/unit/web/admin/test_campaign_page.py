"""The live page of a campaign: what it shows, and to whom."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from repermit.contacts import status_changes
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.connection import Database
from repermit.db.models.accounts import Access
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Opening
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence import chain, stored_tree
from repermit.evidence.entries import Entry
from repermit.expiry import downtime
from repermit.reports import statistics
from repermit.rules.consent import Basis, BounceKind, CampaignState, MailState, Reason
from repermit.settings.definitions import Bounces, MailServer, Settings
from repermit.web.admin.campaign_page import format_wait
from tests.support.admin_pages import ENGLISH, admin_client, post, viewer_client, words_at
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_mail,
    make_settings,
)
from tests.support.public_pages import Pages, everything_in, words_of
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/"


def look(client: FlaskClient, url: str = URL) -> str:
    """Return what a page says, in English."""
    return words_at(client, url)


def advance(database: Database, pages: Pages, time: timedelta) -> None:
    """Let time pass in which the answer pages are up."""
    pages.clock.advance(time)
    downtime.assume_up_until(database, moment=pages.clock.now())


def state() -> str:
    found: str = Campaign.get().state
    return found


# --- What it shows.


def test_a_list_without_a_campaign_offers_to_prepare_one(client: FlaskClient, pages: Pages) -> None:
    assert "no campaign on this list yet" in look(client)
    assert "/describe" in client.get(URL).text
    assert "Prepare one" not in look(viewer_client(pages))
    assert client.get(URL + "figures").status_code == 404


def test_a_checkpoint_of_the_record_is_there_to_be_copied(
    client: FlaskClient, pages: Pages, database: Database, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list)
    with database.atomic():
        chain.append(Entry(event="noted", at=NOW, actor="job"))
    for its_client in (client, viewer_client(pages)):
        kept = json.dumps(stored_tree.checkpoint().to_json(), sort_keys=True)
        assert kept in words_at(its_client, URL)


def test_a_list_that_is_not_there_is_not_found(client: FlaskClient) -> None:
    assert client.get("/admin/lists/other/").status_code == 404


@pytest.mark.parametrize(
    ("campaign_state", "said"),
    [
        ("scheduled", "begins on Monday 2 March 2026"),
        ("sending", "is being sent"),
        ("paused", "is paused"),
        ("open", "is open for answers . Answers count until Monday 30 March 2026"),
        ("closed", "is closed . It ended on"),
        ("cancelled", "was cancelled . It ended on"),
    ],
)
def test_it_says_how_the_campaign_stands(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    campaign_state: str,
    said: str,
) -> None:
    is_live = CampaignState(campaign_state).is_live
    make_campaign(
        database, mailing_list, state=campaign_state, closed_at=None if is_live else DEADLINE
    )
    assert said in look(client)
    assert ("data-refresh" in client.get(URL).text) is is_live


def test_it_counts_people_and_draws_their_answers(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    asked = [make_asked(database, mailing_list, campaign) for _ in range(6)]
    for contact in asked[:3]:
        say_yes(database, contact, campaign.id)
    take_off(database, asked[3], campaign.id, at=NOW + timedelta(days=1))
    said = look(client)
    for text in (
        "6 in this campaign",
        "3 said Yes",
        "1 said No, or are gone",
        "2 would be removed if the deadline were now",
        "at most 3 on one day",
        "Monday 2 March 2026 3 0",
        "Tuesday 3 March 2026 0 1",
    ):
        assert text in said
    html = client.get(URL).text
    assert html.count('class="today"') == 1
    assert '<rect class="part-yes" x="0.26%" y="0.0%" width="2.93%" height="100.0%">' in html
    assert "Wednesday 4 March" not in said
    # Yes and No are told apart without their colours too, and so they are in the swatches' style.
    patterns = set(re.findall(r'fill="url\(#(\w+)\)"', html))
    assert "striped" in patterns
    assert patterns <= set(re.findall(r'<pattern id="(\w+)"', html))


def test_it_says_how_many_of_a_hundred_have_answered_of_whom_the_question_reached(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    assert "%" not in look(client)
    asked = [make_asked(database, mailing_list, campaign) for _ in range(8)]
    say_yes(database, asked[0], campaign.id)
    take_off(database, asked[1], campaign.id)
    # Of no use as a share: who has no mailbox, and whose mail a server refused.
    take_off(database, make_asked(database, mailing_list, campaign), campaign.id, Reason.BOUNCE)
    make_mail(database, campaign, make_contact(database, mailing_list), state="failed")
    share = "25% of those asked have a Yes or No that holds"
    assert share in look(client)
    assert "1 mail refused or failed" in look(client)
    dutch = words_of(client.get(URL, headers={"Accept-Language": "nl"}))
    assert "25% van wie de vraag kreeg, heeft een Ja of Nee dat geldt" in dutch
    for silent in asked[2:]:
        take_off(database, silent, campaign.id, Reason.NO_RESPONSE, at=DEADLINE)
    with database.atomic():
        campaign.state, campaign.closed_at = CampaignState.CLOSED, DEADLINE
        campaign.save()
    assert share in look(client)


def test_a_sign_up_by_form_counts_as_a_yes_and_on_no_day(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    act = status_changes.Act(at=NOW, actor="person")
    with database.atomic():
        status_changes.confirm_contact(
            contact, basis=Basis.SIGN_UP, act=act, fingerprint_key=make_settings().fingerprint_key
        )
    said = look(client)
    assert "1 said Yes" in said
    assert "no answers yet" in said
    assert "signs up by form counts above as a Yes, and on no day here" in said


def test_a_share_is_none_or_all_only_where_it_is(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    asked = [make_asked(database, mailing_list, campaign) for _ in range(201)]
    assert "0% of those asked" in look(client)
    say_yes(database, asked[0], campaign.id)
    assert "1% of those asked" in look(client)
    for contact in asked[1:-1]:
        say_yes(database, contact, campaign.id)
    assert "99% of those asked" in look(client)
    say_yes(database, asked[-1], campaign.id)
    assert "100% of those asked" in look(client)


def test_a_chart_has_its_scale_from_zero_and_names_the_only_day_with_answers(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    asked = [make_asked(database, mailing_list, campaign) for _ in range(3)]
    for contact in asked[:2]:
        say_yes(database, contact, campaign.id)
    html = client.get(URL, headers=ENGLISH).text
    scale = re.search('<p class="counts"[^>]*><span>(.*?)</span> <span>(.*?)</span></p>', html)
    assert scale
    assert scale.groups() == ("2", "0")
    assert "all on Monday 2 March 2026" in look(client)
    assert "at most" not in look(client)
    take_off(database, asked[2], campaign.id, at=NOW + timedelta(days=1))
    assert "at most 2 on one day" in look(client)
    assert "all on" not in look(client)


def test_a_planned_reminder_is_told_until_it_leaves(
    database: Database, mailing_list: MailingList, client: FlaskClient, pages: Pages
) -> None:
    make_campaign(database, mailing_list, reminder_at=DEADLINE - timedelta(days=7))
    said = "Whoever has not answered is reminded on Monday 23 March 2026"
    assert said in look(client)
    with database.atomic():
        Campaign.update(state="paused").execute()
    assert said not in look(client)
    with database.atomic():
        Campaign.update(state="open").execute()
    advance(database, pages, DEADLINE - timedelta(days=6) - NOW)
    assert said not in look(admin_client(pages))


def test_what_is_over_is_told_as_over(
    database: Database, mailing_list: MailingList, client: FlaskClient, pages: Pages
) -> None:
    campaign = make_campaign(database, mailing_list)
    make_asked(database, mailing_list, campaign)
    running = look(client)
    for text in ("no answer yet", "still to be asked", "mails to go", "no answers yet"):
        assert text in running
    # The deadline has passed, and the next sweep has still to come.
    advance(database, pages, DEADLINE + timedelta(hours=1) - NOW)
    late = admin_client(pages)
    assert "1 did not answer, and are to be removed" in look(late)
    assert "answers still count" not in look(late)
    assert "no answer 1" in look(late, "/admin/")
    for page in (URL, "/admin/"):
        assert "The campaign is over . The deadline has passed" in look(late, page)
    assert "if the deadline were now" not in look(late)
    silent = look(late, URL + "silent")
    assert "They did not answer until the deadline" in silent
    assert "unless they answer" not in silent
    with database.atomic():
        campaign.state, campaign.closed_at = CampaignState.CLOSED, DEADLINE
        campaign.save()
    over = look(late)
    for text in ("yet", "still to be asked", "mails to go", "so far", "would be", "have answered"):
        assert text not in over
    assert "No answers came" in over


def test_what_is_over_is_not_being_sent(
    database: Database, mailing_list: MailingList, pages: Pages
) -> None:
    campaign = make_campaign(database, mailing_list, state="sending")
    make_mail(
        database, campaign, make_contact(database, mailing_list), state="queued", sent_at=None
    )
    advance(database, pages, DEADLINE - NOW)
    late = admin_client(pages)
    for page in (URL, "/admin/"):
        assert "The campaign is over . The deadline has passed" in look(late, page)
    assert "How long it takes" not in look(late)


def test_it_tells_how_far_the_end_of_a_campaign_is(
    database: Database, mailing_list: MailingList, pages: Pages
) -> None:
    campaign = make_campaign(database, mailing_list)
    asked = [make_asked(database, mailing_list, campaign) for _ in range(3)]
    make_mail(
        database, campaign, make_contact(database, mailing_list), state="queued", sent_at=None
    )
    advance(database, pages, DEADLINE - NOW)
    late = admin_client(pages)
    assert "is being taken off" not in look(late)
    take_off(database, asked[0], campaign.id, Reason.NO_RESPONSE, at=DEADLINE)
    assert "Who did not answer is being taken off: 1 of 3 so far" in look(late)
    assert "still to be dropped" not in look(late)
    with database.atomic():
        campaign.state, campaign.closed_at = CampaignState.CANCELLED, DEADLINE
        campaign.save()
    over = look(late)
    assert "One mail that was not sent has still to be dropped" in over
    assert "so far" not in over


def test_a_yes_that_is_held_counts_as_silence_once_the_campaign_is_over(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    with database.atomic():
        Opening.create(contact=contact, list=mailing_list, held_at=NOW, began_at=NOW)
    assert "without one press more they count as silent" in look(client)
    with database.atomic():
        campaign.state, campaign.closed_at = CampaignState.CLOSED, DEADLINE
        campaign.save()
    assert "1 pressed Yes as a program does, and never confirmed it" in look(client)


@pytest.mark.parametrize(
    "page", ["contacts/", "handover/", "papers/", "file", "mail", "conditions"]
)
def test_every_page_of_a_list_says_which_list_it_is(
    mailing_list: MailingList, client: FlaskClient, page: str
) -> None:
    shown = client.get(f"{URL}{page}").text
    assert f'<p class="of-list">{mailing_list.name}</p>' in shown


def test_a_campaign_without_answers_says_so(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list)
    assert "no answers yet" in look(client)


def test_no_address_stands_on_it(
    database: Database, mailing_list: MailingList, client: FlaskClient, pages: Pages
) -> None:
    campaign = make_campaign(database, mailing_list)
    make_asked(database, mailing_list, campaign, "jan@example.net")
    doubtful = make_contact(database, mailing_list, "piet@example.net")
    make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    for one in (client, viewer_client(pages)):
        for url in (URL, URL + "figures"):
            assert "example.net" not in one.get(url).text
    assert Access.select().count() == 0


def test_a_viewer_sees_counts_and_no_button(
    database: Database, mailing_list: MailingList, pages: Pages
) -> None:
    campaign = make_campaign(database, mailing_list)
    contact = make_contact(database, mailing_list)
    make_mail(database, campaign, contact, state=MailState.IN_DOUBT, started_at=NOW)
    viewer = viewer_client(pages)
    said = look(viewer)
    assert "An admin has still to decide: replies 0, mails in doubt 1." in said
    assert viewer.get(URL).text.count("<form") == admin_forms_of_the_frame(viewer)
    for url in ("replies", "doubts", "silent", "contacts/", "handover/"):
        assert viewer.get(URL + url).status_code == 403
    for url in ("pause", "resume", "cancel", "extend", "resolve"):
        assert post(viewer, URL + url).status_code == 403
    assert state() == CampaignState.OPEN


def admin_forms_of_the_frame(client: FlaskClient) -> int:
    """Return how many forms stand on each page, such as that for logging out."""
    return client.get(URL).text.partition("<main")[0].count("<form") + client.get(
        URL
    ).text.partition("</main>")[2].count("<form")


def test_looking_changes_nothing(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    make_asked(database, mailing_list, campaign)
    before = everything_in(database)
    look(client)
    look(client, URL + "figures")
    assert everything_in(database) == before


def test_the_part_that_changes_is_had_by_itself_and_takes_no_sentence_away(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list)
    post(client, URL + "pause")
    part = client.get(URL + "figures", headers=ENGLISH).text
    assert not re.search("<html|<h1|How long things are kept", part)
    assert "Answers by day" in part
    assert "whoever changes their mind is here more than once" in part
    # Buttons and decisions go with the numbers, each in a part of its own.
    assert "Go on" in part.partition('id="acts"')[2].partition('id="more-acts"')[0]
    whole = client.get(URL, headers=ENGLISH).text
    assert re.findall('^<div id="([a-z-]+)"', part, re.MULTILINE) == [
        *("notes", "waiting", "figures", "told", "acts", "more-acts")
    ]
    assert part.partition('id="notes"')[2].partition('id="acts"')[0].strip() in whole
    post(client, URL + "resume")
    post(client, URL + "pause")
    assert "Paused. Nobody is asked" in look(client)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("pilot", "the pilot has been asked"),
        ("bounces", "too many mails were refused"),
        ("complaint", "somebody reported a mail as unwanted"),
    ],
)
def test_it_says_why_a_campaign_paused_by_itself(
    database: Database, mailing_list: MailingList, client: FlaskClient, reason: str, said: str
) -> None:
    campaign = make_campaign(
        database, mailing_list, state="paused", paused_from="sending", pause_reason=reason
    )
    assert said in look(client)
    # Once it is cancelled there is nothing to go on with.
    with database.atomic():
        campaign.state = CampaignState.CANCELLED
        campaign.save()
    assert said not in look(client)


def test_it_says_what_came_back_and_who_reads_it(
    database: Database, mailing_list: MailingList, settings: Settings
) -> None:
    campaign = make_campaign(database, mailing_list)
    unread = look(admin_client(Pages(database, settings)))
    assert "Nobody reads the mailbox" in unread
    for kind in (BounceKind.SOFT, BounceKind.HARD, BounceKind.COMPLAINT):
        make_mail(database, campaign, make_contact(database, mailing_list), bounce=kind)
    by_pipe = look(admin_client(Pages(database, settings)))
    assert "2 came back" in by_pipe
    assert "1 reported as unwanted" in by_pipe
    assert "Nobody reads" not in by_pipe
    reads = replace(settings, bounces=Bounces(protocol="imap", server="mail.example.org"))
    assert "Nobody reads" not in look(admin_client(Pages(database, reads)))


def test_it_tells_what_stands_in_the_way_of_sending(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list, state="sending")
    with database.atomic():
        Meta.create(
            key="sending_fault",
            value='{"reason": "the login was refused", "since": "2026-03-02T08:00:00+00:00",'
            ' "last_at": "2026-03-02T08:00:00+00:00"}',
        )
    make_mail(
        database,
        campaign,
        make_contact(database, mailing_list),
        state=MailState.QUEUED,
        sent_at=None,
        attempts=1,
        reply_code=550,
        reply_status="5.7.1",
        reason="policy",
    )
    said = look(client)
    assert "Sending waits since Monday 2 March 2026" in said
    assert "the login was refused" in said
    assert "1 mail to go" in said
    assert "0 mails refused or failed" in said


def test_the_numbers_of_sending_have_every_mail(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list)
    assert "no longer sent" not in look(client)
    make_mail(
        database,
        campaign,
        make_contact(database, mailing_list),
        state="dropped",
        reason="too_late",
        sent_at=None,
    )
    assert "1 mail no longer sent" in look(client)
    dutch = words_of(client.get(URL, headers={"Accept-Language": "nl"}))
    assert "1 mail niet meer verstuurd" in dutch


def test_the_speed_is_measured_between_two_looks(
    database: Database, mailing_list: MailingList, client: FlaskClient, pages: Pages
) -> None:
    campaign = make_campaign(database, mailing_list, state="sending")
    for _ in range(4):
        make_mail(
            database, campaign, make_contact(database, mailing_list), state="queued", sent_at=None
        )
    assert "How long it takes will be known in a moment." in look(client)
    with database.atomic():
        ids = [mail.id for mail in Mail.select().limit(2)]
        Mail.update(state=MailState.SENT, sent_at=NOW).where(Mail.id.in_(ids)).execute()
    pages.clock.advance(timedelta(seconds=60))
    said = look(client)
    pace = "At this moment 120 mails leave in an hour."
    assert f"{pace} The last one will have left in one minute." in said
    # A pause is no slow sending.
    for state in ("paused", "sending"):
        with database.atomic():
            Campaign.update(state=state).execute()
        pages.clock.advance(timedelta(seconds=30))
        assert "mails leave in an hour" not in look(client)


def test_a_mail_that_waits_for_another_try_is_the_last_to_leave(
    database: Database, mailing_list: MailingList, client: FlaskClient, pages: Pages
) -> None:
    campaign = make_campaign(database, mailing_list, state="sending")
    sent, waiting = (
        make_mail(
            database, campaign, make_contact(database, mailing_list), state="queued", sent_at=None
        )
        for _ in range(2)
    )
    look(client)
    with database.atomic():
        Mail.update(state=MailState.SENT, sent_at=NOW).where(Mail.id == sent.id).execute()
        due_at = NOW + timedelta(minutes=5)
        Mail.update(due_at=due_at).where(Mail.id == waiting.id).execute()
    pages.clock.advance(timedelta(seconds=60))
    assert "The last one will have left in 4 minutes." in look(client)


def test_of_a_pilot_it_is_told_that_sending_pauses_after_it(
    database: Database, mailing_list: MailingList, settings: Settings
) -> None:
    campaign = make_campaign(database, mailing_list, state="sending", pilot=1)
    for due_at in (NOW, AFTER_PILOT):
        make_mail(
            database,
            campaign,
            make_contact(database, mailing_list),
            state="queued",
            due_at=due_at,
            sent_at=None,
        )
    client = admin_client(Pages(database, replace(settings, mail=MailServer(rate_per_hour=60))))
    assert "One person is asked first. Then the campaign pauses" in look(client)
    assert "The last one will have left" not in look(client)
    # Those who waited are being released.
    with database.atomic():
        Campaign.update(pilot=0).execute()
    assert "The last one will have left in 2 minutes." in look(client)


def test_with_a_rate_it_is_known_how_long_sending_takes(
    database: Database, mailing_list: MailingList, settings: Settings
) -> None:
    campaign = make_campaign(database, mailing_list, state="sending")
    for _ in range(5):
        make_mail(
            database, campaign, make_contact(database, mailing_list), state="queued", sent_at=None
        )
    slow = replace(settings, mail=MailServer(rate_per_hour=1))
    assert "in 5 hours" in look(admin_client(Pages(database, slow)))


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (0.5, "one minute"),
        (119, "119 minutes"),
        (120, "2 hours"),
        (47 * 60, "47 hours"),
        (48 * 60, "2 days"),
        (49 * 60, "3 days"),
    ],
)
def test_a_time_is_told_in_the_unit_that_fits(pages: Pages, minutes: float, said: str) -> None:
    with pages.app.test_request_context(headers=ENGLISH):
        assert format_wait(timedelta(minutes=minutes)) == said
        assert format_wait(None) == ""


def test_it_tells_of_tools_that_still_mail(
    database: Database, mailing_list: MailingList, client: FlaskClient, pages: Pages
) -> None:
    make_campaign(database, mailing_list)
    with database.atomic():
        chain.append(Entry(event="still_mailed", at=NOW, actor="person", list="news"))
        for _ in range(2):
            chain.append(Entry(event="not_the_person", at=NOW, actor="person", list="news"))
    assert "some tool still mails them" in look(client)
    assert "Compare it with this list" in look(client)
    assert "Compare it with this list" not in look(viewer_client(pages))
    assert "2 times, somebody who reads our mail said" in look(client)
    assert "Who was taken off at a request" in look(client)
    assert "Who was taken off at a request" not in look(viewer_client(pages))


def test_it_warns_where_the_answer_pages_were_down_too_long(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list, downtime=2 * 24 * 3600)
    make_asked(database, mailing_list, campaign)
    assert "down for more than a day" in look(client)


DOWN = {"downtime": 2 * 86_400}


@pytest.mark.parametrize(
    ("fields", "days", "is_removed"),
    [
        (DOWN, 2, False),
        (DOWN, -1, False),
        ({"state": CampaignState.PAUSED}, -1, False),
        ({}, 2, True),
        ({}, -1, True),
    ],
    ids=["down", "down and over", "paused and over", "open", "over"],
)
def test_nobody_is_said_to_go_for_silence_where_an_admin_has_to_decide_first(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    *,
    fields: dict[str, Any],
    days: int,
    is_removed: bool,
) -> None:
    deadline = NOW + timedelta(days=days)
    campaign = make_campaign(database, mailing_list, deadline=deadline, minimum_days=0, **fields)
    contact = make_contact(database, mailing_list)
    make_mail(database, campaign, contact, sent_at=NOW - timedelta(days=2))
    for url in (URL, f"{URL}figures", f"{URL}silent"):
        text = look(client, url)
        assert ("would be removed if" in text or "to be removed" in text) is is_removed
    text = look(client, f"{URL}silent")
    assert ("nobody is removed until you decide" in text) is (fields is DOWN)
    assert ("They are removed at the deadline" in text) is (is_removed and days > 0)


def test_it_says_that_counting_is_behind(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list)
    with database.atomic():
        chain.append(*(Entry(event="other", at=NOW, actor="job", list="news") for _ in range(2001)))
    assert "still being counted" in look(client)


def test_a_count_that_is_older_than_the_page_says_of_when_it_is(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        statistics, "read_figures", partial(statistics.read_figures, max_counted_at_once=0)
    )
    campaign = make_campaign(database, mailing_list)
    asked = make_asked(database, mailing_list, campaign)
    statistics.store_people_counts(database, now=NOW - timedelta(minutes=30), max_counted_at_once=0)
    assert "Counted at" not in look(client)
    say_yes(database, asked, campaign.id)
    for url in (URL, URL + "figures", "/admin/"):
        assert "Counted at Monday 2 March 2026, 09:30;" in look(client, url)
