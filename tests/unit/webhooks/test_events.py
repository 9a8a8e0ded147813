"""What in the evidence is news: answers and removals, each as what it was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import EvidenceHead
from repermit.db.models.lists import MailingList
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import Basis, Reason, Status
from repermit.webhooks import events
from repermit.webhooks.events import Event, find_event, is_overtaken
from tests.support.builders import NOW, make_contact, make_list, make_removed, make_settings

KEY = make_settings().fingerprint_key


def act(days: int = 0) -> status_changes.Act:
    return status_changes.Act(at=NOW + timedelta(days=days), actor="person")


def say_yes(database: Database, contact: Contact, basis: Basis = Basis.ANSWER) -> None:
    with database.atomic():
        status_changes.confirm_contact(contact, basis=basis, act=act(), fingerprint_key=KEY)


def all_news(slug: str = "") -> tuple[Event, ...]:
    return events.read_events(0, limit=100, slug=slug).events


@pytest.mark.parametrize("basis", [Basis.ANSWER, Basis.SIGN_UP])
def test_a_yes_is_news(database: Database, mailing_list: MailingList, basis: Basis) -> None:
    contact = make_contact(database, mailing_list, "anna@example.org")
    say_yes(database, contact, basis)
    (events,) = all_news()
    assert events.to_json() == {
        "type": "answer.yes",
        "timestamp": "2026-03-02T09:00:00.000000+00:00",
        "data": {
            "list": "news",
            "address": "anna@example.org",
            "status": "confirmed",
            "reason": None,
            "given_by": "self",
            "seq": 1,
        },
    }
    assert events.subject == contact.subject


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_an_answer_tells_if_a_representative_gave_it(
    database: Database, mailing_list: MailingList, answer: str
) -> None:
    contact = make_contact(database, mailing_list)
    given = status_changes.Act(at=NOW, actor="person", consent={"given_by": "representative"})
    with database.atomic():
        if answer == "yes":
            status_changes.confirm_contact(
                contact, basis=Basis.ANSWER, act=given, fingerprint_key=KEY
            )
        else:
            status_changes.remove_contacts(
                [contact], reason=Reason.NO, act=given, fingerprint_key=KEY
            )
    (events,) = all_news()
    assert (events.event, events.given_by) == (f"answer.{answer}", "representative")
    assert events.to_json()["data"]["given_by"] == "representative"


@pytest.mark.parametrize("reason", Reason)
def test_a_removal_is_news_and_a_no_is_an_answer(
    database: Database, mailing_list: MailingList, reason: Reason
) -> None:
    make_removed(database, mailing_list, reason, "anna@example.org")
    (events,) = all_news()
    is_answer = reason in {Reason.NO, Reason.WITHDRAWN}
    assert events.event == ("answer.no" if is_answer else "removed")
    assert (events.status, events.reason, events.address) == ("removed", reason, "anna@example.org")
    assert events.to_json()["data"]["given_by"] == ("self" if is_answer else None)


@pytest.mark.parametrize("basis", [Basis.IMPORTED, Basis.THIN, None])
def test_what_an_import_brought_along_is_no_news(
    database: Database, mailing_list: MailingList, basis: Basis | None
) -> None:
    contact = make_contact(database, mailing_list, status=Status.CONFIRMED)
    told = {"basis": str(basis)} if basis else {}
    with database.atomic():
        chain.append(
            Entry(
                event="confirmed",
                at=NOW,
                actor="someone",
                list="news",
                subject=contact.subject,
                consent=told,
            )
        )
    assert all_news() == ()
    assert find_event(1) is None


def test_an_admins_act_is_no_news(database: Database) -> None:
    with database.atomic():
        chain.append(Entry(event="paused", at=NOW, actor="me", list="news"))
    assert events.read_events(0, limit=10) == events.EventPage(events=(), next=1, more=False)


def test_of_the_erased_no_address_is_told(database: Database, mailing_list: MailingList) -> None:
    contact = make_contact(database, mailing_list, "anna@example.org")
    say_yes(database, contact)
    with database.atomic():
        erasure.erase_contact(contact, act=act(), fingerprint_key=KEY)
    yes, removed = all_news()
    assert (yes.event, yes.address) == ("answer.yes", None)
    assert (removed.event, removed.address, removed.reason) == ("removed", None, "request")


def test_of_a_removal_whose_proof_has_ended_the_reason_is_not_known(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_removed(database, mailing_list, Reason.NO)
    with database.atomic():
        chain.erase_parts(contact.subject, ["consent"])
    (events,) = all_news()
    assert (events.event, events.to_json()["data"]["reason"]) == ("removed", None)


def test_news_come_by_cursor_in_order(database: Database, mailing_list: MailingList) -> None:
    for _ in range(5):
        make_removed(database, mailing_list, Reason.NO)
    seen: list[int] = []
    cursor, more = 0, True
    while more:
        page = events.read_events(cursor, limit=2)
        assert len(page.events) <= 2
        seen += [events.seq for events in page.events]
        cursor, more = page.next, page.more
    assert seen == [1, 2, 3, 4, 5]
    assert events.read_events(cursor, limit=2).next == 5
    assert events.read_events(99, limit=2) == events.EventPage(events=(), next=99, more=False)


def test_a_long_way_without_news_is_gone_in_steps(
    database: Database, mailing_list: MailingList
) -> None:
    other = Entry(event="ask", at=NOW, actor="me", list="news")
    with database.atomic():
        chain.append(*[other] * 5_000)
    make_removed(database, mailing_list, Reason.NO)
    first = events.read_events(0, limit=10)
    assert first == events.EventPage(events=(), next=5_000, more=True)
    second = events.read_events(first.next, limit=10)
    assert [events.seq for events in second.events] == [5_001]
    assert not second.more


def test_news_may_be_those_of_one_list(database: Database, mailing_list: MailingList) -> None:
    other = make_list(database, slug="other")
    make_removed(database, mailing_list, Reason.NO)
    make_removed(database, other, Reason.NO)
    assert [events.list for events in all_news()] == ["news", "other"]
    assert [events.list for events in all_news("other")] == ["other"]
    assert events.read_events(0, limit=9, slug="news").next == EvidenceHead.get().seq


def test_news_are_overtaken_by_what_the_same_person_does_later(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    say_yes(database, contact)
    yes = find_event(1)
    assert yes
    make_removed(database, mailing_list, Reason.NO)
    assert not is_overtaken(yes)
    with database.atomic():
        status_changes.remove_contacts(
            [contact], reason=Reason.WITHDRAWN, act=act(), fingerprint_key=KEY
        )
    assert is_overtaken(yes)
    no = find_event(3)
    assert no
    assert not is_overtaken(no)
