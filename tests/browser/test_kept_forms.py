"""Nothing typed is lost by looking at a check or a page of settings, and coming back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from repermit.campaigns import campaign_draft
from repermit.campaigns.campaign_draft import Conditions
from repermit.checks.findings import Finding, Report
from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.settings.definitions import Settings
from tests.support.admin_pages import let_in
from tests.support.builders import NOW, make_contact, make_list, make_organisation
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

CONDITIONS, SETTINGS = "/admin/lists/news/conditions", "/admin/settings/organisation"
WHO = "Who decided to ask, and on what ground?"
TYPED = "Decided by the board; the addresses are from our own forms."
SAID = "What you typed here before is filled in again"


@pytest.fixture
def typing(database: Database, settings: Settings, page: Page) -> Iterator[tuple[Page, str]]:
    """Return a browser of an admin, and where the pages are; some settings are empty."""
    make_contact(database, make_list(database))
    asking = replace(settings, organisation=make_organisation(email="", telephone=""))
    with served(lambda url: Pages(database, replace(asking, public_url=url))) as pages:
        let_in(page, pages)
        yield page, pages.settings.public_url


def test_what_was_typed_is_there_again_after_a_page_of_settings(typing: tuple[Page, str]) -> None:
    page, url = typing
    page.goto(url + CONDITIONS)
    page.get_by_label(WHO).fill(TYPED)
    page.goto(url + SETTINGS)
    page.goto(url + CONDITIONS)
    assert page.get_by_label(WHO).input_value() == TYPED
    page.get_by_text(SAID).wait_for()


def test_what_was_typed_is_there_again_after_a_check_and_a_page_of_settings(
    typing: tuple[Page, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The check itself would ask the DNS.
    found = Report(findings=())
    monkeypatch.setattr("repermit.web.admin.campaign_dates.check_everything", lambda: found)
    page, url = typing
    page.goto(url + CONDITIONS)
    page.get_by_label(WHO).fill(TYPED)
    page.get_by_role("button", name="Check now whether it would work").click()
    page.get_by_role("heading", name="Would a campaign work?").wait_for(timeout=60_000)
    assert page.get_by_label(WHO).input_value() == TYPED
    page.goto(url + SETTINGS)
    page.goto(url + CONDITIONS)
    assert page.get_by_label(WHO).input_value() == TYPED


@pytest.mark.parametrize(
    ("button", "said"),
    [
        ("Check now whether it would work", "Would a campaign work?"),
        ("Save and see what comes of it", "Something needs another look:"),
    ],
)
def test_the_way_back_to_an_answer_has_what_was_typed_into_it(
    typing: tuple[Page, str], monkeypatch: pytest.MonkeyPatch, button: str, said: str
) -> None:
    """A browser would ask whether to send the form again, and show it without that."""
    found = Report(findings=())
    monkeypatch.setattr("repermit.web.admin.campaign_dates.check_everything", lambda: found)
    page, url = typing
    page.goto(url + CONDITIONS)
    page.locator("[name=reminder]").fill("many")
    page.get_by_role("button", name=button).click()
    page.get_by_text(said, exact=True).wait_for(timeout=60_000)
    page.locator("[name=reminder]").fill("9")
    page.goto(url + SETTINGS)
    page.go_back()
    page.get_by_text(SAID).wait_for()
    assert page.url == url + CONDITIONS
    assert page.locator("[name=reminder]").input_value() == "9"


def test_the_way_back_to_another_language_has_its_words(typing: tuple[Page, str]) -> None:
    page, url = typing
    address = f"{url}/admin/lists/news/describe/in?language=de"
    page.goto(address)
    page.locator("[name=privacy_url]").fill("no address")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("form[data-keep=typed]").wait_for()
    page.get_by_label("What will people get?").fill("Neuigkeiten")
    page.goto(url + SETTINGS)
    page.go_back()
    page.get_by_text(SAID).locator("visible=true").wait_for()
    assert page.url == address
    assert page.get_by_label("What will people get?").input_value() == "Neuigkeiten"


def test_what_is_saved_meanwhile_comes_before_what_was_typed(
    database: Database, typing: tuple[Page, str]
) -> None:
    page, url = typing
    page.goto(f"{url}/admin/lists/news/describe")
    page.get_by_label("How often?").fill("daily")
    for typed, is_said in (("", False), ("Nieuws van de praktijk", True)):
        if typed:
            page.get_by_label("How often?").fill("weekly")
            page.get_by_label("What will people get?").fill(typed)
        page.goto(url + SETTINGS)
        with database.atomic():
            MailingList.update(frequency=f"monthly{typed}").execute()
        page.goto(f"{url}/admin/lists/news/describe")
        assert page.get_by_label("How often?").input_value() == f"monthly{typed}"
        assert page.get_by_text(SAID).is_visible() == is_said
    assert page.get_by_label("What will people get?").input_value() == typed


def test_once_it_is_saved_nothing_is_kept(typing: tuple[Page, str]) -> None:
    page, url = typing
    page.goto(url + CONDITIONS)
    page.get_by_label(WHO).fill(TYPED)
    page.get_by_role("button", name="Save and see what comes of it").click()
    page.get_by_text("Saved.").wait_for()
    page.goto(url + SETTINGS)
    page.goto(url + CONDITIONS)
    assert page.get_by_text(SAID).is_hidden()
    assert page.evaluate("sessionStorage.length") == 0


# --- What is saved under Settings changes what a form begins with, not what was typed. ------------


def save_setting(typing: tuple[Page, str], group: str, label: str, text: str) -> None:
    """Change one setting on its page, as somebody does who came for that."""
    page, url = typing
    page.goto(f"{url}/admin/settings/{group}")
    page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved. It holds from now on, without a restart.").wait_for()


@pytest.mark.exhaustive
def test_a_new_list_is_there_again_with_the_organisation_that_was_saved(
    typing: tuple[Page, str],
) -> None:
    page, url = typing
    page.goto(f"{url}/admin/new-list")
    typed = {
        "Name of the list": "Nieuws",
        "What will people get?": "Ons nieuws",
        "How often?": "weekly",
    }
    for label, text in typed.items():
        page.get_by_label(label).fill(text)
    page.get_by_label("Send a receipt by mail").uncheck()
    save_setting(typing, "organisation", "E-mail address", "eik@example.org")
    page.goto(f"{url}/admin/new-list")
    page.get_by_text(SAID).wait_for()
    assert {label: page.get_by_label(label).input_value() for label in typed} == typed
    assert not page.get_by_label("Send a receipt by mail").is_checked()
    assert page.get_by_label("E-mail address of the sender").input_value() == "eik@example.org"
    # A browser may keep the page itself, and show it as it was when somebody goes back.
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_text("The list is added.").wait_for()
    page.goto(f"{url}/admin/new-list")
    assert page.get_by_label("Name of the list").input_value() == ""


@pytest.mark.exhaustive
def test_who_decided_is_there_again_after_other_minimum_days(typing: tuple[Page, str]) -> None:
    page, url = typing
    page.goto(url + CONDITIONS)
    day = page.get_by_label("Last day to answer").input_value()
    page.get_by_label(WHO).fill(TYPED)
    save_setting(typing, "campaign", "Days that people have at least", "40")
    page.goto(url + CONDITIONS)
    page.get_by_text(SAID).wait_for()
    assert page.get_by_label(WHO).input_value() == TYPED
    assert page.get_by_label("Last day to answer").input_value() > day


@pytest.mark.exhaustive
def test_what_was_typed_over_a_suggestion_is_there_again_after_it_changed(
    typing: tuple[Page, str],
) -> None:
    page, url = typing
    sender = ("/admin/new-list", "E-mail address of the sender", "typed@example.org")
    address = ("organisation", "E-mail address", "eik@example.org")
    deadline = (CONDITIONS, "Last day to answer", "2027-05-06")
    days = ("campaign", "Days that people have at least", "40")
    for (path, label, typed), setting in ((sender, address), (deadline, days)):
        page.goto(url + path)
        page.get_by_label(label).fill(typed)
        save_setting(typing, *setting)
        page.goto(url + path)
        page.get_by_text(SAID).wait_for()
        assert page.get_by_label(label).input_value() == typed


@pytest.mark.exhaustive
def test_reasons_are_there_again_after_another_telephone(
    database: Database, typing: tuple[Page, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Finding(code="smtp_half_a_login")
    monkeypatch.setattr("repermit.web.admin.launch.find_launch_findings", lambda _list: (problem,))
    page, url = typing
    conditions = Conditions(
        deadline="2026-03-30", attest=TYPED, asking_ground="legitimate-interest"
    )
    campaign_draft.save_conditions(database, MailingList.get(), conditions, now=NOW, actor="user:1")
    save_setting(typing, "organisation", "E-mail address", "eik@example.org")
    page.goto(f"{url}/admin/lists/news/launch")
    version = page.locator("main [name=version]").input_value()
    page.get_by_label("Launch all the same, because").fill("We have none.")
    save_setting(typing, "organisation", "Telephone", "+31 30 765 43 21")
    page.goto(f"{url}/admin/lists/news/launch")
    page.get_by_text(SAID).wait_for()
    assert page.get_by_label("Launch all the same, because").input_value() == "We have none."
    assert page.locator("main [name=version]").input_value() != version


@pytest.mark.exhaustive
def test_one_page_of_settings_is_there_again_after_another_was_saved(
    typing: tuple[Page, str],
) -> None:
    page, url = typing
    page.goto(url + SETTINGS)
    page.get_by_label("Telephone", exact=True).fill("+31 30 765 43 21")
    save_setting(typing, "campaign", "Days that people have at least", "40")
    page.goto(url + SETTINGS)
    page.get_by_text(SAID).wait_for()
    assert page.get_by_label("Telephone", exact=True).input_value() == "+31 30 765 43 21"
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved. It holds from now on, without a restart.").wait_for()


@pytest.mark.exhaustive
def test_a_record_is_there_again_with_one_recipient_more(typing: tuple[Page, str]) -> None:
    page, url = typing
    page.goto(f"{url}/admin/lists/news/papers/answers")
    page.get_by_label("Representative in the Union").fill("De Linde BV")
    page.get_by_label("We do this ourselves").check()
    page.goto(f"{url}/admin/settings/mail")
    page.get_by_label("Server", exact=True).fill("mail.example.net")
    page.get_by_role("button", name="Save without a test").click()
    page.get_by_text("Saved. It holds from now on, without a restart.").wait_for()
    page.goto(f"{url}/admin/lists/news/papers/answers")
    page.get_by_text(SAID).wait_for()
    assert page.get_by_label("Representative in the Union").input_value() == "De Linde BV"
    ticks = page.get_by_label("We do this ourselves").all()
    assert [tick.is_checked() for tick in ticks] == [True, False]


# --- The mail, whose form has other fields in blocks than it is served with. ----------------------


@pytest.mark.exhaustive
def test_words_typed_into_blocks_are_there_again_after_a_page_of_settings(
    database: Database, typing: tuple[Page, str]
) -> None:
    page, url = typing
    page.goto(f"{url}/admin/lists/news/mail")
    page.get_by_role("button", name="Say it in your own words").click()
    page.get_by_label("Words 3", exact=True).fill("Mijn eigen woorden.")
    page.get_by_label("Subject").fill("Mijn vraag")
    page.goto(url + SETTINGS)
    page.goto(f"{url}/admin/lists/news/mail")
    page.get_by_text(SAID).locator("visible=true").wait_for()
    assert page.get_by_label("Words 3", exact=True).input_value() == "Mijn eigen woorden."
    assert page.get_by_label("Subject").input_value() == "Mijn vraag"
    assert page.get_by_text("Nee, stuur mij deze mails niet meer").first.is_visible()
    with database.atomic():
        assert MailingList.get().own_text == ""


@pytest.mark.exhaustive
def test_a_template_typed_is_there_again_unless_another_was_saved_meanwhile(
    database: Database, typing: tuple[Page, str]
) -> None:
    page, url = typing
    for saved in ("", "Iets anders"):
        page.goto(f"{url}/admin/lists/news/mail?view=template")
        page.get_by_label("Text", exact=True).fill("Mijn sjabloon")
        page.goto(url + SETTINGS)
        with database.atomic():
            MailingList.update(own_text=saved).execute()
        page.goto(f"{url}/admin/lists/news/mail")
        if saved:
            assert page.get_by_text("Mijn sjabloon").count() == 0
            assert page.get_by_text(SAID).is_hidden()
        else:
            page.get_by_text(SAID).locator("visible=true").wait_for()
            assert page.get_by_label("Text", exact=True).input_value() == "Mijn sjabloon"


@pytest.mark.exhaustive
def test_each_further_language_keeps_its_own_words(typing: tuple[Page, str]) -> None:
    page, url = typing
    for language, words in (("de", "Neuigkeiten"), ("fr", "Nouvelles")):
        page.goto(f"{url}/admin/lists/news/describe/in?language={language}")
        page.get_by_label("What will people get?").fill(words)
    for language, words in (("de", "Neuigkeiten"), ("fr", "Nouvelles")):
        page.goto(f"{url}/admin/lists/news/describe/in?language={language}")
        assert page.get_by_label("What will people get?").input_value() == words
