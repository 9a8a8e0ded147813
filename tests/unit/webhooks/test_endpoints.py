"""Webhooks as an admin keeps them: added, removed, looked at, tried; each act with its evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks

from repermit.clock import ManualClock, SystemClock
from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.errors import NotFound, Refused
from repermit.rules.consent import Reason
from repermit.settings.definitions import Web
from repermit.webhooks import deliver as webhooks_deliver
from repermit.webhooks import endpoints, events
from tests.support.builders import NOW, make_list, make_removed, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.query_plans import plans_of, statements_in_transactions
from tests.support.webhook_receiver import Answer, Receiver

URL = "https://tool.example.org/hooks?key=s3cret"
INSIDE = make_settings(web=Web(webhooks_to_private=True))
BEFORE = NOW - timedelta(days=1)
"""When nothing is due yet."""
BY_ME: dict[str, Any] = {"now": NOW, "actor": "me@example.org"}


def add(database: Database, url: str = URL, **more: Any) -> events.AddedWebhook:
    return endpoints.add(database, url, **{"settings": make_settings(), **BY_ME, **more})


def deliver(database: Database) -> webhooks_deliver.DeliveryCounts:
    return webhooks_deliver.deliver_due(
        database, settings=make_settings(), clock=ManualClock(BEFORE)
    )


def acts() -> list[tuple[str, str, str, Any]]:
    """Return what the evidence has of admins' acts: event, actor, list, facts."""
    found = []
    for entry in Evidence.select().where(Evidence.event.startswith("webhook")).order_by("seq"):
        part = EvidencePart.get(EvidencePart.seq == entry.seq)
        found.append((entry.event, entry.actor, entry.list, json.loads(part.json)))
    return found


def test_a_webhook_is_added_and_its_secret_told_once(
    database: Database, mailing_list: MailingList
) -> None:
    make_removed(database, mailing_list, Reason.NO)
    added = add(database)
    assert added.secret.startswith("whsec_")
    assert added.secret not in repr(added)
    (found,) = endpoints.list_webhooks()
    assert found == events.WebhookFacts(
        id=added.id,
        url=URL,
        list="",
        created_by="me@example.org",
        created_at=NOW,
        waiting=0,
        last=None,
    )
    # It hears of what comes from now on, not of what was.
    events.enqueue_deliveries(database, now=NOW)
    assert Delivery.select().count() == 0
    assert add(database, URL + "2").secret != added.secret


def test_a_webhook_may_be_for_one_list(database: Database, mailing_list: MailingList) -> None:
    other = make_list(database, slug="other")
    add(database, mailing_list=mailing_list)
    make_removed(database, other, Reason.NO)
    assert events.enqueue_deliveries(database, now=NOW) == 0
    make_removed(database, mailing_list, Reason.NO)
    assert events.enqueue_deliveries(database, now=NOW) == 1
    assert endpoints.list_webhooks()[0].list == "news"
    assert endpoints.list_webhooks()[0].waiting == 1


def test_the_same_webhook_is_added_once(database: Database, mailing_list: MailingList) -> None:
    first = add(database)
    with pytest.raises(Refused, match="already"):
        add(database, f" {URL} ")
    add(database, mailing_list=mailing_list)
    with pytest.raises(Refused, match="already"):
        add(database, mailing_list=mailing_list)
    endpoints.remove(database, first.id, **BY_ME)
    add(database)
    assert len(endpoints.list_webhooks()) == 2


def test_a_url_that_cannot_be_used_is_refused(database: Database) -> None:
    with pytest.raises(Refused, match="private network"):
        add(database, "https://192.168.1.1/")
    add(database, "http://192.168.1.1/", settings=INSIDE)
    assert [one.url for one in endpoints.list_webhooks()] == ["http://192.168.1.1/"]


def test_every_act_is_kept_with_its_actor_and_without_what_is_secret(
    database: Database, mailing_list: MailingList
) -> None:
    added = add(database, mailing_list=mailing_list)
    make_removed(database, mailing_list, Reason.NO)
    events.enqueue_deliveries(database, now=NOW)
    Delivery.update(state="failed").execute()
    endpoints.redeliver(database, Delivery.get().id, **BY_ME)
    endpoints.remove(database, added.id, **BY_ME)
    where = {"webhook": added.id, "host": "tool.example.org"}
    assert acts() == [
        ("webhook_added", "me@example.org", "news", where),
        ("webhook_redelivered", "me@example.org", "news", {**where, "seq": 2}),
        ("webhook_removed", "me@example.org", "news", where),
    ]
    assert list(iter_chain_faults()) == []


