"""What is due, before anybody claims it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from repermit.consent import CampaignState
from repermit.delivery import count_due
from tests.building import NOW, make_list
from tests.sending import make_story

if TYPE_CHECKING:
    from repermit.config import Settings
    from repermit.models import Database


def test_what_is_due_is_counted_and_what_waits_is_not(
    database: Database, settings: Settings
) -> None:
    story = make_story(database, settings)
    other = make_list(database, slug="other")
    assert count_due(now=NOW) == 0
    story.owe(due_at=NOW)
    story.owe(due_at=NOW)
    story.owe(due_at=NOW + timedelta(microseconds=1))
    story.owe_confirm("jan@example.org")
    assert count_due(now=NOW) == count_due(now=NOW, mailing_list=story.mailing_list) == 3
    assert count_due(now=NOW, mailing_list=other) == 0
    story.change(story.campaign, state=CampaignState.PAUSED)
    assert count_due(now=NOW) == 1
