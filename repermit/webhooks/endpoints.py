"""The webhooks that admins have added: adding, removing and listing them, and redelivery.

Each act is one transaction with its evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from peewee import SQL

from repermit.db.connection import Database, lock_rows, make_id_list
from repermit.db.models.evidence import EvidenceHead
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.db.work_steps import run_steps
from repermit.errors import NotFound, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.lazy_text import LazyText
from repermit.settings.definitions import Settings
from repermit.settings.sealed_secrets import SecretCipher, make_webhook_name
from repermit.webhooks.events import (
    AddedWebhook,
    DeliveryFacts,
    WebhookFacts,
    describe_status,
    find_list_slug,
)
from repermit.webhooks.http_client import check_url, new_secret, read_host

REMOVED_WITH_CREATOR = "with whoever added it"
"""The reason in evidence for the removal of a webhook whose creator is no admin any more."""

_MAX_COUNTED = 1_000
_MAX_SHOWN = 100


def add(
    database: Database,
    url: str,
    *,
    mailing_list: MailingList | None = None,
    settings: Settings,
    now: datetime,
    actor: str,
) -> AddedWebhook:
    """Add a webhook, which gets the events from now on, of one list or of all.

    Raises Refused for a URL that cannot be used or already has a webhook.
    """
    normalized_url = check_url(url, to_private=settings.web.webhooks_to_private)
    secret = new_secret()
    with database.atomic():
        duplicates = (
            Webhook.url == normalized_url,
            _match_list(mailing_list),
            Webhook.removed_at.is_null(),
        )
        if Webhook.select().where(*duplicates).exists():
            raise Refused("there is a webhook with this URL already")
        added = Webhook.create(
            url=normalized_url,
            secret="",
            list=mailing_list,
            cursor=EvidenceHead.get().seq,
            created_by=actor,
            created_at=now,
        )
        encrypted_secret = SecretCipher(settings.secret_keys).encrypt(
            make_webhook_name(added.id), secret
        )
        Webhook.update(secret=encrypted_secret).where(Webhook.id == added.id).execute()
        chain.append(_make_entry("webhook_added", added, now=now, actor=actor))
    return AddedWebhook(id=added.id, secret=secret)


def decrypt_secret(webhook: Webhook, settings: Settings) -> str | None:
    """Return the secret that signs a webhook's messages; None if no secret key decrypts it."""
    return SecretCipher(settings.secret_keys).decrypt_stored(
        make_webhook_name(webhook.id), webhook.secret
    )


def remove(database: Database, webhook_id: int, *, now: datetime, actor: str) -> None:
    """Remove a webhook with its waiting deliveries; raises NotFound."""
    with database.atomic():
        chain.append(mark_removed(lock(webhook_id), now=now, actor=actor))


def remove_by_creator(creator: str, *, now: datetime, actor: str) -> list[Entry]:
    """Remove all webhooks of a creator in the caller's transaction; return the entries to append.

    Otherwise they would still send addresses to somebody who may no longer see them.
    """
    query = Webhook.select().where(Webhook.created_by == creator, Webhook.removed_at.is_null())
    webhooks = list(lock_rows(query.order_by(Webhook.id)))
    return [
        mark_removed(webhook, now=now, actor=actor, why=REMOVED_WITH_CREATOR)
        for webhook in webhooks
    ]


def list_webhooks() -> tuple[WebhookFacts, ...]:
    """Return the facts about each webhook, the oldest first."""
    return tuple(map(_read_facts, find_active()))


def find_active() -> Any:
    """Return the webhooks that have not been removed, the oldest first."""
    return Webhook.select().where(Webhook.removed_at.is_null()).order_by(Webhook.id)


def list_deliveries(
    webhook_id: int, *, before: int | None = None, limit: int = _MAX_SHOWN
) -> tuple[DeliveryFacts, ...]:
    """Return a webhook's deliveries, the newest entry first; raises NotFound.

    - `before`: only deliveries of entries before this one.
    """
    conditions = [Delivery.webhook == find(webhook_id)]
    if before is not None:
        conditions.append(Delivery.seq < before)
    deliveries = Delivery.select().where(*conditions).order_by(Delivery.seq.desc()).limit(limit)
    return tuple(map(_read_delivery, deliveries))


def redeliver(database: Database, delivery_id: int, *, now: datetime, actor: str) -> None:
    """Queue a failed or delivered delivery again, beginning with its first attempt.

    Raises NotFound, and Refused if it is waiting already.
    """
    with database.atomic():
        delivery: Delivery | None = lock_rows(
            Delivery.select().where(Delivery.id == delivery_id)
        ).first()
        if delivery is None or delivery.webhook.removed_at is not None:
            raise NotFound("there is no such delivery any more")
        if delivery.state == "waiting":
            raise Refused("this delivery is waiting already; it is tried again by itself")
        Delivery.update(
            state="waiting", attempts=0, due_at=now, lease_until=None, reply_code=0, problem=""
        ).where(Delivery.id == delivery_id).execute()
        facts = {"seq": delivery.seq}
        chain.append(
            _make_entry("webhook_redelivered", delivery.webhook, now=now, actor=actor, **facts)
        )


