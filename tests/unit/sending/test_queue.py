"""What is due, before anybody claims it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from repermit.db.connection import Database
from repermit.db.work_steps import StepSize
from repermit.rules.consent import CampaignState
from repermit.sending.queue import Claim, claim_mails, count_due
from repermit.sending.send_rate import SendRates
from repermit.settings.definitions import Settings
from tests.support.builders import NOW, make_list
from tests.support.query_plans import plans_of
from tests.support.sending_campaign import Story, make_story


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


@pytest.mark.counted_on_both
def test_the_first_of_many_mails_that_were_asked_for_is_found_at_once(
    database: Database, settings: Settings
) -> None:
    story = make_story(database, settings)
    for name in ("jan", "anna"):
        story.owe_confirm(f"{name}@example.org")
    plans = plans_of(database, lambda: claimed(story), having='"due_at" <= ')
    assert len(plans) >= 3
    for plan in plans[:3]:
        assert "mail_personal" in plan
        assert "SORT" not in plan.upper()
        assert "TEMP B-TREE" not in plan


def claimed(story: Story) -> list[Claim]:
    return claim_mails(
        story.database,
        worker="worker",
        fingerprint_key=story.settings.fingerprint_key,
        rates=SendRates(),
        now=NOW,
        size=StepSize(),
    ).claims
