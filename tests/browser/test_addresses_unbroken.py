"""On a screen with room an address stands on one line; on a phone it breaks rather than scrolls."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from repermit.contacts import human_replies
from repermit.db.connection import Database
from repermit.imports import read_upload, uploads
from repermit.settings.definitions import Settings
from tests.support.admin_pages import let_in, make_admin
from tests.support.builders import NOW, make_asked, make_campaign, make_contact, make_list
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

ADDRESS = "voornaam.vandenachternaam@praktijkdelinde.example"
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


@pytest.fixture
def site(database: Database, settings: Settings, page: Page) -> Iterator[str]:
    """Return where pages are that show a long address, in tables with all their columns."""
    news, other = make_list(database), make_list(database, slug="other")
    asked = make_asked(database, news, make_campaign(database, news), ADDRESS)
    make_contact(database, other, f"x{ADDRESS}")
    with database.atomic():
        human_replies.save_reply(asked, digest="d" * 64, proposed="", at=NOW, decided_at=None)
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as pages:
        given: dict[str, Any] = {"settings": pages.settings, "now": NOW}
        let_in(page, pages, make_admin(database, id=1, email=ADDRESS))
        raw = io.BytesIO(f"email,naam\n{ADDRESS},Voornaam van der Achternaam\n".encode())
        uploads.keep_upload(database, other, raw, name="people.csv", user_id=1, **given)
        choices = uploads.Choices()
        read_upload.start_reading(database, other, actor="user:1", choices=choices, **given)
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
