"""On a screen with room an address stands on one line; on a phone it breaks rather than scrolls."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from repermit.contacts import human_replies
from repermit.db.connection import Database
from repermit.imports import read_upload, uploads
from repermit.settings.definitions import Settings
from tests.support.admin_pages import let_in, make_admin
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_organisation,
)
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

ADDRESS = "voornaam.vandenachternaam@praktijkdelinde.example"
# As Mailchimp names the files of its ZIP, which have no space to break at.
PART = "{}_email_audience_export_9a.csv"
NEWS, OTHER = "/admin/lists/news/", "/admin/lists/other/"
PAGES = (f"{NEWS}contacts/", f"{NEWS}silent", f"{NEWS}replies", f"{OTHER}file", "/admin/people/")
# How many lines each address takes where it stands in a table, a heading or a list.
LINES = """
    (address) => {
      const found = [];
      const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const node = walk.currentNode;
        const at = node.data.indexOf(address);
        if (at < 0 || node.parentElement.closest(".unseen, caption")) continue;
        const range = document.createRange();
        range.setStart(node, at);
        range.setEnd(node, at + address.length);
        found.push(new Set([...range.getClientRects()].map((one) => Math.round(one.top))).size);
      }
      return found;
    }
"""


def make_zip() -> io.BytesIO:
    """Return a ZIP of two parts with long names, and a row to decide on."""
    people = f"{ADDRESS},Voornaam van der Achternaam\njan@gmial.com,Jan\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(PART.format("subscribed"), f"email,naam\n{people}")
        archive.writestr(PART.format("unsubscribed"), "email,naam\nbert@example.org,Bert\n")
    file.seek(0)
    return file


@pytest.fixture
def site(database: Database, settings: Settings, page: Page) -> Iterator[str]:
    """Return where pages are that show a long address, in tables with all their columns."""
    news, other = make_list(database), make_list(database, slug="other")
    campaign = make_campaign(database, news)
    # One is silent, and one has written.
    make_asked(database, news, campaign, ADDRESS)
    wrote = make_asked(database, news, campaign, f"y{ADDRESS}")
    make_contact(database, other, f"x{ADDRESS}")
    with database.atomic():
        human_replies.save_reply(wrote, digest="d" * 64, proposed="", at=NOW, decided_at=None)
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as pages:
        given: dict[str, Any] = {"settings": pages.settings, "now": NOW}
        let_in(page, pages, make_admin(database, id=1, email=ADDRESS))
        uploads.keep_upload(database, other, make_zip(), name="people.zip", user_id=1, **given)
        choices = uploads.Choices()
        read_upload.start_reading(database, other, actor="user:1", choices=choices, **given)
        page.goto(f"{pages.settings.public_url}{OTHER}file")
        page.locator("#rows").wait_for()
        yield pages.settings.public_url


@pytest.mark.parametrize("path", PAGES)
def test_no_address_breaks_in_the_middle_at_1280(page: Page, site: str, path: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(site + path)
    lines = page.evaluate(LINES, ADDRESS)
    lines = [count for count in lines if count]  # not what a closed list of choices holds
    assert lines
    assert set(lines) == {1}, path
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.parametrize("path", PAGES)
def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page, site: str, path: str) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(site + path)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.parametrize("language", ["en", "nl"])
def test_the_head_of_a_page_is_one_row_on_a_desk(
    database: Database, settings: Settings, page: Page, language: str
) -> None:
    organisation = make_organisation(name="Stichting Vrienden van De Linde")
    with served(
        lambda url: Pages(database, replace(settings, public_url=url, organisation=organisation))
    ) as pages:
        let_in(page, pages, make_admin(database, id=1, language=language))
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{pages.settings.public_url}/admin/")
        middles = (
            "[...document.querySelector('.top').children].map((one) => {"
            " const box = one.getBoundingClientRect(); return (box.top + box.bottom) / 2; })"
        )
        organisation_at, places_at, leave_at = page.evaluate(middles)
        assert organisation_at == pytest.approx(places_at, abs=2)
        assert leave_at == pytest.approx(places_at, abs=2)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_every_decision_on_a_row_is_seen_beside_a_long_name_of_its_part(
    page: Page, site: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{site}{OTHER}file")
    assert page.locator("td", has_text=PART.format("unsubscribed")).count()
    tables = (
        "[...document.querySelectorAll('.wide')].map((one) => one.scrollWidth > one.clientWidth)"
    )
    assert page.evaluate(tables) == [False] * 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
