"""The help on the admin's pages: the pages of docs/, in the reader's language, offline."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repermit import documentation, package_files
from repermit.checks.findings import Area
from repermit.db.connection import Database
from repermit.settings.definitions import Settings
from repermit.settings.editable_settings import EDITABLE
from repermit.web.admin.install import PAGES
from repermit.web.admin.rendering import HELP_TOPICS, LANGUAGES
from tests.exhaustive.test_browser_admin_looks import furnish, places
from tests.support.admin_pages import client_of, post, viewer_client
from tests.support.desk import Desk
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from flask.testing import FlaskClient

AREAS = package_files.load_data("check_areas.toml")
MOST_BYTES = 100_000
TEMPLATES = Path(__file__).parents[4] / "templates/admin"


def links_in(html: str) -> set[str]:
    return set(re.findall(r'href="(/admin/help/[^"]*)"', html))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_of_the_help_leads_to_a_page_and_its_heading(
    client: FlaskClient, language: str
) -> None:
    texts: dict[str, str] = {}
    links = {"/admin/help/"}
    while unread := {link.partition("#")[0] for link in links} - texts.keys():
        for path in unread:
            shown = client.get(path, headers={"Accept-Language": language})
            assert shown.status_code == 200, path
            assert len(shown.data) < MOST_BYTES, path
            texts[path] = shown.text
            links |= links_in(shown.text)
    for link in links:
        address, _, heading = link.partition("#")
        assert not heading or f'id="{heading}"' in texts[address], link
    names = {path.removeprefix("/admin/help/").partition("?")[0] for path in texts} - {""}
    assert names == set(documentation.list_names())


@pytest.mark.parametrize("name", ["reference/settings", "explanation/law"])
def test_a_wide_table_scrolls_by_itself_also_by_keyboard(client: FlaskClient, name: str) -> None:
    text = client.get(f"/admin/help/{name}").text
    tables = text.count("<table>")
    assert tables
    region = r'<div class="wide" tabindex="0" role="group" aria-label="[^"]+">\s*<table>'
    assert len(re.findall(region, text)) == len(re.findall(r"</table>\s*</div>", text)) == tables


def test_who_reads_dutch_gets_dutch_where_there_is_some(client: FlaskClient) -> None:
    dutch = {"Accept-Language": "nl"}
    shown = client.get("/admin/help/how-to/your-excel-file", headers=dutch).text
    assert '<article class="prose" lang="nl">' in shown
    assert "Uw Excel-bestand" in shown
    assert 'lang="en"' in client.get("/admin/help/how-to/debian", headers=dutch).text
    assert "Uw eerste campagne" in client.get("/admin/help/", headers=dutch).text


def test_each_language_of_a_page_leads_to_the_other(client: FlaskClient) -> None:
    dutch = {"Accept-Language": "nl"}
    shown = client.get("/admin/help/how-to/your-excel-file", headers=dutch).text
    link = "/admin/help/how-to/your-excel-file?language=en"
    assert f'<a href="{link}">In English</a>' in shown
    assert "Your Excel file" in client.get(link, headers=dutch).text
    assert 'href="/admin/help/?language=nl"' in client.get("/admin/help/").text


def test_each_page_links_to_the_help_that_is_about_it(client: FlaskClient) -> None:
    assert {name.partition(".")[0] for name in HELP_TOPICS} <= {page.name for page in PAGES}
    topics = (topic for name, topic in HELP_TOPICS.items() if "." not in name)
    linked = {
        topic.partition("#")[0] for topic in (*topics, *(area["help"] for area in AREAS.values()))
    }
    assert linked <= set(documentation.list_names())
    assert list(AREAS) == list(Area)
    dutch = {page.name for page in documentation.list_pages("nl") if page.language == "nl"}
    # That page is a long explanation for an auditor.
    assert linked - dutch == {"explanation/the-record"}
    assert 'href="/admin/help/how-to/settings"' in client.get("/admin/settings/").text
    assert 'href="/admin/help/"' in client.get("/admin/").text


def test_the_settings_of_a_page_lead_to_their_topic(client: FlaskClient) -> None:
    for group, link in (
        ("mail", "other-mail-hosts"),
        ("bounces", "bounces#a-mailbox"),
        ("retention", "faq#how-long-is-everything-kept"),
    ):
        assert (
            f'<li><a href="/admin/help/how-to/{link}">'
            in client.get(f"/admin/settings/{group}").text
        )
    assert 'href="/admin/help/how-to/dkim#sign-here"' in client.get("/admin/settings/mail").text


def test_each_topic_is_of_a_field_and_each_field_that_a_page_names_has_one() -> None:
    texts = {path: path.read_text() for path in TEMPLATES.rglob("*.html")}
    named = {
        f"{path.parent.name}.{name}"
        for path, text in texts.items()
        for name in re.findall(r'help_link\("(\w+)"', text)
    }
    fields = set(re.findall(r"(?:input|tick|choice)\(\w+\.(\w+)", "".join(texts.values())))
    keys = {topic for topic in HELP_TOPICS if "." in topic}
    assert named <= keys
    assert {key for key in keys - named if key.partition(".")[2] not in fields} == set()


def test_the_link_to_the_help_is_no_part_of_what_is_read_with_a_field() -> None:
    for path in TEMPLATES.rglob("*.html"):
        for line in path.read_text().splitlines():
            before, link, _ = re.sub("{%.*?%}", "", line).partition("{{ help_")
            around = re.sub("<span .*?</span>", "", before)
            assert not (link and re.search("<[^>]* (?:id|role)=", around)), (path, line)


HELP_LINK = re.compile(
    r'<a class="more" href="(/admin/help/[^"]+)" target="_blank" rel="noopener">'
)
HINT_OR_ERROR = re.compile(
    r'<p class="(?:hint|wrong)"[^>]*>(?:<span (?:id|role)=|[^<]).*?</p>', re.DOTALL
)


def test_every_hint_leads_to_the_help_in_both_languages(pages: Pages) -> None:
    client = client_of(pages, furnish(pages))
    bare, topics = [], set()
    for _, path in places(pages):
        text = client.get(path).text
        for hint in HINT_OR_ERROR.findall(text):
            topics.update(HELP_LINK.findall(hint))
            if not HELP_LINK.search(hint):
                bare.append(f"{path}: {hint}")
    assert bare == []
    assert len(topics) > 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_help_says_of_a_field_is_there_in_both_languages(
    client: FlaskClient, language: str
) -> None:
    topics = {topic for name, topic in HELP_TOPICS.items() if topic != "explanation/the-record"}

    @cache
    def show(name: str) -> str:
        return client.get(f"/admin/help/{name}", headers={"Accept-Language": language}).text

    for topic in topics | {setting.topic for setting in EDITABLE.values()}:
        name, _, heading = topic.partition("#")
        page = documentation.find_page(name, language=language)
        assert page, topic
        assert page.language == language, topic
        if heading:
            assert f'id="{heading}"' in show(name), topic


def test_an_error_of_a_field_leads_to_the_help(client: FlaskClient) -> None:
    shown = post(client, "/admin/new-list", name="", purpose="", sender_address="no address").text
    errors = [one for one in HINT_OR_ERROR.findall(shown) if "wrong" in one]
    assert len(errors) > 1
    assert all(HELP_LINK.search(one) for one in errors)
    typed = {"act": "save", "campaign.pause_at_bounce_percent": "200"}
    shown = post(client, "/admin/settings/campaign", **typed).text
    (error,) = [one for one in HINT_OR_ERROR.findall(shown) if "wrong" in one]
    assert HELP_LINK.findall(error) == [
        "/admin/help/how-to/while-it-runs#when-the-campaign-pauses-by-itself"
    ]


def test_who_has_not_logged_in_is_led_nowhere(database: Database, settings: Settings) -> None:
    shown = post(Pages(database, settings).app.test_client(), "/admin/login", email="", password="")
    assert 'class="wrong"' in shown.text
    assert not HELP_LINK.search(shown.text)


def test_a_viewer_may_read_it(database: Database, settings: Settings) -> None:
    assert viewer_client(Pages(database, settings)).get("/admin/help/").status_code == 200


@pytest.mark.parametrize(
    "name",
    ["no-such-page", "how-to/nothing", "develop/architecture", "../pyproject", "how-to/../README"],
)
def test_what_is_no_page_is_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/admin/help/{name}").status_code == 404


def test_the_command_prints_a_page_and_lists_all(desk: Desk) -> None:
    listed = desk.do("help")
    assert all(name in listed for name in documentation.list_names())
    assert "Check" in desk.do("help", "how-to/check")
    assert "Uw Excel-bestand" in desk.do("help", "your-excel-file", "--language", "nl")
    assert "there is no page nothing" in desk.run("help", "nothing").err


@pytest.mark.parametrize(
    ("variables", "title"),
    [
        ({"LANG": "nl_NL.UTF-8"}, "Een datalek"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "nl_BE.utf8"}, "Een datalek"),
        ({"LANG": "nl_NL", "LC_MESSAGES": "nl_NL", "LC_ALL": "C.UTF-8"}, "A data leak"),
        ({"LANG": "de_DE.UTF-8"}, "A data leak"),
        ({}, "A data leak"),
    ],
)
def test_the_command_speaks_the_language_of_the_terminal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], title: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(name, variables.get(name, ""))
    assert re.search(rf"how-to/data-leak +{title}\n", desk.do("help"))
    assert title in desk.do("help", "data-leak")
    assert "Een datalek" in desk.do("help", "data-leak", "--language", "nl")


@pytest.mark.parametrize("topic", ["Uw Excel-bestand", "uw-excel-bestand", "your-excel-file"])
def test_the_command_finds_a_page_by_its_title_too(desk: Desk, topic: str) -> None:
    assert "Welke bestanden" in desk.do("help", topic, "--language", "nl")
    said = desk.refused("help", "datalek", "--language", "nl")
    assert "bedoelde u how-to/data-leak?" in said


def test_the_command_finds_a_title_of_the_other_language(desk: Desk) -> None:
    assert "Welke bestanden" in desk.do("help", "Uw Excel-bestand")
    assert "Which files" in desk.do("help", "Your Excel file", "--language", "nl")
    assert "Welke bestanden" in desk.do("help", "your-excel-file", "--language", "nl")
