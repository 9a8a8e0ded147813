"""What comes next is the one main button of a page, in every state of a campaign."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from repermit.campaigns import campaign_draft
from repermit.contacts import human_replies
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.rules.consent import CampaignState, MailState, PauseReason, Reason
from repermit.web.admin import launch
from tests.support.admin_pages import ENGLISH, admin_client, post, viewer_client
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
)
from tests.support.public_pages import Pages
from tests.unit.web.admin.test_launch import READY
from tests.unit.web.admin.test_routes import ADMINS, World

if TYPE_CHECKING:
    from flask.testing import FlaskClient

STEPS = ("describe", "file", "mail", "conditions", "launch")
LOOKS = {"second", "danger", "plain"}


class _MainButtons(HTMLParser):
    """Collects what the main buttons within <main> say."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._is_main = self._is_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        looks = set((dict(attrs).get("class") or "").split())
        self._is_main |= tag == "main"
        is_button = tag == "button" or (tag == "a" and "button" in looks)
        if self._is_main and is_button and not looks & LOOKS:
            self._is_button = True
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if self._is_button:
            self.found[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._is_main &= tag != "main"
        self._is_button &= tag not in {"a", "button"}


def main_buttons(client: FlaskClient, path: str) -> list[str]:
    page = client.get(path, headers=ENGLISH)
    assert page.status_code == 200, path
    return read_main_buttons(page.text)


def read_main_buttons(text: str) -> list[str]:
    reader = _MainButtons()
    reader.feed(text)
    return reader.found


@pytest.fixture
def admin(pages: Pages, mailing_list: MailingList) -> FlaskClient:
    assert mailing_list.slug == "news"
    return admin_client(pages)


def at_steps(client: FlaskClient) -> dict[str, list[str]]:
    return {step: main_buttons(client, f"/admin/lists/news/{step}") for step in STEPS}


# --- The five steps. ------------------------------------------------------------------------------


SAVE = ["Save and go on"]


def test_each_step_of_a_list_without_people_has_one_main_button(admin: FlaskClient) -> None:
    assert main_buttons(admin, "/admin/new-list") == SAVE
    assert at_steps(admin) == {
        "describe": SAVE,
        "file": ["Look at the file"],
        "mail": SAVE,
        "conditions": SAVE,
        "launch": ["Mend the first point"],
    }


def test_each_step_that_is_ready_leads_on_to_the_next(
    database: Database, admin: FlaskClient, mailing_list: MailingList, monkeypatch: Any
) -> None:
    upload(admin)
    campaign_draft.save_conditions(database, mailing_list, READY, now=NOW, actor="user:1")
    monkeypatch.setattr(launch, "find_launch_findings", lambda _list: ())
    assert at_steps(admin) == {
        "describe": SAVE,
        "file": ["Go on to the mail"],
        "mail": SAVE,
        "conditions": SAVE,
        "launch": ["Ask 2 people"],
    }
    monkeypatch.setattr(launch, "find_launch_findings", lambda _list: None)
    assert at_steps(admin)["launch"] == ["Look whether it is done"]


def upload(admin: FlaskClient) -> None:
    """Take a file of two people in, and look at its page before."""
    file = (io.BytesIO(b"email\none@example.org\ntwo@example.org\n"), "a.csv")
    answer = post(admin, "/admin/lists/news/file/upload", file=file)
    assert answer.status_code == 303
    assert main_buttons(admin, "/admin/lists/news/file") == ["Take the file in"]
    token = re.findall(r'name="upload" value="([^"]+)"', admin.get("/admin/lists/news/file").text)[
        0
    ]
    assert post(admin, "/admin/lists/news/file/take-in", upload=token).status_code == 303


# --- The campaign's page, and the steps while it is under way. ------------------------------------


Facts = dict[str, Any]
LIVE: dict[str, tuple[Facts, list[str]]] = {
    "scheduled": ({"state": CampaignState.SCHEDULED, "starts_at": NOW + timedelta(days=1)}, []),
    "sending": ({"state": CampaignState.SENDING}, []),
    "open": ({"state": CampaignState.OPEN}, []),
    "paused": (
        {"state": CampaignState.PAUSED, "paused_from": CampaignState.OPEN},
        ["Go on"],
    ),
    "paused after the pilot": (
        {
            "state": CampaignState.PAUSED,
            "paused_from": CampaignState.SENDING,
            "pause_reason": PauseReason.PILOT,
            "pilot": 1,
        },
        ["Go on"],
    ),
    "paused after the pilot, too late": (
        {
            "state": CampaignState.PAUSED,
            "paused_from": CampaignState.SENDING,
            "pause_reason": PauseReason.PILOT,
            "pilot": 1,
            "deadline": NOW + timedelta(days=3),
        },
        ["Move the deadline"],
    ),
    "paused beyond its deadline": (
        {
            "state": CampaignState.PAUSED,
            "paused_from": CampaignState.OPEN,
            "deadline": NOW - timedelta(days=1),
        },
        ["Move the deadline"],
    ),
    "over, with pages that were down": (
        {"state": CampaignState.OPEN, "deadline": NOW - timedelta(hours=1), "downtime": 200_000},
        ["Move the deadline"],
    ),
}


@pytest.mark.parametrize("name", LIVE)
def test_a_campaign_under_way_has_the_next_act_as_its_one_main_button(
    database: Database, admin: FlaskClient, pages: Pages, mailing_list: MailingList, name: str
) -> None:
    facts, expected = LIVE[name]
    campaign = make_campaign(database, mailing_list, **facts)
    asked = make_asked(database, mailing_list, campaign)
    assert main_buttons(admin, "/admin/lists/news/") == expected
    assert main_buttons(viewer_client(pages), "/admin/lists/news/") == []
    steps = at_steps(admin)
    assert steps["conditions"] == steps["launch"] == ["See how it stands"]
    assert all(len(found) == 1 for found in steps.values()), steps
    # What people wrote waits too, behind what holds the campaign up.
    doubtful = make_contact(database, mailing_list)
    make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    assert main_buttons(admin, "/admin/lists/news/") == (expected or ["Which ones"])
    with database.atomic():
        human_replies.save_reply(asked, digest="d" * 64, proposed="", at=NOW, decided_at=None)
    assert main_buttons(admin, "/admin/lists/news/") == (expected or ["Decide what they say"])


def test_before_a_campaign_it_is_prepared_and_after_it_handed_over(
    database: Database, admin: FlaskClient, mailing_list: MailingList
) -> None:
    assert main_buttons(admin, "/admin/lists/news/") == ["Prepare one"]
    for state in (CampaignState.CANCELLED, CampaignState.CLOSED):
        make_campaign(database, mailing_list, state=state, closed_at=NOW, deadline=DEADLINE)
        assert main_buttons(admin, "/admin/lists/news/") == []
    make_removed(database, mailing_list, reason=Reason.NO)
    assert main_buttons(admin, "/admin/lists/news/") == ["To the files and the steps"]


# --- All pages. -----------------------------------------------------------------------------------


STATES = ("none", *CampaignState)


@pytest.mark.everyday("[open]")
@pytest.mark.parametrize("state", STATES)
def test_no_page_has_more_than_one_main_button(
    database: Database, pages: Pages, state: str
) -> None:
    world = World(database, pages.settings)
    world.show_everywhere()
    if state == "none":
        make_list(database, slug="other")
        make_contact(database, find_list("other"))
        world.values["slug"] = "other"
    else:
        paused = {"paused_from": CampaignState.OPEN} if state == CampaignState.PAUSED else {}
        with database.atomic():
            Campaign.update(state=state, **paused).execute()
    client = admin_client(world.pages)
    found = {}
    for route in ADMINS:
        if route.method == "GET":
            page = client.get(world.path(route))
            if page.status_code == 200 and page.mimetype == "text/html":
                found[route.endpoint] = read_main_buttons(page.text)
    assert len(found) > 30
    assert {name: said for name, said in found.items() if len(said) > 1} == {}
