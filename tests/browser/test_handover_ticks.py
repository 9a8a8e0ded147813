"""Ticking a step of handing over leaves the page where it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from repermit.db.connection import Database
from repermit.db.models.accounts import Session
from repermit.db.models.campaigns import HandedOver
from repermit.settings.definitions import Settings
from tests.support.admin_pages import let_in
from tests.support.builders import NOW, make_campaign, make_list
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_step_is_ticked_and_unticked_without_a_fresh_page(
    database: Database, settings: Settings, page: Page
) -> None:
    make_campaign(database, make_list(database), state="closed", closed_at=NOW)
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as pages:
        page.goto(f"{let_in(page, pages)}lists/news/handover/?tool=laposta")
        page.evaluate("window.isSame = true")
        step = page.locator("#removed-1")
        step.get_by_role("button", name="Tick as done").click()
        step.get_by_text("Done on").wait_for()
        assert HandedOver.select().count() == 1
        # Whoever has the keyboard alone goes on from where they were.
        assert page.evaluate("document.activeElement.closest('li').id") == "removed-1"
        step.get_by_role("button", name="Not done after all").click()
        step.get_by_role("button", name="Tick as done").wait_for()
        assert not HandedOver.select().exists()
        assert page.evaluate("window.isSame")
        # Once the session is over, the page itself says so.
        with database.atomic():
            Session.update(ended_at=NOW).execute()
        step.get_by_role("button", name="Tick as done").click()
        page.wait_for_url("**/admin/login")
        assert not HandedOver.select().exists()
