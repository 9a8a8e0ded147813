"""The admin's pages on what mails and pages say: looked for, corrected, taken back."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from repermit.i18n import catalogues, correctable_texts
from repermit.setting_overrides.text_corrections import read_corrections
from repermit.web.admin import text_corrections
from tests.support.admin_pages import post, words_at
from tests.support.public_pages import Pages, words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient

pytestmark = pytest.mark.usefixtures("usual_texts")

URL = "/admin/texts/"
YES = correctable_texts.key_of("Yes, keep sending me these mails")
DAYS = correctable_texts.key_of("When one of us looked at your data: for one day.")
USUAL = "Ja, blijf mij deze mails sturen"


def shown(client: FlaskClient, **wanted: str) -> list[str]:
    """Return the keys of the texts that a search shows."""
    return re.findall(r"/admin/texts/\w\w/(\w+)", client.get(URL, query_string=wanted).text)


def test_a_text_is_found_by_what_it_says_or_its_english(client: FlaskClient) -> None:
    assert YES in shown(client, language="nl", wanted="BLIJF mij")
    assert YES in shown(client, language="nl", wanted="keep sending")
    assert shown(client, language="nl", wanted="no text says this") == []
    assert "0 texts" in words_of(client.get(URL, query_string={"wanted": "no text says this"}))


def test_all_texts_are_there_page_after_page(client: FlaskClient) -> None:
    pages = [client.get(f"{URL}?language=de").text]
    while found := re.search(r'href="([^"]+)" rel="next"', pages[-1]):
        pages.append(client.get(unescape(found[1])).text)
    seen = re.findall(r"/admin/texts/de/(\w+)", "".join(pages))
    assert seen == list(correctable_texts.texts_in("de"))
    assert len(pages) == -(-len(seen) // text_corrections.PAGE_SIZE)
    assert [html.count('rel="prev"') for html in pages] == [0] + [1] * (len(pages) - 1)
    assert shown(client, language="de", after="gone") == seen[: text_corrections.PAGE_SIZE]


def test_a_text_is_corrected_and_taken_back(client: FlaskClient, pages: Pages) -> None:
    path = f"{URL}nl/{YES}"
    page = client.get(path)
    assert f"Usual: {USUAL}" in words_of(page)
    assert "Have the usual text again" not in page.text
    answer = post(client, path, form_0="Ja, graag")
    assert answer.location == f"{URL}?language=nl&corrected=yes"
    assert "Saved. Mails and pages say so from now on." in words_at(client, answer.location)
    assert shown(client, language="nl", corrected="yes") == [YES]
    assert "Ja, graag" in words_at(client, f"{URL}?language=nl&wanted=graag")
    page = client.get(path)
    assert ">\r\nJa, graag</textarea>" in page.text
    assert "Have the usual text again" in page.text
    post(client, path, form_0="Ja, graag", usual="yes")
    assert read_corrections("nl") == {}
    pages.app.extensions["repermit.present"].settings()
    assert catalogues.load_translations("nl").gettext("Yes, keep sending me these mails") == USUAL


def test_each_form_has_a_field_that_says_for_which_number(client: FlaskClient) -> None:
    path = f"{URL}pl/{DAYS}"
    said = words_of(client.get(path))
    for number in (1, 2, 5):
        assert f"What it says for {number}" in said
    forms = {f"form_{place}": f"Dni {place}: %(days)s" for place in range(3)}
    post(client, path, **forms)
    assert read_corrections("pl")[DAYS] == tuple(forms.values())


@pytest.mark.everyday("[nl]", "[cs]")
@pytest.mark.parametrize("language", catalogues.languages())
def test_a_text_with_numbers_has_its_page_in_every_language(
    client: FlaskClient, language: str
) -> None:
    page = client.get(f"{URL}{language}/{DAYS}")
    assert page.status_code == 200
    assert page.text.count("<textarea") == len(correctable_texts.texts_in(language)[DAYS].usual)


def test_what_is_refused_stays_as_it_was_typed(client: FlaskClient) -> None:
    page = post(client, f"{URL}nl/{YES}", form_0="Ja <i>graag</i>")
    assert page.status_code == 422
    assert "The sign < cannot stand in a text." in words_of(page)
    assert "Ja &lt;i&gt;graag&lt;/i&gt;" in page.text
    assert read_corrections("nl") == {}


@pytest.mark.parametrize("path", [f"xx/{YES}", "nl/0123456789abcdef", "nl/x"])
def test_there_is_no_page_for_a_text_that_there_is_not(client: FlaskClient, path: str) -> None:
    assert client.get(URL + path).status_code == 404
    assert post(client, URL + path).status_code == 404


def test_an_unknown_language_is_that_of_the_page(client: FlaskClient) -> None:
    page = client.get(f"{URL}?language=xx", headers={"Accept-Language": "nl"})
    assert '<option value="nl" selected>' in page.text


def test_the_settings_lead_there(client: FlaskClient) -> None:
    assert f'href="{URL}"' in client.get("/admin/settings/").text
