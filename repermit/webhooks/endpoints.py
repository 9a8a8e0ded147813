"""The webhooks that admins have added: add, remove, list, deliver again.

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

WITH_ITS_MAKER = "with whoever added it"
"""Why a webhook was removed whose maker is an admin no more, as evidence has it."""

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
    """Add a webhook that gets the events from now on, of one list or of all.

    Raises Refused for a URL that cannot be used, and for one that is there already.
    """
    tidy = check_url(url, to_private=settings.web.webhooks_to_private)
    secret = new_secret()
    with database.atomic():
        same = (Webhook.url == tidy, _match_list(mailing_list), Webhook.removed_at.is_null())
        if Webhook.select().where(*same).exists():
            raise Refused("there is a webhook with this URL already")
        added = Webhook.create(
            url=tidy,
            secret="",
            list=mailing_list,
            cursor=EvidenceHead.get().seq,
            created_by=actor,
            created_at=now,
        )
        sealed = SecretCipher(settings.secret_keys).encrypt(make_webhook_name(added.id), secret)
        Webhook.update(secret=sealed).where(Webhook.id == added.id).execute()
        chain.append(_entry("webhook_added", added, now=now, actor=actor))
    return AddedWebhook(id=added.id, secret=secret)


def decrypt_secret(webhook: Webhook, settings: Settings) -> str | None:
    """Return what signs a webhook's messages, None if no key is left that opens its seal."""
    return SecretCipher(settings.secret_keys).decrypt_stored(
        make_webhook_name(webhook.id), webhook.secret
    )


def remove(database: Database, webhook_id: int, *, now: datetime, actor: str) -> None:
    """Remove a webhook with whatever was waiting for it; raises NotFound."""
    with database.atomic():
        chain.append(mark_removed(lock(webhook_id), now=now, actor=actor))


def remove_all_of(maker: str, *, now: datetime, actor: str) -> list[Entry]:
    """Remove all webhooks that somebody added, in the caller's transaction; return what to append.

    They would go on telling addresses to where somebody chose who may see none any more.
    """
    own = Webhook.select().where(Webhook.created_by == maker, Webhook.removed_at.is_null())
    there = list(lock_rows(own.order_by(Webhook.id)))
    return [mark_removed(one, now=now, actor=actor, why=WITH_ITS_MAKER) for one in there]


def list_webhooks() -> tuple[WebhookFacts, ...]:
    """Return what is known of each webhook, in the order of their coming."""
    return tuple(map(_read_facts, find_active()))


def find_active() -> Any:
    """Return the webhooks that have not been removed, in the order of their coming."""
    return Webhook.select().where(Webhook.removed_at.is_null()).order_by(Webhook.id)


def list_deliveries(
    webhook_id: int, *, before: int | None = None, limit: int = _MAX_SHOWN
) -> tuple[DeliveryFacts, ...]:
    """Return a webhook's deliveries, the newest entry first; those before the entry `before`.

    Raises NotFound.
    """
    own = [Delivery.webhook == find(webhook_id)]
    if before is not None:
        own.append(Delivery.seq < before)
    found = Delivery.select().where(*own).order_by(Delivery.seq.desc()).limit(limit)
    return tuple(map(_read_delivery, found))


def redeliver(database: Database, delivery_id: int, *, now: datetime, actor: str) -> None:
    """Deliver once more what has failed or was delivered, from the first attempt on.

    Raises NotFound, and Refused where it is waiting anyhow.
    """
    with database.atomic():
        found: Delivery | None = lock_rows(
            Delivery.select().where(Delivery.id == delivery_id)
        ).first()
        if found is None or found.webhook.removed_at is not None:
            raise NotFound("there is no such delivery any more")
        if found.state == "waiting":
            raise Refused("this delivery is waiting already; it is tried again by itself")
        Delivery.update(
            state="waiting", attempts=0, due_at=now, lease_until=None, reply_code=0, problem=""
        ).where(Delivery.id == delivery_id).execute()
        facts = {"seq": found.seq}
        chain.append(_entry("webhook_redelivered", found.webhook, now=now, actor=actor, **facts))


def find(webhook_id: int) -> Webhook:
    """Return a webhook that has not been removed; raises NotFound."""
    return _require_found(_select_active(webhook_id))


