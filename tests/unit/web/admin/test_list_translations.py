"""Step 1 of a campaign for readers of further languages: the list in the words of each."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from repermit.campaigns import list_translations, preview
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.lists import ListText, MailingList
from repermit.i18n import catalogues
from tests.support.admin_pages import (
    post,
    read_version,
    viewer_client,
    words_at,
)
from tests.support.builders import NOW, make_contact, make_list, make_settings
from tests.support.public_pages import Pages, words_of
from tests.unit.emails.test_wording_validation import GOOD_HTML, GOOD_TEXT

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

DESCRIBE = "/admin/lists/news/describe"
IN = f"{DESCRIBE}/in"
GERMAN = {
    "language": "de",
    "name": "Neues aus der Praxis",
    "purpose": "Neues aus unserer Praxis, viermal im Jahr",
    "frequency": "",
    "privacy_url": "https://www.example.org/datenschutz",
}


@pytest.fixture
def news(database: Database) -> MailingList:
    made = make_list(database, languages=())
    for language in ("de", "fr", "fr"):
        make_contact(database, made, language=language)
    return made


def test_the_languages_that_people_wait_for_are_offered_first(
    client: FlaskClient, news: MailingList
) -> None:
    page = client.get(DESCRIBE)
    offered = re.findall(r'<option value="(..)">([^<]*)<', page.text.partition('id="further"')[2])
    assert offered[:2] == [
        ("fr", "French (2 people read it)"),
        ("de", "German (one person reads it)"),
    ]
    assert ("en", "English") in offered
    assert news.language not in dict(offered)


def test_a_language_is_described_beside_the_lists_own_words(
    client: FlaskClient, news: MailingList
) -> None:
    page = client.get(IN, query_string={"language": "de"})
    said = words_of(page)
    assert "Language: German." in said
    assert f"Dutch: {news.purpose}" in said
    assert "There is an example here once somebody would get a mail in this language." in said
    answer = post(client, IN, **GERMAN)
    assert answer.location == f"{DESCRIBE}#languages"
    assert lookup.read_list_facts(news).in_language("de").purpose == GERMAN["purpose"]
    assert list_translations.count_untranslated(news) == {"fr": 2}
    said = words_at(client, DESCRIBE)
    assert "Saved." in said
    assert "German" in said.partition("For readers of other languages")[2].partition("One lang")[0]
    said = words_at(client, f"{IN}?language=de")
    assert catalogues.load_translations("de").gettext("Yes, keep sending me these mails") in said
    assert GERMAN["purpose"] in said


def test_what_is_still_to_be_said_is_told(client: FlaskClient, news: MailingList) -> None:
    answer = post(client, IN, **{**GERMAN, "privacy_url": ""})
    assert answer.location == f"{IN}?language=de"
    said = words_at(client, answer.location)
    wanted = "nobody gets a mail in this language: where your privacy statement is"
    assert wanted in said
    assert lookup.read_list_facts(news).languages == ("nl",)
    said = words_at(client, DESCRIBE)
    lacks = "German : not used yet; still to be said: where your privacy statement is"
    assert f"{lacks} (one person reads it)" in said
    post(client, IN, language="de")
    assert not ListText.select().exists()


def test_the_second_of_two_admins_is_told_and_saves_only_by_pressing_again(
    client: FlaskClient, news: MailingList
) -> None:
    version = read_version(client.get(f"{IN}?language=de"))
    assert post(client, IN, **GERMAN, version=version).status_code == 303
    second = {**GERMAN, "purpose": "Neues von Bram"}
    answer = post(client, IN, **second, version=version)
    assert answer.status_code == 422
    assert "This was changed elsewhere meanwhile, so nothing was saved" in words_of(answer)
    assert "Neues von Bram" in answer.text
    assert list_translations.find_translation(news, "de").purpose == GERMAN["purpose"]
    assert post(client, IN, **second, version=read_version(answer)).status_code == 303
    assert list_translations.find_translation(news, "de").purpose == "Neues von Bram"


def test_an_address_that_is_none_is_refused_with_what_was_typed(
    client: FlaskClient, news: MailingList
) -> None:
    page = post(client, IN, **{**GERMAN, "privacy_url": "datenschutz"})
    assert page.status_code == 422
    assert "This is no web address" in words_of(page)
    assert GERMAN["purpose"] in page.text
    assert lookup.read_list_facts(news).languages == ("nl",)


def test_the_mail_may_have_own_words_in_it(client: FlaskClient, news: MailingList) -> None:
    page = post(client, IN, **GERMAN, own_text="Hallo")
    assert page.status_code == 422
    assert "Your own wording cannot be used" in words_of(page)
    assert "<details open>" in page.text
    assert lookup.read_list_facts(news).languages == ("nl",)
    fields = ("yes_url", "no_url", "silence", "objection", "stop", "privacy_url")
    own = "\r\n".join(["Dürfen wir?", *(f"{{{{ {one} }}}}" for one in fields)])
    own += "\r\n{{ organisation }}\r\n"
    post(client, IN, **GERMAN, own_subject="Dürfen wir?", own_text=own)
    assert ListText.get().own_text == own.replace("\r\n", "\n")
    assert "Dürfen wir?" in words_at(client, f"{IN}?language=de")
    post(client, IN, **GERMAN, own_text=" \r\n")
    assert ListText.get().own_text == ""


def read_blocks(page: TestResponse) -> dict[str, str]:
    """Return the blocks of the mail on a page, by the names of their inputs."""
    boxes = re.findall(r'<input[^>]* name="(block-[^"]+)" value="([^"]*)"', page.text)
    texts = re.findall(r'<textarea name="(block-[^"]+)"[^>]*>\n?([^<]*)<', page.text)
    return {name: html.unescape(text) for name, text in boxes + texts}


@pytest.mark.usefixtures("news")
def test_the_mail_is_written_in_blocks_in_that_language_too(client: FlaskClient) -> None:
    begun = post(client, f"{IN}/begin", **GERMAN, view="blocks")
    assert not ListText.select().exists()
    assert GERMAN["purpose"] in begun.text
    blocks = read_blocks(begun)
    assert "{{ yes_url }}" in "".join(blocks.values())
    # A fixed part shows what the reader sees, in the reader's language.
    assert (
        catalogues.load_translations("de").gettext("Yes, keep sending me these mails") in begun.text
    )
    ((name, words), *_) = [(name, text) for name, text in blocks.items() if "-words-" in name]
    blocks[name] = f"Guten Tag. {words}"
    post(
        client,
        IN,
        **GERMAN,
        **blocks,
        view="blocks",
        own_subject="Noch Post? Bis [last day in short]",
    )
    saved = ListText.get()
    assert "Guten Tag. " in saved.own_text
    assert saved.own_subject == "Noch Post? Bis {{ day }}"
    assert read_blocks(client.get(f"{IN}?language=de"))[name].startswith("Guten Tag. ")


@pytest.mark.usefixtures("news")
def test_its_blocks_refuse_what_is_no_field_and_its_template_is_shown_to_whoever_asks(
    client: FlaskClient,
) -> None:
    blocks = read_blocks(post(client, f"{IN}/begin", **GERMAN, view="blocks"))
    refused = post(client, IN, **GERMAN, **blocks, view="blocks", own_subject="[nobody]")
    assert refused.status_code == 422
    assert "There is no field [nobody]." in words_of(refused)
    shown = post(client, f"{IN}/view", **GERMAN, **blocks, view="blocks", show="template")
    assert "{{ yes_url }}" in html.unescape(shown.text.partition('id="own_text"')[2])
    lacking = post(client, f"{IN}/complete", **GERMAN, view="template", own_text="Hallo")
    assert "{{ no_url }}" in html.unescape(lacking.text)
    assert not ListText.select().exists()


def test_the_mail_may_be_laid_out_in_it_too(client: FlaskClient, news: MailingList) -> None:
    page = post(client, IN, **GERMAN, own_html="<p>Hallo")
    assert page.status_code == 422
    assert "Your own wording cannot be used" in words_of(page)
    assert 'id="own_html-wrong"' in page.text
    assert "<details open>" in page.text
    post(client, IN, **GERMAN, own_text=GOOD_TEXT, own_html=GOOD_HTML.replace("\n", "\r\n"))
    assert ListText.get().own_html == GOOD_HTML
    assert html.escape(GOOD_HTML.splitlines()[0]) in client.get(f"{IN}?language=de").text
    for language, is_there in (("de", True), ("nl", False)):
        mail = preview.preview_mail(news, settings=make_settings(), now=NOW, language=language)
        assert (">Privacy</a></p>" in mail.html) is is_there
    post(client, IN, **GERMAN, own_text=GOOD_TEXT, own_html=" \r\n")
    assert ListText.get().own_html == ""


@pytest.mark.parametrize("language", ["nl", "xx", ""])
def test_another_address_shows_the_first_language_that_is_not_the_lists(
    client: FlaskClient, news: MailingList, language: str
) -> None:
    said = words_of(client.get(IN, query_string={"language": language}))
    assert "Language: Czech." in said
    assert f"Dutch: {news.name}" in said


def test_only_the_languages_of_the_list_are_previewed(
    client: FlaskClient, news: MailingList
) -> None:
    post(client, IN, **GERMAN)
    page = client.get("/admin/lists/news/mail")
    chosen = page.text.partition('id="language"')[2].partition("</select>")[0]
    assert re.findall(r'value="(..)"', chosen) == [news.language, "de"]


def test_all_languages_can_be_there(database: Database, client: FlaskClient) -> None:
    news = make_list(database, languages=catalogues.languages())
    assert news.id
    assert "One language more" not in words_at(client, DESCRIBE)


def test_it_is_the_admin_s_to_say(pages: Pages, news: MailingList) -> None:
    viewer = viewer_client(pages)
    assert viewer.get(IN).status_code == 403
    assert post(viewer, IN, **GERMAN).status_code == 403
    assert lookup.read_list_facts(news).languages == ("nl",)
