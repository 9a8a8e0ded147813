"""Step 0: who asks and through which mail server is asked for before the first list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.settings.definitions import MailServer, Organisation, Origin, Settings
from tests.support.admin_pages import admin_client, post, viewer_client, words_at
from tests.support.builders import make_campaign, make_list
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from flask.testing import FlaskClient

SERVER = MailServer(server="mail.example.org", username="news", password="quiet otters")
NEEDED = "Before the first list"


@pytest.fixture
def bare(database: Database, settings: Settings) -> Pages:
    """Return the pages of an installation in which nothing has been filled in."""
    return Pages(database, replace(settings, organisation=Organisation(), mail=MailServer()))


@pytest.fixture
def client(bare: Pages) -> FlaskClient:
    return admin_client(bare)


@pytest.mark.parametrize("url", ["/admin/", "/admin/new-list"])
def test_what_lacks_is_named_with_a_link_each(client: FlaskClient, url: str) -> None:
    said = words_at(client, url)
    assert NEEDED in said
    assert "Postal address" in said
    assert "Mail server : None is chosen yet" in said
    html = client.get(url).text
    for page in ("organisation", "mail"):
        assert f'href="/admin/settings/{page}"' in html


def test_the_first_of_it_is_the_main_button(client: FlaskClient) -> None:
    html = client.get("/admin/", headers={"Accept-Language": "en"}).text
    assert '<a class="button" href="/admin/settings/organisation">Fill in: Organisation' in html
    assert '<a class="button second" href="/admin/new-list">' in html


def test_what_is_done_is_ticked_and_the_next_is_asked_for(
    database: Database, settings: Settings
) -> None:
    client = admin_client(Pages(database, replace(settings, mail=MailServer())))
    said = words_at(client, "/admin/")
    assert "✓ Organisation: Praktijk De Linde" in said
    assert "Fill in: Mail server" in said


def test_a_saved_page_of_settings_leads_to_what_lacks_next(
    database: Database, settings: Settings
) -> None:
    there = Pages(database, replace(settings, mail=MailServer()))
    assert "Go on: Mail server" in words_at(admin_client(there), "/admin/settings/organisation")


def test_the_last_page_of_settings_leads_to_the_first_list(
    database: Database, settings: Settings
) -> None:
    settings = replace(settings, mail=SERVER, origins={"mail.server": Origin.CONFIG})
    client = admin_client(Pages(database, settings))
    assert "Go on: The first list" in words_at(client, "/admin/settings/mail")
    assert NEEDED not in words_at(client, "/admin/")
    make_list(database)
    assert "Go on" not in words_at(client, "/admin/settings/mail")


def test_a_page_that_is_not_filled_in_does_not_lead_on(client: FlaskClient) -> None:
    assert "Go on" not in words_at(client, "/admin/settings/organisation")


def test_a_server_that_was_chosen_is_named(client: FlaskClient) -> None:
    fields = {"mail.server": "mail.example.org", "mail.username": "news", "act": "save"}
    fields |= {"mail.password": "quiet otters"}
    assert post(client, "/admin/settings/mail", **fields).status_code == 303
    assert "✓ Mail server: mail.example.org, port" in words_at(client, "/admin/")


def test_once_a_campaign_was_launched_nothing_is_asked_for(
    bare: Pages, client: FlaskClient
) -> None:
    make_campaign(bare.database, make_list(bare.database))
    assert NEEDED not in words_at(client, "/admin/")


def test_a_viewer_is_not_asked_to_fill_anything_in(bare: Pages) -> None:
    assert NEEDED not in words_at(viewer_client(bare), "/admin/")
