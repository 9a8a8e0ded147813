"""Step 4 of a campaign: its conditions are kept, said in words, and looked at before a launch."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from repermit.campaigns import campaign_draft
from repermit.campaigns.campaign_draft import Conditions
from repermit.campaigns.launch import launch
from repermit.checks.database import judge_free_space
from repermit.checks.findings import Area, Verdict
from repermit.checks.settings import check_rate_limit
from repermit.db.connection import Database
from repermit.db.models.campaigns import Draft
from repermit.db.models.lists import MailingList
from repermit.rules.consent import CampaignState
from repermit.rules.legal_grounds import Grounds
from repermit.settings.definitions import MailServer, Settings
from repermit.web.admin import check_findings
from tests.support.admin_pages import (
    admin_client,
    client_of,
    csrf_token,
    make_admin,
    post,
)
from tests.support.builders import DEADLINE, NOW, make_campaign, make_contact
from tests.support.public_pages import Pages, everything_in, words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/conditions"
ATTEST = (
    "Decided by the board on 1 November: we cannot show who signed up. Addresses from our own "
    "forms. None of them opted out."
)
FIELDS = {"until": "2026-03-30", "until_time": "", "attest": ATTEST}


def save(client: FlaskClient, **changed: Any) -> TestResponse:
    return post(client, URL, **{**FIELDS, **changed})


# --- Its words. -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "fields"),
    [
        ("en", ("politics", "philosophy", "religion", "trade unions")),
        ("nl", ("politiek", "levensbeschouwelijk", "godsdienstig", "vakbondsgebied")),
    ],
)
def test_membership_allows_asking_only_in_the_fields_of_the_law(
    client: FlaskClient, language: str, fields: tuple[str, ...]
) -> None:
    MailingList.update(sensitive=True).execute()
    page = client.get(URL, headers={"Accept-Language": language})
    (members,) = re.findall(r'<option value="members">([^<]*)', page.text)
    assert all(field in members for field in fields)


# --- Kept, and shown again. -----------------------------------------------------------------------


def test_a_new_campaign_is_offered_four_weeks_which_are_not_kept_yet(client: FlaskClient) -> None:
    page = client.get(URL)
    assert 'value="2026-03-30"' in page.text
    assert "in 28 days, on Monday 30 March 2026, 23:59" in words_of(page)
    assert not Draft.select().exists()


def test_four_weeks_are_more_where_people_need_long_to_answer(
    database: Database, settings: Settings
) -> None:
    slow = replace(settings, campaign=replace(settings.campaign, minimum_days=30))
    page = admin_client(Pages(database, slow)).get(URL)
    assert 'value="2026-04-15"' in page.text
    assert "Everybody gets at least 30 days" in words_of(page)


def test_the_longest_time_to_answer_is_offered_so_that_a_launch_takes_it(
    database: Database, settings: Settings, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list)
    slow = replace(settings, campaign=replace(settings.campaign, minimum_days=365))
    client = admin_client(Pages(database, slow))
    assert 'value="2027-03-02"' in client.get(URL).text
    save(client, until="2027-03-02")
    said = words_of(client.get(URL))
    assert "Time to answer 365 days at least" in said
    assert "Before a campaign can start" not in said


def test_conditions_are_kept_and_the_launch_comes_next(
    client: FlaskClient, mailing_list: MailingList
) -> None:
    answer = save(
        client,
        until_time="17:00",
        starts="2026-03-03",
        starts_time="08:30",
        reminder="7",
        pilot="100",
        include_thin="y",
    )
    assert answer.status_code == 303
    assert answer.location == "/admin/lists/news/launch"
    assert campaign_draft.read_conditions(mailing_list) == Conditions(
        deadline="2026-03-30T17:00",
        starts="2026-03-03T08:30",
        reminder=7,
        pilot=100,
        include_thin=True,
        attest=ATTEST,
    )


def test_whoever_wants_to_see_what_comes_of_it_stays_and_finds_it_as_typed(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    for _ in range(3):
        make_contact(database, mailing_list)
    given = {"starts": "2026-03-03", "starts_time": "08:30", "reminder": "7", "pilot": "2"}
    assert save(client, **given, include_thin="y", look="1").location == f"{URL}#outlook"
    page = client.get(URL)
    for value in ("2026-03-30", "2026-03-03", "08:30", "7", "2"):
        assert f'value="{value}"' in page.text
    assert 'checked id="include_thin"' in page.text
    said = words_of(page)
    assert "Saved." in said
    assert "To be asked 3 people" in said
    assert "First mail Tuesday 3 March 2026, 08:30" in said
    assert "2 people first; the others once you let it go on" in said
    # The last mail leaves when the admin lets the pilot go on.
    assert "Last mail" not in said
    assert "27 days at least" in said
    assert "Reminder Monday 23 March 2026, 09:00" in said


@pytest.mark.parametrize(
    ("starts", "words"),
    [
        # It is ten in the morning of the second.
        ("2026-03-02", "As soon as you launch: the first day of asking has begun already."),
        ("2026-03-03", "Tuesday 3 March 2026, 09:00"),
    ],
)
def test_the_first_day_of_asking_begins_in_the_morning(
    database: Database, client: FlaskClient, mailing_list: MailingList, starts: str, words: str
) -> None:
    make_contact(database, mailing_list)
    save(client, starts=starts)
    assert f"First mail {words}" in words_of(client.get(URL))
    launch = words_of(client.get("/admin/lists/news/launch"))
    assert (f"The first mail leaves on {words}" in launch) is ("09:00" in words)
    assert ("The first mails leave as soon as you launch." in launch) is ("09:00" not in words)


@pytest.mark.parametrize("far", ["0001-01-01", "9999-12-31"])
def test_conditions_that_were_kept_with_a_day_far_away_can_be_mended(
    database: Database, client: FlaskClient, mailing_list: MailingList, far: str
) -> None:
    make_contact(database, mailing_list)
    kept = Conditions(deadline=far, starts=far, reminder=7, attest=ATTEST)
    campaign_draft.save_conditions(database, mailing_list, kept, now=NOW, actor="user:1")
    page = client.get(URL)
    assert f'value="{far}"' in page.text
    launch = client.get("/admin/lists/news/launch")
    for said in (words_of(page), words_of(launch)):
        assert "Say until when answers count. Say anew when the asking begins." in said


def test_a_pilot_of_everybody_is_none(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list)
    save(client, pilot="1")
    assert "Pilot" not in words_of(client.get(URL))


@pytest.mark.parametrize(
    ("until", "words"),
    [
        ("2026-03-03", "in one day, on Tuesday 3 March 2026, 23:59"),
        ("2026-03-04", "in 2 days, on Wednesday 4 March 2026, 23:59"),
        ("2026-03-02", "Monday 2 March 2026, 23:59"),
    ],
)
def test_a_deadline_is_said_in_words(
    database: Database, client: FlaskClient, mailing_list: MailingList, until: str, words: str
) -> None:
    kept = Conditions(deadline=until, attest=ATTEST)
    campaign_draft.save_conditions(database, mailing_list, kept, now=NOW, actor="user:1")
    said = words_of(client.get(URL))
    assert words in said
    assert ("in one day" in said, "in 2 days" in said) == ("one" in words, "2 days" in words)


def test_what_is_not_decided_yet_is_kept_as_such_and_said(
    client: FlaskClient, mailing_list: MailingList
) -> None:
    assert save(client, until="", attest="").status_code == 303
    assert campaign_draft.read_conditions(mailing_list) == Conditions()
    said = words_of(client.get(URL))
    assert "Say until when answers count." in said
    assert "Say who decided to ask, on what ground" in said
    assert "Choose the last day to answer, save, and see here" in said


def test_an_attestation_of_two_words_says_too_little(client: FlaskClient) -> None:
    save(client, attest="the board")
    assert "This says too little" in words_of(client.get(URL))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"until": "soon"}, "Give a day, or a day and a time."),
        ({"until": "", "until_time": "17:00"}, "Give a day, or a day and a time"),
        # The clocks go forward in that night.
        ({"until": "2026-03-29", "until_time": "02:30"}, "This time does not exist on that day"),
        ({"starts": "2026-02-30"}, "First day of asking: Give a day"),
        ({"until": "0001-01-01"}, "Last day to answer: That day is too far away:"),
        ({"until": "9999-12-31", "reminder": "7"}, "Last day to answer: That day is too far away:"),
        ({"starts": "9999-12-31"}, "First day of asking: That day is too far away:"),
        ({"reminder": "a week"}, "A number from 1 to 365."),
        ({"reminder": "0"}, "A number from 1 to 365."),
        ({"reminder": "366"}, "A number from 1 to 365."),
        ({"pilot": "-1"}, "A whole number."),
        ({"pilot": "\N{SUPERSCRIPT TWO}"}, "A whole number."),
        ({"pilot": "9" * 10}, "A whole number."),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_nothing_typed_is_lost(
    client: FlaskClient, changed: dict[str, str], said: str
) -> None:
    answer = save(client, **changed)
    assert answer.status_code == 422
    assert said in words_of(answer)
    assert ATTEST in answer.text
    for value in changed.values():
        assert not value or f'value="{value}"' in answer.text
    assert not Draft.select().exists()


def test_a_reminder_of_a_year_is_a_number_and_too_soon(client: FlaskClient) -> None:
    said = words_of(save(client, reminder="365"))
    assert "A number from 1 to 365." not in said
    assert "The reminder would leave on" in said


def test_what_stands_against_a_launch_because_of_the_conditions_is_said(
    database: Database, settings: Settings, mailing_list: MailingList
) -> None:
    mailing_list.privacy_url = ""
    mailing_list.save()
    for _ in range(11):
        make_contact(database, mailing_list)
    slow = replace(settings, mail=MailServer(domain_rate_per_minute=0, rate_per_day=1))
    client = admin_client(Pages(database, slow))
    page = save(client, until="2026-03-20")
    assert page.status_code == 422
    said = words_of(page)
    assert (
        "the last one leaves on Thursday 12 March 2026, 10:00, and people need 14 days to answer, "
        "so it must be later than Thursday 26 March 2026, 10:00."
    ) in said
    assert "At the pace of the settings" in said
    # What is mended elsewhere is said at the launch.
    assert "privacy statement" not in said


def test_what_regulators_hold_is_to_be_read_before(client: FlaskClient) -> None:
    assert "In the Netherlands the ACM supervises this rule" in words_of(client.get(URL))
    assert "A reminder is one more mail" not in words_of(client.get(URL))
    save(client, reminder="7")
    assert "A reminder is one more mail" in words_of(client.get(URL))


# --- The check. -----------------------------------------------------------------------------------


@pytest.fixture
def offline(database: Database, settings: Settings, mailing_list: MailingList) -> FlaskClient:
    """Return an admin's client where nothing needs to be looked up outside this machine."""
    mailing_list.privacy_url, mailing_list.sender = "", ""
    mailing_list.save()
    alone = replace(
        settings,
        public_url="http://127.0.0.1:9",
        organisation=replace(settings.organisation, email=""),
        mail=replace(settings.mail, server="127.0.0.1", port=9),
    )
    return admin_client(Pages(database, alone))


