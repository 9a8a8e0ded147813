"""The pictures of the README, and how they are made anew: PICTURES=.github pytest … this file.

They show the sample people of the demo and example.org, in a campaign that is nine days old.
"""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error

from repermit.campaigns import campaign_draft
from repermit.campaigns.campaign_draft import Conditions
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.demo.environment import SAMPLE
from repermit.expiry import downtime
from repermit.imports import read_upload, uploads
from repermit.package_files import find_asset
from repermit.rules.consent import CampaignState, Reason
from tests.support.admin_pages import let_in, make_admin
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_list,
    make_organisation,
    make_settings,
)
from tests.support.public_pages import Pages, freeze_wording, served
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

ROOT = Path(__file__).parents[2]
MOST = 64 << 10
"""Octets of one picture."""

YES = (34, 21, 12, 9, 6, 5, 3, 2, 2)
NO = (8, 5, 3, 2, 2, 1, 1, 0, 1)
"""Answers, day by day."""

TEXT = """{{ greeting }}

You get news of our courses, four times a year. May we go on? Please answer by {{ deadline }}.

Yes: {{ yes_url }}

No: {{ no_url }}

{{ reason }}
{{ silence }}
{{ stop }}

{{ objection }}

{{ organisation }}
{{ privacy_url }}
"""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Where it is taken; `width` and `height` in CSS pixels, `scale` how many dots one has."""

    path: str
    width: int = 1000
    height: int = 700
    scale: float = 1
    scheme: str = "light"


PHONE: Mapping[str, Any] = {"width": 360, "height": 760, "scale": 1.5}
PICTURES: Mapping[str, Picture] = {
    "live": Picture(path="/admin/lists/linde/", height=740),
    "lists": Picture(path="/admin/", height=760),
    "file": Picture(path="/admin/lists/courses/file", height=760),
    "mail": Picture(path="/admin/lists/courses/mail", width=1100, height=760),
    "phone-live": Picture(path="/admin/lists/linde/", scheme="dark", **PHONE),
    "phone-answer": Picture(path="/yes/", **PHONE),
}


@pytest.fixture
def pages(database: Database, sqlite_url: str) -> Iterator[Pages]:
    organisation = make_organisation(
        name="De Linde health centre",
        address="1 Lime Street\nLinden 1234",
        email="news@example.org",
    )

    def make(url: str) -> Pages:
        settings = make_settings(public_url=url, database=sqlite_url, organisation=organisation)
        return Pages(database, settings)

    with served(make) as running:
        yield running


def add_running(pages: Pages) -> Contact:
    """Add a list in the middle of its campaign; return one whom it has asked."""
    database, began = pages.database, NOW - timedelta(days=len(YES) - 1, hours=1)
    linde = make_list(database, slug="linde", **SAMPLE["list"])
    campaign = make_campaign(
        database,
        linde,
        deadline=began.replace(hour=22, minute=59) + timedelta(days=28),
        launched_at=began,
        starts_at=began,
    )
    freeze_wording(database, campaign, linde, "en")
    with database.atomic():
        for day, (yes, no) in enumerate(zip(YES, NO, strict=True)):
            at = began + timedelta(days=day)
            for number in range(yes + no):
                asked = make_asked(database, linde, campaign)
                if number < yes:
                    say_yes(database, asked, campaign.id, at=at)
                else:
                    take_off(database, asked, campaign.id, at=at)
        for _ in range(4):
            gone = make_asked(database, linde, campaign)
            take_off(database, gone, campaign.id, reason=Reason.BOUNCE)
        silent = make_asked(database, linde, campaign, "mary.oneill@example.com")
        for _ in range(69):
            make_asked(database, linde, campaign)
    # The pages were up all the time.
    downtime.assume_up_until(database, moment=NOW)
    return silent


def add_prepared(pages: Pages) -> None:
    """Add a list whose file, the sample of the demo, waits to be taken in."""
    about: dict[str, Any] = {**SAMPLE["list"], "name": "Courses at De Linde"}
    courses = make_list(
        pages.database,
        slug="courses",
        **about,
        own_subject="May we keep writing to you?",
        own_text=TEXT,
    )
    campaign_draft.save_conditions(
        pages.database, courses, Conditions(deadline="2026-03-30"), now=NOW, actor="user:1"
    )
    given: dict[str, Any] = {"settings": pages.settings, "now": NOW}
    file = io.BytesIO(find_asset("data/demo/list.csv").read_bytes())
    uploads.keep_upload(
        pages.database, courses, file, name="customers-2026.csv", user_id=1, **given
    )
    assert read_upload.start_reading(
        pages.database, courses, actor="user:1", choices=uploads.Choices(), **given
    )


def add_over(pages: Pages) -> None:
    """Add a list whose campaign is over."""
    database, began, ended = pages.database, NOW - timedelta(days=40), NOW - timedelta(days=12)
    about: dict[str, Any] = {**SAMPLE["list"], "name": "Invitations to open days"}
    over = make_list(database, slug="open", **about)
    campaign = make_campaign(
        database,
        over,
        state=CampaignState.CLOSED,
        launched_at=began,
        starts_at=began,
        deadline=ended,
        closed_at=ended,
    )
    with database.atomic():
        for number in range(30):
            asked = make_asked(database, over, campaign)
            if number < 19:
                say_yes(database, asked, campaign.id, at=began)
            else:
                take_off(database, asked, campaign.id, Reason.NO_RESPONSE, at=ended)


@pytest.mark.exhaustive
def test_the_pictures_of_the_readme_are_made(page: Page, pages: Pages, tmp_path: Path) -> None:
    folder = Path(os.environ.get("PICTURES") or tmp_path)
    admin = make_admin(pages.database, id=1, email="anna@example.org", language="en")
    add_prepared(pages)
    asked = add_running(pages)
    add_over(pages)
    let_in(page, pages, admin)
    for name, picture in PICTURES.items():
        answering = pages.path("yes", asked.uid)
        path = answering if picture.path == "/yes/" else picture.path
        taken = take(page, picture, pages.settings.public_url + path)
        (folder / f"{name}.webp").write_bytes(taken)
        assert len(taken) <= MOST, name


def take(page: Page, picture: Picture, url: str) -> bytes:
    """Return a picture of a page, as WebP."""
    browser = page.context.new_cdp_session(page)
    size = {"width": picture.width, "height": picture.height}
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        {**size, "deviceScaleFactor": picture.scale, "mobile": False},
    )
    page.emulate_media(color_scheme="dark" if picture.scheme == "dark" else "light")
    page.goto(url)
    for frame in page.frames:
        frame.wait_for_load_state()
    taken = captured(page, browser)
    browser.detach()
    return taken


def captured(page: Page, browser: CDPSession, tries: int = 10) -> bytes:
    """Return what the browser shows, which a busy one has not always drawn at the first asking."""
    page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    try:
        taken = browser.send("Page.captureScreenshot", {"format": "webp", "quality": 78})
    except Error as error:
        if tries == 1 or "Unable to capture screenshot" not in error.message:
            raise
        return captured(page, browser, tries - 1)
    return base64.b64decode(taken["data"])


def test_the_readme_shows_each_picture_and_there_is_no_other() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = re.findall(r"\.github/([\w-]+)\.webp", readme)
    there = {path.stem: path.stat().st_size for path in (ROOT / ".github").glob("*.webp")}
    assert set(shown) == set(PICTURES) == set(there)
    assert max(there.values()) <= MOST
