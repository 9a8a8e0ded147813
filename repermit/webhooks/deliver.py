"""Delivering due events to webhooks: claim, sign, post, record, and retry after growing waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL

from repermit.clock import Clock, format_timestamp
from repermit.db.connection import Database, set_idle_transaction_timeout
from repermit.db.models.base import new_id
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.errors import NotFound
from repermit.evidence import chain, entries
from repermit.i18n.lazy_text import LazyText
from repermit.settings.definitions import Settings
from repermit.webhooks.endpoints import (
    SECRET_UNREADABLE,
    decrypt_secret,
    fail_removed,
    find,
    find_active,
    lock,
    mark_removed,
    record_test,
)
from repermit.webhooks.events import find_event, find_list_slug, is_overtaken
from repermit.webhooks.http_client import HttpClient, Reply, sign_message

WAITS = tuple(
    timedelta(seconds=seconds)
    # The schedule that the Standard Webhooks specification proposes, a little over three days.
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""The wait after each failed attempt; after the last there is no retry."""

LEASE = timedelta(minutes=10)
"""How long a claim is valid: far longer than an attempt can take."""

_MAX_PARALLEL = 8
# In seconds: the longest time for which a slow receiver delays new events.
_MAX_RUN = 20.0


@dataclass(frozen=True, kw_only=True)
class DeliveryCounts:
    """How many deliveries a run has finished (`done`), and how many attempts failed."""

    done: int
    failed: int


def deliver_due(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    should_stop: Callable[[], bool] = lambda: False,
) -> DeliveryCounts:
    """Send the due deliveries, for each webhook in its own thread and in the entries' order.

    - After a failure, a webhook gets no more attempts in this run.
    - The waiting deliveries of removed webhooks are marked as failed.
    - Several processes may run this at once: each delivery is claimed by a conditional UPDATE.
    """
    run = _DeliveryRun(database, settings, clock, should_stop)
    now = clock.now()
    webhook_ids = [webhook.id for webhook in find_active() if _select_due(webhook.id, now).exists()]
    with ThreadPoolExecutor(max_workers=_MAX_PARALLEL, thread_name_prefix="webhook") as pool:
        counts_by_webhook = list(pool.map(run.deliver_to, webhook_ids))
    fail_removed(database, should_stop=should_stop)
    return DeliveryCounts(
        done=sum(counts.done for counts in counts_by_webhook),
        failed=sum(counts.failed for counts in counts_by_webhook),
    )


class _DeliveryRun:
    """One run over all webhooks, with a time limit."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        should_stop: Callable[[], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._should_stop = should_stop
        self._ends_at = time.monotonic() + _MAX_RUN

    def deliver_to(self, webhook_id: int) -> DeliveryCounts:
        """Send the due deliveries of one webhook, on this thread's own database connection."""
        done_count = failed_count = 0
        to_private = self._settings.web.webhooks_to_private
        with self._database.connection_context(), HttpClient(to_private=to_private) as client:
            set_idle_transaction_timeout(self._database)
            while not (failed_count or self._should_stop() or time.monotonic() >= self._ends_at):
                claimed = self._claim(webhook_id)
                if claimed is None:
                    break
                is_done = self._attempt(client, claimed)
                done_count += is_done
                failed_count += not is_done
        return DeliveryCounts(done=done_count, failed=failed_count)

    def _claim(self, webhook_id: int) -> Delivery | None:
        """Claim the next delivery without a valid claim; its `attempts` includes this one."""
        now = self._clock.now()
        # Read to its end: see `enqueue_deliveries`.
        candidates: list[Delivery] = list(_select_due(webhook_id, now).limit(_MAX_PARALLEL))
        delivery = next(
            (candidate for candidate in candidates if self._try_claim(candidate, now)), None
        )
        if delivery is not None:
            delivery.attempts += 1
        return delivery

    def _try_claim(self, delivery: Delivery, now: datetime) -> bool:
        """Claim a delivery; return False if it was claimed meanwhile, or its webhook removed."""
        active_webhooks = Webhook.select(Webhook.id).where(Webhook.removed_at.is_null())
        with self._database.atomic():
            claimed_count = (
                Delivery.update(attempts=delivery.attempts + 1, lease_until=now + LEASE)
                .where(
                    Delivery.id == delivery.id,
                    Delivery.attempts == delivery.attempts,
                    Delivery.webhook.in_(active_webhooks),
                    *_make_claimable_conditions(now),
                )
                .execute()
            )
        return bool(claimed_count)

    def _attempt(self, client: HttpClient, claimed: Delivery) -> bool:
        webhook = claimed.webhook
        event = find_event(claimed.seq)
        if event is None:
            return self._give_up(
                claimed, LazyText("the record holds no more what there was to tell")
            )
        if claimed.attempts > 1 and is_overtaken(event):
            # A late Yes would override the No that the receiver already has.
            return self._give_up(claimed, LazyText("overtaken by what this person did later"))
        secret = decrypt_secret(webhook, self._settings)
        if secret is None:
            return self._record_outcome(claimed, Reply(code=0, problem=SECRET_UNREADABLE))
        message_id = f"msg_{webhook.id}_{event.seq}"
        reply = _post_message(
            client,
            webhook.url,
            event.to_json(),
            secret=secret,
            message_id=message_id,
            now=self._clock.now(),
        )
        return self._record_outcome(claimed, reply)

    def _give_up(self, claimed: Delivery, problem: LazyText) -> bool:
        """Mark a delivery as failed that must not be sent, without a fault of the webhook."""
        with self._database.atomic():
            _update_claimed(claimed, state="failed", problem=problem, at=self._clock.now())
        return True

    def _record_outcome(self, claimed: Delivery, reply: Reply) -> bool:
        """Record the outcome of an attempt, if its claim is still valid."""
        now = self._clock.now()
        facts: dict[str, Any] = {"at": now, "reply_code": reply.code, "problem": reply.problem}
        wait = _choose_wait(claimed.attempts, reply)
        with self._database.atomic():
            if reply.is_accepted:
                _update_claimed(claimed, state="delivered", **facts)
            elif reply.is_gone:
                _remove_webhook(claimed, facts, now=now)
            elif wait is None:
                _update_claimed(claimed, state="failed", **facts)
            else:
                _update_claimed(claimed, due_at=now + wait, **facts)
        return reply.is_accepted


