"""What is looked after while a run goes on, which may last for days."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from repermit.clock import ManualClock
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState, MailState, PauseReason
from repermit.sending.send_due import run_maintenance
from repermit.sending.server_faults import read_last_fault, record_fault
from tests.support.builders import NOW, make_campaign, make_list
from tests.support.inbox import Inbox
from tests.support.sending_campaign import Story, again, mail_settings, make_story

# Seconds within which somebody has come by.
SOON = 8


@pytest.fixture
def story(database: Database, database_url: str, inbox: Inbox) -> Story:
    """Return a campaign whose next mail but one leaves tomorrow."""
    made = make_story(database, mail_settings(database_url, inbox.port, rate_per_day=1))
    made.clock = ManualClock(NOW, ticking=True)
    return made


def send_until(story: Story, condition: Callable[[], bool]) -> bool:
    """Send, until something has come about or too much time has passed; say whether it has."""
    until = time.monotonic() + SOON
    found = threading.Event()

    def is_over() -> bool:
        if condition():
            found.set()
        return found.is_set() or time.monotonic() > until

    story.send(should_stop=is_over)
    return found.is_set()


def state_now(campaign: Campaign) -> str:
    return str(Campaign.get_by_id(campaign.id).state)


def test_a_killed_workers_mail_is_in_doubt_while_another_goes_on(story: Story) -> None:
    for _ in range(3):
        story.owe()
    begun: list[Mail] = []

    def is_seen() -> bool:
        if not begun:
            begun.append(story.owe(state=MailState.STARTED, worker="dead", lease_until=NOW))
        return again(begun[0]).state == MailState.IN_DOUBT

    assert send_until(story, is_seen)


@pytest.mark.exhaustive
def test_a_pilot_that_is_through_waits_while_another_campaign_goes_on(
    story: Story, database: Database
) -> None:
    piloting = make_campaign(
        database, make_list(database, slug="pilot"), state=CampaignState.SENDING, pilot=1
    )
    story.owe(campaign=piloting, due_at=AFTER_PILOT)
    last = story.owe(campaign=piloting, state=MailState.STARTED, worker="", lease_until=None)
    for _ in range(3):
        story.owe()

    def is_paused() -> bool:
        story.change(last, state=MailState.SENT)
        return Campaign.get_by_id(piloting.id).pause_reason == PauseReason.PILOT

    assert send_until(story, is_paused)


@pytest.mark.exhaustive
def test_a_campaign_opens_while_another_goes_on(story: Story, database: Database) -> None:
    done = make_campaign(database, make_list(database, slug="done"), state=CampaignState.SENDING)
    last = story.owe(campaign=done, state=MailState.STARTED, worker="", lease_until=None)
    for _ in range(3):
        story.owe()

    def is_open() -> bool:
        story.change(last, state=MailState.SENT)
        return state_now(done) == CampaignState.OPEN

    assert send_until(story, is_open)


@pytest.mark.exhaustive
def test_a_fault_is_forgotten_as_soon_as_mails_leave_again(story: Story) -> None:
    record_fault(story.database, "the mail server cannot be reached", now=NOW)
    for _ in range(3):
        story.owe()
    assert send_until(story, lambda: read_last_fault() is None)


@pytest.mark.exhaustive
def test_a_fault_stays_known_while_nothing_leaves(story: Story) -> None:
    for _ in range(3):
        story.owe()
    began = time.monotonic()
    noted: list[int] = []

    def note_it_late() -> bool:
        if time.monotonic() > began + 3 and read_last_fault() is None:
            record_fault(story.database, "the mail server cannot be reached", now=NOW)
            noted.append(1)
        return time.monotonic() > began + 6

    assert story.send(should_stop=note_it_late).sent == 1
    assert noted == [1]


def test_looking_after_everything_twice_does_no_harm(story: Story) -> None:
    mail = story.owe(state=MailState.CLAIMED, worker="dead", lease_until=NOW)
    for _ in range(2):
        run_maintenance(story.database, now=NOW)
        assert again(mail).state == MailState.QUEUED
    assert state_now(story.campaign) == CampaignState.SENDING
