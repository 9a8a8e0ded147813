"""The live page in a browser: it brings itself up to date, and disturbs nobody."""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.imports import uploads
from repermit.imports.uploads import get_folder
from repermit.rules.consent import CampaignState
from repermit.settings.definitions import Settings
from tests.support.admin_pages import let_in, make_admin
from tests.support.builders import NOW, make_asked, make_campaign, make_list
from tests.support.public_pages import Pages, served
from tests.unit.reports.test_outcomes_per_day import say_yes

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.mark.exhaustive
def test_an_answer_appears_by_itself_and_an_open_table_stays_open(
    database: Database, settings: Settings, page: Page
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as pages:
        page.goto(f"{let_in(page, pages)}lists/news/")
        page.evaluate("document.getElementById('days').open = true")
        assert page.get_by_text("0 said Yes").is_visible()
        say_yes(database, contact, campaign.id)
        page.get_by_text("1 said Yes").wait_for()
        assert page.evaluate("document.getElementById('days').open")
        # What the numbers ask for comes along; what somebody types or is about to press stays.
        page.get_by_text("Give people more time").click()
        page.get_by_label("Time; empty for").fill("12:34")
        page.get_by_role("heading", name="How long").hover()
        with database.atomic():
            campaign.state, campaign.paused_from = CampaignState.PAUSED, CampaignState.OPEN
            campaign.pause_reason = "complaint"
            campaign.save()
        page.get_by_text("somebody reported a mail as unwanted").wait_for()
        page.get_by_role("button", name="Go on").wait_for()
        assert page.get_by_role("button", name="Pause").count() == 0
        assert page.get_by_label("Time; empty for").input_value() == "12:34"
        assert page.evaluate("document.activeElement.id") == "at"
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("somebody reported a mail as unwanted").wait_for(state="detached")
        assert Campaign.get().state == CampaignState.OPEN


@pytest.mark.exhaustive
def test_a_page_that_waits_for_a_file_loads_anew_once_it_is_read_and_not_before(
    database: Database, settings: Settings, page: Page
) -> None:
    kept = uploads.keep_upload(
        database,
        make_list(database),
        io.BytesIO(b"email\na@example.org\n"),
        name="list.csv",
        user_id=make_admin(database).id,
        settings=settings,
        now=NOW,
    )
    asked: list[str] = []
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as pages:
        url = f"{let_in(page, pages)}lists/news/file"
        with closing(kept.task.lock()):  # type: ignore[type-var]
            page.goto(url)
            page.on("request", lambda request: asked.append(request.url))
            for _ in range(2):
                page.wait_for_event("response", lambda answer: answer.url == f"{url}/state.json")
            assert url not in asked
        page.get_by_text("The file was not read to its end").wait_for()
    shutil.rmtree(get_folder(settings))