def _remove_webhook(claimed: Delivery, facts: dict[str, Any], *, now: datetime) -> None:
    """Remove a webhook that answered 410 Gone, unless it was removed meanwhile."""
    # Locked first, as in `endpoints.remove`: otherwise the two could deadlock.
    with suppress(NotFound):
        webhook = lock(claimed.webhook_id)
        _update_claimed(claimed, state="failed", **facts)
        chain.append(mark_removed(webhook, now=now, actor="job", why="410 Gone"))


def _choose_wait(attempts: int, reply: Reply) -> timedelta | None:
    """Return the wait after so many attempts; None after the last."""
    if attempts > len(WAITS):
        return None
    requested_wait = min(timedelta(seconds=reply.retry_after), WAITS[-1])
    return max(WAITS[attempts - 1], requested_wait)


def _post_message(
    client: HttpClient,
    url: str,
    message: dict[str, Any],
    *,
    secret: str,
    message_id: str,
    now: datetime,
) -> Reply:
    body = entries.encode_canonical_json(message).encode()
    headers = sign_message(secret, message_id=message_id, at=now, body=body)
    return client.post(url, body=body, headers={"Content-Type": "application/json", **headers})


def _make_claimable_conditions(now: datetime) -> tuple[Any, ...]:
    """Return the conditions under which a delivery may be claimed."""
    return (
        # Written as SQL, so that the partial index for these is used.
        SQL("state = 'waiting'"),
        Delivery.due_at <= now,
        Delivery.lease_until.is_null() | (Delivery.lease_until <= now),
    )


def _select_due(webhook_id: int, now: datetime) -> Any:
    query = Delivery.select().where(
        Delivery.webhook == webhook_id, *_make_claimable_conditions(now)
    )
    return query.order_by(Delivery.due_at, Delivery.seq)


def _update_claimed(claimed: Delivery, **fields: Any) -> None:
    """Change a claimed delivery and end its lease, if the claim is still valid."""
    Delivery.update(lease_until=None, **fields).where(
        Delivery.id == claimed.id,
        Delivery.attempts == claimed.attempts,
        Delivery.state == "waiting",
    ).execute()


# --- Testing a webhook. ---------------------------------------------------------------------------


def send_test_message(
    database: Database, webhook_id: int, *, settings: Settings, now: datetime, actor: str
) -> Reply:
    """Post a message of type "test" at once and return the reply; raises NotFound.

    It may take as long as a delivery, so no transaction may be open.
    """
    webhook = find(webhook_id)
    record_test(database, webhook, now=now, actor=actor)
    secret = decrypt_secret(webhook, settings)
    if secret is None:
        return Reply(code=0, problem=SECRET_UNREADABLE)
    data = {"list": find_list_slug(webhook) or None}
    message = {"type": "test", "timestamp": format_timestamp(now), "data": data}
    with HttpClient(to_private=settings.web.webhooks_to_private) as client:
        message_id = f"msg_{new_id()}"
        return _post_message(
            client, webhook.url, message, secret=secret, message_id=message_id, now=now
        )
