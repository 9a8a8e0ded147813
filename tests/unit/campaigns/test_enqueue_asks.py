"""Making the asks of a launch in steps: all of them or no launch, whatever happens in between."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from repermit.campaigns import enqueue_asks, lifecycle
from repermit.campaigns.audience import MAX_SUPPRESSION_LOOKUPS, make_askable_condition_between
from repermit.clock import ManualClock
from repermit.contacts import lookup, status_changes
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.connection import Database, is_postgresql
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.errors import Refused
from repermit.rules.consent import CampaignState, Exclusion, MailState, Reason, Status
from repermit.sending import send_due
from repermit.suppression import suppressions
from tests.support.builders import DEADLINE, NOW, make_contact, make_list, make_settings, put_in
from tests.support.chain_faults import iter_chain_faults
from tests.support.query_plans import plans_of
from tests.unit.campaigns.test_launch import start

SETTINGS = make_settings()


@pytest.fixture
def news(database: Database) -> MailingList:
    """Return a list of three."""
    news = make_list(database)
    for number in range(3):
        make_contact(database, news, f"{number}@example.org", id=1 + number)
    return news


def asked() -> set[str]:
    return {str(person.address) for person in Contact.select().join(Mail)}


def go_on(database: Database, steps: int | None = None) -> int:
    """Take so many steps of the launches under way, of one contact each, as the sweep does."""
    left = iter(range(steps if steps is not None else 100))

    def should_stop() -> bool:
        return next(left, None) is None

    return enqueue_asks.finish_launches(
        database, settings=SETTINGS, now=NOW, max_rows_per_step=1, should_stop=should_stop
    )


def test_nothing_is_launched_until_all_asks_are_made(database: Database, news: MailingList) -> None:
    launched = start(database, news, max_rows=0)
    assert (launched.is_whole, launched.state) == (False, CampaignState.SCHEDULED)
    assert launched.plan.asked == 3
    campaign = Campaign.get()
    for steps, made in ((0, 0), (1, 1), (2, 2)):
        # Wherever it is cut off, another process goes on.
        assert go_on(database, min(steps, 1)) == 1
        assert enqueue_asks.read_enqueue_progress(campaign) == enqueue_asks.EnqueueProgress(
            made=made, asked=3
        )
        assert lifecycle.start_scheduled(database, now=NOW) == 0
        sent = send_due.send_due(database, settings=SETTINGS, clock=ManualClock(NOW))
        assert (sent.sent, Evidence.select().count()) == (0, 0)
        assert Campaign.get().state == CampaignState.SCHEDULED
    assert go_on(database) == 1
    assert enqueue_asks.read_enqueue_progress(campaign) is None
    assert Campaign.get().state == CampaignState.SENDING
    assert asked() == {"0@example.org", "1@example.org", "2@example.org"}
    assert (Evidence.get().event, Evidence.select().count()) == ("launched", 1)
    assert json.loads(EvidencePart.get().json)["asked"] == 3
    assert list(iter_chain_faults()) == []
    assert go_on(database) == 0


def test_a_pilot_is_made_due_by_the_steps_that_make_its_asks(
    database: Database, news: MailingList
) -> None:
    """Not by the last step, which would have a pilot of any size to itself."""
    start(database, news, max_rows=0, pilot=2)
    for due in (1, 2, 2):
        go_on(database, steps=1)
        assert Mail.select().where(Mail.due_at == NOW).count() == due
    (first, second, third) = Mail.select().order_by(Mail.contact)
    assert (first.due_at, second.due_at, third.due_at) == (NOW, NOW, AFTER_PILOT)


@pytest.mark.counted_on_both
def test_a_pilot_is_found_by_the_contacts_of_its_step(
    database: Database, news: MailingList
) -> None:
    start(database, news, max_rows=0, pilot=2)
    plans = plans_of(database, lambda: go_on(database, steps=2), having='SET "due_at"')
    assert len(plans) == 2
    for plan in plans:
        assert "mail_asked_once" in plan
        assert "SORT" not in plan.upper()
        assert "TEMP B-TREE" not in plan


def test_who_leaves_meanwhile_is_not_asked_nor_is_who_comes(
    database: Database, news: MailingList
) -> None:
    start(database, news, max_rows=2, starts_at=NOW + timedelta(days=1))
    assert asked() == {"0@example.org", "1@example.org"}
    act = status_changes.Act(at=NOW, actor="person")
    with database.atomic():
        leaving = list(Contact.select().where(Contact.id.in_([1, 3])))
        status_changes.remove_contacts(
            leaving, reason=Reason.NO, act=act, fingerprint_key=SETTINGS.fingerprint_key
        )
    make_contact(database, news, "later@example.org", id=4)
    go_on(database)
    owed = Contact.select().join(Mail).where(Mail.state == MailState.QUEUED)
    assert [person.address for person in owed] == ["1@example.org"]
    assert Mail.select().count() == 2
    # Its time has still to come.
    assert Campaign.get().state == CampaignState.SCHEDULED
    assert lifecycle.start_scheduled(database, now=NOW + timedelta(days=1)) == 1


def test_while_asks_are_made_a_campaign_can_be_cancelled_and_nothing_else(
    database: Database, news: MailingList
) -> None:
    start(database, news, max_rows=1)
    said: dict[str, Any] = {"now": NOW, "actor": "anna@example.org"}
    with pytest.raises(Refused, match="are still being made ready"):
        lifecycle.pause_campaign(database, news, **said)
    with pytest.raises(Refused, match="are still being made ready"):
        lifecycle.extend_campaign(
            database, news, deadline=DEADLINE + timedelta(days=1), settings=SETTINGS, **said
        )
    lifecycle.cancel_campaign(database, news, **said)
    assert go_on(database) == 0
    assert [(mail.state, mail.reason) for mail in Mail.select()] == [("dropped", "cancelled")]
    assert [entry.event for entry in Evidence.select()] == ["cancelled"]
    # Nobody has been asked, so that they may be.
    assert start(database, news).plan.asked == 3


def test_a_step_finds_whom_it_asks_by_number(database: Database, news: MailingList) -> None:
    """Not by their list, all of which a step of a few would look through."""
    start(database, news, max_rows=0)
    found = plans_of(database, lambda: go_on(database, steps=1), having=" BETWEEN ")
    assert found
    own = "contact_pkey" if is_postgresql(database) else "INTEGER PRIMARY KEY"
    assert all(own in plan for plan in found)


def test_a_step_is_of_so_many_contacts_whoever_of_another_list_stands_between(
    database: Database, news: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []

    def watch(mailing_list: MailingList, include_thin: bool, numbers: tuple[int, int]) -> Any:
        looked_at.append(numbers[1] - numbers[0] + 1)
        return make_askable_condition_between(mailing_list, include_thin, numbers)

    monkeypatch.setattr(enqueue_asks, "make_askable_condition_between", watch)
    monkeypatch.setattr(enqueue_asks, "MAX_ROWS_PER_STEP", 10)
    other = make_list(database, slug="other")
    for number in range(4, 54):
        make_contact(database, other, f"{number}@example.org", id=number)
    for number in (54, 55):
        make_contact(database, news, f"{number}@example.org", id=number)
    start(database, news, max_rows=0)
    for steps in range(1, 5):
        go_on(database, 1)
        assert len(asked()) == steps
    # The fifty of the other list are read by none.
    assert looked_at
    assert max(looked_at) <= 10


def test_two_who_go_on_at_once_make_each_ask_once(database: Database, news: MailingList) -> None:
    start(database, news, max_rows=1)
    campaign = Campaign.get()
    while enqueue_asks.read_enqueue_progress(campaign):
        for _ in range(2):
            go_on(database, 1)
    assert enqueue_asks.read_enqueue_progress(campaign) is None
    # Whoever comes late finds nothing to do.
    assert enqueue_asks.enqueue_asks(
        database, campaign.id, settings=SETTINGS, now=NOW, max_rows=None
    )
    assert Mail.select().count() == 3


def test_who_is_suppressed_on_a_large_list_is_found_when_the_asks_are_made(
    database: Database,
) -> None:
    news = make_list(database)
    rows = [
        {
            "list": news,
            "uid": f"{number:032}",
            "subject": f"{number:032}",
            "address": f"{number}@example.org",
            "address_key": f"{number}@example.org",
            "status": Status.UNCONFIRMED,
            "status_at": NOW,
        }
        for number in range(MAX_SUPPRESSION_LOOKUPS + 1)
    ]
    put_in(database, Contact, rows)
    with database.atomic():
        suppressed = Contact.get(Contact.address == "777@example.org")
        suppressions.add_suppressions(
            news,
            [
                suppressions.NewSuppression(
                    fingerprint=lookup.make_fingerprint(suppressed, SETTINGS.fingerprint_key),
                    subject="0" * 32,
                    reason=Reason.REQUEST,
                    at=NOW,
                )
            ],
        )
    launched = start(database, news, expected=MAX_SUPPRESSION_LOOKUPS + 1)
    assert launched.plan.asked == Mail.select().count() == MAX_SUPPRESSION_LOOKUPS
    assert not Mail.select().where(Mail.contact == suppressed).exists()
    said = json.loads(EvidencePart.get().json)
    assert (said["asked"], said["excluded"][Exclusion.SUPPRESSED]) == (MAX_SUPPRESSION_LOOKUPS, 1)
