"""Delivering what is due: claimed, posted, settled, tried again after growing waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL

from repermit.clock import Clock
from repermit.db.connection import Database, limit_idleness
from repermit.db.models.base import new_id, stored
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.errors import NotFound
from repermit.evidence import chain, entries
from repermit.i18n.lazy_text import Said
from repermit.settings.definitions import Settings
from repermit.webhooks.endpoints import (
    SEALED,
    end,
    fail_removed,
    find,
    lock,
    note_test,
    open_secret,
)
from repermit.webhooks.events import News, is_overtaken, news_of, slug_of
from repermit.webhooks.http_client import Line, Reply
from repermit.webhooks.signature import signed_headers

WAITS = tuple(
    timedelta(seconds=seconds)
    # The schedule that the Standard Webhooks specification proposes, a little over three days.
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""How long after each failed attempt the next is made; after the last there is none."""

LEASE = timedelta(minutes=10)
"""How long whoever claimed a delivery has for it: far longer than a line lets it take."""

_LINES = 8
# A receiver that takes its time holds up what is new for no longer.
_LONGEST_RUN = 20.0


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What a run did: how many deliveries are done, how many failed this time.

    Done is also what need not be told any more.
    """

    done: int
    failed: int


def deliver_due(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    should_stop: Callable[[], bool] = lambda: False,
) -> Sent:
    """Deliver what is due, to each webhook in the order of the entries and on a line of its own.

    A webhook that fails is left alone for the rest of the run, and one that was removed for good.
    Safe to run in several processes at once: each delivery is claimed by a conditional UPDATE.
    """
    shift = _Shift(database, settings, clock, should_stop)
    waiting = [webhook.id for webhook in _with_due(clock.now())]
    with ThreadPoolExecutor(max_workers=_LINES, thread_name_prefix="webhook") as pool:
        outcomes = list(pool.map(shift.serve, waiting))
    fail_removed(database, should_stop=should_stop)
    return Sent(
        done=sum(one.done for one in outcomes),
        failed=sum(one.failed for one in outcomes),
    )


class _Shift:
    """One run over all webhooks."""

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
        self._to_private = settings.web.webhooks_to_private
        self._should_stop = should_stop
        self._ends_at = time.monotonic() + _LONGEST_RUN

    def serve(self, webhook_id: int) -> Sent:
        """Deliver what is due to one webhook, on a connection to the database of this thread."""
        done = failed = 0
        with self._database.connection_context(), Line(to_private=self._to_private) as line:
            limit_idleness(self._database)
            while not failed and not self._is_over():
                claimed = self._claim(webhook_id)
                if claimed is None:
                    break
                is_done = self._attempt(line, claimed)
                done += is_done
                failed += not is_done
        return Sent(done=done, failed=failed)

    def _is_over(self) -> bool:
        return self._should_stop() or time.monotonic() >= self._ends_at

    def _claim(self, webhook_id: int) -> Delivery | None:
        """Claim the next delivery that nobody else holds; its attempts count this one already."""
        now = self._clock.now()
        # Read to its end: see `owe`.
        some: list[Delivery] = list(_due(webhook_id, now).limit(_LINES))
        found = next((one for one in some if self._take(one, now)), None)
        if found is not None:
            found.attempts += 1
        return found

    def _take(self, found: Delivery, now: datetime) -> bool:
        """Say whether it is ours now: nobody was quicker, nor removed its webhook."""
        there = Webhook.select(Webhook.id).where(Webhook.removed_at.is_null())
        with self._database.atomic():
            taken = (
                Delivery.update(attempts=found.attempts + 1, lease_until=now + LEASE)
                .where(
                    Delivery.id == found.id,
                    Delivery.attempts == found.attempts,
                    Delivery.webhook.in_(there),
                    *_free(now),
                )
                .execute()
            )
        return bool(taken)

    def _attempt(self, line: Line, claimed: Delivery) -> bool:
        webhook = claimed.webhook
        news = news_of(claimed.seq)
        if news is None:
            return self._give_up(claimed, Said("the record holds no more what there was to tell"))
        if claimed.attempts > 1 and is_overtaken(news):
            # Told late, a Yes would undo the No that the receiver knows already.
            return self._give_up(claimed, Said("overtaken by what this person did later"))
        secret = open_secret(webhook, self._settings)
        if secret is None:
            return self._settle(claimed, Reply(code=0, problem=SEALED))
        message = _message(webhook, news, secret=secret, now=self._clock.now())
        return self._settle(claimed, line.post(webhook.url, **message))

    def _give_up(self, claimed: Delivery, problem: Said) -> bool:
        """Settle what is not to be sent; the webhook itself is not at fault."""
        with self._database.atomic():
            _update(claimed, state="failed", problem=problem, at=self._clock.now())
        return True

    def _settle(self, claimed: Delivery, reply: Reply) -> bool:
        """Note what came of an attempt; a late outcome of a lease that has ended is not noted."""
        now = self._clock.now()
        facts: dict[str, Any] = {"at": now, "reply_code": reply.code, "problem": reply.problem}
        wait = _wait(claimed.attempts, reply)
        with self._database.atomic():
            if reply.is_taken:
                _update(claimed, state="delivered", **facts)
            elif reply.is_gone:
                _end(claimed, facts, now=now)
            elif wait is None:
                _update(claimed, state="failed", **facts)
            else:
                _update(claimed, due_at=now + wait, **facts)
        return reply.is_taken


def _end(claimed: Delivery, facts: dict[str, Any], *, now: datetime) -> None:
    """Remove the webhook that wants no more, unless somebody did so meanwhile."""
    # Locked first, as by whoever removes it by hand: else the two could wait for each other.
    with suppress(NotFound):
        webhook = lock(claimed.webhook_id)
        _update(claimed, state="failed", **facts)
        chain.append(end(webhook, now=now, actor="job", why="410 Gone"))


def _wait(attempts: int, reply: Reply) -> timedelta | None:
    """Return how long to wait after so many attempts, None if there is none to come."""
    if attempts > len(WAITS):
        return None
    asked = min(timedelta(seconds=reply.retry_after), WAITS[-1])
    return max(WAITS[attempts - 1], asked)


def _message(webhook: Webhook, news: News, *, secret: str, now: datetime) -> dict[str, Any]:
    body = entries.canonical(news.to_json()).encode()
    message_id = f"msg_{webhook.id}_{news.seq}"
    headers = signed_headers(secret, message_id=message_id, at=now, body=body)
    return {"body": body, "headers": {"Content-Type": "application/json", **headers}}


def _free(now: datetime) -> tuple[Any, ...]:
    """Return when a delivery may be claimed, as conditions."""
    return (
        # Written out, so that the index for just these is used.
        SQL("state = 'waiting'"),
        Delivery.due_at <= now,
        Delivery.lease_until.is_null() | (Delivery.lease_until <= now),
    )


def _due(webhook_id: int, now: datetime) -> Any:
    own = Delivery.select().where(Delivery.webhook == webhook_id, *_free(now))
    return own.order_by(Delivery.due_at, Delivery.seq)


def _with_due(now: datetime) -> list[Webhook]:
    there = Webhook.select().where(Webhook.removed_at.is_null()).order_by(Webhook.id)
    return [webhook for webhook in there if _due(webhook.id, now).exists()]


def _update(claimed: Delivery, **fields: Any) -> None:
    """Settle a delivery and end its lease, if the claim still holds."""
    Delivery.update(lease_until=None, **fields).where(
        Delivery.id == claimed.id,
        Delivery.attempts == claimed.attempts,
        Delivery.state == "waiting",
    ).execute()


# --- Trying a webhook. ----------------------------------------------------------------------------


def test(
    database: Database, webhook_id: int, *, settings: Settings, now: datetime, actor: str
) -> Reply:
    """Post a message of type "test" at once and return what came of it; raises NotFound.

    It takes up to a line's time, so no transaction may be open.
    """
    webhook = find(webhook_id)
    note_test(database, webhook, now=now, actor=actor)
    secret = open_secret(webhook, settings)
    if secret is None:
        return Reply(code=0, problem=SEALED)
    told = {"type": "test", "timestamp": stored(now), "data": {"list": slug_of(webhook) or None}}
    body = entries.canonical(told).encode()
    headers = signed_headers(secret, message_id=f"msg_{new_id()}", at=now, body=body)
    with Line(to_private=settings.web.webhooks_to_private) as line:
        return line.post(
            webhook.url, body=body, headers={"Content-Type": "application/json", **headers}
        )
