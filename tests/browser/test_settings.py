"""The settings by mouse: who asks, and how mail gets out, without an editor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.db.models.settings import Chosen
from repermit.settings import config_file
from tests.support.admin_pages import let_in, make_admin
from tests.support.builders import make_list
from tests.support.config_documents import make_document
from tests.support.inbox import Inbox
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def pages(database: Database, sqlite_url: str, tmp_path: Path) -> Iterator[Pages]:
    """Serve an installation whose config.toml is as `init` makes it."""

    def make(url: str) -> Pages:
        document = make_document(public_url=url, database=sqlite_url)
        return Pages(database, config_file.parse_config(document, folder=tmp_path))

    with served(make) as running:
        yield running


def test_somebody_says_who_asks_and_how_mail_gets_out_and_the_next_mail_does(
    page: Page, pages: Pages, inbox: Inbox
) -> None:
    """On a phone; the way of a new user goes through these pages on a desk."""
    page.set_viewport_size({"width": 320, "height": 900})
    page.set_extra_http_headers({"Accept-Language": "en"})
    make_list(pages.database)
    let_in(page, pages, make_admin(pages.database, email="anna@example.org", language=""))
    page.goto(f"{pages.settings.public_url}/admin/")
    page.get_by_role("link", name="Settings").click()
    say_who_asks(page)
    _say_how_mail_gets_out(page, inbox)
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Sent to anna@example.org.").wait_for()
    (mail,) = inbox.mails
    assert mail.rcpt_tos == ("anna@example.org",)
    body = mail.message.get_body(("plain",))
    assert body
    assert "Stichting De Eik" in body.get_content()
    assert "Eikenlaan 7" in body.get_content()


def test_what_was_typed_into_one_page_of_settings_is_there_after_another(
    page: Page, pages: Pages
) -> None:
    let_in(page, pages)
    page.goto(f"{pages.settings.public_url}/admin/settings/organisation")
    page.get_by_label("Name", exact=True).fill("Praktijk De Linde")
    page.get_by_role("link", name="Mail server").click()
    page.get_by_label("Server", exact=True).fill("mail.example.org")
    page.locator("#mail-password").fill("five rather slow herons")
    page.get_by_role("link", name="Organisation").click()
    page.get_by_text("What you typed here before is filled in again").wait_for()
    assert page.get_by_label("Name", exact=True).input_value() == "Praktijk De Linde"
    assert "herons" not in page.evaluate("JSON.stringify(sessionStorage)")
    page.get_by_role("link", name="Mail server").click()
    page.get_by_text("What you typed here before is filled in again").wait_for()
    assert page.get_by_label("Server", exact=True).input_value() == "mail.example.org"


def say_who_asks(page: Page) -> None:
    """Fill in the organisation, from any page of the settings."""
    page.get_by_role("link", name="Organisation").first.click()
    page.get_by_label("Name", exact=True).fill("Stichting De Eik")
    page.get_by_label("Postal address").fill("Eikenlaan 7\n3500 AA Utrecht")
    page.get_by_label("E-mail address").fill("info@example.org")
    page.get_by_label("Authority for complaints").fill("Autoriteit Persoonsgegevens")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved. It holds from now on, without a restart.").wait_for()
    assert page.locator("header .organisation").inner_text() == "Stichting De Eik"


def _say_how_mail_gets_out(page: Page, inbox: Inbox) -> None:
    page.get_by_role("link", name="Mail server").first.click()
    page.get_by_label("Your mail provider", exact=True).select_option("A host with cPanel")
    page.get_by_role("button", name="Fill in what is known of it").click()
    page.get_by_text("are filled in below, and not saved yet").wait_for()
    assert page.get_by_label("Port", exact=True).input_value() == "465"
    choose_server(page, port=9)
    page.get_by_text("It does not work like this yet, so nothing was saved.").wait_for()
    choose_server(page, port=inbox.port)
    page.get_by_text("The mail server 127.0.0.1 answers").wait_for()
    assert {row.key for row in Chosen.select()} >= {"mail.server", "mail.port", "mail.tls"}


def choose_server(page: Page, *, port: int) -> None:
    """Name a mail server on this machine; nobody here wants TLS or a login, and presets do."""
    page.get_by_label("Your mail provider", exact=True).select_option("Another one")
    page.get_by_role("button", name="Fill in what is known of it").click()
    page.get_by_label("Server", exact=True).fill("127.0.0.1")
    page.get_by_label("Encryption", exact=True).select_option("none")
    page.get_by_label("Port", exact=True).fill(str(port))
    page.get_by_role("button", name="Test and save").click()
