"""Which webhook is still to be told what: deliveries made from the evidence.

May import evidence, models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit.models import Delivery, MailingList, Webhook
from repermit.webhooks.news import news_since

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database
    from repermit.webhooks.facts import NewsPage

_BATCH = 500


def owe(database: Database, *, now: datetime) -> int:
    """Make the deliveries that are not made yet, due at once; return how many there were.

    Safe to run in several processes at once: whoever moves a webhook's cursor makes its deliveries.
    """
    # Read to its end: on SQLite, nothing can be written from within a reading that others outran.
    there = list(Webhook.select().where(_is_there()))
    return sum(_owe(database, webhook, now) for webhook in there)


def slug_of(webhook: Webhook) -> str:
    """Return the list that a webhook hears of, "" for all."""
    if webhook.list_id is None:
        return ""
    slug: str = MailingList.get_by_id(webhook.list_id).slug
    return slug


def _is_there() -> Any:
    return Webhook.removed_at.is_null()


def _owe(database: Database, webhook: Webhook, now: datetime) -> int:
    made, slug, is_ours, more = 0, slug_of(webhook), True, True
    while is_ours and more:
        page = news_since(webhook.cursor, limit=_BATCH, slug=slug)
        # Nothing is written where there is nothing new, every few seconds for years.
        is_ours = page.next != webhook.cursor and _move(database, webhook, page, now)
        made += len(page.news) if is_ours else 0
        more = page.more
    return made


def _move(database: Database, webhook: Webhook, page: NewsPage, now: datetime) -> bool:
    """Move the cursor and owe what it passes, together; False if another process was first."""
    with database.atomic():
        moved = (
            Webhook.update(cursor=page.next)
            .where(Webhook.id == webhook.id, Webhook.cursor == webhook.cursor, _is_there())
            .execute()
        )
        if moved and page.news:
            rows = [{"webhook": webhook.id, "seq": news.seq, "due_at": now} for news in page.news]
            Delivery.insert_many(rows).execute()
    webhook.cursor = page.next
    return bool(moved)
