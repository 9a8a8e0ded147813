"""Owing reminders: to whom, when, and once."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from repermit import email_address
from repermit.campaigns.enqueue_reminders import enqueue_reminders
from repermit.contacts.human_replies import save_reply
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import (
    Basis,
    BounceKind,
    CampaignState,
    MailKind,
    MailState,
    Reason,
    Status,
)
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.query_plans import statements_in_transactions

INSTANT = timedelta(microseconds=1)
REMINDER = DEADLINE - timedelta(days=7)


def make_running(database: Database, **overrides: Any) -> Campaign:
    values = {"reminder_at": REMINDER, **overrides}
    return make_campaign(database, make_list(database), **values)


def remind(database: Database, now: datetime = REMINDER, **options: Any) -> list[str]:
    """Owe what is due; return the addresses that a reminder is owed to, sorted."""
    enqueue_reminders(database, settings=make_settings(), now=now, **options)
    return reminded()


def reminded() -> list[str]:
    query = Contact.select().join(Mail).where(Mail.kind == MailKind.REMINDER)
    return sorted(str(contact.address) for contact in query)


def test_who_was_asked_and_has_not_answered_is_reminded(database: Database) -> None:
    campaign = make_running(database)
    contact = make_asked(database, campaign.list, campaign, "anna@example.org")
    assert enqueue_reminders(database, settings=make_settings(), now=REMINDER) == 1
    owed = Mail.get(Mail.kind == MailKind.REMINDER)
    assert (owed.contact_id, owed.campaign_id) == (contact.id, campaign.id)
    assert (owed.list_id, owed.state, owed.due_at) == (campaign.list_id, "queued", REMINDER)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (REMINDER - INSTANT, 0),
        (REMINDER, 1),
        (REMINDER + INSTANT, 1),
        (DEADLINE - INSTANT, 1),
        (DEADLINE, 0),
        (DEADLINE + INSTANT, 0),
    ],
)
def test_nobody_is_reminded_before_the_time_or_from_the_deadline_on(
    database: Database, now: datetime, expected: int
) -> None:
    campaign = make_running(database)
    make_asked(database, campaign.list, campaign)
    assert len(remind(database, now)) == expected


def test_without_a_reminder_nobody_is_reminded(database: Database) -> None:
    campaign = make_running(database, reminder_at=None)
    make_asked(database, campaign.list, campaign)
    assert remind(database) == []


@pytest.mark.parametrize("state", CampaignState)
def test_a_campaign_that_rests_or_is_over_reminds_nobody(
    database: Database, state: CampaignState
) -> None:
    campaign = make_running(database, state=state)
    make_asked(database, campaign.list, campaign)
    is_running = state in {CampaignState.SENDING, CampaignState.OPEN}
    assert len(remind(database)) == is_running


@pytest.mark.parametrize(("beyond", "expected"), [(-INSTANT, 1), (timedelta(), 1), (INSTANT, 0)])
def test_nobody_is_reminded_within_a_day_of_the_ask(
    database: Database, beyond: timedelta, expected: int
) -> None:
    campaign = make_running(database)
    contact = make_contact(database, campaign.list)
    sent_at = REMINDER - timedelta(days=1) + beyond
    make_mail(database, campaign, contact, sent_at=sent_at)
    assert len(remind(database)) == expected
    # It is not forgotten either.
    assert len(remind(database, REMINDER + timedelta(hours=1))) == 1


def test_who_was_not_reached_is_not_reminded(database: Database) -> None:
    campaign = make_running(database)
    for state in MailState:
        contact = make_contact(database, campaign.list, f"{state}@example.org")
        make_mail(database, campaign, contact, state=state)
    for bounce in BounceKind:
        make_mail(database, campaign, make_contact(database, campaign.list), bounce=bounce)
    make_contact(database, campaign.list)
    assert remind(database) == ["sent@example.org"]


@pytest.mark.parametrize("proposed", ["yes", "no", "stop", ""])
def test_whose_reply_waits_for_a_decision_is_not_reminded(
    database: Database, proposed: str
) -> None:
    campaign = make_running(database)
    waiting = make_asked(database, campaign.list, campaign, "waiting@example.org")
    decided = make_asked(database, campaign.list, campaign, "decided@example.org")
    with database.atomic():
        for contact, decided_at in ((waiting, None), (decided, REMINDER)):
            save_reply(
                contact,
                digest=str(contact.id),
                proposed=proposed,
                at=REMINDER - INSTANT,
                decided_at=decided_at,
            )
    assert remind(database) == ["decided@example.org"]


@pytest.mark.parametrize("include_thin", [True, False])
def test_who_has_answered_is_not_reminded(database: Database, include_thin: bool) -> None:
    campaign = make_running(database, include_thin=include_thin)
    for status, basis, reason in (
        (Status.CONFIRMED, Basis.ANSWER, ""),
        (Status.CONFIRMED, Basis.THIN, ""),
        (Status.CUSTOMER, Basis.CUSTOMER, ""),
        (Status.REMOVED, "", Reason.NO),
        (Status.UNCONFIRMED, "", ""),
    ):
        address = f"{status}{basis}@example.org"
        contact = make_contact(
            database, campaign.list, address, status=status, basis=basis, reason=reason
        )
        make_mail(database, campaign, contact)
    thin = ["confirmedthin@example.org"] if include_thin else []
    assert remind(database) == [*thin, "unconfirmed@example.org"]


@pytest.mark.parametrize("everywhere", [True, False])
def test_invariant_3_who_is_suppressed_is_not_reminded(
    database: Database, everywhere: bool
) -> None:
    campaign = make_running(database)
    make_asked(database, campaign.list, campaign, "anna@example.org")
    make_asked(database, campaign.list, campaign, "jan@example.org")
    suppress(database, "anna@example.org", None if everywhere else campaign.list)
    suppress(database, "jan@example.org", make_list(database, slug="other"))
    assert remind(database) == ["jan@example.org"]


def suppress(database: Database, address: str, mailing_list: MailingList | None) -> None:
    key = make_settings().fingerprint_key
    with database.atomic():
        Suppression.create(
            list=mailing_list,
            fingerprint=email_address.fingerprint(key, address),
            subject="",
            reason=Reason.NO,
            at=NOW,
        )


def test_an_ask_of_another_campaign_gives_no_reminder_of_this_one(database: Database) -> None:
    campaign = make_running(database)
    earlier = make_campaign(database, campaign.list, state=CampaignState.CANCELLED)
    contact = make_asked(database, campaign.list, earlier)
    make_mail(database, campaign, contact, state=MailState.FAILED)
    other = make_campaign(database, make_list(database, slug="other"))
    make_asked(database, other.list, other)
    assert remind(database) == []


def test_nobody_is_reminded_twice(database: Database) -> None:
    campaign = make_running(database, state=CampaignState.SENDING)
    some = [make_asked(database, campaign.list, campaign) for _ in range(3)]
    make_mail(database, campaign, some[0], kind=MailKind.REMINDER, state=MailState.DROPPED)
    settings = make_settings()
    assert enqueue_reminders(database, settings=settings, now=REMINDER) == 2
    assert enqueue_reminders(database, settings=settings, now=REMINDER + INSTANT) == 0
    assert len(reminded()) == 3


def test_many_are_reminded_in_chunks(database: Database) -> None:
    campaign = make_running(database)
    for number in range(5):
        make_asked(database, campaign.list, campaign, f"{number}@example.org")
    suppress(database, "4@example.org", None)
    expected = [f"{number}@example.org" for number in range(4)]
    assert remind(database, max_rows_per_step=2) == expected


def pause_before_second_step(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the admin pause the campaign between the first step and the second."""
    atomic = database.atomic
    steps = count(1)

    def pausing() -> Any:
        if next(steps) == 2:
            with atomic():
                Campaign.update(state=CampaignState.PAUSED).execute()
        return atomic()

    monkeypatch.setattr(database, "atomic", pausing)


