"""No page, and no run of sending, looks at everybody of a long list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from repermit.clock import ManualClock, format_timestamp
from repermit.db.connection import open_database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail
from repermit.reports import statistics
from repermit.rules.consent import CampaignState, MailState
from repermit.sending import send_due
from tests.support.admin_pages import admin_client
from tests.support.builders import NOW, make_settings
from tests.support.query_plans import count_steps
from tests.unit.web.admin.test_routes import ADMINS, World

# More than are counted while somebody waits.
PEOPLE = statistics._MAX_COUNTED_AT_ONCE + 2_000

# Every fifth has said Yes. Of whom silence has taken off every third is erased.
ADD_PEOPLE = """\
WITH RECURSIVE
    numbers (n) AS (
        SELECT MAX(id) + 1 FROM contact UNION ALL SELECT n + 1 FROM numbers LIMIT :people
    ),
    standing (n, status) AS (
        SELECT n, CASE
            WHEN n % 5 = 0 THEN 'confirmed' WHEN n % 500 < 3 THEN 'unconfirmed' ELSE :others
        END FROM numbers
    )
INSERT INTO contact (id, list_id, uid, subject, address, address_key, name, language, source,
    status, status_at, reason, basis, erased_at)
SELECT n, 1, n, n, CASE WHEN status <> 'removed' OR n % 3 THEN n || '@example.org' END,
    n || '@example.org', '', '', '', status, :now, iif(status = 'removed', 'no_response', ''),
    iif(status = 'confirmed', 'answer', ''), iif(status <> 'removed' OR n % 3, NULL, :now)
FROM standing"""
# Of some the mail failed, or came back.
ASK_THEM = """\
INSERT INTO mail (list_id, campaign_id, contact_id, kind, state, reason, due_at, attempts, worker,
    sent_at, reply_code, reply_status, message_id, bounce, bounce_status, topic)
SELECT 1, 1, id, 'ask', iif(id % 500 = 1, 'failed', :state), '', :now, 1, '',
    :now, 250, '', '', iif(id % 500 = 2, 'soft', ''), '', ''
FROM contact ORDER BY id DESC LIMIT :people"""


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    with open_database(sqlite_url) as opened:
        yield World(opened, make_settings(database=sqlite_url))


def lengthen(world: World, state: CampaignState) -> None:
    """Have many more on the list who were asked: most are silent still, or taken off for that.

    Where the campaign was cancelled, they were to be asked.
    """
    is_closed = state is CampaignState.CLOSED
    values = {
        "people": PEOPLE,
        "others": "removed" if is_closed else "unconfirmed",
        "state": "dropped" if state is CampaignState.CANCELLED else "sent",
        "now": format_timestamp(NOW),
    }
    database: Any = world.database
    with database.atomic():
        database.execute_sql(ADD_PEOPLE, values)
        database.execute_sql(ASK_THEM, values)
        Campaign.update(state=state, closed_at=NOW if is_closed else None).execute()
    # As the job does.
    statistics.store_people_counts(database, now=NOW)


def count_steps_by_page(world: World) -> dict[str, int]:
    client = admin_client(world.pages)
    return {
        route.endpoint: count_steps(world.database, partial(world.ask, client, route))
        for route in ADMINS
        if route.method == "GET"
    }


@pytest.mark.parametrize(
    "state", [CampaignState.OPEN, CampaignState.CLOSED, CampaignState.CANCELLED]
)
def test_no_page_looks_at_everybody_of_a_long_list(world: World, state: CampaignState) -> None:
    lengthen(world, state)
    before = count_steps_by_page(world)
    lengthen(world, state)
    after = count_steps_by_page(world)
    # To look at somebody takes several steps.
    slow = {page for page in after if after[page] > before[page] + PEOPLE}
    # Who was asked before a cancelled campaign ended is not asked by the next one.
    is_cancelled = state is CampaignState.CANCELLED
    assert slow == ({"campaign_dates.show", "launch.show"} if is_cancelled else set())


def send_nothing(world: World) -> None:
    settings = make_settings()
    result = send_due.send_due(world.database, settings=settings, clock=ManualClock(NOW))
    assert result.waiting > PEOPLE


def test_no_run_of_sending_looks_at_everybody_who_is_to_be_asked_later(world: World) -> None:
    steps = []
    for _ in range(2):
        lengthen(world, CampaignState.SENDING)
        with world.database.atomic():
            Mail.update(state=MailState.QUEUED, due_at=NOW + timedelta(days=1)).execute()
        steps.append(count_steps(world.database, partial(send_nothing, world)))
    assert steps[1] < steps[0] + PEOPLE
