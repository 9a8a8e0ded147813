"""Deliveries on their way: signed, once, in order, tried again, ended."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks

from repermit.clock import ManualClock, SystemClock
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.db.work_steps import FIRST_STEP_ROWS
from repermit.evidence import chain, entries
from repermit.jobs.periodic_jobs import Jobs
from repermit.rules.consent import Basis, Reason
from repermit.settings.definitions import Settings, Web
from repermit.webhooks import deliver, endpoints, events
from repermit.webhooks.deliver import LEASE, WAITS
from tests.support.builders import NOW, make_contact, make_removed, make_settings
from tests.support.webhook_receiver import Answer, Receiver

SETTINGS = make_settings(web=Web(webhooks_to_private=True))
KEY = SETTINGS.fingerprint_key


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


def add(
    database: Database, receiver: Receiver, path: str = "/hooks?key=s3cret"
) -> events.AddedWebhook:
    url = receiver.url(path=path)
    return endpoints.add(database, url, settings=SETTINGS, now=NOW, actor="me@example.org")


def run(
    database: Database, clock: ManualClock | SystemClock, **more: Any
) -> deliver.DeliveryCounts:
    """Do what the sweep does, once."""
    events.enqueue_deliveries(database, now=clock.now())
    return deliver.deliver_due(database, settings=SETTINGS, clock=clock, **more)


def say_yes(database: Database, contact: Contact) -> None:
    act = status_changes.Act(at=NOW, actor="person")
    with database.atomic():
        status_changes.confirm_contact(contact, basis=Basis.ANSWER, act=act, fingerprint_key=KEY)


def say_no(database: Database, contact: Contact) -> None:
    act = status_changes.Act(at=NOW + timedelta(hours=1), actor="person")
    with database.atomic():
        status_changes.remove_contacts(
            [contact], reason=Reason.WITHDRAWN, act=act, fingerprint_key=KEY
        )


def bodies(receiver: Receiver) -> list[Any]:
    return [json.loads(told.body) for told in receiver.told]


def standing() -> list[tuple[str, int, int]]:
    """Return how the deliveries stand: state, attempts, status of the last reply."""
    return [(one.state, one.attempts, one.reply_code) for one in Delivery.select().order_by("seq")]


# --- What arrives.


def test_without_the_key_of_its_secret_a_delivery_waits(
    database: Database, clock: ManualClock, mailing_list: MailingList, receiver: Receiver
) -> None:
    add(database, receiver)
    say_yes(database, make_contact(database, mailing_list, "anna@example.org"))
    events.enqueue_deliveries(database, now=clock.now())
    other = replace(SETTINGS, secret_keys=(b"another key, of many bits",))
    sent = deliver.deliver_due(database, settings=other, clock=clock)
    assert sent == deliver.DeliveryCounts(done=0, failed=1)
    assert "sealed under a key" in Delivery.get().problem
    assert (Delivery.get().state, receiver.told) == ("waiting", [])


def test_an_answer_arrives_signed(
    database: Database, mailing_list: MailingList, receiver: Receiver
) -> None:
    added = add(database, receiver)
    say_yes(database, make_contact(database, mailing_list, "anna@example.org"))
    assert run(database, SystemClock()) == deliver.DeliveryCounts(done=1, failed=0)
    (told,) = receiver.told
    said = standardwebhooks.Webhook(added.secret).verify(told.body, told.headers)
    assert said == {
        "type": "answer.yes",
        "timestamp": "2026-03-02T09:00:00.000000+00:00",
        "data": {
            "list": "news",
            "address": "anna@example.org",
            "status": "confirmed",
            "reason": None,
            "given_by": "self",
            "seq": 2,
        },
    }
    assert told.path == "/hooks?key=s3cret"
    assert told.headers["content-type"] == "application/json"
    assert told.headers["webhook-id"] == f"msg_{added.id}_2"
    for changed in (told.body + b" ", told.body.replace(b"anna", b"jan")):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(added.secret).verify(changed, told.headers)


def test_an_address_outside_ascii_is_signed_as_it_is_sent(
    database: Database, mailing_list: MailingList, receiver: Receiver
) -> None:
    added = add(database, receiver)
    say_yes(database, make_contact(database, mailing_list, "zoë@example.org"))
    run(database, SystemClock())
    (told,) = receiver.told
    said = standardwebhooks.Webhook(added.secret).verify(told.body, told.headers)
    assert said["data"]["address"] == "zoë@example.org"


def test_everything_arrives_once_and_in_order(
    database: Database, mailing_list: MailingList, receiver: Receiver, clock: ManualClock
) -> None:
    add(database, receiver)
    contact = make_contact(database, mailing_list)
    say_yes(database, contact)
    say_no(database, contact)
    make_removed(database, mailing_list, Reason.BOUNCE)
    for _ in range(2):
        run(database, clock)
    assert [body["type"] for body in bodies(receiver)] == ["answer.yes", "answer.no", "removed"]
    assert standing() == [("delivered", 1, 204)] * 3
    assert {one.lease_until for one in Delivery.select()} == {None}


def test_each_webhook_is_told(
    database: Database, mailing_list: MailingList, receiver: Receiver, clock: ManualClock
) -> None:
    add(database, receiver, "/one")
    make_removed(database, mailing_list, Reason.NO)
    add(database, receiver, "/two")
    make_removed(database, mailing_list, Reason.NO)
    run(database, clock)
    assert sorted(told.path for told in receiver.told) == ["/one", "/one", "/two"]


def test_of_who_was_erased_meanwhile_no_address_is_told(
    database: Database, mailing_list: MailingList, receiver: Receiver, clock: ManualClock
) -> None:
    add(database, receiver)
    contact = make_removed(database, mailing_list, Reason.NO, "anna@example.org")
    events.enqueue_deliveries(database, now=NOW)
    with database.atomic():
        erasure.erase_contact(
            contact, act=status_changes.Act(at=NOW, actor="me"), fingerprint_key=KEY
        )
    run(database, clock)
    (said,) = bodies(receiver)
    assert (said["type"], said["data"]["address"]) == ("answer.no", None)
    assert b"anna" not in receiver.told[0].body


def test_of_what_the_record_holds_no_more_nothing_is_told(
    database: Database, mailing_list: MailingList, receiver: Receiver, clock: ManualClock
) -> None:
    add(database, receiver)
    contact = make_contact(database, mailing_list)
    say_yes(database, contact)
    events.enqueue_deliveries(database, now=NOW)
    with database.atomic():
        chain.erase_parts(contact.subject, ["consent"])
    make_removed(database, mailing_list, Reason.NO)
    assert run(database, clock) == deliver.DeliveryCounts(done=2, failed=0)
    assert [body["type"] for body in bodies(receiver)] == ["answer.no"]
    assert Delivery.get().problem == "the record holds no more what there was to tell"


def test_nothing_new_writes_nothing(
    database: Database, mailing_list: MailingList, receiver: Receiver, clock: ManualClock
) -> None:
    add(database, receiver)
    make_removed(database, mailing_list, Reason.NO)
    run(database, clock)
    with database.atomic():
        before = Webhook.get().cursor
    assert run(database, clock) == deliver.DeliveryCounts(done=0, failed=0)
    assert Webhook.get().cursor == before == Evidence.select().count()


def test_a_large_removal_is_owed_in_steps_sized_by_time(
    database: Database, mailing_list: MailingList, receiver: Receiver
) -> None:
    add(database, receiver)
    gone = [make_contact(database, mailing_list) for _ in range(151)]
    act = status_changes.Act(at=NOW, actor="job")
    with database.atomic():
        status_changes.remove_contacts(
            gone, reason=Reason.NO_RESPONSE, act=act, fingerprint_key=KEY
        )
    counts = []

    def note_slowly() -> None:
        counts.append(Delivery.select().count())
        time.sleep(0.1)

    database.before_commit = note_slowly
    try:
        assert events.enqueue_deliveries(database, now=NOW) == 151
    finally:
        database.before_commit = None
    # After a step that took long there is a smaller one.
    assert counts[0] == FIRST_STEP_ROWS
    assert counts[1] < 151
    assert counts[-1] == Delivery.select().count() == 151
    assert Webhook.get().cursor == Evidence.select().count()


# --- What does not arrive at once.


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
def test_what_was_not_taken_is_tried_again_after_growing_waits(
    database: Database, mailing_list: MailingList, clock: ManualClock, status: int
) -> None:
    tries = len(WAITS) + 1
    with Receiver(*[Answer(status=status)] * tries) as receiver:
        add(database, receiver)
        make_removed(database, mailing_list, Reason.NO)
        run(database, clock)
        for number, wait in enumerate(WAITS, 2):
            assert Delivery.get().due_at == clock.now() + wait
            clock.advance(wait - timedelta(microseconds=1))
            run(database, clock)
            assert len(receiver.told) == number - 1
            clock.advance(timedelta(microseconds=1))
            run(database, clock)
            assert len(receiver.told) == number
        assert standing() == [("failed", tries, status)]
        clock.advance(timedelta(days=30))
        run(database, clock)
        assert len(receiver.told) == tries
    assert sorted(WAITS) == list(WAITS)
    assert timedelta(days=3) < sum(WAITS, timedelta(0)) < timedelta(days=4)
    assert len({told.headers["webhook-id"] for told in receiver.told}) == 1
    assert len({told.headers["webhook-timestamp"] for told in receiver.told}) == tries


def test_a_receiver_may_ask_for_a_longer_wait(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    asked = [Answer(status=429, headers={"Retry-After": text}) for text in ("600", "2", "900000")]
    with Receiver(*asked) as receiver:
        add(database, receiver)
        make_removed(database, mailing_list, Reason.NO)
        for wait in (timedelta(minutes=10), WAITS[1], timedelta(days=1)):
            run(database, clock)
            assert Delivery.get().due_at == clock.now() + wait
            clock.advance(wait)


def test_what_failed_arrives_once_it_is_taken(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    with Receiver(Answer(status=500)) as receiver:
        add(database, receiver)
        make_removed(database, mailing_list, Reason.NO)
        assert run(database, clock) == deliver.DeliveryCounts(done=0, failed=1)
        assert (Delivery.get().state, Delivery.get().problem) == ("waiting", "it answered 500")
        clock.advance(WAITS[0])
        assert run(database, clock) == deliver.DeliveryCounts(done=1, failed=0)
    assert standing() == [("delivered", 2, 204)]
    assert Delivery.get().problem == ""


def test_who_fails_is_left_alone_for_the_rest_of_the_run(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    with Receiver(Answer(status=500)) as failing, Receiver() as other:
        add(database, failing)
        add(database, other)
        for _ in range(3):
            make_removed(database, mailing_list, Reason.NO)
        assert run(database, clock) == deliver.DeliveryCounts(done=3, failed=1)
        assert len(failing.told) == 1
        assert run(database, clock) == deliver.DeliveryCounts(done=2, failed=0)


def test_a_webhook_that_is_gone_is_told_nothing_more(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    with Receiver(Answer(status=410)) as receiver:
        add(database, receiver)
        for _ in range(2):
            make_removed(database, mailing_list, Reason.NO)
        run(database, clock)
        clock.advance(timedelta(days=1))
        run(database, clock)
        assert len(receiver.told) == 1
    assert standing() == [("failed", 1, 410), ("failed", 0, 0)]
    assert endpoints.list_webhooks() == ()
    entry = Evidence.get(Evidence.event == "webhook_removed")
    part = EvidencePart.get(EvidencePart.seq == entry.seq)
    assert (entry.actor, json.loads(part.json)["why"]) == ("job", "410 Gone")


def test_a_webhook_that_goes_just_after_somebody_removed_it_is_removed_once(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    def remove() -> None:
        with database.connection_context():
            endpoints.remove(database, Webhook.get().id, now=NOW, actor="me@example.org")

    with Receiver(Answer(status=410, before=remove)) as receiver:
        add(database, receiver)
        make_removed(database, mailing_list, Reason.NO)
        run(database, clock)
    removed = Evidence.select().where(Evidence.event == "webhook_removed")
    assert [entry.actor for entry in removed] == ["me@example.org"]
    assert Delivery.get().problem == "the webhook was removed"


def test_a_webhook_that_is_removed_is_told_nothing_more_that_waits(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    def remove() -> None:
        with database.connection_context():
            endpoints.remove(database, Webhook.get().id, now=NOW, actor="me@example.org")

    with Receiver(Answer(before=remove)) as receiver:
        add(database, receiver)
        for _ in range(3):
            make_removed(database, mailing_list, Reason.NO)
        run(database, clock)
        assert len(receiver.told) == 1
    # What had been told was.
    assert standing() == [("delivered", 1, 204), ("failed", 0, 0), ("failed", 0, 0)]


def test_a_yes_that_is_late_does_not_undo_a_later_no(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    with Receiver(Answer(status=500)) as receiver:
        add(database, receiver)
        contact = make_contact(database, mailing_list)
        say_yes(database, contact)
        run(database, clock)
        say_no(database, contact)
        run(database, clock)
        clock.advance(WAITS[0])
        assert run(database, clock) == deliver.DeliveryCounts(done=1, failed=0)
    assert [body["type"] for body in bodies(receiver)] == ["answer.yes", "answer.no"]
    first = Delivery.get(Delivery.seq == 2)
    assert (first.state, first.problem) == ("failed", "overtaken by what this person did later")


def test_a_slow_receiver_holds_up_nobody_else(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    arrived = threading.Event()

    def note() -> None:
        arrived.set()

    # The slow one answers only once the other, which was added later, has been told.
    slow = Answer(before=lambda: arrived.wait(10))
    with Receiver(slow) as first, Receiver(Answer(before=note)) as second:
        add(database, first)
        add(database, second)
        make_removed(database, mailing_list, Reason.NO)
        began = time.monotonic()
        assert run(database, clock) == deliver.DeliveryCounts(done=2, failed=0)
        assert time.monotonic() - began < 8


def test_without_the_setting_nothing_goes_inside(
    database: Database, mailing_list: MailingList, receiver: Receiver, clock: ManualClock
) -> None:
    add(database, receiver)
    make_removed(database, mailing_list, Reason.NO)
    events.enqueue_deliveries(database, now=NOW)
    deliver.deliver_due(database, settings=make_settings(), clock=clock)
    assert receiver.told == []
    assert standing() == [("waiting", 1, 0)]
    assert "private network" in Delivery.get().problem


def test_a_run_ends_between_two_deliveries_when_the_process_stops(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    stopping = threading.Event()
    with Receiver(Answer(before=stopping.set)) as receiver:
        add(database, receiver)
        for _ in range(3):
            make_removed(database, mailing_list, Reason.NO)
        assert run(database, clock, should_stop=stopping.is_set).done == 1
        assert len(receiver.told) == 1


# --- Two at once, and one that dies.


def jobs_at(database: Database, settings: Settings, clock: ManualClock) -> Jobs:
    return Jobs(settings, database, clock=clock, stopping=threading.Event())


def test_two_sweeps_at_once_deliver_once(
    database: Database, mailing_list: MailingList, receiver: Receiver, clock: ManualClock
) -> None:
    add(database, receiver)
    for _ in range(20):
        make_removed(database, mailing_list, Reason.NO)
    together = threading.Barrier(2)
    receiver.answers = [Answer(before=lambda: time.sleep(0.01)) for _ in range(20)]

    def sweep() -> None:
        together.wait(10)
        jobs_at(database, SETTINGS, clock).deliver_webhooks()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(sweep) for _ in range(2)]:
            done.result()
    # One of them may have looked before the other owed anything.
    jobs_at(database, SETTINGS, clock).deliver_webhooks()
    seqs = [body["data"]["seq"] for body in bodies(receiver)]
    assert sorted(seqs) == list(range(2, 22))
    assert standing() == [("delivered", 1, 204)] * 20


def test_what_another_process_holds_is_left_to_it_until_its_lease_ends(
    database: Database, mailing_list: MailingList, receiver: Receiver, clock: ManualClock
) -> None:
    add(database, receiver)
    make_removed(database, mailing_list, Reason.NO)
    events.enqueue_deliveries(database, now=NOW)
    # As it is left by a process that was killed in the middle of an attempt.
    Delivery.update(attempts=1, lease_until=NOW + LEASE).execute()
    clock.advance(LEASE - timedelta(microseconds=1))
    assert run(database, clock).done == 0
    clock.advance(timedelta(microseconds=1))
    assert run(database, clock).done == 1
    assert standing() == [("delivered", 2, 204)]


def test_an_outcome_that_comes_after_the_lease_is_not_noted(
    database: Database, mailing_list: MailingList, clock: ManualClock
) -> None:
    def taken_over() -> None:
        with database.connection_context():
            Delivery.update(attempts=Delivery.attempts + 1).execute()

    with Receiver(Answer(status=500, before=taken_over)) as receiver:
        add(database, receiver)
        make_removed(database, mailing_list, Reason.NO)
        run(database, clock)
    assert standing() == [("waiting", 2, 0)]
    assert Delivery.get().lease_until == NOW + LEASE


def test_the_cursor_is_moved_by_one_process_alone(
    database: Database, mailing_list: MailingList, receiver: Receiver
) -> None:
    add(database, receiver)
    for _ in range(600):
        with database.atomic():
            chain.append(entries.Entry(event="removed", at=NOW, actor="job", list="news"))
    together = threading.Barrier(4)

    def enqueue_deliveries() -> int:
        with database.connection_context():
            together.wait(10)
            return events.enqueue_deliveries(database, now=NOW)

    with ThreadPoolExecutor(4) as pool:
        made = [done.result() for done in [pool.submit(enqueue_deliveries) for _ in range(4)]]
    made.append(events.enqueue_deliveries(database, now=NOW))
    assert sum(made) == Delivery.select().count() == 600
    assert mailing_list.slug == "news"


# --- The log.


def test_no_address_and_no_secret_stands_in_the_log(
    database: Database,
    mailing_list: MailingList,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(Answer(status=500)) as receiver:
        added = add(database, receiver)
        for _ in range(3):
            make_removed(database, mailing_list, Reason.NO, "")
        for _ in range(2):
            jobs_at(database, SETTINGS, clock).deliver_webhooks()
    assert len(receiver.told) == 3
    assert "1 webhooks could not be told" in caplog.text
    for secret in ("s3cret", added.secret, "example.org"):
        assert secret not in caplog.text