def test_a_check_says_what_is_wrong_and_what_to_do_and_keeps_what_was_typed(
    database: Database, offline: FlaskClient
) -> None:
    before = everything_in(database)
    answer = post(offline, f"{URL}/check", **{**FIELDS, "pilot": "123"})
    assert answer.status_code == 200
    said = words_of(answer)
    assert "Would a campaign work?" in said
    assert "Wrong Mail server" in said
    assert "Ask your mail provider for the right server and port." in said
    assert 'value="123"' in answer.text
    assert everything_in(database) == before


def test_a_check_is_no_reason_to_lose_what_cannot_be(offline: FlaskClient) -> None:
    answer = post(offline, f"{URL}/check", **{**FIELDS, "pilot": "many"})
    assert "A whole number." in words_of(answer)
    assert 'value="many"' in answer.text
    assert "Would a campaign work?" in words_of(answer)


def test_every_verdict_and_every_area_has_words(pages: Pages) -> None:
    with pages.app.test_request_context("/admin/"):
        assert len({check_findings.describe_verdict(one) for one in Verdict}) == len(Verdict)
        assert len({check_findings.describe_area(one) for one in Area}) == len(Area)


@pytest.mark.parametrize(
    ("code", "english", "dutch"),
    [("database_room", "70,628", "70.628"), ("pace_ok", "86,400", "86.400")],
)
def test_a_finding_has_its_numbers_in_the_language_of_the_page(
    pages: Pages, code: str, english: str, dutch: str
) -> None:
    found = {
        one.code: one
        for one in (
            judge_free_space(70_628_000_000),
            *check_rate_limit(MailServer(rate_per_minute=60)),
        )
    }
    assert english in found[code].found
    for language, number in (("en", english), ("nl", dutch)):
        with pages.app.test_request_context("/admin/", headers={"Accept-Language": language}):
            assert number in check_findings.make_finding_texts(found[code])[0]