def test_a_removed_webhook_is_told_nothing_more(
    database: Database, mailing_list: MailingList
) -> None:
    added = add(database)
    make_removed(database, mailing_list, Reason.NO)
    events.enqueue_deliveries(database, now=NOW)
    endpoints.remove(database, added.id, **BY_ME)
    assert endpoints.list_webhooks() == ()
    deliver(database)
    assert (Delivery.get().state, Delivery.get().problem) == ("failed", "the webhook was removed")
    make_removed(database, mailing_list, Reason.NO)
    assert events.enqueue_deliveries(database, now=NOW) == 0
    for act in (
        lambda: endpoints.remove(database, added.id, **BY_ME),
        lambda: endpoints.list_deliveries(added.id),
        lambda: webhooks_deliver.send_test_message(
            database, added.id, settings=make_settings(), **BY_ME
        ),
        lambda: endpoints.redeliver(database, Delivery.get().id, **BY_ME),
        lambda: endpoints.redeliver(database, 999, **BY_ME),
    ):
        with pytest.raises(NotFound):
            act()


def test_the_log_has_the_newest_first_and_goes_back(
    database: Database, mailing_list: MailingList
) -> None:
    added = add(database)
    for _ in range(5):
        make_removed(database, mailing_list, Reason.NO)
    assert events.enqueue_deliveries(database, now=NOW) == 5
    assert [one.seq for one in endpoints.list_deliveries(added.id)] == [6, 5, 4, 3, 2]
    assert [one.seq for one in endpoints.list_deliveries(added.id, limit=2)] == [6, 5]
    older = endpoints.list_deliveries(added.id, before=5, limit=2)
    assert [one.seq for one in older] == [4, 3]
    assert older[0] == events.DeliveryFacts(
        id=older[0].id,
        seq=4,
        state="waiting",
        attempts=0,
        due_at=NOW,
        at=None,
        reply_code=0,
        problem="",
    )


def test_what_was_tried_last_is_told(database: Database, mailing_list: MailingList) -> None:
    add(database)
    for _ in range(3):
        make_removed(database, mailing_list, Reason.NO)
    events.enqueue_deliveries(database, now=NOW)
    later = NOW + timedelta(minutes=1)
    Delivery.update(at=NOW, reply_code=204).where(Delivery.seq != 3).execute()
    Delivery.update(at=later, reply_code=500).where(Delivery.seq == 3).execute()
    (found,) = endpoints.list_webhooks()
    assert found.last
    assert (found.last.seq, found.last.at, found.last.reply_code) == (3, later, 500)


def test_a_delivery_is_made_again_from_the_first_attempt_on(
    database: Database, mailing_list: MailingList
) -> None:
    added = add(database)
    make_removed(database, mailing_list, Reason.NO)
    events.enqueue_deliveries(database, now=NOW)
    with pytest.raises(Refused, match="waiting already"):
        endpoints.redeliver(database, Delivery.get().id, **BY_ME)
    Delivery.update(state="failed", attempts=10, reply_code=500, problem="no").execute()
    later = NOW + timedelta(days=4)
    endpoints.redeliver(database, Delivery.get().id, now=later, actor="me@example.org")
    (one,) = endpoints.list_deliveries(added.id)
    assert (one.state, one.attempts, one.due_at) == ("waiting", 0, later)
    assert (one.reply_code, one.problem) == (0, "")


# --- Trying.


def test_a_webhook_can_be_tried(database: Database, mailing_list: MailingList) -> None:
    now = SystemClock().now()
    with Receiver(Answer(status=200), Answer(status=500)) as receiver:
        added = add(database, receiver.url(), mailing_list=mailing_list, settings=INSIDE)
        trial: dict[str, Any] = {"settings": INSIDE, "now": now, "actor": "me@example.org"}
        good = webhooks_deliver.send_test_message(database, added.id, **trial)
        bad = webhooks_deliver.send_test_message(database, added.id, **trial)
    assert (good.is_accepted, good.code, good.problem) == (True, 200, "")
    assert (bad.is_accepted, bad.code, bad.problem) == (False, 500, "it answered 500")
    told = receiver.told[0]
    said = standardwebhooks.Webhook(added.secret).verify(told.body, told.headers)
    assert said["type"] == "test"
    assert said["data"] == {"list": "news"}
    assert told.headers["webhook-id"] != receiver.told[1].headers["webhook-id"]
    assert [act[0] for act in acts()] == ["webhook_added", "webhook_tested", "webhook_tested"]
    assert Delivery.select().count() == 0