def find(webhook_id: int) -> Webhook:
    """Return a webhook that has not been removed; raises NotFound."""
    return _require_found(_select_active(webhook_id))


def lock(webhook_id: int) -> Webhook:
    """Return a webhook as `find` does, locked until the transaction ends."""
    return _require_found(lock_rows(_select_active(webhook_id)))


def _select_active(webhook_id: int) -> Any:
    return Webhook.select().where(Webhook.id == webhook_id, Webhook.removed_at.is_null())


def _require_found(query: Any) -> Webhook:
    webhook: Webhook | None = query.first()
    if webhook is None:
        raise NotFound("there is no such webhook")
    return webhook


def mark_removed(webhook: Webhook, *, now: datetime, actor: str, why: str = "") -> Entry:
    """Remove a webhook in the caller's transaction, and return the entry to append last.

    Its waiting deliveries are not claimed any more; `fail_removed` marks them as failed.
    """
    Webhook.update(removed_at=now).where(Webhook.id == webhook.id).execute()
    facts = {"why": why} if why else {}
    return _make_entry("webhook_removed", webhook, now=now, actor=actor, **facts)


def fail_removed(database: Database, *, should_stop: Callable[[], bool]) -> None:
    """Mark the waiting deliveries of removed webhooks as failed, in steps."""
    for webhook in list(Webhook.select().where(~Webhook.removed_at.is_null())):
        # Nothing is locked if nothing waits, as nearly always.
        if _select_waiting(webhook).exists():
            run_steps(database, partial(_fail_step, webhook), should_stop=should_stop)


def _fail_step(webhook: Webhook, limit: int) -> bool:
    delivery_ids = [
        number for (number,) in _select_waiting(webhook).select(Delivery.id).limit(limit).tuples()
    ]
    Delivery.update(state="failed", problem=_REMOVED, lease_until=None).where(
        Delivery.id.in_(make_id_list(delivery_ids)), Delivery.state == "waiting"
    ).execute()
    return bool(delivery_ids)


def _select_waiting(webhook: Webhook) -> Any:
    # Ordered, so that SQLite uses the index of waiting deliveries.
    return (
        Delivery.select()
        .where(Delivery.webhook == webhook, SQL("state = 'waiting'"))
        .order_by(Delivery.due_at)
    )


def record_test(database: Database, webhook: Webhook, *, now: datetime, actor: str) -> None:
    """Record in evidence that a webhook was tested."""
    with database.atomic():
        chain.append(_make_entry("webhook_tested", webhook, now=now, actor=actor))


def _match_list(mailing_list: MailingList | None) -> Any:
    if mailing_list is None:
        return Webhook.list.is_null()
    return Webhook.list == mailing_list


def _make_entry(
    event: str, webhook: Webhook, *, now: datetime, actor: str, **details: Any
) -> Entry:
    """Return the entry of an act; it has only the URL's host, since the rest may be secret."""
    facts = {"webhook": webhook.id, "host": read_host(webhook.url), **details}
    return Entry(event=event, at=now, actor=actor, list=find_list_slug(webhook), consent=facts)


def _read_facts(webhook: Webhook) -> WebhookFacts:
    deliveries = Delivery.select().where(Delivery.webhook == webhook)
    last_tried: Delivery | None = (
        deliveries.where(SQL("at IS NOT NULL")).order_by(Delivery.at.desc()).first()
    )
    return WebhookFacts(
        id=webhook.id,
        url=webhook.url,
        list=find_list_slug(webhook),
        created_by=webhook.created_by,
        created_at=webhook.created_at,
        waiting=_select_waiting(webhook).limit(_MAX_COUNTED).count(),
        last=_read_delivery(last_tried) if last_tried else None,
    )


_REMOVED = LazyText("the webhook was removed")

SECRET_UNREADABLE = LazyText("its secret is sealed under a key that is no longer among secret_keys")
"""Why nothing can be sent to a webhook; adding it again gives it a new secret."""


def _describe_problem(delivery: Delivery) -> str:
    """Return the problem, translatable: from the reply's status, or as the stored sentence."""
    answered = describe_status(delivery.reply_code)
    return answered if answered == delivery.problem else delivery.problem


def _read_delivery(delivery: Delivery) -> DeliveryFacts:
    return DeliveryFacts(
        id=delivery.id,
        seq=delivery.seq,
        state=delivery.state,
        attempts=delivery.attempts,
        due_at=delivery.due_at,
        at=delivery.at,
        reply_code=delivery.reply_code,
        problem=_describe_problem(delivery),
    )