def lock(webhook_id: int) -> Webhook:
    """Return the same, locked until the transaction ends."""
    return _require_found(lock_rows(_select_active(webhook_id)))


def _select_active(webhook_id: int) -> Any:
    return Webhook.select().where(Webhook.id == webhook_id, Webhook.removed_at.is_null())


def _require_found(query: Any) -> Webhook:
    found: Webhook | None = query.first()
    if found is None:
        raise NotFound("there is no such webhook")
    return found


def mark_removed(locked: Webhook, *, now: datetime, actor: str, why: str = "") -> Entry:
    """Remove a webhook within the caller's transaction, and return the entry to append last.

    Nothing more is claimed of what it was still to be told, which `fail_removed` settles in steps.
    """
    Webhook.update(removed_at=now).where(Webhook.id == locked.id).execute()
    facts = {"why": why} if why else {}
    return _entry("webhook_removed", locked, now=now, actor=actor, **facts)


def fail_removed(database: Database, *, should_stop: Callable[[], bool]) -> None:
    """Fail the waiting deliveries of removed webhooks, in steps."""
    for webhook in list(Webhook.select().where(~Webhook.removed_at.is_null())):
        # Nothing is locked where nothing waits, as almost always.
        if _waiting(webhook).exists():
            run_steps(database, partial(_fail_step, webhook), should_stop=should_stop)


def _fail_step(webhook: Webhook, limit: int) -> bool:
    found = [number for (number,) in _waiting(webhook).select(Delivery.id).limit(limit).tuples()]
    Delivery.update(state="failed", problem=_REMOVED, lease_until=None).where(
        Delivery.id.in_(make_id_list(found)), Delivery.state == "waiting"
    ).execute()
    return bool(found)


def _waiting(webhook: Webhook) -> Any:
    # In an order, so that SQLite takes the index of those that wait.
    return (
        Delivery.select()
        .where(Delivery.webhook == webhook, SQL("state = 'waiting'"))
        .order_by(Delivery.due_at)
    )


def note_test(database: Database, webhook: Webhook, *, now: datetime, actor: str) -> None:
    """Record that somebody tested a webhook."""
    with database.atomic():
        chain.append(_entry("webhook_tested", webhook, now=now, actor=actor))


def _match_list(mailing_list: MailingList | None) -> Any:
    if mailing_list is None:
        return Webhook.list.is_null()
    return Webhook.list == mailing_list


def _entry(event: str, webhook: Webhook, *, now: datetime, actor: str, **more: Any) -> Entry:
    """Return the entry of an act; it has the URL's host alone, since the rest may be secret."""
    facts = {"webhook": webhook.id, "host": read_host(webhook.url), **more}
    return Entry(event=event, at=now, actor=actor, list=find_list_slug(webhook), consent=facts)


def _read_facts(webhook: Webhook) -> WebhookFacts:
    own = Delivery.select().where(Delivery.webhook == webhook)
    tried: Delivery | None = own.where(SQL("at IS NOT NULL")).order_by(Delivery.at.desc()).first()
    return WebhookFacts(
        id=webhook.id,
        url=webhook.url,
        list=find_list_slug(webhook),
        created_by=webhook.created_by,
        created_at=webhook.created_at,
        waiting=_waiting(webhook).limit(_MAX_COUNTED).count(),
        last=_read_delivery(tried) if tried else None,
    )


_REMOVED = LazyText("the webhook was removed")

SEALED = LazyText("its secret is sealed under a key that is no longer among secret_keys")
"""Why nothing can be sent to a webhook; one that is added anew has a secret of its own."""


def _describe_problem(found: Delivery) -> str:
    """Return what went wrong: what the receiver answered, or a sentence that has no values."""
    answered = describe_status(found.reply_code)
    return answered if answered == found.problem else found.problem


def _read_delivery(found: Delivery) -> DeliveryFacts:
    return DeliveryFacts(
        id=found.id,
        seq=found.seq,
        state=found.state,
        attempts=found.attempts,
        due_at=found.due_at,
        at=found.at,
        reply_code=found.reply_code,
        problem=_describe_problem(found),
    )