def test_a_secret_is_sealed_and_without_its_key_nothing_is_sent(database: Database) -> None:
    with Receiver(Answer(status=200)) as receiver:
        added = add(database, receiver.url(), settings=INSIDE)
        assert added.secret not in Webhook.get().secret
        trial: dict[str, Any] = {"now": SystemClock().now(), "actor": "me@example.org"}
        other = replace(INSIDE, secret_keys=(b"another key, of many bits",))
        lost = webhooks_deliver.send_test_message(database, added.id, settings=other, **trial)
        rotated = replace(INSIDE, secret_keys=(*INSIDE.secret_keys, *other.secret_keys))
        assert webhooks_deliver.send_test_message(
            database, added.id, settings=rotated, **trial
        ).is_accepted
    assert (lost.is_accepted, lost.code) == (False, 0)
    assert "sealed under a key that is no longer among secret_keys" in lost.problem
    (told,) = receiver.told
    assert standardwebhooks.Webhook(added.secret).verify(told.body, told.headers)


def test_a_secret_from_before_there_was_a_seal_still_signs(database: Database) -> None:
    with Receiver(Answer(status=200)) as receiver:
        added = add(database, receiver.url(), settings=INSIDE)
        with database.atomic():
            Webhook.update(secret=added.secret).execute()
        webhooks_deliver.send_test_message(
            database, added.id, settings=INSIDE, now=SystemClock().now(), actor="me@example.org"
        )
    (told,) = receiver.told
    assert standardwebhooks.Webhook(added.secret).verify(told.body, told.headers)


def test_a_trial_does_not_go_inside_either(database: Database) -> None:
    with Receiver() as receiver:
        added = add(database, receiver.url(), settings=INSIDE)
        reply = webhooks_deliver.send_test_message(
            database, added.id, settings=make_settings(), **BY_ME
        )
    assert "private network" in reply.problem
    assert receiver.told == []
    assert Webhook.get().list_id is None


@pytest.mark.counted_on_both
def test_what_a_removed_webhook_waits_for_is_failed_in_steps(
    database: Database, mailing_list: MailingList
) -> None:
    added = add(database)
    for _ in range(3):
        make_removed(database, mailing_list, Reason.NO)
    events.enqueue_deliveries(database, now=NOW)
    within = statements_in_transactions(
        database, lambda: endpoints.remove(database, added.id, **BY_ME)
    )
    assert not [sql for sql in within if '"delivery"' in sql]
    looks = plans_of(database, lambda: deliver(database), having="state = 'waiting'")
    # Whether there are any, a step of all three, and one that finds none.
    assert len(looks) == 3
    assert all("delivery_waiting" in look for look in looks)
    assert {(one.state, one.problem) for one in Delivery.select()} == {
        ("failed", "the webhook was removed")
    }


def test_all_of_somebody_end_at_once_with_what_they_were_still_to_be_told(
    database: Database, mailing_list: MailingList
) -> None:
    theirs = [add(database, f"{URL}{n}", actor="user:2").id for n in range(2)]
    kept = add(database)
    endpoints.remove(database, theirs.pop(), **BY_ME)
    make_removed(database, mailing_list, Reason.NO)
    events.enqueue_deliveries(database, now=NOW)
    with database.atomic():
        entries = endpoints.remove_by_creator("user:2", now=NOW, actor="user:1")
    assert [(one.event, one.actor, one.consent["why"]) for one in entries] == [
        ("webhook_removed", "user:1", "with whoever added it")
    ]
    assert [one.id for one in endpoints.list_webhooks()] == [kept.id]
    deliver(database)
    states = {one.webhook_id: one.state for one in Delivery.select()}
    assert states == {theirs[0]: "failed", kept.id: "waiting"}
    with database.atomic():
        assert endpoints.remove_by_creator("user:2", now=NOW, actor="user:1") == []
