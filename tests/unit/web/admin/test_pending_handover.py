"""After the deadline: what is to be handed over is said until it is done."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import Database
from repermit.db.models.campaigns import HandedOver
from repermit.db.models.lists import MailingList
from repermit.exports import handover_steps
from repermit.exports.export_rows import ExportKind, Tool
from repermit.rules.consent import CampaignState, Reason, Status
from tests.support.admin_pages import post, viewer_client, words_at
from tests.support.builders import NOW, make_campaign, make_contact, make_removed
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from flask.testing import FlaskClient

LIST, FILES = "/admin/lists/news/", "/admin/lists/news/handover/"
ON_PAGE = "Hand over now 1 staying, 2 to be taken off elsewhere."
ON_DASHBOARD = "1 staying, 2 to be taken off elsewhere: hand over now."


@pytest.fixture
def over(database: Database, mailing_list: MailingList) -> None:
    """Let a campaign be closed with one who stays and two who were taken off."""
    make_campaign(database, mailing_list, state=CampaignState.CLOSED, closed_at=NOW)
    make_contact(database, mailing_list, status=Status.CONFIRMED)
    make_removed(database, mailing_list, reason=Reason.NO)
    make_removed(database, mailing_list, reason=Reason.NO_RESPONSE)


@pytest.mark.usefixtures("over")
def test_it_is_said_on_the_campaigns_page_and_under_what_waits(client: FlaskClient) -> None:
    assert ON_PAGE in words_at(client, LIST)
    assert ON_DASHBOARD in words_at(client, "/admin/")
    assert f'<a class="button" href="{FILES}">' in client.get(LIST).text


@pytest.mark.usefixtures("over")
def test_once_done_it_is_said_no_more_and_can_be_taken_back(
    client: FlaskClient,
) -> None:
    step = {"tool": "", "step": handover_steps.ALL_REMOVED}
    assert "All of them are taken off elsewhere" in words_at(client, FILES)
    assert post(client, f"{FILES}tick", **step, done="yes").status_code == 303
    assert "All of them were taken off elsewhere: " in words_at(client, FILES)
    assert "who is to be taken off" in words_at(client, "/admin/lists/news/papers/report")
    assert "Hand over now" not in words_at(client, LIST)
    assert ON_DASHBOARD not in words_at(client, "/admin/")
    assert post(client, f"{FILES}tick", **step, done="no").status_code == 303
    assert ON_PAGE in words_at(client, LIST)
    assert not HandedOver.select().exists()


@pytest.mark.usefixtures("over")
def test_all_steps_of_one_tool_are_the_whole(client: FlaskClient) -> None:
    count = len(handover_steps.list_page_steps(Tool.LAPOSTA, ExportKind.REMOVED))
    for number in range(1, count + 1):
        assert ON_PAGE in words_at(client, LIST)
        assert "hand the removals over before" in words_at(client, FILES)
        post(client, f"{FILES}tick", tool="laposta", step=f"removed-{number}", done="yes")
    assert "Hand over now" not in words_at(client, LIST)
    assert "hand the removals over before" not in words_at(client, FILES)


@pytest.mark.usefixtures("over")
def test_whoever_is_removed_once_it_is_done_is_to_be_handed_over_too(
    client: FlaskClient, database: Database, mailing_list: MailingList, pages: Pages
) -> None:
    count = len(handover_steps.list_page_steps(Tool.LAPOSTA, ExportKind.REMOVED))
    steps = {"": ["removed-all"], "laposta": [f"removed-{n}" for n in range(1, count + 1)]}
    for tool, names in steps.items():
        for step in names:
            post(client, f"{FILES}tick", tool=tool, step=step, done="yes")
    pages.clock.advance(timedelta(minutes=1))
    make_removed(database, mailing_list, reason=Reason.NO, at=pages.clock.now())
    pages.clock.advance(timedelta(minutes=1))
    said = "1 staying, one to be taken off elsewhere"
    for place in (LIST, "/admin/"):
        assert said in words_at(client, place)
    for tool, names in steps.items():
        page = f"{FILES}?tool={tool}"
        assert "hand the removals over before" in words_at(client, page)
        assert "Done on" not in words_at(client, page)
        assert "All of them were taken off elsewhere" not in words_at(client, page)
        for step in names:
            post(client, f"{FILES}tick", tool=tool, step=step, done="yes")
        assert said not in words_at(client, LIST)
        assert "hand the removals over before" not in words_at(client, page)
        for step in names:
            post(client, f"{FILES}tick", tool=tool, step=step, done="no")


@pytest.mark.usefixtures("over")
def test_a_viewer_reads_it_without_a_way_to_the_files(pages: Pages) -> None:
    viewer = viewer_client(pages)
    assert ON_PAGE in words_at(viewer, LIST)
    assert FILES not in viewer.get(LIST).text


def test_while_a_campaign_is_under_way_it_is_not_said(
    client: FlaskClient, database: Database, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list)
    make_removed(database, mailing_list, reason=Reason.NO)
    assert "Hand over now" not in words_at(client, LIST)
    assert "All of them are taken off elsewhere" not in words_at(client, FILES)
    assert "Tick as done" not in words_at(client, f"{FILES}?tool=laposta")
    for tool, step in (("", handover_steps.ALL_REMOVED), ("laposta", "removed-1")):
        answer = post(client, f"{FILES}tick", tool=tool, step=step, done="yes")
        assert answer.status_code == 400


@pytest.mark.parametrize("state", [CampaignState.CLOSED, CampaignState.CANCELLED])
def test_after_a_cancelled_campaign_it_is_said_that_the_silent_are_in_no_file(
    client: FlaskClient, database: Database, mailing_list: MailingList, state: CampaignState
) -> None:
    make_campaign(database, mailing_list, state=state, closed_at=NOW)
    is_said = "may not be mailed either: take off elsewhere everybody" in words_at(client, FILES)
    assert is_said is (state is CampaignState.CANCELLED)


def test_with_nobody_to_take_off_it_is_not_said(
    client: FlaskClient, database: Database, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list, state=CampaignState.CLOSED, closed_at=NOW)
    make_contact(database, mailing_list, status=Status.CONFIRMED)
    assert "Hand over now" not in words_at(client, LIST)


def test_a_step_of_no_tool_is_refused(
    client: FlaskClient, database: Database, mailing_list: MailingList
) -> None:
    make_campaign(database, mailing_list, state=CampaignState.CLOSED, closed_at=NOW)
    for tool, step in (("", "removed-1"), ("laposta", "removed-all"), ("other", "removed-all")):
        answer = post(client, f"{FILES}tick", tool=tool, step=step, done="yes")
        assert answer.status_code == 400