# --- Who, and in which language. ------------------------------------------------------------------


# --- A deadline is refused where it is typed. -----------------------------------------------------


@pytest.mark.parametrize(
    ("until", "time"), [("2026-03-01", ""), ("2026-03-02", "10:00"), ("2025-12-22", "17:00")]
)
def test_a_deadline_that_has_passed_is_said_at_its_field_and_not_kept(
    client: FlaskClient, mailing_list: MailingList, until: str, time: str
) -> None:
    page = save(client, until=until, until_time=time)
    assert page.status_code == 422
    error = page.text[page.text.index('id="until-wrong"') :].partition("</p>")[0]
    assert "This has passed already: choose a later day." in error
    assert f'value="{until}"' in page.text
    assert campaign_draft.read_conditions(mailing_list) is None
    # A minute from now has not passed.
    assert "This has passed" not in words_of(save(client, until="2026-03-02", until_time="10:01"))


@pytest.mark.parametrize("act", ["", "/check"])
@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"until": "2026-03-15"}, "until", "The deadline is too near: people need 14 days"),
        ({"until": "2026-03-16", "starts": "2026-03-03"}, "until", "The deadline is too near"),
        ({"until": "2027-03-03"}, "until", "is more than a year after the last mail has left"),
        ({"reminder": "28"}, "reminder", "The reminder would leave on"),
    ],
)
def test_a_time_at_which_no_campaign_could_run_is_said_at_its_field_and_not_kept(
    offline: FlaskClient, act: str, changed: dict[str, str], field: str, words: str
) -> None:
    page = post(offline, URL + act, **{**FIELDS, **changed})
    assert page.status_code == (200 if act else 422)
    error = page.text[page.text.index(f'id="{field}-wrong"') :].partition("</p>")[0]
    assert words in error
    assert f'value="{changed[field]}"' in page.text
    assert "Saved." not in words_of(page)
    assert not Draft.select().exists()


