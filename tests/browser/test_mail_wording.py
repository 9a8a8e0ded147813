"""The mail in a browser: it is seen while it is written, and nothing of it is saved by that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.settings.definitions import Settings
from tests.support.admin_pages import let_in
from tests.support.builders import make_list
from tests.support.public_pages import Pages, everything_in, served

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def writing(database: Database, settings: Settings, page: Page) -> Iterator[Page]:
    """Return a browser at the mail of a list."""
    make_list(database)
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as pages:
        page.goto(f"{let_in(page, pages)}lists/news/mail")
        yield page


@pytest.fixture
def template(writing: Page) -> Page:
    """Return a browser at the template of the mail."""
    writing.goto(f"{writing.url}?view=template")
    return writing


def test_words_are_typed_into_blocks_and_seen_beside_what_stays(
    database: Database, writing: Page
) -> None:
    before = everything_in(database)
    seen = writing.frame_locator("iframe")
    writing.get_by_role("button", name="Say it in your own words").click()
    # The text that is begun with is seen at once, and not the one that is saved.
    seen.get_by_text("Praktijk De Linde vraagt u dit").wait_for()
    blocks = writing.get_by_role("group", name="The mail’s words")
    assert blocks.get_by_text("Ja, blijf mij deze mails sturen").is_visible()
    writing.get_by_label("Words 3", exact=True).fill("Antwoordt u voor [last day and time]?")
    seen.get_by_text("Antwoordt u voor maandag 30 maart 2026, 23:59 uur?").wait_for()
    writing.get_by_label("Heading 1", exact=True).fill("Een vraag van [your name]")
    seen.get_by_role("heading", name="Een vraag van Praktijk De Linde").wait_for()
    writing.get_by_label("Words 3", exact=True).fill("[nobody]")
    seen.get_by_text("[nobody]").wait_for()
    assert everything_in(database) == before
    # Return in a field saves, and stays where it is.
    writing.get_by_label("Words 3", exact=True).fill("Antwoordt u?")
    writing.get_by_label("Heading 1", exact=True).press("Enter")
    writing.get_by_text("Saved.").wait_for()
    assert writing.get_by_label("Words 3", exact=True).input_value() == "Antwoordt u?"


def test_the_mail_is_seen_as_it_is_typed_and_nothing_is_saved(
    database: Database, template: Page
) -> None:
    before = everything_in(database)
    seen = template.frame_locator("iframe")
    seen.get_by_text("(59 characters)").wait_for()
    pages_before = template.evaluate("history.length")
    template.get_by_label("Subject").fill("Een vraag")
    seen.get_by_text("(9 characters)").wait_for()
    template.get_by_label("Language").select_option("de")
    seen.get_by_text("Guten Tag,").wait_for()
    # One's own words are in the list's own language alone.
    template.get_by_label("Language").select_option("nl")
    seen.get_by_text("Geachte lezer,").wait_for()
    template.get_by_label("Text", exact=True).fill("Niets")
    seen.get_by_text("There is no mail to look at yet:").wait_for()
    # Whoever goes back leaves the page, and does not go through every letter.
    assert template.evaluate("history.length") == pages_before
    assert everything_in(database) == before


@pytest.mark.exhaustive
def test_a_link_of_the_mail_leads_nowhere(template: Page) -> None:
    seen = template.frame_locator("iframe")
    seen.get_by_text("Ja, blijf mij deze mails sturen").first.click()
    template.wait_for_timeout(300)
    assert seen.get_by_text("(59 characters)").is_visible()
    assert len(template.context.pages) == 1


@pytest.mark.exhaustive
def test_the_mail_is_as_wide_as_what_is_chosen(writing: Page) -> None:
    writing.set_viewport_size({"width": 1280, "height": 900})
    frame = writing.locator("iframe")
    assert frame.evaluate("one => one.offsetWidth") == 392
    writing.get_by_label("Computer").check()
    assert frame.evaluate("one => one.offsetWidth") > 900


@pytest.mark.exhaustive
def test_the_end_of_a_phones_first_screen_is_seen_and_a_long_mail_is_warned_of(
    template: Page,
) -> None:
    seen = template.frame_locator("iframe")
    fold = seen.get_by_text("A phone’s first screen ends here")
    fold.wait_for()
    answer = seen.get_by_text("Nee, stuur mij deze mails niet meer").bounding_box()
    line = fold.bounding_box()
    assert answer
    assert line
    assert answer["y"] + answer["height"] < line["y"]
    assert not seen.get_by_text("On a phone an answer is not seen at first").is_visible()
    template.get_by_role("button", name="Begin with the usual words").click()
    text = template.get_by_label("Text", exact=True)
    before = text.input_value()
    text.fill("Wat vooraf gaat. " * 30 + "\n\n" + before)
    seen.get_by_text("On a phone an answer is not seen at first").wait_for()
    text.fill(before)
    seen.get_by_text("On a phone an answer is not seen at first").wait_for(state="detached")
    # HTML of one's own is held to the same, whatever its text part says.
    needed = ("organisation", "silence", "objection", "stop")
    html = "".join(f"<div>{{{{ {name} }}}}</div>" for name in needed)
    links = "".join(
        f'<p><a href="{{{{ {name}_url }}}}">{name}</a></p>' for name in ("yes", "no", "privacy")
    )
    code = template.get_by_label("HTML", exact=True)
    template.locator("details", has=code).locator("summary").click()
    code.fill(f"{'<p>Wat vooraf gaat.</p>' * 30}{html}{links}")
    seen.get_by_text("On a phone an answer is not seen at first").wait_for()
    code.fill("")
    seen.get_by_text("On a phone an answer is not seen at first").wait_for(state="detached")
    template.get_by_label("Computer").check()
    assert not fold.is_visible()


@pytest.mark.exhaustive
def test_a_subject_is_warned_of_that_a_phone_cuts_or_that_lacks_the_last_day(
    template: Page,
) -> None:
    seen = template.frame_locator("iframe")
    too_long = seen.get_by_text("A phone shows the first 60 characters of a subject")
    lacks_day = seen.get_by_text("The subject does not say until when one may answer")
    template.get_by_role("button", name="Begin with the usual words").click()
    subject = template.get_by_label("Subject")
    seen.get_by_text("blijven ontvangen? Uiterlijk").wait_for()
    assert subject.input_value().endswith("{{ day }}")
    assert too_long.count() == lacks_day.count() == 0
    subject.fill("Mogen wij u blijven mailen?")
    lacks_day.wait_for()
    subject.fill("Mogen wij u blijven mailen, ook als er eens een tijdje niets te melden is?")
    too_long.wait_for()
    assert lacks_day.count() == 0
    subject.fill("Blijven mailen? Uiterlijk {{ day }}")
    too_long.wait_for(state="detached")
    assert lacks_day.count() == 0
