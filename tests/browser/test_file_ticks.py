"""What is decided of a file is there after a filter, a search, other rows and other pages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.lists import find_list
from repermit.imports import read_upload, uploads
from repermit.settings.definitions import Settings
from tests.support.admin_pages import let_in, make_admin
from tests.support.builders import NOW, make_list
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def file(database: Database, settings: Settings, page: Page) -> Iterator[Page]:
    """Return a browser at the rows of a file that waits."""
    news = make_list(database)
    people = "\n".join(f"p{number:03}@example.org" for number in range(120))
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as pages:
        raw = io.BytesIO(f"email\n{people}\n".encode())
        given: dict[str, Any] = {"settings": pages.settings, "now": NOW}
        let_in(page, pages, make_admin(database, id=1))
        uploads.keep_upload(database, news, raw, name="people.csv", user_id=1, **given)
        read_upload.start_reading(
            database, news, actor="user:1", choices=uploads.Choices(), **given
        )
        page.goto(f"{pages.settings.public_url}/admin/lists/news/file")
        yield page


def box(address: str) -> str:
    return f"tr:has-text('{address}') input[type=checkbox]"


def see(page: Page, address: str) -> None:
    page.get_by_role("cell", name=address, exact=True).wait_for()


def test_ticks_stay_while_rows_are_filtered_searched_and_paged(file: Page) -> None:
    file.check(box("p001@example.org"))
    file.get_by_role("link", name="Next").click()
    see(file, "p060@example.org")
    file.check(box("p060@example.org"))
    file.get_by_role("link", name="Will be asked").first.click()
    see(file, "p000@example.org")
    file.get_by_label("Address or name").fill("p119")
    file.get_by_role("button", name="Search").click()
    see(file, "p119@example.org")
    file.check(box("p119@example.org"))
    file.get_by_role("link", name="All (").click()
    file.wait_for_url("**/file?text=p119#rows")
    file.get_by_label("Address or name").fill("")
    file.get_by_role("button", name="Search").click()
    see(file, "p000@example.org")
    ticked = file.locator("[name^=decide-][value=no]:checked").all()
    assert [one.get_attribute("name") for one in ticked] == ["decide-3", "decide-62", "decide-121"]


def test_decisions_and_the_source_stay_while_a_page_of_help_is_read(file: Page) -> None:
    file.check(box("p001@example.org"))
    file.get_by_label("Where do these addresses come from?").fill("the visitors' book")
    file.get_by_role("link", name="Help").first.click()
    file.get_by_role("heading", name="Your Excel file").wait_for()
    file.go_back()
    file.get_by_text("What you typed here before is filled in again").wait_for()
    assert file.locator(box("p001@example.org")).is_checked()
    source = file.get_by_label("Where do these addresses come from?")
    assert source.input_value() == "the visitors' book"


def test_what_is_ticked_on_a_page_to_be_mended_is_ticked_on_no_other_row(file: Page) -> None:
    """The form of other rows has other fields: what was typed belongs to none of them."""
    errors: list[str] = []
    file.on("pageerror", lambda error: errors.append(str(error)))
    file.get_by_text("Customers in this file").click()
    file.get_by_label("Everybody in this file is a customer").check()
    file.get_by_role("button", name="Take the file in").click()
    file.get_by_text("say on what ground they may be mailed").first.wait_for()
    file.check(box("p001@example.org"))
    file.get_by_role("link", name="Next").click()
    see(file, "p060@example.org")
    assert errors == []
    assert not any(one.is_checked() for one in file.locator("tr input[type=checkbox]").all())


def test_what_is_ticked_in_one_file_is_ticked_in_no_other(
    database: Database, settings: Settings, file: Page
) -> None:
    file.check(box("p001@example.org"))
    file.get_by_role("button", name="Delete the file").click()
    file.get_by_label("File", exact=False).first.wait_for()
    news = find_list("news")
    raw = io.BytesIO(b"email\nq0@example.org\nq1@example.org\n")
    given: dict[str, Any] = {"settings": settings, "now": NOW}
    uploads.keep_upload(database, news, raw, name="others.csv", user_id=1, **given)
    read_upload.start_reading(database, news, actor="user:1", choices=uploads.Choices(), **given)
    file.reload()
    see(file, "q1@example.org")
    assert not file.locator(box("q1@example.org")).is_checked()