@pytest.mark.parametrize("until", ["2026-03-16", "2027-03-02"])
def test_the_nearest_and_the_farthest_day_can_be_kept(client: FlaskClient, until: str) -> None:
    assert save(client, until=until).status_code == 303


# --- So is a beginning. ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "time"), [("2026-03-01", ""), ("2026-03-02", "10:00"), ("2026-02-28", "17:00")]
)
def test_a_first_day_that_has_passed_is_said_at_its_field_and_not_kept(
    client: FlaskClient, starts: str, time: str
) -> None:
    answer = save(client, starts=starts, starts_time=time)
    assert answer.status_code == 422
    error = answer.text[answer.text.index('id="starts-wrong"') :].partition("</p>")[0]
    assert "This has passed already: choose a later day." in error
    assert f'value="{starts}"' in answer.text
    assert not Draft.select().exists()


def test_a_first_day_that_has_passed_is_said_in_the_language_of_the_page(
    client: FlaskClient,
) -> None:
    fields = {**FIELDS, "starts": "2026-03-01", "csrf_token": csrf_token(client)}
    answer = client.post(URL, data=fields, headers={"Accept-Language": "nl"})
    assert "Eerste verzenddag: Dit is al voorbij: kies een latere dag." in words_of(answer)


def test_a_first_day_may_be_today_or_a_minute_from_now(client: FlaskClient) -> None:
    for time in ("", "10:01"):
        assert save(client, starts="2026-03-02", starts_time=time).status_code == 303


def test_a_first_day_that_has_passed_since_it_was_kept_is_said_and_begins_at_once(
    database: Database, client: FlaskClient, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list)
    kept = Conditions(deadline="2026-03-30", starts="2026-03-01", attest=ATTEST)
    campaign_draft.save_conditions(database, mailing_list, kept, now=NOW, actor="user:1")
    assert (
        "First mail As soon as you launch: the first day of asking has begun already."
    ) in words_of(client.get(URL))
    launch = words_of(client.get("/admin/lists/news/launch"))
    assert "The first mails leave as soon as you launch." in launch


