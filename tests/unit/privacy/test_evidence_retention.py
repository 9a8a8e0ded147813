"""Parts of the evidence end when their time is over, and the chain still holds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from repermit.clock import format_timestamp, years_before
from repermit.contacts import click_log, erasure, status_changes
from repermit.contacts.last_ask import EvidenceFields
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.privacy import evidence_retention
from repermit.privacy.evidence_retention import add_years
from repermit.rules.consent import Basis, Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.query_plans import plans_of

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
FIVE_YEARS = NOW.replace(year=NOW.year + 5)
KEY = make_settings().fingerprint_key


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


def end(database: Database, at: datetime, **more: Any) -> tuple[int, int]:
    ended = evidence_retention.delete_expired_parts(
        database, settings=make_settings(), now=at, **more
    )
    assert list(iter_chain_faults()) == []
    return ended.traces, ended.proofs


def act(at: datetime = NOW) -> Act:
    trace = {"network": "192.0.2.0/24"}
    return Act(at=at, actor="person", consent={"answer": "yes"}, trace=trace)


def say_yes(database: Database, contact: Contact, at: datetime = NOW) -> None:
    with database.atomic():
        status_changes.confirm_contact(
            contact, basis=Basis.ANSWER, act=act(at), fingerprint_key=KEY
        )


def open_yes(database: Database, contact: Contact, at: datetime) -> None:
    pending = click_log.PendingOpenings()
    pending.add(contact.uid, click_log.LinkRequest("yes", is_head=False, at=at))
    pending.write(database)


def leave(database: Database, contact: Contact, at: datetime = NOW) -> None:
    with database.atomic():
        person = Contact.get_by_id(contact.id)
        status_changes.remove_contacts(
            [person], reason=Reason.WITHDRAWN, act=act(at), fingerprint_key=KEY
        )


def parts(name: str) -> int:
    return int(EvidencePart.select().where(EvidencePart.part == name).count())


@pytest.mark.parametrize(("early", "ended"), [(INSTANT, 0), (0 * DAY, 1), (-INSTANT, 1)])
def test_a_trace_ends_trace_days_after(
    database: Database, news: MailingList, early: timedelta, ended: int
) -> None:
    say_yes(database, make_contact(database, news))
    assert end(database, NOW + 90 * DAY - early) == (ended, 0)
    assert parts("trace") == 1 - ended
    assert parts("person") == 1


def test_many_traces_end_in_steps_and_an_entry_of_each_person_names_theirs(
    database: Database, news: MailingList
) -> None:
    for day in range(5):
        say_yes(database, make_contact(database, news), NOW + day * DAY)
    stops = iter([False, True, True, True])
    at = NOW + 93 * DAY
    assert end(database, at, chunk=2, should_stop=lambda: next(stops, True)) == (2, 0)
    assert end(database, at, chunk=2) == (2, 0)
    assert end(database, at, chunk=2) == (0, 0)
    assert Evidence.select().where(Evidence.event == "erased").count() == 4
    assert parts("trace") == 1


@pytest.mark.parametrize(("early", "ended"), [(INSTANT, 0), (0 * DAY, 1), (-INSTANT, 1)])
def test_what_is_kept_of_openings_ends_trace_days_after_its_first_moment(
    database: Database, news: MailingList, early: timedelta, ended: int
) -> None:
    contact = make_contact(database, news)
    open_yes(database, contact, NOW)
    open_yes(database, contact, NOW + 60 * DAY)
    found = evidence_retention.delete_expired_parts(
        database, settings=make_settings(), now=NOW + 90 * DAY - early
    )
    assert found == evidence_retention.DeletedParts(openings=ended)
    assert Opening.select().count() == 1 - ended
    assert Evidence.select().count() == 0


def test_openings_of_many_end_in_steps(database: Database, news: MailingList) -> None:
    for day in range(5):
        open_yes(database, make_contact(database, news), NOW + day * DAY)
    stops = iter([True, False, True, True])
    some: dict[str, Any] = {"settings": make_settings(), "now": NOW + 93 * DAY, "chunk": 2}
    first = evidence_retention.delete_expired_parts(
        database, **some, should_stop=lambda: next(stops, True)
    )
    assert (first.openings, Opening.select().count()) == (2, 3)
    assert evidence_retention.delete_expired_parts(database, **some).openings == 2
    assert Opening.select().count() == 1


@pytest.mark.parametrize(("early", "ended"), [(INSTANT, 0), (0 * DAY, 2), (-INSTANT, 2)])
def test_a_proof_ends_years_after_its_consent_has_ended(
    database: Database, news: MailingList, early: timedelta, ended: int
) -> None:
    contact = make_contact(database, news)
    say_yes(database, contact, NOW - 900 * DAY)
    leave(database, contact)
    assert end(database, FIVE_YEARS - early) == (2, ended)
    mine = Evidence.select(Evidence.seq).where(
        Evidence.subject == contact.subject, Evidence.event != "erased"
    )
    kept = EvidencePart.select().where(EvidencePart.seq.in_(mine), EvidencePart.part == "consent")
    assert kept.count() == 2 - ended


def test_who_is_still_mailed_keeps_their_proof(database: Database, news: MailingList) -> None:
    say_yes(database, make_contact(database, news))
    assert end(database, FIVE_YEARS.replace(year=2060)) == (1, 0)
    assert parts("consent") == 2


def test_who_came_back_keeps_it_until_they_have_left_for_good(
    database: Database, news: MailingList
) -> None:
    first = make_contact(database, news, "jan@example.org")
    say_yes(database, first)
    leave(database, first)
    with database.atomic():
        erasure.erase_contact(Contact.get_by_id(first.id), act=act(), fingerprint_key=KEY)
    again = make_contact(database, news, "jan@example.org")
    again.subject = first.subject
    with database.atomic():
        again.save()
    say_yes(database, again, NOW + DAY)
    assert end(database, FIVE_YEARS + 9 * DAY)[1] == 0
    left = FIVE_YEARS + 10 * DAY
    leave(database, again, left)
    assert end(database, left.replace(year=left.year + 5) - INSTANT)[1] == 0
    assert end(database, left.replace(year=left.year + 5))[1] == 4
    assert Contact.select().where(Contact.status == Status.REMOVED).count() == 2


def test_a_removal_that_was_noted_anew_from_a_backup_counts_from_when_it_was(
    database: Database, news: MailingList
) -> None:
    contact = make_contact(database, news)
    say_yes(database, contact)
    left, restored = NOW + 5 * DAY, NOW + 40 * DAY
    with database.atomic():
        status_changes.remove_contacts(
            [contact],
            reason=Reason.WITHDRAWN,
            act=Act(at=restored, actor="cli:els", consent={"by": "restored"}),
            fingerprint_key=KEY,
            evidence_by_id={contact.id: EvidenceFields({"left_at": format_timestamp(left)})},
            removed_at_by_id={contact.id: left},
        )
    ends = left.replace(year=left.year + 5)
    assert end(database, ends - INSTANT)[1] == 0
    assert end(database, ends)[1] == 2


def test_proofs_end_in_steps_each_of_which_goes_on_where_the_last_one_ended(
    database: Database, news: MailingList
) -> None:
    people = [make_contact(database, news) for _ in range(5)]
    for person in people:
        say_yes(database, person)
        leave(database, person)
    # Of an erased one, what says so stays: the chain would miss what it excuses.
    with database.atomic():
        erasure.erase_contact(Contact.get_by_id(people[0].id), act=act(), fingerprint_key=KEY)
    stops = iter([False, False, False, False, True, True])
    assert end(database, FIVE_YEARS, chunk=2, should_stop=lambda: next(stops, True)) == (8, 0)
    assert end(database, FIVE_YEARS, chunk=2) == (0, 10)
    assert end(database, FIVE_YEARS, chunk=2) == (0, 0)


@pytest.mark.counted_on_both
def test_the_next_step_is_found_at_once_among_many_who_left_at_the_same_moment(
    database: Database, news: MailingList
) -> None:
    for person in [make_contact(database, news) for _ in range(3)]:
        say_yes(database, person)
        leave(database, person)
    plans = plans_of(
        database, lambda: end(database, FIVE_YEARS, chunk=1), having='"status_at", "t1"."id"'
    )
    after_the_first = plans[1]
    assert re.search(
        r"status_at=\? AND id>\?|Index Cond: .*status_at = .* AND \(id >", after_the_first
    ), after_the_first
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]


@pytest.mark.parametrize(
    ("moment", "years", "expected"),
    [
        (datetime(2028, 2, 29, 1, tzinfo=UTC), 5, datetime(2023, 2, 28, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), 4, datetime(2024, 2, 29, tzinfo=UTC)),
        (datetime(2026, 3, 1, tzinfo=UTC), 5, datetime(2021, 3, 1, tzinfo=UTC)),
    ],
)
def test_so_many_years_before(moment: datetime, years: int, expected: datetime) -> None:
    assert years_before(moment, years) == expected


@pytest.mark.parametrize("day", [datetime(2024, 2, number, tzinfo=UTC) for number in (28, 29)])
def test_the_day_that_is_told_is_the_first_that_is_late_enough(day: datetime) -> None:
    ends = add_years(day, 5)
    assert years_before(ends, 5) >= day > years_before(ends - timedelta(days=1), 5)
