"""Erasing who was taken off, when its time has come."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import pytest

from repermit.contacts import erasure, status_changes
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.evidence.chain import append
from repermit.evidence.entries import Entry
from repermit.privacy import erase_removed_contacts
from repermit.rules.consent import CampaignState, Reason
from repermit.settings.definitions import Retention
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


def purge(database: Database, at: datetime, *, days: int = 30, **more: Any) -> int:
    settings = make_settings(retention=Retention(removed_days=days))
    return erase_removed_contacts.erase_due(database, settings=settings, now=at, **more)


def due(
    news: MailingList, at: datetime, *, days: int = 30, **more: Any
) -> tuple[int, int, datetime | None]:
    settings = make_settings(retention=Retention(removed_days=days))
    found = erase_removed_contacts.count_due(news, settings=settings, now=at, **more)
    return found.waiting, found.first, found.first_at


def take_off(database: Database, news: MailingList, at: datetime) -> Contact:
    contact = make_contact(database, news, name="Jan")
    with database.atomic():
        act = Act(at=at, actor="person", trace={"network": "192.0.2.0/24"})
        key = make_settings().fingerprint_key
        status_changes.remove_contacts([contact], reason=Reason.NO, act=act, fingerprint_key=key)
    return contact


def held() -> int:
    return int(Contact.select().where(Contact.erased_at.is_null()).count())


@pytest.mark.parametrize(("early", "erased"), [(INSTANT, 0), (0 * DAY, 1), (-INSTANT, 1)])
def test_who_was_taken_off_is_erased_removed_days_later(
    database: Database, news: MailingList, early: timedelta, erased: int
) -> None:
    gone = make_removed(database, news, Reason.NO)
    make_contact(database, news)
    assert due(news, NOW) == (1, 1, NOW + 30 * DAY)
    assert purge(database, NOW + 30 * DAY - early) == erased
    again = Contact.get_by_id(gone.id)
    assert (again.address is None) is bool(erased)
    assert held() == 2 - erased
    assert list(iter_chain_faults()) == []


def test_many_are_erased_in_steps_each_with_an_entry(database: Database, news: MailingList) -> None:
    other = make_list(database, slug="other")
    for mailing_list in (news, other):
        for _ in range(5):
            take_off(database, mailing_list, NOW)
    stops = iter([False, True])
    at = NOW + 31 * DAY
    # Of the first list one step, and then it is told to stop.
    assert purge(database, at, chunk=2, should_stop=lambda: next(stops, True)) == 2
    assert purge(database, at, chunk=2) == 8
    assert purge(database, at) == held() == 0
    assert due(news, at) == (0, 0, None)
    assert list(iter_chain_faults()) == []


def test_a_step_erases_few_people_who_have_many_entries(
    database: Database, news: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase_removed_contacts, "_MAX_ENTRIES_PER_STEP", 5)
    people = [take_off(database, news, NOW) for _ in range(6)]
    for contact in people[2:4]:
        entry = Entry(event="asked", at=NOW, actor="person", list="news", subject=contact.subject)
        with database.atomic():
            append(*[entry] * 7)
    at = NOW + 31 * DAY

    def erase_one_step() -> int:
        stops = iter([False, True])
        return purge(database, at, should_stop=lambda: next(stops, True))

    # Each has one entry; the third and the fourth have more than a step may erase.
    assert [erase_one_step() for _ in range(5)] == [2, 1, 1, 2, 0]


@pytest.mark.parametrize("few", [0, 1, 2, 3, 10])
def test_who_is_due_first_is_counted_from_whichever_end_is_nearer(
    database: Database, news: MailingList, few: int
) -> None:
    make_contact(database, news)
    for days in (0, 0, 0, 1, 2):
        take_off(database, news, NOW + days * DAY)
    with database.atomic():
        gone = [take_off(database, news, NOW)]
        key = make_settings().fingerprint_key
        erasure.erase_contacts(gone, act=Act(at=NOW, actor="person"), fingerprint_key=key)
    assert due(news, NOW, few=few) == (5, 3, NOW + 30 * DAY)


def test_nobody_is_erased_before_their_campaign_has_closed_and_was_handed_over(
    database: Database, news: MailingList
) -> None:
    before = take_off(database, news, NOW - DAY)
    campaign = make_campaign(database, news, deadline=NOW + 60 * DAY)
    take_off(database, news, NOW)
    take_off(database, news, NOW + 40 * DAY)
    # Whoever left before it began is none of it.
    assert due(news, NOW + 40 * DAY) == (3, 1, NOW + 40 * DAY)
    assert purge(database, NOW + 59 * DAY) == 1
    assert Contact.get_by_id(before.id).address is None
    assert due(news, NOW + 59 * DAY) == (2, 1, NOW + 67 * DAY)
    # One that is paused keeps them for as long.
    assert purge(database, NOW + 100 * DAY) == 0
    closed = NOW + 60 * DAY
    with database.atomic():
        campaign.state, campaign.closed_at = CampaignState.CLOSED, closed
        campaign.save()
    assert purge(database, closed + 7 * DAY - INSTANT) == 0
    assert due(news, closed) == (2, 1, closed + 7 * DAY)
    assert purge(database, closed + 7 * DAY) == 1
    assert due(news, closed + 8 * DAY) == (1, 1, NOW + 70 * DAY)
    assert purge(database, NOW + 70 * DAY) == 1


def test_with_fewer_days_the_hand_over_is_as_long_as_they_are(
    database: Database, news: MailingList
) -> None:
    make_campaign(database, news, state=CampaignState.CLOSED, closed_at=NOW + 10 * DAY)
    take_off(database, news, NOW + DAY)
    assert purge(database, NOW + 10 * DAY + INSTANT, days=0) == 1


def test_a_campaign_that_was_cancelled_keeps_nobody(database: Database, news: MailingList) -> None:
    make_campaign(database, news, state=CampaignState.CANCELLED)
    take_off(database, news, NOW + DAY)
    assert purge(database, NOW + 31 * DAY) == 1


def test_who_writes_during_a_round_does_not_end_it(database: Database, news: MailingList) -> None:
    for mailing_list in (news, make_list(database, slug="other")):
        take_off(database, mailing_list, NOW)
    rounds = itertools.count()

    def write_elsewhere() -> bool:
        # A thread has a connection of its own, as another process has.
        writing = Thread(target=_write, args=(database, f"list-{next(rounds)}"))
        writing.start()
        writing.join()
        return False

    assert purge(database, NOW + 31 * DAY, should_stop=write_elsewhere) == 2


def _write(database: Database, slug: str) -> None:
    with database.connection_context():
        make_list(database, slug=slug)