# --- A campaign that is under way. ----------------------------------------------------------------


@pytest.fixture
def launched(pages: Pages, mailing_list: MailingList) -> FlaskClient:
    """Return the client of an admin who has launched a campaign with a reminder and a pilot."""
    for _ in range(3):
        make_contact(pages.database, mailing_list)
    user = make_admin(pages.database, email="anna@example.org")
    launch(
        pages.database,
        mailing_list,
        settings=pages.settings,
        now=NOW,
        deadline=DEADLINE,
        attest=ATTEST,
        grounds=Grounds(asking_ground="legitimate_interest"),
        reminder=7,
        pilot=2,
        actor=f"user:{user.id}",
    )
    return client_of(pages, user)


def test_a_campaign_under_way_shows_the_conditions_that_were_frozen_and_by_whom(
    launched: FlaskClient, database: Database, mailing_list: MailingList
) -> None:
    # What is kept for a next campaign is not what this one runs under.
    kept = Conditions(deadline="2026-12-24", attest="Something else")
    campaign_draft.save_conditions(database, mailing_list, kept, now=NOW, actor="user:1")
    page = launched.get(URL)
    said = words_of(page)
    for fact in (
        "On what conditions does it run?",
        "only the deadline and the reminder may have been changed since.",
        "Days and times are those of Europe/Amsterdam.",
        "Launched Monday 2 March 2026",
        "anna@example.org",
        "Deadline Monday 30 March 2026",
        "Reminder Monday 23 March 2026",
        "2 people first",
        "Decided by the board on 1 November",
    ):
        assert fact in said
    assert "Something else" not in said
    assert 'name="until"' not in page.text
    assert 'href="/admin/lists/news/"' in page.text


def test_days_are_counted_alike_before_and_after_the_launch(launched: FlaskClient) -> None:
    said = words_of(launched.get(URL))
    assert (
        "Time to answer 28 days from the first day of asking. "
        "Whoever is asked later has 14 days at least."
    ) in said
    dutch = words_of(launched.get(URL, headers={"Accept-Language": "nl"}))
    assert "28 dagen vanaf de eerste verzenddag" in dutch


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("describe", "What you save here changes none of its mails."),
        ("file", "not asked by it, but by the next one at the earliest."),
        ("mail", "What you save here changes none of its mails."),
    ],
)
def test_each_step_of_preparing_says_that_a_campaign_is_under_way_and_what_is_settled(
    launched: FlaskClient, step: str, words: str
) -> None:
    page = launched.get(f"/admin/lists/news/{step}")
    said = words_of(page)
    settled = "A campaign is under way, and answers count until Monday 30 March 2026"
    assert settled in said
    assert words in said
    assert page.text.index(words) < page.text.index("<h1>")
    assert 'href="/admin/lists/news/conditions">Read its conditions</a>' in page.text
    dutch = words_of(launched.get(page.request.path, headers={"Accept-Language": "nl"}))
    assert "Er loopt een campagne; antwoorden tellen tot maandag 30 maart 2026" in dutch


def test_nothing_is_saved_over_conditions_that_are_frozen(
    launched: FlaskClient, database: Database
) -> None:
    before = everything_in(database)
    answer = save(launched)
    assert answer.location == URL
    assert "Nothing was saved: a campaign is under way" in words_of(launched.get(URL))
    assert "On what conditions does it run?" in words_of(post(launched, f"{URL}/check", **FIELDS))
    assert everything_in(database) == before


@pytest.mark.parametrize("state", [CampaignState.CLOSED, CampaignState.CANCELLED])
def test_after_a_campaign_the_conditions_of_the_next_can_be_given(
    database: Database, client: FlaskClient, mailing_list: MailingList, state: CampaignState
) -> None:
    make_campaign(database, mailing_list, state=state)
    assert 'name="until"' in client.get(URL).text
    assert "A campaign is under way" not in words_of(client.get("/admin/lists/news/mail"))
    assert save(client).location == "/admin/lists/news/launch"