# --- The end of it. -----------------------------------------------------------------------------


def test_it_is_noted_when_nobody_is_left_to_remind(database: Database) -> None:
    make_running(database)
    remind(database)
    assert Campaign.get().reminded_at == REMINDER


def test_while_asks_are_to_leave_or_are_fresh_there_is_more_to_come(database: Database) -> None:
    campaign = make_running(database, state=CampaignState.SENDING)
    remind(database)
    assert Campaign.get().reminded_at is None
    with database.atomic():
        Campaign.update(state=CampaignState.OPEN).execute()
    contact = make_contact(database, campaign.list)
    make_mail(database, campaign, contact, sent_at=REMINDER)
    remind(database)
    assert Campaign.get().reminded_at is None
    a_day_later = REMINDER + timedelta(days=1)
    assert len(remind(database, a_day_later)) == 1
    assert Campaign.get().reminded_at == a_day_later


def test_fresh_asks_are_looked_for_before_anybody_has_to_wait(database: Database) -> None:
    campaign = make_running(database)
    make_asked(database, campaign.list, campaign)
    within = statements_in_transactions(database, lambda: remind(database))
    assert not [sql for sql in within if '"sent_at" >' in sql]
    assert Campaign.get().reminded_at == REMINDER


def test_a_campaign_that_sent_again_while_fresh_asks_were_looked_for_is_not_through(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_running(database, opened_at=NOW)
    atomic = database.atomic

    def sending_again() -> Any:
        with atomic():
            Campaign.update(opened_at=REMINDER).execute()
        return atomic()

    monkeypatch.setattr(database, "atomic", sending_again)
    remind(database)
    assert Campaign.get().reminded_at is None


def test_a_campaign_that_is_paused_in_the_middle_reminds_nobody_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_running(database)
    for _ in range(3):
        make_asked(database, campaign.list, campaign)
    pause_before_second_step(database, monkeypatch)
    owed = enqueue_reminders(database, settings=make_settings(), now=REMINDER, max_rows_per_step=1)
    assert owed == len(reminded()) == 1
    assert Campaign.get().reminded_at is None
