"""Step 5 of a campaign: what a launch would do, and a launch that nobody makes by accident."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit import email_address
from repermit.campaigns import campaign_draft, enqueue_asks, launch_refusals, list_translations
from repermit.campaigns.campaign_draft import Conditions
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList, find_list
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState, Reason, Status
from repermit.settings.definitions import MailServer, Organisation, Settings
from repermit.web.admin import launch as admin_launch
from repermit.web.admin.campaign_dates import list_obstacles
from repermit.web.admin.result_text import make_sentence
from tests.support.admin_pages import admin_client, post
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_organisation,
    make_removed,
    make_settings,
    put_in,
)
from tests.support.public_pages import Pages, everything_in, words_of
from tests.unit.web.admin.test_campaign_dates import ATTEST

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

URL = "/admin/lists/news/launch"
READY = Conditions(deadline="2026-03-30", attest=ATTEST)


@pytest.fixture
def mailing_list(database: Database) -> MailingList:
    """Return a list of three people to be asked, and conditions for it."""
    news = make_list(database)
    for _ in range(3):
        make_contact(database, news)
    campaign_draft.save_conditions(database, news, READY, now=NOW, actor="user:1")
    return news


@pytest.fixture
def admin(pages: Pages, mailing_list: MailingList) -> FlaskClient:
    assert mailing_list.slug == "news"
    return admin_client(pages)


def launch(client: FlaskClient, typed: str) -> TestResponse:
    """Type a number on the page as it stands, and press the button."""
    found = re.search(r'name="version" value="(\w+)"', client.get(URL).text)
    return post(client, URL, confirm=typed, version=found[1] if found else "")


def describe(database: Database, mailing_list: MailingList, **fields: str) -> None:
    """Say in German what a list is, beside its own language."""
    list_translations.change_translation(
        database,
        mailing_list,
        "de",
        settings=make_settings(),
        now=NOW,
        actor="user:1",
        **fields,
    )


# --- What is shown before. ------------------------------------------------------------------------


def test_the_page_says_who_will_be_asked_and_what_will_happen(
    database: Database, admin: FlaskClient, mailing_list: MailingList
) -> None:
    more = replace(READY, starts="2026-03-03", pilot=2, reminder=7)
    campaign_draft.save_conditions(database, mailing_list, more, now=NOW, actor="user:1")
    said = words_of(admin.get(URL))
    assert "3 will be asked 0 will not be asked" in said
    assert "The first mail leaves on Tuesday 3 March 2026, 09:00" in said
    assert "2 people, taken at random, are asked first." in said
    assert "The last mail leaves" not in said
    assert "is reminded on Monday 23 March 2026, 09:00" in said
    assert "the deadline: in 28 days, on Monday 30 March 2026, 23:59" in said
    assert "fined Honda in March 2017" in said
    assert ATTEST in said
    assert "It cannot start yet" not in said


def test_who_will_not_be_asked_is_counted_with_the_reason(
    database: Database, admin: FlaskClient, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list, status=Status.CONFIRMED, basis="answer")
    for _ in range(2):
        make_contact(database, mailing_list, status=Status.CUSTOMER, basis="customer")
    make_removed(database, mailing_list, Reason.NO)
    earlier = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    make_asked(database, mailing_list, earlier)
    counts = '{"fates": {"invalid": 7}}'
    with database.atomic():
        Import.create(list=mailing_list, file="a.csv", digest="0", counts=counts, at=NOW)
    said = words_of(admin.get(URL))
    assert "12 will not be asked" in said
    assert "Confirmed Their opt-in is on record, so there is nothing to ask. 1" in said
    assert "with a way out in every mail. 2" in said
    assert (
        "Taken off They said No, did not answer in time, had no mailbox, or left otherwise, and "
        "are never asked again. 1"
    ) in said
    assert "Asked before An earlier campaign has asked them. Asking anew would be pressing" in said
    assert "They never came onto the list. 7" in said
    assert "Suppressed" not in said


def test_what_stands_against_it_is_all_said_with_the_page_that_mends_it(
    database: Database, settings: Settings
) -> None:
    make_list(database, purpose="", frequency="", privacy_url="", sender="")
    bare = replace(
        settings,
        organisation=Organisation(),
        public_url="http://ask.example.org",
    )
    page = admin_client(Pages(database, bare)).get(URL)
    said = words_of(page)
    for reason in (
        "The last day is only suggested so far",
        "what your organisation is called",
        "your organisation’s postal address",
        "neither an e-mail address nor a telephone number",
        "must begin with https://",
        "does not say where your privacy statement is",
        "does not say what people will get",
        "does not say how often mail will come",
        "does not say who sends it",
        "There is nobody to ask.",
        "Say who decided to ask",
    ):
        assert reason in said
    for place in ("describe", "file", "conditions"):
        assert f'href="/admin/lists/news/{place}">Mend this' in page.text
    assert "Type the number above" not in said


# --- The sentences, against those that campaigns has. ---------------------------------------------


def said_of(pages: Pages, conditions: Conditions, **more: Any) -> list[tuple[str, str]]:
    """Return what stands against a launch under these conditions, and where it is mended."""
    plan = launch_refusals.plan_launch(
        find_list("news"), settings=pages.settings, now=NOW, **{"deadline": DEADLINE, **more}
    )
    with pages.app.test_request_context("/admin/"):
        found = list_obstacles(plan, conditions.attest)
    return [(one.text, one.endpoint) for one in found]


def test_a_deadline_that_has_passed_is_moved_among_the_conditions(
    pages: Pages, mailing_list: MailingList
) -> None:
    assert mailing_list.id
    assert said_of(pages, READY, deadline=NOW) == [
        ("The deadline, Monday 2 March 2026, 10:00, has passed.", "campaign_dates.show")
    ]


def test_a_deadline_that_is_too_near_says_when_it_may_be(
    pages: Pages, mailing_list: MailingList
) -> None:
    assert mailing_list.id
    ((text, endpoint),) = said_of(pages, READY, deadline=NOW + timedelta(days=14))
    assert text == (
        "The deadline is too near: people need 14 days to answer, so it must be later than "
        "Monday 16 March 2026, 10:00."
    )
    assert endpoint == "campaign_dates.show"


def test_a_reminder_too_soon_after_the_mail_is_said(
    database: Database, settings: Settings, mailing_list: MailingList
) -> None:
    slow = replace(settings, mail=MailServer(rate_per_day=1))
    pages = Pages(database, slow)
    for _ in range(8):
        make_contact(database, mailing_list)
    ((text, endpoint),) = said_of(pages, READY, reminder=20)
    assert text.startswith("The reminder would leave on Tuesday 10 March 2026, 11:00, and the last")
    assert endpoint == "campaign_dates.show"


def test_reminders_that_could_not_all_leave_are_said(
    database: Database, settings: Settings, mailing_list: MailingList
) -> None:
    pages = Pages(database, replace(settings, mail=MailServer(rate_per_day=1)))
    for _ in range(4):
        make_contact(database, mailing_list)
    ((text, endpoint),) = said_of(pages, READY, reminder=3)
    assert text == (
        "The reminders leave too slowly: the last one would leave on Thursday 2 April 2026, 12:00, "
        "too late before the deadline, Monday 30 March 2026, 11:00; remind people more days before "
        "it, or nobody."
    )
    assert endpoint == "campaign_dates.show"


def test_senders_that_mail_cannot_come_from_are_mended_where_they_stand(
    database: Database, settings: Settings
) -> None:
    organisation = replace(settings.organisation, email="nobody")
    news = make_list(database, sender="nobody either")
    make_contact(database, news)
    found = said_of(Pages(database, replace(settings, organisation=organisation)), READY)
    assert tuple(endpoint for _, endpoint in found) == ("settings.show", "list_form.show")
    assert found[0][0].endswith("cannot be used: no @ in the address.")


def test_a_wording_that_may_not_be_is_mended_at_the_mail(
    database: Database, pages: Pages, mailing_list: MailingList
) -> None:
    with database.atomic():
        mailing_list.own_subject = "A free gift for {{ nobody }}"
        mailing_list.own_text = "Hello {{ purpose"
        mailing_list.save()
    found = said_of(pages, READY)
    assert {endpoint for _, endpoint in found} == {"mail_wording.show"}
    assert found[0][0].startswith(
        "Your own wording cannot be used: subject: there is no field {{ nobody }} here"
    )


def test_what_must_be_read_has_a_translation_however_it_is_made(
    database: Database, pages: Pages, mailing_list: MailingList
) -> None:
    """A sentence that campaigns says in other words would stand there in English."""
    with database.atomic():
        mailing_list.own_subject = "Nieuws van de praktijk?"
        mailing_list.sensitive = True
        mailing_list.save()
    make_contact(database, mailing_list, language="de")
    plan = launch_refusals.plan_launch(
        mailing_list, settings=pages.settings, now=NOW, deadline=DEADLINE, reminder=7
    )
    assert len(plan.notes) == 7
    with pages.app.test_request_context("/admin/", headers={"Accept-Language": "nl"}):
        notes = [make_sentence(note) for note in plan.notes]
    assert not set(notes) & set(plan.notes)
    assert "(1 in het Duits)" in notes[6]
    with pages.app.test_request_context("/admin/", headers={"Accept-Language": "en"}):
        notes = [make_sentence(note) for note in plan.notes]
    assert notes[:3] == list(plan.notes[:3])
    assert "(1 in German)" in notes[6]


def test_what_must_be_read_names_the_ground_that_was_not_chosen(
    admin: FlaskClient, database: Database, mailing_list: MailingList
) -> None:
    note = "The answer page will not say on what ground of the law you ask."
    assert note in words_of(admin.get(URL))
    chosen = replace(READY, asking_ground="public_task")
    campaign_draft.save_conditions(database, mailing_list, chosen, now=NOW, actor="user:1")
    assert note not in words_of(admin.get(URL))


def test_after_a_launch_that_is_lost_the_page_says_that_no_mail_leaves_yet(
    admin: FlaskClient, database: Database, mailing_list: MailingList
) -> None:
    with database.atomic():
        mailing_list.lost_launch_at = NOW
        mailing_list.save()
    assert "of which the database knows nothing since it was restored" in admin.get(URL).text
    assert launch(admin, "3").status_code == 303
    assert "Launched, but no mail leaves yet" in admin.get("/admin/lists/news/").text
    assert {mail.state for mail in Mail.select()} == {"in_doubt"}


# --- The launch. ----------------------------------------------------------------------------------


def test_a_launch_wants_the_number_typed_and_goes_to_the_campaign(
    admin: FlaskClient, mailing_list: MailingList
) -> None:
    answer = launch(admin, "3")
    assert answer.status_code == 303
    assert answer.location == "/admin/lists/news/"
    campaign = Campaign.get()
    assert campaign.state == CampaignState.SENDING
    assert campaign.deadline.isoformat() == "2026-03-30T21:59:59.999999+00:00"
    assert Mail.select().count() == 3
    entry = Evidence.get(Evidence.event == "launched")
    assert entry.actor.startswith("user:")
    assert campaign_draft.read_conditions(mailing_list) is None
    assert "Launched: 3 people will be asked." in words_of(admin.get("/admin/lists/news/"))


@pytest.mark.exhaustive
def test_a_launch_follows_the_conditions(
    database: Database, admin: FlaskClient, mailing_list: MailingList
) -> None:
    thin = make_contact(database, mailing_list, status=Status.CONFIRMED, basis="thin")
    conditions = replace(READY, starts="2026-03-03", reminder=7, pilot=2, include_thin=True)
    campaign_draft.save_conditions(database, mailing_list, conditions, now=NOW, actor="user:1")
    launch(admin, "4")
    campaign = Campaign.get()
    assert campaign.state == CampaignState.SCHEDULED
    assert campaign.pilot == 2
    assert campaign.reminder_at is not None
    assert Mail.select().where(Mail.contact == thin).exists()
    said = words_of(admin.get("/admin/lists/news/"))
    assert "2 of them are asked first; then the others wait" in said


@pytest.mark.parametrize("typed", ["", "2", "4", "yes", "-3", "\N{FULLWIDTH DIGIT THREE}"])
def test_another_number_launches_nothing_and_stays_to_be_mended(
    database: Database, admin: FlaskClient, typed: str
) -> None:
    before = everything_in(database)
    answer = launch(admin, typed)
    assert answer.status_code == 422
    assert "Type how many people will be asked, as it stands above." in words_of(answer)
    assert f'value="{typed}"' in answer.text
    assert everything_in(database) == before


@pytest.mark.parametrize("typed", ["1,002", "1.002", "1 002", " 1002 "])
def test_a_number_may_be_typed_as_it_is_shown(
    database: Database, admin: FlaskClient, mailing_list: MailingList, typed: str
) -> None:
    rows = [
        lookup.make_contact(
            mailing_list,
            email_address.parse(f"many{number}@example.org"),
            status=Status.UNCONFIRMED,
            status_at=NOW,
        ).__data__
        for number in range(999)
    ]
    put_in(database, Contact, rows)
    assert launch(admin, typed).status_code == 303


def test_what_stands_against_it_refuses_the_launch_too(
    database: Database, admin: FlaskClient, mailing_list: MailingList
) -> None:
    campaign_draft.save_conditions(
        database, mailing_list, replace(READY, attest="we"), now=NOW, actor="user:1"
    )
    answer = launch(admin, "3")
    assert answer.status_code == 422
    assert "This says too little" in words_of(answer)
    assert not Campaign.select().exists()


def test_without_a_deadline_nothing_is_launched(
    database: Database, admin: FlaskClient, mailing_list: MailingList
) -> None:
    campaign_draft.delete_conditions(database, mailing_list)
    answer = launch(admin, "3")
    assert answer.status_code == 422
    said = (
        "The last day is only suggested so far: look at it in step 4, and save it there. Mend this"
    )
    assert said in words_of(answer)
    assert 'href="/admin/lists/news/conditions">Mend this' in answer.text
    # Such as a time that the clocks skip, in a zone that the settings have since.
    skipped = replace(READY, deadline="2026-03-29T02:30")
    campaign_draft.save_conditions(database, mailing_list, skipped, now=NOW, actor="user:1")
    assert "Say until when answers count." in words_of(launch(admin, "3"))
    assert not Campaign.select().exists()


@pytest.mark.parametrize(
    "what",
    ["deadline", "pilot", "attest", "wording", "further language", "own words", "organisation"],
)
def test_what_was_not_seen_is_not_launched(
    pages: Pages, admin: FlaskClient, mailing_list: MailingList, what: str
) -> None:
    """Somebody else, or another tab, has changed it since the page was shown."""
    database = pages.database
    describe(database, mailing_list, purpose="Neuigkeiten")
    found = re.search(r'name="version" value="(\w+)"', admin.get(URL).text)
    assert found
    changed = {
        "deadline": replace(READY, deadline="2026-04-30"),
        "pilot": replace(READY, pilot=2),
        "attest": replace(READY, attest=f"{ATTEST} And more."),
    }
    conditions = changed.get(what, READY)
    campaign_draft.save_conditions(database, mailing_list, conditions, now=NOW, actor="user:1")
    with database.atomic():
        MailingList.update(own_subject="May we?" if what == "wording" else "").execute()
    if what == "further language":
        describe(database, mailing_list, purpose="Ganz anderes")
    if what == "own words":
        describe(database, mailing_list, own_subject="Dürfen wir?")
    if what == "organisation":
        told = make_organisation(telephone="020 123 45 67")
        admin = admin_client(Pages(database, replace(pages.settings, organisation=told)))
    answer = post(admin, URL, confirm="3", version=found[1])
    assert answer.status_code == 422
    assert "Something has changed meanwhile: please look again." in words_of(answer)
    assert not Campaign.select().exists()
    assert launch(admin, "3").status_code == 303


def test_what_stands_against_it_since_refuses_the_launch_of_what_was_seen(
    pages: Pages, admin: FlaskClient
) -> None:
    """The page stood open until the deadline was too near."""
    found = re.search(r'name="version" value="(\w+)"', admin.get(URL).text)
    assert found
    pages.clock.move_to(NOW + timedelta(days=20))
    answer = post(admin_client(pages), URL, confirm="3", version=found[1])
    assert answer.status_code == 422
    assert "The deadline is too near" in words_of(answer)
    assert not Campaign.select().exists()


def test_pressing_twice_launches_once(admin: FlaskClient) -> None:
    launch(admin, "3")
    answer = launch(admin, "3")
    assert answer.status_code == 422
    assert "The campaign is under way" in words_of(answer)
    assert 'href="/admin/lists/news/"' in answer.text
    assert Campaign.select().count() == 1


def test_a_campaign_that_runs_shows_the_notice_with_its_own_deadline(
    database: Database, admin: FlaskClient, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list, deadline=NOW + timedelta(days=40))
    said = words_of(admin.get(URL))
    assert "The campaign is under way" in said
    assert "11 april 2026" in said


# --- The notice for the sender's own website. -----------------------------------------------------


def test_a_notice_is_offered_in_each_language_that_people_are_asked_in(
    database: Database, admin: FlaskClient, mailing_list: MailingList
) -> None:
    make_contact(database, mailing_list, language="de")
    page = admin.get(URL)
    said = words_of(page)
    assert "Kreeg u een mail van ons over ‘Nieuws van de praktijk’?" in said
    assert "Haben Sie von uns eine E-Mail" in said
    assert "https://ask.example.org/" in said
    assert '<textarea class="notice" readonly rows="14" lang="nl"' in page.text
    assert page.text.index('lang="nl"') < page.text.index('lang="de"')


def test_a_large_launch_goes_on_beside_the_page(
    database: Database,
    admin: FlaskClient,
    mailing_list: MailingList,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin_launch, "_MAX_ASKS_AT_ONCE", 3)
    make_contact(database, mailing_list)
    launch(admin, "4")
    said = words_of(admin.get("/admin/lists/news/"))
    assert "Launched. You may close this page: it goes on by itself." in said
    assert "Its mails are being made ready: 3 of 4 so far. The first leaves when all are" in said
    assert "you may cancel the campaign, and nothing else" in said
    assert "Move the deadline" not in said
    assert Mail.select().count() == 3
    assert not Evidence.select().where(Evidence.event == "launched").exists()
    enqueue_asks.finish_launches(database, settings=settings, now=NOW)
    said = words_of(admin.get("/admin/lists/news/"))
    assert "is being sent" in said
    assert "Move the deadline" in said
    assert Mail.select().count() == 4
